"""Photos and videos: uploading, listing, removing. How they are looked at is in `api.renditions`."""

import asyncio
import hashlib
import os
import re
import unicodedata
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, BinaryIO
from uuid import UUID, uuid5

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.datastructures import UploadFile

from api import problems, renditions
from api.parameters import IdempotencyKey
from domain.offerings import AttachmentSlot
from domain.photos import photo_warnings
from media.examine import examine, sniff
from media.kinds import (
    MAX_EDGE,
    PHOTO_TYPES,
    VIDEO_TYPES,
    LargeMediaError,
    Media,
    MediaError,
    NoFfmpegError,
    SlowMediaError,
    TooManyPixelsError,
    TruncatedMediaError,
    UnsupportedMediaError,
)
from records import attachments, requests
from records.errors import ContentConflictError, NotEditableError, NotFoundError
from records.ids import new_id
from records.models import AccessKind, Attachment, MediaState, RequestRecord
from records.store import Copy, attachment_key
from use_cases import policy
from use_cases.accesses import log_access
from use_cases.attachments import AttachmentView, attachment_view, visible_attachments
from use_cases.caller import Caller
from use_cases.problems import FieldFault, Problem
from use_cases.services import Services
from web.connected import while_connected
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(prefix="/requests/{request_id}/attachments", tags=["attachments"])
router.include_router(renditions.router)

log = structlog.get_logger(__name__)

_CAUSES: Mapping[type[MediaError], str] = {
    TruncatedMediaError: "truncated_media",
    SlowMediaError: "media_too_slow",
    LargeMediaError: "media_too_demanding",
}

_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "The photo or video."},
                        "slot": {
                            "type": "string",
                            "maxLength": 64,
                            "description": "For what the offering asks; the first that fits if empty.",
                        },
                    },
                }
            }
        },
    }
}


@router.post(
    "", status_code=201, summary="Upload a photo or a video", openapi_extra=_UPLOAD, responses=problems.responses(415)
)
async def upload(
    request_id: UUID, request: Request, caller: CallerOf, services: ServicesOf, key: IdempotencyKey
) -> AttachmentView:
    """While the request is a draft or returned, or while a question is open (then name the attachment in the answer).

    What the file is, is found from its bytes. They are kept as they came, for you; others get clean copies that are made anew.
    The `warnings` say when a photo is probably of no use.
    """
    async with services.database.session() as session:
        row = await policy.request_to_add_to(session, caller, request_id)
        attachment_id = uuid5(request_id, f"{caller.id}:{key}") if key else new_id()
        there = await attachments.load_attachment(session, request_id, attachment_id) if key else None
    # The body is read only now: nobody fills the disk who may not add to this request.
    async with request.form(max_files=1, max_fields=4) as form:
        file, slot = form.get("file"), form.get("slot", "")
        if not isinstance(file, UploadFile) or not isinstance(slot, str):
            raise Problem("invalid_input", [FieldFault("file", "missing")])
        if there is not None:
            return await _again(there, file)
        return await keep(services, caller, row, attachment_id, file.file, file.filename or "", slot, request)


async def _again(there: Attachment, file: UploadFile) -> AttachmentView:
    """The answer to an upload whose key came before: it must be the same file."""
    digest = hashlib.sha256()
    async for chunk in _chunks(file.file):
        digest.update(chunk)
    if digest.hexdigest() != there.sha256:
        raise Problem("idempotency_key_reused")
    return attachment_view(there)


async def keep(
    services: Services,
    caller: Caller,
    row: RequestRecord,
    attachment_id: UUID,
    file: BinaryIO,
    filename: str,
    slot: str,
    call: Request,
) -> AttachmentView:
    """Examine a whole file when it is the caller's turn, and keep it.

    Raises what `use_cases.places`, `examined` and `keep_examined` do; ClientDisconnect when `call`, whose body was read, breaks
    off while the file is examined.
    """
    found = await while_connected(call, _examined_in_turn(services, caller, file))
    return await keep_examined(services, caller, row, attachment_id, file, found, filename, slot)


async def keep_examined(
    services: Services,
    caller: Caller,
    row: RequestRecord,
    attachment_id: UUID,
    file: BinaryIO,
    found: Media,
    filename: str,
    slot: str,
) -> AttachmentView:
    """Store a whole file (seekable, at its start), which was `examined`, as an attachment of the request.

    The caller has been allowed to add to the request. An `attachment_id` that was kept before is answered as the first time.
    Raises Problem `unknown_slot`, `idempotency_key_reused` (another file has this id), or `submission_under_way`,
    `answer_under_way` or `not_editable` (it was closed meanwhile).
    """
    chosen = await _slot(services, row, slot, found.kind)
    copies: dict[Copy, bytes] = {"preview": found.preview, "thumbnail": found.thumbnail}
    if found.full is not None:
        copies["full"] = found.full
    object_key = attachment_key(row.id, attachment_id)
    try:
        stored = await services.store.put_new(object_key, _chunks(file))
    except ContentConflictError:  # the key was sent before, with another file
        raise Problem("idempotency_key_reused") from None
    # The digests are those of the copies: the same file may give others after an update of what makes them.
    keys = {
        copy: attachment_key(row.id, attachment_id, copy, hashlib.sha256(content).hexdigest())
        for copy, content in copies.items()
    }
    for copy, content in copies.items():
        await services.store.put_new(keys[copy], content)
    async with services.database.session() as session:
        await requests.lock_request(session, row.id)
        if there := await attachments.load_attachment(session, row.id, attachment_id):
            return attachment_view(there)  # the same upload came twice at the same time
        try:
            attachment = await attachments.add_attachment(
                session,
                attachment_id=attachment_id,
                request_id=row.id,
                slot=chosen.name,
                kind=found.kind,
                media_type=found.media_type,
                size_bytes=stored.size_bytes,
                sha256=stored.sha256,
                filename=_plain_name(filename),
                width=found.width,
                height=found.height,
                uploaded_by=caller.id,
                now=datetime.now(UTC),
                object_key=object_key,
                preview_key=keys["preview"],
                thumbnail_key=keys["thumbnail"],
                full_key=keys.get("full"),
                captured_at=found.captured_at and found.captured_at.astimezone(UTC),
                sharpness=found.sharpness,
                warnings=_warnings(found, chosen),
            )
        except NotEditableError as error:
            await services.store.delete([object_key, *keys.values()])
            raise policy.closed(error) from None
    if attachment.state is MediaState.PREPARING:
        await renditions.prepare(services, attachment)
    return attachment_view(attachment)


