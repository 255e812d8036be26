"""Errors as pages: what can't be done, or went wrong, a page says in a sentence, with a way on."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from domain.refusals import Refusal
from portal import pages, sent_too_late
from portal.pages import Notice, Visit
from portal.signin import sign_in_page_with
from translations import Language, gettext_for, language_named
from translations import gettext_noop as _
from translations.problems import problem_sentence
from use_cases.problems import FieldFault, Problem, input_faults, passing_problem
from web.session import account_of_session, is_of_script

Handler = Callable[[Request, Any], Awaitable[Response]]

_NOTHING_WAS_SENT = _(
    "Nothing was sent: you are no longer signed in. Sign in, and what you wrote is shown to you again."
)

_NOT_PAGES = ("/api/", "/fhir/", "/oidc/", "/static/", "/healthz", "/readyz")


def install(app: FastAPI) -> None:
    """Answer for pages with a page; the API's addresses keep their problem+json."""
    for kind, handler in list(app.exception_handlers.items()):
        app.exception_handlers[kind] = _for_pages(handler)


def sentence_of(error: Problem | Refusal, language: Language) -> str:
    """What went wrong, for people."""
    return error.told(language) if isinstance(error, Problem) else problem_sentence(error.code, language)


NOT_TAKEN = (ValidationError, Problem, Refusal)
"""What is raised when a form is not taken: it can't be read as what is asked for, or a use case or the rules say no."""


def as_problem(error: ValidationError | Problem | Refusal) -> Problem | Refusal:
    """Why a form was not taken, in one kind of answer: what can't be read is a problem as well."""
    if isinstance(error, ValidationError):
        return Problem("invalid_input", input_faults(error))
    return error


async def done(
    visit: Visit,
    do: Callable[[], Awaitable[object]],
    then: str,
    sentence: str,
    shown_again: Callable[[Problem | Refusal], Awaitable[Response]],
) -> Response:
    """Do what a form asks for, and go on to the page `then` with a sentence; or say why not, with everything that was written."""
    try:
        visit.check_is_sent()
        await do()
    except NOT_TAKEN as error:
        return await shown_again(as_problem(error))
    return visit.on_to(then, sentence)


def fields_of(
    error: Problem | Refusal | None, language: Language, places: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What is wrong, by field of a form. `places` names the field for problems that are told of the whole."""
    if error is not None and places and error.code in places:
        return {places[error.code]: sentence_of(error, language)}
    return by_field(error.errors, language) if isinstance(error, Problem) else {}


def by_field(faults: Iterable[FieldFault], language: Language) -> dict[str, str]:
    """What is wrong with each field, for people."""
    return {fault.field: fault.told(language) for fault in faults}


def summary(error: Problem | Refusal, wrong: Mapping[str, str], language: Language) -> Notice:
    """The error summary of a page whose form was not taken: where something is wrong, with links; else why."""
    problem = Problem("invalid_input") if wrong else error
    return Notice("error", sentence_of(problem, language), links_to(wrong))


def links_to(wrong: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The items of a summary: what is wrong with each field, and the place of the field."""
    return tuple((message, f"field-{field}") for field, message in wrong.items())


def _for_pages(handler: Any) -> Handler:
    async def answer(request: Request, error: Exception) -> Response:
        if request.url.path.startswith(_NOT_PAGES):
            given: Response = await handler(request, error)
            return given
        if isinstance(error, Problem) and error.code == "not_authenticated":
            return await _to_sign_in(request)
        if not isinstance(error, Problem | Refusal):
            as_api = await handler(request, error)  # which logs it
            error = _problem(error, as_api.status_code)
        return _error_page(request, error, await _language(request))

    return answer


def _problem(error: Exception, status: int) -> Problem:
    if isinstance(error, RequestValidationError):
        in_the_address = any(found["loc"][0] == "path" for found in error.errors())
        return Problem("not_found" if in_the_address else "invalid_input")
    if isinstance(error, HTTPException) and status < 500:
        return Problem({404: "not_found", 405: "method_not_allowed"}.get(status, "invalid_input"))
    return passing_problem(error) or Problem("internal_error")


async def _language(request: Request) -> Language:
    """The reader's, also where no page was found that would have asked who they are."""
    known: Language | None = getattr(request.state, "language", None)
    if known is None:
        with suppress(SQLAlchemyError, OSError):
            account = await account_of_session(request, request.app.state.services)
            known = language_named(account.language) if account else None
    return known or pages.language_before_sign_in(request)


def _error_page(request: Request, error: Problem | Refusal, spoken: Language) -> Response:
    return pages.render(request, "error", spoken, because=error, sentence=sentence_of(error, spoken), code=error.code)


async def _to_sign_in(request: Request) -> Response:
    """After signing in, the page that was wanted; a form that came too late is shown again, and not sent by itself."""
    if "hx-request" in request.headers:
        return Response(status_code=204, headers={"HX-Redirect": "/signin"})
    if not is_of_script(request):
        services = request.app.state.services
        if sealed := await sent_too_late.sealed_form(request, services):
            language = pages.language_before_sign_in(request)
            notice = Notice("information", gettext_for(language)(_NOTHING_WAS_SENT))
            return sign_in_page_with(request, language, status=401, unsent=sealed, notice=notice)
    wanted = _page_wanted(request)
    return RedirectResponse(f"/signin?next={quote(wanted, safe='/')}" if wanted else "/signin", 303)


def _page_wanted(request: Request) -> str:
    """The page to go on to after signing in: of a form, the one on which it stood."""
    if request.method == "GET":
        return sent_too_late.address_of(request)
    page = urlsplit(request.headers.get("referer", ""))
    is_ours = page.netloc == request.headers.get("host") and request.url.path != "/signout"
    return page.path if is_ours else ""
