"""How times, names and lengths stand on a page, in the reader's language and in the time of the clinics."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.numbers import format_decimal

from domain.calendar import TIME_ZONE
from translations import Language, gettext_for

LOCALES = {"fr": "fr_CA", "en": "en_CA"}

Gettext = Callable[[str], str]


def moment(at: datetime, language: Language) -> str:
    """« 12 novembre 2026 à 9 h 05 », “November 12, 2026 at 9:05 a.m.”."""
    _ = gettext_for(language)
    local = at.astimezone(TIME_ZONE)
    return _("%(day)s at %(time)s") % {"day": day(local.date(), language), "time": clock(local, language)}


def short_moment(at: datetime, language: Language, now: datetime | None = None) -> str:
    """As short as it stays clear: the time today, “yesterday” with the time, else the day with the time."""
    _ = gettext_for(language)
    local, today = at.astimezone(TIME_ZONE), (now or datetime.now(UTC)).astimezone(TIME_ZONE).date()
    named = {today: _("today"), today - timedelta(days=1): _("yesterday"), today + timedelta(days=1): _("tomorrow")}
    pattern = "d MMM" if local.year == today.year else "d MMM y"
    if language == "en":
        pattern = "MMM d" if local.year == today.year else "MMM d, y"
    written = named.get(local.date()) or format_date(local.date(), pattern, locale=LOCALES[language])
    return f"{written}, {clock(local, language)}"


def clock(local: datetime, language: Language) -> str:
    """« 9 h 05 », “9:05 a.m.”."""
    if language == "fr":
        return format_time(local, "H\N{NO-BREAK SPACE}'h'\N{NO-BREAK SPACE}mm", tzinfo=TIME_ZONE, locale="fr_CA")
    return format_datetime(local, "h:mm\N{NO-BREAK SPACE}a", tzinfo=TIME_ZONE, locale="en_CA")


def day(of: date, language: Language) -> str:
    """« 1er décembre 2026 », “December 1, 2026”."""
    if language == "fr":
        pattern = "d'er' MMMM y" if of.day == 1 else "d MMMM y"
        return format_date(of, pattern, locale="fr_CA")
    return format_date(of, "long", locale="en_CA")


def distance(to: datetime, language: Language, now: datetime | None = None) -> str:
    """« dans 2 jours », « il y a 3 heures »."""
    return format_timedelta(
        to - (now or datetime.now(UTC)), add_direction=True, threshold=1.2, locale=LOCALES[language]
    )


def age(born: date | str, language: Language) -> str:
    """Whole years; months for small children."""
    _ = gettext_for(language)
    birth = date.fromisoformat(born) if isinstance(born, str) else born
    today = datetime.now(TIME_ZONE).date()
    months = (today.year - birth.year) * 12 + today.month - birth.month - (today.day < birth.day)
    if months < 24:
        return _("%(count)d months old") % {"count": months} if months != 1 else _("1 month old")
    return _("%(count)d years old") % {"count": months // 12}


def size(count: int, language: Language) -> str:
    """« 3,4 Mo », “3.4 MB”."""
    _ = gettext_for(language)
    number, unit = (count / 1024**2, _("MB")) if count >= 1024**2 else (max(1, count / 1024), _("kB"))
    digits = "#,##0.0" if number < 10 and count >= 1024**2 else "#,##0"
    return f"{format_decimal(number, digits, locale=LOCALES[language])}\N{NO-BREAK SPACE}{unit}"


def duration(seconds: float) -> str:
    """``1:05``, minutes and seconds."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