async def _examined_in_turn(services: Services, caller: Caller, file: BinaryIO) -> Media:
    async with services.places.place_for(caller.id):
        return await examined(services, file)


async def examined(services: Services, file: BinaryIO) -> Media:
    """What the file is, with its copies. The caller has a place (`use_cases.places`).

    Raises Problem `unsupported_media`, `too_large`, `too_many_pixels`, `truncated_media`, `damaged_media`, `media_too_slow`,
    `media_too_demanding` or `videos_not_possible`, or NoVerdictError (`confined`).
    """
    try:
        media_type = await sniff(file)
        limit = services.settings.max_photo_bytes if media_type in PHOTO_TYPES else services.settings.max_video_bytes
        if await asyncio.to_thread(file.seek, 0, os.SEEK_END) > limit:
            raise Problem("too_large", limit_bytes=limit)
        return await examine(file, media_type)
    except MediaError as error:
        raise _not_taken(error) from None
    finally:
        await asyncio.to_thread(file.seek, 0)


def _not_taken(error: MediaError) -> Problem:
    match error:
        case UnsupportedMediaError():
            return Problem("unsupported_media", accepted=sorted(PHOTO_TYPES | VIDEO_TYPES))
        case TooManyPixelsError():
            return Problem(
                "too_many_pixels",
                width=error.width,
                height=error.height,
                limit_megapixels=error.limit / 1e6,
                limit_edge=MAX_EDGE,
            )
        case NoFfmpegError():
            log.error("no ffmpeg: a video was refused; install ffmpeg, or the extra `embedded`")
            return Problem("videos_not_possible")
        case _:
            return Problem(_CAUSES.get(type(error), "damaged_media"))


def _warnings(found: Media, slot: AttachmentSlot) -> Sequence[str]:
    if found.kind == "video":
        return ()
    return photo_warnings(found.width, found.height, found.sharpness, slot.min_edge)


@router.get("", summary="The photos and videos")
async def list_attachments(request_id: UUID, caller: CallerOf, services: ServicesOf) -> list[AttachmentView]:
    """For the requester what is there now, for others what was submitted or given with an answer."""
    async with services.database.session() as session:
        row = await policy.chart_to_see(session, caller, request_id)
        await log_access(session, caller, row, AccessKind.REQUEST)
        return [attachment_view(attachment) for attachment in await visible_attachments(session, row, caller)]


@router.delete("/{attachment_id}", status_code=204, summary="Remove a photo or a video")
async def remove(request_id: UUID, attachment_id: UUID, caller: CallerOf, services: ServicesOf) -> None:
    """While the request is a draft or returned. What was submitted before stays in the records."""
    async with services.database.session() as session:
        await policy.own_form_to_edit(session, caller, request_id)
        try:
            unused = await attachments.remove_attachment(session, request_id, attachment_id, now=datetime.now(UTC))
        except NotFoundError:
            raise Problem("not_found") from None
        except NotEditableError as error:
            raise policy.closed(error) from None
    await services.store.delete(unused)


class Move(BaseModel):
    """What a photo or video is sent for."""

    model_config = ConfigDict(extra="forbid")

    slot: Annotated[str, StringConstraints(max_length=100)] = Field(examples=["photos"])


@router.patch("/{attachment_id}", summary="Send a photo or a video for something else")
async def move(
    request_id: UUID, attachment_id: UUID, body: Move, caller: CallerOf, services: ServicesOf
) -> AttachmentView:
    """While the request is a draft or returned; for instance because its form does not ask for such files any more."""
    async with services.database.session() as session:
        row = await policy.own_form_to_edit(session, caller, request_id)
        there = await attachments.load_attachment(session, request_id, attachment_id)
    if there is None:
        raise Problem("not_found")
    chosen = await _slot(services, row, body.slot, there.kind)
    async with services.database.session() as session:
        try:
            moved = await attachments.move_attachment(session, request_id, attachment_id, chosen.name)
        except NotFoundError:
            raise Problem("not_found") from None
        except NotEditableError as error:
            raise policy.closed(error) from None
    return attachment_view(moved)


async def _slot(services: Services, row: RequestRecord, wanted: str, kind: str) -> AttachmentSlot:
    async with services.database.session() as session:
        offering = await services.versions.of(session, row)
    fitting = [s for s in offering.attachments if kind in s.accepts and wanted in ("", s.name)]
    if not fitting:
        raise Problem("unknown_slot", slots=[s.name for s in offering.attachments])
    return fitting[0]


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, 1024**2):
        yield chunk


def _plain_name(name: str) -> str:
    """The file's name without folders and control characters."""
    base = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1])
    return "".join(c for c in base if c.isprintable())[:200]
