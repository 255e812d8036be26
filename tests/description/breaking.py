"""What a change of the description breaks for those who call: operations, parameters, properties and values that go, or are
asked for anew. What is only added for readers breaks nothing. ``python -m tests.description.breaking`` notes a release.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from api.docs import DESCRIPTION_FILE

RELEASED = Path(__file__).with_name("released.json")
"""The description as it was last released, without words and examples."""

Part = dict[str, Any]

_WORDS = {"description", "summary", "examples", "example", "title", "tags", "headers"}


def shape_of(part: Any, *, is_names: bool = False) -> Any:
    """What of a description programs go by."""
    if isinstance(part, list):
        return [shape_of(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        key: shape_of(value, is_names=key in ("properties", "schemas", "paths") and not is_names)
        for key, value in part.items()
        if is_names or key not in _WORDS
    }


def breaks(old: Part, new: Part) -> list[str]:
    """What of `old` no longer holds in `new`, a line each."""
    return sorted(set(_Comparison(old, new).operations()))


class _Comparison:
    def __init__(self, old: Part, new: Part) -> None:
        self._old, self._new = old, new
        self._compared: set[tuple[str, str, bool]] = set()

    def operations(self) -> Iterator[str]:
        for path, methods in self._old["paths"].items():
            for method, before in methods.items():
                where = f"{method.upper()} {path}"
                now = self._new["paths"].get(path, {}).get(method)
                if now is None:
                    yield f"{where}: gone"
                    continue
                if before["operationId"] != now["operationId"]:
                    yield f"{where}: operationId was {before['operationId']}"
                yield from self._parameters(where, before, now)
                yield from self._body(where, before, now)
                yield from self._answers(where, before, now)

    def _parameters(self, where: str, before: Part, now: Part) -> Iterator[str]:
        there = {(one["in"], one["name"]): one for one in now.get("parameters", [])}
        known = {(one["in"], one["name"]): one for one in before.get("parameters", [])}
        for key, one in known.items():
            place = f"{where} {key[0]} {key[1]}"
            if key not in there:
                yield f"{place}: gone"
            else:
                yield from self._schema(place, one["schema"], there[key]["schema"], is_input=True)
        for key, one in there.items():
            if one.get("required") and not known.get(key, {}).get("required"):
                yield f"{where} {key[0]} {key[1]}: asked for anew"

    def _body(self, where: str, before: Part, now: Part) -> Iterator[str]:
        old, new = before.get("requestBody", {}), now.get("requestBody", {})
        if new.get("required") and not old.get("required"):
            yield f"{where} body: asked for anew"
        yield from self._contents(f"{where} body", old, new, is_input=True)

    def _answers(self, where: str, before: Part, now: Part) -> Iterator[str]:
        for status, answer in before["responses"].items():
            if status < "400" and status not in now["responses"]:
                yield f"{where} {status}: gone"
            elif status < "400":
                yield from self._contents(f"{where} {status}", answer, now["responses"][status], is_input=False)

    def _contents(self, where: str, before: Part, now: Part, *, is_input: bool) -> Iterator[str]:
        for kind, content in before.get("content", {}).items():
            if kind not in now.get("content", {}):
                yield f"{where} {kind}: gone"
            else:
                old, new = content.get("schema", {}), now["content"][kind].get("schema", {})
                yield from self._schema(where, old, new, is_input=is_input)

    def _schema(self, where: str, before: Part, now: Part, *, is_input: bool) -> Iterator[str]:
        if "$ref" in before and "$ref" in now:
            where = before["$ref"].rpartition("/")[2]
            pair = (before["$ref"], now["$ref"], is_input)
            if pair in self._compared:
                return
            self._compared.add(pair)
        before, now = _resolved(self._old, before), _resolved(self._new, now)
        yield from self._kinds(where, before, now, is_input=is_input)
        yield from self._values(where, before, now, is_input=is_input)
        yield from self._properties(where, before, now, is_input=is_input)
        if "items" in before and "items" in now:
            yield from self._schema(f"{where}[]", before["items"], now["items"], is_input=is_input)

    def _kinds(self, where: str, before: Part, now: Part, *, is_input: bool) -> Iterator[str]:
        old, new = _types(before), _types(now)
        lost = old - new if is_input else new - old
        if old and new and lost:
            yield f"{where}: {'no longer takes' if is_input else 'gives'} {', '.join(sorted(lost))}"
        for one, other in zip(_refs(before), _refs(now), strict=False):
            yield from self._schema(where, one, other, is_input=is_input)

    def _values(self, where: str, before: Part, now: Part, *, is_input: bool) -> Iterator[str]:
        old, new = set(map(str, before.get("enum", ()))), set(map(str, now.get("enum", ())))
        lost = old - new if is_input and new else set() if is_input else new - old if old else set()
        if lost and is_input:
            yield f"{where}: no longer takes {', '.join(sorted(lost))}"
        if is_input and new and not old and before:
            yield f"{where}: takes only some values"
        for name, smaller in (
            ("maxLength", True),
            ("maximum", True),
            ("maxItems", True),
            ("minLength", False),
            ("minimum", False),
        ):
            was, is_ = before.get(name), now.get(name)
            if is_input and is_ is not None and (was is None or (is_ < was if smaller else is_ > was)):
                yield f"{where}: {name} was {was}, is {is_}"

    def _properties(self, where: str, before: Part, now: Part, *, is_input: bool) -> Iterator[str]:
        old, new = before.get("properties", {}), now.get("properties", {})
        for name, one in old.items():
            if name not in new:
                yield f"{where}.{name}: gone"
            else:
                yield from self._schema(f"{where}.{name}", one, new[name], is_input=is_input)
        asked, was_asked = set(now.get("required", ())), set(before.get("required", ()))
        if is_input:
            yield from (f"{where}.{name}: asked for anew" for name in asked - was_asked)
        else:
            yield from (f"{where}.{name}: may be missing now" for name in (was_asked - asked) & new.keys())


def _resolved(document: Part, schema: Part) -> Part:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _types(schema: Part) -> set[str]:
    if "type" in schema:
        return {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])
    return {kind["type"] for kind in schema.get("anyOf", ()) if "type" in kind} | (
        {"object"} if any("$ref" in kind for kind in schema.get("anyOf", ())) else set()
    )


def _refs(schema: Part) -> list[Part]:
    return [kind for kind in schema.get("anyOf", ()) if "$ref" in kind]


def main() -> None:
    """Note the description as released."""
    shape = shape_of(json.loads(DESCRIPTION_FILE.read_text()))
    RELEASED.write_text(json.dumps(shape, ensure_ascii=False, sort_keys=True, indent=0) + "\n")


if __name__ == "__main__":
    main()
