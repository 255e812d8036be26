"""Webhooks of clinics: the endpoints, and the messages for them, written in the transaction of what they tell.

A message is written only where an endpoint may want it. What it says is thin: ids, a number, a status; whoever wants more asks
the API, which allows and logs it. How messages go out is in `records.webhook_queue`.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from secrets import token_urlsafe

from sqlalchemy import (
    ColumnElement,
    Select,
    Uuid,
    any_,
    bindparam,
    delete,
    exists,
    func,
    null,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.commands import IssueDocument
from domain.events import Event
from domain.requests import Request
from domain.subscriptions import topics_of
from domain.webhooks import DeliveryState, DisabledReason, EndpointState, WebhookType, told_as
from records import subscriptions
from records.ids import new_id
from records.models import (
    Account,
    Json,
    RequestRecord,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookMessage,
    table_of,
)
from records.straight import Straight
from records.subscriptions import Subscribed

CHANNEL = "relais_webhooks"
"""The channel on which senders hear that there is something to send."""

_MESSAGES, _DELIVERIES = table_of(WebhookMessage), table_of(WebhookDelivery)
_TELL = text(f"SELECT pg_notify('{CHANNEL}', '')")
_WANTING = Straight(
    select(WebhookEndpoint.id, WebhookEndpoint.types).where(
        WebhookEndpoint.clinic_id == any_(bindparam("clinic_ids", type_=ARRAY(Uuid()))),
        WebhookEndpoint.state != EndpointState.DISABLED,
        WebhookEndpoint.verified_at.is_not(None),
        WebhookEndpoint.types.overlap(bindparam("wanted")),
    )
)
"""Made once, as in `records.requests`: every event asks it. A Subscription in error is among them: what happens is counted."""


@dataclass(frozen=True)
class Listed:
    """A message at one endpoint, and its delivery there."""

    message: WebhookMessage
    delivery: WebhookDelivery


# The outbox


async def tell_event(session: AsyncSession, row: RequestRecord, event: Event, request: Request) -> None:
    """Write down what endpoints are told of a new event, in its transaction; for the clinics that are concerned after it.

    Whether such a clinic still is, is asked again when the message goes.
    """
    types, topics = told_as(event.name), topics_of(event.name)
    concerned = (request.requester.clinic_id, request.dispatch_clinic_id, request.holder.clinic_id)
    wanting = await _wanting(session, {clinic_id for clinic_id in concerned if clinic_id}, (*types, *topics))
    subscribed = [id_ for id_, wanted in wanting if not {topic.value for topic in topics}.isdisjoint(wanted)]
    if subscribed and await subscriptions.tell_event(session, event, subscribed):
        await session.execute(_TELL)
    for type_ in types:
        endpoints = [one for one, wanted in wanting if type_ in wanted]
        await queue(
            session,
            _of_request(type_, row, event, request),
            endpoints,
            event.at,
            request_id=event.request_id,
            sequence=event.version,
        )


def _of_request(type_: WebhookType, row: RequestRecord, event: Event, request: Request) -> tuple[WebhookType, Json]:
    data: Json = {
        "request_id": str(event.request_id),
        "number": row.number,
        "sequence": event.version,
        "version": event.version + row.edits,
        "event": event.name.value,
        "status": event.status.value,
        "offering": request.terms.offering,
        "requester_clinic_id": str(request.requester.clinic_id),
        "dispatch_clinic_id": str(request.dispatch_clinic_id),
    }
    if type_ is WebhookType.DOCUMENT_READY and isinstance(event.command, IssueDocument):
        data["report_id"] = str(event.command.report_id)
    return type_, data


async def tell_locked(session: AsyncSession, account: Account, now: datetime) -> None:
    """Write down that an account of a clinic was locked, in the transaction that locks it."""
    type_ = WebhookType.ACCOUNT_LOCKED
    wanting = await _wanting(session, [account.clinic_id], (type_,))
    data: Json = {"account_id": str(account.id), "kind": account.kind.value, "clinic_id": str(account.clinic_id)}
    await queue(session, (type_, data), [one for one, _ in wanting], now, clinic_id=account.clinic_id)


async def queue_test(session: AsyncSession, endpoint: WebhookEndpoint, now: datetime) -> uuid.UUID:
    """A test for one endpoint; gives its message's id. Tests of it that have not gone end: only the newest challenge counts."""
    await end_waiting(session, endpoint.id, now, WebhookDelivery.type == WebhookType.TEST)
    data: Json = {"challenge": token_urlsafe(24), "webhook_id": str(endpoint.id), "clinic_id": str(endpoint.clinic_id)}
    id_ = await queue(session, (WebhookType.TEST, data), [endpoint.id], now, clinic_id=endpoint.clinic_id)
    if id_ is None:
        raise AssertionError("a test has its endpoint")
    return id_


