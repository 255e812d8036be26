"""Signing in through one's organization: on to the provider, back from it, and its identities linked with an account."""

from collections.abc import Callable
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError
from starlette.datastructures import FormData

from portal import account as account_page
from portal import invitations as invitation_pages
from portal import pages, sent_too_late
from portal import passwords as password_pages
from portal.errors import NOT_TAKEN
from portal.pages import Visit, VisitOf, local_address
from portal.signin import keep_session, on_page
from records.models import SigningTicket
from settings import Settings
from sign_on.connection import Answer
from translations import Language
from use_cases import identities, sign_on, step_up
from use_cases.attempts import ANSWERED_WITHIN, RETURN_PATH, Arrived, Begun, Browser, client_of
from use_cases.guessing import Origin
from use_cases.invitations import Joining
from use_cases.problems import Problem, input_faults
from use_cases.services import Services
from use_cases.sign_on import SIGNED_OUT_PATH
from web.origin import OriginOf
from web.rates import SIGN_ONS
from web.services import ServicesOf
from web.session import account_of_session, check_same_site, session_of, sign_on_cookie

router = APIRouter(include_in_schema=False)

LONGEST_ANSWER = 10_000
"""Characters of what a provider sends back in an address."""


@router.get(SIGNED_OUT_PATH)
async def signed_out() -> Response:
    """Back from signing out at a provider."""
    return RedirectResponse("/signin?done=signed_out", 303)


@router.get("/sign-on/{code}", dependencies=[SIGN_ONS])
async def begin(code: str, request: Request, services: ServicesOf, next: str = "") -> Response:  # noqa: A002
    """On to the provider: an address that an organization may link to. From another site's page it goes on by a press only.

    Source: ASVS 5.0.0, V7.6.2.
    """
    wanted = local_address(next)
    if request.headers.get("sec-fetch-site") == "cross-site" and code in services.sign_on.providers.all:
        language = await language_of(request, services)
        label, here = services.sign_on.providers.all[code].label, f"/sign-on/{code}?{urlencode({'next': wanted})}"
        return pages.render(request, "sign_on", language, address=here, label=label, by_itself=False)
    try:
        begun = await sign_on.begin_sign_in(services, code, kept_by(request, services.settings), wanted, "")
    except Problem as problem:
        return await why_not(request, services, problem)
    response = RedirectResponse(begun.address, 303)
    keep(response, services.settings, begun)
    return response


@router.post("/sign-on/{code}", dependencies=[SIGN_ONS])
async def begin_with_a_form(code: str, request: Request, services: ServicesOf) -> Response:
    """The same, with a form that was sent when nobody was signed in."""
    check_same_site(request)
    form = await request.form()
    wanted, unsent = local_address(str(form.get("next", ""))), str(form.get("unsent", ""))
    try:
        begun = await sign_on.begin_sign_in(services, code, kept_by(request, services.settings), wanted, unsent)
    except Problem as problem:
        return await why_not(request, services, problem)
    return await go_on(request, services, begun)


@router.post("/invitation/{link}/sign-on/{code}", dependencies=[SIGN_ONS])
async def join(link: str, code: str, request: Request, services: ServicesOf) -> Response:
    """Accept an invitation with an identity of one's organization, in place of a password."""
    check_same_site(request)
    form = await request.form()
    said = {name: str(form.get(name, "")) for name in ("username", "voice_code")}
    try:
        joining = Joining.model_validate({**said, "code": link})
        begun = await sign_on.begin_to_join(services, code, kept_by(request, services.settings), joining)
    except ValidationError as error:
        return await invitation_pages.shown_again(
            request, services, link, form, Problem("invalid_input", input_faults(error))
        )
    except Problem as problem:
        return await invitation_pages.shown_again(request, services, link, form, problem)
    return await go_on(request, services, begun)


@router.post("/new-password/{link}/sign-on/{code}", dependencies=[SIGN_ONS])
async def link_by_letter(link: str, code: str, request: Request, services: ServicesOf) -> Response:
    """Link an identity of one's organization, in place of a new password."""
    check_same_site(request)
    form = await request.form()
    cookie = kept_by(request, services.settings)
    voice_code, factor_code = (str(form.get(name, "")) for name in ("voice_code", "code"))
    try:
        begun = await sign_on.begin_to_link_by_letter(services, code, cookie, link[:400], voice_code, factor_code)
    except Problem as problem:
        return await password_pages.shown_again(request, services, link, form, problem)
    return await go_on(request, services, begun)


