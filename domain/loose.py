"""What others send, read without trust: a value may be anything, and what is not what is expected is as if it were not there."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from domain import texts

Json = Mapping[str, Any]

MAX_TEXT = 250_000
"""More than a whole message may say (`message_content.MOST_SAID`), so nothing is cut unseen."""


def list_of(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def dicts_of(value: object) -> list[dict[str, Any]]:
    return [one for one in list_of(value) if isinstance(one, dict)]


def dict_of(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def lines_of(value: object) -> list[str]:
    return [line for one in list_of(value) if (line := line_of(one))]


_NOT_KEPT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def text_of(value: object) -> str:
    """A text of several lines, as it is: what looks like HTML is text, too. Empty where nothing in it can be seen."""
    if not isinstance(value, str):
        return ""
    text = texts.composed(_NOT_KEPT.sub(" ", value.strip()[:MAX_TEXT]).strip())
    return text if texts.says_something(text) else ""


def line_of(value: object, most: int = 1_000) -> str:
    """A text of one line, without what nobody can see; of at most so many characters."""
    if not isinstance(value, str):
        return ""
    some = " ".join(
        value.strip()[: 4 * most].split()
    )  # no more than can count: a value may have millions of characters
    line = "".join(one for one in some if one.isprintable())
    line = texts.composed(line[:most].strip())
    return line if texts.says_something(line) else ""


def words_of(concept: object) -> Iterator[str]:
    """The codes and words of a concept."""
    if not isinstance(concept, dict):
        return
    for coding in dicts_of(concept.get("coding")):
        yield from (line_of(coding.get(name)) for name in ("code", "display") if line_of(coding.get(name)))
    if line_of(concept.get("text")):
        yield line_of(concept["text"])


def told_of(concept: object) -> str:
    """A concept as people read it."""
    if not isinstance(concept, dict):
        return ""
    shown = [
        line_of(coding.get("display")) or line_of(coding.get("code")) for coding in dicts_of(concept.get("coding"))
    ]
    return text_of(concept.get("text")) or ", ".join(one for one in shown if one)
