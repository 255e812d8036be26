"""A date as people type it, put as a ``date`` is written. Which of two numbers is the month, nobody guesses."""

import re

from domain.partial_dates import PartialDate
from domain.texts import plain

MONTHS = {
    name: month
    for month, names in enumerate(
        (
            "janvier january jan",
            "fevrier february fevr fev feb",
            "mars march mar",
            "avril april avr apr",
            "mai may",
            "juin june jun",
            "juillet july juil jul",
            "aout august aug",
            "septembre september sept sep",
            "octobre october oct",
            "novembre november nov",
            "decembre december dec",
        ),
        start=1,
    )
    for name in names.split()
}
"""The number of each month by its French and English names, as `plain` puts them."""

MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
"""A name of a month, as a part of a pattern."""

_DASHES = str.maketrans("‐‑‒–—−", "------")
_YEAR, _ONE_OR_TWO = r"(?P<year>[0-9]{4})", r"[0-9]{1,2}"
_TYPED = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        rf"{_YEAR}(?: ?[-/. ] ?(?P<month>{_ONE_OR_TWO})(?: ?[-/. ] ?(?P<day>{_ONE_OR_TWO}))?)?",
        rf"{_YEAR}(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}})",
        rf"(?:(?P<day>{_ONE_OR_TWO})(?:er|st|nd|rd|th)?[- ])?(?P<name>{MONTH})\.?,?[- ]{_YEAR}",
        rf"(?P<name>{MONTH})\.? (?P<day>{_ONE_OR_TWO})(?:st|nd|rd|th)?,? {_YEAR}",
        rf"{_YEAR}[- ](?P<name>{MONTH})\.?(?:[- ](?P<day>{_ONE_OR_TWO}))?",
    )
)
_YEAR_LAST = re.compile(rf"({_ONE_OR_TWO}) ?[-/. ] ?({_ONE_OR_TWO}) ?[-/. ] ?([0-9]{{4}})", re.ASCII)


def as_date(typed: str) -> str:
    """The date that was typed as it is written, ``1958-03-14``, ``1958-03`` or ``1958``; what was typed where that is none.

    ``19580314``, ``1958/3/14``, ``14 mars 1958`` and ``March 14, 1958`` say it; so does ``14/03/1958``, which can be read in one
    way only, but not ``04/03/1958``.
    """
    text = plain(typed.translate(_DASHES))
    read = {date for year, *parts in _readings(text) if (date := _written(year, *parts))}
    return read.pop() if len(read) == 1 else typed.strip()


def _readings(text: str) -> list[tuple[str, ...]]:
    """Year, month and day, as far as they are there, in every way in which the text can be read."""
    if found := _YEAR_LAST.fullmatch(text):
        first, second, year = found.groups()
        return [(year, first, second), (year, second, first)]
    for pattern in _TYPED:
        if found := pattern.fullmatch(text):
            parts = found.groupdict()
            month = str(MONTHS[name]) if (name := parts.get("name")) else parts.get("month")
            return [tuple(part for part in (parts["year"], month, parts.get("day")) if part)]
    return []


def _written(*parts: str) -> str | None:
    try:
        return str(PartialDate.read("-".join(part.zfill(2) for part in parts)))
    except ValueError:
        return None
