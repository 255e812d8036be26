"""Invitations: the page on which administrators invite somebody; and the page to which the link of an invitation leads."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError
from starlette.datastructures import FormData

from domain.accounts import may_sign
from domain.refusals import Refusal
from portal import pages
from portal.errors import NOT_TAKEN, as_problem, fields_of, summary
from portal.pages import Visit, VisitOf
from portal.people import PLACES, role_options, texts_of
from portal.signin import keep_session
from records.models import Side
from translations import Language
from use_cases import invitations
from use_cases.administrators import Administrator
from use_cases.catalogue import newest_offerings
from use_cases.guessing import Origin
from use_cases.invitations import Acceptance, Invited, NewInvitation
from use_cases.new_passwords import MIN_PASSWORD
from use_cases.problems import Problem, input_faults
from use_cases.services import Services
from use_cases.sign_in import BearerToken
from web.origin import OriginOf, keep_device
from web.services import ServicesOf
from web.session import check_same_site, session_of

router = APIRouter(include_in_schema=False)


@router.get("/people/invite")
async def invite_page(visit: VisitOf) -> Response:
    """Who is invited, and as what."""
    return await _invite(visit)


@router.post("/people/invite")
async def invite(visit: VisitOf) -> Response:
    """Send the invitation; where its person may sign, their second code is shown, once."""
    form = await visit.form()
    try:
        key = visit.key(form)
        offerings = form.getlist("offerings") if form.get("serves") == "some" else None
        new = NewInvitation.model_validate({**texts_of(form), "roles": form.getlist("roles"), "offerings": offerings})
        by = Administrator.of(visit.caller)
        sent = await invitations.invite(visit.services, by, visit.caller.clinic_id, new, key)
    except NOT_TAKEN as error:
        return await _invite(visit, form, as_problem(error))
    return _sent(visit, sent)


@router.post("/people/invitations/{invitation_id}/send-again")
async def send_again(invitation_id: UUID, visit: VisitOf) -> Response:
    """A new link and a new second code."""
    await visit.form()
    visit.check_is_sent()
    return _sent(visit, await invitations.send_again(visit.services, Administrator.of(visit.caller), invitation_id))


@router.post("/people/invitations/{invitation_id}/revoke")
async def revoke(invitation_id: UUID, visit: VisitOf) -> Response:
    """Take the invitation back."""
    await visit.form()
    visit.check_is_sent()
    await invitations.revoke(visit.services, Administrator.of(visit.caller), invitation_id)
    return visit.on_to("/people", "invitation_revoked")


def _sent(visit: Visit, sent: invitations.InvitationSent) -> Response:
    if sent.voice_code is None:
        return visit.on_to("/people", "invited")
    return visit.page("voice_code", name=sent.invitation.name, code=sent.voice_code, back="/people")


async def _invite(visit: Visit, form: FormData | None = None, error: Problem | Refusal | None = None) -> Response:
    by = Administrator.of(visit.caller)
    wrong = fields_of(error, visit.language, PLACES)
    return visit.page(
        "invite",
        because=error,
        role_options=role_options(by),
        signing_roles=[role for role in role_options(by) if may_sign([role])],
        chosen_roles=form.getlist("roles") if form is not None else [],
        chosen_offerings=form.getlist("offerings") if form is not None else [],
        offerings=await newest_offerings(visit.services),
        form=pages.written(form),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else None,
    )


# For who is invited


@router.get("/invitation/{code}")
async def invitation_page(code: str, request: Request, services: ServicesOf) -> Response:
    """What the code invites to; a page that says nothing of anybody where it opens nothing."""
    try:
        invited = await invitations.look_at(services, code)
    except Problem as problem:
        return void_link(request, problem)
    return _page(request, code, invited)


@router.post("/invitation/{code}")
async def accept(code: str, request: Request, services: ServicesOf, origin: OriginOf) -> Response:
    """The account begins, and its person is signed in."""
    check_same_site(request)
    form = await request.form()
    try:
        token = await _accept(services, code, form, request, origin)
    except Problem as problem:
        return await shown_again(request, services, code, form, problem)
    response = RedirectResponse("/worklist?done=joined", 303)
    keep_session(response, services.settings, token.text)
    keep_device(response, services.settings, token.device)
    return without_referrer(response)


async def shown_again(request: Request, services: Services, code: str, form: FormData, problem: Problem) -> Response:
    """The page, with why it was not accepted."""
    if problem.code == "link_not_valid":
        return void_link(request, problem)
    try:
        invited = await invitations.look_at(services, code)
    except Problem as gone:
        return void_link(request, gone)
    return _page(request, code, invited, form, problem)


async def _accept(services: Services, code: str, form: FormData, request: Request, origin: Origin) -> BearerToken:
    said = {name: str(form.get(name, "")) for name in ("username", "password", "voice_code")}
    try:
        acceptance = Acceptance.model_validate({**said, "code": code})
    except ValidationError as error:
        raise Problem("invalid_input", input_faults(error)) from None
    before = session_of(request, services.settings)  # whoever's it is: nobody could sign it out any more
    return await invitations.accept(services, acceptance, Side.PORTAL, origin, instead_of=before)


def _page(
    request: Request, code: str, invited: Invited, form: FormData | None = None, error: Problem | None = None
) -> Response:
    places = {"wrong_voice_code": "voice_code", "username_taken": "username"}
    return link_page(request, "invitation", invited.language, code, form, error, places, invited=invited)


def link_page(
    request: Request,
    page: str,
    language: Language,
    code: str,
    form: FormData | None,
    error: Problem | None,
    places: dict[str, str],
    **values: Any,
) -> Response:
    """A page to which the link of an e-mail leads: its address is a secret, so no other site, and no cache, ever hears of it.

    Its form must say where it comes from (`check_same_site`), also in browsers that have nothing but Origin for it: they say
    "null" where no referrer is sent. Of `strict-origin` they send the site, and never the address.
    """
    wrong = fields_of(error, language, places)
    made = pages.render(
        request,
        page,
        language,
        because=error,
        code=code,
        min_password=MIN_PASSWORD,
        form=pages.written(form),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, language) if error else None,
        **values,
    )
    made.headers["Referrer-Policy"] = "strict-origin"
    return made


def void_link(request: Request, problem: Problem) -> HTMLResponse:
    """The page for a code that opens nothing: the same for everybody."""
    language = pages.language_before_sign_in(request)
    made = pages.render(request, "link_void", language, because=problem, sentence=problem.told(language))
    without_referrer(made)
    return made


def without_referrer(response: Response) -> Response:
    """No page that is looked at next hears of this address."""
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
