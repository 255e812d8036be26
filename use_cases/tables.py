"""Tables as files for spreadsheets: CSV (RFC 4180) in UTF-8, of which no cell is a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

from domain import texts

_BEGIN_A_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "|", "%")
"""With one of these, in any width, a spreadsheet takes what people wrote for something to be computed."""

BYTE_ORDER_MARK = "\ufeff"
"""By which spreadsheets know that it is UTF-8."""


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """The table as a file. A cell that a spreadsheet would compute begins with an apostrophe."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow([cell_of(name) for name in columns])
    writer.writerows([cell_of(text) for text in row] for row in rows)
    return (BYTE_ORDER_MARK + written.getvalue()).encode()


def cell_of(text: str) -> str:
    """What stands in a cell: also behind blanks and what nobody sees, nothing begins a formula."""
    seen = text.lstrip("".join(sign for sign in {*text} if sign.isspace() or texts.is_invisible(sign)))
    return f"'{text}" if seen.startswith(_BEGIN_A_FORMULA) or text[:1] in ("\t", "\r", "\n") else text
