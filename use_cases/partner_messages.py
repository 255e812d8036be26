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

from domain.messages import MessageEvent
from records import partners
from records.ids import new_id
from records.models import Json, PartnerMessage
from use_cases.problems import Problem
from use_cases.services import Services

COME_BACK_SECONDS = 2


class OtherContentError(Exception):
    """A message of this id was taken in hand that says something else."""


@dataclass(frozen=True)
class InHand:
    """A message that is to be done; `answer` where it is done."""

    id: UUID
    answer: Json | None


async def keep_refused(services: Services, partner_id: UUID, message_id: str | None, body: bytes) -> None:
    """Keep what was refused before anything was done."""
    message = await _kept(
        services, partner_id, body, message_id=message_id, event=None, digest=sha256(body).hexdigest()
    )
    message.refused = True
    async with services.database.session() as session:
        await partners.add_message(session, message)


@asynccontextmanager
async def in_hand(
    services: Services, partner_id: UUID, message_id: str, event: MessageEvent, digest: str, body: bytes
) -> AsyncIterator[InHand]:
    """A message for as long as it is being done; nobody else does the same one meanwhile.

    Raises OtherContentError; Problem `not_yet` while somebody else does it, `too_many_at_once` or `busy`.
    """
    known = await _taken(services, partner_id, message_id, digest)
    if known is not None and known.answer is not None:
        yield InHand(known.id, known.answer)
        return
    async with services.messages.place_for(partner_id), _locked(services, f"message:{partner_id}:{message_id}"):
        known = await _taken(services, partner_id, message_id, digest)
        if known is None:
            known = await _kept(services, partner_id, body, message_id=message_id, event=event, digest=digest)
            async with services.database.session() as session:
                await partners.add_message(session, known)
        yield InHand(known.id, known.answer)


async def answered(services: Services, message: InHand, answer: Json, request_id: UUID | None) -> None:
    """It is done: from now on this is the answer to it."""
    async with services.database.session() as session:
        await partners.answer_message(session, message.id, answer, request_id)


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
    key = f"messages/{id_}/{sha256(body).hexdigest()}"
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
        answer=None,
        request_id=None,
    )


@asynccontextmanager
async def _locked(services: Services, name: str) -> AsyncIterator[None]:
    """Held on a connection of its own, so it ends with the process, and keeps no transaction open."""
    connection = await services.database.connection("relais messages")
    try:
        if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", name):
            raise Problem("not_yet", retry_after=COME_BACK_SECONDS)
        yield
    finally:
        await connection.close()
