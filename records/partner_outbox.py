"""Messages to partners about requests of theirs, or that they are asked, written in the transaction of what they tell, and where
each partner hears them.

Nothing of a patient stands here: what a message says is made when it goes. How messages go out is in `records.partner_queue`.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, CursorResult, case, exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.asked_partners import ASKS, MOVES, PARTS, SENT, Asked, asked_because, clinics_concerned
from domain.events import Event
from domain.lifecycle import TAKEN_BACK_WITHIN
from domain.messages import MessageEvent
from domain.requests import EventName, HolderKind, Request, Status
from domain.told_partners import MessageState, is_by_partner, is_of_partner, messages_of
from domain.webhooks import DisabledReason, EndpointState
from records import partners
from records.ids import new_id
from records.models import (
    Account,
    Clinic,
    EventRecord,
    Partner,
    PartnerEndpoint,
    RequestRecord,
    ServiceAccount,
    ToldMessage,
    table_of,
)

CHANNEL = "relais_told_messages"
"""The channel on which senders hear that there is something to send."""

REPLAYED = frozenset({MessageState.FAILED, MessageState.REFUSED, MessageState.DROPPED})
"""What somebody can send once more."""

HELD_FOR = TAKEN_BACK_WITHIN + timedelta(seconds=1)
"""So long nobody is asked: whoever has given the request there may take that back."""

_MESSAGES = table_of(ToldMessage)
_TELL = text(f"SELECT pg_notify('{CHANNEL}', '')")


# The outbox


async def tell_event(session: AsyncSession, row: RequestRecord, event: Event) -> None:
    """Write down what the partner is told of a new event that has made the request by a message, in the event's transaction.

    What failed before of the request, because nobody answered, goes before it: a partner hears all of it, in its order. Where
    nothing goes any more, it has failed. Whether the partner may be told is asked when it goes.
    """
    partner_id = row.system_id
    if partner_id is None or event.status is Status.DRAFT or not is_of_partner(row.creation_key, partner_id):
        return
    said = messages_of(event.name, event.command.id, partner_id)
    state = await _state_of(session, partner_id) if said else None
    if state is None:
        return
    await _write(session, row, event, partner_id, state, dict(enumerate(said)))


async def ask_event(session: AsyncSession, row: RequestRecord, event: Event, request: Request) -> None:
    """Write down what partners that perform are sent because of a new event, in the event's transaction.

    What waits for one that is to do nothing more does not go any more, and it is told so only where it may know of the request.
    What a partner has said itself, it is not told.
    """
    performing = await _performing(session, event, request)
    for asked in asked_because(event, request, performing):
        if is_by_partner(event.command.id, asked.partner_id):
            if asked.message is MessageEvent.REVOKE_REQUEST:
                await _drop_asks(session, asked.partner_id, event)
        else:
            await _ask(session, row, event, asked)


async def _performing(session: AsyncSession, event: Event, request: Request) -> Mapping[uuid.UUID, uuid.UUID]:
    """The partners that an event may concern, by their clinics. What is asked about a report goes to who has written it, whether
    it still performs or not.
    """
    report = request.final_report
    if event.name is EventName.FOLLOW_UP_ASKED and report is not None:
        partner = await session.get(Partner, report.signer.id)
        return {report.signer.clinic_id: partner.account_id} if partner is not None else {}
    clinics = clinics_concerned(event, request)
    if not clinics:
        return {}
    if request.holder.kind is HolderKind.POOL and request.holder.clinic_id is not None:
        await _keep_who_performs(session, request.holder.clinic_id)
    return await partners.performing(session, clinics)


async def _keep_who_performs(session: AsyncSession, clinic_id: uuid.UUID) -> None:
    """Nobody says meanwhile that a partner answers for that clinic: a request that comes to it goes there, or is seen by who says
    so (`partners.other_performs`). Clinics without systems are not looked at.
    """
    has_system = exists().where(ServiceAccount.account_id == Account.id, Account.clinic_id == Clinic.id)
    await session.execute(select(Clinic.id).where(Clinic.id == clinic_id, has_system).with_for_update(read=True))


async def _ask(session: AsyncSession, row: RequestRecord, event: Event, asked: Asked) -> None:
    partner_id = asked.partner_id
    state = await _state_of(session, partner_id)
    if state is None:
        return
    is_asked = await _is_asked(session, partner_id, event.request_id)
    if asked.message is not MessageEvent.ADD_REQUEST and not is_asked:
        return  # what it does not know of changes nothing there, nor is it over once more
    if asked.message in (MessageEvent.ADD_REQUEST, MessageEvent.REVOKE_REQUEST):
        await _drop_asks(session, partner_id, event)
    if asked.message is MessageEvent.REVOKE_REQUEST and not await _has_newest_order(
        session, partner_id, event.request_id
    ):
        return
    await _write(session, row, event, partner_id, state, {PARTS[asked.message]: asked.message})


async def _drop_asks(session: AsyncSession, partner_id: uuid.UUID, event: Event) -> None:
    """What waits or has failed of the order before does not go any more, and what comes next waits for none of it."""
    drop = update(ToldMessage).where(
        *_of(partner_id, event.request_id),
        ToldMessage.event.in_(ASKS),
        ToldMessage.sequence < event.version,
        ToldMessage.state.in_((MessageState.PENDING, MessageState.FAILED)),
    )
    dropped = drop.values(state=MessageState.DROPPED, settled_at=event.at)
    await session.execute(dropped, execution_options={"synchronize_session": False})


async def _has_newest_order(session: AsyncSession, partner_id: uuid.UUID, request_id: uuid.UUID) -> bool:
    """Whether the order written down last has gone there: of one before, the partner was told already that it is over."""
    newest = select(func.max(ToldMessage.sequence)).where(
        *_of(partner_id, request_id),
        ToldMessage.event == MessageEvent.ADD_REQUEST,
    )
    given = await giving_of(session, partner_id, request_id)
    return given is not None and given == await session.scalar(newest)


async def left_unasked(
    session: AsyncSession, request_id: uuid.UUID | None = None
) -> Sequence[tuple[uuid.UUID, uuid.UUID]]:
    """Requests in pools of clinics for which a partner answers, each with that partner, where it was not asked since they came;
    or that request alone, if it is one.

    So it is of what came there under the version before, while somebody said that the partner answers; and of what was shut to
    it when it was to go, where the restriction has ended since.
    """
    came = select(func.max(EventRecord.version)).where(
        EventRecord.request_id == RequestRecord.id, EventRecord.name.in_([one.value for one in MOVES])
    )
    is_asked = (
        exists()
        .where(
            ToldMessage.request_id == RequestRecord.id,
            ToldMessage.partner_id == Partner.account_id,
            ToldMessage.event.in_((MessageEvent.ADD_REQUEST, MessageEvent.UPDATE_REQUEST)),
            ToldMessage.sequence >= came.correlate(RequestRecord).scalar_subquery(),
            ToldMessage.state != MessageState.DROPPED,
        )
        .correlate(RequestRecord, Partner)
    )
    query = (
        select(RequestRecord.id, Partner.account_id)
        .join(Account, Account.clinic_id == RequestRecord.holder_clinic_id)
        .join(Partner, Partner.account_id == Account.id)
        .join(PartnerEndpoint, PartnerEndpoint.account_id == Partner.account_id)
        .where(Partner.performs, RequestRecord.holder_kind == HolderKind.POOL, ~is_asked)
    )
    if request_id is not None:
        query = query.where(RequestRecord.id == request_id)
    return [(row[0], row[1]) for row in await session.execute(query.order_by(RequestRecord.id))]


async def ask_now(
    session: AsyncSession, row: RequestRecord, partner_id: uuid.UUID, events: Sequence[EventRecord]
) -> None:
    """Ask the partner for a request that is with it, and was locked, as it is after all that has happened to it; what was dropped
    since it came there goes after all.
    """
    came = max((one.version for one in events if one.name in MOVES), default=0)
    dropped = select(ToldMessage.id).where(
        *_of(partner_id, row.id),
        ToldMessage.event.in_(ASKS),
        ToldMessage.state == MessageState.DROPPED,
        ToldMessage.sequence >= came,
    )
    if await session.scalar(dropped.limit(1)) is not None:
        await _send_again(session, partner_id, ToldMessage.id.in_(dropped))
        await session.execute(_TELL)
        return
    state = await _state_of(session, partner_id)
    if state is not None:
        place = {PARTS[MessageEvent.ADD_REQUEST]: MessageEvent.ADD_REQUEST}
        await _write(session, row, events[-1], partner_id, state, place)


def _of(partner_id: uuid.UUID, request_id: uuid.UUID) -> tuple[ColumnElement[bool], ...]:
    """Of rows of `ToldMessage`: what that partner was, or is to be, told about that request."""
    return ToldMessage.partner_id == partner_id, ToldMessage.request_id == request_id


async def _is_asked(session: AsyncSession, partner_id: uuid.UUID, request_id: uuid.UUID) -> bool:
    """Whether the last that was written down is that the partner is asked, and not that this is over."""
    query = select(ToldMessage.event).where(
        *_of(partner_id, request_id),
        ToldMessage.event.in_((MessageEvent.ADD_REQUEST, MessageEvent.REVOKE_REQUEST)),
    )
    newest = query.order_by(ToldMessage.sequence.desc(), ToldMessage.part.desc()).limit(1)
    return await session.scalar(newest) is MessageEvent.ADD_REQUEST


async def _write(
    session: AsyncSession,
    row: RequestRecord,
    event: Event | EventRecord,
    partner_id: uuid.UUID,
    state: EndpointState,
    said: Mapping[int, MessageEvent],
) -> None:
    """The messages of an event to one partner, by their places."""
    is_off = state is EndpointState.DISABLED
    message = {
        "partner_id": partner_id,
        "request_id": event.request_id,
        "sequence": event.version,
        "version": event.version + row.edits,
        "at": event.at,
        "state": MessageState.FAILED if is_off else MessageState.PENDING,
        "settled_at": event.at if is_off else None,
    }
    rows = [
        {**message, "id": new_id(), "part": part, "event": one, "next_attempt": func.now() + _held(one)}
        for part, one in said.items()
    ]
    await session.execute(insert(_MESSAGES).values(rows))
    if not is_off:
        of_request = ToldMessage.request_id == event.request_id, ToldMessage.state == MessageState.FAILED
        await _send_again(session, partner_id, *of_request)
        await session.execute(_TELL)


def _held(message: MessageEvent) -> timedelta:
    """How long it waits first: what asks has the whole chart in it, and can't be called back."""
    return HELD_FOR if message is MessageEvent.ADD_REQUEST else timedelta()


