"""Messages on their way to endpoints: taken up by a sender, and what became of each call.

What a sender has claimed is nobody else's for as long as it lives (`records.senders`).
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog
from sqlalchemy import Integer, Text, Update, any_, insert, literal, select, text, true, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import Role
from domain.webhooks import MOST_AT_ONCE, DeliveryState, Tried, Verdict
from records import subscriptions
from records.ids import as_array, new_id
from records.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookMessage
from records.service_accounts import Found
from records.subscriptions import Numbered, Requests, Subscribed, Systems
from records.visibility import Viewer, may_see

_NOBODY = uuid.UUID(int=0)

_READY = text(
    """
    SELECT e.id FROM webhook_endpoints e LEFT JOIN subscriptions s ON s.endpoint_id = e.id
    WHERE coalesce(s.state, e.state) <> 'disabled' AND EXISTS (
        SELECT FROM webhook_deliveries d
        WHERE d.endpoint_id = e.id AND d.state = 'pending' AND d.claimed_by IS NULL AND d.next_attempt <= :now
          AND (d.type IN ('webhook.test', 'fhir.handshake')
               OR coalesce(s.state, e.state) = 'active' AND (e.paused_until IS NULL OR e.paused_until <= :now))
    )
    ORDER BY e.id LIMIT :most FOR NO KEY UPDATE OF e SKIP LOCKED
    """
)
"""Endpoints for which something is due, kept from other senders: what these have claimed shows in the next statement.

A test, or a handshake, goes to every endpoint that is not disabled. The lock is one that what is queued meanwhile does not wait
for."""

_CLAIM = text(
    f"""
    WITH due AS MATERIALIZED (
        SELECT e.id AS endpoint_id, first.message_id
        FROM webhook_endpoints e LEFT JOIN subscriptions s ON s.endpoint_id = e.id CROSS JOIN LATERAL (
            SELECT d.message_id FROM webhook_deliveries d
            WHERE d.endpoint_id = e.id AND d.state = 'pending' AND d.claimed_by IS NULL AND d.next_attempt <= :now
              AND (d.type IN ('webhook.test', 'fhir.handshake')
                   OR coalesce(s.state, e.state) = 'active' AND (e.paused_until IS NULL OR e.paused_until <= :now))
              AND (d.type <> 'fhir.notification' OR d.number IS NOT NULL)
              AND NOT EXISTS (
                  SELECT FROM webhook_deliveries earlier
                  WHERE earlier.endpoint_id = e.id AND earlier.request_id = d.request_id
                    AND earlier.message_id < d.message_id AND earlier.state = 'pending' AND earlier.attempts = 0
              )
            ORDER BY d.next_attempt, d.message_id
            LIMIT greatest(0, {MOST_AT_ONCE} - (
                SELECT count(*) FROM webhook_deliveries busy
                WHERE busy.endpoint_id = e.id AND busy.claimed_by IS NOT NULL
            ))
            FOR UPDATE SKIP LOCKED
        ) AS first
        WHERE e.id = ANY(:ids) AND coalesce(s.state, e.state) <> 'disabled'
    )
    UPDATE webhook_deliveries SET claimed_by = :number FROM due
    WHERE webhook_deliveries.endpoint_id = due.endpoint_id AND webhook_deliveries.message_id = due.message_id
    RETURNING webhook_deliveries.message_id, webhook_deliveries.endpoint_id, webhook_deliveries.attempts,
        webhook_deliveries.number
    """  # noqa: S608 - a number of ours
)
"""What is due is found once, before anything is claimed: found anew for each row, it would be others each time.

What a Subscription is told goes once it has its number."""

Row = TypeVar("Row", WebhookEndpoint, WebhookMessage)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Called:
    """A call, how long it took, and how its answer began."""

    tried: Tried
    milliseconds: int
    answer: str | None = None


@dataclass(frozen=True)
class Taken:
    """A message that a sender has in hand, and the endpoint to which it goes; of a Subscription, that, and its event."""

    message: WebhookMessage
    endpoint: WebhookEndpoint
    attempts: int
    subscribed: Subscribed | None = None
    event: Numbered | None = None


async def take_up(session: AsyncSession, number: int, now: datetime, most: int) -> list[Taken]:
    """Messages that are due, for the sender `number`: to each endpoint no more than `MOST_AT_ONCE` are under way, whoever sends.

    Of one request a message waits until the one before was tried. What a clinic may not see any more is dropped here, right
    before it would go; an event of a Subscription that has its number already goes without saying what it is about.
    """
    ready = await session.scalars(_READY, {"now": now, "most": most})
    endpoint_ids = list(ready)
    if not endpoint_ids:
        return []
    there = await subscriptions.of_endpoints(session, endpoint_ids)
    systems = await subscriptions.systems_of(session, list(there.values()))
    over = {id_ for id_, one in there.items() if one.is_over(systems, now)}  # they end with the next look at them
    endpoint_ids = [id_ for id_ in endpoint_ids if id_ not in over]
    broken = await _number(session, [one for id_, one in there.items() if id_ not in over], systems, now)
    endpoint_ids = [id_ for id_ in endpoint_ids if id_ not in broken]
    claimed = (await session.execute(_CLAIM, {"ids": endpoint_ids, "number": number, "now": now})).all()
    endpoints = await _by_id(session, WebhookEndpoint, endpoint_ids)
    messages = await _by_id(session, WebhookMessage, [row.message_id for row in claimed])
    requests = await subscriptions.requests_of(session, [one.request_id for one in messages.values()])
    taken = []
    for row in sorted(claimed, key=lambda row: row.message_id):
        message, subscribed = messages[row.message_id], there.get(row.endpoint_id)
        event = _event(row.number, message, subscribed, systems, requests, now) if subscribed is not None else None
        taken.append(Taken(message, endpoints[row.endpoint_id], row.attempts, subscribed, event))
    gone = [one for one in taken if one.subscribed is None and not _may_go(one, requests)]
    for one in gone:
        dropped = _delivery(one).values(state=DeliveryState.DROPPED, claimed_by=None, settled_at=now)
        await session.execute(dropped, execution_options={"synchronize_session": False})
    return [one for one in taken if one not in gone]


async def _number(
    session: AsyncSession, subscribed: Sequence[Subscribed], systems: Systems, now: datetime
) -> set[uuid.UUID]:
    """Give numbers to what waits for them; gives the Subscriptions with which that can't be done, for which nobody else waits."""
    ids = set(await subscriptions.unnumbered(session, [one.id for one in subscribed]))
    most, broken = subscriptions.share_of(len(ids)), set()
    for one in subscribed:
        if one.id not in ids:
            continue
        id_ = one.id
        try:
            async with session.begin_nested():
                await subscriptions.number(session, one, systems, now, most)
        except (SQLAlchemyError, ValueError, LookupError) as error:
            log.error("events of a Subscription get no numbers", endpoint_id=str(id_), error=type(error).__name__)
            broken.add(id_)
    return broken


