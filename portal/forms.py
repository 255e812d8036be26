"""The form of a request between page and use case: what was typed becomes answers, and answers become what stands in the fields.

Nothing is judged here: what can't be read as an answer goes on as it was typed, and the use case says what is wrong with it.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from starlette.datastructures import FormData

from domain.drafts import OutdatedAnswer
from domain.forms import FormChange
from domain.offerings import DeadlineName, FieldKind, FormField, ServiceOffering
from domain.priority import Priority
from domain.typed_dates import as_date
from translations import Language, gettext_for
from translations import gettext_noop as _
from translations.dates import span
from translations.numbers import number
from translations.words import CONSENT_PARTS, PHOTO_VIEWS, PRIORITIES, SEXES
from use_cases.answers import entries
from use_cases.patients import PATIENT_PARTS, part_in_words
from use_cases.problems import FieldFault
from use_cases.requests import RequestView

Values = Mapping[str, list[str]]
"""What stands in the fields of a page, by the field's name; an empty list for a field that is empty."""


@dataclass(frozen=True)
class TypedForm:
    """What was typed: what `DraftChanges` holds, before anybody has looked at whether it can be read as that."""

    priority: str | None
    patient: Mapping[str, object]
    answers: Mapping[str, object]
    offering_version: int
    drop_outdated: list[str]

    def holds(self, field: str) -> bool:
        """Whether something was typed into that field: ``patient.…``, ``answers.…``, or ``priority``."""
        part, name = _field(field)
        held = {"patient": self.patient, "answers": self.answers}.get(part, {})
        return name in held or (field == "priority" and self.priority is not None)

    def keeping(self, faults: Collection[FieldFault], saved: RequestView) -> "TypedForm":
        """The same with what is saved in the fields that are at fault: what can't be stored erases nothing."""
        parts = {"patient": saved.patient or {}, "answers": saved.answers or {}}
        if saved.offering_version != self.offering_version:
            parts["answers"] = {}  # they answer another form than the one that was typed into
        fields = {_field(fault.field) for fault in faults}
        stays = {
            part: {name: value for name, value in held.items() if (part, name) in fields and value is not None}
            for part, held in parts.items()
        }
        return replace(self, patient={**self.patient, **stays["patient"]}, answers={**self.answers, **stays["answers"]})

    def without(self, faults: Iterable[FieldFault]) -> "TypedForm":
        """The same with nothing in the fields that are at fault."""
        fields = {_field(fault.field) for fault in faults}
        return replace(
            self,
            priority=None if ("priority", "") in fields else self.priority,
            patient={name: text for name, text in self.patient.items() if ("patient", name) not in fields},
            answers={name: answer for name, answer in self.answers.items() if ("answers", name) not in fields},
        )


def _field(place: str) -> tuple[str, str]:
    """The part of the form and the name of the field; what is within an answer, such as the day of a consent, is of its field."""
    part, name = (*place.split("."), "")[:2]
    return part, name


def read(form: FormData, offering: ServiceOffering, language: Language) -> TypedForm:
    """What was typed into the form of a request."""
    return TypedForm(
        priority=_text(form, "priority") or None,
        patient=_taking({name: _patient(form, name) for name in PATIENT_PARTS}, _text(form, "take")),
        answers=read_answers(form, offering.form, language),
        offering_version=offering.version,
        drop_outdated=[name for name in form.getlist("drop") if isinstance(name, str)],
    )


_CHOSEN = ("sex", "health_insurance_issuer")


def _patient(form: FormData, name: str) -> object:
    text = _text(form, f"patient.{name}")
    if name == "birth_date_unknown":
        return text == "yes"
    if name == "birth_date":
        return as_date(text) or None
    return text or None if name in _CHOSEN else text


def _taking(patient: dict[str, object], suggestion: str) -> dict[str, object]:
    """The patient with what the number says, where the button that offers it was pressed: ``1958-03-14 female``."""
    for said in suggestion.split():
        if said in SEXES:
            patient["sex"] = said
        else:
            patient |= {"birth_date": said, "birth_date_unknown": False}
    return patient


def read_answers(form: FormData, fields: Iterable[FormField], language: Language) -> dict[str, object]:
    """The answers that were typed into fields named ``answers.…``; what was left empty is left out."""
    found = {field.name: _answer(form, field, language) for field in fields}
    return {name: answer for name, answer in found.items() if answer not in (None, "", [], {})}


def of_answers(faults: Iterable[FieldFault]) -> list[FieldFault]:
    """The faults of answers, named as the fields of a page are: ``answers.…``."""
    return [replace(fault, field=f"answers.{fault.field}") for fault in faults]


