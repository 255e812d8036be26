"""Sealing what stands in clear: rows from before sealing began, and files. It may be stopped anywhere and begun again."""

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from sqlalchemy import ColumnElement, exists, func, not_, or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import flag_modified

from records.data_keys import DATA_KEYS, keys_of
from records.models import SEALED_MODELS, Attachment, Base, PartnerMessage, RequestRecord, StoredDocument, table_of
from records.sealed import NOT_OPENED, sealed_columns, unread
from records.store import digest_in

log = structlog.get_logger(__name__)


async def make_keys(session: AsyncSession, limit: int) -> int:
    """Give a data key to at most so many requests that have none; gives how many. No row is locked meanwhile."""
    has_one = exists().where(DATA_KEYS.c.owner_id == RequestRecord.id)
    without = (await session.scalars(select(RequestRecord.id).where(not_(has_one)).limit(limit))).all()
    keys = keys_of(session.get_bind().dialect)
    if without:
        made = insert(DATA_KEYS).values([{"owner_id": id_, "sealed_key": keys.new()} for id_ in without])
        await session.execute(made.on_conflict_do_nothing())
    return len(without)


Row = tuple[Any, ...]
"""The primary key of a row."""


async def seal_rows(session: AsyncSession, of: type[Base], limit: int, shut: set[Row]) -> int:
    """Seal at most so many rows of a model in which something stands in clear; gives how many were taken in hand.

    Rows in use are passed over, and so are those of which something does not open: they are added to `shut`, and not asked for
    again.
    """
    await session.execute(text("SET LOCAL relais.sealing = 'on'"))
    key = table_of(of).primary_key.columns
    clear = select(*key).where(_is_clear(of), tuple_(*key).not_in(shut)).limit(limit)
    rows: list[Row] = [tuple(row) for row in await session.execute(clear.with_for_update(skip_locked=True))]
    try:
        await _seal(session, of, rows)
    except NOT_OPENED:
        for row in rows:
            try:
                await _seal(session, of, [row])
            except NOT_OPENED as error:
                log.error("a row can't be sealed", source=table_of(of).name, error=type(error).__name__)
                shut.add(row)
    return len(rows)


async def _seal(session: AsyncSession, of: type[Base], rows: Sequence[Row]) -> None:
    """All of them, or none."""
    async with session.begin_nested():
        found = select(of).where(tuple_(*table_of(of).primary_key.columns).in_(rows))
        for row in await session.scalars(found, execution_options={"populate_existing": True}):
            for name in sealed_columns(of):
                flag_modified(row, name)


async def count_clear(session: AsyncSession) -> dict[str, int]:
    """How many rows are left in which something stands in clear, by table."""
    return {
        table_of(of).name: await session.scalar(select(func.count()).select_from(of).where(_is_clear(of))) or 0
        for of in SEALED_MODELS
    }


async def files_after(
    session: AsyncSession,
    of: type[Attachment] | type[StoredDocument] | type[PartnerMessage],
    last: uuid.UUID,
    limit: int,
) -> Sequence[tuple[uuid.UUID, Sequence[tuple[str, str | None]]]]:
    """The next rows that name files, in the order of their ids, with the keys of these in the store and their digests."""
    if of is Attachment:
        found = select(Attachment).where(Attachment.id > last).order_by(Attachment.id).limit(limit)
        return [
            (row.id, [(key, row.sha256 if key == row.object_key else digest_in(key)) for key in row.keys])
            for row in await session.scalars(found.options(*unread(Attachment)))
        ]
    if of is PartnerMessage:
        came = select(PartnerMessage).where(PartnerMessage.id > last).order_by(PartnerMessage.id).limit(limit)
        messages = await session.scalars(came.options(*unread(PartnerMessage)))
        return [(row.id, [(row.object_key, digest_in(row.object_key))]) for row in messages]
    made = select(StoredDocument).where(StoredDocument.report_id > last).order_by(StoredDocument.report_id)
    return [(row.report_id, [(row.object_key, row.pdf_sha256)]) for row in await session.scalars(made.limit(limit))]


def _is_clear(of: type[Base]) -> ColumnElement[bool]:
    columns: Iterator[ColumnElement[bool]] = (
        not_(kind.is_sealed(getattr(of, name))) for name, kind in sealed_columns(of).items()
    )
    return or_(*columns)
