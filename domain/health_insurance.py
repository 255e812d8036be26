"""A health-insurance number, held against what else is known of the patient, and what it says of them. Both are advice.

The number of Québec (RAMQ) is made of the first three letters of the family name at birth, the first of the given name, the last
two digits of the year of birth, the month (plus 50 for women), the day, and two digits more. Source: the RAMQ's description of
its card. Of the other provinces and territories, the form of a number is known and nothing in it is read.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal

from domain import texts
from domain.model import Frozen
from domain.partial_dates import PartialDate, WrittenPartialDate
from domain.sex import Sex

Issuer = Literal[
    "CA-QC",
    "CA-AB",
    "CA-BC",
    "CA-MB",
    "CA-NB",
    "CA-NL",
    "CA-NS",
    "CA-NT",
    "CA-NU",
    "CA-ON",
    "CA-PE",
    "CA-SK",
    "CA-YT",
    "CA",
    "other",
]
"""Who gave out a health-insurance number: a province or territory (ISO 3166-2), Canada for its own programs, or somebody else."""

QUEBEC: Issuer = "CA-QC"

FORMS: dict[Issuer, str] = {
    "CA-AB": r"[0-9]{9}",
    "CA-BC": r"9[0-9]{9}",
    "CA-MB": r"[0-9]{9}",
    "CA-NB": r"[0-9]{9}",
    "CA-NL": r"[0-9]{12}",
    "CA-NS": r"[0-9]{10}",
    "CA-NT": r"[A-Z][0-9]{7}",
    "CA-NU": r"[0-9]{9}",
    "CA-ON": r"[0-9]{10}[A-Z]{0,2}",
    "CA-PE": r"[0-9]{8}",
    "CA-SK": r"[0-9]{9}",
    "CA-YT": r"[0-9]{9}",
}
"""How numbers are written elsewhere, without spaces and hyphens; with Ontario's letters of the card's version or without."""

EARLIEST_BIRTH = date(1900, 1, 1)
"""Nobody who is alive was born before."""

_NUMBER = re.compile(r"(?P<letters>[A-Z]{4})(?P<year>[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2})[0-9]{2}")
_FEMALE = 50
"""What is added to the month of a woman."""


class HealthNumberWarning(StrEnum):
    """What of a health-insurance number does not fit."""

    FORM = "health_number_form"
    NAME = "health_number_name"
    BIRTH_DATE = "health_number_birth_date"
    SEX = "health_number_sex"


class PatientSuggestion(Frozen):
    """What a health-insurance number says of the patient and nobody has written down; empty where it says nothing new."""

    birth_date: WrittenPartialDate | None = None
    sex: Sex | None = None


@dataclass(frozen=True)
class _Number:
    """A number of Québec, as far as it can be read."""

    letters: str
    year: int
    month: int
    day: int
    sex: Literal["female", "male"]

    @property
    def births(self) -> Iterator[date]:
        """The days that it may mean, the later century first."""
        for century in (2000, 1900):
            try:
                yield date(century + self.year, self.month, self.day)
            except ValueError:
                continue


def issuer_of(number: str, issuer: Issuer | None) -> Issuer | None:
    """Who gave it out, as it is said; where it is not, Québec for what begins with four letters as no other's does."""
    return issuer or (QUEBEC if re.match(r"[A-Z]{4}", _compact(number)) else None)


def check_health_number(
    number: str,
    *,
    issuer: Issuer | None,
    given_name: str,
    family_name: str,
    birth_date: PartialDate | None,
    sex: Sex | None,
) -> tuple[HealthNumberWarning, ...]:
    """What does not fit. Where the other side is not known, or only in part, nothing is said of what is not known."""
    compact, issuer = _compact(number), issuer_of(number, issuer)
    if not compact:
        return ()
    if issuer != QUEBEC:
        fits = issuer not in FORMS or re.fullmatch(FORMS[issuer], compact)
        return () if fits else (HealthNumberWarning.FORM,)
    read = _read(compact)
    if read is None:
        return (HealthNumberWarning.FORM,)
    wrong = {
        HealthNumberWarning.NAME: bool(given_name and family_name)
        and not _fits_name(read.letters, family_name, given_name),
        HealthNumberWarning.BIRTH_DATE: birth_date is not None and not _fits_birth(read, birth_date),
        HealthNumberWarning.SEX: sex in ("female", "male") and read.sex != sex,
    }
    return tuple(warning for warning, does_not_fit in wrong.items() if does_not_fit)


def suggestions(
    number: str, *, issuer: Issuer | None, birth_date: PartialDate | None, sex: Sex | None, today: date
) -> tuple[PatientSuggestion, ...]:
    """What the number says and is not known yet. Of whom it may be a hundred years old or newly born, there are two."""
    read = _read(_compact(number)) if issuer_of(number, issuer) == QUEBEC else None
    if read is None:
        return ()
    says = read.sex if sex in (None, "unknown") else None
    if birth_date is not None and birth_date.day is not None:
        return (PatientSuggestion(sex=says),) if says and _fits_birth(read, birth_date) else ()
    return tuple(
        PatientSuggestion(birth_date=day.isoformat(), sex=says)
        for day in read.births
        if EARLIEST_BIRTH <= day <= today and (birth_date is None or birth_date.may_be(day))
    )


def _compact(number: str) -> str:
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", number)).upper()


def _read(compact: str) -> _Number | None:
    """The parts of a number of Québec; None for what is none, or names a day that there is not."""
    found = _NUMBER.fullmatch(compact)
    if found is None:
        return None
    month = int(found["month"])
    is_female = month > _FEMALE
    read = _Number(
        found["letters"],
        int(found["year"]),
        month - (_FEMALE if is_female else 0),
        int(found["day"]),
        "female" if is_female else "male",
    )
    return read if any(read.births) else None


def _fits_birth(number: _Number, born: PartialDate) -> bool:
    known = (born.year % 100, born.month, born.day)
    said = (number.year, number.month, number.day)
    return all(part is None or part == other for part, other in zip(known, said, strict=True))


def _fits_name(letters: str, family_name: str, given_name: str) -> bool:
    """Whether the letters may be those of this name. Who has several names has a number by one of them, or by all together."""
    families, givens = _words(family_name), _words(given_name)
    if families is None or givens is None:
        return True
    begins = {"".join(families[place:]) for place in range(len(families))} | set(families)
    initials = {given[0] for given in givens}
    return letters[:3] in {f"{name}XX"[:3] for name in begins} and letters[3] in initials


def _words(name: str) -> list[str] | None:
    """The words of a name as a number has them: without accents and signs; None where they are not written in such letters."""
    plain = texts.plain(name).upper()
    others = re.sub(r"[A-Z]", "", plain)
    words = re.findall(r"[A-Z]+", plain)
    return None if not words or any(sign.isalpha() for sign in others) else words
