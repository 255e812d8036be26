"""Signing in and out, and the choice of a language before that."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from portal import on_this_device, pages, sent_too_late
from portal.pages import LANGUAGE_COOKIE, Notice, VisitOf, local_address
from settings import Settings
from sign_on.providers import Label
from translations import Language
from use_cases import sign_in as signing_in
from use_cases import sign_out as signing_out
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.sign_in import BearerToken, CodeNeededError, account_of
from web.origin import OriginOf, keep_device
from web.services import ServicesOf
from web.session import check_same_site, session_cookie, session_of, sign_on_cookie

router = APIRouter(include_in_schema=False)


@router.get("/")
async def start(request: Request, services: ServicesOf) -> Response:
    """The start page is the worklist."""
    return RedirectResponse("/worklist" if session_of(request, services.settings) else "/signin", 303)


@router.get("/signin")
async def sign_in_page(request: Request, next: str = "") -> Response:  # noqa: A002 - its name in the address
    """User name and password."""
    language = pages.language_before_sign_in(request)
    return sign_in_page_with(request, language, next=next, notice=pages.done_notice(request, language))


@router.post("/signin")
async def sign_in(
    request: Request,
    services: ServicesOf,
    origin: OriginOf,
    username: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "",  # noqa: A002
    unsent: Annotated[str, Form()] = "",
) -> Response:
    """A session for the right password; the same page again for a wrong one.

    A form that was sent when nobody was signed in (`portal.sent_too_late`) goes on to its page, if that is who wrote it.
    """
    check_same_site(request)
    language = pages.language_before_sign_in(request)
    before = session_of(request, services.settings)  # whoever's it is: nobody could sign it out any more
    try:
        token = await signing_in.sign_in(services, username, password, origin, instead_of=before, in_a_browser=True)
    except CodeNeededError as needed:
        return _code_page(request, language, proof=needed.proof, next=next, unsent=unsent)
    except Problem as problem:
        return _not_signed_in(request, language, problem, next=next, unsent=unsent, username=username[:200])
    return await _signed_in(services, token, next, unsent)


@router.post("/signin/code")
async def show_code(
    request: Request,
    services: ServicesOf,
    origin: OriginOf,
    proof: Annotated[str, Form()] = "",
    code: Annotated[str, Form()] = "",
    passkey: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "",  # noqa: A002
    unsent: Annotated[str, Form()] = "",
) -> Response:
    """A session for who has just given the right password, and now shows a code of their second factor."""
    check_same_site(request)
    language = pages.language_before_sign_in(request)
    before = session_of(request, services.settings)
    try:
        token = await signing_in.finish_sign_in(services, proof, code, passkey, origin, instead_of=before)
    except Problem as problem:
        if problem.code == "sign_in_again":
            return _not_signed_in(request, language, problem, next=next, unsent=unsent)
        return _code_page(request, language, problem, proof=proof, next=next, unsent=unsent)
    return await _signed_in(services, token, next, unsent)


@router.post("/signin/passkey")
async def ask_passkey(request: Request, services: ServicesOf, proof: Annotated[str, Form()] = "") -> Response:
    """What a script needs to have a passkey answer."""
    check_same_site(request)
    return Response(await signing_in.options_for_passkey(services, proof), media_type="application/json")


async def _signed_in(services: Services, token: BearerToken, wanted: str, unsent: str) -> Response:
    account = await account_of(services, token.text) if unsent else None
    address = sent_too_late.address_in(account, unsent) if account else None
    response = RedirectResponse(address, 307) if address else RedirectResponse(local_address(wanted), 303)
    keep_session(response, services.settings, token.text)
    keep_device(response, services.settings, token.device)
    return response


def _not_signed_in(request: Request, language: Language, problem: Problem, **kept: Any) -> Response:
    notice = Notice("error", problem.told(language))
    return sign_in_page_with(request, language, because=problem, notice=notice, **kept)


def _code_page(request: Request, language: Language, problem: Problem | None = None, **kept: Any) -> Response:
    """The page on which the code is asked for, after the right password."""
    notice = Notice("error", problem.told(language)) if problem else None
    return pages.render(request, "signin_code", language, because=problem, notice=notice, **kept)


@router.post("/signout")
async def sign_out(visit: VisitOf) -> Response:
    """End the session here and in the records; and at the provider by which it began, where that offers it."""
    found = await signing_out.sign_out(visit.services, visit.caller)
    response: Response = RedirectResponse("/signin?done=signed_out", 303)
    if found is not None:
        response = on_page(visit.request, visit.language, found.address, found.label)
    return sign_out_of(response, visit.services.settings)


def sign_out_of(response: Response, settings: Settings) -> Response:
    """Have the browser forget the session that has ended, and what it keeps of pictures."""
    response.headers["Clear-Site-Data"] = '"cache"'  # photos, which browsers keep for an hour
    response.delete_cookie(session_cookie(settings), secure=settings.over_tls, httponly=True, samesite="lax")
    forget_sign_on(response, settings)  # what was begun elsewhere is no business of who comes after
    return response


def forget_sign_on(response: Response, settings: Settings) -> None:
    """Have the browser forget by what it is known when it comes back from a provider or a record system."""
    response.delete_cookie(sign_on_cookie(settings), secure=settings.over_tls, httponly=True, samesite="lax")


@router.post("/language")
async def choose_language(
    request: Request,
    services: ServicesOf,
    language: Annotated[str, Form(pattern="^(fr|en)$")],
    next: Annotated[str, Form()] = "",  # noqa: A002
) -> Response:
    """The language of this browser, until somebody signs in: then their account's counts."""
    check_same_site(request)
    response = RedirectResponse(local_address(next), 303)
    on_this_device.keep(response, services.settings, LANGUAGE_COOKIE, language)
    return response


def sign_in_page_with(request: Request, language: Language, **values: Any) -> HTMLResponse:
    """The page; `unsent` is a sealed form that goes along. The others are as those of `pages.render`."""
    services: Services = request.app.state.services
    always = {"username": "", "next": "", "unsent": "", "providers": services.sign_on.providers.all.values()}
    return pages.render(request, "signin", language, **{**always, **values})


def on_page(request: Request, language: Language, address: str, label: Label) -> HTMLResponse:
    """The page from which a browser goes on to a provider by itself: an answer to a form may not lead elsewhere."""
    return pages.render(request, "sign_on", language, address=address, label=label, by_itself=True)


def keep_session(response: Response, settings: Settings, token: str) -> None:
    """The browser keeps that token, by which it is known from now on."""
    response.set_cookie(
        session_cookie(settings),
        token,
        max_age=settings.token_hours * 3_600,
        secure=settings.over_tls,
        httponly=True,
        samesite="lax",
    )
