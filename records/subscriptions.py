"""Subscriptions of clinics' systems: the endpoints that are one, what each is told, and the numbers of its events.

An event is written for a Subscription in the transaction of what it tells, as for webhooks (`records.webhooks`), and numbered
later, by whoever holds the endpoint's lock: in the order in which it could be seen, and only once it is known that its system may
be told. So a number is given once, there are no gaps, and what is told has a place before it goes (`records.webhook_queue`).
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Uuid,
    and_,
    any_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from domain.events import Event
from domain.requests import EventName, Status
from domain.service_accounts import SEES_AS, Scope
from domain.subscriptions import (
    ERRORS,
    GIVEN_UP_AFTER,
    TOPICS,
    SubscriptionStatus,
    Telling,
    Topic,
    status_of,
    takes,
    task_tellings,
    tellings,
)
from domain.webhooks import DeliveryState, DisabledReason, EndpointState, WebhookType
from records import restrictions, service_accounts
from records.ids import as_array, new_id
from records.models import (
    Account,
    EventRecord,
    RequestRecord,
    ServiceAccount,
    Subscription,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookMessage,
    table_of,
)
from records.service_accounts import Found
from records.visibility import Viewer, may_see

_MESSAGES, _DELIVERIES = table_of(WebhookMessage), table_of(WebhookDelivery)
_IS_THERE = Subscription.removed_at.is_(None)

AT_ONCE = 100
"""So many Subscriptions are looked after in one transaction."""

NUMBERED_AT_ONCE = 500
"""So many events get their numbers in one transaction, and a few of each Subscription whatever the others have."""

_FEWEST = 10

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Subscribed:
    """A Subscription: the endpoint that it is, and what it has besides."""

    endpoint: WebhookEndpoint
    own: Subscription

    @property
    def id(self) -> uuid.UUID:
        return self.endpoint.id

    @property
    def status(self) -> SubscriptionStatus:
        """Where it stands, as FHIR says it."""
        return status_of(self.own.state, self.own.disabled_reason)

    def system_in(self, systems: "Systems") -> Found | None:
        """The service account whose it is."""
        return systems.get(self.endpoint.account_id) if self.endpoint.account_id else None

    def is_over(self, systems: "Systems", now: datetime) -> bool:
        """Whether its time has come, or its system may not have it any more."""
        has_ended = self.own.ends_at is not None and self.own.ends_at <= now
        return has_ended or not may_go_on(self.system_in(systems), now)


Systems = Mapping[uuid.UUID, Found]
"""Service accounts by their ids."""


@dataclass(frozen=True)
class Numbered:
    """An event of a Subscription. `focus` is the resource that it is about, None where its system may not see that any more."""

    number: int
    at: datetime
    focus: str | None


@dataclass(frozen=True)
class _Past:
    """What counts of an event for the Tasks of its request."""

    name: EventName
    version: int
    at: datetime
    status_before: Status
    status: Status


# The outbox


async def tell_event(session: AsyncSession, event: Event, endpoint_ids: Collection[uuid.UUID]) -> bool:
    """Write down what these Subscriptions are told of a new event, in its transaction; whether there was anything.

    Where each of them stands is asked under its lock, when the event gets its number.
    """
    subscribed = await _load(session, WebhookEndpoint.id.in_(endpoint_ids))
    rows = []
    for part, telling in enumerate(await _tellings(session, event, {one.own.topic for one in subscribed})):
        takers = [one for one in subscribed if one.own.topic is telling.topic and takes(one.own.filters, telling.value)]
        if not takers:
            continue
        id_, type_ = new_id(), WebhookType.NOTIFICATION
        data = {"topic": telling.topic.value, "focus": telling.focus}
        message = {"id": id_, "type": type_, "request_id": event.request_id, "at": event.at, "data": data}
        await session.execute(insert(_MESSAGES).values(**message, sequence=event.version, part=part))
        delivery = {"message_id": id_, "request_id": event.request_id, "type": type_, "next_attempt": func.now()}
        rows += [{**delivery, "endpoint_id": one.id, "state": DeliveryState.PENDING} for one in takers]
    if rows:
        await session.execute(insert(_DELIVERIES).values(rows))
    return bool(rows)


async def _tellings(session: AsyncSession, event: Event, topics: Collection[Topic]) -> list[Telling]:
    """A command never fails for who only listens: of events that make no Tasks, as they are recorded, no Task is told."""
    tasks: tuple[Telling, ...] = ()
    if Topic.TASK_STATUS in topics:
        try:
            tasks = task_tellings(event, await _events_before(session, event))
        except ValueError:
            log.warning("no Task is told of an event", request_id=str(event.request_id), version=event.version)
    return [*tasks, *tellings(event)]


async def _events_before(session: AsyncSession, event: Event) -> list[_Past]:
    columns = (EventRecord.name, EventRecord.version, EventRecord.at, EventRecord.status_before, EventRecord.status)
    query = select(*columns).where(EventRecord.request_id == event.request_id, EventRecord.version < event.version)
    return [_Past(*row) for row in await session.execute(query.order_by(EventRecord.version))]


# Subscriptions


async def add(session: AsyncSession, endpoint: WebhookEndpoint, own: Subscription) -> Subscribed:
    """A new one, to which nobody has said yes yet."""
    session.add(endpoint)
    await session.flush()
    session.add(own)
    await session.flush()
    return Subscribed(endpoint, own)


async def load(session: AsyncSession, subscription_id: uuid.UUID) -> Subscribed | None:
    """One of them, also where it is removed and has not gone yet."""
    found = await _load(session, WebhookEndpoint.id == subscription_id)
    return found[0] if found else None


async def lock(session: AsyncSession, subscription_id: uuid.UUID) -> Subscribed | None:
    """The same as it is now, kept from others who change it, number its events or take them up, until the transaction ends."""
    query = select(WebhookEndpoint.id).where(WebhookEndpoint.id == subscription_id).with_for_update(key_share=True)
    await session.execute(query)
    return await load(session, subscription_id)


async def list_of_account(session: AsyncSession, account_id: uuid.UUID) -> list[Subscribed]:
    """Those of a service account, in the order in which they were made."""
    return await _load(session, WebhookEndpoint.account_id == account_id, _IS_THERE)


async def list_of_clinic(session: AsyncSession, clinic_id: uuid.UUID) -> list[Subscribed]:
    """Those of all systems of a clinic."""
    return await _load(session, WebhookEndpoint.clinic_id == clinic_id, _IS_THERE)


async def _load(session: AsyncSession, *conditions: ColumnElement[bool]) -> list[Subscribed]:
    query = select(WebhookEndpoint, Subscription).join(Subscription, Subscription.endpoint_id == WebhookEndpoint.id)
    query = query.where(*conditions).order_by(WebhookEndpoint.id).execution_options(populate_existing=True)
    return [Subscribed(endpoint, own) for endpoint, own in await session.execute(query)]


async def of_endpoints(session: AsyncSession, endpoint_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Subscribed]:
    """Those of these endpoints that are Subscriptions."""
    return {one.id: one for one in await _load(session, WebhookEndpoint.id.in_(endpoint_ids))} if endpoint_ids else {}


async def systems_of(session: AsyncSession, subscribed: Collection[Subscribed]) -> Systems:
    """The service accounts whose they are, as they are now."""
    ids = {one.endpoint.account_id for one in subscribed}
    if not ids:
        return {}
    query = select(Account, ServiceAccount).join(ServiceAccount).where(Account.id.in_(ids))
    rows = await session.execute(query.execution_options(populate_existing=True))
    return {account.id: Found(account, service) for account, service in rows}


# Who may be told


def may_go_on(system: Found | None, now: datetime) -> bool:
    """Whether a service account may still have Subscriptions."""
    return system is not None and system.may(Scope.SUBSCRIPTIONS_WRITE, now)


@dataclass(frozen=True)
class Requests:
    """Requests as they are now, as far as who sees them; and which are shut to the systems of a clinic, or to one system."""

    rows: Mapping[uuid.UUID, RequestRecord]
    shut: Collection[tuple[uuid.UUID, uuid.UUID]]


def may_be_told(
    system: Found | None, topic: Topic, requests: Requests, request_id: uuid.UUID | None, now: datetime
) -> bool:
    """Whether a system may read now what an event is about: as it sees requests when it asks itself."""
    row = requests.rows.get(request_id) if request_id else None
    if system is None or row is None or not may_go_on(system, now) or not system.may(TOPICS[topic].opened_by, now):
        return False
    viewer = Viewer(system.account.id, system.account.clinic_id, SEES_AS, system_id=system.account.id)
    is_shut = not {(row.id, system.account.clinic_id), (row.id, system.account.id)}.isdisjoint(requests.shut)
    return may_see(viewer, row, participants=(), pools=(), holders=(), is_shut=is_shut) == "chart"


_SEEN_BY = tuple(
    getattr(RequestRecord, name)
    for name in (
        *("id", "status", "requester_id", "requester_clinic_id", "dispatch_clinic_id"),
        *("holder_kind", "holder_id", "holder_clinic_id"),
    )
)
"""What of a request says who sees it."""


async def requests_of(session: AsyncSession, ids: Collection[uuid.UUID | None]) -> Requests:
    """These requests as they are now."""
    wanted = as_array({one for one in ids if one})
    query = select(RequestRecord).where(RequestRecord.id == any_(wanted))
    query = query.options(load_only(*_SEEN_BY, raiseload=True)).execution_options(populate_existing=True)
    rows = {row.id: row for row in await session.scalars(query)}
    return Requests(rows, await restrictions.shut_to_listeners(session, rows))


# The numbers


_IS_UNNUMBERED = and_(
    WebhookDelivery.type == WebhookType.NOTIFICATION,
    WebhookDelivery.number.is_(None),
    WebhookDelivery.state != DeliveryState.DROPPED,
)

_NUMBER = text(
    """
    UPDATE webhook_deliveries SET
        number = given.number,
        state = CASE
            WHEN given.number IS NULL THEN 'dropped'
            WHEN :is_sent OR webhook_deliveries.state <> 'pending' THEN webhook_deliveries.state
            ELSE 'failed' END,
        settled_at = CASE
            WHEN given.number IS NOT NULL AND (:is_sent OR webhook_deliveries.state <> 'pending')
            THEN webhook_deliveries.settled_at ELSE :now END
    FROM unnest(:message_ids, :numbers) AS given (message_id, number)
    WHERE webhook_deliveries.endpoint_id = :endpoint_id AND webhook_deliveries.message_id = given.message_id
    """
).bindparams(bindparam("message_ids", type_=ARRAY(Uuid())), bindparam("numbers", type_=ARRAY(BigInteger())))
"""What waits in vain has failed: it has its number, and is asked for."""


async def unnumbered(session: AsyncSession, endpoint_ids: Collection[uuid.UUID]) -> list[uuid.UUID]:
    """Which of these have events that wait for their numbers."""
    waits = exists().where(WebhookDelivery.endpoint_id == Subscription.endpoint_id, _IS_UNNUMBERED)
    ids = as_array(endpoint_ids)
    query = select(Subscription.endpoint_id).where(Subscription.endpoint_id == any_(ids), waits)
    return list(await session.scalars(query.order_by(Subscription.endpoint_id)))


def share_of(count: int) -> int:
    """How many events of each get their numbers at once where so many Subscriptions wait for that."""
    return max(_FEWEST, NUMBERED_AT_ONCE // max(count, 1))


async def number(
    session: AsyncSession, one: Subscribed, systems: Systems, now: datetime, most: int = NUMBERED_AT_ONCE
) -> int:
    """Give numbers to what waits longest for them, of a Subscription whose endpoint is locked: in the order in which it was
    written; gives how many it looked at.

    What its system may not be told any more gets none, and is dropped; and so is what comes to one that is off.
    """
    waiting = await _waiting(session, one.id, most)
    if not waiting:
        return 0
    requests, system = await requests_of(session, [request_id for _, request_id in waiting]), one.system_in(systems)
    is_on = one.status is not SubscriptionStatus.OFF
    numbers: list[int | None] = []
    for _, request_id in waiting:
        is_told = is_on and may_be_told(system, one.own.topic, requests, request_id, now)
        one.own.events += is_told
        numbers.append(one.own.events if is_told else None)
    await session.flush()
    given = {"message_ids": [message_id for message_id, _ in waiting], "numbers": numbers}
    is_sent = one.status is not SubscriptionStatus.ERROR
    await session.execute(_NUMBER, {**given, "endpoint_id": one.id, "is_sent": is_sent, "now": now})
    return len(waiting)


async def _waiting(
    session: AsyncSession, endpoint_id: uuid.UUID, most: int
) -> list[tuple[uuid.UUID, uuid.UUID | None]]:
    query = (
        select(WebhookDelivery.message_id, WebhookDelivery.request_id)
        .where(WebhookDelivery.endpoint_id == endpoint_id, _IS_UNNUMBERED)
        .order_by(WebhookDelivery.message_id)
        .limit(most)
    )
    return [(message_id, request_id) for message_id, request_id in await session.execute(query)]


async def events(
    session: AsyncSession, one: Subscribed, first: int, last: int, limit: int, now: datetime
) -> list[Numbered]:
    """The events with these numbers, as far as it is still known what they told."""
    query = (
        select(WebhookDelivery.number, WebhookMessage)
        .join(WebhookMessage, WebhookMessage.id == WebhookDelivery.message_id)
        .where(
            WebhookDelivery.endpoint_id == one.id,
            WebhookDelivery.number.between(first, last),
            WebhookMessage.data.is_not(None),
        )
        .order_by(WebhookDelivery.number)
        .limit(limit)
    )
    found = [(number or 0, message) for number, message in await session.execute(query)]
    system = one.system_in(await systems_of(session, [one]))
    requests = await requests_of(session, [message.request_id for _, message in found])
    told = []
    for number_, message in found:
        may = may_be_told(system, one.own.topic, requests, message.request_id, now)
        told.append(Numbered(number_, message.at, focus_of(message, may)))
    return told


def focus_of(message: WebhookMessage, may_be_seen: bool) -> str | None:
    """What an event is about, for whom it may be told to."""
    focus = (message.data or {}).get("focus") if may_be_seen else None
    return focus if isinstance(focus, str) else None


# Upkeep


@dataclass(frozen=True)
class Due:
    """A Subscription with which something is to be done: it ends, for that `reason`; a heartbeat goes to it; or events of it wait
    for their numbers.
    """

    id: uuid.UUID
    reason: DisabledReason | None
    beats: bool


async def due(session: AsyncSession, now: datetime) -> list[Due]:
    """What is to be looked after now, kept from other senders."""
    lives = and_(*service_accounts.may_come_in(now), ServiceAccount.scopes.contains([Scope.SUBSCRIPTIONS_WRITE.value]))
    has_ended = func.coalesce(Subscription.ends_at <= now, False)
    is_off = Subscription.state == EndpointState.DISABLED
    is_error = and_(is_off, Subscription.disabled_reason.in_(ERRORS))
    is_left = and_(is_error, func.coalesce(Subscription.disabled_at <= now - GIVEN_UP_AFTER, False))
    is_over = and_(or_(~is_off, is_error), or_(has_ended, ~lives, is_left))
    beats = and_(Subscription.state == EndpointState.ACTIVE, Subscription.next_heartbeat_at <= now)
    waits = exists().where(WebhookDelivery.endpoint_id == Subscription.endpoint_id, _IS_UNNUMBERED)
    query = (
        select(WebhookEndpoint.id, is_over, has_ended, lives, func.coalesce(beats, False))
        .join(Subscription, Subscription.endpoint_id == WebhookEndpoint.id)
        .join(Account, Account.id == WebhookEndpoint.account_id)
        .join(ServiceAccount, ServiceAccount.account_id == Account.id)
        .where(_IS_THERE, or_(is_over, beats, waits))
        .order_by(func.random())
        .limit(AT_ONCE)
        .with_for_update(of=WebhookEndpoint, skip_locked=True, key_share=True)
    )
    found = (await session.execute(query)).all()
    return [Due(id_, _reason(ended, may) if over else None, bool(beat)) for id_, over, ended, may, beat in found]


def _reason(has_ended: bool, lives: bool) -> DisabledReason:
    if not lives:
        return DisabledReason.SYSTEM_ENDED
    return DisabledReason.OVER if has_ended else DisabledReason.NOT_BEGUN_ANEW


def turn_off(one: Subscribed, reason: DisabledReason, now: datetime) -> None:
    """It is in error or off, as the reason has it. One that is off is told of nothing before another handshake."""
    own = one.own
    own.state, own.disabled_reason, own.disabled_at = EndpointState.DISABLED, reason, now
    if one.status is SubscriptionStatus.OFF:
        one.endpoint.verified_at = None


def begin_anew(one: Subscribed) -> None:
    """A handshake comes first."""
    one.own.state, one.own.disabled_reason, one.own.disabled_at = EndpointState.UNVERIFIED, None, None
    one.endpoint.failing_since = one.endpoint.paused_until = None


async def forget_removed(session: AsyncSession, most: int) -> int:
    """What is left of Subscriptions that were removed: so many of their deliveries, with their calls, or one of them that has
    none; gives how much went.
    """
    of_removed = select(Subscription.endpoint_id).where(Subscription.removed_at.is_not(None))
    some = select(WebhookDelivery.message_id, WebhookDelivery.endpoint_id)
    some = some.where(WebhookDelivery.endpoint_id.in_(of_removed)).limit(most)
    keys = [tuple(row) for row in await session.execute(some)]
    if keys:
        for id_ in {endpoint_id for _, endpoint_id in keys}:
            ids = as_array(message_id for message_id, endpoint_id in keys if endpoint_id == id_)
            for table in (WebhookAttempt, WebhookDelivery):
                its = delete(table).where(table.endpoint_id == id_, table.message_id == any_(ids))
                await session.execute(its, execution_options={"synchronize_session": False})
        return len(keys)
    empty = await session.scalars(of_removed.limit(most))
    ids = as_array(empty)
    gone = delete(WebhookEndpoint).where(WebhookEndpoint.id == any_(ids)).returning(WebhookEndpoint.id)
    return len((await session.scalars(gone, execution_options={"synchronize_session": False})).all())


async def forget_heartbeats(session: AsyncSession, endpoint_id: uuid.UUID) -> None:
    """Of heartbeats the last one is kept: they would be all that is in the tables."""
    is_one = WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.type == WebhookType.HEARTBEAT
    gone = delete(WebhookDelivery).where(*is_one).returning(WebhookDelivery.message_id)
    ids = list(await session.scalars(gone, execution_options={"synchronize_session": False}))
    if ids:
        of_messages = delete(WebhookMessage).where(WebhookMessage.id.in_(ids))
        await session.execute(of_messages, execution_options={"synchronize_session": False})


async def beat_again(session: AsyncSession, one: Subscribed, now: datetime) -> None:
    """The next heartbeat is due after its pause."""
    pause = one.own.heartbeat_seconds
    next_at = now + timedelta(seconds=pause) if pause else None
    at = update(Subscription).where(Subscription.endpoint_id == one.id).values(next_heartbeat_at=next_at)
    await session.execute(at)


async def count_by_status(session: AsyncSession) -> dict[SubscriptionStatus, int]:
    """How many there are of all clinics, by status."""
    query = (
        select(Subscription.state, Subscription.disabled_reason, func.count())
        .where(_IS_THERE)
        .group_by(Subscription.state, Subscription.disabled_reason)
    )
    counts = dict.fromkeys(SubscriptionStatus, 0)
    for state, reason, count in await session.execute(query):
        counts[status_of(state, reason)] += count
    return counts
