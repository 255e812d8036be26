"""The sender of webhooks: takes messages up that are due, calls their endpoints, and writes down what came of it.

Several may run, one in each worker (`sending.py`). See docs/decisions/webhooks.md.
"""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import AccountEventKind, LetterKind
from domain.webhooks import (
    MOST_READ,
    PATIENCE,
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
from records import account_letters, webhook_queue, webhooks
from records.database import Database
from records.models import WebhookEndpoint
from records.webhook_queue import Called, Taken
from settings import Settings
from use_cases.sending import BY_ITSELF, Sending
from use_cases.webhooks import note, secrets_of, walls_of, wire_id

USER_AGENT = "Relais-Webhooks/1"

SHOWN_OF_AN_ANSWER = 200

CHALLENGE_NOT_ANSWERED = "challenge_not_answered"

log = structlog.get_logger(__name__)


def calls_for(settings: Settings) -> Calls:
    """Calls within the walls that the settings draw."""
    return Calls(walls_of(settings), patience=PATIENCE, most_read=MOST_READ)


class Sender(Sending[Taken]):
    """The sender of webhooks. `clock` and `chance` (from 0 to 1, for the pauses) are others in tests."""

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
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(database)
        self._settings = settings
        self._calls = calls
        self._clock = clock
        self._chance = chance

    # One message

    async def _take_up(self, most: int) -> list[Taken]:
        async with self._database.session() as session:
            return await webhook_queue.take_up(session, self._number, self._clock(), most)

    async def _send(self, taken: Taken) -> None:
        began = monotonic()
        answer, error = await self._call(taken)
        is_test = taken.message.type is WebhookType.TEST
        if is_test and error is None and answer is not None and answer.status < 300 and not _answers(answer, taken):
            error = CHALLENGE_NOT_ANSWERED
        tried = Tried(
            at=self._clock(),
            status=answer.status if answer else None,
            retry_after=answer.retry_after if answer else None,
            error=error,
        )
        called = Called(tried, round((monotonic() - began) * 1_000), _start_of(answer))
        if is_test:
            await self._settle_test(taken, called)
        else:
            await self._settle(taken, called, judge(tried, taken.attempts, self._chance()))

    async def _call(self, taken: Taken) -> tuple[Answer | None, str | None]:
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
        try:
            return await self._calls.post(taken.endpoint.url, body, headers), None
        except CallError as error:
            return None, error.code

    async def _settle(self, taken: Taken, called: Called, verdict: Verdict) -> None:
        endpoint, state = taken.endpoint, verdict.state
        log.info("webhook", message_id=str(taken.message.id), status=state.value, code=called.tried.error)
        if state is DeliveryState.DELIVERED and endpoint.failing_since is None and endpoint.paused_until is None:
            async with self._database.statement() as session:  # what every delivery costs, where all is well
                await webhook_queue.settle(session, taken, called, verdict)
            return
        async with self._database.session() as session:
            now_there = await webhooks.lock(session, endpoint.id)
            if not await webhook_queue.settle(session, taken, called, verdict):
                await webhook_queue.let_go(session, taken)
            if now_there is not None:
                await _follow(session, now_there, called.tried, verdict)

    async def _settle_test(self, taken: Taken, called: Called) -> None:
        """A test is not tried again. Whoever answers it has shown that they are at that address."""
        state = DeliveryState.DELIVERED if called.tried.was_taken else DeliveryState.FAILED
        async with self._database.session() as session:
            endpoint = await webhooks.lock(session, taken.endpoint.id)
            is_wanted = await webhook_queue.is_pending(session, taken)
            if not await webhook_queue.settle(session, taken, called, Verdict(state)):
                await webhook_queue.let_go(session, taken)
            if endpoint is not None and is_wanted and state is DeliveryState.DELIVERED:
                await _verify(session, endpoint, called.tried.at)


async def _verify(session: AsyncSession, endpoint: WebhookEndpoint, now: datetime) -> None:
    endpoint.verified_at = now
    if endpoint.state is EndpointState.UNVERIFIED:
        endpoint.state = EndpointState.ACTIVE
        endpoint.version += 1
        await note(session, AccountEventKind.WEBHOOK_VERIFIED, endpoint, BY_ITSELF, now)


async def _follow(session: AsyncSession, endpoint: WebhookEndpoint, tried: Tried, verdict: Verdict) -> None:
    """What a call says of its endpoint: it works, it wants to be left alone for some time, or for ever."""
    if endpoint.state is EndpointState.DISABLED:
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


async def _give_up(session: AsyncSession, endpoint: WebhookEndpoint, reason: DisabledReason, now: datetime) -> None:
    """Nothing goes there any more, and the clinic's administrators are told. The letters go as others do that nobody looks after
    (`use_cases.repair`).
    """
    await webhooks.disable(session, endpoint, reason, now)
    await note(session, AccountEventKind.WEBHOOK_DISABLED, endpoint, BY_ITSELF, now)
    await account_letters.write_to_administrators(session, LetterKind.WEBHOOK_DISABLED, endpoint.clinic_id, now)
    log.warning("an endpoint of webhooks is given up", endpoint_id=str(endpoint.id), code=reason.value)


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
