"""Looks at requests, as the audit has them: who looked at what of one, when, and in which role."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import LOOKS, Act, Purpose
from domain.requests import Role
from records import audit
from records.audit import By
from records.models import AuditEntry


async def log_access(
    session: AsyncSession,
    by: By,
    kind: Act,
    at: datetime,
    *,
    request_id: uuid.UUID,
    role: Role,
    version: int,
    object_id: uuid.UUID | None = None,
    in_emergency: bool = False,
) -> None:
    """Write one look down. `version` is the process version that was seen, `object_id` the attachment or report looked at."""
    audit.add(
        *(session, kind, by, at),
        role=role,
        purpose=Purpose.EMERGENCY if in_emergency else None,
        request_id=request_id,
        object_id=object_id,
        version=version,
    )


@dataclass(frozen=True)
class Find:
    """A request of which somebody was shown something, the role in which they may, and the version that was there."""

    request_id: uuid.UUID
    role: Role
    version: int


async def log_each(
    session: AsyncSession, by: By, kind: Act, finds: Collection[Find], at: datetime, since: datetime
) -> None:
    """Write down of which requests something was shown, each once since then: a search goes on while somebody types."""
    query = select(AuditEntry.request_id).where(
        AuditEntry.account_id == by.account_id,
        AuditEntry.request_id.in_([find.request_id for find in finds]),
        AuditEntry.kind == kind,
        AuditEntry.for_account_id.is_not_distinct_from(by.for_account_id),
        AuditEntry.at >= since,
    )
    known = set(await session.scalars(query))
    for find in finds:
        if find.request_id not in known:
            audit.add(session, kind, by, at, request_id=find.request_id, role=find.role, version=find.version)
    await session.flush()


async def last_seen(session: AsyncSession, request_id: uuid.UUID, account_id: uuid.UUID) -> int:
    """The newest version of the request that this person has opened; 0 for none."""
    query = select(func.max(AuditEntry.version)).where(
        AuditEntry.account_id == account_id,
        AuditEntry.request_id == request_id,
        AuditEntry.kind == Act.REQUEST,
    )
    return await session.scalar(query) or 0


async def list_accesses(
    session: AsyncSession, request_id: uuid.UUID, *, before: uuid.UUID | None = None, limit: int = 200
) -> list[AuditEntry]:
    """The newest looks at a request, newest first; `before` is the id of the last one seen, for the next page."""
    of_request = AuditEntry.request_id == request_id, AuditEntry.kind.in_(LOOKS)
    query = select(AuditEntry).where(*of_request).order_by(AuditEntry.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return list(await session.scalars(query))


async def load_look(session: AsyncSession, entry_id: uuid.UUID) -> AuditEntry | None:
    """A look at a request; None for what is none, or nothing."""
    query = select(AuditEntry).where(AuditEntry.id == entry_id, AuditEntry.kind.in_(LOOKS))
    return await session.scalar(query)


async def was_logged(
    session: AsyncSession,
    request_id: uuid.UUID,
    by: By,
    kind: Act,
    object_id: uuid.UUID | None,
    *,
    since: datetime,
    version: int = 0,
    in_emergency: bool = False,
) -> bool:
    """Whether such a look of theirs, for the same person, was written down since then, at that version or a newer one.

    Then it stands for another, too; one in an emergency for such a one alone.
    """
    query = select(AuditEntry.id).where(
        AuditEntry.request_id == request_id,
        AuditEntry.account_id == by.account_id,
        AuditEntry.for_account_id.is_not_distinct_from(by.for_account_id),
        AuditEntry.kind == kind,
        AuditEntry.object_id == object_id,
        AuditEntry.purpose.is_not_distinct_from(Purpose.EMERGENCY).is_(in_emergency),
        AuditEntry.at >= since,
        AuditEntry.version >= version,
    )
    if found := bool(await session.scalar(select(query.exists()))):
        audit.note_written(kind)
    return found
