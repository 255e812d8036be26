"""Errors as the API gives them: application/problem+json (RFC 9457) with a stable `code` and a sentence for people."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import date
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from domain.model import Discreet
from domain.refusals import Refusal
from domain.rules import UnknownRulesError
from records.errors import NotFoundError, StoreError
from records.trouble import DATABASE_ERRORS
from translations import Language
from translations.problems import problem_sentence
from use_cases.problems import MOST_ERRORS, FieldFault, Problem, input_fault, passing_problem
from web.calls import CallName
from web.language import language_of
from web.observe import CALL, HEADERS, PASSING_PROBLEMS, TOLD
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
    instance: str = Field(
        "",
        description="Which call it was, as its log lines name it.",
        examples=["urn:uuid:01a20528-2326-771d-b244-f33a25c63e64"],
    )
    errors: list[FieldError] | None = Field(None, description="What is wrong, field by field, where there are fields.")


log = structlog.get_logger(__name__)


def field_errors(faults: Iterable[FieldFault], language: Language) -> list[FieldError]:
    """What is wrong, field by field, in the reader's language."""
    return [FieldError(field=fault.field, code=fault.code, message=fault.told(language)) for fault in faults]


async def _problem(request: Request, error: Problem | Refusal) -> Response:
    return problem_response(error, language_of(request), getattr(request.state, CALL, None))


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    found = error.errors()[:MOST_ERRORS]
    if any(one["type"] == "json_invalid" for one in found):
        return await _problem(request, Problem("malformed_json"))
    if any(one["loc"] == ("body",) and one["type"] != "missing" for one in found) and not _is_json(request):
        return await _problem(request, Problem("not_json"))
    return await _problem(request, Problem("invalid_input", [input_fault(one, one["loc"][1:]) for one in found]))


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


_CODES = {404: "not_found", 405: "method_not_allowed", 401: "not_authenticated", 403: "forbidden", 413: "too_large"}


async def _http(request: Request, error: HTTPException) -> Response:
    code = _CODES.get(error.status_code, "invalid_input" if error.status_code < 500 else "internal_error")
    if error.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
        return await _problem(request, HTTPProblem(code, headers=error.headers))
    allow = {"Allow": ", ".join(methods_of(request))}
    if request.method == "OPTIONS":
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=allow)
    return await _problem(request, HTTPProblem(code, headers=allow))


def methods_of(request: Request) -> list[str]:
    """Every method that the address of a call takes, by all its routes; the router itself tells those of the first only."""
    routes = request.app.routes

    def is_taken(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in routes)

    taken = {method for method in _METHODS if is_taken(method)}
    return sorted(taken | ({"HEAD"} if "GET" in taken else set()) | {"OPTIONS"})


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


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
    response = await _problem(request, Problem("internal_error"))
    for name, value in {**HEADERS, **getattr(request.state, TOLD, {})}.items():  # it passes no middleware
        response.headers.setdefault(name, value)
    return response


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


def problem_response(error: Problem | Refusal, language: Language, call: CallName | None) -> JSONResponse:
    """The answer to what can't be done, in the reader's language; `call` is the call that asked for it."""
    status = status_of(error)
    told = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": error.code,
        "detail": error.told(language) if isinstance(error, Problem) else problem_sentence(error.code, language),
    }
    headers = headers_of(error)
    if call is not None:
        told["instance"] = call.urn
    return JSONResponse({**told, **_members(error, language)}, status, headers, MEDIA_TYPE)


def _members(error: Problem | Refusal, language: Language) -> Mapping[str, object]:
    if isinstance(error, Refusal):
        return {}
    members = {name: str(value) if isinstance(value, date) else value for name, value in error.members.items()}
    if not error.errors:
        return members
    errors = [found.model_dump(exclude_defaults=True) for found in field_errors(error.errors, language)]
    return {**members, "errors": errors}
