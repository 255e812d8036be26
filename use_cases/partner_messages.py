"""The messages of partners: each is kept as it came, taken in hand once, and answered again as the first time.

One that was taken in hand is known by its id and by a digest of what it says (`records.models.PartnerMessage`). Whoever sends it
while it is being done is told to come back. When a process dies on the way, the next copy of it goes on: what was done stands
under ids that are made of the message's (`use_cases.partner_requests`).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

import structlog

from domain.messages import MessageEvent
from records import partners
from records.ids import new_id
from records.models import Json, PartnerMessage
from use_cases.problems import Problem
from use_cases.services import Services

COME_BACK_SECONDS = 2

log = structlog.get_logger(__name__)


class OtherContentError(Exception):
    """A message of this id was taken in hand that says something else."""


@dataclass(frozen=True)
class Unheard:
    """What a message that is refused was about: a request for which its partner was asked."""

    event: MessageEvent
    request_id: UUID
    has_report: bool


@dataclass(frozen=True)
class InHand:
    """A message that is to be done; `answer` where it is done."""

    id: UUID
    answer: Json | None
    tries: int = 0


async def keep_refused(
    services: Services,
    partner_id: UUID,
    message_id: str | None,
    body: bytes,
    code: str,
    digest: str = "",
    unheard: Unheard | None = None,
) -> None:
    """Keep what was refused before anything was done: once, however often the same comes.

    `digest` is of what it says, where that could be read; `code` says why, in the log. What is `unheard` is lost, and
    people are told of it.
    """
    log.warning("a message of a partner was refused", account_id=str(partner_id), code=code)
    digest = digest or sha256(body).hexdigest()
    async with services.database.session() as session:
        if await partners.is_kept_refused(session, partner_id, digest):
            return
    message = await _kept(services, partner_id, body, message_id=message_id, event=None, digest=digest)
    message.refused = True
    if unheard is not None:
        message.event, message.request_id = unheard.event, unheard.request_id
        message.problem, message.has_report, message.answered_at = code, unheard.has_report, message.received_at
    async with services.database.session() as session:
        await partners.add_message(session, message)


@asynccontextmanager
async def in_hand(
    services: Services, partner_id: UUID, message_id: str, event: MessageEvent, digest: str, body: bytes
) -> AsyncIterator[InHand]:
    """A message for as long as it is being done; nobody else does the same one meanwhile. The caller has a place.

    Raises OtherContentError; Problem `not_yet` while somebody else does it.
    """
    known = await _taken(services, partner_id, message_id, digest)
    if known is not None and known.answer is not None:
        yield InHand(known.id, known.answer)
        return
    async with locked(services, f"message:{partner_id}:{message_id}"):
        known = await _taken(services, partner_id, message_id, digest)
        if known is None:
            known = await _kept(services, partner_id, body, message_id=message_id, event=event, digest=digest)
            async with services.database.session() as session:
                await partners.add_message(session, known)
        if known.answer is not None:
            yield InHand(known.id, known.answer)
            return
        async with services.database.session() as session:
            tries = await partners.begin_try(session, known.id)
        yield InHand(known.id, None, tries)


async def answered(
    services: Services,
    message: InHand,
    answer: Json,
    request_id: UUID | None,
    problem: str | None = None,
    *,
    has_report: bool = False,
) -> None:
    """It is done, or it can't be (`problem` is the code of why): from now on this is the answer to it."""
    async with services.database.session() as session:
        await partners.answer_message(session, message.id, answer, request_id, problem, has_report=has_report)


async def _taken(services: Services, partner_id: UUID, message_id: str, digest: str) -> PartnerMessage | None:
    async with services.database.session() as session:
        known = await partners.taken_message(session, partner_id, message_id)
    if known is not None and known.content_sha256 != digest:
        raise OtherContentError
    return known


async def _kept(
    services: Services,
    partner_id: UUID,
    body: bytes,
    *,
    message_id: str | None,
    event: MessageEvent | None,
    digest: str,
) -> PartnerMessage:
    """Its row, with what came in the document store, sealed under a key of its own."""
    id_ = new_id()
    key = f"{partners.message_folder(id_)}/{sha256(body).hexdigest()}"
    await services.store.put_new(key, body)
    return PartnerMessage(
        id=id_,
        partner_id=partner_id,
        message_id=message_id,
        event=event,
        received_at=datetime.now(UTC),
        content_sha256=digest,
        object_key=key,
        refused=False,
        problem=None,
        tries=0,
        answered_at=None,
        answer=None,
        request_id=None,
        has_report=False,
    )


@asynccontextmanager
async def locked(services: Services, name: str) -> AsyncIterator[None]:
    """For one at a time. Held on a connection of its own, so it ends with the process, and keeps no transaction open.

    Raises Problem `not_yet` while somebody else has it.
    """
    connection = await services.database.connection("relais messages")
    try:
        if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", name):
            raise Problem("not_yet", retry_after=COME_BACK_SECONDS)
        yield
    finally:
        await connection.close()
