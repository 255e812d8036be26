"""Resumable uploads: photos and videos in parts, by the protocol tus 1.0 (https://tus.io/protocols/resumable-upload).

Core, creation, termination and expiration. A file is announced (POST) and comes in parts (PATCH); after a lost connection it
goes on from where it is (HEAD), for what arrived counts, whatever became of the call. With the last byte it becomes an
attachment with the upload's id, as a file that comes whole does (`api.attachments`), and the answer tells it in a header.
"""

import asyncio
import base64
import binascii
import json
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Annotated, Any, BinaryIO
from uuid import UUID, uuid5

import structlog
from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.routing import APIRoute
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect

from api import problems
from api.attachments import examined, keep_examined
from api.parameters import IdempotencyKey
from api.problems import language_of, problem_response
from domain.model import storable
from domain.offerings import ServiceOffering
from media.kinds import Media
from records import attachments, uploads
from records.errors import ContentConflictError, NotEditableError, NotFoundError, StaleVersionError, TooLargeError
from records.ids import new_id
from records.models import RequestRecord, Upload
from use_cases import policy, sweep
from use_cases.attachments import AttachmentView, attachment_view
from use_cases.caller import Caller
from use_cases.problems import FieldFault, Problem
from use_cases.services import Services
from web.connected import while_connected
from web.problems import HTTPProblem, status_of
from web.services import ServicesOf
from web.session import CallerOf

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,expiration"
PART_BYTES = 4 * 1024**2
"""What is held in memory of an upload, and lost at most when a process dies."""
PATIENCE_SECONDS = 30.0
"""After this long without a byte a connection counts as lost."""
SWEPT_AT_ONCE = 10
"""Expired uploads that are removed with each new one."""

_MAY_PASS = ("submission_under_way", "answer_under_way")
"""What is on its way may be refused: then the form, or the question, is open again, and what was sent can be kept."""

ATTACHMENT_HEADER = "Relais-Attachment"

log = structlog.get_logger(__name__)


class _TusRoute(APIRoute):
    """A route whose answers, also the refusals, say which protocol this is."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        plain = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                response: Response = await plain(request)
            except Problem as problem:
                response = problem_response(problem, language_of(request))
                await _drain(request)
            response.headers["Tus-Resumable"] = VERSION
            return response

        return handler


def _version(
    request: Request,
    tus_resumable: Annotated[
        str | None,
        Header(
            alias="Tus-Resumable",
            description="The protocol's version.",
            json_schema_extra={"type": "string", "const": VERSION},
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
async def upload_options(request_id: UUID, caller: CallerOf, services: ServicesOf) -> Response:  # noqa: ARG001
    """The version and extensions of tus, and the largest file."""
    headers = {"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS, "Tus-Max-Size": str(_largest(services))}
    return Response(status_code=204, headers=headers)


@router.post(
    "",
    status_code=201,
    summary="Announce a file that comes in parts",
    responses={
        201: {"headers": {"Location": {"description": "Where its parts go.", **_HEADER}, "Upload-Expires": _HEADER}},
        **problems.responses(415),
    },
)
async def begin_upload(
    request_id: UUID,
    request: Request,
    caller: CallerOf,
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
    now = datetime.now(UTC)
    async with services.database.session() as session:
        row = await policy.request_to_add_to(session, caller, request_id)
        offering = await services.versions.of(session, row)
    described = _described(metadata)
    slot = described.get("slot", "")
    _check_slot(offering, slot)
    if length == 0:
        raise Problem("unsupported_media")
    if length > _largest(services):
        raise Problem("too_large", limit_bytes=_largest(services))
    async with services.database.session() as session:
        try:
            upload = await uploads.begin_upload(
                session,
                upload_id=uuid5(request_id, f"upload:{caller.id}:{key}") if key else new_id(),
                request_id=request_id,
                account_id=caller.id,
                length=length,
                description=metadata,
                slot=slot,
                filename=described.get("filename", ""),
                now=now,
            )
        except ContentConflictError:
            raise Problem("idempotency_key_reused") from None
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
    request_id: UUID, upload_id: UUID, request: Request, caller: CallerOf, services: ServicesOf
) -> Response:
    """For who began it, from where to go on after a lost connection."""
    row, upload = await _own_upload(services, caller, request_id, upload_id)
    headers = {"Upload-Length": str(upload.length), "Cache-Control": "no-store"}
    if upload.description:
        headers["Upload-Metadata"] = upload.description
    return Response(status_code=200, headers={**headers, **await _progress(services, caller, row, upload, request)})


@router.patch(
    "/{upload_id}",
    status_code=204,
    summary="Send the next part",
    openapi_extra=_BODY,
    responses={204: {"headers": _PROGRESS}, **problems.responses(415)},
)
async def continue_upload(
    request_id: UUID,
    upload_id: UUID,
    request: Request,
    caller: CallerOf,
    services: ServicesOf,
    offset: Annotated[int, Header(alias="Upload-Offset", ge=0, description="Where the part begins.", examples=[0])],
) -> Response:
    """From the offset that HEAD tells; 409 from any other. Up to 64 MiB at once.

    Bytes that arrive count, even if the call breaks off.
    """
    row, upload = await _own_upload(services, caller, request_id, upload_id)
    if request.headers.get("content-type") != "application/offset+octet-stream":
        raise Problem("not_a_part_of_a_file")
    if offset != upload.offset:
        raise HTTPProblem("offset_mismatch", headers={"Upload-Offset": str(upload.offset)})
    if upload.offset < upload.length:
        async with services.database.session() as session:
            await policy.request_to_add_to(session, caller, request_id)
        upload = await _receive(services, upload, request)
    return Response(status_code=204, headers=await _progress(services, caller, row, upload, request))


@router.delete("/{upload_id}", status_code=204, summary="Give an upload up")
async def end_upload(request_id: UUID, upload_id: UUID, caller: CallerOf, services: ServicesOf) -> Response:
    """What came of it is removed. An attachment that it has become stays; remove that by its own address."""
    _, upload = await _own_upload(services, caller, request_id, upload_id)
    await sweep.end_upload(services, upload.id)
    return Response(status_code=204)


async def _own_upload(
    services: Services, caller: Caller, request_id: UUID, upload_id: UUID
) -> tuple[RequestRecord, Upload]:
    async with services.database.session() as session:
        try:
            upload = await uploads.load_upload(
                session, upload_id, request_id=request_id, account_id=caller.id, now=datetime.now(UTC)
            )
            row, _ = await policy.request_to_see(session, caller, request_id)
        except NotFoundError:
            raise Problem("not_found") from None
        return row, upload


# Receiving


async def _receive(services: Services, upload: Upload, request: Request) -> Upload:
    """Store the body as the upload's next parts, and count each; the upload as it is then."""
    part = bytearray()
    async for chunk in _body(request):
        part += chunk
        if upload.offset + len(part) > upload.length:
            raise Problem("too_large", limit_bytes=upload.length)
        if len(part) >= PART_BYTES:
            upload = await _add_part(services, upload, bytes(part))
            part.clear()
    return await _add_part(services, upload, bytes(part)) if part else upload


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


