"""What a message says, taken out of its resources: the request, the patient, who asks, the answers, the files."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite
from typing import Any

from domain.loose import Json, dict_of, dicts_of, line_of, lines_of, list_of, text_of, told_of, words_of
from domain.messages import MessageEvent
from domain.priority import Priority
from domain.said_patients import said_patient
from fhir.loose import Resources
from fhir.message_lines import lines_beside, lines_of_request
from fhir.message_names import event_replied_to, kind_of, names_of, order_id_of, own_id_of, request_beside
from fhir.message_rules import WRONG_VALUE, changes_meaning, foci_of
from fhir.outcomes import Fault, Faults
from translations import Language, gettext_for
from translations import gettext_noop as _
from use_cases.said import InlineFile, Licence, Line, Said

_PATIENTS = frozenset({"Patient", "RelatedPerson"})
"""Nobody of them is the author of a request: it is a professional's, who stands in the audit by name."""

_LICENCES = frozenset({"MD", "LN", "DN", "RN", "NP"})
"""The types (v2-0203) of identifiers that are licences to practise: of doctors, of nurses, and others."""

MOST_SAID = 200_000
"""Characters of all that has no place in the form."""
MOST_LINES = 500
MOST_ANSWERS = 1_000
TOO_MUCH_SAID = _("The message says more than can be taken at once.")
STRUCK = _("Left out: the message marks it as an error, or as replaced.")
NOT_UNDERSTOOD = _("Left out: it has a mark that changes what it means, and that is not understood here.")


def content_of(event: MessageEvent, header: Json, resources: Resources, bundle: Json, language: Language) -> Said:
    """What it says. Raises Faults."""
    focus = foci_of(event, header, resources)[0]
    is_said = focus["resourceType"] == "Communication"
    patients = resources.of("Patient")
    resources, left_out = sound(resources, (header, focus, *patients), language)
    asked = request_beside(focus, resources) if is_said else focus
    author = _author(focus, asked, header, resources)
    files, elsewhere = files_of(resources)
    form = _form(_responses(asked, resources) if is_said else resources.of("QuestionnaireResponse"), language)
    if is_said:
        lines = (*lines_beside(focus, asked, resources, language), *form.lines)
    else:
        lines = (*lines_of_request(focus, resources, patients, language), *form.lines)
    question = "" if is_said else _question(event, focus, resources)
    _must_not_be_too_much(question, (*lines, *elsewhere, *left_out), form)
    return Said(
        event=event,
        message_id=str(header["id"]),
        names=tuple(dict.fromkeys(names_of(focus, resources))),
        order_id=None if is_said else order_id_of(focus, resources),
        author=author.name,
        organization=author.organization,
        licences=author.licences,
        services=tuple(_services(asked, resources)) if asked else (),
        priority=Priority(focus["priority"]) if "priority" in focus else None,
        patient=said_patient(patients[0]) if patients else {},
        question=question,
        answers=form.answers,
        answers_to=form.offering,
        lines=lines,
        text=spoken(focus, resources) if is_said else _why(focus),
        files=files,
        elsewhere=elsewhere,
        left_out=left_out,
        replies_to=tuple(event_replied_to(one) for one in list_of(focus.get("inResponseTo"))) if is_said else (),
        word=own_id_of(focus, resources) if is_said else None,
        is_test=any(map(is_marked_as_test, (bundle, header, focus, *patients))),
    )


def _must_not_be_too_much(question: str, lines: Sequence[Line], form: "_Form") -> None:
    said = len(question) + sum(len(line.label) + len(line.text) for line in lines)
    if said > MOST_SAID or len(lines) > MOST_LINES or len(form.answers) > MOST_ANSWERS:
        raise Faults([Fault("too-long", TOO_MUCH_SAID, "Bundle.entry")])


