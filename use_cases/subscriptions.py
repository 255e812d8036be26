"""Subscriptions of clinics' systems: each makes, reads, changes and ends its own; administrators see them, and turn them off.

How FHIR writes them is in `fhir.subscriptions`. Each change is one transaction with the note of it. Notifications go out in
`webhook_sender`; nothing is called here.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prometheus_client import Gauge
from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import AccountEventKind
from domain.subscriptions import (
    MOST_EVENTS,
    MOST_OF_A_SYSTEM,
    TOPICS,
    Content,
    NotificationKind,
    SubscriptionStatus,
    Topic,
)
from domain.webhooks import DisabledReason, EndpointState
from engine.client import key_ring
from key_ring import open_sealed
from outgoing.destinations import destination_of
from records import account_events, service_accounts, subscriptions, webhooks
from records.account_events import Hand
from records.ids import new_id
from records.models import Clinic, Subscription, WebhookEndpoint
from records.subscriptions import Numbered, Subscribed
from settings import Settings
from use_cases.administrators import Administrator
from use_cases.caller import Caller
from use_cases.gate import Starting
from use_cases.people import clinic_of
from use_cases.problems import Problem
from use_cases.views import View
from use_cases.webhooks import host_of, place_of, sealed_secret, walls_of

SUBSCRIPTIONS = Gauge("relais_subscriptions", "Subscriptions of FHIR, by status", ["status"])


@dataclass(frozen=True)
class NewSubscription:
    """What a system says of a Subscription. `headers` go with each call, and are known to nobody after that; None where it says
    nothing of them. `is_off`: nothing is to be sent.
    """

    topic: Topic
    filters: tuple[str, ...]
    url: str
    content: Content
    payload: str
    headers: Mapping[str, str] | None = field(repr=False)
    heartbeat_seconds: int | None
    timeout_seconds: int | None
    max_count: int | None
    reason: str
    ends_at: datetime | None
    is_off: bool


@dataclass(frozen=True)
class Notification:
    """What is told of a Subscription: by a call to it, or to who asks. `id` is the same each time that it is told; `count` is the
    number of the last event that it may know of.
    """

    id: str
    kind: NotificationKind
    subscribed: Subscribed
    at: datetime
    count: int
    content: Content
    events: Sequence[Numbered] = ()


# What a system does with its own


async def create(services: Starting, caller: Caller, new: NewSubscription) -> Subscribed:
    """A new one, and a handshake on its way: nothing else goes there before that is taken.

    Raises Problem `subscription_exists`, `too_many_subscriptions`; ForbiddenError for an address to which nothing may go.
    """
    check_address(services.settings, new.url)
    now, id_ = datetime.now(UTC), new_id()
    async with services.database.session() as session:
        system = await service_accounts.lock(session, _system(caller))
        if not subscriptions.may_go_on(system, now) or system is None:
            raise Problem("insufficient_scope")
        there = await subscriptions.list_of_account(session, system.account.id)
        _check_new(there, new)
        if len(there) >= MOST_OF_A_SYSTEM:
            raise Problem("too_many_subscriptions", limit=MOST_OF_A_SYSTEM)
        endpoint = WebhookEndpoint(
            id=id_,
            clinic_id=system.account.clinic_id,
            account_id=system.account.id,
            url=new.url,
            types=[new.topic.value],
            description="",
            state=EndpointState.UNVERIFIED,
            sealed_secret=_sealed(services.settings, id_, new.headers or {}),
            created_at=now,
            version=1,
        )
        own = Subscription(
            endpoint_id=id_,
            topic=new.topic,
            filters=list(new.filters),
            state=EndpointState.UNVERIFIED,
            events=0,
            **_changeable(new),
        )
        one = await subscriptions.add(session, endpoint, own)
        await note(session, AccountEventKind.SUBSCRIPTION_ADDED, one, _hand(caller), now)
        await webhooks.queue_handshake(session, endpoint, now)
        return one


async def read(services: Starting, caller: Caller, subscription_id: UUID) -> Subscribed:
    """One of the system's own. Raises Problem `not_found`."""
    async with services.database.session() as session:
        return await _own(session, caller, subscription_id)


