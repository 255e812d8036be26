"""A request as ServiceRequest and Patient, and each time that it was given to somebody as a Task."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from domain.commands import ReturnReason
from domain.events import question_id
from domain.fhir_course import BusinessStatus, CourseTask, Facts, business_status, tasks_of
from domain.health_insurance import Issuer, issuer_of
from domain.offerings import ServiceOffering
from domain.requests import EventName, HolderKind, Role, Status
from fhir.addresses import Server, offering_id, part_of
from fhir.elements import (
    CodeableConcept,
    Coding,
    Extension,
    HumanName,
    Identifier,
    Meta,
    Reference,
    concept,
    lines,
    reference_to,
    some,
    words,
)
from fhir.resources import Patient, ServiceRequest, Task, TaskOutput
from records.models import EventRecord, RequestReference
from translations import gettext_for
from translations import gettext_noop as _
from translations.words import BUSINESS_STATUSES
from use_cases.cases import Case
from use_cases.patients import RecordedPatient

CONSULTATION = "process-request-consult"
"""CA:eReC's code of a Task that asks for advice; its system can't be read, so the code stands alone."""

NEEDS_TO_BE_SEEN = "http://ehealthontario.ca/fhir/StructureDefinition/ca-on-eConsult-ext-patient-needs-to-be-seen"
"""Whether the patient must be seen, as Ontario's eConsult has it and CA:eReC's drafts take it over."""

READ_NOW = "report-to-be-read-without-delay"
"""The name of our extension that says so of a report; none of the guides has one."""

CONSULT_NOTE = concept("http://loinc.org", "11488-4", "Consult note")

_IDENTIFIER_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"

IS_TEST = Coding(system="http://terminology.hl7.org/CodeSystem/v3-ActReason", code="HTEST")
"""What came as a test is told as one."""

_STATUSES: Mapping[Status, str] = {
    Status.AWAITING_DISPATCH: "active",
    Status.AWAITING_ACCEPTANCE: "active",
    Status.ACCEPTED: "active",
    Status.RETURNED: "active",
    Status.REPORTED: "completed",
    Status.CLOSED: "completed",
    Status.CANCELLED: "revoked",
    Status.ABANDONED: "revoked",
}
"""The request's own status; what becomes of it stands in its Tasks."""


def meta_of(case: Case) -> Meta:
    """Of what belongs to a request. It is told to have changed with the request, whatever of that it shows: so whoever asks for
    what has changed since finds all of it, in one order.
    """
    security = (IS_TEST,) if case.row.is_test else None
    return Meta(version_id=str(case.moment.version), last_updated=case.moment.at, security=security)


def number_of(case: Case, server: Server) -> Identifier:
    """The number under which people know it."""
    return Identifier(use="official", system=server.identifiers("request-number"), value=case.row.number)


def request_of(case: Case, server: Server) -> Reference:
    """A reference to the ServiceRequest, with its number."""
    return reference_to("ServiceRequest", case.id, identifier=number_of(case, server))


def patient_of(case: Case) -> Reference:
    return reference_to("Patient", case.id)


def role_of(account_id: UUID | str) -> Reference:
    """Somebody at their clinic."""
    return reference_to("PractitionerRole", account_id)


def is_outside(event: EventRecord) -> bool:
    """Whether it was said at a partner that answers."""
    return event.actor_role is Role.PROVIDER and event.command.get("outside") is not None


def said_by(event: EventRecord, server: Server) -> Reference | None:
    """Who gave a command: somebody here, or whoever a partner's message names, by that name alone, for nobody here knows them."""
    if not is_outside(event):
        return role_of(event.actor_id) if event.actor_id else None
    name, organization = event.command["outside"].get("name"), event.command["outside"].get("organization")
    shown = f"{name} ({organization})" if name and organization else name or organization
    return Reference(display=shown or gettext_for(server.language)(_("A partner’s system")))


def word_of(event: EventRecord) -> str | None:
    """The id under which a partner's message has said it; None of what none has."""
    return (event.command.get("outside") or {}).get("word")


def questions_of(case: Case) -> dict[UUID, EventRecord]:
    """The events that asked something, of either side, by the ids of their questions."""
    return {question_id(case.id, event.command_id): event for event in case.events if event.name in _ASKING}


_ASKING = (EventName.INFORMATION_REQUESTED, EventName.FOLLOW_UP_ASKED)


def signing_of(case: Case, report_id: UUID) -> EventRecord | None:
    """The event with which that document was signed, or came from a partner."""
    signings = (one for one in case.events if one.name in (EventName.REPORT_SIGNED, EventName.ADDENDUM_SIGNED))
    return next((one for one in signings if one.command["report_id"] == str(report_id)), None)


