"""What holds of webhooks: which events are told, when a call is tried again, when an address is given up, what signs a call.

The wire format is that of Standard Webhooks 1.0.0 (github.com/standard-webhooks/standard-webhooks). See
docs/decisions/webhooks.md.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType

from domain.requests import EventName


class WebhookType(StrEnum):
    """What a message tells. Of a request there is one message for each row of its timeline, and one more for a document."""

    SUBMITTED = "teleconsultation.submitted"
    ASSIGNED = "teleconsultation.assigned"
    ACCEPTED = "teleconsultation.accepted"
    TRANSFERRED = "teleconsultation.transferred"
    RETURNED = "teleconsultation.returned"
    RESUBMITTED = "teleconsultation.resubmitted"
    INFORMATION_REQUESTED = "teleconsultation.information_requested"
    INFORMATION_ANSWERED = "teleconsultation.information_answered"
    OVERDUE = "teleconsultation.overdue"
    REPORTED = "teleconsultation.reported"
    ADDENDUM_ADDED = "teleconsultation.addendum_added"
    ACKNOWLEDGED = "teleconsultation.acknowledged"
    CLOSED = "teleconsultation.closed"
    CANCELLED = "teleconsultation.cancelled"
    ABANDONED = "teleconsultation.abandoned"
    UPDATED = "teleconsultation.updated"  # every other row, so that whoever takes all of them sees each gap
    DOCUMENT_READY = "report.document_ready"
    ACCOUNT_LOCKED = "account.locked"
    TEST = "webhook.test"
    NOTIFICATION = "fhir.notification"  # to Subscriptions (`domain.subscriptions`), as the next two
    HANDSHAKE = "fhir.handshake"
    HEARTBEAT = "fhir.heartbeat"


TO_SUBSCRIPTIONS = frozenset({WebhookType.NOTIFICATION, WebhookType.HANDSHAKE, WebhookType.HEARTBEAT})
"""What goes to Subscriptions alone, in FHIR's words."""

TRIED_ONCE = frozenset({WebhookType.TEST, WebhookType.HANDSHAKE, WebhookType.HEARTBEAT})
"""What is not tried again."""

CHOSEN = tuple(one for one in WebhookType if one is not WebhookType.TEST and one not in TO_SUBSCRIPTIONS)
"""Those that an endpoint is made for; a test comes to each."""

_TOLD_AS: Mapping[EventName, WebhookType] = MappingProxyType(
    {
        EventName.SUBMITTED: WebhookType.SUBMITTED,
        EventName.ASSIGNED: WebhookType.ASSIGNED,
        EventName.REASSIGNED: WebhookType.ASSIGNED,
        EventName.ACCEPTED: WebhookType.ACCEPTED,
        EventName.TRANSFERRED: WebhookType.TRANSFERRED,
        EventName.RETURNED_TO_REQUESTER: WebhookType.RETURNED,
        EventName.RETURNED_TO_DISPATCH: WebhookType.RETURNED,
        EventName.RESUBMITTED: WebhookType.RESUBMITTED,
        EventName.INFORMATION_REQUESTED: WebhookType.INFORMATION_REQUESTED,
        EventName.INFORMATION_ANSWERED: WebhookType.INFORMATION_ANSWERED,
        EventName.DISPATCH_OVERDUE: WebhookType.OVERDUE,
        EventName.REPORT_OVERDUE: WebhookType.OVERDUE,
        EventName.FOLLOW_UP_OVERDUE: WebhookType.OVERDUE,
        EventName.PRELIMINARY_REPORT_ISSUED: WebhookType.REPORTED,
        EventName.FINAL_REPORT_ISSUED: WebhookType.REPORTED,
        EventName.ADDENDUM_ISSUED: WebhookType.ADDENDUM_ADDED,
        EventName.ACKNOWLEDGED: WebhookType.ACKNOWLEDGED,
        EventName.CLOSED_UNACKNOWLEDGED: WebhookType.CLOSED,
        EventName.CANCELLED: WebhookType.CANCELLED,
        EventName.ABANDONED: WebhookType.ABANDONED,
    }
)

WITH_DOCUMENT = frozenset(
    {EventName.PRELIMINARY_REPORT_ISSUED, EventName.FINAL_REPORT_ISSUED, EventName.ADDENDUM_ISSUED}
)
"""With these events there is a signed document more."""


def told_as(name: EventName) -> tuple[WebhookType, ...]:
    """The messages that tell an event of a request."""
    first = _TOLD_AS.get(name, WebhookType.UPDATED)
    return (first, WebhookType.DOCUMENT_READY) if name in WITH_DOCUMENT else (first,)


