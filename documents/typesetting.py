"""Makes a text that somebody typed fit for the page, without changing what it says.

White space becomes a space, a no-break space where no line may end; a line break becomes a line break, however it was written.
What is invisible leaves nothing, unless something would then stand together that did not: beside a digit it leaves a space.
What no font can draw is printed as its code, e.g. ``[U+1F642]``.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from itertools import groupby

from documents import typefaces
from domain.texts import BLANKS, JOINERS, LINE_BREAK, NO_BREAK_SPACES, is_invisible
from translations import Language
from translations.typography import NO_BREAK_SPACE

_TAB = 4
_SPELLING = JOINERS + "\N{ZERO WIDTH SPACE}"
"""What is spelled with: the joiners, and the space without width that ends a word in Thai or Khmer."""

_VARIATION = re.compile("[\u034f\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Which of its shapes a character takes; there is nothing to choose from here."""


FamiliesWith = Callable[[str], frozenset[str]]
"""Tells which font families have a character (`documents.typefaces.families_with`)."""


def typeset(text: str, language: Language, families_with: FamiliesWith = typefaces.families_with) -> str:
    """`text` as it can be drawn, with line feeds as its line breaks."""
    text = _prepared(text)
    if language == "fr":
        text = french_spaces(text)
    return "".join(
        character if drawable else f"[U+{ord(character):04X}]" for character, drawable in _drawn(text, families_with)
    )


def unprintable(text: str, families_with: FamiliesWith = typefaces.families_with) -> tuple[str, ...]:
    """The characters of `text` that no font can draw where they stand, each once."""
    drawn = _drawn(_prepared(text), families_with)
    return tuple(dict.fromkeys(character for character, drawable in drawn if not drawable))


def french_spaces(text: str) -> str:
    """Makes the spaces that French wants before `: ; ! ?` and inside « » unbreakable.

    Only where there is a space already: the words of a clinician are never changed, and 10:30 or an address stays whole.
    """
    text = re.sub(r" (?=[:;!?»])", NO_BREAK_SPACE, text)
    return re.sub(r"(?<=«) ", NO_BREAK_SPACE, text)


_KEPT = frozenset(_SPELLING + NO_BREAK_SPACE + " \n")
_MOST_EMPTY_LINES = 2
_DECIMAL_SIGNS = frozenset(".,")


def _prepared(text: str) -> str:
    text = unicodedata.normalize("NFC", LINE_BREAK.sub("\n", text)).expandtabs(_TAB)
    text = re.sub(rf"\n(?:[ \u00a0]*\n){{{_MOST_EMPTY_LINES},}}", "\n" * (_MOST_EMPTY_LINES + 1), text)
    return _without_invisible("".join(map(_space, text)))


def _drawn(text: str, families_with: FamiliesWith) -> Iterator[tuple[str, bool]]:
    """Each character, and whether it can be drawn. A mark is drawn by the font of the letter that it stands on, or not at all."""
    letter: frozenset[str] = frozenset()
    for character in text:
        having = families_with(character)
        if unicodedata.category(character)[0] == "M":
            having = letter = letter & having
        elif character not in JOINERS:
            letter = having
        yield character, bool(having) or character in _KEPT


def _space(character: str) -> str:
    if character in NO_BREAK_SPACES:
        return NO_BREAK_SPACE
    if unicodedata.category(character) == "Zs" or character in BLANKS or character == "\x1f":
        return " "
    return character


def _without_invisible(text: str) -> str:
    runs = [(invisible, "".join(run)) for invisible, run in groupby(text, _leaves_nothing)]
    around = ["", *(run for _, run in runs), ""]
    return "".join(
        _what_stays(run, around[place][-1:], around[place + 2][:1]) if invisible else run
        for place, (invisible, run) in enumerate(runs)
    )


def _leaves_nothing(character: str) -> bool:
    return character != "\n" and (is_invisible(character) or _VARIATION.match(character) is not None)


def _is_inside_a_number(before: str, after: str) -> bool:
    """Whether a decimal sign stands on one side: what browsers and word processors put beside it must not split « 0,5 »."""
    return (before in _DECIMAL_SIGNS and after.isnumeric()) or (before.isnumeric() and after in _DECIMAL_SIGNS)


def _what_stays(run: str, before: str, after: str) -> str:
    """What is left of a run of invisible characters between two that are seen (none at the ends of the text)."""
    if not before.strip() or not after.strip():
        return ""
    is_control = any(unicodedata.category(character) == "Cc" for character in run)
    if not is_control and _is_inside_a_number(before, after):
        return ""
    if before.isnumeric() or after.isnumeric():
        return NO_BREAK_SPACE
    if is_control:
        return " "
    is_in_word = all(unicodedata.category(character)[0] in "LM" for character in before + after)
    return "".join(character for character in run if is_in_word and character in _SPELLING)
