"""What a partner's message says, put into the form of an offering, and what of it is otherwise than in the message before."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import ValidationError

from domain.model import MAX_SHORT_TEXT
from domain.offerings import FieldKind, ServiceOffering, check_answers
from domain.priority import Priority
from records.models import Json
from translations import Language, gettext_for
from translations import gettext_noop as _
from translations.words import PRIORITIES, message_part
from use_cases.answers import entries
from use_cases.patients import PATIENT_PARTS, Patient, part_in_words
from use_cases.problems import Problem, input_faults
from use_cases.said import Line, Said

NO_ANSWER = _("no answer any more")
CHANGED = _("The requester’s system has sent a change:")
LONG_LINES = _("What is said besides has changed, see “Also in the message”: %(names)s")
NOT_SAID_ANY_MORE = _("Not said any more: %(names)s")
PRIORITY = _("Priority asked for")


@dataclass(frozen=True)
class Fitted:
    """A form as far as a message fills it in. `given`: what it says of the patient; `lines`: what has no place there."""

    patient: Patient
    given: Mapping[str, Any]
    answers: Mapping[str, Any]
    lines: tuple[Line, ...]

    def kept(self, said: Said) -> Json:
        """What the next message about the same request is compared with."""
        return {
            "patient": dict(self.given),
            "answers": dict(self.answers),
            "priority": said.priority.value if said.priority else None,
        }


def fitted(said: Said, offering: ServiceOffering, language: Language, today: date) -> Fitted:
    """What a message says, put into the form of an offering. What does not fit stands beside it: nothing is left out."""
    patient, lines = patient_fitted(said.patient, language)
    answers: dict[str, Any] = {}
    fields = {field.name: field for field in offering.form}
    for name, answer in said.answers.items():
        field = fields.get(name) if said.answers_to == offering.code else None
        if field and field.kind is FieldKind.CHOICE and isinstance(answer, list) and len(answer) == 1:
            answer = answer[0]  # FHIR writes one choice as it writes several
        if field and not check_answers([field], {name: answer}, complete=False, today=today):
            answers[name] = answer
        else:
            shown = entries([field] if field else [], {name: answer}, language)
            lines += [Line(entry.label, entry.value) for entry in shown]
    asked = next((one for one in offering.form if offering.question(one)), None)
    if said.question and asked is not None and asked.name not in answers and len(said.question) <= asked.max_length:
        answers[asked.name] = said.question
    elif said.question:
        lines.insert(0, Line("reasonCode", said.question))
    given = {name: value for name, value in patient.model_dump(mode="json").items() if value}
    return Fitted(patient, given, answers, (*lines, *said.lines, *said.left_out))


def merged(before: Json, given: Mapping[str, Any]) -> Patient:
    """The patient of a form with what a message says now. Raises Problem `invalid_input`."""
    patient = {**before, **given}
    if "birth_date" in given:
        patient.pop("birth_date_unknown", None)
    number = "health_insurance_number"
    if given.get(number, before.get(number)) != before.get(number):
        patient["health_insurance_issuer"] = given.get("health_insurance_issuer")
    try:
        return Patient.model_validate(patient)
    except ValidationError as error:
        raise Problem("invalid_input", input_faults(error)) from None


def changes(
    before: Json, now: Fitted, said: Said, offering: ServiceOffering, priority: Priority, language: Language
) -> str:
    """What a message says otherwise than the one `before` (what was noted of it, `use_cases.received`), in words.

    Empty where that is nothing. `priority` is what counts where the message before asked for none.
    """
    say = gettext_for(language)
    told = [*_patient_changes(before["said"]["patient"], now.given, language)]
    told += _answer_changes(before["said"]["answers"], now, said, offering, language)
    if said.priority is not None and said.priority.value != (before["said"]["priority"] or priority.value):
        told.append(f"{say(PRIORITY)}: {say(PRIORITIES[said.priority])}")
    old = {Line(*one) for one in (*before["lines"], *before["elsewhere"])}
    lines = [line for line in (*now.lines, *said.elsewhere) if line not in old]
    gone = {line.label for line in old} - {line.label for line in (*now.lines, *said.elsewhere)}
    if gone:
        names = sorted(message_part(label, language) for label in gone)
        told.append(say(NOT_SAID_ANY_MORE) % {"names": ", ".join(names)})
    if not told and not lines:
        return ""
    text = "\n".join([say(CHANGED), *told, *lines_told(lines, language)])
    if lines and len(text) > MAX_SHORT_TEXT:
        named = ", ".join(dict.fromkeys(message_part(line.label, language) for line in lines))
        text = "\n".join([say(CHANGED), *told, say(LONG_LINES) % {"names": named}])
    return text


def _patient_changes(before: Json, given: Mapping[str, Any], language: Language) -> Iterator[str]:
    """What is said of the patient now. What is not said any more is no change: many messages say who it is, and nothing more."""
    say = gettext_for(language)
    for name, value in given.items():
        if value != before.get(name):
            yield f"{say(PATIENT_PARTS[name])}: {part_in_words(name, language, value)}"


def _answer_changes(
    before: Json, now: Fitted, said: Said, offering: ServiceOffering, language: Language
) -> Iterator[str]:
    """What is answered otherwise; what is not answered any more too, where the message has the whole form."""
    is_whole = said.answers_to == offering.code
    names = dict.fromkeys((*now.answers, *(before if is_whole else ())))
    labels = {field.name: str(getattr(field.label, language)) for field in offering.form}
    for name in names:
        answer = now.answers.get(name)
        if answer == before.get(name):
            continue
        shown = "".join(entry.value for entry in entries(offering.form, {name: answer}, language))
        yield f"{labels.get(name, name)}: {shown or gettext_for(language)(NO_ANSWER)}"


def lines_told(lines: Sequence[Line], language: Language) -> list[str]:
    """Lines as they stand in a text."""
    return [f"{message_part(line.label, language)}: {line.text}" for line in lines]


def patient_fitted(said: Mapping[str, Any], language: Language) -> tuple[Patient, list[Line]]:
    """The patient as far as what is said of them can be taken, and what can't."""
    say, given = gettext_for(language), dict(said)
    lines: list[Line] = []
    for _round in range(len(given)):
        try:
            return Patient.model_validate(given), lines
        except ValidationError as error:
            for name in {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}:
                lines.append(Line(say(PATIENT_PARTS.get(name, name)), str(given.pop(name, ""))))
    return Patient.model_validate(given), lines