def _event(
    number: int | None,
    message: WebhookMessage,
    one: Subscribed,
    systems: Mapping[uuid.UUID, Found],
    requests: Requests,
    now: datetime,
) -> Numbered | None:
    """The event that it tells, as its system may see that now; None for a handshake or a heartbeat."""
    if number is None:
        return None
    may = subscriptions.may_be_told(one.system_in(systems), one.own.topic, requests, message.request_id, now)
    return Numbered(number, message.at, subscriptions.focus_of(message, may))


async def _by_id(session: AsyncSession, kind: type[Row], ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Row]:
    """As they are now."""
    wanted = as_array(ids)
    query = select(kind).where(kind.id == any_(wanted)).execution_options(populate_existing=True)
    return {row.id: row for row in await session.scalars(query)} if ids else {}


def _may_go(taken: Taken, requests: Requests) -> bool:
    """Whether the clinic, and who said where the webhook is, may see now what it is told: as its administrators see requests."""
    if taken.message.request_id is None:
        return taken.message.clinic_id == taken.endpoint.clinic_id
    viewer = Viewer(_NOBODY, taken.endpoint.clinic_id, frozenset({Role.CLINIC_ADMINISTRATOR}))
    row = requests.rows.get(taken.message.request_id)
    listeners = {(taken.message.request_id, taken.endpoint.clinic_id), (taken.message.request_id, taken.endpoint.id)}
    is_shut = not listeners.isdisjoint(requests.shut)
    return row is not None and may_see(viewer, row, participants=(), pools=(), holders=(), is_shut=is_shut) == "chart"


# What became of it


async def settle(session: AsyncSession, taken: Taken, call: Called, verdict: Verdict) -> bool:
    """Write down what a call gave, in one statement; whether the message was still wanted.

    It is not where the endpoint was disabled or removed meanwhile; that it arrived counts all the same.
    """
    state = verdict.state
    keeps = WebhookDelivery.state == DeliveryState.PENDING if state is not DeliveryState.DELIVERED else true()
    settled = (
        _delivery(taken)
        .where(keeps)
        .values(
            state=state,
            attempts=WebhookDelivery.attempts + 1,
            next_attempt=verdict.next_attempt or WebhookDelivery.next_attempt,
            claimed_by=None,
            last_status=call.tried.status,
            last_error=call.tried.error,
            settled_at=None if state is DeliveryState.PENDING else call.tried.at,
        )
    )
    moved = settled.returning(WebhookDelivery.message_id, WebhookDelivery.endpoint_id).cte("moved")
    noted = insert(WebhookAttempt).from_select(
        ["id", "message_id", "endpoint_id", "at", "milliseconds", "status", "error", "answer"],
        select(
            literal(new_id()),
            moved.c.message_id,
            moved.c.endpoint_id,
            literal(call.tried.at),
            literal(call.milliseconds),
            literal(call.tried.status, Integer),
            literal(call.tried.error, Text),
            literal(call.answer, Text),
        ),
    )
    noted = noted.returning(WebhookAttempt.id)
    return await session.scalar(noted) is not None


async def is_pending(session: AsyncSession, taken: Taken) -> bool:
    """Whether the message is still to go: nobody has disabled the endpoint, or moved it elsewhere, since it was taken up."""
    delivery = await session.get(
        WebhookDelivery, (taken.message.id, taken.endpoint.id), populate_existing=True, with_for_update=True
    )
    return delivery is not None and delivery.state is DeliveryState.PENDING


async def let_go(session: AsyncSession, taken: Taken) -> None:
    """It is in nobody's hands any more, if it still was."""
    await session.execute(_delivery(taken).values(claimed_by=None), execution_options={"synchronize_session": False})


def _delivery(taken: Taken) -> Update:
    return update(WebhookDelivery).where(
        WebhookDelivery.message_id == taken.message.id, WebhookDelivery.endpoint_id == taken.endpoint.id
    )
