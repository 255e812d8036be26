"""Resumable uploads: photos and videos in parts, by the protocol tus 1.0 (https://tus.io/protocols/resumable-upload).

Core, creation, termination and expiration. A file is announced (POST) and comes in parts (PATCH); after a lost connection it
goes on from where it is (HEAD), for what arrived counts, whatever became of the call. With the last byte it becomes an
attachment with the upload's id, as a file that comes whole does (`use_cases.uploads`), and the answer tells it in a header.
"""

import asyncio
import base64
import binascii
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import UTC
from email.utils import format_datetime
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.routing import APIRoute
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect

from api import problems
from api.parameters import IdempotencyKey
from domain.model import storable
from records.models import Upload
from use_cases import sweep, uploads
from use_cases.attachments import AttachmentView
from use_cases.problems import FieldFault, Problem
from use_cases.uploads import Announced, Progress
from web.connected import AttendedBy
from web.problems import HTTPProblem
from web.rates import UPLOADS
from web.services import ServicesOf
from web.session import DraftWriter

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,expiration"
PATIENCE_SECONDS = 30.0
"""After this long without a byte a connection counts as lost."""
SWEPT_AT_ONCE = 10
"""Expired uploads that are removed with each new one."""

ATTACHMENT_HEADER = "Relais-Attachment"

log = structlog.get_logger(__name__)


