"""The sender of webhooks, and of what Subscriptions are told: takes messages up that are due, calls their endpoints, and writes
down what came of it.

Several may run, one in each worker (`sending.py`). See docs/decisions/webhooks.md.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import monotonic

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import AccountEventKind, LetterKind
from domain.subscriptions import NotificationKind
from domain.webhooks import (
    MOST_READ,
    PATIENCE,
    TRIED_ONCE,
    DeliveryState,
    DisabledReason,
    EndpointState,
    Tried,
    Verdict,
    WebhookType,
    is_given_up,
    judge,
    signature,
)
from outgoing.calls import Answer, CallError, Calls
from records import account_letters, subscriptions, webhook_queue, webhooks
from records.database import Database
from records.models import WebhookEndpoint
from records.subscriptions import Due, Subscribed
from records.webhook_queue import Called, Taken
from settings import Settings
from use_cases.sending import BY_ITSELF, Sending
from use_cases.subscriptions import Notification, headers_of
from use_cases.subscriptions import note as note_of_subscription
from use_cases.webhooks import note, secrets_of, walls_of, wire_id

USER_AGENT = "Relais-Webhooks/1"

SHOWN_OF_AN_ANSWER = 200

CHALLENGE_NOT_ANSWERED = "challenge_not_answered"
NOT_WRITTEN = "not_written"
"""What was to go could not be written: a secret does not open, or it is nothing that goes there."""

LOOKS_AFTER_SUBSCRIPTIONS_EVERY_SECONDS = 1.0

Write = Callable[[Settings, Notification], bytes]
"""How a notification is written: the same bytes at each try."""

log = structlog.get_logger(__name__)


def calls_for(settings: Settings) -> Calls:
    """Calls within the walls that the settings draw."""
    return Calls(walls_of(settings), patience=PATIENCE, most_read=MOST_READ)


@dataclass(frozen=True)
class _Post:
    """What goes to an endpoint."""

    body: bytes
    headers: Mapping[str, str]
    patience: timedelta | None = None


class Sender(Sending[Taken]):
    """The sender. `write` writes FHIR's notifications; `clock` and `chance` (from 0 to 1, for the pauses) are others in tests."""

    WHAT = "webhooks"
    CHANNEL = webhooks.CHANNEL
    AT_ONCE = 400
    """Endpoints that do not answer hold two places each, for fifteen seconds."""
    PATIENCE = PATIENCE

    def __init__(
        self,
        settings: Settings,
        database: Database,
        calls: Calls,
        write: Write,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(database)
        self._settings = settings
        self._calls = calls
        self._write = write
        self._clock = clock
        self._chance = chance
        self._looked_after_at = float("-inf")

    # One message

    async def _take_up(self, most: int) -> list[Taken]:
        now = self._clock()
        if monotonic() - self._looked_after_at >= LOOKS_AFTER_SUBSCRIPTIONS_EVERY_SECONDS:
            self._looked_after_at = monotonic()
            await _look_after_subscriptions(self._database, now)
        async with self._database.session() as session:
            return await webhook_queue.take_up(session, self._number, now, most)

    async def _send(self, taken: Taken) -> None:
        began, type_ = monotonic(), taken.message.type
        answer, error = await self._call(taken)
        is_test = type_ is WebhookType.TEST
        if is_test and error is None and answer is not None and answer.status < 300 and not _answers(answer, taken):
            error = CHALLENGE_NOT_ANSWERED
        tried = Tried(
            at=self._clock(),
            status=answer.status if answer else None,
            retry_after=answer.retry_after if answer else None,
            error=error,
        )
        called = Called(tried, round((monotonic() - began) * 1_000), _start_of(answer))
        if is_test or type_ is WebhookType.HANDSHAKE:
            await self._settle_first(taken, called)
            return
        verdict = judge(tried, taken.attempts, self._chance())
        is_tried_once = type_ in TRIED_ONCE or error == NOT_WRITTEN
        if is_tried_once and verdict.state is DeliveryState.PENDING:
            verdict = replace(verdict, state=DeliveryState.FAILED, next_attempt=None)
        await self._settle(taken, called, verdict)

    async def _call(self, taken: Taken) -> tuple[Answer | None, str | None]:
        try:
            post = self._webhook(taken) if taken.subscribed is None else self._notification(taken, taken.subscribed)
        except Exception as error:  # whatever it is, the others are told all the same
            message_id, endpoint_id = str(taken.message.id), str(taken.endpoint.id)
            kind = type(error).__name__
            log.error("a webhook can't be written", message_id=message_id, endpoint_id=endpoint_id, error=kind)
            return None, NOT_WRITTEN
        try:
            return await self._calls.post(taken.endpoint.url, post.body, post.headers, post.patience), None
        except CallError as error:
            return None, error.code

    def _webhook(self, taken: Taken) -> _Post:
        now = self._clock()
        body = _body(taken, self._settings.public_url)
        id_, timestamp = wire_id(taken.message.id), int(now.timestamp())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "webhook-id": id_,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(secrets_of(self._settings, taken.endpoint, now), id_, timestamp, body),
        }
        return _Post(body, headers)

    def _notification(self, taken: Taken, one: Subscribed) -> _Post:
        own = {"Content-Type": one.own.payload, "User-Agent": USER_AGENT}
        body = self._write(self._settings, _told(taken, one))
        seconds = one.own.timeout_seconds
        patience = timedelta(seconds=seconds) if seconds is not None else None
        return _Post(body, {**headers_of(self._settings, one), **own}, patience)

    async def _settle(self, taken: Taken, called: Called, verdict: Verdict) -> None:
        endpoint, state = taken.endpoint, verdict.state
        log.info("webhook", message_id=str(taken.message.id), status=state.value, code=called.tried.error)
        if state is DeliveryState.DELIVERED and endpoint.failing_since is None and endpoint.paused_until is None:
            async with self._database.statement() as session:  # what every delivery costs, where all is well
                await webhook_queue.settle(session, taken, called, verdict)
            return
        async with self._database.session() as session:
            now_there = await webhooks.lock(session, endpoint.id)
            was_wanted = await webhook_queue.settle(session, taken, called, verdict)
            if not was_wanted:
                await webhook_queue.let_go(session, taken)
            if now_there is not None:
                is_event = taken.message.type is WebhookType.NOTIFICATION
                is_lost = was_wanted and is_event and state is DeliveryState.FAILED
                await _follow(session, now_there, called.tried, verdict, is_lost=is_lost)

    async def _settle_first(self, taken: Taken, called: Called) -> None:
        """A test and a handshake are not tried again. Whoever answers has shown that they are at that address."""
        state = DeliveryState.DELIVERED if called.tried.was_taken else DeliveryState.FAILED
        async with self._database.session() as session:
            endpoint = await webhooks.lock(session, taken.endpoint.id)
            is_wanted = await webhook_queue.is_pending(session, taken)
            if not await webhook_queue.settle(session, taken, called, Verdict(state)):
                await webhook_queue.let_go(session, taken)
            if endpoint is None or not is_wanted:
                return
            if state is DeliveryState.DELIVERED:
                await _verify(session, endpoint, called.tried.at)
            elif taken.message.type is WebhookType.HANDSHAKE:
                endpoint.failing_since = called.tried.at
                await _disable(session, endpoint, DisabledReason.NO_HANDSHAKE, called.tried.at)


