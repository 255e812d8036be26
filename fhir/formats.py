"""In which format an answer is wanted, and how it is sent: with its version as a tag, and 304 for who has it."""

import asyncio
import json
from datetime import UTC
from email.utils import format_datetime
from http import HTTPStatus

from fastapi import Request
from fastapi.responses import Response

from fhir.elements import Resource
from fhir.outcomes import OTHER_FORMAT, NotTaken
from use_cases import verification
from use_cases.problems import Problem
from web import tags

FHIR_JSON = "application/fhir+json"
_JSON = "application/json"
_NAMED = {"json": FHIR_JSON, FHIR_JSON: FHIR_JSON, _JSON: _JSON}
_ANY = ("*/*", "application/*")


def format_wanted(request: Request) -> str:
    """The content type to answer with: by `_format`, else by Accept. Raises NotTaken for what is not written here."""
    named = request.query_params.get("_format")
    accepted = _accepted(request.headers.get("accept", ""))
    kind = accepted if named is None else _NAMED.get(named.replace(" ", "+"))  # a plus in an address is a space
    if kind is None:
        raise NotTaken(OTHER_FORMAT, status=HTTPStatus.NOT_ACCEPTABLE, code="not-supported")
    return kind


def _accepted(header: str) -> str | None:
    kinds = [part.partition(";")[0].strip().lower() for part in header.split(",") if part.strip()]
    if not kinds or FHIR_JSON in kinds or any(kind in kinds for kind in _ANY):
        return FHIR_JSON
    return _JSON if _JSON in kinds else None


def wants_file(request: Request) -> bool:
    """Whether the bytes of a file are wanted and not the resource that holds them: unless FHIR's format is named."""
    if "_format" in request.query_params:
        return False
    kinds = request.headers.get("accept", "").lower()
    return FHIR_JSON not in kinds and _JSON not in kinds


def answer_with(request: Request, resource: Resource, kind: str) -> Response:
    """The resource; 304 where who asks has it in this version."""
    headers = {}
    meta = resource.meta
    if meta is not None and meta.version_id is not None:
        headers["ETag"] = tag = f'W/"{meta.version_id}"'
        if meta.last_updated is not None:
            headers["Last-Modified"] = format_datetime(meta.last_updated.astimezone(UTC), usegmt=True)
        if is_known(request, tag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(written(resource), HTTPStatus.OK, headers, f"{kind}; charset=utf-8")


def is_known(request: Request, tag: str) -> bool:
    """Whether who asks has this version."""
    return tags.is_known(request.headers.get("if-none-match", ""), tag)


async def received(request: Request) -> bytes:
    """The whole body. Raises Problem `too_slow`: nobody may hold a place by sending slowly."""
    try:
        async with asyncio.timeout(verification.RECEIVED_WITHIN.total_seconds()):
            return await request.body()
    except TimeoutError:
        raise Problem("too_slow") from None


def written(resource: Resource) -> bytes:
    """A resource as it is sent."""
    return json.dumps(resource.as_json(), ensure_ascii=False, separators=(",", ":")).encode()
