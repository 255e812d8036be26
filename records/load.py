"""How much waits for whom: the load of providers and of the pools of clinics."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import HolderKind, Status
from records.models import RequestRecord
from records.visibility import Viewer, is_open_to


@dataclass(frozen=True)
class Load:
    """Requests that one provider holds: those to accept, those accepted, and how many of both are overdue."""

    waiting: int = 0
    in_progress: int = 0
    overdue: int = 0


async def loads_of(
    session: AsyncSession, provider_ids: Collection[uuid.UUID], viewer: Viewer | None
) -> dict[uuid.UUID, Load]:
    """The load of each of these providers, without what is shut to the viewer; those who hold nothing are left out."""
    waiting = RequestRecord.status == Status.AWAITING_ACCEPTANCE
    in_progress = RequestRecord.status == Status.ACCEPTED
    query = (
        select(
            RequestRecord.holder_id,
            func.count().filter(waiting),
            func.count().filter(in_progress),
            func.count().filter(RequestRecord.overdue),
        )
        .where(
            RequestRecord.holder_id.in_(provider_ids),
            RequestRecord.holder_kind == HolderKind.PROVIDER,
            waiting | in_progress,
            is_open_to(viewer),
        )
        .group_by(RequestRecord.holder_id)
    )
    return {id_: Load(*counts) for id_, *counts in await session.execute(query) if id_ is not None}


async def pools_waiting(
    session: AsyncSession, clinic_ids: Collection[uuid.UUID], viewer: Viewer
) -> dict[uuid.UUID, int]:
    """How many requests wait in the pool of each of these clinics, without what is shut to the viewer; those with none are left
    out.
    """
    query = (
        select(RequestRecord.holder_clinic_id, func.count())
        .where(
            RequestRecord.holder_clinic_id.in_(clinic_ids),
            RequestRecord.holder_kind == HolderKind.POOL,
            RequestRecord.status == Status.AWAITING_ACCEPTANCE,
            is_open_to(viewer),
        )
        .group_by(RequestRecord.holder_clinic_id)
    )
    return {id_: count for id_, count in await session.execute(query) if id_ is not None}


async def held_by(session: AsyncSession, provider_id: uuid.UUID, viewer: Viewer, *, limit: int) -> list[uuid.UUID]:
    """The requests that one provider holds, to accept or accepted, without what is shut to the viewer; the soonest due first."""
    query = select(RequestRecord.id).where(
        RequestRecord.holder_id == provider_id,
        RequestRecord.holder_kind == HolderKind.PROVIDER,
        RequestRecord.status.in_([Status.AWAITING_ACCEPTANCE, Status.ACCEPTED]),
        is_open_to(viewer),
    )
    return list(await session.scalars(query.order_by(RequestRecord.due_at.nulls_last(), RequestRecord.id).limit(limit)))
