"""Examples of what the API answers, made from the schemas; only for `api.describe`."""

import re
from typing import Any

Part = dict[str, Any]

_ID = "01a20528-2326-771d-b244-f33a25c63e64"

_BY_FORMAT = {
    "uuid": _ID,
    "date-time": "2026-11-22T14:30:00Z",
    "date": "2026-11-22",
    "time": "08:00:00",
    "uri": "https://relais.example.com/",
    "email": "jeanne.roy@example.com",
    "duration": "PT1H",
    "binary": "",
}

_BY_NAME = {
    "number": "TC-2026-000123",
    "request_number": "TC-2026-000123",
    "given_name": "Jeanne",
    "family_name": "Tremblay",
    "name": "Clinique du Fleuve",
    "username": "demandeur.fleuve",
    "birth_date": "1958-03-14",
    "health_insurance_number": "TREJ58031414",
    "offering": "teledermatology",
    "code": "teledermatology",
    "status": "accepted",
    "language": "fr",
    "phone": "418 555-0100",
    "filename": "photo.jpg",
    "content_type": "image/jpeg",
    "media_type": "image/jpeg",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "access_token": "vS0c…",
    "token_type": "bearer",
    "question": "Mélanome ?",
    "text": "Depuis combien de temps ?",
    "comment": "Une collègue qui connaît ce patient.",
    "title": "Dre",
    "message": "Ce champ est requis.",
    "detail": "Ce champ est requis.",
    "kind": "final",
}
"""What stands for a text, by the name of its property."""

_OF_PATTERNS = ("question", "0" * 64, "fleuve", "fr")
"""Texts of which one fits each pattern."""

_DEEPEST = 12


class Examples:
    """Makes examples, each once: `named` has them by name, as the description keeps them."""

    def __init__(self, schemas: dict[str, Part]) -> None:
        self.named: dict[str, Part] = {}
        self._schemas = schemas

    def of_answer(self, schema: Part, operation_id: str) -> str:
        """The name of the example of such an answer."""
        name = schema["$ref"].rpartition("/")[2] if "$ref" in schema else f"{operation_id}_answer"
        if name not in self.named:
            self.named[name] = {"summary": "An answer", "value": self._value(schema, "", 0)}
        return name

    def _value(self, schema: Part, name: str, depth: int) -> Any:
        if "$ref" in schema:
            schema = {
                **self._schemas[schema["$ref"].rpartition("/")[2]],
                **{k: v for k, v in schema.items() if k != "$ref"},
            }
        if "const" in schema:
            return schema["const"]
        if schema.get("examples"):
            return schema["examples"][0]
        if "enum" in schema:
            return _BY_NAME[name] if _BY_NAME.get(name) in schema["enum"] else schema["enum"][0]
        if kinds := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
            some = [kind for kind in kinds if kind.get("type") != "null"]
            return self._value(some[0], name, depth + 1) if some and depth < _DEEPEST else None
        return self._of_type(schema, name, depth)

    def _of_type(self, schema: Part, name: str, depth: int) -> Any:
        match schema.get("type"):
            case "object":
                return self._object(schema, depth)
            case "array":
                few = depth < _DEEPEST or schema.get("minItems")
                one = [self._value(schema["items"], _one_of(name), depth + 1)] if few and "items" in schema else []
                return one * schema.get("minItems", 1)
            case "integer":
                return max(int(schema.get("minimum", 1)), 1) if schema.get("maximum", 1) >= 1 else 0
            case "number":
                return schema.get("minimum", 0.5)
            case "boolean":
                return schema.get("default", False)
            case "string":
                return self._text(schema, name)
        return schema.get("default", {} if "additionalProperties" in schema else None)

    def _text(self, schema: Part, name: str) -> str:
        text = _BY_FORMAT.get(schema.get("format", ""), _BY_NAME.get(name, "…"))
        if not re.search(schema.get("pattern", ""), text):
            text = next(one for one in _OF_PATTERNS if re.search(schema["pattern"], one))
        return text.ljust(schema.get("minLength", 0), "…")[: schema.get("maxLength", 10_000)]

    def _object(self, schema: Part, depth: int) -> Part:
        needed = schema.get("required", [])
        return {
            name: self._value(one, name, depth + 1)
            for name, one in schema.get("properties", {}).items()
            if depth < _DEEPEST or name in needed
        }


def _one_of(name: str) -> str:
    return name.removesuffix("s")