async def giving_of(
    session: AsyncSession, partner_id: uuid.UUID, request_id: uuid.UUID, *, before: int | None = None
) -> int | None:
    """With which event the partner was asked last for that request, as far as that has gone there; or `before` another event.

    None where nothing has.
    """
    gone = select(ToldMessage.sequence).where(
        *_of(partner_id, request_id),
        ToldMessage.event == MessageEvent.ADD_REQUEST,
        ToldMessage.told_to.is_not(None),
    )
    if before is not None:
        gone = gone.where(ToldMessage.sequence < before)
    return await session.scalar(gone.order_by(ToldMessage.sequence.desc()).limit(1))


async def is_order_over(session: AsyncSession, partner_id: uuid.UUID, request_id: uuid.UUID, sequence: int) -> bool:
    """Whether the order of that event is over: the partner is told so since, or asked anew, whether that has gone yet or not."""
    later = select(ToldMessage.id).where(
        *_of(partner_id, request_id),
        ToldMessage.event.in_((MessageEvent.ADD_REQUEST, MessageEvent.REVOKE_REQUEST)),
        ToldMessage.sequence > sequence,
    )
    return await session.scalar(later.limit(1)) is not None


async def was_asked(session: AsyncSession, partner_id: uuid.UUID) -> bool:
    """Whether the partner was ever asked for a request, and that has gone there."""
    gone = select(ToldMessage.id).where(
        ToldMessage.partner_id == partner_id,
        ToldMessage.event == MessageEvent.ADD_REQUEST,
        ToldMessage.told_to.is_not(None),
    )
    return await session.scalar(gone.limit(1)) is not None


