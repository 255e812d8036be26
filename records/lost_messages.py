"""Messages between Relais and partners' systems that did not arrive, or were not done: who is told of them, and who sees them.

One is lost while it says so, and as good as lost while it waits although it was tried: what is sent again is not, until that was
tried in vain as well; what a partner sent that could not be done is until something that it sent later was that says as much.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, String, and_, cast, exists, func, or_, select, text, union_all, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.asked_partners import SENT
from domain.messages import FROM_PERFORMERS, MessageEvent
from domain.priority import Priority
from domain.requests import EventName, Role, Status
from domain.told_partners import BY_MESSAGE, NOT_READY, MessageState
from domain.webhooks import EndpointState
from records.models import EventRecord, PartnerEndpoint, PartnerMessage, RequestRecord, ToldMessage
from records.sealed import unread
from records.visibility import Viewer, charts_of

SHOWN_FOR = timedelta(days=30)
"""So long what was lost is shown, and people are told of it."""

MOST_SHOWN = 500
MOST_COUNTED = 100

SILENT_AFTER = timedelta(hours=1)
"""A message that waits for so long although it was tried, or should have gone, is shown, and told of; what must not wait, from
the first try on, and as soon as its partner wants to be left alone."""

TOLD_AGAIN_AFTER = timedelta(hours=12)
"""Of one request, so long nobody is told once more of messages of a kind: a system that tries again and again fills no mailbox.
What is not told meanwhile is told then, unless it is mended."""

STILL_SILENT_AFTER = timedelta(hours=24)
"""As long as a message waits, people are told of it once more each time that this is over."""

_OF_REQUESTER = frozenset({MessageEvent.UPDATE_REQUEST, MessageEvent.SAID_BY_REQUESTER})
"""What of all that is sent to who answers says something in the requester's name."""

_IS_LOST = text("told_messages.state IN ('refused', 'failed')")
_IS_PENDING = text("told_messages.state = 'pending'")
_IS_ITS_REQUEST = RequestRecord.id == ToldMessage.request_id
_IS_NOT_DONE = and_(PartnerMessage.problem.is_not(None), PartnerMessage.request_id.is_not(None))
"""As the partial indexes of these few have it: written out, because they are found by their own words alone."""

_IS_UNTOLD = text("(told_messages.people_told_at IS NULL OR told_messages.people_told_at < told_messages.settled_at)")
"""Nobody was told since it was lost last: what is sent again keeps when people were told of it before."""

_STEPS = (MessageEvent.ADD_PROCESS.value, MessageEvent.UPDATE_PROCESS.value)
"""By both of which it is told what became of a Task."""

_CHANGES_NOTHING = ("reference_taken",)
"""Problems of what need not be done: the request is there already."""


@dataclass(frozen=True)
class Lost:
    """A message that was lost. `is_ours`: Relais was to send it; else the partner's system sent it. `why` is FHIR's code of the
    answer, or ours of what stood in the way; `state` what became of one of ours, `pending` of one that still waits.
    """

    id: uuid.UUID
    request_id: uuid.UUID
    number: str
    partner_id: uuid.UUID
    event: MessageEvent
    at: datetime
    is_ours: bool
    state: MessageState
    why: str | None


@dataclass(frozen=True)
class Untold:
    """A request of which something was lost that is to be told now: messages of ours (`sent`) and of theirs (`came`), of these
    partners. `is_requesters` where it concerns its requester: something that they said, or that their clinic's system was to hear
    or has said.
    """

    row: RequestRecord
    sent: tuple[uuid.UUID, ...]
    came: tuple[uuid.UUID, ...]
    partner_ids: frozenset[uuid.UUID]
    is_requesters: bool


@dataclass(frozen=True)
class _Untold:
    """One such message. `must_not_wait`: that it gets worse, that it is urgent, or that somebody is to do nothing more."""

    id: uuid.UUID
    partner_id: uuid.UUID
    event: MessageEvent
    is_ours: bool
    must_not_wait: bool

    @property
    def kind(self) -> tuple[bool, MessageEvent]:
        return self.is_ours, self.event

    @property
    def is_requesters(self) -> bool:
        if self.is_ours:
            return self.event in _OF_REQUESTER or self.event not in SENT
        return self.event not in FROM_PERFORMERS


