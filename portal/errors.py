"""Errors as pages: whatever the API would answer as a problem, a page says in a sentence, with a way on."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from api import problems
from api.problems import Problem
from domain.refusals import Refusal
from portal import pages
from translations import Language, gettext_for
from translations.words import REFUSALS

Handler = Callable[[Request, Any], Awaitable[Response]]

_NOT_PAGES = ("/api/", "/static/", "/healthz", "/readyz", "/metrics")


def install(app: FastAPI) -> None:
    """Answer for pages with a page; the API's addresses keep their problem+json."""
    for kind, handler in list(app.exception_handlers.items()):
        app.exception_handlers[kind] = _for_pages(handler)


def sentence_of(error: Problem | Refusal, language: Language) -> str:
    """What went wrong, for people."""
    return gettext_for(language)(REFUSALS[error.code] if isinstance(error, Refusal) else error.sentence)


def status_of(error: Problem | Refusal) -> int:
    """The HTTP status of the answer."""
    return problems.refusal_status(error) if isinstance(error, Refusal) else error.status


def _for_pages(handler: Any) -> Handler:
    async def answer(request: Request, error: Exception) -> Response:
        if request.url.path.startswith(_NOT_PAGES):
            given: Response = await handler(request, error)
            return given
        if isinstance(error, Problem) and error.code == "not_authenticated":
            return _to_sign_in(request)
        if not isinstance(error, Problem | Refusal):
            as_api = await handler(request, error)  # which logs it
            error = _problem(error, as_api.status_code)
        return _error_page(request, error)

    return answer


def _problem(error: Exception, status: int) -> Problem:
    if isinstance(error, RequestValidationError | HTTPException) and status < 500:
        return Problem("method_not_allowed" if status == 405 else "not_found")
    return Problem("records_unreachable" if status == 503 else "internal_error")


def _error_page(request: Request, error: Problem | Refusal) -> Response:
    spoken = getattr(request.state, "language", None) or pages.language_before_sign_in(request)
    settings = request.app.state.services.settings
    status = status_of(error)
    page = pages.render(settings, "error", spoken, status=status, sentence=sentence_of(error, spoken), code=error.code)
    if isinstance(error, Problem) and error.headers:
        page.headers.update(error.headers)
    return page


def _to_sign_in(request: Request) -> Response:
    """After signing in, the page that was wanted; a form that came too late is not sent again by itself."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    address = f"/signin?next={quote(wanted, safe='/')}" if request.method == "GET" else "/signin"
    if "hx-request" in request.headers:
        return Response(status_code=204, headers={"HX-Redirect": "/signin"})
    return RedirectResponse(address, 303)