async def has_heard_since(session: AsyncSession, partner_id: uuid.UUID, request_id: uuid.UUID, sequence: int) -> bool:
    """Whether something has gone to the partner that asks with that event of the request, or with a later one."""
    heard = select(ToldMessage.id).where(
        *_of(partner_id, request_id),
        ToldMessage.event.in_(ASKS),
        ToldMessage.sequence >= sequence,
        ToldMessage.told_to.is_not(None),
    )
    return await session.scalar(heard.limit(1)) is not None


async def sent_about(
    session: AsyncSession, request_id: uuid.UUID, events: Collection[MessageEvent]
) -> Sequence[ToldMessage]:
    """What partners were, or are to be, sent about a request by messages of these events, in their order."""
    query = select(ToldMessage).where(ToldMessage.request_id == request_id, ToldMessage.event.in_(events))
    return (await session.scalars(query.order_by(ToldMessage.sequence, ToldMessage.part))).all()


async def _state_of(session: AsyncSession, partner_id: uuid.UUID) -> EndpointState | None:
    """None where the partner's terms name no endpoint."""
    query = select(PartnerEndpoint.state).join(Partner, Partner.account_id == PartnerEndpoint.account_id)
    return await session.scalar(query.where(PartnerEndpoint.account_id == partner_id))


