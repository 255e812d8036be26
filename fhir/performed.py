"""What the message of a partner that performs says, taken out of its resources: what becomes of its Task, what it asks."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from uuid import UUID

from domain.fhir_course import BusinessStatus
from domain.loose import Json, dict_of, dicts_of, line_of, list_of, told_of, words_of
from domain.messages import MessageEvent
from domain.said_patients import said_patient
from fhir.loose import Resources
from fhir.message_content import (
    Author,
    bytes_of,
    files_of,
    is_marked_as_test,
    somebody,
    sound,
    spoken,
)
from fhir.message_names import event_replied_to, kind_of, names_in, own_id_of
from fhir.message_rules import LEADS_NOWHERE, TWICE, foci_of
from fhir.outcomes import Fault, Faults
from fhir.requests import READ_NOW
from translations import Language
from use_cases.performed import OPEN, Performed, Report, Step

_NEEDS_TO_BE_SEEN = "patient-needs-to-be-seen"
"""In the addresses of the extension that says so, of CA:eReC’s drafts and of Ontario’s eConsult."""

_STARTED = frozenset({"registered", "partial", "preliminary"})
REPORTS = ("DiagnosticReport", "DocumentReference")
_SUBJECTS = ("for", "subject")


def performed_of(
    event: MessageEvent, header: Json, resources: Resources, bundle: Json, language: Language
) -> Performed:
    """What it says; of what its sender has marked as an error, or as replaced, nothing. Raises Faults."""
    foci = foci_of(event, header, resources)
    focus = _newest(foci)
    patients = resources.of("Patient")
    resources, _left_out = sound(resources, (header, *foci, *patients), language)
    is_said = event is MessageEvent.SAID_BY_PROVIDER
    author = _author(focus, header, resources)
    reports = () if is_said else _reports_of(focus, resources)
    about = (*foci, *reports)
    _must_be_of_one(about, resources)
    performed = Performed(
        event=event,
        message_id=str(header["id"]),
        names=names_in(foci, resources),
        author=author.name,
        organization=author.organization,
        patients=tuple(_patients(about, patients)),
        needs_visit=_says(focus, _NEEDS_TO_BE_SEEN),
        reads_now=_says(focus, READ_NOW),
        is_test=any(map(is_marked_as_test, (bundle, header, focus, *patients))),
    )
    if not is_said:
        documents = tuple(_read(reports, focus, author, resources))
        return replace(performed, step=_step(focus), documents=documents)
    files, elsewhere = files_of(resources)
    return replace(
        performed,
        text=spoken(focus, resources),
        word=own_id_of(focus, resources),
        replies_to=tuple(event_replied_to(one) for one in list_of(focus.get("inResponseTo"))),
        kind=_kind(focus),
        has_files=bool(files or elsewhere),
    )


def _newest(foci: Sequence[Json]) -> Json:
    """The Task that goes on, else the last that is named: with one that ends, a message may tell of the one that begins."""
    return next((one for one in foci if one.get("status") in OPEN), foci[-1])


def _step(task: Json) -> Step:
    codes = [line_of(coding.get("code")) for coding in dicts_of(dict_of(task.get("businessStatus")).get("coding"))]
    return Step(
        str(task["status"]),
        told_of(task.get("statusReason")),
        BusinessStatus.RETURNED_NON_ADMISSIBLE.value in codes,
    )


def _kind(communication: Json) -> str:
    return next((word for one in list_of(communication.get("category")) for word in words_of(one)), "")


# The patient


def _must_be_of_one(about: Sequence[Json], resources: Resources) -> None:
    """All that is told is of one patient; of the one that lies in the message, where one does. Raises Faults."""
    patients, meant = resources.of("Patient"), set()
    for one, name, subject in _subjects(about):
        if not line_of(subject.get("reference")):
            continue
        found = resources.find(subject)
        if patients and found not in patients:
            raise Faults([Fault("value", LEADS_NOWHERE, f"{one['resourceType']}.{name}")])
        meant.add(str(subject["reference"]).split("/_history/")[0].rpartition("Patient/")[2])
    if not patients and len(meant) > 1:
        raise Faults([Fault("value", TWICE, "Patient")])


def _patients(about: Sequence[Json], patients: Sequence[Json]) -> Iterator[Json]:
    """Who the patient is by all that says so: the resource, one inside of another, an identifier in its place."""
    yield from map(said_patient, patients)
    for _one, _name, subject in _subjects(about):
        if identifier := dict_of(subject.get("identifier")):
            yield said_patient({"identifier": [identifier]})
    for one in about:
        within = dicts_of(one.get("contained"))
        yield from (said_patient(part) for part in within if part.get("resourceType") == "Patient")


def _subjects(about: Iterable[Json]) -> Iterator[tuple[Json, str, Json]]:
    for one in about:
        for name in _SUBJECTS:
            if subject := dict_of(one.get(name)):
                yield one, name, subject


# The reports


def _reports_of(task: Json, resources: Resources) -> tuple[Json, ...]:
    """What of the message is the partner's report: what the Task names as its output; where it names nothing, its reports."""
    output = dicts_of(task.get("output"))
    if any("valueReference" in one for one in output):
        led_to = [resources.find(one.get("valueReference")) for one in output]
        found = [one for one in led_to if one is not None and one["resourceType"] in REPORTS]
    else:
        found = [one for kind in REPORTS for one in resources.of(kind)]
    return tuple(one for one in found if one.get("status") != "cancelled")


