"""What a message must hold to be done: of R4 what is read closely here, and of CA:eReC what makes it a message.

What breaks it is told, fault by fault. All that real systems leave out or write otherwise, and that keeps nobody from reading the
request, is none.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime

from domain.loose import Json, dicts_of, line_of, list_of, text_of
from domain.messages import FROM_PERFORMERS, FROM_REQUESTERS, MessageEvent
from fhir.elements import ID
from fhir.loose import Resources
from fhir.outcomes import Fault
from translations import gettext_noop as _

MISSING = _("“%(name)s” is missing.")
WRONG_VALUE = _("“%(name)s” can't be that.")
WRONG_CODE = _("“%(name)s” has a code that there is not.")
NO_MOMENT = _("“%(name)s” is no date, or a moment without a time zone.")
LEADS_NOWHERE = _("“%(name)s” leads to nothing in the message.")
TWICE = _("“%(name)s” is there more than once.")
NOT_WITH_EVENT = _("“%(name)s” can't be that in a message of this event.")
NOT_UNDERSTOOD = _("“%(name)s” changes what is meant, in a way that is not understood here.")

_CODES: Mapping[tuple[str, str], frozenset[str]] = {
    ("ServiceRequest", "status"): frozenset(
        {"draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown"}
    ),
    ("ServiceRequest", "intent"): frozenset(
        {
            *("proposal", "plan", "directive", "order", "original-order", "reflex-order", "filler-order"),
            *("instance-order", "option"),
        }
    ),
    ("ServiceRequest", "priority"): frozenset({"routine", "urgent", "asap", "stat"}),
    ("Patient", "gender"): frozenset({"male", "female", "other", "unknown"}),
    ("Communication", "status"): frozenset(
        {
            *(
                "preparation",
                "in-progress",
                "not-done",
                "on-hold",
                "stopped",
                "completed",
                "entered-in-error",
                "unknown",
            ),
        }
    ),
    ("Communication", "priority"): frozenset({"routine", "urgent", "asap", "stat"}),
    ("QuestionnaireResponse", "status"): frozenset(
        {"in-progress", "completed", "amended", "entered-in-error", "stopped"}
    ),
    ("DocumentReference", "status"): frozenset({"current", "superseded", "entered-in-error"}),
    ("Task", "status"): frozenset(
        {
            *("draft", "requested", "received", "accepted", "rejected", "ready", "cancelled", "in-progress", "on-hold"),
            *("failed", "completed", "entered-in-error"),
        }
    ),
    ("DocumentReference", "docStatus"): frozenset({"preliminary", "final", "amended", "entered-in-error"}),
}
"""The codes of R4 that are required, of what is read here."""

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "ServiceRequest": ("status", "intent", "subject"),
    "Communication": ("status", "payload"),
}
_NEEDED_OF_PERFORMERS: Mapping[str, tuple[str, ...]] = {"Task": ("status", "basedOn")}
_LISTS: Mapping[str, frozenset[str]] = {
    "MessageHeader": frozenset({"focus", "destination"}),
    "ServiceRequest": frozenset(
        {"identifier", "category", "performer", "reasonCode", "reasonReference", "supportingInfo", "note", "basedOn"}
    ),
    "Patient": frozenset({"identifier", "name", "telecom", "address"}),
    "Communication": frozenset({"payload", "basedOn", "about", "inResponseTo", "recipient", "category"}),
}
"""What there may be several of, and what is therefore a list."""

_MOMENTS: Mapping[str, tuple[str, ...]] = {
    "ServiceRequest": ("authoredOn",),
    "Patient": ("birthDate",),
    "Communication": ("sent", "received"),
    "QuestionnaireResponse": ("authored",),
    "DocumentReference": ("date",),
}
_DAYS = {"birthDate"}
_INSTANTS = {"date", "timestamp"}
"""What has a time of the day always."""

_EVERYWHERE = frozenset(
    {
        *("resourceType", "id", "meta", "implicitRules", "language", "text", "contained", "extension"),
        "modifierExtension",
    }
)
_ELEMENTS: Mapping[str, frozenset[str]] = {
    "MessageHeader": frozenset(
        {
            *(
                "eventCoding",
                "eventUri",
                "destination",
                "sender",
                "enterer",
                "author",
                "source",
                "responsible",
                "reason",
            ),
            *("response", "focus", "definition"),
        }
    ),
    "ServiceRequest": frozenset(
        {
            *("identifier", "instantiatesCanonical", "instantiatesUri", "basedOn", "replaces", "requisition", "status"),
            *("intent", "category", "priority", "doNotPerform", "code", "orderDetail", "quantityQuantity"),
            *("quantityRatio", "quantityRange", "subject", "encounter", "occurrenceDateTime", "occurrencePeriod"),
            *("occurrenceTiming", "asNeededBoolean", "asNeededCodeableConcept", "authoredOn", "requester"),
            *("performerType", "performer", "locationCode", "locationReference", "reasonCode", "reasonReference"),
            *("insurance", "supportingInfo", "specimen", "bodySite", "note", "patientInstruction", "relevantHistory"),
        }
    ),
    "Patient": frozenset(
        {
            *("identifier", "active", "name", "telecom", "gender", "birthDate", "deceasedBoolean", "deceasedDateTime"),
            *("address", "maritalStatus", "multipleBirthBoolean", "multipleBirthInteger", "photo", "contact"),
            *("communication", "generalPractitioner", "managingOrganization", "link"),
        }
    ),
    "Communication": frozenset(
        {
            *("identifier", "instantiatesCanonical", "instantiatesUri", "basedOn", "partOf", "inResponseTo", "status"),
            *("statusReason", "category", "priority", "medium", "subject", "topic", "about", "encounter", "sent"),
            *("received", "recipient", "sender", "reasonCode", "reasonReference", "payload", "note"),
        }
    ),
}
"""The elements of R4 of what is read closely; anything else there is a fault, and in other resources is passed over."""

FOCUS: Mapping[MessageEvent, frozenset[str]] = {
    MessageEvent.ADD_REQUEST: frozenset({"ServiceRequest"}),
    MessageEvent.UPDATE_REQUEST: frozenset({"ServiceRequest"}),
    MessageEvent.REVOKE_REQUEST: frozenset({"ServiceRequest"}),
    MessageEvent.SAID_BY_REQUESTER: frozenset({"Communication"}),
    MessageEvent.ADD_PROCESS: frozenset({"Task"}),
    MessageEvent.UPDATE_PROCESS: frozenset({"Task"}),
    MessageEvent.SAID_BY_PROVIDER: frozenset({"Communication"}),
}

_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")
_OF_BUNDLES = frozenset(
    {"resourceType", "id", "meta", "implicitRules", "language", "identifier", "type", "timestamp", "entry", "signature"}
)
_OF_ENTRIES = frozenset({"id", "extension", "modifierExtension", "link", "fullUrl", "resource"})


def faults_of(bundle: Json, header: Json, resources: Resources, *, performs: bool = False) -> Iterator[Fault]:
    """Everything that is wrong with a message; of one that `performs`, also with what it says as the performer."""
    yield from _faults_of_bundle(bundle)
    if len(resources.of("MessageHeader")) > 1:
        yield Fault("value", TWICE, "MessageHeader")
    yield from _faults_of_header(header, resources)
    for resource in resources.all:
        yield from _faults_of_resource(resource)
    event = event_of(header)
    if event in FROM_REQUESTERS:
        yield from _faults_of_request(event, bundle, header, resources)
    elif performs and event in FROM_PERFORMERS:
        yield from _faults_of_answer(event, bundle, header, resources)


def _faults_of_answer(event: MessageEvent, bundle: Json, header: Json, resources: Resources) -> Iterator[Fault]:
    """Of what a performer says: every focus must be what the event is about, for none may be passed over."""
    foci = foci_of(event, header, resources)
    named = [resources.find(focus) for focus in list_of(header.get("focus"))]
    if not named:
        yield Fault("required", MISSING, "MessageHeader.focus")
    for number, one in enumerate(named):
        if one is not None and one["resourceType"] not in FOCUS[event]:
            yield Fault("not-supported", WRONG_VALUE, f"MessageHeader.focus[{number}]")
    if event is MessageEvent.SAID_BY_PROVIDER and len(foci) > 1:
        yield Fault("value", TWICE, "MessageHeader.focus")
    if len(resources.of("Patient")) > 1:
        yield Fault("value", TWICE, "Patient")
    for focus in foci:
        yield from _lacking(focus, _NEEDED_OF_PERFORMERS)
    yield from _faults_of_marks(bundle, (header, *foci, *resources.of("Patient"), *resources.of("DocumentReference")))


def _faults_of_bundle(bundle: Json) -> Iterator[Fault]:
    if "timestamp" not in bundle:
        yield Fault("required", MISSING, "Bundle.timestamp")
    elif not _is_moment(bundle["timestamp"], instant=True):
        yield Fault("value", NO_MOMENT, "Bundle.timestamp")
    yield from (
        Fault("value", WRONG_VALUE, f"Bundle.{line_of(name)[:100]}")
        for name in sorted(bundle.keys() - _OF_BUNDLES)
        if _is_plain(name)
    )
    has_urls = any(
        "fullUrl" in entry for entry in dicts_of(bundle["entry"])
    )  # large systems write none, and refer by type and id
    seen: set[str] = set()
    for number, entry in enumerate(bundle["entry"]):
        place = f"Bundle.entry[{number}]"
        if not isinstance(entry, dict):
            yield Fault("value", WRONG_VALUE, place)
            continue
        yield from (
            Fault("value", WRONG_VALUE, f"{place}.{line_of(name)[:100]}")
            for name in sorted(entry.keys() - _OF_ENTRIES)
            if _is_plain(name)
        )
        resource = entry.get("resource")
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            yield Fault("required", MISSING, f"{place}.resource")
        elif number == 0 and resource["resourceType"] != "MessageHeader":
            yield Fault("value", WRONG_VALUE, f"{place}.resource")
        full_url = entry.get("fullUrl")
        if not isinstance(full_url, str) or not full_url:
            if has_urls:
                yield Fault("required", MISSING, f"{place}.fullUrl")
        elif full_url in seen:
            yield Fault("value", TWICE, f"{place}.fullUrl")
        else:
            seen.add(full_url)


def _is_plain(name: str) -> bool:
    return not name.startswith("_")


def _faults_of_header(header: Json, resources: Resources) -> Iterator[Fault]:
    if header.get("id") in (None, ""):
        yield Fault("required", MISSING, "MessageHeader.id")
    elif not isinstance(header["id"], str) or not ID.fullmatch(header["id"]):
        yield Fault("value", WRONG_VALUE, "MessageHeader.id")
    if "eventCoding" not in header and "eventUri" not in header:
        yield Fault("required", MISSING, "MessageHeader.event")
    elif event_of(header) is None:
        yield Fault("code-invalid", WRONG_CODE, "MessageHeader.event")
    source = header.get("source")
    if not isinstance(source, dict) or not text_of(source.get("endpoint")):
        yield Fault("required", MISSING, "MessageHeader.source.endpoint")
    yield from _faults_of_ways(header, resources)


def _faults_of_ways(header: Json, resources: Resources) -> Iterator[Fault]:
    """Where it goes, whom it is from, and what it is about."""
    for number, destination in enumerate(dicts_of(header.get("destination"))):
        if not text_of(destination.get("endpoint")):
            yield Fault("required", MISSING, f"MessageHeader.destination[{number}].endpoint")
    for name in ("author", "sender", "responsible"):
        if name in header and not isinstance(header[name], dict):
            yield Fault("value", WRONG_VALUE, f"MessageHeader.{name}")
    if _leads_nowhere(header.get("author"), resources):  # hubs name themselves as senders, and nothing more of them
        yield Fault("value", LEADS_NOWHERE, "MessageHeader.author")
    for number, focus in enumerate(list_of(header.get("focus"))):
        if resources.find(focus) is None:
            yield Fault("value", LEADS_NOWHERE, f"MessageHeader.focus[{number}]")


def _leads_nowhere(reference: object, resources: Resources) -> bool:
    """A reference that names something: one that only tells who is meant leads nowhere, and means to."""
    return isinstance(reference, dict) and "reference" in reference and resources.find(reference) is None


def event_of(header: Json) -> MessageEvent | None:
    coding = header.get("eventCoding")
    code = coding.get("code") if isinstance(coding, dict) else str(header.get("eventUri", "")).rsplit("/", 1)[-1]
    return next((event for event in MessageEvent if event.value == code), None)


def _faults_of_resource(resource: Json) -> Iterator[Fault]:
    kind = resource["resourceType"]
    if kind in _ELEMENTS:
        strange = sorted(name for name in resource.keys() - _ELEMENTS[kind] - _EVERYWHERE if _is_plain(name))
        yield from (Fault("value", WRONG_VALUE, f"{kind}.{line_of(name)[:100]}") for name in strange)
    yield from _lacking(resource, _NEEDED)
    for (of, name), codes in _CODES.items():
        if of == kind and name in resource and not (isinstance(resource[name], str) and resource[name] in codes):
            yield Fault("code-invalid", WRONG_CODE, f"{kind}.{name}")
    for name in _LISTS.get(kind, ()):
        if name in resource and not isinstance(resource[name], list):
            yield Fault("value", WRONG_VALUE, f"{kind}.{name}")
    for name in _MOMENTS.get(kind, ()):
        if name in resource and not _is_moment(
            resource[name], day=name in _DAYS, instant=kind == "DocumentReference" and name in _INSTANTS
        ):
            yield Fault("value", NO_MOMENT, f"{kind}.{name}")


def _lacking(resource: Json, needed: Mapping[str, tuple[str, ...]]) -> Iterator[Fault]:
    kind = resource["resourceType"]
    for name in needed.get(kind, ()):
        if resource.get(name) in (None, "", [], {}):
            yield Fault("required", MISSING, f"{kind}.{name}")


def _is_moment(value: object, *, day: bool = False, instant: bool = False) -> bool:
    """Whether it is a date of FHIR's, as exact as it may be; what has a time has a zone."""
    if not isinstance(value, str):
        return False
    try:
        if _DATE.fullmatch(value) and not instant:
            date.fromisoformat((value + "-01-01")[:10])
            return True
        if _MOMENT.fullmatch(value) and not day:
            datetime.fromisoformat(value)
            return True
    except ValueError:
        pass
    return False


