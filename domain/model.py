"""What every model of the domain shares: frozen, nothing unknown let in, and texts that every store can hold."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints


class Frozen(BaseModel):
    """A value that never changes; a change makes a new one (``model_copy(update=…)``)."""

    # An error that nobody expected is logged, and what it is about may be a patient's.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def storable(text: str) -> str:
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("the text holds a character that can't be stored (NUL or half of a surrogate pair)")
    return text


MAX_SHORT_TEXT = 8_000
"""Characters of a free text that travels in a command; anything longer belongs to the form or the report."""

ShortText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_SHORT_TEXT), AfterValidator(storable)
]
"""A reason, a comment, a question or an answer: 1 to 8,000 characters."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest in lower-case hexadecimal."""