async def list_own(services: Starting, caller: Caller) -> list[Subscribed]:
    """All of the system's own."""
    async with services.database.session() as session:
        return await subscriptions.list_of_account(session, _system(caller))


async def change(
    services: Starting, caller: Caller, subscription_id: UUID, new: NewSubscription, expected_version: int | None
) -> Subscribed:
    """Have it as it is said now. Where it was off or in error, or goes elsewhere, a handshake comes first.

    Headers stay as they are where nothing is said of them; they go to no other address. Raises Problem `not_found`,
    `subscription_changed`, `subscription_turned_off`, `subscription_is_of_its_topic`, `subscription_exists`; ForbiddenError.
    """
    check_address(services.settings, new.url)
    async with _changing(services, caller, subscription_id) as at:
        endpoint, own = at.one.endpoint, at.one.own
        if expected_version not in (None, endpoint.version):
            raise Problem("subscription_changed")
        if (own.topic, sorted(own.filters)) != (new.topic, sorted(new.filters)):
            raise Problem("subscription_is_of_its_topic")
        if not new.is_off:
            if own.disabled_reason is DisabledReason.BY_HAND:
                raise Problem("subscription_turned_off")
            others = await subscriptions.list_of_account(at.session, _system(caller))
            _check_new([one for one in others if one.id != subscription_id], new)
        moves = endpoint.url != new.url or new.headers is not None
        if moves:
            endpoint.sealed_secret = _sealed(services.settings, endpoint.id, new.headers or {})
        endpoint.url = new.url
        for name, value in _changeable(new).items():
            setattr(own, name, value)
        await at.note(AccountEventKind.SUBSCRIPTION_CHANGED)
        await _follow(at, new, moves)
        return at.one


async def _follow(at: "_Changing", new: NewSubscription, moves: bool) -> None:
    """What becomes of one that was changed: off, or a handshake for whoever is there now."""
    endpoint = at.one.endpoint
    endpoint.version += 1
    await at.session.flush()
    if new.is_off:
        if at.one.status is not SubscriptionStatus.OFF:
            await webhooks.disable(at.session, endpoint, DisabledReason.BY_SYSTEM, at.now)
        return
    if at.one.own.state is EndpointState.ACTIVE and not moves:
        await subscriptions.beat_again(at.session, at.one, at.now)
        return
    if at.one.status is SubscriptionStatus.ERROR:  # what has no number yet is not sent either
        await webhooks.end_waiting(at.session, endpoint.id, at.now)
    subscriptions.begin_anew(at.one)
    await at.session.flush()
    await webhooks.queue_handshake(at.session, endpoint, at.now)


async def remove(services: Starting, caller: Caller, subscription_id: UUID) -> None:
    """Remove it, with its events. Raises Problem `not_found`."""
    async with _changing(services, caller, subscription_id) as at:
        await at.note(AccountEventKind.SUBSCRIPTION_REMOVED)
        await webhooks.remove(at.session, at.one.endpoint, at.now)


async def status(services: Starting, caller: Caller, subscription_id: UUID) -> Notification:
    """Where it stands, and how many events there were. Raises Problem `not_found`."""
    await _number(services, caller, subscription_id)
    async with _changing(services, caller, subscription_id) as at:
        return _told(at, NotificationKind.QUERY_STATUS)


async def events(
    services: Starting, caller: Caller, subscription_id: UUID, first: int, last: int, content: Content | None
) -> Notification:
    """Its events with these numbers, as far as what they told is kept, so many at once; those of which nothing may be seen any
    more without what they are about. Raises Problem `not_found`.
    """
    await _number(services, caller, subscription_id)
    async with _changing(services, caller, subscription_id) as at:
        found = await subscriptions.events(at.session, at.one, first, last, MOST_EVENTS, at.now)
        return _told(at, NotificationKind.QUERY_EVENT, found, content)


