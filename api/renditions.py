"""Photos and videos: what is looked at and downloaded; parts of it by Range."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Response
from fastapi.responses import StreamingResponse

from media.kinds import JPEG, MP4, TAKEN_TYPES
from use_cases import renditions
from use_cases.renditions import Look
from use_cases.stored_files import StoredFile
from web.connected import AttendedBy
from web.files import content_disposition
from web.observe import CLOSED
from web.problems import HTTPProblem
from web.rates import PICTURES
from web.services import ServicesOf
from web.session import AttachmentReader

router = APIRouter(dependencies=[PICTURES])

_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": f"default-src 'none'; style-src 'unsafe-inline'; sandbox; {CLOSED}",
}
"""A file runs nothing and loads nothing. Styles are the browser's own, with which it shows a photo that is opened by itself."""
_NOT_KEPT = {"Cache-Control": "private, no-store"}
_KEPT = {"Cache-Control": "private, max-age=3600, immutable", "Vary": "Authorization, Cookie"}
"""A copy never changes under its address. It is kept for as long as somebody works on a request, and for whom it was given to."""


def _kinds(*kinds: str) -> dict[str, Any]:
    return {"content": {kind: {} for kind in kinds}}


_ANY = _kinds(*sorted(TAKEN_TYPES))
_A_JPEG: dict[int | str, Any] = {200: _kinds(JPEG)}

Range = Annotated[str | None, Header(alias="Range", description="One range of bytes, for seeking in a video.")]


async def _look(
    request_id: UUID, attachment_id: UUID, caller: AttachmentReader, services: ServicesOf, attended: AttendedBy
) -> Look:
    return Look(services, caller.also_in_emergency(), request_id, attachment_id, attended)


LookOf = Annotated[Look, Depends(_look)]


@router.get(
    "/{attachment_id}",
    summary="Download",
    response_class=StreamingResponse,
    responses={200: _ANY, 206: {"description": "The part asked for", **_ANY}},
)
async def original(look: LookOf, range_: Range = None) -> Response:
    """For who uploaded it, the very bytes; for others the clean copy, a JPEG, an MP4 or a PDF. A part of it by Range.

    While the copy of a video is not there yet, the code is `video_preparing`.
    """
    file = await renditions.original(replace(look, in_parts=range_ is not None))
    headers = {**_NOT_KEPT, "Content-Disposition": content_disposition("attachment", file.filename)}
    return await _send(file, headers, range_)


@router.get(
    "/{attachment_id}/preview", summary="What is shown of it", response_class=StreamingResponse, responses=_A_JPEG
)
async def preview(look: LookOf) -> Response:
    """A JPEG of at most 1,200 pixels, upright, without position or device data; of a video, its first frame."""
    return await _send(await renditions.preview(look), _kept(look))


@router.get(
    "/{attachment_id}/thumbnail", summary="What stands for it", response_class=StreamingResponse, responses=_A_JPEG
)
async def thumbnail(look: LookOf) -> Response:
    """The same with at most 320 pixels. It belongs to the look at the request; without one, it is in the log of accesses."""
    return await _send(await renditions.thumbnail(look), _kept(look))


@router.get("/{attachment_id}/full", summary="A photo in full", response_class=StreamingResponse, responses=_A_JPEG)
async def full(look: LookOf) -> Response:
    """A JPEG of the photo's full size to zoom into, upright, in sRGB; of its metadata, only when it was taken."""
    return await _send(await renditions.full(look), _kept(look))


@router.get(
    "/{attachment_id}/pages/{number}",
    summary="A page of a document",
    response_class=StreamingResponse,
    responses=_A_JPEG,
)
async def page(look: LookOf, number: Annotated[int, Path(ge=1, description="Counted from 1.")]) -> Response:
    """A JPEG of at most 2,000 pixels, drawn anew: nothing in it is active, and nothing else of the document goes with it."""
    return await _send(await renditions.page(look, number), _kept(look))


@router.get(
    "/{attachment_id}/video",
    summary="A video to play",
    response_class=StreamingResponse,
    responses={
        200: _kinds(MP4),
        206: {"description": "The part asked for", **_kinds(MP4)},
    },
)
async def video(look: LookOf, range_: Range = None) -> Response:
    """MP4 (H.264, AAC) that every browser plays and seeks in, upright, without position or device data.

    It is made after the upload: until then the code is `video_preparing`, and `video_not_playable` when it could not be made.
    """
    return await _send(await renditions.video(replace(look, in_parts=range_ is not None)), _kept(look), range_)


def _kept(look: Look) -> dict[str, str]:
    """Who was given the copy keeps it for a while; not beyond what was opened in an emergency."""
    return _KEPT if look.caller.opening is None else _NOT_KEPT


async def _send(file: StoredFile, headers: dict[str, str], range_: str | None = None) -> Response:
    start, end = _range(range_, file.size)
    partial = (start, end) != (0, file.size)
    all_headers = {
        **_SAFE,
        **headers,
        "Accept-Ranges": "bytes",
        "Content-Length": str(end - start),
        "ETag": f'"{file.tag}"',
    }
    if partial:
        all_headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    pieces = file.read(start, end if partial else None)
    first = await anext(pieces, b"")  # it is open: who removes it now takes nothing from this answer
    return StreamingResponse(_together(first, pieces), 206 if partial else 200, all_headers, file.media_type)


async def _together(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in others:
        yield piece


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
