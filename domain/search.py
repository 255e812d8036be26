"""What somebody looks for in the worklist, and the words by which a patient is found.

Names are compared without accents, in small letters, word by word and by their beginnings; birth dates and numbers as a whole.
A word is a text such as ``name:trem``, ``born:1958-03-14`` or ``number:trej58531412``; the records keep only its keyed hash.

``born:`` says the birth date as far as it is known, ``in:`` each month and year that it is in.
"""

import heapq
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from domain.texts import plain
from domain.typed_dates import MONTH, MONTHS

SHORTEST_BEGINNING = 3
"""Letters of the shortest beginning of a name that finds it; a name that is shorter is found whole."""

LONGEST_BEGINNING = 24
"""Letters of a name that count; what follows tells nobody apart."""

MOST_TERMS = 8
"""So many words of a search count."""

_WORD = re.compile(r"[^\W_]+")
_JOINED = re.compile(r"[^\W_]+(?:[-'.:·][^\W_]+)+")
_WITHIN = re.compile(r"(?<=[^\W_])[':](?=[^\W_])")
"""Apostrophes and colons within a name: who looks for it may write them, or not."""

_NUMBER = re.compile(r"(?P<tc>tc)?[\s-]*(?P<year>[0-9]{4})?(?:[\s-]+(?P<count>[0-9]{0,9}))?", re.ASCII)
_COUNT_DIGITS = 6
"""Of the count in a request's number, at least."""

_PART_OF_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)

_YEAR, _ONE_OR_TWO = r"(?P<year>(?:18|19|20)[0-9]{2})", r"[0-9]{1,2}"
_DATES = tuple(
    re.compile(rf"(?<![0-9a-z]){pattern}(?![0-9a-z])")
    for pattern in (
        rf"{_YEAR}(?P<sep>[-/. ])(?P<month>{_ONE_OR_TWO})(?P=sep)(?P<day>{_ONE_OR_TWO})",
        rf"(?P<day>{_ONE_OR_TWO})(?P<sep>[-/. ])(?P<month>{_ONE_OR_TWO})(?P=sep){_YEAR}",
        rf"{_YEAR}(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}})",
        rf"(?P<day>{_ONE_OR_TWO})(?:er|st|nd|rd|th)? (?P<name>{MONTH})\.?,? {_YEAR}",
        rf"(?P<name>{MONTH})\.? (?P<day>{_ONE_OR_TWO})(?:st|nd|rd|th)?,? {_YEAR}",
        rf"{_YEAR}(?P<sep>[-/. ])(?P<month>{_ONE_OR_TWO})",
        rf"(?P<month>{_ONE_OR_TWO})(?P<sep>[-/. ]){_YEAR}",
        rf"(?P<name>{MONTH})\.?,? {_YEAR}",
        rf"{_YEAR}",
    )
)
_RAMQ = re.compile(r"(?<![0-9a-z])[a-z]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}(?![0-9a-z])")


@dataclass(frozen=True)
class Term:
    """One thing that must fit. `patient` are the words of which a patient must have one; `name`, where the term may also be a
    person's or a clinic's name, that word: whole, or its beginning."""

    patient: frozenset[str]
    name: str | None = None


@dataclass(frozen=True)
class Search:
    """What is looked for: whatever fits one of these. All empty: nothing can be found."""

    number: str | None = None
    """The whole number of a request, as ``TC-2026-000012``."""
    part_of_number: str | None = None
    health_number: str | None = None
    """The word of the health-insurance number that the whole text may be."""
    terms: tuple[Term, ...] = ()
    """All of them must fit."""

    @property
    def words(self) -> frozenset[str]:
        """Every word of a patient that is asked for."""
        of_terms = frozenset[str]().union(*(term.patient for term in self.terms))
        return of_terms | {self.health_number} if self.health_number else of_terms


def read_search(text: str) -> Search:
    """What a person means who typed this."""
    typed = plain(text)
    number, part = _request_number(typed)
    if number is not None and typed.startswith("tc"):
        return Search(number=number)
    terms = tuple(_terms(typed))[:MOST_TERMS]  # 2026-12 may be the month in which somebody was born
    return Search(number=number, part_of_number=part, health_number=_health_number_of(typed), terms=terms)


def words_of_patient(patient: Mapping[str, object]) -> frozenset[str]:
    """The words by which this patient is found. `patient` is as recorded: what is missing in it finds nobody."""
    names = f"{patient.get('given_name') or ''} {patient.get('family_name') or ''} {_newborn(patient)}"
    words = {f"name:{part}" for name in names_in(plain(names)) for part in _beginnings(name)}
    if born := str(patient.get("birth_date") or ""):
        words |= {f"born:{born}", f"in:{born[:4]}"} | ({f"in:{born[:7]}"} if len(born) > len("1958") else set())
    if number := compact(plain(str(patient.get("health_insurance_number") or ""))):
        words |= {f"number:{number}", f"number:{_without_version(number)}"}
    return frozenset(words)


