"""Files that come in parts, where a line breaks: each part counts when it arrived, whatever became of its call.

With its last byte an upload becomes an attachment that has the upload's id, as a file that comes whole does (`new_attachments`).
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import BinaryIO
from uuid import UUID, uuid5

from domain.offerings import ServiceOffering
from media.kinds import Media
from records import attachments, uploads
from records.errors import (
    ContentConflictError,
    ContentDiffersError,
    NotEditableError,
    NotFoundError,
    StaleVersionError,
    TooLargeError,
)
from records.ids import new_id
from records.models import RequestRecord, Upload
from use_cases import policy, sweep
from use_cases.attachments import AttachmentView, attachment_view
from use_cases.attended import Attended
from use_cases.caller import Caller
from use_cases.new_attachments import NewPlace, SentFile, examined, keep_examined, kind_of
from use_cases.problems import Problem
from use_cases.scans import Viewer
from use_cases.services import Services

PART_BYTES = 4 * 1024**2
"""What is held in memory of an upload, and lost at most when a process dies."""

_MAY_PASS = frozenset({"submission_under_way", "answer_under_way", "too_many_at_once", "busy", "videos_not_possible"})
"""What passes by itself, so that what was sent is kept. What is on its way may be refused: then the form, or the question, is
open again."""


@dataclass(frozen=True)
class Announced:
    """A file that is to come: its size in bytes, its name, for what it is sent, and `description` as the client gave it."""

    length: int
    filename: str
    slot: str
    description: str


@dataclass(frozen=True)
class OwnUpload:
    """An upload of the caller's, and the request to which it goes."""

    row: RequestRecord
    upload: Upload


@dataclass(frozen=True)
class Progress:
    """How far an upload is; `attachment` when it is whole, and has become one."""

    upload: Upload
    attachment: AttachmentView | None


async def begin(services: Services, caller: Caller, request_id: UUID, file: Announced, key: str | None) -> Upload:
    """Announce a file, under the same conditions as one that comes whole. The same `key` means the same upload.

    Raises what `policy.request_to_add_to` does, and Problem `unknown_slot`, `unsupported_media` (nothing will come), `too_large`
    or `idempotency_key_reused`.
    """
    now = datetime.now(UTC)
    async with services.database.session() as session:
        row = await policy.request_to_add_to(session, caller, request_id)
        offering = await services.versions.of(session, row)
    _check_slot(offering, file.slot)
    if file.length == 0:
        raise Problem("unsupported_media")
    if file.length > largest(services):
        raise Problem("too_large", limit_bytes=largest(services))
    async with services.database.session() as session:
        try:
            return await uploads.begin_upload(
                session,
                upload_id=uuid5(request_id, f"upload:{caller.id}:{key}") if key else new_id(),
                request_id=request_id,
                account_id=caller.id,
                length=file.length,
                description=file.description,
                slot=file.slot,
                filename=file.filename,
                now=now,
            )
        except ContentConflictError:
            raise Problem("idempotency_key_reused") from None


async def find(services: Services, caller: Caller, request_id: UUID, upload_id: UUID) -> OwnUpload:
    """An upload that the caller began. Raises Problem `not_found` or `not_yet`."""
    async with services.database.session() as session:
        try:
            upload = await uploads.load_upload(
                session, upload_id, request_id=request_id, account_id=caller.id, now=datetime.now(UTC)
            )
            row, _ = await policy.request_to_see(session, caller, request_id)
        except NotFoundError:
            raise Problem("not_found") from None
    return OwnUpload(row, upload)


async def progress(services: Services, caller: Caller, own: OwnUpload, attended: Attended) -> Progress:
    """How far it is. One that is whole becomes an attachment here, unless it is one already.

    Raises as `new_attachments.add` does, and what `attended` raises when the caller goes away.
    """
    upload = own.upload
    if upload.offset < upload.length:
        return Progress(upload, None)
    kept = await _kept_before(services, caller, upload) or await _keep(services, caller, own.row, upload, attended)
    return Progress(upload, kept)


async def go_on(
    services: Services, caller: Caller, own: OwnUpload, arriving: AsyncIterator[bytes], attended: Attended
) -> Progress:
    """Take what arrives as the next parts of the upload, from its offset on; then as `progress`.

    Raises Problem `offset_mismatch` when somebody else went on with it meanwhile, `too_large` for more than was announced, and
    what `policy.request_to_add_to` does.
    """
    if own.upload.offset < own.upload.length:
        async with services.database.session() as session:
            await policy.request_to_add_to(session, caller, own.row.id)
        own = replace(own, upload=await _receive(services, own.upload, arriving))
    return await progress(services, caller, own, attended)


