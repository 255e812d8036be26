"""The activities that make a video playable for those who did not send it."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.contract import MAKE_PLAYABLE, NOTE_UNPLAYABLE, VideoToPrepare
from activities.heartbeat import alive
from domain.scans import ScanState
from media.videos import VideoFaultError, make_playable
from records import attachments
from records.database import Database
from records.models import Attachment
from records.store import CHUNK_BYTES, DocumentStore, attachment_key

TRIES = 3
"""How often ffmpeg may fail on a video before it counts as unplayable: it may have been ended for a reason of the machine's."""

log = structlog.get_logger(__name__)


class MediaActivities:
    """Makes copies of what is in the records and the document store."""

    def __init__(self, database: Database, store: DocumentStore) -> None:
        self._database = database
        self._store = store

    @activity.defn(name=MAKE_PLAYABLE)
    async def make_playable(self, video: VideoToPrepare) -> None:
        """Make, store and note the playable copy, once. Does nothing for a video that was removed or is infected.

        Raises a non-retryable ApplicationError when ffmpeg failed on it `TRIES` times.
        """
        async with alive():
            async with self._database.session() as session:
                attachment = await attachments.load_attachment(session, video.request_id, video.attachment_id)
            if attachment is None or attachment.playable_key is not None or attachment.scan is ScanState.INFECTED:
                return
            with tempfile.TemporaryDirectory(prefix="relais-") as folder:
                await self._make(attachment, Path(folder))

    @activity.defn(name=NOTE_UNPLAYABLE)
    async def note_unplayable(self, video: VideoToPrepare) -> None:
        """Write down that there is no playable copy."""
        async with self._database.session() as session:
            await attachments.note_unplayable(session, video.request_id, video.attachment_id)

    async def _make(self, attachment: Attachment, folder: Path) -> None:
        source, target = folder / "source", folder / "playable.mp4"
        await _write(source, self._store.stream(attachment.object_key))
        try:
            duration = await make_playable(source, attachment.media_type, target)
        except VideoFaultError as error:
            final = activity.info().attempt >= TRIES
            raise ApplicationError(str(error), type="unplayable", non_retryable=final) from None
        sha256 = await asyncio.to_thread(_sha256, target)
        key = attachment_key(attachment.request_id, attachment.id, "playable", sha256)
        stored = await self._store.put_new(key, _chunks(target))
        async with self._database.session() as session:
            is_noted = await attachments.note_playable(
                session,
                attachment.request_id,
                attachment.id,
                uploaded_at=attachment.uploaded_at,
                playable_key=key,
                duration_seconds=duration,
            )
        if not is_noted:
            await self._store.delete([key])
        log.info(
            "video prepared",
            attachment_id=str(attachment.id),
            size_bytes=stored.size_bytes,
            status="noted" if is_noted else "too late",
        )


async def _write(path: Path, chunks: AsyncIterator[bytes]) -> None:
    file = await asyncio.to_thread(path.open, "wb")
    try:
        async for chunk in chunks:
            await asyncio.to_thread(file.write, chunk)
    finally:
        await asyncio.to_thread(file.close)


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk
    finally:
        await asyncio.to_thread(file.close)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