def _newborn(patient: Mapping[str, object]) -> str:
    """By what a newborn is looked for: the mother, as both languages say whose baby it is."""
    mother = patient.get("mother_name")
    return f"bébé de d'{mother} baby of" if mother else ""


def _without_version(number: str) -> str:
    """A number of Ontario without the letters that tell which card it stands on."""
    return re.sub(r"(?<=^[0-9]{10})[a-z]{1,2}$", "", number)


def numbers_with(part: str, year: int, last: int) -> Iterator[str]:
    """The numbers of that year's requests in which this part of a number stands, the newest first; `last` is the last count."""
    for width in range(max(_COUNT_DIGITS, len(str(last))), _COUNT_DIGITS - 1, -1):
        lowest = 0 if width == _COUNT_DIGITS else 10 ** (width - 1)
        for count in _counts_with(part, f"TC-{year}-", width, range(min(last, 10**width - 1), max(lowest, 1) - 1, -1)):
            yield f"TC-{year}-{count:06}"


def _counts_with(part: str, before: str, width: int, among: range) -> Iterable[int]:
    """Those counts, falling, of so many digits, that show the part with what stands `before` them."""
    if part in before:
        return among
    head, dash, digits = part.rpartition("-")
    if dash and not before.endswith(f"{head}-"):
        return ()
    places = range(width - len(digits) + 1) if not dash else [width - len(digits)]
    found = heapq.merge(*(_with_digits(digits, place, among) for place in places if place >= 0), reverse=True)
    return (count for count, _ in itertools.groupby(found))


def _with_digits(digits: str, place: int, among: range) -> Iterator[int]:
    """Those, falling, in which these digits stand `place` digits before the end."""
    below, step = 10**place, 10 ** (place + len(digits))
    for high in range(among.start // step, among.stop // step - 1, -1):
        first = high * step + int(digits) * below
        yield from range(min(first + below - 1, among.start), max(first, among.stop + 1) - 1, -1)


def names_in(typed: str) -> Iterator[str]:
    """Each name, and what is joined by hyphens or apostrophes also as one (`O'Brien` is found as `obrien`)."""
    yield from _WORD.findall(typed)
    for joined in _JOINED.findall(typed):
        yield compact(joined)


def _beginnings(name: str) -> Iterator[str]:
    name = name[:LONGEST_BEGINNING]
    yield name
    for length in range(SHORTEST_BEGINNING, len(name)):
        yield name[:length]


def compact(typed: str) -> str:
    """Its letters and digits, without what stands between them."""
    return "".join(_WORD.findall(typed))


def _request_number(typed: str) -> tuple[str | None, str | None]:
    """The whole number that is meant, or the part of a number that it may be."""
    if _PART_OF_NUMBER.fullmatch(typed):
        return None, typed
    found = _NUMBER.fullmatch(typed)
    if not typed or found is None or not (found["tc"] or found["year"]):
        return None, None
    count = found["count"]
    if found["year"] and count and (count.lstrip("0") == count or len(count) >= 6):
        return f"TC-{found['year']}-{int(count):06}", None
    parts = ("TC" if found["tc"] else None, found["year"], count)
    return None, "-".join(part for part in parts if part is not None)


def _health_number_of(typed: str) -> str | None:
    number = compact(typed)
    return f"number:{number}" if len(number) >= 4 and any(sign.isdigit() for sign in number) else None


def _terms(typed: str) -> Iterator[Term]:
    for pattern in _DATES:
        for found in pattern.finditer(typed):
            if born := frozenset(_births(found.groupdict())):
                yield Term(born, found[0] if found[0].isdigit() and len(found[0]) == len("1958") else None)
                typed = typed.replace(found[0], " ")
    for number in _RAMQ.findall(typed):
        yield Term(frozenset({f"number:{compact(number)}"}))
        typed = typed.replace(number, " ")
    for name in dict.fromkeys(_WORD.findall(_WITHIN.sub("", typed))):
        yield Term(frozenset({f"name:{name[:LONGEST_BEGINNING]}"}), name)


def _births(found: Mapping[str, str | None]) -> Iterator[str]:
    """The words of whom may be born then: 03/04/1958 is in March for some, in April for others."""
    year, day = found["year"] or "", int(found.get("day") or 0)
    month = MONTHS[name] if (name := found.get("name")) else int(found.get("month") or 0)
    if not month:
        yield f"in:{year}"
    elif not day:
        if month <= 12:
            yield from (f"in:{year}-{month:02}", f"born:{year}")
    else:
        yield from _day(int(year), month, day)
        if found.get("sep") == "/":
            yield from _day(int(year), day, month)


def _day(year: int, month: int, day: int) -> Iterator[str]:
    """Who was born on that day; also of whom no more is known than that month, or that year."""
    try:
        date(year, month, day)
    except ValueError:
        return
    yield from (f"born:{year}-{month:02}-{day:02}", f"born:{year}-{month:02}", f"born:{year}")