def signed_by(case: Case, report_id: UUID, signer_id: UUID, server: Server) -> Reference:
    """Who has signed a document; of one from outside, its author, as the message names them."""
    signed = signing_of(case, report_id)
    by = said_by(signed, server) if signed is not None and is_outside(signed) else None
    return by or role_of(signer_id)


def is_from_outside(case: Case, report_id: UUID) -> bool:
    """Whether a partner has sent that document."""
    signed = signing_of(case, report_id)
    return signed is not None and is_outside(signed)


def holder_of(case: Case, holder: Mapping[str, Any]) -> Reference | None:
    """Who has a request: a person, or the clinic whose providers, whose dispatchers or whose system do."""
    kind = HolderKind(holder["kind"])
    if kind is HolderKind.NOBODY:
        return None
    id_ = holder["id"]
    is_person = id_ and not any(is_outside(event) and str(event.actor_id) == str(id_) for event in case.events)
    return role_of(id_) if is_person else reference_to("Organization", holder["clinic_id"])


def offering_code(offering: ServiceOffering, server: Server) -> CodeableConcept:
    """What is asked for."""
    return concept(server.codes("offering"), offering.code, getattr(offering.title, server.language))


def service_request(case: Case, server: Server) -> Iterator[ServiceRequest]:
    """The request itself. One that is being written is not given out."""
    forms = case.forms
    asked_of = holder_of(case, case.process.holder.model_dump(mode="json"))
    is_with_others = case.process.holder.kind is not HolderKind.REQUESTER
    yield ServiceRequest(
        id=str(case.id),
        meta=meta_of(case),
        language=server.language,
        identifier=(number_of(case, server), *(_reference(one, server) for one in case.references)),
        status=_STATUSES[case.moment.status],
        priority=case.moment.priority.value,
        code=offering_code(case.offering, server),
        subject=patient_of(case),
        authored_on=case.row.submitted_at,
        requester=role_of(case.row.requester_id),
        performer=some([asked_of if is_with_others else None, _service(case)]),
        reason_code=some([_question(case)]),
        supporting_info=some(
            reference_to("QuestionnaireResponse", part_of(case.id, form.number)) for form in forms[-1:]
        ),
    )


def _reference(one: RequestReference, server: Server) -> Identifier:
    """What a system of the reader's clinic calls the request."""
    return placer(f"{server.references}/{one.system_id}", one.value)


def placer(system: str, value: str) -> Identifier:
    """What another system calls a request by itself."""
    type_ = concept(_IDENTIFIER_TYPES, "PLAC", "Placer Identifier")
    return Identifier(type=type_, system=system or None, value=value)


def _service(case: Case) -> Reference:
    return reference_to("HealthcareService", offering_id(case.offering.code))


def _question(case: Case) -> CodeableConcept | None:
    asked = next((field.name for field in case.offering.form if case.offering.question(field)), None)
    said = case.form.content["answers"].get(asked) if case.form and asked else None
    return words(said) if isinstance(said, str) else None


def patient(case: Case, server: Server) -> Iterator[Patient]:
    """The patient as the form in force knows them. Each request has its own: nobody here says that two are the same person."""
    if case.form is None:
        return
    known = RecordedPatient.model_validate(case.form.content["patient"])
    yield Patient(
        id=str(case.id),
        meta=meta_of(case),
        identifier=some([health_number(known), _chart_number(known, case)]),
        name=some([_name(known, server)]),
        gender=known.sex,
        birth_date=known.birth_date,
        managing_organization=reference_to("Organization", case.row.requester_clinic_id),
    )


def health_number(known: RecordedPatient) -> Identifier | None:
    """The number of the health insurance, as Canada's registry of naming systems calls whoever gave it; not one of the mother."""
    number = "".join(known.health_insurance_number.split())
    if not number or known.mother_name:
        return None
    type_ = concept(_IDENTIFIER_TYPES, "JHN", "Jurisdictional health number (Canada)")
    issuer = issuer_of(number, known.health_insurance_issuer)
    return Identifier(use="official", type=type_, system=_naming_system(issuer), value=number)


def _chart_number(known: RecordedPatient, case: Case) -> Identifier | None:
    """The number of the chart at the requester's clinic, whose systems alone know which numbers these are."""
    if not known.chart_number:
        return None
    type_ = concept(_IDENTIFIER_TYPES, "MR", "Medical record number")
    clinic = reference_to("Organization", case.row.requester_clinic_id)
    return Identifier(type=type_, value=known.chart_number, assigner=clinic)