async def _verify(session: AsyncSession, endpoint: WebhookEndpoint, now: datetime) -> None:
    one = await webhooks.subscription_of(session, endpoint)
    stands = endpoint if one is None else one.own
    endpoint.verified_at = now
    if stands.state is not EndpointState.UNVERIFIED:
        return
    stands.state = EndpointState.ACTIVE
    endpoint.version += 1
    await session.flush()
    if one is None:
        await note(session, AccountEventKind.WEBHOOK_VERIFIED, endpoint, BY_ITSELF, now)
        return
    await subscriptions.beat_again(session, one, now)
    await note_of_subscription(session, AccountEventKind.SUBSCRIPTION_VERIFIED, one, BY_ITSELF, now)


async def _look_after_subscriptions(database: Database, now: datetime) -> None:
    """End those whose time is over, queue the signs of life that are due, give numbers to what waits for them where nothing is
    sent. Whatever becomes of one, the others are looked after, and messages go.
    """
    try:
        async with database.session() as session:
            due = await subscriptions.due(session, now)
            for each in due:
                await _try_to_look_after(session, each, now, subscriptions.share_of(len(due)))
    except (SQLAlchemyError, OSError) as error:
        log.error("Subscriptions can't be looked after", error=type(error).__name__)


async def _try_to_look_after(session: AsyncSession, due: Due, now: datetime, most: int) -> None:
    try:
        async with session.begin_nested():
            await _look_after(session, due, now, most)
    except Exception as error:
        log.error("a Subscription can't be looked after", endpoint_id=str(due.id), error=type(error).__name__)


