"""A draft whose offering got a new version: which answers still mean what they said, and which their writer must decide on."""

from collections.abc import Iterable, Mapping
from typing import Any

from domain.model import Frozen
from domain.offerings import (
    Answers,
    FieldKind,
    FieldProblem,
    FormField,
    Localized,
    Option,
    ServiceOffering,
    Version,
    check_answers,
)


class OutdatedAnswer(Frozen):
    """An answer, given to the form of `offering_version`, to what the form does not ask any more, or asks otherwise."""

    field: str
    answer: Any
    offering_version: Version


def carry_over(
    answers: Answers, before: ServiceOffering, now: ServiceOffering
) -> tuple[dict[str, Any], list[OutdatedAnswer]]:
    """Answers given to the form of `before`: those that stand in the form of `now` as they are, and the others."""
    asked = {field.name: field for field in before.form}
    asks = {field.name: field for field in now.form}
    standing = {name: answer for name, answer in answers.items() if _stands(asked.get(name), asks.get(name), answer)}
    outdated = [
        OutdatedAnswer(field=name, answer=answer, offering_version=before.version)
        for name, answer in answers.items()
        if name not in standing and answer not in (None, "", [], {})
    ]
    return standing, outdated


def check_carried_over(
    outdated: list[OutdatedAnswer], offering: ServiceOffering, counts: Mapping[str, int]
) -> tuple[FieldProblem, ...]:
    """What a draft holds of an earlier form, answers and photos (`counts` by slot), for its writer to decide on."""
    slots = {slot.name for slot in offering.attachments}
    return (
        *(FieldProblem(field=one.field, code="outdated_answer") for one in outdated),
        *(FieldProblem(field=slot, code="slot_gone") for slot in counts if slot not in slots),
    )


def unasked(answers: Answers, fields: Iterable[FormField]) -> list[FormField]:
    """Fields for what a template does not ask: answers of a report that was begun under another. A name is its label."""
    asked = {field.name for field in fields}
    return [_field_for(name, answer) for name, answer in answers.items() if name not in asked]


def _field_for(name: str, answer: Any) -> FormField:
    named = {"name": name, "label": _as_label(name)}
    match answer:
        case bool():
            return FormField(**named, kind=FieldKind.YES_NO)
        case int() | float():
            return FormField(**named, kind=FieldKind.NUMBER)
        case list():
            options = tuple(Option(value=value, label=_as_label(value)) for value in answer)
            return FormField(**named, kind=FieldKind.CHOICES, options=options)
        case _:
            return FormField(**named, kind=FieldKind.LONG_TEXT, max_length=100_000)


def _as_label(name: str) -> Localized:
    return Localized(fr=name, en=name)


def _stands(asked: FormField | None, asks: FormField | None, answer: Any) -> bool:
    """Whether an answer means in one form what it meant in the other: the same kind of answer, in the same unit and words.

    A question that is worded anew is the same question.
    """
    if asks is None or check_answers((asks,), {asks.name: answer}, complete=False):
        return False
    return asked is None or _meaning(asked, answer) == _meaning(asks, answer)


def _meaning(field: FormField, answer: Any) -> tuple[Any, ...]:
    chosen = answer if isinstance(answer, list) else [answer]
    return field.kind, field.unit, [option.label for option in field.options if option.value in chosen]
