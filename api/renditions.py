"""Photos and videos: what is looked at and downloaded, and by whom.

Who uploaded a file gets it back byte for byte. Everybody else gets the clean copy that was made of it (`media`): position and
device of a telephone, and whatever hides in a file, end with the one who sent it.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from activities.contract import VideoToPrepare
from api import problems, stored
from api.stored import content_disposition
from media.kinds import JPEG, MP4, PHOTO_TYPES, VIDEO_TYPES
from records import access, attachments
from records.errors import ContentDiffersError, NotFoundError
from records.models import AccessKind, Attachment, MediaState, RequestRecord
from records.store import digest_in
from use_cases import policy
from use_cases.accesses import log_access
from use_cases.attachments import visible_attachments
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.services import Services
from web.connected import while_connected
from web.problems import HTTPProblem
from web.services import ServicesOf
from web.session import CallerOf
from workflows.contract import PREPARE_VIDEO, video_workflow_id

router = APIRouter()

log = structlog.get_logger(__name__)

_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}
"""A file runs nothing and loads nothing. Styles are the browser's own, with which it shows a photo that is opened by itself."""
_NOT_KEPT = {"Cache-Control": "private, no-store"}
_KEPT = {"Cache-Control": "private, max-age=3600, immutable", "Vary": "Authorization, Cookie"}
"""A copy never changes under its address. It is kept for as long as somebody works on a request, and for whom it was given to."""


_ONE_LOOK = timedelta(minutes=15)


def _kinds(*kinds: str) -> dict[str, Any]:
    return {"content": {kind: {} for kind in kinds}}


_ANY = _kinds(*sorted(PHOTO_TYPES | VIDEO_TYPES))
_A_JPEG: dict[int | str, Any] = {200: _kinds(JPEG)}

Range = Annotated[str | None, Header(alias="Range", description="One range of bytes, for seeking in a video.")]


@router.get(
    "/{attachment_id}",
    summary="Download",
    response_class=StreamingResponse,
    responses={200: _ANY, 206: {"description": "The part asked for", **_ANY}, **problems.responses(416)},
)
async def original(
    request_id: UUID, attachment_id: UUID, call: Request, caller: CallerOf, services: ServicesOf, range_: Range = None
) -> Response:
    """For who uploaded it, the very bytes; for others the clean copy, a JPEG or an MP4. A part of it by Range.

    While the copy of a video is not there yet, the code is `video_preparing`.
    """
    row, attachment = await _to_see(services, caller, request_id, attachment_id)
    if attachment.uploaded_by == caller.id:
        found = _Object(attachment.object_key, attachment.media_type, attachment.filename, attachment.sha256)
    elif attachment.kind == "photo":
        found = _Object(_first_of(attachment.full_key, attachment.preview_key), JPEG, _named(attachment, ".jpg"))
    else:
        found = _Object(await _playable_key(services, attachment), MP4, _named(attachment, ".mp4"))
    await _log(services, caller, row, attachment, AccessKind.ATTACHMENT, range_)
    headers = {**_NOT_KEPT, "Content-Disposition": content_disposition("attachment", found.filename)}
    return await _send(call, services, attachment, found, headers, range_)


@router.get(
    "/{attachment_id}/preview", summary="What is shown of it", response_class=StreamingResponse, responses=_A_JPEG
)
async def preview(
    request_id: UUID, attachment_id: UUID, call: Request, caller: CallerOf, services: ServicesOf
) -> Response:
    """A JPEG of at most 1,200 pixels, upright, without position or device data; of a video, its first frame."""
    row, attachment = await _to_see(services, caller, request_id, attachment_id)
    key = _first_of(attachment.preview_key)
    await _log(services, caller, row, attachment, AccessKind.PREVIEW)
    return await _send(call, services, attachment, _Object(key, JPEG), _KEPT)


@router.get(
    "/{attachment_id}/thumbnail", summary="What stands for it", response_class=StreamingResponse, responses=_A_JPEG
)
async def thumbnail(
    request_id: UUID, attachment_id: UUID, call: Request, caller: CallerOf, services: ServicesOf
) -> Response:
    """The same with at most 320 pixels. It belongs to the look at the request and is not in the log of accesses by itself."""
    _, attachment = await _to_see(services, caller, request_id, attachment_id)
    key = _first_of(attachment.thumbnail_key, attachment.preview_key)
    return await _send(call, services, attachment, _Object(key, JPEG), _KEPT)


@router.get("/{attachment_id}/full", summary="A photo in full", response_class=StreamingResponse, responses=_A_JPEG)
async def full(
    request_id: UUID, attachment_id: UUID, call: Request, caller: CallerOf, services: ServicesOf
) -> Response:
    """A JPEG of the photo's full size to zoom into, upright, in sRGB; of its metadata, only when it was taken."""
    row, attachment = await _to_see(services, caller, request_id, attachment_id)
    if attachment.kind != "photo":
        raise Problem("not_found")
    key = _first_of(attachment.full_key, attachment.preview_key)
    await _log(services, caller, row, attachment, AccessKind.ATTACHMENT)
    return await _send(call, services, attachment, _Object(key, JPEG), _KEPT)