_STATUSES: Mapping[MessageEvent, frozenset[str]] = {
    MessageEvent.ADD_REQUEST: frozenset({"active"}),
    MessageEvent.UPDATE_REQUEST: frozenset({"active"}),
    MessageEvent.REVOKE_REQUEST: frozenset({"active", "on-hold", "revoked", "entered-in-error", "unknown"}),
    MessageEvent.SAID_BY_REQUESTER: frozenset({"in-progress", "completed", "unknown"}),
}
"""With which status the focus says what its event does. Whoever revokes has a message for it, and nothing can be put on hold."""


def foci_of(event: MessageEvent, header: Json, resources: Resources) -> list[Json]:
    """What the message is about: those of its foci that are of the event's type, each once."""
    found = (resources.find(focus) for focus in list_of(header.get("focus")))
    return list({id(one): one for one in found if one is not None and one["resourceType"] in FOCUS[event]}.values())


def changes_meaning(value: object) -> bool:
    """Whether something in it changes what the rest means, in a way that nobody here understands."""
    left = [value]
    while left:
        match left.pop():
            case list() as parts:
                left += parts
            case dict() as part:
                if part.get("modifierExtension") or part.get("implicitRules"):
                    return True
                left += part.values()
    return False


def _faults_of_request(event: MessageEvent, bundle: Json, header: Json, resources: Resources) -> Iterator[Fault]:
    foci = foci_of(event, header, resources)
    yield from _faults_of_foci(foci, header, resources)
    patients = resources.of("Patient")
    if len(patients) > 1:
        yield Fault("value", TWICE, "Patient")
    for one in foci:
        yield from _faults_of_meaning(event, one)
        subject = one.get("subject")
        if not isinstance(subject, dict):
            continue
        if event is MessageEvent.ADD_REQUEST and not patients:
            yield Fault("required", MISSING, "Patient")
        elif "reference" in subject and patients and resources.find(subject) not in patients:
            yield Fault("value", LEADS_NOWHERE, f"{one['resourceType']}.subject")
    yield from _faults_of_marks(bundle, (header, *foci, *patients))