def _read(reports: Sequence[Json], task: Json, sender: Author, resources: Resources) -> Iterator[Report]:
    """Their documents, each once; a report and its document are often told both. Raises Faults."""
    found: dict[bytes, Report] = {}
    for report in reports:
        is_document = report["resourceType"] == "DocumentReference"
        forms = [dict_of(one.get("attachment")) for one in dicts_of(report.get("content"))]
        place = "DocumentReference.content.attachment" if is_document else "DiagnosticReport.presentedForm"
        content = _content(forms if is_document else dicts_of(report.get("presentedForm")), resources, place)
        if content is None:
            continue
        author = _author_of(report, resources) or sender
        known = found.get(content)
        status = report.get("docStatus") if is_document else report.get("status")
        found[content] = Report(
            content=content,
            author=known.author if known else author.name,
            organization=known.organization if known else author.organization,
            id=(known.id if known else None) or own_id_of(report, resources),
            is_preliminary=status in _STARTED or (known is not None and known.is_preliminary),
            replies_to=tuple(_answered_by(report)) or (known.replies_to if known else ()),
        )
    for attachment in (dict_of(one.get("valueAttachment")) for one in dicts_of(task.get("output"))):
        content = bytes_of(attachment, resources, "Task.output.valueAttachment")
        if content is not None and content not in found:
            found[content] = Report(content, sender.name, sender.organization)
    yield from found.values()


def _content(forms: Sequence[Json], resources: Resources, place: str) -> bytes | None:
    """What a document holds; of the same in several formats, the PDF."""
    there = [content for one in forms if (content := bytes_of(one, resources, place)) is not None]
    return next((one for one in there if one.startswith(b"%PDF-")), there[0] if there else None)


def _author_of(report: Json, resources: Resources) -> Author | None:
    """Who has written it: the first person named, else the first organization."""
    names = ("author", "authenticator", "resultsInterpreter", "performer")
    named = [one for name in names for one in _each(report.get(name))]
    return _first([somebody(one, resources) for one in named])


def _answered_by(report: Json) -> Iterator[tuple[UUID, int] | UUID | None]:
    """What something said is answered by it."""
    for one in dicts_of(dict_of(report.get("context")).get("related")):
        is_of_message = str(one.get("reference", "")).startswith("urn:uuid:") and not line_of(one.get("type"))
        if kind_of(one) == "Communication" or is_of_message:
            yield event_replied_to(one)


def _each(value: object) -> list[object]:
    return list_of(value) or [value]


def _author(focus: Json, header: Json, resources: Resources) -> Author:
    """Who says it: the first of those named of whom a name is known."""
    named = (focus.get("sender"), header.get("author"), header.get("sender"), focus.get("owner"))
    return _first([somebody(one, resources) for one in named]) or Author()


def _first(found: Sequence[Author]) -> Author | None:
    known = [one for one in found if one.name or one.organization]
    return next((one for one in known if one.name), known[0] if known else None)


def _says(task: Json, name: str) -> bool | None:
    """What an extension says whose address has that name; None where none does."""
    found = (one for one in dicts_of(task.get("extension")) if name in str(one.get("url", "")).casefold())
    value = next(found, {}).get("valueBoolean")
    return value if isinstance(value, bool) else None
