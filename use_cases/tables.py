"""Tables as files for spreadsheets: CSV (RFC 4180) in UTF-8, of which no cell is a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

from domain import texts

_BEGIN_A_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "|", "%")
"""With one of these, in any width, a spreadsheet takes what people wrote for something to be computed."""

_SEPARATORS = frozenset(";\t\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
"""Where a spreadsheet that parts cells by semicolons or tabs begins another cell or row; quotes hold nothing together then."""

BYTE_ORDER_MARK = "\ufeff"
"""By which spreadsheets know that it is UTF-8."""


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """The table as a file. What a spreadsheet would compute has an apostrophe before it, whichever separator that one takes."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow([cell_of(name) for name in columns])
    writer.writerows([cell_of(text) for text in row] for row in rows)
    return (BYTE_ORDER_MARK + written.getvalue()).encode()


def cell_of(text: str) -> str:
    """What stands in a cell: nothing begins a formula in it, or behind a sign in it at which another cell may begin."""
    seen = text.lstrip("".join(sign for sign in {*text} if _is_blank(sign)))
    begins = seen.startswith(_BEGIN_A_FORMULA) or text[:1] in ("\t", "\r", "\n")
    return ("'" if begins else "") + _without_formulas_within(text)


def _without_formulas_within(text: str) -> str:
    made, may_begin = [], False
    for sign in text:
        made.append(f"'{sign}" if may_begin and sign in _BEGIN_A_FORMULA else sign)
        may_begin = sign in _SEPARATORS or (may_begin and (_is_blank(sign) or sign == '"'))
    return "".join(made)


def _is_blank(sign: str) -> bool:
    return sign.isspace() or texts.is_invisible(sign)
