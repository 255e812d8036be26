"""Errors as the API gives them: application/problem+json (RFC 9457) with a stable `code` and a sentence for people."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

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


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str = Field(examples=["patient.birth_date"])
    code: str = Field(examples=["required"])
    message: str = Field("", examples=["Ce champ est requis."])


class ProblemDetails(BaseModel):
    """An error: RFC 9457, with a stable `code` for programs and a `detail` for people."""

    type: str = "about:blank"
    title: str = Field(examples=["Conflict"])
    status: int = Field(examples=[409])
    code: str = Field(examples=["already_accepted"])
    detail: str = Field(examples=["Quelqu’un d’autre a déjà accepté cette demande."])
    errors: list[FieldError] | None = Field(None, description="What is wrong, field by field, where there are fields.")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Those errors, for the API's description (`api.docs` gives them their media type)."""
    return {status: {"model": ProblemDetails, "description": HTTPStatus(status).phrase} for status in statuses}


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


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return problem_response(error, language_of(request))

    @app.exception_handler(Refusal)
    async def refusal(request: Request, error: Refusal) -> Response:
        return problem_response(error, language_of(request))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()[:MOST_ERRORS]
        if any(e["type"] == "json_invalid" for e in found):
            return problem_response(Problem("malformed_json"), language_of(request))
        faults = [input_fault(e, e["loc"][1:]) for e in found]
        return problem_response(Problem("invalid_input", faults), language_of(request))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        codes = {
            404: "not_found",
            405: "method_not_allowed",
            401: "not_authenticated",
            403: "forbidden",
            413: "too_large",
        }
        code = codes.get(error.status_code, "invalid_input" if error.status_code < 500 else "internal_error")
        return problem_response(HTTPProblem(code, headers=error.headers), language_of(request))

    async def not_now(request: Request, error: Exception) -> Response:
        """The database, the store or a disk: whether it is a matter of time, or something wrong with us."""
        problem = passing_problem(error)
        if problem is None:
            return await unexpected(request, error)
        log.warning("not possible now", code=problem.code, error=type(getattr(error, "orig", None) or error).__name__)
        PASSING_PROBLEMS.labels(problem.code).inc()
        return problem_response(problem, language_of(request))

    for kind in (
        *DATABASE_ERRORS,
        StoreError,
        OSError,
    ):  # the last: nobody listens, no socket, no answer in time, no room
        app.add_exception_handler(kind, not_now)

    @app.exception_handler(UnknownRulesError)
    async def newer_rules(request: Request, error: UnknownRulesError) -> Response:
        log.error("a request of a newer Relais", rules=error.version)
        return problem_response(Problem("newer_rules"), language_of(request))

    @app.exception_handler(NotFoundError)
    async def removed_meanwhile(request: Request, _error: NotFoundError) -> Response:
        return problem_response(Problem("not_found"), language_of(request))

    @app.exception_handler(ClientDisconnect)
    async def gone(_request: Request, _error: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody is there to read it, and nothing went wrong on our side

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        log.error(
            "unexpected error", path=request.scope["route"].path if "route" in request.scope else "", exc_info=error
        )
        return problem_response(Problem("internal_error"), language_of(request))


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