_STAYS = _("What was saved before stays: %(text)s")

_SHOWN = 80
"""Characters of a text that stays saved which are shown to tell which it is."""


def faults_told(faults: Iterable[FieldFault], saved: Values, language: Language) -> dict[str, str]:
    """What is wrong with each field, and what stays saved in it when that could not be."""
    return {fault.field: fault_told(fault, saved, language) for fault in faults}


def fault_told(fault: FieldFault, saved: Values, language: Language) -> str:
    """What is wrong with one field, and what stays saved in it."""
    text = ", ".join(saved.get(fault.field, ()))
    if not text or fault.code == "birth_date_is_given":  # a tick that stood there is gone: the date counts
        return fault.told(language)
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return f"{fault.told(language)} {gettext_for(language)(_STAYS) % {'text': shown}}"


def place_of(fault: FieldFault) -> str:
    """Where on the page something is, of which is said that it is missing."""
    if fault.code in ("too_few_attachments", "too_many_attachments", "infected_attachment", "slot_gone"):
        return f"slot-{fault.field}"
    if fault.code == "outdated_answer":
        return f"outdated-{fault.field}"
    is_whole = fault.field.startswith(("patient.", "answers."))
    return f"field-{fault.field}" if is_whole else f"field-answers.{fault.field}"


@dataclass(frozen=True)
class Outdated:
    """An answer to an earlier version of the form, in the words of that version."""

    field: str
    label: str
    text: str


def outdated(of: OutdatedAnswer, offering: ServiceOffering, language: Language) -> Outdated:
    """In the words of `offering`, the version that the answer was given to."""
    fields = [field for field in offering.form if field.name == of.field]
    label = getattr(fields[0].label, language) if fields else of.field
    text = "".join(entry.value for entry in entries(fields, {of.field: of.answer}, language))
    return Outdated(of.field, label, text)


def label_of(fault: FieldFault, offering: ServiceOffering, language: Language) -> str:
    """What the page calls it."""
    part, _, name = fault.field.partition(".")
    if part == "patient":
        return gettext_for(language)(PATIENT_PARTS.get(name, name))
    if name in CONSENT_PARTS:
        return gettext_for(language)(CONSENT_PARTS[name])
    group = offering.attachments if place_of(fault).startswith("slot-") else offering.form
    return next((str(getattr(item.label, language)) for item in group if item.name == fault.field), fault.field)


def earlier(form: FormData) -> FormData | None:
    """What the page saved before, without an answer; None where it heard of everything. Perhaps that has arrived.

    Then the version that came of it is the page's own, and what is sent now overwrites nothing of anybody else.
    """
    sent = str(form.get("earlier", ""))
    return FormData([*parse_qsl(sent, keep_blank_values=True)]) if sent else None


def as_typed(form: FormData) -> Values:
    """What somebody typed, to be shown again."""
    return defaultdict(list, {name: [v for v in form.getlist(name) if isinstance(v, str)] for name in form})


def as_saved(view: RequestView, offering: ServiceOffering, language: Language) -> Values:
    """What is saved, as it stands in the fields."""
    patient = {
        f"patient.{name}": ["yes" if value is True else str(value)]
        for name, value in (view.patient or {}).items()
        if value
    }
    return defaultdict(
        list, {"priority": [view.priority.value], **patient, **answers_as_saved(offering.form, view.answers, language)}
    )


def answers_as_saved(fields: Iterable[FormField], answers: Mapping[str, Any] | None, language: Language) -> Values:
    """Answers, as they stand in fields named ``answers.…``."""
    held = answers or {}
    there = {f: held[f.name] for f in fields if held.get(f.name) is not None}
    consents = {
        f"answers.{f.name}.{part}": [str(said)]
        for f, answer in there.items()
        if f.kind is FieldKind.CONSENT and isinstance(answer, dict)
        for part, said in answer.items()
    }
    return {f"answers.{f.name}": _typed(f, answer, language) for f, answer in there.items()} | consents


@dataclass(frozen=True)
class Difference:
    """One field that differs, as text; an empty text for nothing."""

    label: str
    before: str
    after: str


@dataclass(frozen=True)
class Differences:
    """What differs between two forms. `removed` are titles of slots, each with how many are gone from it; `reordered`: the photos
    that are in both stand in another order."""

    fields: tuple[Difference, ...]
    added: tuple[UUID, ...]
    removed: tuple[tuple[str, int], ...]
    reordered: bool = False

    def __bool__(self) -> bool:
        return bool(self.fields or self.added or self.removed or self.reordered)


