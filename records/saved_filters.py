"""Filters of the worklist that people keep under a name of their own."""

import uuid
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from records.ids import new_id
from records.models import Account, Json, SavedFilter


async def list_filters(session: AsyncSession, account_id: uuid.UUID) -> list[SavedFilter]:
    """Those of that person, by name."""
    query = select(SavedFilter).where(SavedFilter.account_id == account_id).order_by(func.lower(SavedFilter.name))
    return list(await session.scalars(query))


async def save_filter(
    session: AsyncSession, account_id: uuid.UUID, name: str, criteria: Json, *, now: datetime, at_most: int
) -> SavedFilter | None:
    """Keep the criteria under that name, instead of what was there; None when the person has `at_most` others already."""
    await session.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))
    others = select(func.count()).where(SavedFilter.account_id == account_id, SavedFilter.name != name)
    if (await session.scalar(others) or 0) >= at_most:
        return None
    of_that_name = select(SavedFilter).where(SavedFilter.account_id == account_id, SavedFilter.name == name)
    kept = await session.scalar(of_that_name)
    if kept is None:
        kept = SavedFilter(id=new_id(), account_id=account_id, name=name, created_at=now)
        session.add(kept)
    kept.criteria = criteria
    await session.flush()
    return kept


async def remove_filter(session: AsyncSession, account_id: uuid.UUID, filter_id: uuid.UUID) -> bool:
    """Forget it. Whether the person had it."""
    removed = delete(SavedFilter).where(SavedFilter.id == filter_id, SavedFilter.account_id == account_id)
    return await session.scalar(removed.returning(SavedFilter.id)) is not None
