"""What people drew on photos and pages of documents, in a layer of its own."""

import uuid
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from records.models import Json, Mark


async def list_marks(session: AsyncSession, attachment_ids: Collection[uuid.UUID]) -> list[Mark]:
    """The marks on these photos and documents, oldest first, without those that were removed."""
    if not attachment_ids:
        return []
    query = select(Mark).where(Mark.attachment_id.in_(attachment_ids), Mark.removed_at.is_(None))
    return list(await session.scalars(query.order_by(Mark.created_at, Mark.id)))


async def count_marks(session: AsyncSession, attachment_id: uuid.UUID) -> int:
    """How many marks the photo, or the document, has."""
    query = select(func.count()).where(Mark.attachment_id == attachment_id, Mark.removed_at.is_(None))
    return await session.scalar(query) or 0


async def load_mark(session: AsyncSession, attachment_id: uuid.UUID, mark_id: uuid.UUID) -> Mark | None:
    """The mark, removed or not; None when that photo or document has none of this id."""
    mark = await session.get(Mark, mark_id)
    return mark if mark is not None and mark.attachment_id == attachment_id else None


async def add_mark(
    session: AsyncSession,
    *,
    mark_id: uuid.UUID,
    attachment_id: uuid.UUID,
    page: int,
    account_id: uuid.UUID,
    kind: str,
    drawn: Json,
    label: str,
    length_mm: float | None,
    now: datetime,
) -> Mark:
    """Write down what was drawn. The request is locked by who calls."""
    mark = Mark(
        id=mark_id,
        attachment_id=attachment_id,
        page=page,
        account_id=account_id,
        kind=kind,
        drawn=drawn,
        label=label,
        length_mm=length_mm,
        created_at=now,
    )
    session.add(mark)
    await session.flush()
    return mark


async def remove_mark(session: AsyncSession, mark: Mark, *, now: datetime) -> None:
    """Nobody sees it any more; that it was there stays in the records."""
    mark.removed_at = now
    await session.flush()
