"""How dates, times and spans are written, in both languages and in the time of the clinics: one style for all that is read.

French writes « 1ᵉʳ décembre 2026 à 9 h 05 », English “December 1, 2026 at 9:05 am”. Spaces within a day and within a time are
no-break spaces, so that neither is torn apart at the end of a line.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_timedelta, get_month_names, get_period_names
from babel.units import format_unit

from domain.calendar import TIME_ZONE, Span, day_of
from domain.partial_dates import PartialDate
from translations import LOCALES, Language, gettext_for
from translations.typography import NO_BREAK_SPACE


def day(of: date, language: Language, *, weekday: bool = False) -> str:
    """« 1ᵉʳ décembre 2026 », “December 1, 2026”; with its weekday, « mardi 1ᵉʳ décembre 2026 ». Of a moment, its day here."""
    if isinstance(of, datetime):
        of = day_of(of)
    month = _months("wide", language)[of.month]
    if language == "fr":
        written, name = f"{_french_number(of)}{NO_BREAK_SPACE}{month} {of.year}", "EEEE "
    else:
        written, name = f"{month}{NO_BREAK_SPACE}{of.day}, {of.year}", "EEEE, "
    return f"{format_date(of, name, locale=LOCALES[language])}{written}" if weekday else written


def clock(at: datetime, language: Language, *, zone: bool = False, where: ZoneInfo = TIME_ZONE) -> str:
    """« 9 h 05 », “9:05 am”; with the zone, « 9 h 05 (HNE) ». `where` it is so late, if not here."""
    local = at.astimezone(where)
    if language == "fr":
        written = f"{local.hour}{NO_BREAK_SPACE}h{NO_BREAK_SPACE}{local.minute:02}"
    else:
        half = _halves_of_a_day(language)["am" if local.hour < 12 else "pm"]
        written = f"{local.hour % 12 or 12}:{local.minute:02}{NO_BREAK_SPACE}{half}"
    if zone:
        name = format_datetime(local, "z", tzinfo=where, locale=LOCALES[language])
        written += f"{NO_BREAK_SPACE}({name})"
    return written


def moment(
    at: datetime, language: Language, *, weekday: bool = False, zone: bool = False, where: ZoneInfo = TIME_ZONE
) -> str:
    """« 1ᵉʳ décembre 2026 à 9 h 05 », “December 1, 2026 at 9:05 am”."""
    _ = gettext_for(language)
    local = at.astimezone(where)
    return _("%(day)s at %(time)s") % {
        "day": day(local.date(), language, weekday=weekday),
        "time": clock(local, language, zone=zone, where=where),
    }


def month(of: date, language: Language) -> str:
    """« novembre 2026 », “November 2026”."""
    return f"{_months('wide', language)[of.month]} {of.year}"


def short_moment(at: datetime, language: Language, now: datetime | None = None) -> str:
    """As short as it stays clear: the time today, “yesterday” with the time, else the day with the time."""
    _ = gettext_for(language)
    local, today = at.astimezone(TIME_ZONE), day_of(now or datetime.now(UTC))
    named = {today: _("today"), today - timedelta(days=1): _("yesterday"), today + timedelta(days=1): _("tomorrow")}
    return f"{named.get(local.date()) or _short_day(local, today, language)}, {clock(local, language)}"


def distance(to: datetime, language: Language, now: datetime | None = None) -> str:
    """« dans 2 jours », « il y a 3 heures »."""
    return format_timedelta(
        to - (now or datetime.now(UTC)), add_direction=True, threshold=1.2, locale=LOCALES[language]
    )


def span(length: Span, language: Language) -> str:
    """« 2 heures », « 1 jour », « 7 jours ouvrables »."""
    _ = gettext_for(language)
    if length.business:
        text = _("1 business day") if length.amount == 1 else _("%(count)d business days")
        return text % {"count": length.amount}
    unit = "duration-hour" if length.unit == "h" else "duration-day"
    return format_unit(length.amount, unit, locale=LOCALES[language])


def birth(born: str, language: Language) -> str:
    """A birth date as far as it is known (``1958-03-14``, ``1958-03``, ``1958``): « 14 mars 1958 », « mars 1958 », « 1958 »."""
    known = PartialDate.read(born)
    if known.day is not None:
        return day(known.first, language)
    return format_date(known.first, "y" if known.month is None else "MMMM y", locale=LOCALES[language])


def age(born: str, language: Language, on: date | None = None) -> str:
    """How old somebody is on a day, today if none is given: in days, weeks, months or years, as one says it at that age.

    Of whom only the month or the year of birth is known, it is said as a round number where it may be one more or less.
    """
    _ = gettext_for(language)
    known, on = PartialDate.read(born), on or datetime.now(TIME_ZONE).date()
    oldest, youngest = _age(known.first, on), _age(min(known.last, on), on)
    if youngest == oldest:
        return _old(*oldest, language)
    if oldest[1] == youngest[1] == "year" and (oldest[0] - youngest[0]) <= 1:
        return _("about %(age)s") % {"age": _old(*oldest, language)}
    if known.month is None:
        years = on.year - known.year
        return _("about %(age)s") % {"age": _old(years, "year", language)} if years else _("less than a year old")
    months = (on.year - known.year) * 12 + on.month - known.month
    return _("about %(age)s") % {"age": _old(months, "month", language)} if months else _("less than a month old")


_WEEKS_FROM, _MONTHS_FROM, _YEARS_FROM = 28, 3, 2
"""Age is told in weeks from so many days, in months from so many months, in years from so many years."""


def _age(born: date, on: date) -> tuple[int, str]:
    """How much of which unit has passed since that day, in the unit in which an age is told."""
    months = (on.year - born.year) * 12 + on.month - born.month - (on.day < born.day)
    if months >= _YEARS_FROM * 12:
        return months // 12, "year"
    if months >= _MONTHS_FROM:
        return months, "month"
    days = (on - born).days
    return (days // 7, "week") if days >= _WEEKS_FROM else (days, "day")


def _old(count: int, unit: str, language: Language) -> str:
    _ = gettext_for(language)
    one, many = {
        "year": (_("1 year old"), _("%(count)d years old")),
        "month": (_("1 month old"), _("%(count)d months old")),
        "week": (_("1 week old"), _("%(count)d weeks old")),
        "day": (_("1 day old"), _("%(count)d days old")),
    }[unit]
    return one if count == 1 else many % {"count": count}


def _short_day(of: date, today: date, language: Language) -> str:
    month = _months("abbreviated", language)[of.month]
    written = f"{_french_number(of)}{NO_BREAK_SPACE}{month}" if language == "fr" else f"{month}{NO_BREAK_SPACE}{of.day}"
    if of.year != today.year:
        written += f" {of.year}" if language == "fr" else f", {of.year}"
    return written


def _french_number(of: date) -> str:
    return "1ᵉʳ" if of.day == 1 else str(of.day)


@cache
def _months(width: Literal["wide", "abbreviated"], language: Language) -> Mapping[int, str]:
    """The names of the months. A long page has hundreds of dates: its words are looked up once, not for each."""
    return dict(get_month_names(width, locale=LOCALES[language]))


@cache
def _halves_of_a_day(language: Language) -> Mapping[str, str]:
    """Without full stops: a sentence may end with one, and would have two."""
    names = get_period_names("abbreviated", locale=LOCALES[language])
    return {half: name.replace(".", "") for half, name in names.items()}
