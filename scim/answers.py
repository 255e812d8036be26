"""How the service answers: resources and errors as SCIM writes them (RFC 7644, 3.12), whatever went wrong."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from pydantic import ValidationError
from scim2_models import Error, SCIMException
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from records.errors import StoreError
from records.trouble import DATABASE_ERRORS
from use_cases.directory_groups import NotTaken
from use_cases.problems import MOST_ERRORS, Problem, passing_problem
from web.problems import headers_of, status_of

log = structlog.get_logger(__name__)

_TYPES: Mapping[str, tuple[int, str | None]] = {
    "username_taken": (409, "uniqueness"),
    "external_id_taken": (409, "uniqueness"),
    "account_changed": (412, None),
    "invalid_input": (400, "invalidValue"),
    "operators_only": (403, None),
}
"""Status and `scimType` of what SCIM tells apart; the others have the status that they have everywhere."""


class ScimResponse(JSONResponse):
    """An answer of the service."""

    media_type = "application/scim+json"


def _error(status: int, detail: str, kind: str | None = None, headers: Mapping[str, str] | None = None) -> ScimResponse:
    error: dict[str, Any] = Error(status=status, scim_type=kind, detail=detail).model_dump()
    return ScimResponse(error, status, dict(headers or {}))


def _type_of(problem: Problem) -> tuple[int, str | None]:
    return _TYPES.get(problem.code, (status_of(problem), None))


async def _problem(_request: Request, problem: Problem) -> ScimResponse:
    status, kind = _type_of(problem)
    told = [problem.told("en"), *(f"{fault.field}: {fault.told('en')}" for fault in problem.errors[:MOST_ERRORS])]
    return _error(status, " ".join(told), kind, headers_of(problem))


async def _not_taken(_request: Request, found: NotTaken) -> ScimResponse:
    """Who could not join or leave a group, each with why; the status is that of the first."""
    status, kind = _type_of(found.refused[0][1])
    told = [f"{username}: {why.told('en')}" for username, why in found.refused[:MOST_ERRORS]]
    return _error(status, " ".join(["Nothing was changed.", *told]), kind)


async def _scim(_request: Request, error: SCIMException) -> ScimResponse:
    return _error(error.status, error.detail, error.scim_type or None)


async def _invalid(_request: Request, error: ValidationError) -> ScimResponse:
    """What was sent is not of the schema. The value is not repeated."""
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    context = first.get("ctx", {})
    kind = context.get("scim_type") or "invalidValue"
    return _error(int(context.get("status", 400)), f"{place}: {first['msg']}" if place else first["msg"], kind)


async def _http(_request: Request, error: HTTPException) -> ScimResponse:
    return _error(error.status_code, error.detail, headers=error.headers)


async def _not_now(request: Request, error: Exception) -> ScimResponse:
    """The database may be away for a while; everything else is our fault."""
    problem = passing_problem(error)
    if problem is not None:
        log.warning("not possible now", code=problem.code, error=type(error).__name__)
        return await _problem(request, problem)
    log.error("unexpected error", path=request.url.path.rpartition("/")[0], exc_info=error)
    return await _problem(request, Problem("internal_error"))


_HANDLERS: Mapping[type[Exception], Callable[[Request, Any], Awaitable[ScimResponse]]] = {
    Problem: _problem,
    NotTaken: _not_taken,
    SCIMException: _scim,
    ValidationError: _invalid,
    HTTPException: _http,
    **dict.fromkeys((*DATABASE_ERRORS, StoreError, OSError, Exception), _not_now),
}


def install(app: FastAPI) -> None:
    """Answer whatever goes wrong as SCIM does."""
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