async def list_untold(
    session: AsyncSession, limit: int, now: datetime, after: uuid.UUID | None = None
) -> Sequence[uuid.UUID]:
    """A page of the requests of which something was lost, or is as good as lost, that nobody was told of, by their ids."""
    lost = select(ToldMessage.request_id).where(_is_lost_untold(now))
    silent = select(ToldMessage.request_id).join(RequestRecord, _IS_ITS_REQUEST).where(_is_silent_untold(now))
    theirs = select(PartnerMessage.request_id).where(_is_not_done_untold(now))
    of_all = union_all(lost, silent, theirs).subquery()
    query = select(of_all.c.request_id).distinct().order_by(of_all.c.request_id).limit(limit)
    if after is not None:
        query = query.where(of_all.c.request_id > after)
    return (await session.scalars(query)).all()


async def untold_of(session: AsyncSession, request_id: uuid.UUID, now: datetime) -> Untold | None:
    """What is to be told of a request now, which is locked; None where there is nothing.

    What is of a kind of which people were told lately is left for later, unless it must not wait.
    """
    of_request = select(RequestRecord).where(RequestRecord.id == request_id).options(*unread(RequestRecord))
    row = await session.scalar(of_request.with_for_update(key_share=True))
    if row is None or row.status is Status.DRAFT:
        return None
    lately = await _told_lately(session, request_id, now)
    found = [*await _sent_untold(session, request_id, now), *await _came_untold(session, request_id, now)]
    now_told = [one for one in found if one.must_not_wait or one.kind not in lately]
    if not now_told:
        return None
    return Untold(
        row,
        sent=tuple(one.id for one in now_told if one.is_ours),
        came=tuple(one.id for one in now_told if not one.is_ours),
        partner_ids=frozenset(one.partner_id for one in now_told),
        is_requesters=any(one.is_requesters for one in now_told),
    )


async def mark_told(session: AsyncSession, untold: Untold, now: datetime) -> None:
    """People are told of these now."""
    sent = update(ToldMessage).where(ToldMessage.id.in_(untold.sent)).values(people_told_at=now)
    came = update(PartnerMessage).where(PartnerMessage.id.in_(untold.came)).values(people_told_at=now)
    for told in (sent, came):
        await session.execute(told, execution_options={"synchronize_session": False})


async def _sent_untold(session: AsyncSession, request_id: uuid.UUID, now: datetime) -> list[_Untold]:
    query = (
        select(ToldMessage.id, ToldMessage.partner_id, ToldMessage.event, _must_not_wait())
        .select_from(ToldMessage)
        .join(RequestRecord, _IS_ITS_REQUEST)
        .where(ToldMessage.request_id == request_id, or_(_is_lost_untold(now), _is_silent_untold(now)))
        .order_by(ToldMessage.id)
    )
    found = await session.execute(query)
    return [_Untold(id_, partner_id, event, True, bool(hurries)) for id_, partner_id, event, hurries in found]


async def _came_untold(session: AsyncSession, request_id: uuid.UUID, now: datetime) -> list[_Untold]:
    query = (
        select(PartnerMessage.id, PartnerMessage.partner_id, PartnerMessage.event)
        .where(PartnerMessage.request_id == request_id, _is_not_done_untold(now))
        .order_by(PartnerMessage.id)
    )
    found = [(id_, partner_id, MessageEvent(str(event))) for id_, partner_id, event in await session.execute(query)]
    return [_Untold(*one, False, one[2] is MessageEvent.REVOKE_REQUEST) for one in found]


async def _told_lately(session: AsyncSession, request_id: uuid.UUID, now: datetime) -> set[tuple[bool, MessageEvent]]:
    """The kinds of messages of a request of which people were told lately."""
    since = now - TOLD_AGAIN_AFTER
    sent = select(ToldMessage.event).where(ToldMessage.request_id == request_id, ToldMessage.people_told_at > since)
    came = select(PartnerMessage.event).where(
        PartnerMessage.request_id == request_id, PartnerMessage.people_told_at > since
    )
    kinds = {(True, event) for event in await session.scalars(sent)}
    return kinds | {(False, MessageEvent(str(event))) for event in await session.scalars(came)}


