"""Numbers in words keep every digit: a dose must not be rounded between the screen and the signed page."""

import pytest

from translations.numbers import number


@pytest.mark.parametrize(
    ("value", "french", "english"),
    [
        (0.0004, "0,0004", "0.0004"),
        (0.0625, "0,0625", "0.0625"),
        (12345.6789, "12\N{NO-BREAK SPACE}345,6789", "12,345.6789"),
        (1e-12, "0,000000000001", "0.000000000001"),
        (3, "3", "3"),
        (-2.5, "-2,5", "-2.5"),
    ],
)
def test_no_digit_is_lost(value: float, french: str, english: str) -> None:
    assert number(value, "fr") == french
    assert number(value, "en") == english


def test_a_number_to_type_has_no_groups() -> None:
    assert number(12345.6789, "fr", grouped=False) == "12345,6789"
