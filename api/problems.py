"""Errors as the API gives them: application/problem+json (RFC 9457) with a stable `code` and a sentence for people."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from domain.model import Discreet
from domain.refusals import Refusal
from domain.rules import UnknownRulesError
from records.errors import NotFoundError, StoreError
from records.trouble import DATABASE_ERRORS
from translations import Language, language_accepted
from translations.problems import problem_sentence
from use_cases.problems import MOST_ERRORS, FieldFault, Problem, input_fault, passing_problem
from web.observe import HEADERS, PASSING_PROBLEMS
from web.problems import HTTPProblem, headers_of, status_of

MEDIA_TYPE = "application/problem+json"


class FieldError(Discreet):
    """What is wrong with one field."""

    field: str = Field(examples=["patient.birth_date"])
    code: str = Field(examples=["required"])
    message: str = Field("", examples=["Ce champ est requis."])


class ProblemDetails(Discreet):
    """An error: RFC 9457, with a stable `code` for programs and a `detail` for people."""

    type: str = "about:blank"
    title: str = Field(examples=["Conflict"])
    status: int = Field(examples=[409])
    code: str = Field(examples=["already_accepted"])
    detail: str = Field(examples=["Quelqu’un d’autre a déjà accepté cette demande."])
    errors: list[FieldError] | None = Field(None, description="What is wrong, field by field, where there are fields.")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Those errors, for the API's description (`api.docs` adds the schema to it).

    Not as FastAPI's `model`: that builds a validator for each error of each route, which took a sixth of the API's start.
    """
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


RESPONSES = responses(401, 403, 404, 409, 412, 413, 422, 503)
"""The errors that any route can give."""

log = structlog.get_logger(__name__)


def language_of(request: Request) -> Language:
    """The language that the caller reads: the first of ours in Accept-Language, else their account's, else French."""
    spoken: Language = getattr(request.state, "language", "fr")
    return language_accepted(request.headers.get("accept-language", "")) or spoken


def field_errors(faults: Iterable[FieldFault], language: Language) -> list[FieldError]:
    """What is wrong, field by field, in the reader's language."""
    return [FieldError(field=fault.field, code=fault.code, message=fault.told(language)) for fault in faults]


async def _problem(request: Request, error: Problem | Refusal) -> Response:
    return problem_response(error, language_of(request))


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    found = error.errors()[:MOST_ERRORS]
    if any(one["type"] == "json_invalid" for one in found):
        return await _problem(request, Problem("malformed_json"))
    return await _problem(request, Problem("invalid_input", [input_fault(one, one["loc"][1:]) for one in found]))


_CODES = {404: "not_found", 405: "method_not_allowed", 401: "not_authenticated", 403: "forbidden", 413: "too_large"}


async def _http(request: Request, error: HTTPException) -> Response:
    code = _CODES.get(error.status_code, "invalid_input" if error.status_code < 500 else "internal_error")
    return await _problem(request, HTTPProblem(code, headers=error.headers))


async def not_now(request: Request, error: Exception) -> Response:
    """The database, the store or a disk: whether it is a matter of time, or something wrong with us."""
    problem = passing_problem(error)
    if problem is None:
        return await _unexpected(request, error)
    log.warning("not possible now", code=problem.code, error=type(getattr(error, "orig", None) or error).__name__)
    PASSING_PROBLEMS.labels(problem.code).inc()
    return await _problem(request, problem)


async def _newer_rules(request: Request, error: UnknownRulesError) -> Response:
    log.error("a request of a newer Relais", version=error.version)
    return await _problem(request, Problem("newer_rules"))


async def _removed_meanwhile(request: Request, _error: NotFoundError) -> Response:
    return await _problem(request, Problem("not_found"))


async def _gone(_request: Request, _error: ClientDisconnect) -> Response:
    return Response(status_code=400)  # nobody is there to read it, and nothing went wrong on our side


async def _unexpected(request: Request, error: Exception) -> Response:
    path = request.scope["route"].path if "route" in request.scope else ""
    log.error("unexpected error", path=path, exc_info=error)
    return await _problem(request, Problem("internal_error"))


_HANDLERS: Mapping[type[Exception], Callable[[Request, Any], Awaitable[Response]]] = {
    Problem: _problem,
    Refusal: _problem,
    RequestValidationError: _invalid,
    HTTPException: _http,
    **dict.fromkeys((*DATABASE_ERRORS, StoreError), not_now),
    OSError: not_now,  # nobody listens, no socket, no answer in time, no room
    UnknownRulesError: _newer_rules,
    NotFoundError: _removed_meanwhile,
    ClientDisconnect: _gone,
    Exception: _unexpected,
}


ANSWERED = tuple(kind for kind in _HANDLERS if kind is not Exception)
"""The errors that have an answer of their own; any other is a fault of ours."""


async def answer_to(request: Request, error: Exception) -> Response:
    """The answer to one of `ANSWERED`, for a route that adds something to it."""
    handler = next(_HANDLERS[kind] for kind in type(error).__mro__ if kind in _HANDLERS)
    return await handler(request, error)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)


def problem_response(error: Problem | Refusal, language: Language) -> JSONResponse:
    """The answer to what can't be done, in the reader's language."""
    status = status_of(error)
    told = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": error.code,
        "detail": error.told(language) if isinstance(error, Problem) else problem_sentence(error.code, language),
    }
    headers = {**HEADERS, **headers_of(error)}  # the answer to an unexpected error passes no middleware
    if status == HTTPStatus.UNAUTHORIZED:
        headers.setdefault("WWW-Authenticate", "Bearer")
    return JSONResponse({**told, **_members(error, language)}, status, headers, MEDIA_TYPE)


def _members(error: Problem | Refusal, language: Language) -> Mapping[str, object]:
    if isinstance(error, Refusal):
        return {}
    if not error.errors:
        return error.members
    errors = [found.model_dump(exclude_defaults=True) for found in field_errors(error.errors, language)]
    return {**error.members, "errors": errors}