@router.post("/account/sign-on/{code}")
async def link(code: str, visit: VisitOf) -> Response:
    """Link an identity with one's own account, for who gives their password again."""
    form = await visit.form()
    cookie = kept_by(visit.request, visit.services.settings)
    try:
        password, factor_code = (str(form.get(name, "")) for name in ("password", "code"))
        begun = await sign_on.begin_to_link(visit.services, visit.caller, code, cookie, password, factor_code)
    except NOT_TAKEN as error:
        return await account_page.shown_again(visit, form, error)
    return await go_on(visit.request, visit.services, begun)


@router.post("/account/sign-on/{code}/unlink")
async def unlink(code: str, visit: VisitOf) -> Response:
    """Sign in with it no more."""
    form = await visit.form()
    try:
        await identities.remove_own(visit.services, visit.caller, code, str(form.get("password", "")))
    except NOT_TAKEN as error:
        return await account_page.shown_again(visit, form, error)
    return visit.on_to("/account", "unlinked")


@router.get(RETURN_PATH)
async def back(code: str, request: Request, services: ServicesOf, origin: OriginOf) -> Response:
    """Back from the provider, which says who it is, or why not."""
    browser = await browser_of(request, services, origin)
    try:
        arrived = await sign_on.finish(services, code, answer_in(request), browser)
    except Problem as problem:
        return await why_not(request, services, problem)
    return await _arrived(request, services, arrived)


def answer_in(request: Request) -> Answer:
    """What the browser brings back in its address."""
    said = {name: value for name, value in request.query_params.items() if len(value) <= LONGEST_ANSWER}
    return Answer(said.get("state", ""), said.get("code"), said.get("error"), said.get("iss"))


async def browser_of(request: Request, services: Services, origin: Origin) -> Browser:
    """The browser that comes, and whose session it has."""
    account, token = await account_of_session(request, services), session_of(request, services.settings)
    return Browser(kept_by(request, services.settings) or "", token, origin, account)


async def _arrived(request: Request, services: Services, arrived: Arrived) -> Response:
    response: Response = RedirectResponse(arrived.address, 303)
    if arrived.token is not None:
        if arrived.unsent and (page := await _with_form(request, services, arrived)):
            response = page
        keep_session(response, services.settings, arrived.token.text)
    return response


async def _with_form(request: Request, services: Services, arrived: Arrived) -> Response | None:
    """The page that goes on with a form that was sent too late, if it was theirs: no answer of ours can send it again."""
    account = await sign_on.account_of(services, arrived)
    address = sent_too_late.address_in(account, arrived.unsent) if account else None
    if account is None or address is None:
        return None
    language = pages.language_before_sign_in(request)
    return pages.render(request, "signin_unsent", language, address=address, unsent=arrived.unsent)


async def go_on(request: Request, services: Services, begun: Begun) -> Response:
    """The page from which the browser goes on to the provider."""
    label = client_of(services, begun.provider).label
    response = on_page(request, await language_of(request, services), begun.address, label)
    keep(response, services.settings, begun)
    return response


def back_to(page: str, form: FormData) -> str:
    """The page to come back to from a confirmation, with the key of the form for which that counts."""
    return f"{page}?confirmed={quote(str(form.get('key', ''))[:120])}"


async def confirmed(visit: Visit, used_for: Callable[[str], str]) -> SigningTicket | None:
    """The confirmation with which somebody has just come back to a page. `used_for` says what it has to be for, by the id of the
    command that the form gives.
    """
    key = visit.request.query_params.get("confirmed", "")[:120]
    if not key:
        return None
    return await step_up.waiting(visit.services, visit.caller, used_for(visit.caller.command_id(key)))


async def why_not(request: Request, services: Services, problem: Problem) -> Response:
    """The page that says what stands against it, with the number by which the log says more."""
    language = await language_of(request, services)
    reference, back = (str(problem.members.get(name, "")) for name in ("reference", "back"))
    sentence = problem.told(language)
    return pages.render(
        request, "sign_on_error", language, because=problem, sentence=sentence, reference=reference, back=back
    )


async def language_of(request: Request, services: Services) -> Language:
    """Of who is signed in, else of this browser."""
    return pages.language_asked_for(request, await pages.reader(request, services))


def kept_by(request: Request, settings: Settings) -> str | None:
    """What the browser has kept since it last went to a provider."""
    return request.cookies.get(sign_on_cookie(settings), "")[:200] or None


def keep(response: Response, settings: Settings, begun: Begun) -> None:
    """One for all sign-ins of a browser, however many tabs there are. Lax, for it comes along when a provider sends back."""
    response.set_cookie(
        sign_on_cookie(settings),
        begun.cookie,
        max_age=round(ANSWERED_WITHIN.total_seconds()),
        secure=settings.over_tls,
        httponly=True,
        samesite="lax",
    )
