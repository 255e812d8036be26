"""How French is set in Québec (Office québécois de la langue française, « Espacement »): spaces that no line may break at.

A colon and the marks « » stand off by a no-break space, a percent sign too; ; ! ? don't.
"""

import re
from collections.abc import Mapping
from typing import Literal

NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"

COLON: Mapping[Literal["fr", "en"], str] = {"fr": f"{NO_BREAK_SPACE}:", "en": ":"}
"""The sign after a word that is put together with others, by language."""

_COLON = re.compile(r"(?<=[^\s:]) ?:(?=\s|<|$)")
_OPENING = re.compile(r"« ?(?=\S)")
_CLOSING = re.compile(r"(?<=\S) ?»")
_PERCENT = re.compile(r"(?<=\d) ?%(?=[\s.,;)]|$)")


def set_in_french(text: str) -> str:
    """The text with its no-break spaces, whichever of them its writer has set."""
    text = _COLON.sub(f"{NO_BREAK_SPACE}:", text)
    text = _OPENING.sub(f"«{NO_BREAK_SPACE}", text)
    text = _CLOSING.sub(f"{NO_BREAK_SPACE}»", text)
    return _PERCENT.sub(f"{NO_BREAK_SPACE}%", text)