def _is_lost(now: datetime) -> ColumnElement[bool]:
    """Of rows of `ToldMessage`: whether it was lost, and not long ago."""
    return and_(_IS_LOST, ToldMessage.settled_at >= now - SHOWN_FOR)


def _is_lost_untold(now: datetime) -> ColumnElement[bool]:
    return and_(_is_lost(now), _IS_UNTOLD)


def _is_silent_untold(now: datetime) -> ColumnElement[bool]:
    """Of rows of `ToldMessage` beside their requests."""
    told_at = ToldMessage.people_told_at
    return and_(_is_silent(now), or_(told_at.is_(None), told_at < now - STILL_SILENT_AFTER))


def _is_not_done_untold(now: datetime) -> ColumnElement[bool]:
    """What was mended before anybody was told is told to nobody."""
    return and_(_is_not_done(now), PartnerMessage.people_told_at.is_(None))


def _is_not_done(now: datetime) -> ColumnElement[bool]:
    """Of rows of `PartnerMessage`: whether it could not be done, not long ago, and was not mended since."""
    return and_(
        _IS_NOT_DONE,
        PartnerMessage.answered_at >= now - SHOWN_FOR,
        PartnerMessage.problem.not_in(_CHANGES_NOTHING),
        ~_was_done_since(),
    )


def _is_silent(now: datetime) -> ColumnElement[bool]:
    """Of rows of `ToldMessage` beside their requests: whether it waits although it, or what it waits behind, was tried, or its
    partner wants to be left alone, or its files are not ready; or should have gone, whatever keeps it; for so long that people
    must know.
    """
    is_old, is_due = ToldMessage.at < now - SILENT_AFTER, ToldMessage.next_attempt < now - SILENT_AFTER
    is_kept = or_(_was_tried(), _is_paused(now))
    return and_(_IS_PENDING, or_(is_due, and_(is_old, or_(is_kept, _is_unready())), and_(_must_not_wait(), is_kept)))


def _was_tried() -> ColumnElement[bool]:
    """Whether it, or what it waits behind, was tried."""
    tried = aliased(ToldMessage)
    nobody_hears = exists().where(
        PartnerEndpoint.account_id == tried.partner_id, PartnerEndpoint.failing_since.is_not(None)
    )
    return exists().where(
        tried.partner_id == ToldMessage.partner_id,
        tried.state == MessageState.PENDING,
        tried.attempts > 0,
        or_(tried.request_id == ToldMessage.request_id, nobody_hears),
    )


def _is_paused(now: datetime) -> ColumnElement[bool]:
    return exists().where(
        PartnerEndpoint.account_id == ToldMessage.partner_id,
        PartnerEndpoint.state != EndpointState.DISABLED,
        PartnerEndpoint.paused_until > now,
    )


def _is_unready() -> ColumnElement[bool]:
    """Whether it, or what it waits behind, waits for its files."""
    unready = aliased(ToldMessage)
    return exists().where(
        unready.request_id == ToldMessage.request_id,
        unready.partner_id == ToldMessage.partner_id,
        unready.state == MessageState.PENDING,
        unready.last_error == NOT_READY,
    )


def _must_not_wait() -> ColumnElement[bool]:
    """Of rows of `ToldMessage` beside their requests."""
    worse = exists().where(
        EventRecord.request_id == ToldMessage.request_id,
        EventRecord.version == ToldMessage.sequence,
        EventRecord.name == EventName.WORSENING_REPORTED,
    )
    is_urgent = RequestRecord.priority != Priority.ROUTINE
    return or_(ToldMessage.event == MessageEvent.REVOKE_REQUEST, is_urgent, worse)