def _faults_of_foci(foci: list[Json], header: Json, resources: Resources) -> Iterator[Fault]:
    named = list_of(header.get("focus"))
    if not named:
        yield Fault("required", MISSING, "MessageHeader.focus")
    elif not foci and any(resources.find(focus) for focus in named):
        yield Fault("value", WRONG_VALUE, "MessageHeader.focus[0]")
    elif len(foci) > 1:
        yield Fault("value", TWICE, "MessageHeader.focus")


def _faults_of_marks(bundle: Json, read: Iterable[Json]) -> Iterator[Fault]:
    around = {name: value for name, value in bundle.items() if name != "entry"}
    entries = [{**entry, "resource": None} for entry in dicts_of(bundle.get("entry"))]
    parts = [("Bundle", around), ("Bundle.entry", entries), *((one["resourceType"], one) for one in read)]
    for kind, part in parts:
        if changes_meaning(part):
            yield Fault("not-supported", NOT_UNDERSTOOD, f"{kind}.modifierExtension")


def _faults_of_meaning(event: MessageEvent, focus: Json) -> Iterator[Fault]:
    """What would have the opposite done, or what is over."""
    kind, status = focus["resourceType"], focus.get("status")
    if isinstance(status, str) and status in _CODES[kind, "status"] and status not in _STATUSES[event]:
        yield Fault("business-rule", NOT_WITH_EVENT, f"{kind}.status")
    if focus.get("doNotPerform", False) is not False:
        yield Fault("not-supported", NOT_UNDERSTOOD, f"{kind}.doNotPerform")
