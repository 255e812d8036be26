"""The access log: who looked at what of a request, when, and in which role."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import Role
from records.ids import new_id
from records.models import AccessEntry, AccessKind


async def log_access(
    session: AsyncSession,
    *,
    request_id: uuid.UUID,
    account_id: uuid.UUID,
    role: Role,
    kind: AccessKind,
    at: datetime,
    version: int,
    object_id: uuid.UUID | None = None,
    for_account_id: uuid.UUID | None = None,
) -> None:
    """Write one access down. `version` is the process version that was seen, `object_id` the attachment or report looked at.

    `for_account_id` is the person for whom a system (`account_id`) looked.
    """
    session.add(
        AccessEntry(
            id=new_id(),
            request_id=request_id,
            account_id=account_id,
            role=role,
            kind=kind,
            object_id=object_id,
            at=at,
            version=version,
            for_account_id=for_account_id,
        )
    )
    await session.flush()


@dataclass(frozen=True)
class Find:
    """A request that somebody found by words of its patient, the role in which they may, and the version that was there."""

    request_id: uuid.UUID
    role: Role
    version: int


async def log_finds(
    session: AsyncSession,
    account_id: uuid.UUID,
    finds: Collection[Find],
    at: datetime,
    since: datetime,
    *,
    for_account_id: uuid.UUID | None = None,
) -> None:
    """Write down what a search has found, each request once since then: a search goes on while somebody types."""
    query = select(AccessEntry.request_id).where(
        AccessEntry.account_id == account_id,
        AccessEntry.request_id.in_([find.request_id for find in finds]),
        AccessEntry.kind == AccessKind.SEARCH,
        AccessEntry.for_account_id.is_not_distinct_from(for_account_id),
        AccessEntry.at >= since,
    )
    known = set(await session.scalars(query))
    session.add_all(
        AccessEntry(
            id=new_id(),
            request_id=find.request_id,
            account_id=account_id,
            role=find.role,
            kind=AccessKind.SEARCH,
            at=at,
            version=find.version,
            for_account_id=for_account_id,
        )
        for find in finds
        if find.request_id not in known
    )
    await session.flush()


async def last_seen(session: AsyncSession, request_id: uuid.UUID, account_id: uuid.UUID) -> int:
    """The newest version of the request that this person has opened; 0 for none."""
    query = select(func.max(AccessEntry.version)).where(
        AccessEntry.account_id == account_id,
        AccessEntry.request_id == request_id,
        AccessEntry.kind == AccessKind.REQUEST,
    )
    return await session.scalar(query) or 0


async def list_accesses(
    session: AsyncSession, request_id: uuid.UUID, *, before: uuid.UUID | None = None, limit: int = 200
) -> list[AccessEntry]:
    """The newest accesses to a request, newest first; `before` is the id of the last one seen, for the next page."""
    query = select(AccessEntry).where(AccessEntry.request_id == request_id).order_by(AccessEntry.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AccessEntry.id < before)
    return list(await session.scalars(query))


async def was_logged(
    session: AsyncSession,
    request_id: uuid.UUID,
    account_id: uuid.UUID,
    kind: AccessKind,
    object_id: uuid.UUID | None,
    *,
    since: datetime,
    version: int = 0,
) -> bool:
    """Whether the log has such an access since then, to that version or a newer one."""
    query = select(AccessEntry.id).where(
        AccessEntry.request_id == request_id,
        AccessEntry.account_id == account_id,
        AccessEntry.kind == kind,
        AccessEntry.object_id == object_id,
        AccessEntry.at >= since,
        AccessEntry.version >= version,
    )
    return bool(await session.scalar(select(query.exists())))
