"""How spans of time, ages and lengths stand on a page, in the reader's language. Dates are written by `translations.dates`."""

from collections.abc import Callable
from datetime import UTC, date, datetime

from babel.dates import format_timedelta
from babel.numbers import format_decimal

from domain.calendar import TIME_ZONE
from translations import Language, gettext_for
from translations.dates import LOCALES

Gettext = Callable[[str], str]


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