async def _add_part(services: Services, upload: Upload, content: bytes) -> Upload:
    key = uploads.new_part_key(upload)
    await services.store.put_new(key, content)
    try:
        async with services.database.session() as session:
            return await uploads.add_part(session, upload, key, len(content), datetime.now(UTC))
    except (StaleVersionError, TooLargeError) as error:
        await services.store.delete([key])
        raise Problem("offset_mismatch" if isinstance(error, StaleVersionError) else "too_large") from None


# Becoming an attachment


async def _progress(
    services: Services, caller: Caller, row: RequestRecord, upload: Upload, call: Request
) -> dict[str, str]:
    """The headers that say how far the upload is. One that is whole becomes an attachment here, unless it is one already."""
    headers = {"Upload-Offset": str(upload.offset), "Upload-Expires": _expires(upload)}
    if upload.offset == upload.length:
        view = await _kept_before(services, upload) or await _keep(services, caller, row, upload, call)
        headers[ATTACHMENT_HEADER] = _ascii_json(view)
    return headers


async def _kept_before(services: Services, upload: Upload) -> AttachmentView | None:
    async with services.database.session() as session:
        there = await attachments.load_attachment(session, upload.request_id, upload.id)
    return None if there is None or there.removed_at is not None else attachment_view(there)


async def _keep(
    services: Services, caller: Caller, row: RequestRecord, upload: Upload, call: Request
) -> AttachmentView:
    """Make an attachment of an upload that is whole. The same one twice at once is the same attachment."""
    with await asyncio.to_thread(tempfile.TemporaryFile) as file:
        try:
            found = await while_connected(call, _examined(services, caller, upload, file))
            view = await keep_examined(services, caller, row, upload.id, file, found, upload.filename, upload.slot)
        except NotFoundError:  # it was kept meanwhile, or given up; or removed since, alone or with the draft
            if there := await _kept_before(services, upload):
                return there
            raise Problem("not_found") from None
        except Problem as problem:
            if (
                status_of(problem) < 500
                and problem.code not in _MAY_PASS
                and status_of(problem) != HTTPStatus.TOO_MANY_REQUESTS
            ):
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
        return await examined(services, file)


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


# Headers


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


def _check_slot(offering: ServiceOffering, slot: str) -> None:
    """Whether the offering asks for such a thing; if the file fits there, is seen when it is whole."""
    slots = [s.name for s in offering.attachments]
    if slot and slot not in slots:
        raise Problem("unknown_slot", slots=slots)


def _largest(services: Services) -> int:
    return max(services.settings.max_photo_bytes, services.settings.max_video_bytes)


def _expires(upload: Upload) -> str:
    return format_datetime(upload.expires_at.astimezone(UTC), usegmt=True)


def _ascii_json(view: AttachmentView) -> str:
    return json.dumps(view.model_dump(mode="json"))