class EndpointState(StrEnum):
    """Whether messages go to an endpoint."""

    UNVERIFIED = "unverified"  # nobody there has answered a challenge yet
    ACTIVE = "active"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """Why nothing goes to an endpoint any more."""

    BY_HAND = "by_hand"
    GONE = "gone"  # it said so (410)
    FAILING = "failing"  # for so long that nobody seems to look after it
    NO_HANDSHAKE = "no_handshake"  # a Subscription's endpoint has not taken the first notification
    EVENT_LOST = "event_lost"  # a Subscription could not be told of one event
    NOT_BEGUN_ANEW = "not_begun_anew"  # a Subscription's system has left it in error for a month
    BY_SYSTEM = "by_system"  # the system whose Subscription it is
    OVER = "over"  # its end has come
    SYSTEM_ENDED = "system_ended"  # the service account was locked, expired, or has lost what it takes


class DeliveryState(StrEnum):
    """What became of a message at one endpoint."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"  # when it was to go, the clinic did not see the request any more


MOST_ENDPOINTS = 10
"""Of one clinic, those included that are disabled."""

MOST_AT_ONCE = 2
"""So many calls are under way to one endpoint."""

PATIENCE = timedelta(seconds=15)
"""For a whole call, from the look-up of its name to the last byte that is read."""

MOST_READ = 4_096
"""Bytes of an answer that are read."""

PAUSES = (
    *(timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30)),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
)
"""How long it is waited after each try that failed, some three days together; after the try that follows, it is over."""

JITTER = 0.2
"""By this share a pause is longer or shorter, so that what failed together does not come back together."""

LONGEST_PAUSE = timedelta(hours=24)
"""As long as an endpoint may ask for by `Retry-After`."""

GIVEN_UP_AFTER = timedelta(days=5)
"""An endpoint at which every call has failed for so long is disabled."""

OLDER_SECRET_LASTS = timedelta(hours=24)
"""So long after a rotation, calls are signed with the secret before as well."""

KEPT_FOR = timedelta(days=30)
"""So long what a delivered message said is kept, and what became of each try."""

SECRET_BYTES = 32
SECRET_PREFIX = "whsec_"  # noqa: S105 - how every secret begins

_SLOWED_BY = frozenset({429, 502, 503, 504})
_GONE = 410


@dataclass(frozen=True)
class Tried:
    """What one call gave: the status of the answer, or why there was none."""

    at: datetime
    status: int | None = None
    retry_after: str | None = None
    error: str | None = None

    @property
    def was_taken(self) -> bool:
        return self.error is None and self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class Verdict:
    """What follows from a call: the delivery's state, when it is tried again, until when the endpoint is left alone, and whether
    it wants no more calls at all.
    """

    state: DeliveryState
    next_attempt: datetime | None = None
    paused_until: datetime | None = None
    is_gone: bool = False


def judge(tried: Tried, tries_before: int, chance: float) -> Verdict:
    """What follows from a call after `tries_before` others of the same message; `chance` from 0 to 1 makes the pause vary."""
    if tried.was_taken:
        return Verdict(DeliveryState.DELIVERED)
    if tried.status == _GONE:
        return Verdict(DeliveryState.FAILED, is_gone=True)
    pause = PAUSES[min(tries_before, len(PAUSES) - 1)] * (1 + JITTER * (2 * chance - 1))
    paused_until = None
    if tried.status in _SLOWED_BY:
        pause = max(pause, asked_pause(tried.retry_after, tried.at))
        paused_until = tried.at + pause
    if tries_before >= len(PAUSES):
        return Verdict(DeliveryState.FAILED, paused_until=paused_until)
    return Verdict(DeliveryState.PENDING, tried.at + pause, paused_until)


def asked_pause(retry_after: str | None, now: datetime) -> timedelta:
    """How long an endpoint asks to be left alone, a day at most: by seconds or by a date; none where it says nothing that makes
    sense (RFC 9110, 10.2.3).
    """
    said = (retry_after or "").strip()
    if said.isascii() and said.isdecimal():
        asked = LONGEST_PAUSE if len(said) > 9 else timedelta(seconds=int(said))
    else:
        try:
            until = parsedate_to_datetime(said)
            asked = (until if until.tzinfo else until.replace(tzinfo=UTC)) - now
        except (TypeError, ValueError, OverflowError, IndexError):
            return timedelta()
    return max(timedelta(), min(asked, LONGEST_PAUSE))


def is_given_up(failing_since: datetime | None, now: datetime) -> bool:
    """Whether an endpoint has failed for too long."""
    return failing_since is not None and now - failing_since >= GIVEN_UP_AFTER


def secret_text(secret: bytes) -> str:
    """The secret as its receiver keeps it."""
    return SECRET_PREFIX + b64encode(secret).decode()


def secret_bytes(text: str) -> bytes:
    """The secret of that text."""
    return b64decode(text.removeprefix(SECRET_PREFIX))


def signature(secrets: Iterable[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The header ``webhook-signature``: an entry of the scheme v1 for each secret. `timestamp` in seconds, of the call."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(f"v1,{b64encode(hmac.digest(secret, signed, sha256)).decode()}" for secret in secrets)