def sound(resources: Resources, read: Sequence[Json], language: Language) -> tuple[Resources, tuple[Line, ...]]:
    """What counts of it besides what was `read` closely, and what is left out, with the reason."""
    say = gettext_for(language)
    gone, lines = [], []
    for one in resources.all:
        if any(one is other for other in read):
            continue
        reason = STRUCK if _is_struck(one) else NOT_UNDERSTOOD if changes_meaning(one) else None
        if reason is not None:
            gone.append(one)
            lines.append(Line(line_of(one["resourceType"]), say(reason)))
    return resources.without(gone), tuple(lines)


def _is_struck(resource: Json) -> bool:
    """Whether its sender says that it does not count."""
    status, of_document = resource.get("status"), resource.get("docStatus")
    verified = (*words_of(resource.get("verificationStatus")),)
    is_document = resource["resourceType"] == "DocumentReference"
    return (
        "entered-in-error" in (status, of_document, *verified)
        or (is_document and status == "superseded")
        or resource.get("doNotPerform", False) is not False
    )


@dataclass(frozen=True)
class Author:
    name: str = ""
    organization: str = ""
    licences: tuple[Licence, ...] = ()


def _author(focus: Json, asked: Json | None, header: Json, resources: Resources) -> Author:
    """Who asks: the first of those named of whom a name or a licence is known."""
    named = (focus.get("requester"), focus.get("sender"), header.get("author"), (asked or {}).get("requester"))
    for reference in (*named, header.get("sender")):
        found = somebody(reference, resources)
        if found.name or found.licences:
            return found
    return Author()


def somebody(reference: object, resources: Resources, depth: int = 0) -> Author:
    found = resources.find(reference)
    shown = resources.shown(reference)
    if (found["resourceType"] if found else kind_of(dict_of(reference))) in _PATIENTS:
        return Author()
    if found is None:
        return Author(name=shown)
    if found["resourceType"] == "PractitionerRole" and depth == 0:
        person = somebody(found.get("practitioner"), resources, depth + 1)
        organization = somebody(found.get("organization"), resources, depth + 1)
        return Author(person.name or shown, organization.organization or organization.name, person.licences)
    if found["resourceType"] == "Organization":
        return Author(organization=line_of(found.get("name")))
    names = dicts_of(found.get("name"))
    licences = tuple(_licences(found)) if found["resourceType"] == "Practitioner" else ()
    return Author(name=(_full_name(names[0]) if names else "") or shown, licences=licences)


def _licences(practitioner: Json) -> Iterator[Licence]:
    """The practitioner's identifiers, and which of them are said to be licences."""
    for identifier in dicts_of(practitioner.get("identifier")):
        codes = {line_of(coding.get("code")) for coding in dicts_of(dict_of(identifier.get("type")).get("coding"))}
        if (value := line_of(identifier.get("value"))) and identifier.get("use") != "old":
            yield Licence(value, line_of(identifier.get("system")), not codes.isdisjoint(_LICENCES))


def _full_name(name: Json) -> str:
    parts = [*lines_of(name.get("prefix")), *lines_of(name.get("given")), line_of(name.get("family"))]
    return " ".join(part for part in parts if part) or line_of(name.get("text"))


def _services(asked: Json, resources: Resources) -> Iterator[str]:
    """How the message calls what it asks: the service of the performer, then what is requested."""
    for performer in list_of(asked.get("performer")):
        found = resources.find(performer)
        for one in (found, *(resources.find(part) for part in list_of((found or {}).get("healthcareService")))):
            if one is None:
                continue
            yield from (line_of(identifier.get("value")) for identifier in dicts_of(one.get("identifier")))
            for concept in (*list_of(one.get("type")), *list_of(one.get("specialty"))):
                yield from words_of(concept)
            if one["resourceType"] == "HealthcareService":
                yield line_of(one.get("name"))
                yield line_of(one.get("id"))
        if isinstance(performer, dict):
            yield line_of(dict_of(performer.get("identifier")).get("value"))
            yield line_of(performer.get("display"))
            yield line_of(str(performer.get("reference", "")).rsplit("/", 1)[-1])
    for concept in (asked.get("code"), *list_of(asked.get("category"))):
        yield from words_of(concept)


