"""Effects that failed for good: the list that people see and work off."""

import uuid
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from records.models import FailedEffect

LONGEST_LIST = 500


async def note_failure(
    session: AsyncSession, *, effect_id: str, request_id: uuid.UUID, kind: str, code: str, at: datetime
) -> None:
    """Write down an effect that failed for good; the same effect only once. `code` is stable and without patient data."""
    failure = insert(FailedEffect).values(effect_id=effect_id, request_id=request_id, kind=kind, code=code, at=at)
    await session.execute(failure.on_conflict_do_nothing())


async def list_failures(
    session: AsyncSession, *, request_id: uuid.UUID | None = None, with_resolved: bool = False
) -> list[FailedEffect]:
    """Failed effects, oldest first, at most 500; of one request where it is given."""
    query = select(FailedEffect).order_by(FailedEffect.at, FailedEffect.effect_id).limit(LONGEST_LIST)
    if request_id is not None:
        query = query.where(FailedEffect.request_id == request_id)
    if not with_resolved:
        query = query.where(FailedEffect.resolved_at.is_(None))
    return list(await session.scalars(query))


async def resolve_failure(
    session: AsyncSession, effect_id: str, *, now: datetime, account_id: uuid.UUID | None = None
) -> bool:
    """Take a failure off the list; False when it was not on it. `account_id` is empty when the effect succeeded by itself."""
    query = (
        update(FailedEffect)
        .where(FailedEffect.effect_id == effect_id, FailedEffect.resolved_at.is_(None))
        .values(resolved_at=now, resolved_by=account_id)
        .returning(FailedEffect.effect_id)
    )
    return await session.scalar(query) is not None