async def _look_after(session: AsyncSession, due: Due, now: datetime, most: int) -> None:
    one = await subscriptions.load(session, due.id)
    if one is None:
        return
    if due.reason is not None:
        await _disable(session, one.endpoint, due.reason, now)
    elif due.beats:
        await webhooks.queue_heartbeat(session, one.endpoint, now)
        await subscriptions.beat_again(session, one, now)
    await subscriptions.number(session, one, await subscriptions.systems_of(session, [one]), now, most)


async def _follow(
    session: AsyncSession, endpoint: WebhookEndpoint, tried: Tried, verdict: Verdict, *, is_lost: bool
) -> None:
    """What a call says of its endpoint: it works, it wants to be left alone for some time, or for ever. `is_lost`: an event of
    which a Subscription will not be told any more, so that it lacks a number.
    """
    one = await webhooks.subscription_of(session, endpoint)
    if (endpoint if one is None else one.own).state is EndpointState.DISABLED:
        return
    if verdict.state is DeliveryState.DELIVERED:
        endpoint.failing_since = endpoint.paused_until = None
        return
    endpoint.failing_since = endpoint.failing_since or tried.at
    if verdict.paused_until is not None:
        endpoint.paused_until = max(verdict.paused_until, endpoint.paused_until or verdict.paused_until)
    if verdict.is_gone:
        await _give_up(session, endpoint, DisabledReason.GONE, tried.at)
    elif is_given_up(endpoint.failing_since, tried.at):
        await _give_up(session, endpoint, DisabledReason.FAILING, tried.at)
    elif is_lost:
        await _give_up(session, endpoint, DisabledReason.EVENT_LOST, tried.at)


async def _give_up(session: AsyncSession, endpoint: WebhookEndpoint, reason: DisabledReason, now: datetime) -> None:
    """Nothing goes there any more, and the clinic's administrators are told. The letters go as others do that nobody looks after
    (`use_cases.repair`).
    """
    letter = LetterKind.WEBHOOK_DISABLED
    if endpoint.account_id is not None:
        is_lost = reason is DisabledReason.EVENT_LOST
        letter = LetterKind.SUBSCRIPTION_EVENT_LOST if is_lost else LetterKind.SUBSCRIPTION_DISABLED
    await _disable(session, endpoint, reason, now)
    await account_letters.write_to_administrators(session, letter, endpoint.clinic_id, now)
    log.warning("an endpoint of webhooks is given up", endpoint_id=str(endpoint.id), code=reason.value)


async def _disable(session: AsyncSession, endpoint: WebhookEndpoint, reason: DisabledReason, now: datetime) -> None:
    await webhooks.disable(session, endpoint, reason, now)
    if (one := await webhooks.subscription_of(session, endpoint)) is None:
        await note(session, AccountEventKind.WEBHOOK_DISABLED, endpoint, BY_ITSELF, now)
    else:
        await note_of_subscription(session, AccountEventKind.SUBSCRIPTION_DISABLED, one, BY_ITSELF, now)


_KINDS = {
    WebhookType.HANDSHAKE: NotificationKind.HANDSHAKE,
    WebhookType.HEARTBEAT: NotificationKind.HEARTBEAT,
    WebhookType.NOTIFICATION: NotificationKind.EVENT,
}


def _told(taken: Taken, one: Subscribed) -> Notification:
    """What a Subscription is told by a call; of an event that it comes as that one, whatever came after it."""
    message, event = taken.message, taken.event
    kind, content = _KINDS[message.type], one.own.content
    if event is None:
        return Notification(str(message.id), kind, one, message.at, one.own.events, content)
    return Notification(f"{one.id}.{event.number}", kind, one, message.at, event.number, content, (event,))


def _body(taken: Taken, public_url: str) -> bytes:
    """The same bytes at each try."""
    message = taken.message
    data = dict(message.data or {})
    if message.request_id is not None:
        data["href"] = f"{public_url.rstrip('/')}/api/v1/requests/{message.request_id}"
        if "report_id" in data:
            data["href"] += f"/reports/{data['report_id']}.pdf"
    at = message.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said = {"type": message.type.value, "timestamp": at, "data": data}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _answers(answer: Answer, taken: Taken) -> bool:
    """Whether the answer gives the challenge back: in JSON as it came, or as plain text."""
    challenge = (taken.message.data or {}).get("challenge")
    text = answer.start.decode(errors="replace").strip()
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = text
    return challenge is not None and challenge in (said, said.get("challenge") if isinstance(said, dict) else None)


def _start_of(answer: Answer | None) -> str | None:
    """For operators: what can be read of it, in visible characters."""
    if answer is None:
        return None
    text = answer.start.decode(errors="replace")[:SHOWN_OF_AN_ANSWER]
    return "".join(character if character.isprintable() else " " for character in text)
