"""How numbers are written, in both languages: every digit that was typed, for a dose must not be rounded on its way to paper."""

from decimal import Decimal

from babel.numbers import format_decimal

from translations import Language
from translations.dates import LOCALES


def number(value: float, language: Language, *, grouped: bool = True) -> str:
    """« 12 345,6789 », “12,345.6789”; without groups, for a field to type in, « 12345,6789 »."""
    exact = Decimal(str(value))
    pattern = "#,##0.#" if grouped else "0.#"
    return format_decimal(exact, pattern, locale=LOCALES[language], decimal_quantization=False)
