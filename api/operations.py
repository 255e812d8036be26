"""For operators: is everything there, what failed, what could not be delivered; and the codec for the Temporal UI."""

import base64
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field
from temporalio.api.common.v1 import Payload
from temporalio.service import RPCError

from api import health, mail
from domain.model import Storable
from domain.requests import Role
from engine.client import key_ring
from engine.encryption import EncryptionCodec, EncryptionError
from engine.running import list_stuck
from records import failures
from use_cases import policy
from use_cases.problems import FieldFault, Problem
from use_cases.views import View
from web.services import ServicesOf
from web.session import CallerOf
from workflows.contract import TELECONSULTATION, request_of

LONGEST_LIST = 500

router = APIRouter(tags=["operations"])
api_router = APIRouter(tags=["operations"])


class FailureView(View):
    """An effect that failed for good."""

    effect_id: str
    request_id: UUID
    kind: str
    code: str
    at: datetime


class StuckView(View):
    """A request whose workflow can't go on."""

    request_id: UUID
    workflow_id: str
    problem: str = Field(examples=["WorkflowTaskFailedCauseNonDeterministicError"])


class CodecPayload(BaseModel):
    """A payload as the Temporal UI sends it: bytes in base64."""

    metadata: dict[str, str] = {}
    data: str = ""


class CodecBody(BaseModel):
    """Payloads to decode."""

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
    told: dict[str, Any] = {
        "status": "ready" if found.is_ready else "not ready",
        "parts": {name: reason is None for name, reason in found.parts.items()},
    }
    if not found.is_ready:
        told["reasons"] = {name: reason for name, reason in found.parts.items() if reason}
    if found.warnings:
        told["warnings"] = found.warnings
    return JSONResponse(told, 200 if found.is_ready else 503)


@router.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
async def metrics(services: ServicesOf) -> Response:
    """Counters and durations of this process, what /readyz finds, and how mail stands. Keep it from the outside at the proxy."""
    await health.look(services)
    await mail.measure(services)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@api_router.get("/failures", summary="What failed for good")
async def list_failures(caller: CallerOf, services: ServicesOf) -> list[FailureView]:
    """For operators: effects that need a person."""
    policy.must_have_role(caller, Role.OPERATOR)
    async with services.database.session() as session:
        return [
            FailureView(effect_id=f.effect_id, request_id=f.request_id, kind=f.kind, code=f.code, at=f.at)
            for f in await failures.list_failures(session)
        ]


@api_router.post("/failures/{effect_id}/resolve", status_code=204, summary="Take a failure off the list")
async def resolve_failure(effect_id: Storable, caller: CallerOf, services: ServicesOf) -> None:
    """For operators, when they have seen to it."""
    policy.must_have_role(caller, Role.OPERATOR)
    async with services.database.session() as session:
        if not await failures.resolve_failure(session, effect_id, now=datetime.now(UTC), account_id=caller.id):
            raise Problem("not_found")


@api_router.get("/stuck-requests", summary="Requests whose workflow can't go on")
async def list_stuck_requests(caller: CallerOf, services: ServicesOf) -> list[StuckView]:
    """For operators: their workflow task fails again and again, so no deadline is called and no command acts."""
    policy.must_have_role(caller, Role.OPERATOR)
    try:
        found = await list_stuck(services.engine, TELECONSULTATION, LONGEST_LIST)
    except RPCError as error:
        raise Problem("engine_unreachable") from error
    return [
        StuckView(request_id=request_id, workflow_id=stuck.workflow_id, problem=stuck.problem)
        for stuck in found
        if (request_id := request_of(stuck.workflow_id)) is not None
    ]


@router.post("/codec/decode", include_in_schema=False)
async def decode(body: CodecBody, services: ServicesOf, request: Request) -> dict[str, Any]:
    """Temporal's codec protocol, by which the Temporal UI of the embedded mode shows summaries in clear. Only on loopback."""
    if not services.settings.embedded or not _is_local(request):
        raise Problem("not_found")
    codec = EncryptionCodec(key_ring(services.settings))
    try:
        decoded = await codec.decode([_payload(payload) for payload in body.payloads])
    except (EncryptionError, ValueError):
        raise Problem("invalid_input", [FieldFault("payloads", "not_decodable")]) from None
    return {"payloads": [_coded(payload) for payload in decoded]}


def _payload(coded: CodecPayload) -> Payload:
    metadata = {name: base64.b64decode(value) for name, value in coded.metadata.items()}
    return Payload(metadata=metadata, data=base64.b64decode(coded.data))


def _coded(payload: Payload) -> dict[str, Any]:
    return {
        "metadata": {name: base64.b64encode(value).decode() for name, value in payload.metadata.items()},
        "data": base64.b64encode(payload.data).decode(),
    }


def _is_local(request: Request) -> bool:
    return request.client is not None and request.client.host in ("127.0.0.1", "::1")
