"""How numbers are written, in both languages."""

from decimal import Decimal

from babel.numbers import format_decimal

from translations import LOCALES, Language, gettext_for
from translations.typography import NO_BREAK_SPACE


def number(value: float, language: Language, *, grouped: bool = True) -> str:
    """« 12 345,6789 », “12,345.6789”; without groups, for a field to type in, « 12345,6789 ».

    Every digit that was typed stands there, for a dose must not be rounded on its way to paper.
    """
    exact = Decimal(str(value))
    pattern = "#,##0.#" if grouped else "0.#"
    return format_decimal(exact, pattern, locale=LOCALES[language], decimal_quantization=False)


def rounded(value: float, language: Language) -> str:
    """To one digit after the point at most: « 12 345,7 », “12,345.7”."""
    return format_decimal(value, "#,##0.#", locale=LOCALES[language])


def count(of: int, language: Language, *, at_least: bool = False) -> str:
    """« 12 345 », “12,345”; where there may be more, « 12 345+ »."""
    return format_decimal(of, "#,##0", locale=LOCALES[language]) + ("+" if at_least else "")


def size(count: int, language: Language) -> str:
    """Of so many bytes: « 3,4 Mo », “3.4 MB”."""
    _ = gettext_for(language)
    amount, unit = (count / 1024**2, _("MB")) if count >= 1024**2 else (max(1, count / 1024), _("kB"))
    digits = "#,##0.0" if amount < 10 and count >= 1024**2 else "#,##0"
    return f"{format_decimal(amount, digits, locale=LOCALES[language])}{NO_BREAK_SPACE}{unit}"


def duration(seconds: float) -> str:
    """``1:05``, minutes and seconds."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
