"""What counts as text: which characters are seen, which are white space, and what a field of one line takes.

White space and line breaks are those of Unicode (the property White_Space and the class Zs, and the separators among the
control characters), not only those of a keyboard: French typography puts U+202F into « 12 500 UI », word processors send
vertical tabs, old record systems U+0085.
"""

import re
import unicodedata

LINE_BREAK = re.compile("\r\n|[\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]")
"""A line break, however it is written."""

NO_BREAK_SPACES = "\u00a0\u2007\u202f"
"""The spaces at which no line may end."""

JOINERS = "\u200c\u200d"
"""Zero-width non-joiner and joiner: Persian and the scripts of India spell with them, between two letters."""

BLANKS = "\u115f\u1160\u3164\uffa0\u2800\U0001d159"
"""Letters and symbols by their class that leave no ink: the fillers of Hangul, Braille without a dot, an empty note head."""

GAP = re.compile(r"\[(?:…|\.{3})[^\]\n]*\]")
"""What a text that is used again leaves open: ``[…]``, or with a word of what is wanted, ``[… days]``."""

# Signs of Arabic, Syriac and Kaithi that Unicode counts among the format characters and that are seen all the same.
_SEEN = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
_SEEN_CLASSES = frozenset("LNPS")


SPELLED_OUT = {
    **{"œ": "oe", "æ": "ae", "ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"},
    **{"ȣ": "ou", "ŋ": "ng", "ħ": "h", "ŧ": "t", "ə": "e", "ɬ": "l"},
}
"""Small letters that no accent makes of others, and what people write who don't have them."""

APOSTROPHES = "’‘‛ʼʻʹˀʾʿ′`´ꞌʔ＇"
"""What stands for an apostrophe in names, besides the straight one: of French, of Inuktitut, Mohawk, Atikamekw and Arabic."""

COLONS = "꞉ːˑ："
"""What stands for a colon in names: Mohawk marks long vowels with it."""

HYPHENS = "‐‑‒–—−᐀－"
"""What stands for a hyphen in names, in syllabics also."""

ONE_SIGN = {sign: plain for signs, plain in ((APOSTROPHES, "'"), (COLONS, ":"), (HYPHENS, "-")) for sign in signs}
"""Signs within names that look the same to people, and the one of a keyboard."""

_SPELLED_OUT = str.maketrans({**SPELLED_OUT, **ONE_SIGN})


def has_gap(text: str) -> bool:
    """Whether something is left open in it that was to be filled in."""
    return GAP.search(text) is not None


def plain(text: str) -> str:
    """In small letters, without accents, with single spaces and the signs of a keyboard: so names are compared."""
    apart = unicodedata.normalize("NFKD", text.casefold().translate(_SPELLED_OUT))
    return " ".join("".join(sign for sign in apart if unicodedata.category(sign) != "Mn").split())


def composed(text: str) -> str:
    """The same text in Unicode's composed form (NFC), so that an accent is one character, however it was typed."""
    return unicodedata.normalize("NFC", text)


def says_something(text: str) -> bool:
    """Whether there is at least one character to be seen: spaces, controls, joiners and lone accents are no text."""
    return any(_is_seen(character) for character in text)


def is_invisible(character: str) -> bool:
    """Whether it leaves neither ink nor space: a control character, a joiner, a direction mark, a soft hyphen."""
    return unicodedata.category(character) in ("Cc", "Cf") and character not in _SEEN


def misplaced_in_line(text: str) -> tuple[str, ...]:
    """The characters of `text` that a field of one line doesn't take, each once: line breaks, and what nobody can see.

    A joiner between two letters is spelling, and may stay.
    """
    return tuple(
        dict.fromkeys(
            character
            for position, character in enumerate(text)
            if (is_invisible(character) or LINE_BREAK.match(character)) and not _spells(text, position)
        )
    )


def code_points(characters: tuple[str, ...]) -> str:
    """``U+202E, U+000A``: how to name characters that may not show."""
    return ", ".join(f"U+{ord(character):04X}" for character in characters)


def _is_seen(character: str) -> bool:
    category = unicodedata.category(character)
    return (category[0] in _SEEN_CLASSES or category == "Co" or character in _SEEN) and character not in BLANKS


def _spells(text: str, position: int) -> bool:
    neighbours = text[position - 1 : position] + text[position + 1 : position + 2]
    return text[position] in JOINERS and len(neighbours) == 2 and all(_is_letter(letter) for letter in neighbours)


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LM"