@router.get(
    "/{attachment_id}/video",
    summary="A video to play",
    response_class=StreamingResponse,
    responses={
        200: _kinds(MP4),
        206: {"description": "The part asked for", **_kinds(MP4)},
        **problems.responses(416),
    },
)
async def video(
    request_id: UUID, attachment_id: UUID, call: Request, caller: CallerOf, services: ServicesOf, range_: Range = None
) -> Response:
    """MP4 (H.264, AAC) that every browser plays and seeks in, upright, without position or device data.

    It is made after the upload: until then the code is `video_preparing`, and `video_not_playable` when it could not be made.
    """
    row, attachment = await _to_see(services, caller, request_id, attachment_id)
    if attachment.kind != "video":
        raise Problem("not_found")
    key = await _playable_key(services, attachment)
    await _log(services, caller, row, attachment, AccessKind.ATTACHMENT, range_)
    return await _send(call, services, attachment, _Object(key, MP4), _KEPT, range_)


async def prepare(services: Services, attachment: Attachment) -> None:
    """Have the playable copy of a video made, once. If the engine does not answer: again when the video is asked for."""
    try:
        await services.engine.start_workflow(
            PREPARE_VIDEO,
            VideoToPrepare(request_id=attachment.request_id, attachment_id=attachment.id),
            id=video_workflow_id(attachment.id),
            task_queue=services.settings.media_task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            rpc_timeout=timedelta(seconds=services.settings.command_timeout_seconds),
        )
    except RPCError as error:
        log.warning("a video is not prepared yet", attachment_id=str(attachment.id), error=error.status.name)


async def _to_see(
    services: Services, caller: Caller, request_id: UUID, attachment_id: UUID
) -> tuple[RequestRecord, Attachment]:
    async with services.database.session() as session:
        row = await policy.chart_to_see(session, caller, request_id)
        visible = await visible_attachments(session, row, caller)
    attachment = next((a for a in visible if a.id == attachment_id), None)
    if attachment is None:
        raise Problem("not_found")
    return row, attachment


async def _log(
    services: Services,
    caller: Caller,
    row: RequestRecord,
    attachment: Attachment,
    kind: AccessKind,
    range_: str | None = None,
) -> None:
    """Write the look down. A player asks for a video in dozens of parts, which together are one look."""
    async with services.database.session() as session:
        since = datetime.now(UTC) - _ONE_LOOK
        if range_ and await access.was_logged(session, row.id, caller.id, kind, attachment.id, since=since):
            return
        await log_access(session, caller, row, kind, attachment.id)


async def _playable_key(services: Services, attachment: Attachment) -> str:
    if attachment.playable_key is not None:
        return attachment.playable_key
    if attachment.state is MediaState.FAILED:
        raise Problem("video_not_playable")
    await prepare(services, attachment)
    raise Problem("video_preparing")


def _first_of(*keys: str | None) -> str:
    for key in keys:
        if key is not None:
            return key
    raise Problem("not_found")


@dataclass(frozen=True)
class _Object:
    """An object of the document store as it is sent."""

    key: str
    media_type: str
    filename: str = ""
    sha256: str | None = None
    """Of an original; the keys of copies name theirs."""


async def _send(
    call: Request,
    services: Services,
    attachment: Attachment,
    found: _Object,
    headers: dict[str, str],
    range_: str | None = None,
) -> Response:
    comparing = services.store.compare(found.key, found.sha256 or digest_in(found.key), again=range_ is None)
    try:
        size = await while_connected(call, comparing)
    except ContentDiffersError:
        raise await stored.fault(services, attachment.request_id, found.key, "differs") from None
    except NotFoundError:
        if await _is_removed(services, attachment):
            raise Problem("not_found") from None
        raise await stored.fault(services, attachment.request_id, found.key, "missing") from None
    start, end = _range(range_, size)
    partial = (start, end) != (0, size)
    all_headers = {
        **_SAFE,
        **headers,
        "Accept-Ranges": "bytes",
        "Content-Length": str(end - start),
        "ETag": f'"{found.key.rpartition("/")[2]}"',
    }
    if partial:
        all_headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    body = services.store.stream(found.key, start=start, end=end if partial else None)
    return StreamingResponse(body, 206 if partial else 200, all_headers, found.media_type)


async def _is_removed(services: Services, attachment: Attachment) -> bool:
    """Whether it was taken out of the form while somebody asked for it: then its files are gone by right."""
    async with services.database.session() as session:
        return await attachments.load_attachment(session, attachment.request_id, attachment.id) is None


def _range(header: str | None, size: int) -> tuple[int, int]:
    """The bytes asked for, as start and end (without the end); everything when there is no (readable) range."""
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header or "")
    if match is None or match.groups() == ("", ""):
        return 0, size
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= end:
        raise HTTPProblem("range_not_satisfiable", headers={"Content-Range": f"bytes */{size}"})
    return start, end


def _named(attachment: Attachment, suffix: str) -> str:
    """The file's name with the suffix of its copy."""
    return f"{PurePath(attachment.filename).stem or attachment.kind}{suffix}"
