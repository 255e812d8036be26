"""The tree of the audit: one process at a time gives entries that are committed their places, without gaps.

Entries are taken by the transaction that wrote them, and only those before which no transaction is under way: a smaller id than
one that was taken may still be uncommitted, so that “everything after the last id” would lose it.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Text, func, insert, select, text, type_coerce
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from domain.merkle import CompactRange
from records.audit import leaf_of
from records.models import AuditCheckpoint, AuditEntry, AuditHead, AuditLeaf, table_of

MOST_AT_ONCE = 10_000

_LOCK = 0x52454C41_41554449
"""The advisory lock of who gives places."""

_OLDEST_UNDER_WAY = text("pg_snapshot_xmin(pg_current_snapshot())::text::bigint")

ENTRY = (
    *(AuditEntry.id, AuditEntry.at, AuditEntry.name, AuditEntry.account_id, AuditEntry.for_account_id),
    *(AuditEntry.clinic_id, AuditEntry.request_id, AuditEntry.object_id, AuditEntry.version, AuditEntry.shown),
    *(AuditEntry.content_hmac, AuditEntry.leaf, AuditEntry.written_in),
    *(type_coerce(named, Text).label(named.key) for named in (AuditEntry.kind, AuditEntry.role, AuditEntry.purpose)),
    type_coerce(AuditEntry.side, Text).label("side"),
)
"""What of an entry its leaf is made of, as it stands: also kinds that only a newer version knows."""


async def take(session: AsyncSession, *, everything: bool = False) -> int | None:
    """Give places to what was committed since the last time, at most `MOST_AT_ONCE`; how many, or None while another does it.

    With `everything`, whatever has none is looked for: numbers of transactions begin anew where a database was restored.
    """
    if not await session.scalar(select(func.pg_try_advisory_xact_lock(_LOCK))):
        return None
    head = await session.get(AuditHead, 1)
    if head is None:
        head = AuditHead(id=1, size=0, peaks=[], horizon=0)
        session.add(head)
    before = await session.scalar(select(_OLDEST_UNDER_WAY)) or 0
    window: tuple[ColumnElement[bool], ...] = (
        () if everything else (AuditEntry.written_in >= head.horizon, AuditEntry.written_in < before)
    )
    has_place = select(AuditLeaf.seq).where(AuditLeaf.entry_id == AuditEntry.id).exists()
    query = select(*ENTRY).where(*window, ~has_place).order_by(AuditEntry.written_in, AuditEntry.id)
    rows = (await session.execute(query.limit(MOST_AT_ONCE))).all()
    tree = CompactRange(head.size, list(head.peaks))
    leaves = [row.leaf or leaf_of(row) for row in rows]
    if rows:
        places = [
            {"seq": head.size + number, "entry_id": row.id, "leaf": leaf}
            for number, (row, leaf) in enumerate(zip(rows, leaves, strict=True))
        ]
        await session.execute(insert(table_of(AuditLeaf)), places)
        tree.extend(leaves)
        head.size, head.peaks = tree.size, tree.peaks
    is_all = len(rows) < MOST_AT_ONCE
    if is_all:
        head.horizon = before
    elif not everything:
        head.horizon = rows[-1].written_in
    return len(rows)


@dataclass(frozen=True)
class Head:
    """The tree as it stands: its size and root, and the transaction before which all are in it."""

    size: int
    root: bytes
    horizon: int


async def read_head(session: AsyncSession) -> Head:
    """How far the tree has come."""
    head = await session.get(AuditHead, 1)
    if head is None:
        return Head(0, CompactRange().root, 0)
    return Head(head.size, CompactRange(head.size, list(head.peaks)).root, head.horizon)


async def wait_for_lock(session: AsyncSession) -> None:
    """Let nobody else change the tree until the transaction ends."""
    await session.execute(select(func.pg_advisory_xact_lock(_LOCK)))


async def newest_checkpoint(session: AsyncSession) -> int:
    """How many leaves the newest checkpoint has; 0 where there is none."""
    return await session.scalar(select(func.max(AuditCheckpoint.size))) or 0


async def keep_checkpoint(session: AsyncSession, size: int, note: str, now: datetime) -> None:
    """Write a checkpoint down."""
    session.add(AuditCheckpoint(size=size, note=note, at=now))


async def checkpoints(session: AsyncSession) -> Sequence[AuditCheckpoint]:
    """All checkpoints, by their size."""
    return (await session.scalars(select(AuditCheckpoint).order_by(AuditCheckpoint.size))).all()


async def leaves(session: AsyncSession, first: int, end: int) -> Sequence[Row[Any]]:
    """The leaves with these places alone: `seq` and `leaf`."""
    query = select(AuditLeaf.seq, AuditLeaf.leaf).where(AuditLeaf.seq >= first, AuditLeaf.seq < end)
    found = await session.execute(query.order_by(AuditLeaf.seq))
    return cast(Sequence[Row[Any]], found.all())


async def entries_in_place(session: AsyncSession, first: int, end: int) -> Sequence[Row[Any]]:
    """The leaves with these places (`seq`, `entry_id`, `hash`), each with its entry; without, where that is gone."""
    of_leaf = (AuditLeaf.seq, AuditLeaf.entry_id, AuditLeaf.leaf.label("hash"))
    query = (
        select(*of_leaf, *ENTRY, AuditEntry.content, AuditEntry.content_key)
        .outerjoin(AuditEntry, AuditEntry.id == AuditLeaf.entry_id)
        .where(AuditLeaf.seq >= first, AuditLeaf.seq < end)
        .order_by(AuditLeaf.seq)
    )
    return cast(Sequence[Row[Any]], (await session.execute(query)).all())


async def without_place(session: AsyncSession, horizon: int, limit: int) -> Collection[uuid.UUID]:
    """Entries that have no place, although the tree has come further than the transaction that is said to have written them."""
    has_place = select(AuditLeaf.seq).where(AuditLeaf.entry_id == AuditEntry.id).exists()
    query = select(AuditEntry.id).where(AuditEntry.written_in < horizon, ~has_place).limit(limit)
    return (await session.scalars(query)).all()


async def tree_size(session: AsyncSession) -> int:
    """One more than the last place that is there."""
    last = await session.scalar(select(func.max(AuditLeaf.seq)))
    return 0 if last is None else last + 1
