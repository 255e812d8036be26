"""The resources of FHIR R4 that are served, with the elements that are written; `fhir.elements` has their parts."""

from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny

from fhir.elements import (
    Address,
    Attachment,
    CodeableConcept,
    Coding,
    ContactPoint,
    Element,
    Extended,
    Extension,
    HumanName,
    Identifier,
    Instant,
    Reference,
    Resource,
    Signature,
    Text,
)

_TYPE = Field(alias="resourceType")


class TaskOutput(Element):
    type: CodeableConcept
    value_reference: Reference


class Task(Resource):
    resource_type: Annotated[Literal["Task"], _TYPE] = "Task"
    extension: tuple[Extension, ...] | None = None
    identifier: tuple[Identifier, ...]
    based_on: tuple[Reference, ...]
    group_identifier: Identifier
    status: str
    status_reason: CodeableConcept | None
    business_status: CodeableConcept
    intent: Literal["order"] = "order"
    priority: str
    code: CodeableConcept
    focus: Reference
    for_: Annotated[Reference, Field(alias="for")]
    authored_on: Instant
    last_modified: Instant
    requester: Reference
    owner: Reference | None
    output: tuple[TaskOutput, ...] | None


class ServiceRequest(Resource):
    resource_type: Annotated[Literal["ServiceRequest"], _TYPE] = "ServiceRequest"
    identifier: tuple[Identifier, ...]
    status: str
    intent: Literal["order"] = "order"
    category: tuple[CodeableConcept, ...] | None = None
    priority: str
    code: CodeableConcept
    subject: Reference
    authored_on: Instant | None
    requester: Reference
    performer: tuple[Reference, ...] | None
    reason_code: tuple[CodeableConcept, ...] | None
    supporting_info: tuple[Reference, ...] | None


class Patient(Resource):
    resource_type: Annotated[Literal["Patient"], _TYPE] = "Patient"
    identifier: tuple[Identifier, ...] | None
    name: tuple[HumanName, ...] | None
    gender: str | None
    birth_date: str | None
    managing_organization: Reference


class Qualification(Element):
    code: CodeableConcept


class Practitioner(Resource):
    resource_type: Annotated[Literal["Practitioner"], _TYPE] = "Practitioner"
    identifier: tuple[Identifier, ...] | None
    active: bool
    name: tuple[HumanName, ...]
    qualification: tuple[Qualification, ...] | None


class PractitionerRole(Resource):
    resource_type: Annotated[Literal["PractitionerRole"], _TYPE] = "PractitionerRole"
    active: bool
    practitioner: Reference
    organization: Reference
    code: tuple[CodeableConcept, ...] | None
    healthcare_service: tuple[Reference, ...] | None


class Organization(Resource):
    resource_type: Annotated[Literal["Organization"], _TYPE] = "Organization"
    identifier: tuple[Identifier, ...]
    active: bool = True
    name: str
    telecom: tuple[ContactPoint, ...] | None
    address: tuple[Address, ...] | None


class HealthcareService(Resource):
    resource_type: Annotated[Literal["HealthcareService"], _TYPE] = "HealthcareService"
    identifier: tuple[Identifier, ...]
    active: bool
    type: tuple[CodeableConcept, ...]
    name: str
    comment: Text


class AnswerOption(Element):
    value_coding: Coding


class QuestionnaireItem(Element):
    extension: tuple[Extension, ...] | None = None
    link_id: str
    text: Text = None
    type: str
    required: bool | None = None
    repeats: bool | None = None
    max_length: int | None = None
    answer_option: tuple[AnswerOption, ...] | None = None
    item: tuple["QuestionnaireItem", ...] | None = None


class Questionnaire(Resource):
    resource_type: Annotated[Literal["Questionnaire"], _TYPE] = "Questionnaire"
    url: str
    identifier: tuple[Identifier, ...] | None = None
    version: str
    name: str
    title: str
    status: str
    subject_type: tuple[str, ...] = ("Patient",)
    description: Text
    code: tuple[Coding, ...] | None = None
    item: tuple[QuestionnaireItem, ...]


class Answer(Element):
    value_boolean: bool | None = None
    value_decimal: float | None = None
    value_date: str | None = None
    value_string: Text = None
    value_coding: Coding | None = None
    value_attachment: Attachment | None = None


class ResponseItem(Element):
    link_id: str
    text: Text = None
    answer: tuple[Answer, ...] | None = None
    item: tuple["ResponseItem", ...] | None = None


class QuestionnaireResponse(Resource):
    resource_type: Annotated[Literal["QuestionnaireResponse"], _TYPE] = "QuestionnaireResponse"
    identifier: Identifier | None = None
    based_on: tuple[Reference, ...]
    questionnaire: str
    status: Literal["completed"] = "completed"
    subject: Reference
    authored: Instant
    author: Reference
    item: tuple[ResponseItem, ...] | None


class Payload(Element):
    content_string: Text


class Communication(Resource):
    resource_type: Annotated[Literal["Communication"], _TYPE] = "Communication"
    based_on: tuple[Reference, ...]
    in_response_to: tuple[Reference, ...] | None
    status: Literal["completed"] = "completed"
    category: tuple[CodeableConcept, ...]
    priority: str | None = None
    subject: Reference
    about: tuple[Reference, ...] | None
    sent: Instant
    recipient: tuple[Reference, ...] | None
    sender: Reference | None
    reason_code: tuple[CodeableConcept, ...] | None = None
    payload: tuple[Payload, ...] | None


