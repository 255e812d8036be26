"""Tables for spreadsheets: read back as they were, and nothing in them is computed."""

import csv
import io

import pytest

from use_cases.tables import as_csv, cell_of


def read(table: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(table.decode("utf-8-sig"), newline="")))


def test_what_was_written_comes_back() -> None:
    rows = [["Quand", "Qui"], ["1ᵉʳ mai", 'Dre « Ève », dite "É"'], ["a\nb", ""]]
    assert read(as_csv(rows[0], rows[1:])) == rows


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1", "-1", "@SUM(A1)", "|calc", "%0A=1", "＝1+1", "＠A1"),
        *(" =1+1", "\t=1", "\r=1", "\n=1", "\u200b=1", "\u00a0=1", "\ufeff=1", "\u2028=cmd|' /C calc'!A0"),
    ],
)
def test_nothing_is_a_formula(text: str) -> None:
    assert cell_of(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=1", "Note: -1", "12", "’=1", " a", "« =1 »"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert cell_of(text) == text
