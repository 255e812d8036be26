"""Uploads under way: files that come in several parts, as a connection allows. The parts are in the document store.

A part counts when its row says so: `add_part` moves the offset only from where the part begins. Of two that send the same stretch
at once, one wins; the other's bytes are thrown away.
"""

import uuid
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from records import data_keys
from records.errors import ContentConflictError, NotFoundError, StaleVersionError, TooLargeError
from records.ids import new_id
from records.models import Upload
from records.sealed import to_write

LIFE = timedelta(hours=24)
"""How long an upload waits for its next bytes."""

MAX_PARTS = 10_000
"""More pieces than this no honest connection makes of a file."""


def parts_folder(upload_id: uuid.UUID) -> str:
    """Where the parts of an upload lie in the document store."""
    return f"uploads/{upload_id}"


def new_part_key(upload: Upload) -> str:
    """A key for the next part that nobody used before, not even somebody who sends the same part at this moment."""
    return f"{parts_folder(upload.id)}/{upload.offset}-{new_id()}"


async def begin_upload(
    session: AsyncSession,
    *,
    upload_id: uuid.UUID,
    request_id: uuid.UUID,
    account_id: uuid.UUID,
    length: int,
    description: str,
    slot: str,
    filename: str,
    now: datetime,
) -> Upload:
    """A new upload of `length` bytes; `description` is the client's, given back as it came.

    The same id again gives the same upload. Raises ContentConflictError when that one is of another file, or over.
    """
    values = {
        "id": upload_id,
        "request_id": request_id,
        "account_id": account_id,
        "length": length,
        "description": description,
        "slot": slot,
        "filename": filename,
    }
    times = {"created_at": now, "expires_at": now + LIFE}
    begun = await to_write(session, Upload, {**values, **times, "offset": 0, "parts": []})
    await session.execute(insert(Upload).values(**begun).on_conflict_do_nothing())
    upload = await session.get_one(Upload, upload_id)
    if upload.expires_at <= now or any(getattr(upload, name) != value for name, value in values.items()):
        raise ContentConflictError
    return upload


async def load_upload(
    session: AsyncSession, upload_id: uuid.UUID, *, request_id: uuid.UUID, account_id: uuid.UUID, now: datetime
) -> Upload:
    """The upload of that request that this person began. Raises NotFoundError, also when it has expired."""
    theirs = select(Upload).where(
        Upload.id == upload_id, Upload.request_id == request_id, Upload.account_id == account_id
    )
    upload = await session.scalar(theirs.where(Upload.expires_at > now))
    if upload is None:
        raise NotFoundError
    return upload


async def add_part(session: AsyncSession, upload: Upload, key: str, size: int, now: datetime) -> Upload:
    """Count `size` bytes that are stored under `key` and follow those of `upload`; the upload as it is then.

    Raises StaleVersionError when other bytes came first or the upload is over, also where one was begun under its id since (the
    bytes were sealed with a key that is gone), and TooLargeError when it has `MAX_PARTS` already.
    """
    if len(upload.parts) >= MAX_PARTS:
        raise TooLargeError(upload.offset)
    counted = (
        update(Upload)
        .where(
            Upload.id == upload.id,
            Upload.created_at == upload.created_at,
            Upload.offset == upload.offset,
            Upload.expires_at > now,
        )
        .values(offset=Upload.offset + size, parts=func.array_append(Upload.parts, key), expires_at=now + LIFE)
        .returning(Upload)
    )
    after = await session.scalar(counted, execution_options={"populate_existing": True})
    if after is None:
        raise StaleVersionError(upload.offset)
    return after


async def is_open(session: AsyncSession, upload_id: uuid.UUID, now: datetime) -> bool:
    """Whether the upload is there and has neither expired nor been ended."""
    query = select(Upload.id).where(Upload.id == upload_id, Upload.expires_at > now)
    return await session.scalar(query) is not None


async def end_upload(session: AsyncSession, upload_id: uuid.UUID, now: datetime) -> None:
    """From now on nothing is added to the upload, and nobody finds it."""
    await session.execute(update(Upload).where(Upload.id == upload_id, Upload.expires_at > now).values(expires_at=now))


async def expired_uploads(session: AsyncSession, now: datetime, *, limit: int) -> list[uuid.UUID]:
    """Uploads that are over and whose parts can go, the oldest first."""
    query = select(Upload.id).where(Upload.expires_at <= now).order_by(Upload.expires_at).limit(limit)
    return list(await session.scalars(query))


async def forget_upload(session: AsyncSession, upload_id: uuid.UUID, now: datetime) -> None:
    """Remove the row of an upload that is over and whose parts are gone, and the key of these."""
    over = select(Upload.id).where(Upload.id == upload_id, Upload.expires_at <= now).with_for_update()
    if await session.scalar(over) is not None:
        await data_keys.destroy(session, upload_id)
        await session.execute(delete(Upload).where(Upload.id == upload_id))
