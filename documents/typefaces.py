"""The fonts of the report, and which characters they can draw.

Source Sans 3 sets the page; what it lacks comes from the families of Noto in `fonts/`, in the order of `fonts/coverage.json`.
`fonts/subset.py` made both.
"""

import json
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "fonts"
MAIN_FAMILY = "Source Sans 3"


@cache
def families() -> tuple[str, ...]:
    """Their names, in the order in which a character is looked for."""
    return tuple(_coverage())


def families_with(character: str) -> frozenset[str]:
    """The families that have the character; none for what is no visible character at all."""
    return _families_by_character().get(character, frozenset())


def main_family_only(character: str) -> frozenset[str]:
    """The same, as if there were the main family alone."""
    return families_with(character) & {MAIN_FAMILY}


@cache
def _coverage() -> dict[str, list[tuple[int, int]]]:
    """Family to the ranges of code points that it has, first and last of each."""
    read: dict[str, list[tuple[int, int]]] = json.loads((FOLDER / "coverage.json").read_text())
    return read


@cache
def _families_by_character() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    shared: dict[frozenset[str], frozenset[str]] = {}
    for family, ranges in _coverage().items():
        for first, last in ranges:
            for character in map(chr, range(first, last + 1)):
                if character.isprintable():  # private use, format characters and the like are in fonts, too
                    having = found.get(character, frozenset()) | {family}
                    found[character] = shared.setdefault(having, having)
    return found