def differences(changes: Iterable[FormChange], offering: ServiceOffering, language: Language) -> Differences:
    """The changes of a form, in the words of its fields."""
    fields, added, removed, reordered = [], [], dict[str, int](), False
    for change in changes:
        if change.part == "order":
            reordered = True
        elif change.part != "attachments":
            fields.append(_difference(change, offering, language))
        elif change.after:
            added.append(UUID(change.field))
        else:
            title = _slot_title(change.before, offering, language)
            removed[title] = removed.get(title, 0) + 1
    return Differences(tuple(fields), tuple(added), tuple(removed.items()), reordered)


def waits(offering: ServiceOffering, language: Language) -> dict[Priority, tuple[str, str]]:
    """How long acceptance and then the report usually take at most, by priority, in words."""
    deadlines = offering.terms.deadlines
    return {
        priority: (
            span(deadlines[DeadlineName.ACCEPTANCE].limit[priority], language),
            span(deadlines[DeadlineName.REPORT].limit[priority], language),
        )
        for priority in PRIORITIES
    }


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value.replace("\r\n", "\n") if isinstance(value, str) else ""


def _answer(form: FormData, field: FormField, language: Language) -> Any:
    name = f"answers.{field.name}"
    match field.kind:
        case FieldKind.CHOICES:
            return [value for value in form.getlist(name) if isinstance(value, str) and value]
        case FieldKind.YES_NO:
            return {"yes": True, "no": False, "": None}.get(_text(form, name), _text(form, name))
        case FieldKind.NUMBER:
            return _number(_text(form, name), language)
        case FieldKind.CONSENT:
            parts = {part: _text(form, f"{name}.{part}").strip() for part in CONSENT_PARTS}
            return {part: as_date(said) if part == "date" else said for part, said in parts.items() if said}
        case FieldKind.DATE:
            return as_date(_text(form, name))
        case _:
            text = _text(form, name)
            return text if text.strip() else ""


_GROUPED = re.compile(r"[-−]?[0-9]{1,3}(,[0-9]{3})+")
"""1,200 is a thousand and two hundred to some readers of English and one and a bit to others: nobody guesses here."""


def _number(text: str, language: Language) -> int | float | str:
    """The number as people of both languages write it, « 1 234,5 » or “1234.5”; the text itself where it is none."""
    plain = re.sub(r"\s", "", text)
    if language == "en" and _GROUPED.fullmatch(plain):
        return text
    plain = plain.replace("−", "-").replace(",", ".")
    if not re.fullmatch(r"[-+]?([0-9]{1,300}(\.[0-9]{0,300})?|\.[0-9]{1,300})", plain):
        return text.strip()
    value = float(plain)
    return int(value) if value.is_integer() and math.fabs(value) < 2**53 else value


def _typed(field: FormField, answer: Any, language: Language) -> list[str]:
    if isinstance(answer, list):
        return [str(value) for value in answer]
    if isinstance(answer, bool):
        return ["yes" if answer else "no"]
    if field.kind is FieldKind.NUMBER:
        return [number(answer, language, grouped=False)]
    return [str(answer)]


def _difference(change: FormChange, offering: ServiceOffering, language: Language) -> Difference:
    say = gettext_for(language)
    if change.part == "priority":
        label, words = say("Priority"), lambda value: say(PRIORITIES.get(value, value))
    elif change.part == "patient":
        label, words = (
            say(PATIENT_PARTS.get(change.field, change.field)),
            partial(part_in_words, change.field, language),
        )
    elif change.part == "captions":
        label, words = say(_("Caption")), str
    elif change.part == "views":
        label, words = say(_("Overview or close-up")), lambda value: say(PHOTO_VIEWS.get(value, value))
    else:
        field = next((field for field in offering.form if field.name == change.field), None)
        label = getattr(field.label, language) if field else change.field
        fields = (field,) if field else ()
        words = partial(_answer_words, fields, change.field, language)
    return Difference(label, *(_legible(words, value) for value in (change.before, change.after)))


def _legible(words: Callable[[Any], str], value: Any) -> str:
    """The words for a value; the value as it stands where it can't be read, for what was just typed need not be right."""
    if value is None:
        return ""
    try:
        return words(value)
    except (ValueError, ArithmeticError):
        return str(value)


def _answer_words(fields: Iterable[FormField], name: str, language: Language, value: Any) -> str:
    return "".join(entry.value for entry in entries(fields, {name: value}, language))


def _slot_title(name: str, offering: ServiceOffering, language: Language) -> str:
    return next((getattr(slot.label, language) for slot in offering.attachments if slot.name == name), name)
