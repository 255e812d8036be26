"""Webhooks, for who administers a clinic: where it wants to hear of events, and what became of each message there.

Each change is one transaction with the note of it (`records.account_events`). Messages go out in `webhook_sender`; nothing is
called here.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_bytes
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID

from prometheus_client import Gauge
from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import AccountEventKind
from domain.model import COMPOSED, ONE_LINE, Frozen
from domain.webhooks import (
    CHOSEN,
    MOST_ENDPOINTS,
    OLDER_SECRET_LASTS,
    SECRET_BYTES,
    DeliveryState,
    DisabledReason,
    EndpointState,
    WebhookType,
    secret_text,
)
from engine.client import key_ring
from key_ring import open_sealed, seal, sealed_anew
from outgoing.destinations import LONGEST_URL, ForbiddenError, Walls, destination_of
from records import account_events, people, webhooks
from records.account_events import Hand
from records.database import Database
from records.ids import new_id
from records.models import Clinic, WebhookAttempt, WebhookEndpoint
from records.visibility import all_shut_to
from records.webhooks import Listed
from settings import Settings
from use_cases.administrators import Administrator
from use_cases.gate import Starting
from use_cases.people import clinic_of
from use_cases.problems import FieldFault, Problem
from use_cases.views import View

WAITING = Gauge("relais_webhooks_waiting", "Messages of webhooks that should have gone by now")
OLDEST = Gauge("relais_oldest_waiting_webhook_seconds", "How long the oldest of them waits")
ENDPOINTS = Gauge("relais_webhook_endpoints", "Endpoints of webhooks, by state", ["state"])

MESSAGES_SHOWN = 50
ATTEMPTS_SHOWN = 100

Url = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_URL), ONE_LINE]
Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), COMPOSED, ONE_LINE]


_TAKEN = (*CHOSEN, WebhookType.TEST)


def _taken(type_: WebhookType) -> WebhookType:
    if type_ not in _TAKEN:
        raise PydanticCustomError("enum", "what goes to Subscriptions alone")
    return type_


def _chosen(types: list[WebhookType]) -> list[WebhookType]:
    """Without a test, which was taken from the first and comes to each."""
    chosen = sorted(set(types) - {WebhookType.TEST})
    if not chosen:
        raise PydanticCustomError("too_short", "one that is told of nothing")
    return chosen


Type = Annotated[WebhookType, AfterValidator(_taken), WithJsonSchema({"type": "string", "enum": list(_TAKEN)})]
Types = Annotated[list[Type], Field(min_length=1, max_length=len(_TAKEN)), AfterValidator(_chosen)]


class NewWebhook(Frozen):
    """An address at which a clinic wants to hear of events."""

    url: Url = Field(description="https only.", examples=["https://records.example.ca/relais"])
    event_types: Types = Field(
        default=list(CHOSEN),
        description="What is told there; everything when left out.",
        examples=[["report.document_ready"]],
    )
    description: Description = Field("", description="For who looks at it in a year.", examples=["Dossier Fleuve"])
    clinic_id: UUID | None = Field(None, description="The caller's own when empty.", examples=[None])


class WebhookChange(Frozen):
    """What is to be changed; what is left out stays as it is."""

    url: Url | None = Field(None, description="Somebody there must answer a challenge anew.")
    event_types: Types | None = Field(None, description="All that is told there from now on.")
    description: Description | None = Field(None, examples=["Dossier Fleuve"])
    enabled: bool | None = Field(None, description="Of what is enabled again, a challenge must be answered anew.")


class ReplaySince(Frozen):
    """Since when what has failed goes once more."""

    since: AwareDatetime = Field(description="By when it happened.", examples=["2026-11-27T05:00:00Z"])


class WebhookView(View):
    """An endpoint, as administrators see it."""

    id: UUID
    clinic_id: UUID
    clinic: str
    url: str
    event_types: list[WebhookType]
    description: str
    state: EndpointState = Field(
        description="`unverified`: nobody there has answered a challenge yet. Nothing but tests goes to what is not `active`."
    )
    disabled_reason: DisabledReason | None = Field(
        description="`gone`: it answered 410. `failing`: every call has failed for five days."
    )
    failing_since: datetime | None = Field(description="Since when every call has failed.")
    paused_until: datetime | None = Field(description="Until when it asked to be left alone.")
    verified_at: datetime | None = Field(description="When somebody there answered a challenge last.")
    older_secret_ends_at: datetime | None = Field(
        description="Until when calls are signed with the secret before, too, after a rotation."
    )
    created_at: datetime
    version: int = Field(description="For If-Match: grows with each change.")


class GivenWebhookSecret(View):
    """An endpoint, and its new secret: it is shown here once, and known to nobody after that."""

    webhook: WebhookView
    secret: str = Field(repr=False, examples=["whsec_…"])


class DeliveryView(View):
    """A message, and what became of it at one endpoint."""

    message_id: UUID
    webhook_id: str = Field(description="The header `webhook-id` of each of its calls.", examples=["msg_0199…"])
    type: WebhookType
    at: datetime = Field(description="When what it tells happened.")
    request_id: UUID | None
    sequence: int | None = Field(description="Which row of the request's timeline it is.")
    state: DeliveryState = Field(
        description="`failed` after the last try, or when the endpoint was disabled. `dropped`: when it was to go, the clinic "
        "did not see the request any more."
    )
    attempts: int = Field(description="Since it was queued, or replayed.")
    next_attempt: datetime | None
    last_status: int | None
    last_error: str | None = Field(description="Why the last call had no answer, or not the one that was asked for.")
    settled_at: datetime | None
    can_be_replayed: bool


class DeliveryPage(View):
    """Messages at an endpoint, the newest first."""

    items: list[DeliveryView]
    next: UUID | None = Field(description="For `before`, to go on; null at the end.")


class AttemptView(View):
    """One call."""

    at: datetime
    milliseconds: int
    status: int | None
    error: str | None
    answer: str | None = Field(description="How the answer began, for operators only.")


class Replayed(View):
    """How many messages go once more."""

    messages: int


# Seeing


async def list_webhooks(services: Starting, by: Administrator, clinic_id: UUID) -> list[WebhookView]:
    """Those of a clinic. Raises Problem `not_found`."""
    async with services.database.session() as session:
        clinic = await clinic_of(session, by, clinic_id)
        return [_shown(endpoint, clinic) for endpoint in await webhooks.list_of(session, clinic.id)]


async def read_webhook(services: Starting, by: Administrator, endpoint_id: UUID) -> WebhookView:
    """One of them. Raises Problem `not_found`."""
    async with services.database.session() as session:
        return await _view_of(session, await _to_see(session, by, endpoint_id))


async def list_messages(
    services: Starting,
    by: Administrator,
    endpoint_id: UUID,
    *,
    state: DeliveryState | None = None,
    before: UUID | None = None,
    limit: int = MESSAGES_SHOWN,
) -> DeliveryPage:
    """What it was told, or is to be told, the newest first. Raises Problem `not_found`."""
    async with services.database.session() as session:
        endpoint = await _to_see(session, by, endpoint_id)
        shut = await all_shut_to(session, by.viewer)
        found = await webhooks.list_messages(
            session, endpoint.id, state=state, before=before, limit=limit + 1, without=shut
        )
    shown = found[:limit]
    last = shown[-1].message.id if len(found) > limit else None
    return DeliveryPage(items=[_delivery(one) for one in shown], next=last)


async def read_message(services: Starting, by: Administrator, endpoint_id: UUID, message_id: UUID) -> DeliveryView:
    """One message at an endpoint. Raises Problem `not_found`."""
    async with services.database.session() as session:
        endpoint = await _to_see(session, by, endpoint_id)
        return _delivery(await _message(session, by, endpoint, message_id))


async def list_attempts(
    services: Starting, by: Administrator, endpoint_id: UUID, message_id: UUID
) -> list[AttemptView]:
    """The calls for a message, the newest first. How an answer began is for operators: to others it would be a way to read what
    answers inside. Raises Problem `not_found`.
    """
    async with services.database.session() as session:
        endpoint = await _to_see(session, by, endpoint_id)
        await _message(session, by, endpoint, message_id)
        found = await webhooks.list_attempts(session, endpoint.id, message_id, limit=ATTEMPTS_SHOWN)
    return [_attempt(one, by) for one in found]


# Changing


async def add_webhook(services: Starting, by: Administrator, clinic_id: UUID, new: NewWebhook) -> GivenWebhookSecret:
    """A new endpoint with its secret, and a test on its way: nothing else goes there before its challenge is answered.

    Raises Problem `not_found`, `webhook_url_taken`, `too_many_webhooks`, or what is wrong with a field.
    """
    _check_url(services.settings, new.url)
    now, id_, secret = datetime.now(UTC), new_id(), token_bytes(SECRET_BYTES)
    async with services.database.session() as session:
        await clinic_of(session, by, clinic_id)
        await people.lock_clinic(session, clinic_id)
        there = await webhooks.list_of(session, clinic_id)
        _check_new(there, new.url)
        if len(there) >= MOST_ENDPOINTS:
            raise Problem("too_many_webhooks", limit=MOST_ENDPOINTS)
        endpoint = await webhooks.add(
            session,
            endpoint_id=id_,
            clinic_id=clinic_id,
            url=new.url,
            types=new.event_types,
            description=new.description,
            sealed_secret=sealed_secret(services.settings, id_, secret),
            given_by=by.hand.account_id,
            now=now,
        )
        at = Changing(session, by, endpoint, now)
        await at.note(AccountEventKind.WEBHOOK_ADDED)
        await webhooks.queue_test(session, endpoint, now)
        return GivenWebhookSecret(webhook=await _view_of(session, endpoint), secret=secret_text(secret))


async def change_webhook(
    services: Starting, by: Administrator, endpoint_id: UUID, change: WebhookChange, expected_version: int | None
) -> WebhookView:
    """Change where it is, what is told there, and whether. The same change a second time changes nothing.

    Raises Problem `not_found`, `webhook_changed`, `webhook_url_taken`, or what is wrong with a field.
    """
    if change.url is not None:
        _check_url(services.settings, change.url)
    async with _changing(services, by, endpoint_id) as at:
        endpoint, changed = at.endpoint, _changed(at.endpoint, change)
        if not changed:
            return await _view_of(at.session, endpoint)
        if expected_version not in (None, endpoint.version):
            raise Problem("webhook_changed")
        if "url" in changed:
            there = await webhooks.list_of(at.session, endpoint.clinic_id)
            _check_new([one for one in there if one.id != endpoint_id], changed["url"])
        for name, value in changed.items():
            if name != "enabled":
                setattr(endpoint, name, value)
        if "url" in changed:
            endpoint.given_by = by.hand.account_id
        endpoint.version += 1
        await at.note(AccountEventKind.WEBHOOK_CHANGED, dict.fromkeys(changed))
        await _follow(at, changed)
        return await _view_of(at.session, endpoint)


async def _follow(at: "Changing", changed: Mapping[str, Any]) -> None:
    """What becomes of an endpoint that was changed: off, or a challenge for whoever is there now."""
    if changed.get("enabled") is False:
        await webhooks.disable(at.session, at.endpoint, DisabledReason.BY_HAND, at.now)
    elif "enabled" in changed or ("url" in changed and at.endpoint.state is not EndpointState.DISABLED):
        at.endpoint.state, at.endpoint.disabled_reason = EndpointState.UNVERIFIED, None
        at.endpoint.failing_since = at.endpoint.paused_until = None
        await at.session.flush()
        await webhooks.queue_test(at.session, at.endpoint, at.now)


async def remove_webhook(services: Starting, by: Administrator, endpoint_id: UUID) -> None:
    """Remove it, with what became of its messages. Raises Problem `not_found`."""
    async with _changing(services, by, endpoint_id) as at:
        await at.note(AccountEventKind.WEBHOOK_REMOVED)
        await webhooks.remove(at.session, at.endpoint, at.now)


async def rotate(services: Starting, by: Administrator, endpoint_id: UUID) -> GivenWebhookSecret:
    """A new secret. For a day, calls are signed with both. Raises Problem `not_found`."""
    secret = token_bytes(SECRET_BYTES)
    async with _changing(services, by, endpoint_id) as at:
        endpoint = at.endpoint
        endpoint.sealed_older_secret, endpoint.older_ends_at = endpoint.sealed_secret, at.now + OLDER_SECRET_LASTS
        endpoint.sealed_secret = sealed_secret(services.settings, endpoint.id, secret)
        endpoint.version += 1
        await at.note(AccountEventKind.WEBHOOK_SECRET_ADDED)
        return GivenWebhookSecret(webhook=await _view_of(at.session, endpoint), secret=secret_text(secret))


async def test(services: Starting, by: Administrator, endpoint_id: UUID) -> DeliveryView:
    """Send a test with a new challenge; an endpoint that answers it becomes active.

    Raises Problem `not_found`, `webhook_disabled`.
    """
    async with _changing(services, by, endpoint_id) as at:
        at.must_be_enabled()
        message_id = await webhooks.queue_test(at.session, at.endpoint, at.now)
        await at.note(AccountEventKind.WEBHOOK_TESTED)
        return _delivery(await _message(at.session, by, at.endpoint, message_id))


async def replay_message(services: Starting, by: Administrator, endpoint_id: UUID, message_id: UUID) -> DeliveryView:
    """Send a message once more, under the same id; one that still waits goes now.

    Raises Problem `not_found`, `webhook_disabled`, `webhook_not_replayable`.
    """
    async with _changing(services, by, endpoint_id) as at:
        at.must_be_enabled()
        found = await _message(at.session, by, at.endpoint, message_id)
        if not _can_be_replayed(found):
            raise Problem("webhook_not_replayable")
        await webhooks.replay_message(at.session, found.delivery, at.now)
        await at.note(AccountEventKind.WEBHOOK_REPLAYED)
        return _delivery(found)


async def replay_failed(services: Starting, by: Administrator, endpoint_id: UUID, since: datetime) -> Replayed:
    """Send all once more that has failed and happened since then. Raises Problem `not_found`, `webhook_disabled`."""
    async with _changing(services, by, endpoint_id) as at:
        at.must_be_enabled()
        count = await webhooks.replay_failed(at.session, at.endpoint.id, since, at.now)
        await at.note(AccountEventKind.WEBHOOK_REPLAYED, {"messages": [None, str(count)]})
        return Replayed(messages=count)


# Secrets


def sealed_secret(settings: Settings, endpoint_id: UUID, secret: bytes) -> str:
    """The secret, as the records hold it."""
    return seal(key_ring(settings), secret, place_of(endpoint_id))


def secrets_of(settings: Settings, endpoint: WebhookEndpoint, now: datetime) -> list[bytes]:
    """The secrets with which a call is signed: the newer first."""
    ring, place = key_ring(settings), place_of(endpoint.id)
    secrets = [open_sealed(ring, endpoint.sealed_secret, place)]
    if endpoint.sealed_older_secret and endpoint.older_ends_at and endpoint.older_ends_at > now:
        secrets.append(open_sealed(ring, endpoint.sealed_older_secret, place))
    return secrets


async def seal_anew(settings: Settings) -> int:
    """Seal with the first key of the ring what was sealed with another, before that one goes; gives for how many endpoints."""
    ring = key_ring(settings)
    async with Database.opened(settings) as database, database.session() as session:
        endpoints = await webhooks.all_endpoints(session)
        for endpoint in endpoints:
            place = place_of(endpoint.id)
            endpoint.sealed_secret = sealed_anew(ring, endpoint.sealed_secret, place)
            if endpoint.sealed_older_secret is not None:
                endpoint.sealed_older_secret = sealed_anew(ring, endpoint.sealed_older_secret, place)
        return sum(map(session.is_modified, endpoints))


def place_of(endpoint_id: UUID) -> str:
    return f"webhook {endpoint_id}"


# For those who keep it running


async def measure(services: Starting) -> None:
    """Set the gauges; while the database is away, they stay as they are."""
    try:
        async with services.database.session() as session:
            count, since = await webhooks.waiting(session, datetime.now(UTC))
            by_state = await webhooks.count_by_state(session)
    except (SQLAlchemyError, OSError):
        return
    WAITING.set(count)
    OLDEST.set((datetime.now(UTC) - since).total_seconds() if since else 0)
    for state in EndpointState:
        ENDPOINTS.labels(state.value).set(by_state.get(state, 0))


# What all changes have in common


@dataclass(frozen=True)
class Changing:
    """An endpoint that is being changed, in one transaction."""

    session: AsyncSession
    by: Administrator
    endpoint: WebhookEndpoint
    now: datetime

    def must_be_enabled(self) -> None:
        if self.endpoint.state is EndpointState.DISABLED:
            raise Problem("webhook_disabled")

    async def note(self, kind: AccountEventKind, changes: Mapping[str, Any] | None = None) -> None:
        """Write down what the administrator does."""
        await note(self.session, kind, self.endpoint, self.by.hand, self.now, changes)


async def note(
    session: AsyncSession,
    kind: AccountEventKind,
    endpoint: WebhookEndpoint,
    by: Hand,
    now: datetime,
    changes: Mapping[str, Any] | None = None,
) -> None:
    """Write down what was done, about the clinic. Of the address only its host: in the rest may be what is secret."""
    clinic = await session.get_one(Clinic, endpoint.clinic_id)
    account_events.note(session, kind, clinic, by, now, {"webhook": [None, host_of(endpoint)], **(changes or {})})


@asynccontextmanager
async def _changing(services: Starting, by: Administrator, endpoint_id: UUID) -> AsyncIterator[Changing]:
    """The endpoint, for who administers its clinic, one after the other. Raises Problem `not_found`."""
    async with services.database.session() as session:
        seen = await _to_see(session, by, endpoint_id)
        await people.lock_clinic(session, seen.clinic_id)  # addresses stay different
        endpoint = await webhooks.lock(session, endpoint_id)
        if endpoint is None:
            raise Problem("not_found")
        yield Changing(session, by, endpoint, datetime.now(UTC))


async def _to_see(session: AsyncSession, by: Administrator, endpoint_id: UUID) -> WebhookEndpoint:
    endpoint = await webhooks.load(session, endpoint_id)
    if endpoint is None:
        raise Problem("not_found")
    by.check_sees(endpoint.clinic_id)
    return endpoint


async def _message(session: AsyncSession, by: Administrator, endpoint: WebhookEndpoint, message_id: UUID) -> Listed:
    shut = await all_shut_to(session, by.viewer)
    found = await webhooks.load_message(session, endpoint.id, message_id, shut)
    if found is None:
        raise Problem("not_found")
    return found


def _changed(endpoint: WebhookEndpoint, change: WebhookChange) -> dict[str, Any]:
    """What is to be another than it is."""
    said = {
        "url": change.url,
        "types": None if change.event_types is None else sorted(change.event_types),
        "description": change.description,
        "enabled": change.enabled,
    }
    before = {
        "url": endpoint.url,
        "types": endpoint.types,
        "description": endpoint.description,
        "enabled": endpoint.state is not EndpointState.DISABLED,
    }
    return {name: value for name, value in said.items() if value is not None and value != before[name]}


def _check_new(others: Sequence[WebhookEndpoint], url: str) -> None:
    """Two at one address would tell everything twice."""
    if url in {endpoint.url for endpoint in others}:
        raise Problem("webhook_url_taken")


def walls_of(settings: Settings) -> Walls:
    """Where calls may go by the settings."""
    return Walls(frozenset(settings.webhook_ports), near=settings.webhooks_to_this_machine)


def _check_url(settings: Settings, url: str) -> None:
    try:
        destination_of(url, walls_of(settings))
    except ForbiddenError as error:
        raise Problem("invalid_input", [FieldFault("url", error.code)]) from None


# As it is shown


async def _view_of(session: AsyncSession, endpoint: WebhookEndpoint) -> WebhookView:
    return _shown(endpoint, await session.get_one(Clinic, endpoint.clinic_id))


def _shown(endpoint: WebhookEndpoint, clinic: Clinic) -> WebhookView:
    now = datetime.now(UTC)
    return WebhookView(
        id=endpoint.id,
        clinic_id=clinic.id,
        clinic=clinic.name,
        url=endpoint.url,
        event_types=[type_ for type_ in CHOSEN if type_ in endpoint.types],
        description=endpoint.description,
        state=endpoint.state,
        disabled_reason=endpoint.disabled_reason,
        failing_since=endpoint.failing_since,
        paused_until=_still(endpoint.paused_until, now),
        verified_at=endpoint.verified_at,
        older_secret_ends_at=_still(endpoint.older_ends_at, now),
        created_at=endpoint.created_at,
        version=endpoint.version,
    )


def _still(moment: datetime | None, now: datetime) -> datetime | None:
    return moment if moment is not None and moment > now else None


def _delivery(found: Listed) -> DeliveryView:
    message, delivery = found.message, found.delivery
    waits = delivery.state is DeliveryState.PENDING
    return DeliveryView(
        message_id=message.id,
        webhook_id=wire_id(message.id),
        type=message.type,
        at=message.at,
        request_id=message.request_id,
        sequence=message.sequence,
        state=delivery.state,
        attempts=delivery.attempts,
        next_attempt=delivery.next_attempt if waits else None,
        last_status=delivery.last_status,
        last_error=delivery.last_error,
        settled_at=delivery.settled_at,
        can_be_replayed=_can_be_replayed(found),
    )


def host_of(endpoint: WebhookEndpoint) -> str:
    """By which name histories call it."""
    return urlsplit(endpoint.url).hostname or ""


def wire_id(message_id: UUID) -> str:
    """The header ``webhook-id`` of every call of that message."""
    return f"msg_{message_id}"


def _can_be_replayed(found: Listed) -> bool:
    """While it is known what it said. Of a test, another one is made."""
    return found.message.data is not None and found.message.type is not WebhookType.TEST


def _attempt(one: WebhookAttempt, by: Administrator) -> AttemptView:
    return AttemptView(
        at=one.at,
        milliseconds=one.milliseconds,
        status=one.status,
        error=one.error,
        answer=one.answer if by.is_operator else None,
    )
