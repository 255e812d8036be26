"""The consent that a form notes: who gave it, and on which day. Who noted it is the requester, who alone writes the form."""

from collections.abc import Iterator, Mapping
from datetime import date
from enum import StrEnum
from typing import Any, Literal

from domain import texts
from domain.model import is_storable
from domain.partial_dates import read_day

EARLIEST = date(1900, 1, 1)

MAX_NAME = 200
"""Characters of the name of somebody who consents for the patient."""


class ConsentGiver(StrEnum):
    """Who consents: the patient, or who may do so in their name."""

    PATIENT = "patient"
    PARENT = "parent"
    LEGAL_REPRESENTATIVE = "legal_representative"
    OTHER = "other"


PARTS = ("given_by", "name", "date")
"""What an answer has: a giver, the name of one who is not the patient, and a day such as ``2026-11-22``."""

Fault = Literal[
    "required",
    "unknown_field",
    "not_a_consent",
    "not_an_option",
    "not_a_text",
    "too_long",
    "not_storable",
    "not_one_line",
    "not_a_date",
    "not_a_day_of_consent",
]


def given(consent: Mapping[str, Any]) -> dict[str, Any]:
    """The parts that say something."""
    return {part: said for part, said in consent.items() if said not in (None, "") and not _is_blank(said)}


def faults(consent: object, *, complete: bool, today: date | None) -> Iterator[tuple[str, Fault]]:
    """What is wrong, as the part and a code; the part is empty for the whole. Without `today` no day is too late.

    A draft (`complete` false) may lack parts, but may hold nothing that is wrong.
    """
    if not isinstance(consent, Mapping):
        yield "", "not_a_consent"
        return
    said = given(consent)
    yield from ((part[:100], "unknown_field") for part in said if part not in PARTS)
    giver = said.get("given_by")
    if giver is not None and giver not in tuple(ConsentGiver):
        yield "given_by", "not_an_option"
    if "name" in said and (fault := _of_name(said["name"])):
        yield "name", fault
    if "date" in said and (fault := _of_day(said["date"], today)):
        yield "date", fault
    if complete:
        needed = ("given_by", "date") if giver in (None, ConsentGiver.PATIENT) else PARTS
        yield from ((part, "required") for part in needed if part not in said)


def _is_blank(said: object) -> bool:
    return isinstance(said, str) and is_storable(said) and not texts.says_something(said)


def _of_name(name: object) -> Fault | None:
    if not isinstance(name, str):
        return "not_a_text"
    if not is_storable(name):
        return "not_storable"
    if len(name) > MAX_NAME:
        return "too_long"
    return "not_one_line" if texts.misplaced_in_line(name.strip()) else None


def _of_day(day: object, today: date | None) -> Fault | None:
    read = read_day(day)
    if read is None:
        return "not_a_date"
    is_possible = read >= EARLIEST and (today is None or read <= today)
    return None if is_possible else "not_a_day_of_consent"