def _naming_system(issuer: Issuer | None) -> str | None:
    if issuer is None or issuer in ("CA", "other"):
        return None
    province = issuer.removeprefix("CA-").lower()
    kind = "hcn" if province == "on" else "healthcare-id"
    return f"https://fhir.infoway-inforoute.ca/NamingSystem/ca-{province}-patient-{kind}"


def _name(known: RecordedPatient, server: Server) -> HumanName | None:
    made = HumanName(
        use="official",
        text=known.full_name(server.language) or None,
        family=known.family_name or None,
        given=lines([known.given_name]),
    )
    return made if made.text or made.family or made.given else None


def tasks(case: Case, server: Server) -> Iterator[Task]:
    """One for each time that the request was given to somebody, oldest first."""
    course = tasks_of(case.events)
    by_version = {event.version: event for event in case.events}
    for task in course:
        step = by_version[task.version]
        business = business_status(task, is_last=task is course[-1], facts=_facts(case, step))
        yield Task(
            id=part_of(case.id, task.number),
            meta=meta_of(case),
            language=server.language,
            extension=some([*_seen(task, case), *_urgent(case, server)]),
            identifier=(
                Identifier(system=server.identifiers("task-number"), value=f"{case.row.number}-{task.number}"),
            ),
            based_on=(request_of(case, server),),
            group_identifier=number_of(case, server),
            status=task.status.value,
            status_reason=_reason(step, task),
            business_status=_business(business, server),
            priority=case.moment.priority.value,
            code=concept(None, CONSULTATION),
            focus=request_of(case, server),
            for_=patient_of(case),
            authored_on=task.began_at,
            last_modified=_last_said(task, case, is_last=task is course[-1]),
            requester=role_of(case.row.requester_id),
            owner=holder_of(case, step.holder_before if task.has_ended else case.events[-1].holder),
            output=_output(task, case),
        )


def _facts(case: Case, step: EventRecord) -> Facts:
    ending = next((event for event in reversed(case.events) if event.name is EventName.CANCELLED), None)
    return Facts(
        status=case.moment.status,
        waits_for_answer=case.moment.waits_for_answer,
        needs_visit=case.needs_visit,
        not_eligible=step.command.get("reason") == ReturnReason.NOT_ELIGIBLE,
        by_requester=ending is None or ending.actor_role is Role.REQUESTER,
    )


def _last_said(task: CourseTask, case: Case, *, is_last: bool) -> Any:
    """When something of it changed: a question stands in its business status, and an addendum among its outputs."""
    return max(task.at, case.events[-1].at) if is_last else task.at


def _business(business: BusinessStatus, server: Server) -> CodeableConcept:
    said = gettext_for(server.language)(BUSINESS_STATUSES[business])
    return concept(server.codes("business-status"), business.value, said)


def _reason(step: EventRecord, task: CourseTask) -> CodeableConcept | None:
    """What was said to whoever asked, with the return or the cancellation."""
    if not task.has_ended or step.name not in (EventName.RETURNED_TO_REQUESTER, EventName.CANCELLED):
        return None
    return words(step.command.get("text") or _as_text(step.command.get("reason")))


def _as_text(said: object) -> str | None:
    return said if isinstance(said, str) else None


def _is_answered(task: CourseTask) -> bool:
    return task.because is EventName.FINAL_REPORT_ISSUED


def _seen(task: CourseTask, case: Case) -> Iterator[Extension]:
    if case.needs_visit is not None and _is_answered(task):
        yield Extension(url=NEEDS_TO_BE_SEEN, value_boolean=case.needs_visit)


def _urgent(case: Case, server: Server) -> Iterator[Extension]:
    """Whether what was issued must be read without delay, where it is shown with the request."""
    shown = {document.report_id for document in case.documents}
    urgent = [document.urgent for document in case.process.documents if document.report_id in shown]
    if urgent:
        yield Extension(url=f"{server.base}/extensions/{READ_NOW}", value_boolean=any(urgent))


def _output(task: CourseTask, case: Case) -> tuple[TaskOutput, ...] | None:
    """The signed documents of this Task: what was issued while it went on, and all that was added after it was completed."""
    until = None if _is_answered(task) else task.version
    issued: Sequence[EventRecord] = [event for event in case.events if event.name in _ISSUED]
    of_task = [
        e for e in issued if e.version > task.began and (until is None or not task.has_ended or e.version < until)
    ]
    return some(
        TaskOutput(type=CONSULT_NOTE, value_reference=reference_to("DocumentReference", event.command["report_id"]))
        for event in of_task
    )


_ISSUED = (EventName.PRELIMINARY_REPORT_ISSUED, EventName.FINAL_REPORT_ISSUED, EventName.ADDENDUM_ISSUED)
