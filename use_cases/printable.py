"""What the signed document can't print as it was written, said at the field before anybody signs or submits."""

from collections.abc import Iterable, Mapping
from typing import Any

from documents.length import MAX_PAGES, lines_of, pages_of
from documents.typesetting import unprintable
from domain.offerings import WRITTEN, FieldProblem, FormField
from domain.texts import has_gap

MOST_NAMED = 10
"""So many characters are named in one sentence."""


def check_printable(fields: Iterable[FormField], answers: Mapping[str, Any]) -> tuple[FieldProblem, ...]:
    """What of the answers can't be printed, field by field."""
    return check_texts(written(fields, answers))


def check_texts(texts: Mapping[str, str]) -> tuple[FieldProblem, ...]:
    """What of those texts, by field, no font can draw."""
    found = {name: unprintable(text) for name, text in texts.items()}
    return tuple(
        FieldProblem(field=name, code="not_printable", characters=_named(characters))
        for name, characters in found.items()
        if characters
    )


def check_length(texts: Mapping[str, str]) -> tuple[FieldProblem, ...]:
    """Whether a report of those texts would have too many pages; said at the longest."""
    if pages_of(texts.values()) <= MAX_PAGES:
        return ()
    longest = max(texts, key=lambda name: lines_of(texts[name]))
    return (FieldProblem(field=longest, code="too_many_pages", limit=MAX_PAGES),)


def check_gaps(texts: Mapping[str, str]) -> tuple[FieldProblem, ...]:
    """The texts in which something is left open that was to be filled in."""
    return tuple(FieldProblem(field=name, code="gap_left") for name, text in texts.items() if has_gap(text))


def written(fields: Iterable[FormField], answers: Mapping[str, Any]) -> dict[str, str]:
    """The answers in somebody's own words, by field."""
    return {
        field.name: answer
        for field in fields
        if field.kind in WRITTEN and isinstance(answer := answers.get(field.name), str)
    }


def _named(characters: tuple[str, ...]) -> str:
    names = [f"{character} (U+{ord(character):04X})" for character in characters[:MOST_NAMED]]
    return ", ".join([*names, "…"] if len(characters) > MOST_NAMED else names)
