"""What a message says of the patient and of what is asked that a form has no place for: in lines, each under its name in FHIR."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from domain.loose import Json, dict_of, dicts_of, line_of, lines_of, list_of, text_of, told_of, words_of
from fhir.loose import Resources
from translations import Language, gettext_for
from use_cases.said import Line

_READ_ELSEWHERE = frozenset(
    {
        *("MessageHeader", "Patient", "Practitioner", "PractitionerRole", "Organization", "Location", "RelatedPerson"),
        *("HealthcareService", "Endpoint", "Device", "ServiceRequest", "Task", "Communication", "Provenance"),
        *("Questionnaire", "QuestionnaireResponse", "DocumentReference", "Media", "Binary", "OperationOutcome"),
    }
)
"""What is a part of the course of things, or is read in another way: answers, and files."""

_USUAL = frozenset({"active", "completed", "final", "amended", "corrected", "current", "confirmed", "in-progress"})
"""Statuses that say nothing to who reads."""

_WHEN = ("effectiveDateTime", "onsetDateTime", "performedDateTime", "occurrenceDateTime", "recordedDate")


def lines_of_request(asked: Json, resources: Resources, patients: Sequence[Json], language: Language) -> Iterator[Line]:
    """Of a request: what is requested, and whatever lies beside it of the patient."""
    told = [("code", told_of(asked.get("code")))]
    for name in ("category", "orderDetail", "bodySite", "locationCode", "performerType"):
        told += [(name, told_of(one)) for one in _each(asked.get(name))]
    told.append(("occurrence", line_of(asked.get("occurrenceDateTime")) or _period(asked.get("occurrencePeriod"))))
    reasons = [resources.find(one) for one in list_of(asked.get("reasonReference"))]
    in_question = [one for one in reasons if one and _supporting(one, language) == told_of(one.get("code"))]
    for reference in list_of(asked.get("supportingInfo")):
        if resources.find(reference) is None:
            told.append(("supportingInfo", resources.shown(reference)))
    told += _beside(resources, in_question, language)
    told.append(("patientInstruction", text_of(asked.get("patientInstruction"))))
    for patient in patients:
        told += _of_patient(patient, language)
    yield from (Line(label, text) for label, text in told if text)


def lines_beside(communication: Json, asked: Json | None, resources: Resources, language: Language) -> Iterator[Line]:
    """Of something said: what lies beside it of the patient, but what was sent with the request that it is about."""
    about = asked or {}
    named = (*list_of(about.get("supportingInfo")), *list_of(about.get("reasonReference")))
    said = [resources.find(part.get("contentReference")) for part in dicts_of(communication.get("payload"))]
    sent = [one for one in map(resources.find, named) if not any(one is other for other in said)]
    yield from (Line(label, text) for label, text in _beside(resources, sent, language) if text)


def _beside(resources: Resources, but: Iterable[Json | None], language: Language) -> Iterator[tuple[str, str]]:
    passed_over = {id(one) for one in but}
    for one in resources.all:
        if one["resourceType"] not in _READ_ELSEWHERE and id(one) not in passed_over:
            yield line_of(one["resourceType"]), _supporting(one, language)


def _of_patient(patient: Json, language: Language) -> Iterator[tuple[str, str]]:
    say = gettext_for(language)
    died = line_of(patient.get("deceasedDateTime"))
    yield "Patient.deceased", died or (say("Yes") if patient.get("deceasedBoolean") is True else "")
    yield "Patient.active", say("No") if patient.get("active") is False else ""
    yield (
        "Patient.telecom",
        ", ".join(filter(None, (line_of(one.get("value")) for one in dicts_of(patient.get("telecom"))))),
    )
    for address in dicts_of(patient.get("address")):
        parts = (
            *lines_of(address.get("line")),
            *(line_of(address.get(name)) for name in ("city", "state", "postalCode")),
        )
        yield "Patient.address", line_of(address.get("text")) or ", ".join(filter(None, parts))
    for spoken in dicts_of(patient.get("communication")):
        yield "Patient.communication", told_of(spoken.get("language"))


def _supporting(found: Json, language: Language) -> str:
    """What it says, with its status where that is not the usual one: an allergy may be refuted, a medication stopped."""
    statuses = (
        line_of(found.get("status")),
        *(word for name in ("clinicalStatus", "verificationStatus") for word in words_of(found.get(name))),
    )
    parts = [
        *(told_of(found.get(name)) for name in ("code", "vaccineCode", "medicationCodeableConcept")),
        line_of(dict_of(found.get("medicationReference")).get("display")),
        *_values(found, language),
        *(
            f"{told_of(one.get('code'))} {' '.join(_values(one, language))}".strip()
            for one in dicts_of(found.get("component"))
        ),
        *(text_of(one.get("text")) for one in dicts_of(found.get("dosage"))),
        *(text_of(found.get(name)) for name in ("conclusion", "description", "summary")),
        *(line_of(found.get(name)) for name in _WHEN),
        *(text_of(one.get("text")) for one in dicts_of(found.get("note"))),
        *(status for status in dict.fromkeys(statuses) if status.casefold() not in _USUAL),
    ]
    return " – ".join(part for part in parts if part)


def _values(found: Json, language: Language) -> list[str]:
    """The value, whatever its type."""
    told = []
    for name, value in found.items():
        if not name.startswith("value"):
            continue
        if isinstance(value, dict):
            number = value.get("value")
            quantity = (
                f"{line_of(value.get('comparator'))}{number} {line_of(value.get('unit'))}" if number is not None else ""
            )
            told.append(text_of(quantity) or told_of(value) or _period(value))
        elif isinstance(value, bool):
            told.append(gettext_for(language)("Yes" if value else "No"))
        elif isinstance(value, str | int | Decimal):
            told.append(text_of(str(value)))
    return [one for one in told if one]


def _period(value: object) -> str:
    ends = [line_of(dict_of(value).get(name)) for name in ("start", "end")]
    return " – ".join(ends) if any(ends) else ""


def _each(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