# Endpoints


async def load(session: AsyncSession, partner_id: uuid.UUID) -> PartnerEndpoint | None:
    """Where that partner is told."""
    return await session.get(PartnerEndpoint, partner_id, populate_existing=True)


async def lock(session: AsyncSession, partner_id: uuid.UUID) -> PartnerEndpoint | None:
    """The same as it is now, kept from others who change it until the transaction ends."""
    query = select(PartnerEndpoint).where(PartnerEndpoint.account_id == partner_id).with_for_update(key_share=True)
    return await session.scalar(query.execution_options(populate_existing=True))


async def all_endpoints(session: AsyncSession) -> Sequence[PartnerEndpoint]:
    """Those of all partners."""
    return (await session.scalars(select(PartnerEndpoint))).all()


async def disable(session: AsyncSession, endpoint: PartnerEndpoint, reason: DisabledReason, now: datetime) -> None:
    """Nothing goes there any more: what waits has failed, and can be replayed."""
    endpoint.state, endpoint.disabled_reason = EndpointState.DISABLED, reason
    endpoint.version = new_id()
    await session.flush()
    await end_waiting(session, endpoint.account_id, MessageState.FAILED, now)


async def remove(session: AsyncSession, endpoint: PartnerEndpoint, now: datetime) -> None:
    """The partner is told nothing any more; what became of its messages stays."""
    await end_waiting(session, endpoint.account_id, MessageState.DROPPED, now)
    await session.delete(endpoint)
    await session.flush()


async def end_waiting(
    session: AsyncSession, partner_id: uuid.UUID, state: MessageState, now: datetime, *which: ColumnElement[bool]
) -> None:
    """What still waits for a partner ends so."""
    waiting = update(ToldMessage).where(
        ToldMessage.partner_id == partner_id, ToldMessage.state == MessageState.PENDING, *which
    )
    await session.execute(waiting.values(state=state, settled_at=now), execution_options={"synchronize_session": False})


# Messages


@dataclass(frozen=True)
class Listed:
    """A message, and the number of the request that it tells of."""

    message: ToldMessage
    number: str


async def list_messages(
    session: AsyncSession,
    partner_id: uuid.UUID,
    *,
    state: MessageState | None,
    before: uuid.UUID | None,
    limit: int,
    without: Collection[uuid.UUID] = (),
) -> list[Listed]:
    """The newest first; those before another one, where that is named; `without` those about some requests."""
    query = (
        select(ToldMessage, RequestRecord.number)
        .join(RequestRecord, RequestRecord.id == ToldMessage.request_id)
        .where(ToldMessage.partner_id == partner_id, ToldMessage.request_id.not_in(without))
    )
    if state is not None:
        query = query.where(ToldMessage.state == state)
    if before is not None:
        query = query.where(ToldMessage.id < before)
    found = await session.execute(query.order_by(ToldMessage.id.desc()).limit(limit))
    return [Listed(message, number) for message, number in found]


async def newest_fault(
    session: AsyncSession, partner_id: uuid.UUID, without: Collection[uuid.UUID] = ()
) -> Listed | None:
    """The newest message of a partner that has not arrived, with why, `without` those about some requests."""
    has_a_reason = or_(
        ToldMessage.last_error.is_not(None), ToldMessage.answered.is_not(None), ToldMessage.last_status.is_not(None)
    )
    query = (
        select(ToldMessage, RequestRecord.number)
        .join(RequestRecord, RequestRecord.id == ToldMessage.request_id)
        .where(ToldMessage.partner_id == partner_id, ToldMessage.request_id.not_in(without), has_a_reason)
        .where(ToldMessage.state.in_((MessageState.PENDING, MessageState.REFUSED, MessageState.FAILED)))
    )
    row = (await session.execute(query.order_by(ToldMessage.id.desc()).limit(1))).one_or_none()
    return Listed(row[0], row[1]) if row else None


