"""Subscriptions of clinics' systems: the endpoints that are one, what each is told, and the numbers of its events.

An event is written for a Subscription in the transaction of what it tells, as for webhooks (`records.webhooks`), and numbered
later, by whoever holds the endpoint's lock: in the order in which it could be seen, and only once it is known that its system may
be told. So a number is given once, there are no gaps, and what is told has a place before it goes (`records.webhook_queue`).
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.events import Event
from domain.requests import EventName, Status
from domain.service_accounts import SEES_AS, Scope, known_scopes
from domain.subscriptions import ERRORS, TOPICS, SubscriptionStatus, Topic, status_of, takes, tellings
from domain.webhooks import KEPT_FOR, DeliveryState, DisabledReason, EndpointState, WebhookType
from records import service_accounts
from records.ids import new_id
from records.models import (
    Account,
    EventRecord,
    RequestRecord,
    ServiceAccount,
    Subscription,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookMessage,
    table_of,
)
from records.sealed import unread
from records.service_accounts import Found
from records.visibility import Viewer, may_see

_MESSAGES, _DELIVERIES = table_of(WebhookMessage), table_of(WebhookDelivery)

AT_ONCE = 100
"""So many Subscriptions are looked after in one transaction."""


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
        return status_of(self.endpoint.state, self.endpoint.disabled_reason)

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

    For one that is in error it is counted and not sent.
    """
    subscribed = await _load(session, WebhookEndpoint.id.in_(endpoint_ids))
    rows = []
    for part, telling in enumerate(tellings(event, await _events_before(session, event))):
        takers = [one for one in subscribed if one.own.topic is telling.topic and takes(one.own.filters, telling.value)]
        if not takers:
            continue
        id_, type_ = new_id(), WebhookType.NOTIFICATION
        data = {"topic": telling.topic.value, "focus": telling.focus}
        message = {"id": id_, "type": type_, "request_id": event.request_id, "at": event.at, "data": data}
        await session.execute(insert(_MESSAGES).values(**message, sequence=event.version, part=part))
        delivery = {"message_id": id_, "request_id": event.request_id, "type": type_, "next_attempt": func.now()}
        rows += [{**delivery, "endpoint_id": one.id, "state": _state_for(one)} for one in takers]
    if rows:
        await session.execute(insert(_DELIVERIES).values(rows))
    return bool(rows)


def _state_for(one: Subscribed) -> DeliveryState:
    return DeliveryState.FAILED if one.endpoint.state is EndpointState.DISABLED else DeliveryState.PENDING


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
    found = await _load(session, WebhookEndpoint.id == subscription_id)
    return found[0] if found else None


async def lock(session: AsyncSession, subscription_id: uuid.UUID) -> Subscribed | None:
    """The same as it is now, kept from others who change it, number its events or take them up, until the transaction ends."""
    query = select(WebhookEndpoint.id).where(WebhookEndpoint.id == subscription_id).with_for_update(key_share=True)
    await session.execute(query)
    return await load(session, subscription_id)


async def list_of_account(session: AsyncSession, account_id: uuid.UUID) -> list[Subscribed]:
    """Those of a service account, in the order in which they were made."""
    return await _load(session, WebhookEndpoint.account_id == account_id)


async def list_of_clinic(session: AsyncSession, clinic_id: uuid.UUID) -> list[Subscribed]:
    """Those of all systems of a clinic."""
    return await _load(session, WebhookEndpoint.clinic_id == clinic_id)


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
    if system is None or not system.account.active or system.service.expires_at <= now:
        return False
    return Scope.SUBSCRIPTIONS_WRITE in known_scopes(system.service.scopes)


def may_be_told(system: Found | None, topic: Topic, row: RequestRecord | None, now: datetime) -> bool:
    """Whether a system may read now what an event is about: as it sees requests when it asks itself."""
    if system is None or row is None or not may_go_on(system, now):
        return False
    if TOPICS[topic].opened_by not in known_scopes(system.service.scopes):
        return False
    viewer = Viewer(system.account.id, system.account.clinic_id, SEES_AS)
    return may_see(viewer, row, participants=(), pools=(), holders=()) == "chart"


async def requests_of(session: AsyncSession, ids: Collection[uuid.UUID | None]) -> dict[uuid.UUID, RequestRecord]:
    """These requests as they are now, without what is sealed."""
    query = (
        select(RequestRecord).where(RequestRecord.id.in_({one for one in ids if one})).options(*unread(RequestRecord))
    )
    return {row.id: row for row in await session.scalars(query.execution_options(populate_existing=True))}


# The numbers


