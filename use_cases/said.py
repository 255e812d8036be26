"""What a partner's message says, whatever its dialect: read by `fhir.message_content`, done by `use_cases.partner_requests`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import UUID

from domain.messages import MessageEvent
from domain.priority import Priority

MAX_REFERENCE = 100
"""Characters of what is kept as a system's reference to a request (`use_cases.references`)."""

MOST_NAMES = 10
"""So many requests a message may name; it can be about one only."""


@dataclass(frozen=True)
class OrderName:
    """By what a partner knows a request: an identifier in its system, or the address of a resource.

    The same number in another system is another name: it may be another clinic's order, or a chart.
    """

    value: str
    system: str = ""

    @property
    def order_id(self) -> UUID | None:
        """Where it is an address that is a UUID: that."""
        try:
            return UUID(self.value) if not self.system and self.value.startswith("urn:uuid:") else None
        except ValueError:
            return None

    @property
    def reference(self) -> str:
        """As one text that no other name shares: as FHIR writes a token, or a digest of that where it would be too long."""
        is_plain = not self.system and "|" not in self.value
        token = self.value if is_plain else f"{self.system}|{self.value}"
        return token if len(token) <= MAX_REFERENCE else f"sha256:{sha256(token.encode()).hexdigest()}"


@dataclass(frozen=True)
class Licence:
    """A number of the author's. `is_typed`: the message says that it is a licence to practise."""

    value: str
    system: str = ""
    is_typed: bool = False


@dataclass(frozen=True)
class Line:
    """Something that a message says and the form does not ask, under the name that it has there."""

    label: str
    text: str


@dataclass(frozen=True)
class InlineFile:
    """A file that lies in a message."""

    title: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Said:
    """What a message says.

    `names` are the requests that it is about, one where it can be done; `order_id` is the id that the order's resource has at the
    partner, where that is a UUID. `services`: how it calls the service that it asks, by
    codes or names. `priority` is None where it says none. `answers` are those to a form of ours, by `answers_to` (its code).
    `elsewhere` are files of which only an address is given; `left_out` is what lies in it and does not count, and why.
    `replies_to` are events of requests (its id, the event's version) that it answers, or the ids under which partners were told
    of them (`domain.told_partners`); None for what is nothing of ours. `word` is the id by which answers name what is said.
    """

    event: MessageEvent
    message_id: str
    names: tuple[OrderName, ...] = ()
    order_id: UUID | None = None
    author: str = ""
    organization: str = ""
    licences: tuple[Licence, ...] = ()
    services: tuple[str, ...] = ()
    priority: Priority | None = None
    patient: Mapping[str, Any] = field(default_factory=dict)
    question: str = ""
    answers: Mapping[str, Any] = field(default_factory=dict)
    answers_to: str = ""
    lines: tuple[Line, ...] = ()
    text: str = ""
    files: tuple[InlineFile, ...] = ()
    elsewhere: tuple[Line, ...] = ()
    left_out: tuple[Line, ...] = ()
    replies_to: tuple[tuple[UUID, int] | UUID | None, ...] = ()
    word: UUID | None = None
    is_test: bool = False
