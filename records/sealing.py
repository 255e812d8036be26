"""Sealing what stands in clear: rows from before sealing began, and files. It may be stopped anywhere and begun again."""

import uuid
from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, exists, func, not_, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import flag_modified

from records.data_keys import DATA_KEYS, keys_of
from records.models import SEALED_MODELS, Attachment, Base, RequestRecord, StoredDocument, table_of
from records.sealed import sealed_columns


async def make_keys(session: AsyncSession, limit: int) -> int:
    """Give a data key to at most so many requests that have none; gives how many. No row is locked meanwhile."""
    has_one = exists().where(DATA_KEYS.c.owner_id == RequestRecord.id)
    without = (await session.scalars(select(RequestRecord.id).where(not_(has_one)).limit(limit))).all()
    keys = keys_of(session.get_bind().dialect)
    if without:
        made = insert(DATA_KEYS).values([{"owner_id": id_, "sealed_key": keys.new()} for id_ in without])
        await session.execute(made.on_conflict_do_nothing())
    return len(without)


async def seal_rows(session: AsyncSession, of: type[Base], limit: int) -> int:
    """Seal at most so many rows of a model in which something stands in clear; gives how many. Rows in use are passed over."""
    await session.execute(text("SET LOCAL relais.sealing = 'on'"))
    clear = select(of).where(_is_clear(of)).limit(limit).with_for_update(skip_locked=True)
    rows = (await session.scalars(clear)).all()
    for row in rows:
        for name in sealed_columns(of):
            flag_modified(row, name)
    await session.flush()
    return len(rows)


async def count_clear(session: AsyncSession) -> dict[str, int]:
    """How many rows are left in which something stands in clear, by table."""
    return {
        table_of(of).name: await session.scalar(select(func.count()).select_from(of).where(_is_clear(of))) or 0
        for of in SEALED_MODELS
    }


async def files_after(
    session: AsyncSession, of: type[Attachment] | type[StoredDocument], last: uuid.UUID, limit: int
) -> Sequence[tuple[uuid.UUID, Sequence[str]]]:
    """The next rows that name files, in the order of their ids, with the keys of these in the document store."""
    if of is Attachment:
        found = select(Attachment).where(Attachment.id > last).order_by(Attachment.id).limit(limit)
        return [(row.id, row.keys) for row in await session.scalars(found)]
    made = select(StoredDocument).where(StoredDocument.report_id > last).order_by(StoredDocument.report_id)
    return [(row.report_id, [row.object_key]) for row in await session.scalars(made.limit(limit))]


def _is_clear(of: type[Base]) -> ColumnElement[bool]:
    columns: Iterator[ColumnElement[bool]] = (
        not_(kind.is_sealed(getattr(of, name))) for name, kind in sealed_columns(of).items()
    )
    return or_(*columns)
