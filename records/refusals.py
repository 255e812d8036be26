"""Commands that were refused: by whose Update or Signal, and why."""

import uuid
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import Source
from records.ids import new_id
from records.models import RefusedCommand

LONGEST_LIST = 500


async def note_refusal(
    session: AsyncSession,
    *,
    request_id: uuid.UUID,
    command_id: str,
    name: str,
    code: str,
    actor_id: uuid.UUID | None,
    source: Source,
    at: datetime,
) -> None:
    """Write down a command that was refused; the same refusal only once."""
    refusal = insert(RefusedCommand).values(
        id=new_id(),
        request_id=request_id,
        command_id=command_id,
        name=name,
        code=code,
        actor_id=actor_id,
        source=source,
        at=at,
    )
    await session.execute(refusal.on_conflict_do_nothing())


async def list_refusals(session: AsyncSession, request_id: uuid.UUID) -> list[RefusedCommand]:
    """The refused commands of a request, oldest first, at most 500."""
    query = (
        select(RefusedCommand)
        .where(RefusedCommand.request_id == request_id)
        .order_by(RefusedCommand.at, RefusedCommand.id)
        .limit(LONGEST_LIST)
    )
    return list(await session.scalars(query))
