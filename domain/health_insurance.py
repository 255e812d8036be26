"""Québec's health-insurance number, held against what else is known of the patient. What it finds is advice: it stops nothing.

The number (RAMQ) is made of the first three letters of the family name at birth, the first of the given name, the last two digits
of the year of birth, the month (plus 50 for women), the day, and two digits more. Other provinces' numbers do not begin with four
letters, and are taken as they are. Source: the RAMQ's description of its card.
"""

import re
from datetime import date
from enum import StrEnum

from domain import texts
from domain.sex import Sex

_NUMBER = re.compile(r"(?P<letters>[A-Z]{4})(?P<year>\d{2})(?P<month>\d{2})(?P<day>\d{2})\d{2}")
_FEMALE = 50
"""What is added to the month of a woman."""


class HealthNumberWarning(StrEnum):
    """What of a health-insurance number does not fit."""

    FORM = "health_number_form"
    NAME = "health_number_name"
    BIRTH_DATE = "health_number_birth_date"
    SEX = "health_number_sex"


def check_health_number(
    number: str, *, given_name: str, family_name: str, birth_date: date | None, sex: Sex | None
) -> tuple[HealthNumberWarning, ...]:
    """What does not fit, of a number of Québec; nothing of another's, nor where the other side is not known."""
    compact = re.sub(r"[\s\-.]", "", number).upper()
    if not re.match(r"[A-Z]{4}", compact):
        return ()
    found = _NUMBER.fullmatch(compact)
    month = int(found["month"]) if found else 0
    is_female = month > _FEMALE
    month -= _FEMALE if is_female else 0
    if found is None or not _is_day(int(found["year"]), month, int(found["day"])):
        return (HealthNumberWarning.FORM,)
    says = (int(found["year"]), month, int(found["day"]))
    wrong = {
        HealthNumberWarning.NAME: bool(given_name and family_name)
        and found["letters"] != f"{_letters(family_name, 3)}{_letters(given_name, 1)}",
        HealthNumberWarning.BIRTH_DATE: birth_date is not None
        and says != (birth_date.year % 100, birth_date.month, birth_date.day),
        HealthNumberWarning.SEX: sex in ("female", "male") and is_female != (sex == "female"),
    }
    return tuple(warning for warning, does_not_fit in wrong.items() if does_not_fit)


def _is_day(year: int, month: int, day: int) -> bool:
    """Whether there is such a day in a year that ends so, in one century or another."""
    for century in (1900, 2000):
        try:
            date(century + year, month, day)
        except ValueError:
            continue
        return True
    return False


def _letters(name: str, count: int) -> str:
    """The first letters of a name as the number has them: without accents and signs, X where there are too few."""
    return f"{re.sub(r'[^A-Z]', '', texts.plain(name).upper())}{'X' * count}"[:count]
