"""The data types of FHIR R4 of which the resources here are made, as far as they are used.

They are written, never read: what they hold was checked where it came in. What a type allows and no reader may meet (an empty
text, an empty list) is left out when it is made; every instant has a zone.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel

from domain.model import Discreet

_NOT_TEXT = re.compile(r"[^\t\n\r\x20-\U0010ffff]")
_BLANK = re.compile(r"\s*")

ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
"""What can be the id of a resource."""


def _text(value: object) -> object:
    """Without control characters, which FHIR's texts can't have; None for what says nothing."""
    if not isinstance(value, str):
        return value
    written = _NOT_TEXT.sub(" ", value)
    return None if _BLANK.fullmatch(written) else written


def _id(value: str) -> str:
    if not ID.fullmatch(value):
        raise ValueError("no id of a resource")
    return value


Text = Annotated[str | None, BeforeValidator(_text)]
Id = Annotated[str, AfterValidator(_id)]
Instant = AwareDatetime

_T = TypeVar("_T")


def some(values: Iterable[_T | None]) -> tuple[_T, ...] | None:
    """Those that there are; None for none, for FHIR has no empty lists."""
    return tuple(value for value in values if value is not None) or None


class Element(Discreet):
    """A part of a resource. Names are FHIR's, in the manner of Python."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    def as_json(self) -> dict[str, Any]:
        """As it is sent: without what is not there."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Coding(Element):
    system: str | None = None
    code: str | None = None
    display: Text = None


class CodeableConcept(Element):
    coding: tuple[Coding, ...] | None = None
    text: Text = None


class Identifier(Element):
    use: str | None = None
    type: CodeableConcept | None = None
    system: str | None = None
    value: Text = None
    assigner: "Reference | None" = None


class Reference(Element):
    reference: str | None = None
    type: str | None = None
    identifier: Identifier | None = None
    display: Text = None


class Extension(Element):
    url: str
    value_boolean: bool | None = None
    value_integer: int | None = None
    value_decimal: float | None = None
    value_string: Text = None
    value_code: str | None = None
    value_canonical: str | None = None
    value_unsigned_int: int | None = None
    value_positive_int: int | None = None


class Extended(Element):
    """What stands beside a primitive value."""

    extension: tuple[Extension, ...] | None


class Meta(Element):
    version_id: str | None = None
    last_updated: Instant | None = None
    profile: tuple[str, ...] | None = None
    security: tuple[Coding, ...] | None = None


class HumanName(Element):
    use: str | None = None
    text: Text = None
    family: Text = None
    given: tuple[str, ...] | None = None
    prefix: tuple[str, ...] | None = None


class ContactPoint(Element):
    system: str
    value: Text
    use: str | None = None


class Address(Element):
    use: str | None = None
    line: tuple[str, ...]


class Attachment(Element):
    content_type: str | None = None
    language: str | None = None
    data: str | None = None
    url: str | None = None
    size: int | None = None
    title: Text = None
    creation: Instant | None = None


class Signature(Element):
    type: tuple[Coding, ...]
    when: Instant
    who: Reference
    sig_format: str | None = None


class Resource(Element):
    """What has an id and a type; `meta` tells its version."""

    id: Id | None = None
    meta: Meta | None = None
    language: str | None = None


def reference_to(kind: str, id_: UUID | str, **more: Any) -> Reference:
    """A reference to a resource of this server."""
    return Reference(reference=f"{kind}/{id_}", **more)


def concept(system: str | None, code: str, text: str | None = None) -> CodeableConcept:
    """A concept of one code, with its words."""
    return CodeableConcept(coding=(Coding(system=system, code=code, display=text),), text=text)


def words(text: str | None) -> CodeableConcept | None:
    """A concept that only words tell of."""
    found = CodeableConcept(text=text)
    return found if found.text is not None else None


def lines(values: Iterable[str]) -> tuple[str, ...] | None:
    """Those of the texts that say something."""
    return some(written if isinstance(written := _text(value), str) else None for value in values)
