"""What is served: each type of resources, how one is read by its id, and by what they are searched."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from domain.offerings import MAX_VERSION, ServiceOffering
from domain.requests import Status
from fhir.addresses import code_in, offering_id, version_in
from fhir.documents import diagnostic_reports, document_references, provenances
from fhir.elements import Resource
from fhir.exchange import communications
from fhir.forms import questionnaire, responses
from fhir.looks import audit_events
from fhir.outcomes import REQUEST_NEEDED, NotTaken
from fhir.people import healthcare_service, organization, practitioner, practitioner_role
from fhir.requests import patient, service_request, tasks
from fhir.searches import (
    ALWAYS,
    CURSOR,
    Asked,
    OfRequests,
    Parameters,
    count_of,
    is_within,
    narrowed,
    referred,
    request_of,
)
from records.cases import Window
from records.ways import BEYOND_DRAFT
from use_cases import accesses, catalogue, known_people
from use_cases.cases import Behind, read_case
from use_cases.problems import Problem

_OVER = frozenset({Status.REPORTED, Status.CLOSED})
_REQUEST = ("ServiceRequest",)
_PATIENT = {"patient": ("Patient",)}

OF_REQUESTS: Mapping[str, OfRequests] = {
    "Task": OfRequests(
        tasks,
        Behind(report=True),
        {**_PATIENT, "based-on": _REQUEST},
        numbers=("based-on:identifier",),
        has_status=True,
        statuses={
            "requested": frozenset({Status.AWAITING_DISPATCH}),
            "received": frozenset({Status.AWAITING_ACCEPTANCE}),
            "accepted": frozenset({Status.ACCEPTED}),
            "in-progress": frozenset({Status.ACCEPTED}),
            "completed": _OVER,
        },
    ),
    "ServiceRequest": OfRequests(
        service_request,
        Behind(forms=True, references=True),
        _PATIENT,
        numbers=("identifier",),
        has_status=True,
        statuses={
            "active": BEYOND_DRAFT - _OVER - {Status.CANCELLED, Status.ABANDONED},
            "completed": _OVER,
            "revoked": frozenset({Status.CANCELLED, Status.ABANDONED}),
        },
    ),
    "Patient": OfRequests(patient, Behind(forms=True)),
    "QuestionnaireResponse": OfRequests(responses, Behind(forms=True), {**_PATIENT, "based-on": _REQUEST}),
    "Communication": OfRequests(communications, Behind(), {**_PATIENT, "based-on": _REQUEST}),
    "DocumentReference": OfRequests(
        document_references,
        Behind(documents=True),
        {**_PATIENT, "related": _REQUEST},
        numbers=("related:identifier",),
        has_status=True,
        by_document=True,
    ),
    "DiagnosticReport": OfRequests(
        diagnostic_reports,
        Behind(documents=True),
        {**_PATIENT, "based-on": _REQUEST},
        numbers=("based-on:identifier",),
        has_status=True,
        by_document=True,
    ),
    "Provenance": OfRequests(
        provenances,
        Behind(documents=True),
        {**_PATIENT, "target": ("DocumentReference", "DiagnosticReport", "Binary")},
        by_document=True,
    ),
}
"""What belongs to a request. A Task that has ended early may be of a request in any status."""

BY_IDENTIFIER = "identifier"
"""How a patient is looked for, by the number of their health insurance: by POST alone."""


async def read_of_request(asked: Asked, kind: str, id_: str) -> Resource:
    """One resource of a request; the look is written down. Raises Problem."""
    of = OF_REQUESTS[kind]
    request_id = await request_of(asked, of.by_document, id_)
    if request_id is None:
        raise Problem("not_found")
    case = await read_case(asked.services, asked.caller, request_id, of.behind)
    found = next((one for one in of.make(case, asked.server) if one.id == id_), None)
    if found is None:
        raise Problem("not_found")
    return found


Read = Callable[[Asked, str], Awaitable[Resource]]
Find = Callable[[Asked, Parameters], Awaitable[tuple[Sequence[Resource], str | None]]]
"""What is found, and where the next page begins."""


async def _practitioner(asked: Asked, id_: str) -> Resource:
    return practitioner(await known_people.read_person(asked.services, asked.caller, uuid_in(id_)), asked.server)


async def _practitioner_role(asked: Asked, id_: str) -> Resource:
    return practitioner_role(await known_people.read_person(asked.services, asked.caller, uuid_in(id_)), asked.server)


async def _organization(asked: Asked, id_: str) -> Resource:
    return organization(await known_people.read_clinic(asked.services, asked.caller, uuid_in(id_)), asked.server)


async def _healthcare_service(asked: Asked, id_: str) -> Resource:
    newest = await catalogue.newest_offerings(asked.services)
    offering = newest.get(code_in(id_))
    if offering is None or offering_id(offering.code) != id_:
        raise Problem("not_found")
    return _service(asked, offering)


async def _healthcare_services(asked: Asked, parameters: Parameters) -> tuple[Sequence[Resource], None]:
    newest = await catalogue.newest_offerings(asked.services)
    made = [_service(asked, offering) for _, offering in sorted(newest.items())]
    wanted = parameters.get("active", [])
    return [one for one in made if all(str(getattr(one, "active", None)).lower() == said for said in wanted)], None


def _service(asked: Asked, offering: ServiceOffering) -> Resource:
    return healthcare_service(offering, asked.server, in_force=offering.code in asked.services.offerings)


async def _questionnaire(asked: Asked, id_: str) -> Resource:
    try:
        code, version = version_in(id_)
    except ValueError:
        raise Problem("not_found") from None
    if not 1 <= version <= MAX_VERSION:
        raise Problem("not_found")
    made = _form(asked, await catalogue.find_offering(asked.services, code, version))
    if made.id != id_:
        raise Problem("not_found")
    return made


async def _questionnaires(asked: Asked, parameters: Parameters) -> tuple[Sequence[Resource], None]:
    """Those in force; of an address, that one."""
    made = [_form(asked, offering) for _, offering in sorted(asked.services.offerings.items())]
    for url in parameters.get("url", []):
        made = [one for one in made if getattr(one, "url", None) == url.partition("|")[0]]
    return made, None


async def _audit_event(asked: Asked, id_: str) -> Resource:
    looks = await accesses.read_look(asked.services, asked.caller, uuid_in(id_))
    return next(iter(audit_events(looks, asked.server)))


async def _audit_events(asked: Asked, parameters: Parameters) -> tuple[Sequence[Resource], str | None]:
    """Looks at one request, the newest first. Raises NotTaken unless one is named."""
    window = Window()
    for value in parameters.get("date", ()):
        window = narrowed(window, value, "date")
    named = [
        await referred(asked, types, value)
        for name, types in (("patient", ("Patient",)), ("entity", ("ServiceRequest",)))
        for value in parameters.get(name, ())
    ]
    if not named:
        raise NotTaken(REQUEST_NEEDED, code="required", about="patient")
    ids = frozenset.intersection(*named)
    if len(ids) != 1:
        return [], None
    count, before = count_of(parameters), parameters.get(CURSOR, [None])[0]
    place = uuid_in(before) if before is not None else None
    looks = await accesses.read_looks(asked.services, asked.caller, *ids, before=place, limit=count)
    within = [entry for entry in looks.entries if is_within(window, (entry.at, entry.id))]
    found = [*audit_events(replace(looks, entries=within), asked.server)]
    return found, str(looks.entries[-1].id) if len(looks.entries) == count else None


def _form(asked: Asked, offering: ServiceOffering) -> Resource:
    return questionnaire(offering, asked.server, in_force=asked.services.offerings.get(offering.code) == offering)


def uuid_in(id_: str) -> UUID:
    """The id of a person, a clinic or a document, as it is written. Raises Problem `not_found` for what can't be one."""
    try:
        read = UUID(id_)
    except ValueError:
        raise Problem("not_found") from None
    if str(read) != id_:
        raise Problem("not_found")
    return read


@dataclass(frozen=True)
class Listed:
    """A type of resources that no request has: how one is read, and how all that fit are found, where they can be searched."""

    read: Read
    find: Find | None = None
    parameters: tuple[str, ...] = ()


BESIDE: Mapping[str, Listed] = {
    "Practitioner": Listed(_practitioner),
    "PractitionerRole": Listed(_practitioner_role),
    "Organization": Listed(_organization),
    "HealthcareService": Listed(_healthcare_service, _healthcare_services, ("active",)),
    "Questionnaire": Listed(_questionnaire, _questionnaires, ("url",)),
    "AuditEvent": Listed(_audit_event, _audit_events, ("patient", "entity", "date", "_count", CURSOR)),
}


def known_parameters(kind: str) -> tuple[str, ...]:
    """By what resources of a type are searched; nothing where they are read alone."""
    if kind in OF_REQUESTS:
        own = OF_REQUESTS[kind].parameters
        return (*ALWAYS, *own, *((BY_IDENTIFIER,) if kind == "Patient" else ()))
    return ("_format", *BESIDE[kind].parameters)
