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
        *(" =1+1", "\u200b=1", "\u00a0=1", "\ufeff=1", "\ttext", "\rtext", "\ntext"),
    ],
)
def test_nothing_is_a_formula(text: str) -> None:
    assert cell_of(text) == f"'{text}"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a;=1", "a;'=1"),
        ("a; \u200b+1;-1", "a; \u200b'+1;'-1"),
        ("a\t@A1", "a\t'@A1"),
        ("a\n=1\r\n=2", "a\n'=1\r\n'=2"),
        ("\t=1", "'\t'=1"),
        ("\u2028=cmd|' /C calc'!A0", "'\u2028'=cmd|' /C calc'!A0"),
        ('a;"=1', """a;"'=1"""),
        ("=1;=1", "'=1;'=1"),
    ],
)
def test_nothing_is_a_formula_behind_what_may_part_cells(text: str, written: str) -> None:
    assert cell_of(text) == written


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_cell_is_a_formula_whichever_separator_a_spreadsheet_takes(separator: str) -> None:
    """In French, spreadsheets part cells by semicolons: then commas and most quotes are text like any other."""
    dangers = (
        "=1",
        " =1",
        "\n=1",
        "\t=1",
        "a;=1",
        'a";=1',
        'a;"=1',
        'a,"b";"=1"',
        "a\n;\n=1",
        "a;\u00a0=1",
        ";;@A1",
        "x\r+1",
    )
    rows = [[before + danger, "1", danger] for danger in dangers for before in ("", "Note, ", 'Dit "Ève"')]
    text = as_csv(rows[0], rows[1:]).decode("utf-8-sig")
    cells = [cell for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) for cell in row]
    assert len(cells) > len(rows)
    assert [cell for cell in cells if cell.lstrip(' \t\r\n\u00a0"').startswith(("=", "+", "-", "@"))] == []


@pytest.mark.parametrize("text", ["", "a=1", "Note: -1", "12", "’=1", " a", "« =1 »", "a; b = 1", "a\nb", "12 - 3"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert cell_of(text) == text