async def queue_handshake(session: AsyncSession, endpoint: WebhookEndpoint, now: datetime) -> None:
    """The first notification of a Subscription, or of one that begins anew. One that has not gone yet counts no more."""
    await end_waiting(session, endpoint.id, now, WebhookDelivery.type == WebhookType.HANDSHAKE)
    await queue(session, (WebhookType.HANDSHAKE, {}), [endpoint.id], now, clinic_id=endpoint.clinic_id)


async def queue_heartbeat(session: AsyncSession, endpoint: WebhookEndpoint, now: datetime) -> None:
    """A sign of life for a Subscription."""
    await subscriptions.forget_heartbeats(session, endpoint.id)
    await queue(session, (WebhookType.HEARTBEAT, {}), [endpoint.id], now, clinic_id=endpoint.clinic_id)


async def _wanting(
    session: AsyncSession, clinic_ids: Collection[uuid.UUID], types: Sequence[StrEnum]
) -> list[tuple[uuid.UUID, list[str]]]:
    """The endpoints of these clinics that want some of these types, once somebody there has answered; with what they want."""
    asked = {"clinic_ids": list(clinic_ids), "wanted": [type_.value for type_ in types]}
    return [(id_, wanted) for id_, wanted in await _WANTING.rows(session, asked)]


async def queue(
    session: AsyncSession,
    said: tuple[WebhookType, Json],
    endpoints: Sequence[uuid.UUID],
    at: datetime,
    *,
    request_id: uuid.UUID | None = None,
    sequence: int | None = None,
    clinic_id: uuid.UUID | None = None,
) -> uuid.UUID | None:
    """Write a message for these endpoints, of a request or of one clinic; gives its id, None where nobody is to hear it."""
    if not endpoints:
        return None
    id_, (type_, data) = new_id(), said
    message = insert(_MESSAGES).values(
        id=id_, type=type_, request_id=request_id, sequence=sequence, clinic_id=clinic_id, at=at, data=data
    )
    await session.execute(message)
    delivery = {"message_id": id_, "request_id": request_id, "type": type_, "state": DeliveryState.PENDING}
    rows = [{**delivery, "endpoint_id": endpoint_id, "next_attempt": func.now()} for endpoint_id in endpoints]
    await session.execute(insert(_DELIVERIES).values(rows))
    await session.execute(_TELL)
    return id_


# Endpoints


async def add(
    session: AsyncSession,
    *,
    endpoint_id: uuid.UUID,
    clinic_id: uuid.UUID,
    url: str,
    types: Collection[WebhookType],
    description: str,
    sealed_secret: str,
    given_by: uuid.UUID | None,
    now: datetime,
) -> WebhookEndpoint:
    """A new endpoint that nobody has answered for yet."""
    endpoint = WebhookEndpoint(
        id=endpoint_id,
        clinic_id=clinic_id,
        url=url,
        types=sorted(types),
        description=description,
        state=EndpointState.UNVERIFIED,
        sealed_secret=sealed_secret,
        given_by=given_by,
        created_at=now,
    )
    session.add(endpoint)
    await session.flush()
    return endpoint


async def load(session: AsyncSession, endpoint_id: uuid.UUID) -> WebhookEndpoint | None:
    """The endpoint; None where there is none, or a Subscription of a system."""
    endpoint = await session.get(WebhookEndpoint, endpoint_id)
    return endpoint if endpoint is not None and endpoint.account_id is None else None


