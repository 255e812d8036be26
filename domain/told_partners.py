"""What partners are told of their requests by messages: of which event, under which id, and what follows from the answer.

See docs/decisions/messages-to-partners.md. How long is waited between tries is that of webhooks (`domain.webhooks`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID, uuid5

from domain import webhooks
from domain.messages import MessageEvent
from domain.requests import EventName
from domain.webhooks import DeliveryState, Tried

SPACE = UUID("6f7c1c53-55f6-4c9f-8d15-5d0f1f0a8b3e")
"""From it and a resource's address here, the id is made that it has in messages."""

MOST_AT_ONCE = 2
"""So many messages are under way to one partner, each of another request; while something fails there, one."""

PATIENCE = timedelta(seconds=60)
"""For a whole call: a partner does what it is told before it answers."""

MOST_READ = 262_144
"""Bytes of an answer that are read."""


class Authorization(StrEnum):
    """How a partner knows that it is Relais who calls."""

    CLIENT_SECRET = "client_secret"  # noqa: S105 - by a token that a secret gets (OAuth 2.0, client_credentials)
    CLIENT_ASSERTION = "client_assertion"  # by a token that something signed gets (SMART Backend Services)
    SIGNATURE = "signature"  # each message is signed, as webhooks are


class Documents(StrEnum):
    """How a partner is given signed documents."""

    INSIDE = "inside"  # the PDF lies in the message
    BY_ADDRESS = "by_address"  # the message says where it is here


class MessageState(StrEnum):
    """What became of a message."""

    PENDING = "pending"
    DELIVERED = "delivered"
    REFUSED = "refused"  # the partner has answered that it does not take it
    FAILED = "failed"  # it was not answered for three days, or nothing goes there any more
    DROPPED = "dropped"  # when it was to go, the partner might not be told of the request


_ADDED, _CHANGED = MessageEvent.ADD_PROCESS, MessageEvent.UPDATE_PROCESS
_SAID = (MessageEvent.SAID_BY_PROVIDER, _CHANGED)

TOLD: Mapping[EventName, tuple[MessageEvent, ...]] = MappingProxyType(
    {
        EventName.SUBMITTED: (_ADDED,),
        EventName.RESUBMITTED: (_ADDED,),
        EventName.ASSIGNED: (_CHANGED,),
        EventName.REASSIGNED: (_CHANGED,),
        EventName.ACCEPTED: (_CHANGED,),
        EventName.TAKEN_BACK: (_CHANGED,),
        EventName.TRANSFERRED: (_CHANGED,),
        EventName.RETURNED_TO_DISPATCH: (_CHANGED,),
        EventName.ACCEPTANCE_EXPIRED: (_CHANGED,),
        EventName.PRIORITY_CHANGED: (_CHANGED,),
        EventName.INFORMATION_REQUEST_WITHDRAWN: (_CHANGED,),
        EventName.INFORMATION_EXPIRED: (_CHANGED,),
        EventName.ACKNOWLEDGED: (_CHANGED,),
        EventName.CLOSED_UNACKNOWLEDGED: (_CHANGED,),
        EventName.INFORMATION_REQUESTED: _SAID,
        EventName.FOLLOW_UP_ANSWERED: _SAID,
        EventName.RETURNED_TO_REQUESTER: _SAID,
        EventName.PRELIMINARY_REPORT_ISSUED: (_CHANGED,),
        EventName.FINAL_REPORT_ISSUED: (_CHANGED,),
        EventName.ADDENDUM_ISSUED: (_CHANGED,),
        EventName.CANCELLED: (_CHANGED,),
        EventName.ABANDONED: (_CHANGED,),
    }
)
"""The messages of each event, in their order. What the requester says itself, and what is ours alone, is not told."""


BY_MESSAGE = "fhir:"
"""So begins the id of whatever partners' messages ask for; nobody else's key does."""


def command_id_of(partner_id: UUID, message_id: str) -> str:
    """The id of the command that a partner's message gives, and the key of the request that it begins."""
    return f"{_by_message_of(partner_id)}{message_id}"


