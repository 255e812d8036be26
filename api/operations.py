"""For operators: is everything there, what failed, what could not be delivered; and the codec for the Temporal UI."""

import base64

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field
from temporalio.api.common.v1 import Payload

from domain.model import Discreet, Storable
from engine.client import key_ring
from engine.encryption import EncryptionCodec
from key_ring import EncryptionError
from use_cases import health, operations
from use_cases.operations import FailureView, StuckView
from use_cases.problems import FieldFault, Problem
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["operations"])
api_router = APIRouter(tags=["operations"])


class CodecPayload(Discreet):
    """A payload as the Temporal UI sends it: bytes in base64."""

    metadata: dict[str, str] = Field(default_factory=dict)
    data: str = ""


class CodecBody(Discreet):
    """Payloads to decode, and the same decoded."""

    payloads: list[CodecPayload] = Field(max_length=1_000)


@router.get("/healthz", summary="Is the process alive")
async def healthz() -> dict[str, str]:
    """Answers as long as the process does."""
    return {"status": "ok"}


@router.get("/readyz", summary="Can work be done", responses={503: {"description": "Something does not answer"}})
async def readyz(services: ServicesOf) -> JSONResponse:
    """200 when database, engine and store answer, there is room on the disk, and workflows go on; 503 with what is not so.

    `warnings` tell of what does not stop the work yet.
    """
    found = await health.look(services)
    told: dict[str, object] = {
        "status": "ready" if found.is_ready else "not ready",
        "parts": {name: reason is None for name, reason in found.parts.items()},
    }
    if not found.is_ready:
        told["reasons"] = {name: reason for name, reason in found.parts.items() if reason}
    if found.warnings:
        told["warnings"] = found.warnings
    return JSONResponse(told, 200 if found.is_ready else 503)


@api_router.get("/failures", summary="What failed for good")
async def list_failures(caller: CallerOf, services: ServicesOf) -> list[FailureView]:
    """For operators: effects that need a person."""
    return await operations.list_failures(services, caller)


@api_router.post("/failures/{effect_id}/resolve", status_code=204, summary="Take a failure off the list")
async def resolve_failure(effect_id: Storable, caller: CallerOf, services: ServicesOf) -> None:
    """For operators, when they have seen to it."""
    await operations.resolve_failure(services, caller, effect_id)


@api_router.get("/stuck-requests", summary="Requests whose workflow can't go on")
async def list_stuck_requests(caller: CallerOf, services: ServicesOf) -> list[StuckView]:
    """For operators: their workflow task fails again and again, so no deadline is called and no command acts."""
    return await operations.list_stuck_requests(services, caller)


@router.post("/codec/decode", include_in_schema=False)
async def decode(body: CodecBody, services: ServicesOf, request: Request) -> CodecBody:
    """Temporal's codec protocol, by which the Temporal UI of the embedded mode shows summaries in clear. Only on loopback."""
    if not services.settings.embedded or not _is_local(request):
        raise Problem("not_found")
    codec = EncryptionCodec(key_ring(services.settings))
    try:
        decoded = await codec.decode([_payload(payload) for payload in body.payloads])
    except (EncryptionError, ValueError):
        raise Problem("invalid_input", [FieldFault("payloads", "not_readable")]) from None
    return CodecBody(payloads=[_coded(payload) for payload in decoded])


def _payload(coded: CodecPayload) -> Payload:
    metadata = {name: base64.b64decode(value) for name, value in coded.metadata.items()}
    return Payload(metadata=metadata, data=base64.b64decode(coded.data))


def _coded(payload: Payload) -> CodecPayload:
    metadata = {name: base64.b64encode(value).decode() for name, value in payload.metadata.items()}
    return CodecPayload(metadata=metadata, data=base64.b64encode(payload.data).decode())


def _is_local(request: Request) -> bool:
    return request.client is not None and request.client.host in ("127.0.0.1", "::1")
