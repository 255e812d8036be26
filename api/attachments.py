"""Photos and videos: uploading, looking at, removing."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, BinaryIO
from uuid import UUID, uuid5

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import UploadFile

from api import media, policy, problems
from api.parameters import IdempotencyKey
from api.problems import Problem
from api.requests import log_access
from api.security import Caller, CallerOf
from api.services import Services, ServicesOf
from api.views import AttachmentView, attachment_view, visible_attachments
from domain.offerings import AttachmentSlot
from records import attachments, requests
from records.errors import ContentConflictError, NotEditableError, NotFoundError, TooLargeError
from records.ids import new_id
from records.models import AccessKind, Attachment, RequestRecord
from records.store import attachment_key

router = APIRouter(prefix="/requests/{request_id}/attachments", tags=["attachments"])

_SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-store",
}


_BYTES: dict[str, Any] = {"content": {kind: {} for kind in sorted(media.PHOTO_TYPES | media.VIDEO_TYPES)}}
_ORIGINAL = {200: _BYTES, 206: {"description": "The part asked for", **_BYTES}, **problems.responses(416)}

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

    What the file is, is found from its bytes. The bytes are kept as they came; what others see first is a preview made anew.
    """
    async with services.database.session() as session:
        row = await request_to_add_to(session, caller, request_id)
        attachment_id = uuid5(request_id, f"{caller.id}:{key}") if key else new_id()
        there = await attachments.load_attachment(session, request_id, attachment_id) if key else None
    # The body is read only now: nobody fills the disk who may not add to this request.
    async with request.form(max_files=1, max_fields=4) as form:
        file, slot = form.get("file"), form.get("slot", "")
        if not isinstance(file, UploadFile) or not isinstance(slot, str):
            raise Problem("invalid_input", errors=[{"field": "file", "code": "missing"}])
        if there is not None:
            return await _again(there, file)
        return await keep(services, caller, row, attachment_id, file.file, file.filename or "", slot)


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
) -> AttachmentView:
    """Examine and store a whole file (seekable, at its start) as an attachment of the request.

    The caller has been allowed to add to the request. An `attachment_id` that was kept before is answered as the first time.
    Raises Problem `unsupported_media`, `damaged_media`, `unknown_slot`, `too_large`, `idempotency_key_reused` (another file has
    this id) or `not_editable` (the request ended meanwhile).
    """
    try:
        found = await media.examine(file)
    except media.UnsupportedMediaError:
        raise Problem("unsupported_media", accepted=sorted(media.PHOTO_TYPES | media.VIDEO_TYPES)) from None
    except media.DamagedMediaError:
        raise Problem("damaged_media") from None
    chosen = _slot(services, row, slot, found.kind)
    object_key = attachment_key(row.id, attachment_id)
    preview_key = attachment_key(row.id, attachment_id, preview=True) if found.preview else None
    settings = services.settings
    limit = settings.max_photo_bytes if found.kind == "photo" else settings.max_video_bytes
    try:
        stored = await services.store.put_new(object_key, _chunks(file), max_bytes=limit)
    except TooLargeError:
        raise Problem("too_large", limit_bytes=limit) from None
    except ContentConflictError:  # the key was sent before, with another file
        raise Problem("idempotency_key_reused") from None
    if found.preview and preview_key:
        await services.store.put_new(preview_key, found.preview)
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
                preview_key=preview_key,
            )
        except NotEditableError:
            await services.store.delete([key for key in (object_key, preview_key) if key])
            raise Problem("not_editable") from None
        return attachment_view(attachment)


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
    await services.store.delete(unused)


@router.get("/{attachment_id}", summary="The original", response_class=StreamingResponse, responses=_ORIGINAL)
async def original(
    request_id: UUID,
    attachment_id: UUID,
    caller: CallerOf,
    services: ServicesOf,
    range_: Annotated[
        str | None, Header(alias="Range", description="One range of bytes, for seeking in a video.")
    ] = None,
) -> Response:
    """The bytes as they were uploaded, as a download; a part of them by Range."""
    attachment = await _attachment_to_see(services, caller, request_id, attachment_id, AccessKind.ATTACHMENT)
    start, end = _range(range_, attachment.size_bytes)
    partial = (start, end) != (0, attachment.size_bytes)
    headers = {
        **_SAFE_HEADERS,
        "Accept-Ranges": "bytes",
        "Content-Length": str(end - start),
        "Content-Disposition": f'attachment; filename="{_ascii(attachment.filename)}"',
        "ETag": f'"{attachment.sha256}"',
    }
    if partial:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{attachment.size_bytes}"
    body = services.store.stream(attachment.object_key, start=start, end=end if partial else None)
    return StreamingResponse(body, 206 if partial else 200, headers, attachment.media_type)


@router.get(
    "/{attachment_id}/preview",
    summary="What is shown of it",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}},
)
async def preview(request_id: UUID, attachment_id: UUID, caller: CallerOf, services: ServicesOf) -> Response:
    """A JPEG of at most 1,200 pixels, upright, without position or device data."""
    attachment = await _attachment_to_see(services, caller, request_id, attachment_id, AccessKind.PREVIEW)
    if attachment.preview_key is None:
        raise Problem("not_found")
    return Response(await services.store.get(attachment.preview_key), 200, _SAFE_HEADERS, "image/jpeg")


async def request_to_add_to(session: AsyncSession, caller: Caller, request_id: UUID) -> RequestRecord:
    """The request, for a caller who may add attachments to it now. Raises Problem `not_found`, `forbidden` or `not_editable`."""
    row, _ = await policy.request_to_see(session, caller, request_id)
    if row.requester_id != caller.id:
        raise Problem("forbidden")
    if not row.is_editable and not requests.process_of(row).questions:
        raise Problem("not_editable")
    return row


async def _attachment_to_see(
    services: Services, caller: Caller, request_id: UUID, attachment_id: UUID, kind: AccessKind
) -> Attachment:
    async with services.database.session() as session:
        row = await policy.chart_to_see(session, caller, request_id)
        visible = await visible_attachments(session, row, caller)
        attachment = next((a for a in visible if a.id == attachment_id), None)
        if attachment is None:
            raise Problem("not_found")
        await log_access(session, caller, row, kind, attachment_id)
        return attachment


def _slot(services: Services, row: RequestRecord, wanted: str, kind: str) -> AttachmentSlot:
    offering = services.offerings.get(row.offering)
    fitting = [s for s in offering.attachments if kind in s.accepts and wanted in ("", s.name)] if offering else []
    if not fitting:
        raise Problem("unknown_slot", slots=[s.name for s in offering.attachments] if offering else [])
    return fitting[0]


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, 1024**2):
        yield chunk


def _range(header: str | None, size: int) -> tuple[int, int]:
    """The bytes asked for, as start and end (without the end); everything when there is no (readable) range."""
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header or "")
    if match is None or match.groups() == ("", ""):
        return 0, size
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= end:
        raise Problem("range_not_satisfiable", headers={"Content-Range": f"bytes */{size}"})
    return start, end


def _plain_name(name: str) -> str:
    """The file's name without folders and control characters."""
    base = re.split(r"[/\\]", name)[-1]
    return "".join(c for c in base if c.isprintable())[:200]


def _ascii(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name) or "file"