class _TusRoute(APIRoute):
    """A route whose answers, also the refusals, say which protocol this is."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        plain = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                response: Response = await plain(request)
            except problems.ANSWERED as error:
                response = await problems.answer_to(request, error)
                await _drain(request)
            response.headers["Tus-Resumable"] = VERSION
            return response

        return handler


async def _version(
    request: Request,
    tus_resumable: Annotated[
        str | None,
        Header(
            alias="Tus-Resumable",
            description="The protocol's version.",
            json_schema_extra={"type": "string", "enum": [VERSION]},
        ),
    ] = None,
) -> None:
    if tus_resumable != VERSION and request.method != "OPTIONS":
        raise HTTPProblem("unsupported_tus_version", headers={"Tus-Version": VERSION})


router = APIRouter(
    prefix="/requests/{request_id}/uploads",
    tags=["uploads"],
    route_class=_TusRoute,
    dependencies=[Depends(_version)],
    default_response_class=Response,
)

_HEADER: Mapping[str, Any] = {"schema": {"type": "string"}}
_PROGRESS = {
    "Upload-Offset": {"description": "Bytes that have come.", "schema": {"type": "string"}},
    "Upload-Expires": {"description": "Until when the next bytes are waited for.", "schema": {"type": "string"}},
    ATTACHMENT_HEADER: {
        "description": "The attachment as JSON (AttachmentView), when the file is whole.",
        "schema": {"type": "string"},
    },
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/offset+octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.options(
    "", status_code=204, summary="What is spoken here", responses={204: {"headers": {"Tus-Max-Size": _HEADER}}}
)
async def upload_options(request_id: UUID, caller: DraftWriter, services: ServicesOf) -> Response:  # noqa: ARG001
    """The version and extensions of tus, and the largest file."""
    headers = {"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS, "Tus-Max-Size": str(uploads.largest(services))}
    return Response(status_code=204, headers=headers)


@router.post(
    "",
    dependencies=[UPLOADS],
    status_code=201,
    summary="Announce a file that comes in parts",
    responses={
        201: {"headers": {"Location": {"description": "Where its parts go.", **_HEADER}, "Upload-Expires": _HEADER}},
    },
)
async def begin_upload(
    request_id: UUID,
    request: Request,
    caller: DraftWriter,
    services: ServicesOf,
    key: IdempotencyKey,
    length: Annotated[int, Header(alias="Upload-Length", ge=0, description="Its size in bytes.", examples=[5_242_880])],
    metadata: Annotated[
        str,
        Header(
            alias="Upload-Metadata",
            max_length=4_000,
            description="Pairs of a name and its value in Base64: `filename`, `slot` (for what the offering asks).",
            examples=["filename cGhvdG8uanBn,slot cGhvdG9z"],
        ),
    ] = "",
) -> Response:
    """Under the same conditions as an upload in one piece. What the file is, is found when it is whole."""
    described = _described(metadata)
    file = Announced(length, described.get("filename", ""), described.get("slot", ""), metadata)
    upload = await uploads.begin(services, caller, request_id, file, key)
    headers = {"Location": f"{request.url.path}/{upload.id}", "Upload-Expires": _expires(upload)}
    return Response(
        status_code=201, headers=headers, background=BackgroundTask(sweep.expire_uploads, services, SWEPT_AT_ONCE)
    )


@router.head(
    "/{upload_id}",
    summary="How much has come",
    responses={200: {"headers": {**_PROGRESS, "Upload-Length": _HEADER, "Upload-Metadata": _HEADER}}},
)
async def upload_progress(
    request_id: UUID, upload_id: UUID, caller: DraftWriter, services: ServicesOf, attended: AttendedBy
) -> Response:
    """For who began it, from where to go on after a lost connection."""
    own = await uploads.find(services, caller, request_id, upload_id)
    headers = {"Upload-Length": str(own.upload.length), "Cache-Control": "no-store"}
    if own.upload.description:
        headers["Upload-Metadata"] = own.upload.description
    progress = await uploads.progress(services, caller, own, attended)
    return Response(status_code=200, headers={**headers, **_headers(progress)})


@router.patch(
    "/{upload_id}",
    dependencies=[UPLOADS],
    status_code=204,
    summary="Send the next part",
    openapi_extra=_BODY,
    responses={204: {"headers": _PROGRESS}},
)
async def continue_upload(
    request_id: UUID,
    upload_id: UUID,
    request: Request,
    caller: DraftWriter,
    services: ServicesOf,
    attended: AttendedBy,
    offset: Annotated[int, Header(alias="Upload-Offset", ge=0, description="Where the part begins.", examples=[0])],
) -> Response:
    """From the offset that HEAD tells; 409 from any other. Up to 64 MiB at once.

    Bytes that arrive count, even if the call breaks off.
    """
    own = await uploads.find(services, caller, request_id, upload_id)
    if request.headers.get("content-type") != "application/offset+octet-stream":
        raise Problem("not_a_part_of_a_file")
    if offset != own.upload.offset:
        raise HTTPProblem("offset_mismatch", headers={"Upload-Offset": str(own.upload.offset)})
    progress = await uploads.go_on(services, caller, own, _body(request), attended)
    return Response(status_code=204, headers=_headers(progress))


@router.delete("/{upload_id}", status_code=204, summary="Give an upload up")
async def end_upload(request_id: UUID, upload_id: UUID, caller: DraftWriter, services: ServicesOf) -> Response:
    """What came of it is removed. An attachment that it has become stays; remove that by its own address."""
    await uploads.end(services, caller, request_id, upload_id)
    return Response(status_code=204)


async def _body(request: Request) -> AsyncIterator[bytes]:
    """What arrives of the body, until it ends, breaks off, or falls silent."""
    stream = request.stream()
    try:
        while True:
            async with asyncio.timeout(PATIENCE_SECONDS):
                chunk = await anext(stream, None)
            if chunk is None:
                return
            yield chunk
    except (ClientDisconnect, TimeoutError):
        log.info("upload interrupted")


async def _drain(request: Request) -> None:
    """Read what comes of a body that is refused: browsers listen only when they have sent everything."""
    with suppress(RuntimeError):  # there is nothing more
        async for _ in _body(request):
            pass


def _headers(progress: Progress) -> dict[str, str]:
    upload = progress.upload
    headers = {"Upload-Offset": str(upload.offset), "Upload-Expires": _expires(upload)}
    if progress.attachment is not None:
        headers[ATTACHMENT_HEADER] = _ascii_json(progress.attachment)
    return headers


def _described(metadata: str) -> dict[str, str]:
    """What the client says of the file. Raises Problem `invalid_input`."""
    described: dict[str, str] = {}
    try:
        for pair in metadata.split(",") if metadata.strip() else []:
            name, _, value = pair.strip().partition(" ")
            if not re.fullmatch(r"[\x21-\x7e]+", name) or name in described:
                raise ValueError
            described[name] = storable(base64.b64decode(value.strip(), validate=True).decode())
    except (ValueError, binascii.Error):
        raise Problem("invalid_input", [FieldFault("Upload-Metadata", "not_readable")]) from None
    return described


def _expires(upload: Upload) -> str:
    return format_datetime(upload.expires_at.astimezone(UTC), usegmt=True)


def _ascii_json(view: AttachmentView) -> str:
    return json.dumps(view.model_dump(mode="json"))