class RelatesTo(Element):
    code: str
    target: Reference


class DocumentContent(Element):
    attachment: Attachment


class DocumentContext(Element):
    related: tuple[Reference, ...]


class DocumentReference(Resource):
    resource_type: Annotated[Literal["DocumentReference"], _TYPE] = "DocumentReference"
    master_identifier: Identifier
    status: str
    doc_status: str
    type: CodeableConcept
    subject: Reference
    date: Instant
    author: tuple[Reference, ...]
    custodian: Reference
    relates_to: tuple[RelatesTo, ...] | None
    description: Text
    content: tuple[DocumentContent, ...]
    context: DocumentContext


class DiagnosticReport(Resource):
    resource_type: Annotated[Literal["DiagnosticReport"], _TYPE] = "DiagnosticReport"
    identifier: tuple[Identifier, ...]
    based_on: tuple[Reference, ...]
    status: str
    code: CodeableConcept
    subject: Reference
    effective_date_time: Instant
    issued: Instant
    performer: tuple[Reference, ...]
    results_interpreter: tuple[Reference, ...]
    presented_form: tuple[Attachment, ...]


class Binary(Resource):
    resource_type: Annotated[Literal["Binary"], _TYPE] = "Binary"
    content_type: str
    security_context: Reference
    data: str


class Agent(Element):
    type: CodeableConcept
    who: Reference
    on_behalf_of: Reference


class Provenance(Resource):
    resource_type: Annotated[Literal["Provenance"], _TYPE] = "Provenance"
    target: tuple[Reference, ...]
    occurred_date_time: Instant
    recorded: Instant
    activity: CodeableConcept
    agent: tuple[Agent, ...]
    signature: tuple[Signature, ...]


class AuditAgent(Element):
    who: Reference
    requestor: bool
    role: tuple[CodeableConcept, ...] | None = None


class AuditSource(Element):
    observer: Reference


class AuditEntity(Element):
    what: Reference
    type: Coding


class AuditEvent(Resource):
    resource_type: Annotated[Literal["AuditEvent"], _TYPE] = "AuditEvent"
    type: Coding
    subtype: tuple[Coding, ...]
    action: Literal["R"] = "R"
    recorded: Instant
    outcome: Literal["0"] = "0"
    purpose_of_event: tuple[CodeableConcept, ...] | None
    agent: tuple[AuditAgent, ...]
    source: AuditSource
    entity: tuple[AuditEntity, ...]


class Issue(Element):
    severity: str
    code: str
    details: CodeableConcept | None = None
    diagnostics: Text = None
    expression: tuple[str, ...] | None = None


class OperationOutcome(Resource):
    resource_type: Annotated[Literal["OperationOutcome"], _TYPE] = "OperationOutcome"
    issue: tuple[Issue, ...]


class Link(Element):
    relation: str
    url: str


class Search(Element):
    mode: str


class Entry(Element):
    full_url: str
    resource: SerializeAsAny[Resource]
    search: Search


class Bundle(Resource):
    resource_type: Annotated[Literal["Bundle"], _TYPE] = "Bundle"
    type: Literal["searchset"] = "searchset"
    timestamp: Instant
    link: tuple[Link, ...]
    entry: tuple[Entry, ...] | None


class Destination(Element):
    name: Text = None
    endpoint: str


class Source(Element):
    name: Text = None
    software: Text = None
    endpoint: str


class Response(Element):
    identifier: str
    code: Literal["ok", "transient-error", "fatal-error"]
    details: Reference | None = None


class MessageHeader(Resource):
    resource_type: Annotated[Literal["MessageHeader"], _TYPE] = "MessageHeader"
    event_coding: Coding
    destination: tuple[Destination, ...]
    author: Reference | None = None
    source: Source
    response: Response | None = None
    focus: tuple[Reference, ...] | None = None


class Channel(Element):
    extension: tuple[Extension, ...] | None
    type: Literal["rest-hook"] = "rest-hook"
    endpoint: str
    payload: str
    beside_payload: Annotated[Extended, Field(alias="_payload")]


class Subscription(Resource):
    resource_type: Annotated[Literal["Subscription"], _TYPE] = "Subscription"
    status: str
    end: Instant | None
    reason: str
    criteria: str
    beside_criteria: Annotated[Extended | None, Field(alias="_criteria")]
    error: Text = None
    channel: Channel


class Parameter(Element):
    name: str
    value_reference: Reference | None = None
    value_canonical: str | None = None
    value_code: str | None = None
    value_string: str | None = None
    value_instant: Instant | None = None
    value_codeable_concept: CodeableConcept | None = None
    part: tuple["Parameter", ...] | None = None


class Parameters(Resource):
    resource_type: Annotated[Literal["Parameters"], _TYPE] = "Parameters"
    parameter: tuple[Parameter, ...]


class EntryRequest(Element):
    method: Literal["GET"] = "GET"
    url: str


class EntryResponse(Element):
    status: str


class HistoryEntry(Element):
    full_url: str
    resource: SerializeAsAny[Resource]
    request: EntryRequest
    response: EntryResponse


class History(Resource):
    resource_type: Annotated[Literal["Bundle"], _TYPE] = "Bundle"
    type: Literal["history"] = "history"
    timestamp: Instant
    entry: tuple[HistoryEntry, ...]
