"""What others send, read without trust: a value may be anything, and what is not what is expected is as if it were not there."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]

MAX_TEXT = 20_000


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
    """A text of several lines, as it is: what looks like HTML is text, too."""
    return _NOT_KEPT.sub(" ", value).strip()[:MAX_TEXT] if isinstance(value, str) else ""


def line_of(value: object) -> str:
    """A text of one line, without what nobody can see."""
    if not isinstance(value, str):
        return ""
    return "".join(one for one in " ".join(value.split()) if one.isprintable())[:1_000].strip()


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
    """What lies in a message, found by every way in which one part names another."""

    all: list[Json] = field(default_factory=list)
    _by: dict[str, Json] = field(default_factory=dict)

    def add(self, full_url: str, resource: Json) -> None:
        self.all.append(resource)
        id_ = resource.get("id")
        names = [full_url, full_url.removeprefix("urn:uuid:")]
        if isinstance(id_, str) and id_:
            names += [id_, f"{resource['resourceType']}/{id_}"]
        for name in names:
            self._by.setdefault(name, resource)

    def of(self, kind: str) -> list[Json]:
        return [one for one in self.all if one["resourceType"] == kind]

    def find(self, reference: object) -> Json | None:
        """What a Reference leads to; None for what is not in the message."""
        named = reference.get("reference") if isinstance(reference, dict) else reference
        if not isinstance(named, str):
            return None
        plain = named.split("/_history/")[0]
        tries = (plain, plain.removeprefix("urn:uuid:"), "/".join(plain.split("/")[-2:]))
        return next((self._by[name] for name in tries if name in self._by), None)
