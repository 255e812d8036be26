"""What a partner that performs says of a request it was asked: read by `fhir.performed`, done by `partner_answers`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from domain.fhir_task import TaskStatus
from domain.messages import MessageEvent
from use_cases.said import OrderName

Word = tuple[UUID, int] | UUID | None
"""What an answer names: something said of a request of ours with that event, or what has that id in messages."""


@dataclass(frozen=True)
class Step:
    """What became of the partner's Task: its status, and why; `is_not_eligible`: it was sent back because it is not for them."""

    status: str
    reason: str = ""
    is_not_eligible: bool = False


@dataclass(frozen=True)
class Report:
    """A document that may be the partner's report: its bytes, and who has written it. `id` is the one that it has there.

    `is_preliminary`: it is marked so. `replies_to` is what it says that it answers.
    """

    content: bytes = field(repr=False)
    author: str = ""
    organization: str = ""
    id: UUID | None = None
    is_preliminary: bool = False
    replies_to: tuple[Word, ...] = ()


@dataclass(frozen=True)
class Performed:
    """What such a message says.

    `names` are the requests that it is about, by the names that we have given; one where it can be done. `step` is of what tells
    of a Task. Of what is said, `text` has the words, `word` the id by which answers name it, `replies_to` what it answers, and
    `kind` what it is, if said; `has_files` where it has any. `documents` are those that may be the report. `patients` is whoever
    is called the patient.
    """

    event: MessageEvent
    message_id: str
    names: tuple[OrderName, ...]
    author: str = ""
    organization: str = ""
    step: Step | None = None
    text: str = ""
    word: UUID | None = None
    replies_to: tuple[Word, ...] = ()
    kind: str = ""
    patients: tuple[Mapping[str, Any], ...] = ()
    documents: tuple[Report, ...] = ()
    has_files: bool = False
    needs_visit: bool | None = None
    reads_now: bool | None = None
    is_test: bool = False

    @property
    def is_urgent(self) -> bool:
        """Whether the report must be read without delay: where the message does not say, when the patient must be seen."""
        return self.needs_visit is True if self.reads_now is None else self.reads_now

    @property
    def has_report(self) -> bool:
        """Whether there is something in it that may be a report."""
        return bool(self.documents)


@dataclass(frozen=True)
class Unread:
    """What can be told of a message that is refused as it is read: by which names it speaks of requests, if by any; and whether
    there is something in it that may be a report.
    """

    event: MessageEvent
    names: tuple[OrderName, ...]
    has_report: bool


OPEN = frozenset(
    {
        *(TaskStatus.DRAFT.value, TaskStatus.REQUESTED.value, TaskStatus.RECEIVED.value, TaskStatus.ACCEPTED.value),
        *(TaskStatus.IN_PROGRESS.value, "ready", "on-hold"),
    }
)
"""Statuses of a Task that goes on, of R4's; of several Tasks of one message, such a one tells what becomes of the request."""
