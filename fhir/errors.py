"""Errors under /fhir as OperationOutcomes: what would be a problem of the API is told as FHIR tells it."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from fhir.addresses import BASE_PATH, Server
from fhir.formats import FHIR_JSON, written
from fhir.outcomes import NotTaken, outcome_of
from fhir.resources import OperationOutcome
from web.language import language_of

Handler = Callable[[Request, Any], Awaitable[Response]]


def install(app: FastAPI) -> None:
    """Answer for what is under /fhir; other addresses keep their answers."""
    for kind, handler in list(app.exception_handlers.items()):
        app.exception_handlers[kind] = _for_fhir(handler)
    app.add_exception_handler(NotTaken, _not_taken)


def _for_fhir(handler: Any) -> Handler:
    async def answer(request: Request, error: Exception) -> Response:
        given: Response = await handler(request, error)  # which also logs what must be
        if not is_under_fhir(request) or not given.body:
            return given
        outcome = outcome_of(json.loads(bytes(given.body)), given.status_code, _server(request))
        kept = {name: value for name, value in given.headers.items() if name not in ("content-type", "content-length")}
        return _answer(outcome, given.status_code, kept)

    return answer


def is_under_fhir(request: Request) -> bool:
    """Whether a call is for this face."""
    path = request.url.path
    return path == BASE_PATH or path.startswith(BASE_PATH + "/")


async def _not_taken(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotTaken)  # noqa: S101 - Starlette hands over what it was installed for
    return _answer(error.outcome(_server(request)), error.status, {})


def _server(request: Request) -> Server:
    return Server.of(request.app.state.services.settings, language_of(request))


def _answer(outcome: OperationOutcome, status: int, headers: dict[str, str]) -> Response:
    return Response(written(outcome), status, headers, f"{FHIR_JSON}; charset=utf-8")