async def lock(session: AsyncSession, endpoint_id: uuid.UUID) -> WebhookEndpoint | None:
    """The endpoint as it is now, kept from others who change it until the transaction ends."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id).with_for_update(key_share=True)
    return await session.scalar(query.execution_options(populate_existing=True))


async def list_of(session: AsyncSession, clinic_id: uuid.UUID) -> list[WebhookEndpoint]:
    """Those of a clinic, in the order in which they were made."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.clinic_id == clinic_id, WebhookEndpoint.account_id.is_(None))
    return list(await session.scalars(query.order_by(WebhookEndpoint.id)))


async def all_endpoints(session: AsyncSession) -> list[WebhookEndpoint]:
    """Those of all clinics, and the Subscriptions of their systems."""
    return list(await session.scalars(select(WebhookEndpoint)))


async def subscription_of(session: AsyncSession, endpoint: WebhookEndpoint) -> Subscribed | None:
    """The Subscription that an endpoint is."""
    return await subscriptions.load(session, endpoint.id) if endpoint.account_id is not None else None


async def disable(session: AsyncSession, endpoint: WebhookEndpoint, reason: DisabledReason, now: datetime) -> None:
    """Nothing goes there any more: what waits has failed, and can be replayed."""
    if (one := await subscription_of(session, endpoint)) is not None:
        subscriptions.turn_off(one, reason, now)
    else:
        endpoint.state, endpoint.disabled_reason = EndpointState.DISABLED, reason
    endpoint.version += 1
    await session.flush()
    await end_waiting(session, endpoint.id, now)


async def end_waiting(
    session: AsyncSession, endpoint_id: uuid.UUID, now: datetime, *which: ColumnElement[bool]
) -> None:
    """What still waits for an endpoint has failed."""
    waiting = update(WebhookDelivery).where(
        WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.state == DeliveryState.PENDING, *which
    )
    await session.execute(
        waiting.values(state=DeliveryState.FAILED, settled_at=now), execution_options={"synchronize_session": False}
    )


async def remove(session: AsyncSession, endpoint: WebhookEndpoint, now: datetime) -> None:
    """The endpoint with what became of its messages; that of a Subscription in the night, for it may be much."""
    if (one := await subscription_of(session, endpoint)) is None:
        await session.delete(endpoint)
    else:
        await disable(session, endpoint, DisabledReason.BY_SYSTEM, now)
        one.own.removed_at = now
    await session.flush()


# Messages at an endpoint


async def list_messages(
    session: AsyncSession,
    endpoint_id: uuid.UUID,
    *,
    state: DeliveryState | None,
    before: uuid.UUID | None,
    limit: int,
    without: Collection[uuid.UUID] = (),
) -> list[Listed]:
    """The newest first; those before another one, where that is named; `without` those about some requests."""
    query = _listed(endpoint_id, without).order_by(WebhookDelivery.message_id.desc()).limit(limit)
    if state is not None:
        query = query.where(WebhookDelivery.state == state)
    if before is not None:
        query = query.where(WebhookDelivery.message_id < before)
    return [Listed(message, delivery) for message, delivery in await session.execute(query)]


async def load_message(
    session: AsyncSession, endpoint_id: uuid.UUID, message_id: uuid.UUID, without: Collection[uuid.UUID] = ()
) -> Listed | None:
    """One of them."""
    query = _listed(endpoint_id, without).where(WebhookDelivery.message_id == message_id)
    row = (await session.execute(query)).one_or_none()
    return Listed(row[0], row[1]) if row else None


def _listed(endpoint_id: uuid.UUID, without: Collection[uuid.UUID]) -> Select[WebhookMessage, WebhookDelivery]:
    is_shown = or_(WebhookMessage.request_id.is_(None), WebhookMessage.request_id.not_in(without))
    return (
        select(WebhookMessage, WebhookDelivery)
        .join(WebhookDelivery, WebhookDelivery.message_id == WebhookMessage.id)
        .where(WebhookDelivery.endpoint_id == endpoint_id, is_shown)
    )