def _question(event: MessageEvent, asked: Json, resources: Resources) -> str:
    """Why it is asked, in the partner's words. A new request asks what its code says where it gives no reason."""
    reasons = [told_of(one) for one in list_of(asked.get("reasonCode"))]
    for reference in list_of(asked.get("reasonReference")):
        found = resources.find(reference)
        if found is not None and "code" in found:
            reasons.append(told_of(found.get("code")))
        else:
            reasons.append(resources.shown(reference))
    notes = [text_of(one.get("text")) for one in dicts_of(asked.get("note"))]
    told = [part for part in (*reasons, *notes) if part]
    is_new = event is MessageEvent.ADD_REQUEST
    return "\n".join(dict.fromkeys(told)) or (told_of(asked.get("code")) if is_new else "")


@dataclass(frozen=True)
class _Form:
    offering: str = ""
    answers: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[Line, ...] = ()


_OURS = re.compile(r"/fhir/Questionnaire/([a-z0-9.-]+)(\|[0-9]+)?$")


def _responses(asked: Json | None, resources: Resources) -> list[Json]:
    """The answers that come with something said: not those that were sent with the request that it is about."""
    sent = [resources.find(one) for one in list_of((asked or {}).get("supportingInfo"))]
    return [one for one in resources.of("QuestionnaireResponse") if not any(one is other for other in sent)]


def _form(responses: Sequence[Json], language: Language) -> _Form:
    """The answers to a form of ours, by the names of its fields; those to other forms, as lines."""
    offering, answers, lines = "", {}, []
    for response in responses:
        ours = _OURS.search(str(response.get("questionnaire", "")))
        if ours and not offering:
            offering = ours[1].replace(".", "_")
            answers = dict(_own_answers(dicts_of(response.get("item"))))
        else:
            lines += list(_other_answers(dicts_of(response.get("item")), language))
    return _Form(offering, answers, tuple(lines))


def _own_answers(items: Sequence[Json]) -> Iterator[tuple[str, Any]]:
    """By linkId, as `fhir.forms` writes them."""
    for item in items:
        name = line_of(item.get("linkId"))
        if not name or name.startswith("attachments."):
            continue
        parts = [(line_of(part.get("linkId")), _values(part)) for part in dicts_of(item.get("item"))]
        consent = {
            part.rpartition(".")[2]: values[0] for part, values in parts if values and part.startswith(f"{name}.")
        }
        values = _values(item)
        if values:
            is_several = len(values) > 1 or all("valueCoding" in one for one in dicts_of(item.get("answer")))
            yield name, (values if is_several else values[0])
        elif consent:
            yield name, consent


def _values(item: Json) -> list[Any]:
    found: list[Any] = []
    for answer in dicts_of(item.get("answer")):
        for name, value in answer.items():
            if name == "valueCoding" and isinstance(value, dict):
                found.append(line_of(value.get("code")) or line_of(value.get("display")))
            elif name.startswith("value") and isinstance(value, Decimal):
                found.append(_number(value))
            elif name.startswith("value") and isinstance(value, str | int | bool):
                found.append(text_of(value) if isinstance(value, str) else value)
    return found


def _number(written: Decimal) -> float | str:
    """The number, as answers have them; as it is written where no float is as large."""
    number = float(written)
    return number if isfinite(number) else str(written)


def _other_answers(items: Sequence[Json], language: Language, depth: int = 0) -> Iterator[Line]:
    for item in items:
        told = [one for answer in dicts_of(item.get("answer")) if (one := _answer(answer, language))]
        if told:
            yield Line(line_of(item.get("text")) or line_of(item.get("linkId")), "\n".join(told))
        within = [*dicts_of(item.get("item"))]
        for answer in dicts_of(item.get("answer")):
            within += dicts_of(answer.get("item"))
        if depth < MOST_DEEP:
            yield from _other_answers(within, language, depth + 1)


MOST_DEEP = 20


