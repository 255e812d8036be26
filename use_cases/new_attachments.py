"""Adding a photo or a video to a request: what the file is, its copies, and how both are kept."""

import asyncio
import hashlib
import os
import re
import unicodedata
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO
from uuid import UUID, uuid5

import structlog

from domain.offerings import AttachmentSlot
from domain.photos import UNDESCRIBED, Description, photo_warnings
from media.examine import examine, sniff
from media.kinds import (
    DICOM,
    DOCUMENT_TYPES,
    MAX_EDGE,
    PHOTO_TYPES,
    TAKEN_TYPES,
    LargeMediaError,
    Media,
    MediaError,
    NoFfmpegError,
    NoPictureError,
    ProtectedMediaError,
    SeveralFramesError,
    SlowMediaError,
    TooManyPagesError,
    TooManyPixelsError,
    TruncatedMediaError,
    UnknownEncodingError,
    UnsupportedMediaError,
)
from records import attachments, phone_links, requests
from records.errors import ContentConflictError, NotEditableError, NotFoundError
from records.ids import new_id
from records.models import Attachment, MediaState, RequestRecord
from records.store import Copy, StoredObject, attachment_key
from use_cases import policy
from use_cases.attachments import AttachmentView, attachment_view, slot_for
from use_cases.attended import Attended
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.scans import Viewer
from use_cases.services import Services
from use_cases.videos import prepare_video

log = structlog.get_logger(__name__)

_CAUSES: Mapping[type[MediaError], str] = {
    TruncatedMediaError: "truncated_media",
    SlowMediaError: "media_too_slow",
    LargeMediaError: "media_too_demanding",
    ProtectedMediaError: "media_protected",
    SeveralFramesError: "several_frames",
    NoPictureError: "no_picture",
    UnknownEncodingError: "unknown_encoding",
}


@dataclass(frozen=True)
class NewPlace:
    """Where a file goes: a request to which the caller may add, and the attachment's id, with what was kept under it before.

    `begun` is when its upload began, which says where it stands among others.
    """

    row: RequestRecord
    attachment_id: UUID
    there: Attachment | None
    begun: datetime


async def check_may_add(services: Services, caller: Caller, request_id: UUID) -> None:
    """Raises what `place_for` does."""
    async with services.database.session() as session:
        await policy.request_to_add_to(session, caller, request_id)


async def place_for(services: Services, caller: Caller, request_id: UUID, key: str | None) -> NewPlace:
    """Where the caller may add a file now: asked before its bytes are read. The same `key` means the same attachment.

    Raises Problem `not_found`, `forbidden`, `submission_under_way`, `answer_under_way`, `not_editable` or `not_yet`.
    """
    begun = datetime.now(UTC)
    async with services.database.session() as session:
        row = await policy.request_to_add_to(session, caller, request_id)
        attachment_id = uuid5(request_id, f"{caller.id}:{key}") if key else new_id()
        there = await attachments.load_attachment(session, request_id, attachment_id) if key else None
    return NewPlace(row, attachment_id, there, begun)


@dataclass(frozen=True)
class SentFile:
    """A whole file as it was sent (seekable, at its start): its name, and what it is for, the first `slot` that fits if empty.

    `phone_link_id` is the link by which a telephone sent it.
    """

    content: BinaryIO
    filename: str
    slot: str
    description: Description = UNDESCRIBED
    phone_link_id: UUID | None = None


async def add(
    services: Services, caller: Caller, place: NewPlace, file: SentFile, attended: Attended
) -> AttachmentView:
    """Examine a file when it is the caller's turn, and keep it at its place.

    Raises what `kind_of`, `services.places`, `examined` and `keep_examined` do (Problem `not_found` for a draft that is not there
    any more), and what `attended` raises when the caller goes away while the file is examined.
    """
    if place.there is not None:
        return await _again(services, caller, place.there, file)
    found = await attended(examined_in_turn(services, caller, file.content))
    try:
        return await keep_examined(services, caller, place, file, found)
    except NotFoundError:  # the draft was removed meanwhile
        raise Problem("not_found") from None


