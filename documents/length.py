"""How long a report is when it is printed, and how long it may be."""

import math
import unicodedata
from collections.abc import Iterable

from domain.texts import LINE_BREAK

MAX_PAGES = 12
"""Pages of a report's own texts: nobody reads more than that in the place of a letter."""

_COLUMNS = 90
_LINES_IN_PAGE = 48


def pages_of(texts: Iterable[str]) -> int:
    """How many pages those texts take, roughly; 0 for none."""
    return math.ceil(sum(lines_of(text) for text in texts) / _LINES_IN_PAGE)


def lines_of(text: str) -> int:
    """How many printed lines a text takes, roughly, with its label; 0 for an empty one."""
    if not text.strip():
        return 0
    return 2 + sum(max(1, math.ceil(_columns(line) / _COLUMNS)) for line in LINE_BREAK.split(text.strip()))


def _columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)