def _answer(answer: Json, language: Language) -> str:
    for name, value in answer.items():
        match name:
            case "valueCoding" if isinstance(value, dict):
                return line_of(value.get("display")) or line_of(value.get("code"))
            case "valueQuantity" if isinstance(value, dict):
                return text_of(f"{value.get('value', '')} {value.get('unit', '')}")
            case "valueReference" if isinstance(value, dict):
                return line_of(value.get("display"))
            case "valueBoolean":
                return gettext_for(language)("Yes" if value is True else "No")
            case _ if name.startswith("value") and isinstance(value, str | int | Decimal):
                return text_of(str(value))
    return ""


def spoken(communication: Json, resources: Resources) -> str:
    told = []
    for part in dicts_of(communication.get("payload")):
        told.append(text_of(part.get("contentString")))
        reference = part.get("contentReference")
        if resources.find(reference) is None:
            told.append(resources.shown(reference))
    told += [text_of(one.get("text")) for one in dicts_of(communication.get("note"))]
    return "\n".join(one for one in told if one)


def _why(asked: Json) -> str:
    """Why a request was revoked, where it says so: beside its status (as CA:eReC has it), or in its notes."""
    beside = asked.get("_status")
    told = []
    for extension in dicts_of(beside.get("extension")) if isinstance(beside, dict) else ():
        told += [told_of(extension.get("valueCodeableConcept")), text_of(extension.get("valueString"))]
    told += [text_of(one.get("text")) for one in dicts_of(asked.get("note"))]
    return "\n".join(one for one in told if one)


def files_of(resources: Resources) -> tuple[tuple[InlineFile, ...], tuple[Line, ...]]:
    """The files that lie in the message, and those of which only an address is given. Raises Faults."""
    files, elsewhere = [], []
    faults: list[Fault] = []
    for place, attachment in _attachments(resources):
        title = line_of(attachment.get("title")) or place.partition(".")[0]
        try:
            content = bytes_of(attachment, resources, place)
        except Faults as wrong:
            faults += wrong.faults
            continue
        if content is not None:
            files.append(InlineFile(title, content))
        elif line_of(attachment.get("url")):
            elsewhere.append(Line(title, line_of(attachment["url"])))
    if faults:
        raise Faults(faults)
    return tuple(files), tuple(elsewhere)


def bytes_of(attachment: Json, resources: Resources, place: str) -> bytes | None:
    """What an attachment holds, itself or in a Binary of the message; None where it lies elsewhere. Raises Faults."""
    data = attachment.get("data")
    beside = resources.find(attachment.get("url")) if data is None else None
    if beside is not None and beside["resourceType"] == "Binary":
        data = beside.get("data")
    if data is None:
        return None
    try:
        return base64.b64decode("".join(str(data).split()), validate=True)
    except (binascii.Error, ValueError):
        raise Faults([Fault("value", WRONG_VALUE, f"{place}.data")]) from None


def _attachments(resources: Resources) -> Iterator[tuple[str, Json]]:
    for resource in resources.all:
        match resource["resourceType"]:
            case "DocumentReference":
                for content in dicts_of(resource.get("content")):
                    yield "DocumentReference.content.attachment", dict_of(content.get("attachment"))
            case "Media":
                yield "Media.content", dict_of(resource.get("content"))
            case "Communication":
                for part in dicts_of(resource.get("payload")):
                    yield "Communication.payload.contentAttachment", dict_of(part.get("contentAttachment"))
            case "QuestionnaireResponse":
                for answer in _all_answers(dicts_of(resource.get("item"))):
                    yield "QuestionnaireResponse.item.answer.valueAttachment", dict_of(answer.get("valueAttachment"))


def _all_answers(items: Sequence[Json], depth: int = 0) -> Iterator[Json]:
    for item in items:
        yield from dicts_of(item.get("answer"))
        if depth < MOST_DEEP:
            yield from _all_answers(dicts_of(item.get("item")), depth + 1)


def is_marked_as_test(one: Json) -> bool:
    return any(label.get("code") == "HTEST" for label in dicts_of(dict_of(one.get("meta")).get("security")))