async def _again(services: Services, caller: Caller, there: Attachment, file: SentFile) -> AttachmentView:
    """The answer to a file whose key came before: it must be the same."""
    if await digest_of(chunks(file.content)) != there.sha256:
        raise Problem("idempotency_key_reused")
    return attachment_view(there, Viewer.of(services.settings, caller))


async def keep_examined(
    services: Services, caller: Caller, place: NewPlace, file: SentFile, found: Media
) -> AttachmentView:
    """Store a file, which was `examined`, at its place.

    An attachment's id that was kept before is answered as the first time. Raises Problem `unknown_slot`,
    `idempotency_key_reused` (another file has this id), or `submission_under_way`, `answer_under_way` or `not_editable` (it was
    closed meanwhile); NotFoundError when it was removed meanwhile, also where one was begun under its id since.
    """
    row, attachment_id, viewer = place.row, place.attachment_id, Viewer.of(services.settings, caller)
    chosen = await slot_for(services, row, file.slot, found.kind)
    stored = await _store(services, row, attachment_id, file, found)
    async with services.database.session() as session:
        try:
            row = await requests.lock_request(session, row.id)
        except NotFoundError:
            await services.store.delete(stored.keys)
            raise
        if row.created_at != place.row.created_at:
            # Removed, and begun again under its id: what was stored may be sealed with the key that went. Whoever sends the same
            # to the new one may just be naming it: the sweep removes what nobody named.
            raise NotFoundError
        if there := await attachments.load_attachment(session, row.id, attachment_id):
            return attachment_view(there, viewer)  # the same upload came twice at the same time
        try:
            attachment = await attachments.add_attachment(
                session,
                attachment_id=attachment_id,
                request_id=row.id,
                slot=chosen.name,
                kind=found.kind,
                media_type=found.media_type,
                size_bytes=stored.original.size_bytes,
                sha256=stored.original.sha256,
                filename=_plain_name(file.filename),
                width=found.width,
                height=found.height,
                uploaded_by=caller.id,
                now=datetime.now(UTC),
                object_key=stored.key,
                preview_key=stored.copies["preview"],
                thumbnail_key=stored.copies["thumbnail"],
                full_key=stored.copies.get("full"),
                captured_at=found.captured_at and found.captured_at.astimezone(UTC),
                sharpness=found.sharpness,
                warnings=_warnings(found, chosen),
                begun=place.begun,
                description=file.description,
                pixels_sha256=found.pixels_sha256,
                page_keys=stored.pages,
                phone_link_id=file.phone_link_id,
                to_scan=services.settings.clamd_url is not None,
            )
        except NotEditableError as error:
            await services.store.delete(stored.keys)
            raise policy.closed(error) from None
        if file.phone_link_id is not None:  # the page that shows the link is another one
            await phone_links.note_photos(session, row)
            await requests.announce(session, row)
    if attachment.state is MediaState.PREPARING:
        await prepare_video(services, attachment)
    return attachment_view(attachment, viewer)


@dataclass(frozen=True)
class _Stored:
    """A file in the document store, and the keys of its copies."""

    key: str
    original: StoredObject
    copies: Mapping[Copy, str]
    pages: Sequence[str]

    @property
    def keys(self) -> list[str]:
        """Of all that was stored."""
        return [self.key, *self.copies.values(), *self.pages]


