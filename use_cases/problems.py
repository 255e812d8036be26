"""Why something that is wanted can't be done: a stable code, what is wrong with which field, and numbers; no HTTP.

The refusals of the rules are apart (`domain.refusals`). The sentence of either comes from `translations.problems`; a problem is
`told` in the reader's language. What a face answers is the face's own affair.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import ValidationError

from domain.offerings import FieldProblem
from records.errors import StoreError, StoreFullError
from records.trouble import Trouble, is_full, is_of_a_disk, trouble_of
from translations import Language, gettext_for
from translations.problems import FIELD_PROBLEMS, INPUT_CODES, PROBLEMS, problem_sentence

MOST_ERRORS = 50
"""So many things that are wrong with one input are told."""

_LIMITS = ("max_length", "ge", "le", "gt", "lt")


@dataclass(frozen=True)
class FieldFault:
    """What is wrong with one field. `code` is one of `FIELD_PROBLEMS`, which has its `sentence` unless a better one is given; it
    names `limit`, `excess` and `characters`. Raises KeyError for an unknown code.
    """

    field: str
    code: str
    sentence: str = ""
    limit: float | None = None
    excess: int | None = None
    characters: str | None = None

    def __post_init__(self) -> None:
        own = FIELD_PROBLEMS[self.code]
        if not self.sentence:
            object.__setattr__(self, "sentence", own)

    def told(self, language: Language) -> str:
        """The sentence in `language`."""
        sentence = gettext_for(language)(self.sentence)
        facts = {"limit": self.limit, "excess": self.excess, "characters": self.characters}
        known = {name: fact for name, fact in facts.items() if fact is not None}
        return sentence % known if known else sentence


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it so
    """Something that can't be done. `members` are facts that belong to it: numbers of its sentence, what would be possible."""

    def __init__(self, code: str, errors: Iterable[FieldFault] = (), **members: object) -> None:
        if code not in PROBLEMS:
            raise KeyError(code)
        super().__init__(code)
        self.code = code
        self.errors = tuple(errors)
        self.members = members

    def told(self, language: Language) -> str:
        """The sentence in `language`, with the numbers and days that it names."""
        numbers = {name: value for name, value in self.members.items() if isinstance(value, int | float)}
        days = {name: value for name, value in self.members.items() if isinstance(value, date)}
        return problem_sentence(self.code, language, numbers, days)


def field_faults(problems: Iterable[FieldProblem]) -> tuple[FieldFault, ...]:
    """What the rules find wrong with a form or a report."""
    return tuple(
        FieldFault(
            field=problem.field,
            code=problem.code,
            limit=problem.limit,
            excess=problem.excess,
            characters=problem.characters or None,
        )
        for problem in problems
    )


def input_faults(error: ValidationError) -> tuple[FieldFault, ...]:
    """What is wrong with an input that its model can't read."""
    return tuple(input_fault(found, found["loc"]) for found in error.errors()[:MOST_ERRORS])


def input_fault(error: Mapping[str, Any], place: Iterable[str | int]) -> FieldFault:
    """One of pydantic's errors, in codes of ours. A rule of ours (`PydanticCustomError`) may bring a sentence of its own."""
    context = error.get("ctx", {})
    kind = error["type"]
    code = INPUT_CODES.get(kind, kind if kind in FIELD_PROBLEMS else "not_expected")
    return FieldFault(
        field=".".join(map(str, place)),
        code=code,
        limit=next((context[name] for name in _LIMITS if name in context), None),
        excess=_excess(kind, context, error.get("input")),
        characters=context.get("characters"),
    )


def _excess(kind: str, context: Mapping[str, Any], text: object) -> int | None:
    """How many characters too many; texts are measured without the blanks around them."""
    if kind != "string_too_long":
        return None
    return len(str(text).strip()) - int(context["max_length"])


_TROUBLES = {Trouble.AWAY: "records_unreachable", Trouble.BUSY: "records_busy", Trouble.FULL: "storage_full"}


def passing_problem(error: Exception) -> Problem | None:
    """What to say when something outside of us was away, busy or full; None when `error` is of another kind."""
    if isinstance(error, StoreFullError):
        return Problem("storage_full")
    if isinstance(error, StoreError) or (isinstance(error, OSError) and is_of_a_disk(error) and not is_full(error)):
        return Problem("store_unreachable")
    trouble = trouble_of(error)
    return Problem(_TROUBLES[trouble]) if trouble else None