async def load_message(
    session: AsyncSession, partner_id: uuid.UUID, id_: uuid.UUID, without: Collection[uuid.UUID] = ()
) -> Listed | None:
    """One of a partner, unless it is about a request that is left out."""
    query = (
        select(ToldMessage, RequestRecord.number)
        .join(RequestRecord, RequestRecord.id == ToldMessage.request_id)
        .where(ToldMessage.partner_id == partner_id, ToldMessage.id == id_, ToldMessage.request_id.not_in(without))
        .execution_options(populate_existing=True)
    )
    row = (await session.execute(query)).one_or_none()
    return Listed(row[0], row[1]) if row else None


async def replay(session: AsyncSession, message: ToldMessage) -> int:
    """It goes once more under its id, and with it what failed of its request besides; gives how many go."""
    again = (ToldMessage.id == message.id) | (ToldMessage.state == MessageState.FAILED)
    count = await _send_again(session, message.partner_id, ToldMessage.request_id == message.request_id, again)
    await session.execute(_TELL)
    return count


async def replay_since(session: AsyncSession, partner_id: uuid.UUID, since: datetime) -> int:
    """All go once more that did not arrive and tell of what happened since then; gives how many."""
    count = await _send_again(session, partner_id, ToldMessage.at >= since)
    await session.execute(_TELL)
    return count


async def _send_again(session: AsyncSession, partner_id: uuid.UUID, *which: ColumnElement[bool]) -> int:
    again = update(ToldMessage).where(ToldMessage.partner_id == partner_id, ToldMessage.state.in_(REPLAYED), *which)
    pending = again.values(
        state=MessageState.PENDING,
        attempts=0,
        next_attempt=func.now(),
        settled_at=None,
        told_to=case((ToldMessage.event.in_(SENT), ToldMessage.told_to), else_=None),
        last_status=None,
        last_error=None,
        answered=None,
    )
    done = await session.execute(pending, execution_options={"synchronize_session": False})
    return done.rowcount if isinstance(done, CursorResult) else 0


async def told_through(session: AsyncSession, message: ToldMessage) -> ToldMessage:
    """The message up to whose event the partner knows the request when that one arrives: itself, or a later one that did.

    What asks says always what it said at first: it tells of no Task.
    """
    if message.event in SENT:
        return message
    later = select(ToldMessage).where(
        ToldMessage.request_id == message.request_id,
        ToldMessage.partner_id == message.partner_id,
        ToldMessage.sequence > message.sequence,
        ToldMessage.state == MessageState.DELIVERED,
    )
    return await session.scalar(later.order_by(ToldMessage.sequence.desc()).limit(1)) or message


# Upkeep


async def waiting(session: AsyncSession, now: datetime) -> tuple[int, datetime | None]:
    """How many messages should have gone by now, and since when the first; to where something goes."""
    query = (
        select(func.count(), func.min(ToldMessage.next_attempt))
        .join(PartnerEndpoint, PartnerEndpoint.account_id == ToldMessage.partner_id)
        .where(PartnerEndpoint.state != EndpointState.DISABLED)
        .where(ToldMessage.state == MessageState.PENDING, ToldMessage.next_attempt <= now)
    )
    count, since = (await session.execute(query)).one()
    return count, since


async def count_by_state(
    session: AsyncSession,
    partner_id: uuid.UUID,
    states: Collection[MessageState],
    without: Collection[uuid.UUID] = (),
) -> dict[MessageState, int]:
    """How many messages of a partner there are in each of these states, `without` those about some requests."""
    query = select(ToldMessage.state, func.count()).where(
        ToldMessage.partner_id == partner_id, ToldMessage.state.in_(states), ToldMessage.request_id.not_in(without)
    )
    found = {row[0]: row[1] for row in await session.execute(query.group_by(ToldMessage.state))}
    return {state: found.get(state, 0) for state in states}
