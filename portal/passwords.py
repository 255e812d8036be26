"""A forgotten password: the page on which a link is asked for, and the page to which it leads."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError
from starlette.datastructures import FormData

from portal import pages
from portal.errors import fields_of, summary
from portal.invitations import link_page, void_link, without_referrer
from records.models import Side
from use_cases import forgotten_passwords
from use_cases.forgotten_passwords import ChosenPassword, ForgottenPassword, Resetting
from use_cases.problems import Problem, input_faults
from use_cases.services import Services
from web.origin import OriginOf
from web.rates import FORGOTTEN_PASSWORDS
from web.services import ServicesOf
from web.session import check_same_site

router = APIRouter(include_in_schema=False)


@router.get("/forgotten-password")
async def forgotten_page(request: Request) -> Response:
    """Who has forgotten their password says who they are."""
    return _forgotten(request)


@router.post("/forgotten-password", dependencies=[FORGOTTEN_PASSWORDS])
async def ask(
    request: Request, services: ServicesOf, origin: OriginOf, username: Annotated[str, Form()] = ""
) -> Response:
    """The same answer for everybody, whether there is such an account or not."""
    check_same_site(request)
    try:
        forgotten = ForgottenPassword.model_validate({"username": username})
        await forgotten_passwords.ask(services, forgotten, origin)
    except ValidationError as error:
        return _forgotten(request, username, Problem("invalid_input", input_faults(error)))
    except Problem as problem:
        return _forgotten(request, username, problem)
    return RedirectResponse("/signin?done=forgotten", 303)


def _forgotten(request: Request, username: str = "", error: Problem | None = None) -> Response:
    language = pages.language_before_sign_in(request)
    wrong = fields_of(error, language)
    return pages.render(
        request,
        "forgotten_password",
        language,
        because=error,
        form=pages.written(username=username[:400]),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, language) if error else None,
    )


@router.get("/new-password/{code}")
async def new_password_page(code: str, request: Request, services: ServicesOf) -> Response:
    """Whose password the code lets one choose."""
    try:
        resetting = await forgotten_passwords.look_at(services, code)
    except Problem as problem:
        return void_link(request, problem)
    return _page(request, code, resetting)


@router.post("/new-password/{code}")
async def choose(code: str, request: Request, services: ServicesOf, origin: OriginOf) -> Response:
    """Another password; then its person signs in with it."""
    check_same_site(request)
    form = await request.form()
    try:
        said = {name: str(form.get(name, "")) for name in ("password", "voice_code")}
        chosen = ChosenPassword.model_validate({**said, "code": code})
        await forgotten_passwords.choose_password(services, chosen, Side.PORTAL, origin)
    except ValidationError as error:
        return await shown_again(request, services, code, form, Problem("invalid_input", input_faults(error)))
    except Problem as problem:
        return await shown_again(request, services, code, form, problem)
    return without_referrer(RedirectResponse("/signin?done=new_password", 303))


async def shown_again(request: Request, services: Services, code: str, form: FormData, problem: Problem) -> Response:
    """The page, with why it was not taken."""
    if problem.code == "link_not_valid":
        return void_link(request, problem)
    try:
        resetting = await forgotten_passwords.look_at(services, code)
    except Problem as gone:
        return void_link(request, gone)
    return _page(request, code, resetting, form, problem)


def _page(
    request: Request, code: str, resetting: Resetting, form: FormData | None = None, error: Problem | None = None
) -> Response:
    places = {"wrong_voice_code": "voice_code", "code_needed": "code", "wrong_code": "code"}
    return link_page(request, "new_password", resetting.language, code, form, error, places, resetting=resetting)
