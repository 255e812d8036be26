"""What others send, read without trust: a value may be anything, and what is not what is expected is as if it were not there."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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


@dataclass
class Resources:
    """What lies in a message, found by every way in which one part names another, where that leads to one."""

    all: list[Json] = field(default_factory=list)
    _by: dict[str, Json] = field(default_factory=dict)
    _urls: dict[int, str] = field(default_factory=dict)
    _of_several: set[str] = field(default_factory=set)
    _left_out: "Resources | None" = None

    def add(self, full_url: str, resource: Json) -> None:
        self.all.append(resource)
        self._urls[id(resource)] = full_url
        id_ = resource.get("id")
        for name in (full_url, full_url.removeprefix("urn:uuid:")) if full_url else ():
            self._by.setdefault(name, resource)
        for name in (id_, f"{resource['resourceType']}/{id_}") if isinstance(id_, str) and id_ else ():
            if self._by.setdefault(name, resource) != resource:  # the same twice is one
                self._of_several.add(name)

    def of(self, kind: str) -> list[Json]:
        return [one for one in self.all if one["resourceType"] == kind]

    def url_of(self, resource: Json) -> str:
        """The fullUrl of one of them."""
        return self._urls[id(resource)]

    def without(self, others: Iterable[Json]) -> "Resources":
        """The same but for these."""
        gone = {id(one) for one in others}
        kept = Resources(_left_out=Resources())
        for one in self.all:
            into = kept if id(one) not in gone or kept._left_out is None else kept._left_out
            into.add(self.url_of(one), one)
        return kept

    def shown(self, reference: object) -> str:
        """How a reference calls what is not in the message; empty for what was left out of it."""
        is_gone = self._left_out is not None and self._left_out.find(reference) is not None
        return "" if is_gone else line_of(dict_of(reference).get("display"))

    def find(self, reference: object) -> Json | None:
        """What a Reference leads to; None for what is not in the message, and for a name that several have.

        An address of a server leads to what is from there, or to what does not say from where it is.
        """
        named = reference.get("reference") if isinstance(reference, dict) else reference
        if not isinstance(named, str):
            return None
        plain = named.split("/_history/")[0]
        if plain in self._by and plain not in self._of_several:
            return self._by[plain]
        bare, end = plain.removeprefix("urn:uuid:"), "/".join(plain.rsplit("/", 2)[-2:])
        name = bare if bare != plain else end
        found = self._by.get(name) if name not in self._of_several else None
        is_elsewhere = found is not None and "://" in plain and "://" in self.url_of(found)
        return None if is_elsewhere else found