async def _store(services: Services, row: RequestRecord, attachment_id: UUID, file: SentFile, found: Media) -> _Stored:
    """Raises Problem `idempotency_key_reused` when another file was sent under this id before."""
    copies: dict[Copy, bytes] = {"preview": found.preview, "thumbnail": found.thumbnail}
    if found.full is not None:
        copies["full"] = found.full
    key = attachment_key(row.id, attachment_id)
    # The digests are those of the copies: the same file may give others after an update of what makes them.
    keys = {
        copy: attachment_key(row.id, attachment_id, copy, hashlib.sha256(content).hexdigest())
        for copy, content in copies.items()
    }
    pages = [attachment_key(row.id, attachment_id, "page", hashlib.sha256(page).hexdigest()) for page in found.pages]
    try:
        original = await services.store.put_new(key, chunks(file.content))
        for copy, content in copies.items():
            await services.store.put_new(keys[copy], content)
        for page_key, page in dict(zip(pages, found.pages, strict=True)).items():  # two empty pages are one object
            await services.store.put_new(page_key, page)
    except ContentConflictError:
        raise Problem("idempotency_key_reused") from None
    return _Stored(key, original, keys, pages)


async def examined_in_turn(services: Services, caller: Caller, file: BinaryIO) -> Media:
    media_type = await kind_of(services, file)  # takes no processor: what is refused by it waits for no place
    async with services.places.place_for(caller.id):
        return await examined(file, media_type)


async def kind_of(services: Services, file: BinaryIO) -> str:
    """The media type of a file that is not too large for its kind. Raises Problem `unsupported_media` or `too_large`."""
    try:
        media_type = await sniff(file)
        limit = _largest(services, media_type)
        if await asyncio.to_thread(file.seek, 0, os.SEEK_END) > limit:
            raise Problem("too_large", limit_bytes=limit)
    except MediaError as error:
        raise _not_taken(error) from None
    finally:
        await asyncio.to_thread(file.seek, 0)
    return media_type


def _largest(services: Services, media_type: str) -> int:
    settings = services.settings
    if media_type in PHOTO_TYPES | {DICOM}:  # one picture, and as large as one
        return settings.max_photo_bytes
    return settings.max_document_bytes if media_type in DOCUMENT_TYPES else settings.max_video_bytes


async def examined(file: BinaryIO, media_type: str) -> Media:
    """What a file of that type is, with its copies. The caller has a place (`services.places`).

    Raises Problem `too_many_pixels`, `truncated_media`, `damaged_media`, `media_too_slow`, `media_too_demanding`,
    `document_too_long`, `media_protected`, `several_frames`, `no_picture`, `unknown_encoding` or `videos_not_possible`, or
    NoVerdictError (`confined`).
    """
    try:
        return await examine(file, media_type)
    except MediaError as error:
        raise _not_taken(error) from None
    finally:
        await asyncio.to_thread(file.seek, 0)


def _not_taken(error: MediaError) -> Problem:
    match error:
        case UnsupportedMediaError():
            return Problem("unsupported_media", accepted=sorted(TAKEN_TYPES))
        case TooManyPixelsError():
            return Problem(
                "too_many_pixels",
                width=error.width,
                height=error.height,
                limit_megapixels=error.limit / 1e6,
                limit_edge=MAX_EDGE,
            )
        case TooManyPagesError():
            return Problem("document_too_long", pages=error.pages, limit_pages=error.limit)
        case NoFfmpegError():
            log.error("no ffmpeg: a video was refused; install ffmpeg, or the extra `embedded`")
            return Problem("videos_not_possible")
        case _:
            return Problem(_CAUSES.get(type(error), "damaged_media"))


def _warnings(found: Media, slot: AttachmentSlot) -> Sequence[str]:
    if found.kind != "photo":
        return ()
    return photo_warnings(found.width, found.height, found.sharpness, slot.min_edge, is_incomplete=found.is_incomplete)


async def chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    """What a file holds from where it stands, piece by piece."""
    while chunk := await asyncio.to_thread(file.read, 1024**2):
        yield chunk


async def digest_of(content: AsyncIterator[bytes]) -> str:
    """SHA-256 of what comes in pieces, in hexadecimal."""
    digest = hashlib.sha256()
    async for chunk in content:
        digest.update(chunk)
    return digest.hexdigest()


def _plain_name(name: str) -> str:
    """The file's name without folders and control characters."""
    base = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1])
    return "".join(c for c in base if c.isprintable())[:200]
