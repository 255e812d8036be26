"""How dates, times and spans are written, in both languages and in the time of the clinics: one style for all that is read.

French writes « 1er décembre 2026 à 9 h 05 », English “December 1, 2026 at 9:05 a.m.”. Spaces within a day and within a time are
no-break spaces, so that neither is torn apart at the end of a line.
"""

from datetime import UTC, date, datetime, timedelta

from babel.dates import format_date, format_datetime, format_timedelta
from babel.units import format_unit

from domain.calendar import TIME_ZONE, Span
from translations import LOCALES, NO_BREAK_SPACE, Language, gettext_for


def day(of: date, language: Language, *, weekday: bool = False) -> str:
    """« 1er décembre 2026 », “December 1, 2026”; with its weekday, « mardi 1er décembre 2026 »."""
    number = f"{_french_number(of)}{NO_BREAK_SPACE}MMMM y" if language == "fr" else f"MMMM{NO_BREAK_SPACE}d, y"
    name = "" if not weekday else "EEEE " if language == "fr" else "EEEE, "
    return format_date(of, name + number, locale=LOCALES[language])


def clock(at: datetime, language: Language, *, zone: bool = False) -> str:
    """« 9 h 05 », “9:05 a.m.”; with the zone, « 9 h 05 (HNE) »."""
    pattern = f"H{NO_BREAK_SPACE}'h'{NO_BREAK_SPACE}mm" if language == "fr" else f"h:mm{NO_BREAK_SPACE}a"
    if zone:
        pattern += f"{NO_BREAK_SPACE}(z)"
    return format_datetime(at.astimezone(TIME_ZONE), pattern, tzinfo=TIME_ZONE, locale=LOCALES[language])


def moment(at: datetime, language: Language, *, weekday: bool = False, zone: bool = False) -> str:
    """« 1er décembre 2026 à 9 h 05 », “December 1, 2026 at 9:05 a.m.”."""
    _ = gettext_for(language)
    local = at.astimezone(TIME_ZONE)
    return _("%(day)s at %(time)s") % {
        "day": day(local.date(), language, weekday=weekday),
        "time": clock(local, language, zone=zone),
    }


def short_moment(at: datetime, language: Language, now: datetime | None = None) -> str:
    """As short as it stays clear: the time today, “yesterday” with the time, else the day with the time."""
    _ = gettext_for(language)
    local, today = at.astimezone(TIME_ZONE), (now or datetime.now(UTC)).astimezone(TIME_ZONE).date()
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


def age(born: date | str, language: Language) -> str:
    """Whole years; months for small children."""
    _ = gettext_for(language)
    birth = date.fromisoformat(born) if isinstance(born, str) else born
    today = datetime.now(TIME_ZONE).date()
    months = (today.year - birth.year) * 12 + today.month - birth.month - (today.day < birth.day)
    if months < 24:
        return _("%(count)d months old") % {"count": months} if months != 1 else _("1 month old")
    return _("%(count)d years old") % {"count": months // 12}


def _short_day(of: date, today: date, language: Language) -> str:
    pattern = f"{_french_number(of)}{NO_BREAK_SPACE}MMM" if language == "fr" else f"MMM{NO_BREAK_SPACE}d"
    if of.year != today.year:
        pattern += " y" if language == "fr" else ", y"
    return format_date(of, pattern, locale=LOCALES[language])


def _french_number(of: date) -> str:
    return "d'er'" if of.day == 1 else "d"