def _by_message_of(partner_id: UUID) -> str:
    return f"{BY_MESSAGE}{partner_id}:"


def messages_of(name: EventName, command_id: str, partner_id: UUID) -> tuple[MessageEvent, ...]:
    """What a partner is told of an event; nothing of what it has asked for by a message: the answer had the Task."""
    return () if is_by_partner(command_id, partner_id) else TOLD.get(name, ())


def is_by_partner(command_id: str, partner_id: UUID) -> bool:
    """Whether a message of that partner gave the command."""
    return command_id.startswith(_by_message_of(partner_id))


def is_of_partner(creation_key: str | None, partner_id: UUID) -> bool:
    """Whether a request was begun by a message of that partner."""
    return creation_key is not None and creation_key.startswith(_by_message_of(partner_id))


def message_id(request_id: UUID, sequence: int, event: MessageEvent) -> UUID:
    """`MessageHeader.id`: of each try the same."""
    return uuid5(SPACE, f"MessageHeader/{request_id}.{sequence}.{event.value}")


def id_in_messages(kind: str, id_: str) -> UUID:
    """The id that a resource of ours has in messages."""
    return uuid5(SPACE, f"{kind}/{id_}")


def word_id(request_id: UUID, sequence: int) -> UUID:
    """The id in messages of the Communication that tells what was said with that event; answers name it (`inResponseTo`)."""
    return id_in_messages("Communication", f"{request_id}.{sequence}")


@dataclass(frozen=True)
class Heard:
    """What a partner has answered: the code of its message (`ok`, `transient-error`, `fatal-error`), and FHIR's code of why it
    does not take ours.
    """

    code: str | None = None
    why: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What follows from a call. `is_gone`: nothing may go there any more. `was_heard`: a partner has answered."""

    state: MessageState
    next_attempt: datetime | None = None
    paused_until: datetime | None = None
    is_gone: bool = False
    was_heard: bool = False


_STATES = {
    DeliveryState.PENDING: MessageState.PENDING,
    DeliveryState.FAILED: MessageState.FAILED,
}
_FOR_LATER = frozenset({401, 408, 425, 429})
"""What of 4xx says nothing against the message: a token that is not believed any more, too slow, too early, too often."""

NOT_READY = "not_ready"
"""The code of a message that waits for its files: they are being scanned, or copies of them made. Nothing was tried."""

NO_ANSWER = "not_an_answer"
"""The code of what came back and answers no message: a page of whoever sits there now, or nothing."""


def judge(tried: Tried, heard: Heard, tries_before: int, chance: float, *, is_known: bool) -> Outcome:
    """What follows from a call after `tries_before` others of the same message.

    While nobody there has answered a message yet (`is_known`), only a message's answer is final: another one may be a
    stranger's, to whom a wrong address leads.
    """
    if heard.code == "ok":
        return Outcome(MessageState.DELIVERED, was_heard=True)
    if heard.code == "fatal-error":
        return Outcome(MessageState.REFUSED, was_heard=True)
    status = tried.status or 0
    if heard.code is None and is_known and 400 <= status < 500 and status not in _FOR_LATER:
        if status == 410:
            return Outcome(MessageState.FAILED, is_gone=True)
        return Outcome(MessageState.REFUSED, was_heard=heard.why is not None)  # who says why is there
    again = tried
    if heard.code is not None:  # it is this message that has to wait: others may go, unless there are too many
        again = replace(tried, status=429 if status == 429 else 503)
    elif tried.was_taken:
        again = replace(tried, error=NO_ANSWER)
    elif status == 410:
        again = replace(tried, status=404)
    verdict = webhooks.judge(again, tries_before, chance)
    pauses_all = heard.code is None or status == 429
    return Outcome(
        _STATES[verdict.state],
        verdict.next_attempt,
        verdict.paused_until if pauses_all else None,
        was_heard=heard.code is not None,
    )
