"""Texts that are used again: one's own, and those of a clinic."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from records.ids import new_id
from records.models import Account, Clinic, Snippet

_SAME = (Snippet.used_for, Snippet.language, Snippet.name)
"""Of two texts of one owner that have these in common, the later one stays."""


def _of(account_id: uuid.UUID | None, clinic_id: uuid.UUID | None) -> ColumnElement[bool]:
    return Snippet.account_id == account_id if account_id else Snippet.clinic_id == clinic_id


async def list_snippets(session: AsyncSession, account_id: uuid.UUID, clinic_id: uuid.UUID) -> list[Snippet]:
    """Those of that person and of that clinic, by name."""
    query = select(Snippet).where(or_(Snippet.account_id == account_id, Snippet.clinic_id == clinic_id))
    return list(await session.scalars(query.order_by(func.lower(Snippet.name), Snippet.id)))


async def save_snippet(
    session: AsyncSession,
    account_id: uuid.UUID | None,
    clinic_id: uuid.UUID | None,
    values: Mapping[str, Any],
    *,
    now: datetime,
    at_most: int,
) -> Snippet | None:
    """Keep the text, instead of one of the same name, use and language; None when its owner has `at_most` others already.

    Its owner is either the person or the clinic.
    """
    owner = (
        select(Account.id).where(Account.id == account_id)
        if account_id
        else select(Clinic.id).where(Clinic.id == clinic_id)
    )
    await session.execute(owner.with_for_update(key_share=True))
    column = Snippet.account_id if account_id else Snippet.clinic_id
    key = [column, *_SAME]
    is_same = and_(*(part == values[part.key] for part in _SAME))
    others = select(func.count()).where(_of(account_id, clinic_id), ~is_same)
    if (await session.scalar(others) or 0) >= at_most:
        return None
    kept = insert(Snippet).values(id=new_id(), account_id=account_id, clinic_id=clinic_id, created_at=now, **values)
    kept = kept.on_conflict_do_update(
        index_elements=key, set_={"text": kept.excluded.text, "offering": kept.excluded.offering}
    )
    found = await session.scalars(kept.returning(Snippet), execution_options={"populate_existing": True})
    return found.one()


async def remove_snippet(
    session: AsyncSession, account_id: uuid.UUID | None, clinic_id: uuid.UUID | None, snippet_id: uuid.UUID
) -> bool:
    """Forget it. Whether that person, or that clinic, had it."""
    removed = delete(Snippet).where(Snippet.id == snippet_id, _of(account_id, clinic_id))
    return await session.scalar(removed.returning(Snippet.id)) is not None