async def list_lost(session: AsyncSession, viewer: Viewer, now: datetime) -> list[Lost]:
    """What was lost of the requests that the viewer asked for, or whose clinic dispatches them, and sees; the newest first."""
    ours = (
        select(ToldMessage, RequestRecord.number)
        .join(RequestRecord, _IS_ITS_REQUEST)
        .where(_sent_and_shown(viewer, now))
        .order_by(func.coalesce(ToldMessage.settled_at, ToldMessage.at).desc())
        .limit(MOST_SHOWN)
    )
    theirs = (
        select(PartnerMessage, RequestRecord.id, RequestRecord.number)
        .join(RequestRecord, RequestRecord.id == PartnerMessage.request_id)
        .where(_came_and_shown(viewer, now))
        .order_by(PartnerMessage.answered_at.desc())
        .limit(MOST_SHOWN)
        .options(*unread(PartnerMessage))
    )
    found = [_ours(message, number) for message, number in await session.execute(ours)]
    found += [_theirs(message, id_, number) for message, id_, number in await session.execute(theirs)]
    return sorted(found, key=lambda one: one.at, reverse=True)[:MOST_SHOWN]


async def count_lost(session: AsyncSession, viewer: Viewer, now: datetime) -> int:
    """How many there are; `MOST_COUNTED` where there are as many or more."""
    ours = (
        select(ToldMessage.id)
        .join(RequestRecord, _IS_ITS_REQUEST)
        .where(_sent_and_shown(viewer, now))
        .limit(MOST_COUNTED)
    )
    theirs = (
        select(PartnerMessage.id)
        .join(RequestRecord, RequestRecord.id == PartnerMessage.request_id)
        .where(_came_and_shown(viewer, now))
        .limit(MOST_COUNTED)
    )
    of_both = union_all(select(ours.subquery()), select(theirs.subquery())).subquery()
    count = await session.scalar(select(func.count()).select_from(of_both)) or 0
    return min(count, MOST_COUNTED)


def _sent_and_shown(viewer: Viewer, now: datetime) -> ColumnElement[bool]:
    """Of rows of `ToldMessage` beside their requests."""
    return and_(or_(_is_lost(now), _is_silent(now)), _are_told(viewer))


def _came_and_shown(viewer: Viewer, now: datetime) -> ColumnElement[bool]:
    """Of rows of `PartnerMessage` beside their requests."""
    return and_(_is_not_done(now), _are_told(viewer))


def _are_told(viewer: Viewer) -> ColumnElement[bool]:
    parties = [RequestRecord.requester_id == viewer.account_id]
    if viewer.roles & {Role.DISPATCHER, Role.CLINIC_ADMINISTRATOR}:
        parties.append(RequestRecord.dispatch_clinic_id == viewer.clinic_id)
    return and_(or_(*parties), RequestRecord.status != Status.DRAFT, charts_of(viewer))


def _was_done_since() -> ColumnElement[bool]:
    """Whether the partner has sent later what says as much, and it gave a command: where a report was lost, with a report."""
    later = aliased(PartnerMessage)
    id_ = func.concat(BY_MESSAGE, cast(later.partner_id, String), ":", later.message_id)
    gave_one = exists().where(
        EventRecord.request_id == later.request_id,
        or_(EventRecord.command_id == id_, func.starts_with(EventRecord.command_id, func.concat(id_, ":"))),
    )
    return exists().where(
        later.request_id == PartnerMessage.request_id,
        later.partner_id == PartnerMessage.partner_id,
        or_(later.event == PartnerMessage.event, and_(later.event.in_(_STEPS), PartnerMessage.event.in_(_STEPS))),
        or_(later.has_report, ~PartnerMessage.has_report),
        later.answered_at > PartnerMessage.answered_at,
        later.problem.is_(None),
        ~later.refused,
        gave_one,
    )


def _ours(message: ToldMessage, number: str) -> Lost:
    return Lost(
        id=message.id,
        request_id=message.request_id,
        number=number,
        partner_id=message.partner_id,
        event=message.event,
        at=message.settled_at or message.at,
        is_ours=True,
        state=message.state,
        why=message.answered or message.last_error,
    )


def _theirs(message: PartnerMessage, request_id: uuid.UUID, number: str) -> Lost:
    return Lost(
        id=message.id,
        request_id=request_id,
        number=number,
        partner_id=message.partner_id,
        event=MessageEvent(str(message.event)),
        at=message.answered_at or message.received_at,
        is_ours=False,
        state=MessageState.REFUSED,
        why=message.problem,
    )