async def end(services: Services, caller: Caller, request_id: UUID, upload_id: UUID) -> None:
    """Give an upload up. What came of it is removed; an attachment that it has become stays. Raises as `find` does."""
    own = await find(services, caller, request_id, upload_id)
    await sweep.end_upload(services, own.upload.id)


def largest(services: Services) -> int:
    """The most bytes that a file can have."""
    return max(services.settings.max_photo_bytes, services.settings.max_video_bytes)


async def _receive(services: Services, upload: Upload, arriving: AsyncIterator[bytes]) -> Upload:
    """Store what arrives as the upload's next parts, and count each; the upload as it is then."""
    part = bytearray()
    async for chunk in arriving:
        part += chunk
        if upload.offset + len(part) > upload.length:
            raise Problem("too_large", limit_bytes=upload.length)
        if len(part) >= PART_BYTES:
            upload = await _add_part(services, upload, bytes(part))
            part.clear()
    return await _add_part(services, upload, bytes(part)) if part else upload


async def _add_part(services: Services, upload: Upload, content: bytes) -> Upload:
    key = uploads.new_part_key(upload)
    try:
        await services.store.put_new(key, content)
        async with services.database.session() as session:
            return await uploads.add_part(session, upload, key, len(content), datetime.now(UTC))
    except NotFoundError:  # it was given up meanwhile
        raise Problem("not_found") from None
    except (StaleVersionError, TooLargeError) as error:
        await services.store.delete([key])
        raise Problem("offset_mismatch" if isinstance(error, StaleVersionError) else "too_large") from None


async def _kept_before(services: Services, caller: Caller, upload: Upload) -> AttachmentView | None:
    async with services.database.session() as session:
        there = await attachments.load_attachment(session, upload.request_id, upload.id)
    if there is None or there.removed_at is not None:
        return None
    return attachment_view(there, Viewer.of(services.settings, caller))


async def _keep(
    services: Services, caller: Caller, row: RequestRecord, upload: Upload, attended: Attended
) -> AttachmentView:
    """Make an attachment of an upload that is whole. The same one twice at once is the same attachment."""
    with await asyncio.to_thread(tempfile.TemporaryFile) as file:
        try:
            found = await attended(_examined(services, caller, upload, file))
            sent = SentFile(file, upload.filename, upload.slot)
            view = await keep_examined(services, caller, NewPlace(row, upload.id, None, upload.created_at), sent, found)
        except (NotFoundError, ContentDiffersError):
            # It was kept meanwhile, or given up; or removed since, alone or with the draft, and the key of its parts with it.
            if there := await _kept_before(services, caller, upload):
                return there
            raise Problem("not_found") from None
        except Problem as problem:
            if problem.code not in _MAY_PASS:
                await sweep.end_upload(services, upload.id)
            raise
    async with services.database.session() as session:
        is_wanted = await uploads.is_open(session, upload.id, datetime.now(UTC))
    if not is_wanted:
        await _take_back(services, upload)
        raise Problem("not_found")
    await services.store.delete_folder(uploads.parts_folder(upload.id))
    return view


async def _examined(services: Services, caller: Caller, upload: Upload, file: BinaryIO) -> Media:
    """What the upload is. Its copy in `file` is made only when it is the caller's turn: copies are as large as what was sent."""
    async with services.places.place_for(caller.id):
        await _assemble(services, upload, file)
        return await examined(file, await kind_of(services, file))


async def _assemble(services: Services, upload: Upload, file: BinaryIO) -> None:
    for key in upload.parts:
        async for chunk in services.store.stream(key):
            await asyncio.to_thread(file.write, chunk)
    await asyncio.to_thread(file.seek, 0)


async def _take_back(services: Services, upload: Upload) -> None:
    """Remove the attachment of an upload that was given up while it was examined."""
    with suppress(NotFoundError, NotEditableError):
        async with services.database.session() as session:
            unused = await attachments.remove_attachment(session, upload.request_id, upload.id, now=datetime.now(UTC))
        await services.store.delete(unused)


def _check_slot(offering: ServiceOffering, slot: str) -> None:
    """Whether the offering asks for such a thing; if the file fits there, is seen when it is whole."""
    slots = [s.name for s in offering.attachments]
    if slot and slot not in slots:
        raise Problem("unknown_slot", slots=slots)