async def _number(services: Starting, caller: Caller, subscription_id: UUID) -> None:
    """Give numbers to what has happened until now, some at a time: commands and the sender come in between."""
    async with _changing(services, caller, subscription_id) as at:
        looked_at = await at.number()
    while looked_at == subscriptions.NUMBERED_AT_ONCE:
        async with _changing(services, caller, subscription_id) as at:
            looked_at = await at.number()


def _told(
    at: "_Changing", kind: NotificationKind, found: Sequence[Numbered] = (), content: Content | None = None
) -> Notification:
    id_ = str(new_id())
    return Notification(id_, kind, at.one, at.now, at.one.own.events, content or at.one.own.content, found)


def check_address(settings: Settings, url: str) -> None:
    """Raises ForbiddenError for an address to which nothing may go, as far as can be seen of it."""
    destination_of(url, walls_of(settings))


def _check_new(others: Sequence[Subscribed], new: NewSubscription) -> None:
    """Two of the same would tell everything twice."""
    said = (new.topic, sorted(new.filters), new.url)
    for one in others:
        is_off = one.status is SubscriptionStatus.OFF
        if not is_off and (one.own.topic, sorted(one.own.filters), one.endpoint.url) == said:
            raise Problem("subscription_exists")


def _changeable(new: NewSubscription) -> dict[str, Any]:
    return {
        "content": new.content,
        "payload": new.payload,
        "heartbeat_seconds": new.heartbeat_seconds,
        "timeout_seconds": new.timeout_seconds,
        "max_count": new.max_count,
        "reason": new.reason,
        "ends_at": new.ends_at,
    }


def _system(caller: Caller) -> UUID:
    """Whose Subscriptions are meant. Raises Problem `insufficient_scope` for people: these are for systems."""
    if caller.system is None:
        raise Problem("insufficient_scope")
    return caller.system.account.id


def _hand(caller: Caller) -> Hand:
    return Hand(caller.actual_id, caller.side, caller.address)


async def _own(session: AsyncSession, caller: Caller, subscription_id: UUID) -> Subscribed:
    one = await subscriptions.load(session, subscription_id)
    if one is None or one.own.removed_at is not None or one.endpoint.account_id != _system(caller):
        raise Problem("not_found")
    return one


@dataclass(frozen=True)
class _Changing:
    """A Subscription that is being changed, or whose events are numbered, in one transaction."""

    session: AsyncSession
    one: Subscribed
    by: Hand
    now: datetime

    async def number(self) -> int:
        """Give numbers to what waits longest for them; how many were looked at."""
        systems = await subscriptions.systems_of(self.session, [self.one])
        return await subscriptions.number(self.session, self.one, systems, self.now)

    async def note(self, kind: AccountEventKind) -> None:
        """Write down what is done."""
        await note(self.session, kind, self.one, self.by, self.now)


@asynccontextmanager
async def _changing(services: Starting, caller: Caller, subscription_id: UUID) -> AsyncIterator[_Changing]:
    async with services.database.session() as session:
        await _own(session, caller, subscription_id)
        await service_accounts.lock(session, _system(caller))  # addresses stay different
        one = await subscriptions.lock(session, subscription_id)
        if one is None or one.own.removed_at is not None:
            raise Problem("not_found")
        yield _Changing(session, one, _hand(caller), datetime.now(UTC))


async def note(session: AsyncSession, kind: AccountEventKind, one: Subscribed, by: Hand, now: datetime) -> None:
    """Write down what was done, about the clinic. Of the address only its host: in the rest may be what is secret."""
    clinic = await session.get_one(Clinic, one.endpoint.clinic_id)
    about = f"{one.own.topic.value}, {host_of(one.endpoint)}"
    account_events.note(session, kind, clinic, by, now, {"subscription": [None, about]})


# What goes with each call