async def list_attempts(
    session: AsyncSession, endpoint_id: uuid.UUID, message_id: uuid.UUID, *, limit: int
) -> list[WebhookAttempt]:
    """The calls for one message, the newest first."""
    query = select(WebhookAttempt).where(
        WebhookAttempt.endpoint_id == endpoint_id, WebhookAttempt.message_id == message_id
    )
    return list(await session.scalars(query.order_by(WebhookAttempt.id.desc()).limit(limit)))


async def replay_message(session: AsyncSession, delivery: WebhookDelivery, now: datetime) -> None:
    """It goes once more, from the beginning, under the same id."""
    delivery.state, delivery.attempts, delivery.next_attempt = DeliveryState.PENDING, 0, now
    delivery.settled_at = None
    await session.flush()
    await session.execute(_TELL)


async def replay_failed(session: AsyncSession, endpoint_id: uuid.UUID, since: datetime, now: datetime) -> int:
    """All that have failed and tell of what happened since then go once more; gives how many. Tests are made anew instead."""
    is_told = exists().where(
        WebhookMessage.id == WebhookDelivery.message_id, WebhookMessage.at >= since, WebhookMessage.data.is_not(None)
    )
    failed = update(WebhookDelivery).where(
        WebhookDelivery.endpoint_id == endpoint_id,
        WebhookDelivery.state == DeliveryState.FAILED,
        WebhookDelivery.type != WebhookType.TEST,
        is_told,
    )
    again = failed.values(state=DeliveryState.PENDING, attempts=0, next_attempt=now, settled_at=None)
    found = await session.scalars(
        again.returning(WebhookDelivery.message_id), execution_options={"synchronize_session": False}
    )
    count = len(found.all())
    if count:
        await session.execute(_TELL)
    return count


# Upkeep


async def forget(session: AsyncSession, before: datetime) -> dict[str, int]:
    """What was told before that moment is not kept any longer, nor what became of each call then; gives how many of each.

    Who was told what, when, and with which status stays. What still waits for an endpoint that does not come back has failed.
    """
    old = exists().where(WebhookMessage.id == WebhookDelivery.message_id, WebhookMessage.at < before)
    waits = update(WebhookDelivery).where(WebhookDelivery.state == DeliveryState.PENDING, old)
    await session.execute(
        waits.values(state=DeliveryState.FAILED, settled_at=func.now()),
        execution_options={"synchronize_session": False},
    )
    bodies = await forget_told(session, before)
    calls = await session.scalars(delete(WebhookAttempt).where(WebhookAttempt.at < before).returning(WebhookAttempt.id))
    return {"what old webhooks said": bodies, "old calls of webhooks": len(calls.all())}


async def forget_told(session: AsyncSession, before: datetime, most: int | None = None) -> int:
    """What was told before that moment is not kept, of so many messages at once; gives of how many."""
    old = select(WebhookMessage.id).where(WebhookMessage.data.is_not(None), WebhookMessage.at < before).limit(most)
    told = update(WebhookMessage).where(WebhookMessage.id.in_(old)).values(data=null()).returning(WebhookMessage.id)
    return len((await session.scalars(told, execution_options={"synchronize_session": False})).all())


async def waiting(session: AsyncSession, now: datetime) -> tuple[int, datetime | None]:
    """How many messages should have gone by now, and since when the first."""
    query = select(func.count(), func.min(WebhookDelivery.next_attempt)).where(
        WebhookDelivery.state == DeliveryState.PENDING, WebhookDelivery.next_attempt <= now
    )
    count, since = (await session.execute(query)).one()
    return count, since


async def count_by_state(session: AsyncSession) -> dict[EndpointState, int]:
    """How many endpoints there are, by state."""
    query = select(WebhookEndpoint.state, func.count()).where(WebhookEndpoint.account_id.is_(None))
    query = query.group_by(WebhookEndpoint.state)
    return {found[0]: found[1] for found in await session.execute(query)}