async def number(session: AsyncSession, subscribed: Sequence[Subscribed], systems: Systems, now: datetime) -> None:
    """Give numbers to what waits for them, of Subscriptions whose endpoints are locked: in the order in which it was written.

    What a system may not be told any more gets none, and is dropped.
    """
    waiting = await _unnumbered(session, [one.id for one in subscribed]) if subscribed else []
    if not waiting:
        return
    by_id = {one.id: one for one in subscribed}
    rows = await requests_of(session, [message.request_id for _, message in waiting])
    for delivery, message in waiting:
        one = by_id[delivery.endpoint_id]
        row = rows.get(message.request_id) if message.request_id else None
        if may_be_told(one.system_in(systems), one.own.topic, row, now):
            one.own.events += 1
            delivery.number = one.own.events
        else:
            delivery.state, delivery.settled_at = DeliveryState.DROPPED, now
    await session.flush()


async def _unnumbered(
    session: AsyncSession, endpoint_ids: Sequence[uuid.UUID]
) -> list[tuple[WebhookDelivery, WebhookMessage]]:
    query = (
        select(WebhookDelivery, WebhookMessage)
        .join(WebhookMessage, WebhookMessage.id == WebhookDelivery.message_id)
        .where(
            WebhookDelivery.endpoint_id.in_(endpoint_ids),
            WebhookDelivery.type == WebhookType.NOTIFICATION,
            WebhookDelivery.number.is_(None),
            WebhookDelivery.state != DeliveryState.DROPPED,
        )
        .order_by(WebhookDelivery.message_id)
        .execution_options(populate_existing=True)
    )
    return [(delivery, message) for delivery, message in await session.execute(query)]


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
    rows = await requests_of(session, [message.request_id for _, message in found])
    told = []
    for number_, message in found:
        row = rows.get(message.request_id) if message.request_id else None
        told.append(Numbered(number_, message.at, focus_of(message, may_be_told(system, one.own.topic, row, now))))
    return told


def focus_of(message: WebhookMessage, may_be_seen: bool) -> str | None:
    """What an event is about, for whom it may be told to."""
    focus = (message.data or {}).get("focus") if may_be_seen else None
    return focus if isinstance(focus, str) else None


# Upkeep


@dataclass(frozen=True)
class Due:
    """Subscriptions with which something is to be done: these end, for that reason; to those a heartbeat goes."""

    over: Sequence[tuple[Subscribed, DisabledReason]]
    heartbeats: Sequence[Subscribed]


async def due(session: AsyncSession, now: datetime) -> Due:
    """What is to be looked after now, kept from other senders."""
    lives = and_(*service_accounts.may_come_in(now), ServiceAccount.scopes.contains([Scope.SUBSCRIPTIONS_WRITE.value]))
    has_ended = func.coalesce(Subscription.ends_at <= now, False)
    is_on = or_(WebhookEndpoint.state != EndpointState.DISABLED, WebhookEndpoint.disabled_reason.in_(ERRORS))
    is_forgotten = and_(
        WebhookEndpoint.state == EndpointState.DISABLED, WebhookEndpoint.failing_since <= now - KEPT_FOR
    )
    is_over = or_(has_ended, ~lives, func.coalesce(is_forgotten, False))
    beats = and_(WebhookEndpoint.state == EndpointState.ACTIVE, Subscription.next_heartbeat_at <= now)
    query = (
        select(WebhookEndpoint.id, is_over, lives)
        .join(Subscription, Subscription.endpoint_id == WebhookEndpoint.id)
        .join(Account, Account.id == WebhookEndpoint.account_id)
        .join(ServiceAccount, ServiceAccount.account_id == Account.id)
        .where(is_on, or_(is_over, beats))
        .order_by(WebhookEndpoint.id)
        .limit(AT_ONCE)
        .with_for_update(of=WebhookEndpoint, skip_locked=True, key_share=True)
    )
    found = (await session.execute(query)).all()
    there = await of_endpoints(session, [row[0] for row in found])
    reasons = {True: DisabledReason.OVER, False: DisabledReason.SYSTEM_ENDED}
    over = [(there[id_], reasons[bool(may)]) for id_, ends, may in found if ends]
    return Due(over, [there[id_] for id_, ends, _ in found if not ends])


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
        select(WebhookEndpoint.state, WebhookEndpoint.disabled_reason, func.count())
        .where(WebhookEndpoint.account_id.is_not(None))
        .group_by(WebhookEndpoint.state, WebhookEndpoint.disabled_reason)
    )
    counts = dict.fromkeys(SubscriptionStatus, 0)
    for state, reason, count in await session.execute(query):
        counts[status_of(state, reason)] += count
    return counts
