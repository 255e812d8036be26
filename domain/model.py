"""What every model of the domain shares: frozen, nothing unknown let in, and texts that every store can hold."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

from domain import texts

DISCREET = ConfigDict(hide_input_in_errors=True)
"""What never quotes what it was given: an error that nobody expected is logged, and that may be a patient's."""


class Discreet(BaseModel):
    """A model that never quotes what it was given. A ``TypeAdapter`` does so in its own name, and needs ``config=DISCREET``."""

    model_config = DISCREET


class Frozen(Discreet):
    """A value that never changes; a change makes a new one (``model_copy(update=…)``)."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def is_unset(value: object) -> bool:
    """Of a field that older code does not know: while it says nothing, it is not written, so that both versions can read it."""
    return not value


def is_storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def storable(text: str) -> str:
    if not is_storable(text):
        raise ValueError("the text holds a character that can't be stored (NUL or half of a surrogate pair)")
    return text


def composed(value: object) -> object:
    return texts.composed(value) if isinstance(value, str) else value


def _said(text: str) -> str:
    if not texts.says_something(text):  # for people, it is as short as a text can be
        raise PydanticCustomError("string_too_short", "the text says nothing that can be seen")
    return text


def _one_line(text: str) -> str:
    if misplaced := texts.misplaced_in_line(storable(text)):
        raise PydanticCustomError(
            "not_one_line",
            "one line of visible characters is expected, without {characters}",
            {"characters": texts.code_points(misplaced)},
        )
    return text if texts.says_something(text) else ""


COMPOSED = BeforeValidator(composed)
"""A text is taken in Unicode's composed form (NFC), however it was typed. It follows the constraints that it comes before."""

ONE_LINE = AfterValidator(_one_line)
"""A text of one line, with nothing in it that nobody can see; what has nothing to be seen in it at all is empty."""

SAYS_SOMETHING = AfterValidator(_said)
"""A text with something to be seen in it."""

MAX_SHORT_TEXT = 8_000
"""Characters of a free text that travels in a command; anything longer belongs to the form or the report."""

ShortText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_SHORT_TEXT), AfterValidator(storable)
]
"""A reason, a comment, a question or an answer as it is on record: 1 to 8,000 characters."""

Storable = Annotated[str, COMPOSED, AfterValidator(storable)]
"""A text that the records can be asked for: composed as theirs are, and without NUL, which PostgreSQL does not know."""

Said = Annotated[ShortText, COMPOSED, SAYS_SOMETHING]
"""The same as somebody says it now: composed, and with something to be seen in it.

What is on record was taken by the rules of its own time, so it is read as a `ShortText`.
"""

KeptName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80), COMPOSED, ONE_LINE, SAYS_SOMETHING
]
"""How somebody calls what they keep: a filter, a text that is used again."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest in lower-case hexadecimal."""