def _sealed(settings: Settings, subscription_id: UUID, headers: Mapping[str, str]) -> str:
    return sealed_secret(settings, subscription_id, json.dumps(headers).encode())


def headers_of(settings: Settings, one: Subscribed) -> dict[str, str]:
    """The headers that its system wants with each call."""
    opened = open_sealed(key_ring(settings), one.endpoint.sealed_secret, place_of(one.id))
    headers: dict[str, str] = json.loads(opened)
    return headers


# For administrators


class SubscriptionView(View):
    """A Subscription of a system, as administrators see it."""

    id: UUID
    clinic_id: UUID
    service_account_id: UUID
    system: str = Field(description="The name of the service account whose it is.")
    topic: Topic
    resource: str = Field(description="The type of FHIR's resources that it is about.", examples=["Task"])
    filters: list[str] = Field(examples=[["status=completed"]])
    content: Content
    url: str
    reason: str = Field(description="What for, as its system says.")
    status: SubscriptionStatus = Field(
        description="`requested`: no handshake was taken yet. `error`: events are counted and not sent, until its system begins "
        "anew. `off`: nothing is sent."
    )
    disabled_reason: DisabledReason | None = Field(
        description="Of `error`: `no_handshake`, `gone` (it answered 410), `failing` (every call has failed for five days), "
        "`event_lost` (one event could not be told). Of `off`: `by_hand`, `by_system`, `over`, `system_ended`, "
        "`not_begun_anew` (a month in error)."
    )
    failing_since: datetime | None = Field(description="Since when every call has failed.")
    ends_at: datetime | None
    events: int = Field(description="How many events have their number.")
    created_at: datetime


async def list_of_clinic(services: Starting, by: Administrator, clinic_id: UUID) -> list[SubscriptionView]:
    """Those of a clinic's systems. Raises Problem `not_found`."""
    async with services.database.session() as session:
        clinic = await clinic_of(session, by, clinic_id)
        there = await subscriptions.list_of_clinic(session, clinic.id)
        systems = await subscriptions.systems_of(session, there)
        return [_shown(one, systems) for one in there]


async def turn_off(services: Starting, by: Administrator, subscription_id: UUID) -> SubscriptionView:
    """Nothing goes there any more, and its system does not begin anew with it. Raises Problem `not_found`."""
    now = datetime.now(UTC)
    async with services.database.session() as session:
        one = await subscriptions.lock(session, subscription_id)
        if one is None or one.own.removed_at is not None:
            raise Problem("not_found")
        by.check_sees(one.endpoint.clinic_id)
        if one.own.disabled_reason is not DisabledReason.BY_HAND:
            await webhooks.disable(session, one.endpoint, DisabledReason.BY_HAND, now)
            await note(session, AccountEventKind.SUBSCRIPTION_DISABLED, one, by.hand, now)
        return _shown(one, await subscriptions.systems_of(session, [one]))


def _shown(one: Subscribed, systems: Mapping[UUID, service_accounts.Found]) -> SubscriptionView:
    endpoint, own = one.endpoint, one.own
    account_id = endpoint.account_id
    if account_id is None:
        raise AssertionError("a Subscription is a system's")
    return SubscriptionView(
        id=one.id,
        clinic_id=endpoint.clinic_id,
        service_account_id=account_id,
        system=systems[account_id].account.given_name,
        topic=own.topic,
        resource=TOPICS[own.topic].kind,
        filters=own.filters,
        content=own.content,
        url=endpoint.url,
        reason=own.reason,
        status=one.status,
        disabled_reason=own.disabled_reason,
        failing_since=endpoint.failing_since,
        ends_at=own.ends_at,
        events=own.events,
        created_at=endpoint.created_at,
    )


async def measure(services: Starting) -> None:
    """Set the gauges; while the database is away, they stay as they are."""
    try:
        async with services.database.session() as session:
            counts = await subscriptions.count_by_status(session)
    except (SQLAlchemyError, OSError):
        return
    for status_, count in counts.items():
        SUBSCRIPTIONS.labels(status_.value).set(count)
