"""The tree of the audit: one process at a time gives entries that are committed their places, without gaps.

Entries are taken by the transaction that wrote them, and only those before which no transaction is under way: a smaller id than
one that was taken may still be uncommitted, so that “everything after the last id” would lose it.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import BigInteger, ColumnElement, Text, Uuid, func, insert, literal, select, text, tuple_, type_coerce
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from domain.merkle import CompactRange
from records.audit import Told, leaf_of
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


_FIRST = uuid.UUID(int=0)


@dataclass(frozen=True)
class Pass:
    """How far a pass along all entries has come: behind that transaction and id. It began when all before `began` had ended."""

    began: int
    written_in: int = -1
    id: uuid.UUID = _FIRST


async def take(session: AsyncSession) -> int | None:
    """Give places to what was committed since the last time, at most `MOST_AT_ONCE`; how many, or None while another does it."""
    if not await _is_ours(session):
        return None
    head = await _head(session)
    before = await _under_way(session)
    window = (AuditEntry.written_in >= head.horizon, AuditEntry.written_in < before)
    query = select(*ENTRY).where(*window, ~_HAS_PLACE).order_by(AuditEntry.written_in, AuditEntry.id)
    rows = cast(Sequence[Row[Any]], (await session.execute(query.limit(MOST_AT_ONCE))).all())
    await _place(session, head, rows)
    head.horizon = before if len(rows) < MOST_AT_ONCE else rows[-1].written_in
    return len(rows)


async def begin_pass(session: AsyncSession) -> Pass:
    """Begin to go along all entries, for numbers of transactions begin anew where a database was restored."""
    return Pass(await _under_way(session))


async def take_missing(session: AsyncSession, now: Pass) -> Pass | None:
    """Give places to those of the next `MOST_AT_ONCE` entries that have none; None behind the last.

    While another gives places, it stays where it is.
    """
    if not await _is_ours(session):
        return now
    head = await _head(session)
    rows, further = await without_place(session, now)
    await _place(session, head, rows)
    if further is None:
        head.horizon = now.began
    return further


async def without_place(session: AsyncSession, now: Pass) -> tuple[Sequence[Row[Any]], Pass | None]:
    """Those of the next `MOST_AT_ONCE` entries that have no place, and from where to go on; None behind the last."""
    key = tuple_(AuditEntry.written_in, AuditEntry.id)
    these: tuple[ColumnElement[bool], ...] = (
        key > tuple_(literal(now.written_in, BigInteger()), literal(now.id, Uuid())),
    )
    along = select(AuditEntry.written_in, AuditEntry.id).where(*these).order_by(AuditEntry.written_in, AuditEntry.id)
    last = (await session.execute(along.offset(MOST_AT_ONCE - 1).limit(1))).one_or_none()
    if last is not None:
        these = (*these, key <= tuple_(literal(last.written_in, BigInteger()), literal(last.id, Uuid())))
    query = select(*ENTRY).where(*these, ~_HAS_PLACE).order_by(AuditEntry.written_in, AuditEntry.id)
    rows = cast(Sequence[Row[Any]], (await session.execute(query)).all())
    return rows, None if last is None else Pass(now.began, last.written_in, last.id)


_HAS_PLACE = select(AuditLeaf.seq).where(AuditLeaf.entry_id == AuditEntry.id).exists()


async def _is_ours(session: AsyncSession) -> bool:
    return bool(await session.scalar(select(func.pg_try_advisory_xact_lock(_LOCK))))


async def _head(session: AsyncSession) -> AuditHead:
    head = await session.get(AuditHead, 1)
    if head is None:
        head = AuditHead(id=1, size=0, peaks=[], horizon=0)
        session.add(head)
    return head


async def _under_way(session: AsyncSession) -> int:
    """Before this transaction all have ended."""
    return await session.scalar(select(_OLDEST_UNDER_WAY)) or 0


async def _place(session: AsyncSession, head: AuditHead, rows: Sequence[Row[Any]]) -> None:
    if not rows:
        return
    leaves = [row.leaf or leaf_of(cast(Told, row)) for row in rows]
    places = [
        {"seq": head.size + number, "entry_id": row.id, "leaf": leaf}
        for number, (row, leaf) in enumerate(zip(rows, leaves, strict=True))
    ]
    await session.execute(insert(table_of(AuditLeaf)), places)
    tree = CompactRange(head.size, list(head.peaks))
    tree.extend(leaves)
    head.size, head.peaks = tree.size, tree.peaks


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


async def keep_checkpoint(session: AsyncSession, size: int, note: str, now: datetime) -> AuditCheckpoint:
    """Write a checkpoint down."""
    checkpoint = AuditCheckpoint(size=size, note=note, at=now)
    session.add(checkpoint)
    return checkpoint


async def last_checkpoint(session: AsyncSession) -> AuditCheckpoint | None:
    """The newest checkpoint."""
    return await session.scalar(select(AuditCheckpoint).order_by(AuditCheckpoint.size.desc()).limit(1))


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


async def tree_size(session: AsyncSession) -> int:
    """One more than the last place that is there."""
    last = await session.scalar(select(func.max(AuditLeaf.seq)))
    return 0 if last is None else last + 1
