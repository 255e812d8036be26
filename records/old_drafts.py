"""Drafts that nobody goes on with: their writers are warned, and later they are removed."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import Status
from records.models import Attachment, FrozenForm, RequestRecord


async def take_to_warn(
    session: AsyncSession, untouched_since: datetime, now: datetime, *, limit: int
) -> Sequence[uuid.UUID]:
    """Whose drafts lie since then without a warning, one for each draft; from now on these count as warned of."""
    not_warned = or_(RequestRecord.draft_warned_at.is_(None), RequestRecord.draft_warned_at < RequestRecord.updated_at)
    found = select(RequestRecord.id).where(_lies(untouched_since), not_warned).limit(limit)
    warned = (
        update(RequestRecord)
        .where(RequestRecord.id.in_(found.with_for_update(skip_locked=True)))
        .values(draft_warned_at=now)
        .returning(RequestRecord.requester_id)
        .execution_options(synchronize_session=False)
    )
    return (await session.scalars(warned)).all()


async def to_remove(
    session: AsyncSession,
    untouched_since: datetime,
    warned_before: datetime,
    *,
    limit: int,
    only: uuid.UUID | None = None,
) -> Sequence[uuid.UUID]:
    """Drafts that lie since then, and of which their writers were warned in time; or whether `only` this one is such."""
    warned = and_(
        RequestRecord.draft_warned_at < warned_before, RequestRecord.draft_warned_at > RequestRecord.updated_at
    )
    query = select(RequestRecord.id).where(_lies(untouched_since), warned).order_by(RequestRecord.id).limit(limit)
    if only is not None:
        query = query.where(RequestRecord.id == only)
    return (await session.scalars(query)).all()


def _lies(since: datetime) -> ColumnElement[bool]:
    """A draft that nobody has touched since then; not one of which a form was frozen once: that stays."""
    return and_(
        RequestRecord.status == Status.DRAFT,
        RequestRecord.updated_at < since,
        RequestRecord.submission_id.is_(None),
        ~exists().where(Attachment.request_id == RequestRecord.id, Attachment.uploaded_at >= since),
        ~exists().where(FrozenForm.request_id == RequestRecord.id),
    )
