"""For operators: is everything there, what failed, what could not be delivered."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from domain.model import Storable
from use_cases import health, operations
from use_cases.operations import FailureView, StuckView
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["operations"])
api_router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="Is the process alive")
async def healthz() -> dict[str, str]:
    """Answers as long as the process does."""
    return {"status": "ok"}


@router.get("/readyz", summary="Can work be done", responses={503: {"description": "Something does not answer"}})
async def readyz(services: ServicesOf) -> JSONResponse:
    """200 when database, engine and store answer, there is room on the disk, and workflows go on; 503 with what is not so.

    `warnings` tell of what does not stop the work yet, such as a virus scanner that does not answer.
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
