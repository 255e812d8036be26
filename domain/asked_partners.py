"""What a partner is sent that performs: to whose clinic requests are given, as to any other, and go from there by messages.

It is asked when its clinic is given a request, told what the requester says while it has it, and told when it is to do nothing
any more. See docs/decisions/asking-partners.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from domain.events import Event
from domain.messages import MessageEvent
from domain.requests import EventName, Holder, HolderKind, Person, Request, Status

MOVES = frozenset(
    {
        EventName.SUBMITTED,
        EventName.RESUBMITTED,
        EventName.ASSIGNED,
        EventName.REASSIGNED,
        EventName.ACCEPTED,
        EventName.TRANSFERRED,
        EventName.TAKEN_BACK,
        EventName.ACCEPTANCE_EXPIRED,
        EventName.RETURNED_TO_REQUESTER,
        EventName.RETURNED_TO_DISPATCH,
        EventName.CANCELLED,
        EventName.ABANDONED,
    }
)
"""With which a request may come to a clinic, or be taken from it."""

_SAID: Mapping[EventName, MessageEvent] = MappingProxyType(
    {
        EventName.RESUBMITTED: MessageEvent.UPDATE_REQUEST,
        EventName.PRIORITY_CHANGED: MessageEvent.UPDATE_REQUEST,
        EventName.INFORMATION_ANSWERED: MessageEvent.SAID_BY_REQUESTER,
        EventName.INFORMATION_ADDED: MessageEvent.SAID_BY_REQUESTER,
        EventName.WORSENING_REPORTED: MessageEvent.SAID_BY_REQUESTER,
        EventName.FOLLOW_UP_ASKED: MessageEvent.SAID_BY_REQUESTER,
    }
)
"""What is said to who has the request, or has answered it."""

ASKS = frozenset({MessageEvent.ADD_REQUEST, MessageEvent.UPDATE_REQUEST, MessageEvent.SAID_BY_REQUESTER})
"""What holds something of the patient, and goes to nobody who has the request no more."""

SENT = ASKS | {MessageEvent.REVOKE_REQUEST}
"""All that a partner is sent as the performer of a request."""

PARTS: Mapping[MessageEvent, int] = MappingProxyType(
    {
        MessageEvent.REVOKE_REQUEST: 2,
        MessageEvent.ADD_REQUEST: 3,
        MessageEvent.UPDATE_REQUEST: 3,
        MessageEvent.SAID_BY_REQUESTER: 3,
    }
)
"""The places among the messages of an event, after those that tell whoever has sent the request (`domain.told_partners`)."""


@dataclass(frozen=True)
class Asked:
    """What a partner is sent because of an event."""

    partner_id: UUID
    message: MessageEvent


def clinics_concerned(event: Event, request: Request) -> frozenset[UUID]:
    """The clinics whose partners may have to be sent something; none for most events."""
    if event.name not in MOVES and event.name not in _SAID:
        return frozenset()
    return frozenset(at.clinic_id for at in (_had_it(event, request), _has_it(request)) if at)


def asked_because(event: Event, request: Request, performing: Mapping[UUID, UUID]) -> Iterator[Asked]:
    """What partners are sent: who must do nothing more is told so before anybody is asked.

    `performing` are the partners by the clinics for which they answer. What one person of such a clinic is given stays here.
    """
    had, has = _partner(_had_it(event, request), performing), _partner(_has_it(request), performing)
    if had == has:
        if has is not None and event.name in _SAID:
            yield Asked(has, _SAID[event.name])
        return
    if event.name not in MOVES:
        return
    if had is not None:
        yield Asked(had, MessageEvent.REVOKE_REQUEST)
    if has is not None:
        yield Asked(has, MessageEvent.ADD_REQUEST)


def is_with(request: Request, clinic_id: UUID, partner_id: UUID) -> bool:
    """Whether a request is with that partner of a clinic: it has it, gave it back to be submitted again, or has answered it."""
    return _partner(_has_it(request), {clinic_id: partner_id}) == partner_id


@dataclass(frozen=True)
class _At:
    """A clinic, and who of it; None of its pool, which is everybody's and so the partner's."""

    clinic_id: UUID
    account_id: UUID | None


def _partner(at: _At | None, performing: Mapping[UUID, UUID]) -> UUID | None:
    partner_id = performing.get(at.clinic_id) if at else None
    return partner_id if at is not None and at.account_id in (None, partner_id) else None


def _has_it(request: Request) -> _At | None:
    """Who has a request, gave it back to be submitted again, or has answered it; None while nobody outside dispatch does."""
    if request.status is Status.RETURNED:
        return _person(request.returned_by)
    if request.status in (Status.REPORTED, Status.CLOSED) and request.final_report is not None:
        return _person(request.final_report.signer)
    return _holder(request.holder)


def _had_it(event: Event, request: Request) -> _At | None:
    """The same before an event, after which the request is this one."""
    if event.status_before is Status.RETURNED:
        return _person(request.returned_by)
    if event.status_before in (Status.REPORTED, Status.CLOSED):
        return _has_it(request)
    return _holder(event.holder_before)


def _person(person: Person | None) -> _At | None:
    return _At(person.clinic_id, person.id) if person else None


def _holder(holder: Holder) -> _At | None:
    if holder.kind not in (HolderKind.PROVIDER, HolderKind.POOL) or holder.clinic_id is None:
        return None
    return _At(holder.clinic_id, holder.id)
