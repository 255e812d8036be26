"""Photos from a telephone: the code that a form shows on the desktop, and the page of the telephone that scans it.

On the telephone nobody is signed in: it is known by a cookie of its own, which it gets when it takes the link, and by which it
can send photos and do nothing else.
"""

from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import UploadFile

from portal import pages
from portal.drafts import MAX_FILES, begin_now, page_before
from portal.errors import sentence_of
from portal.pages import Notice, Visit, VisitOf
from portal.qr_code import qr_code
from settings import Settings
from translations import gettext_for
from translations import gettext_noop as _
from use_cases import phone_links
from use_cases.attachments import AttachmentView
from use_cases.new_attachments import SentFile
from use_cases.phone_links import PHOTOS_PATH, PhoneLinkView
from use_cases.problems import Problem
from web.connected import AttendedBy
from web.problems import status_of
from web.rates import UPLOADS_OF_ONE
from web.services import ServicesOf
from web.session import check_same_site, is_of_script

router = APIRouter(include_in_schema=False)


# The desktop


@router.post("/requests/{request_id}/phone-link")
async def make_link(request_id: UUID, visit: VisitOf) -> Response:
    """A new link: its code is shown, once. A script gets the part of the page that shows it."""
    form = await visit.form()
    await begin_now(visit, request_id)
    made = await phone_links.make_link(visit.services, visit.caller, request_id, str(form.get("slot", ""))[:100])
    code = qr_code(made.address, visit.say(_("Code to scan with the telephone")))
    return _panel(visit, made, str(form.get("next", "")), address=made.address, code=code)


@router.get("/requests/{request_id}/phone-link")
async def link_state(request_id: UUID, visit: VisitOf) -> Response:
    """What became of the link that was made last. Raises Problem `not_found` where there is none."""
    link = await phone_links.read_link(visit.services, visit.caller, request_id)
    return _panel(visit, link, visit.request.query_params.get("next", ""))


@router.post("/requests/{request_id}/phone-link/end")
async def end_link(request_id: UUID, visit: VisitOf) -> Response:
    """Nothing more comes by it."""
    form = await visit.form()
    await phone_links.end_link(visit.services, visit.caller, request_id)
    if is_of_script(visit.request):
        return await link_state(request_id, visit)
    return visit.on_to(page_before(request_id, str(form.get("next", ""))))


def _panel(visit: Visit, link: PhoneLinkView, back: str, **new: str) -> Response:
    page = "phone_link_panel" if is_of_script(visit.request) else "phone_link"
    here_alone = _is_this_machine(visit.services.settings)
    shown: dict[str, Any] = {"address": "", "code": "", **new}
    return visit.page(page, link=link, back=page_before(link.request_id, back), here_alone=here_alone, **shown)


def _is_this_machine(settings: Settings) -> bool:
    """Whether the address of Relais leads a telephone to itself, as it does where Relais is tried on one machine."""
    host = urlsplit(settings.public_url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


# The telephone

PATH = "/phone"


@router.get("/phone/{code}")
async def code_page(code: str, request: Request, services: ServicesOf) -> Response:
    """Where the code leads: whose link it is, and a button that takes it. Only looking at it changes nothing."""
    language = pages.language_before_sign_in(request)
    try:
        told = await phone_links.look_at_code(services, code[:100])
    except Problem as problem:
        device = request.cookies.get(_cookie(services.settings))
        if problem.code == "phone_link_taken" and device and await phone_links.has_taken(services, device, code[:100]):
            return await _to_phone_page(services, device)  # it comes back
        raise
    return pages.render(request, "phone_begin", language, told=told, code=code)


@router.post("/phone/{code}")
async def take_link(code: str, request: Request, services: ServicesOf) -> Response:
    """This telephone takes the link; its code leads nowhere any more."""
    check_same_site(request)
    device = await phone_links.take_link(services, code[:100])
    response = await _to_phone_page(services, device)
    response.set_cookie(
        _cookie(services.settings),
        device,
        max_age=int(phone_links.LASTS.total_seconds()),
        secure=services.settings.over_tls,
        httponly=True,
        samesite="strict",
    )
    return response


@router.get(PATH)
async def phone_page(request: Request, services: ServicesOf, link: str | None = None) -> Response:
    """Where the telephone sends its photos. The address names the link: a page of an earlier one says that it has ended."""
    return await _phone_page(request, services, link)


@router.post(PHOTOS_PATH)
async def send_photos(request: Request, services: ServicesOf, attended: AttendedBy) -> Response:
    """Photos of the telephone. A script sends one at a time, and gets the line that tells what became of it.

    Nothing of the form is read before it is known that the telephone has a living link, and that its maker may send more files.
    """
    check_same_site(request)
    device, language = _device(request, services.settings), pages.language_before_sign_in(request)
    lines: list[tuple[str, AttachmentView | None, str]] = []
    status = 200
    told = await phone_links.look(services, device)
    UPLOADS_OF_ONE.count(request, services.settings, told.account_id)
    async with request.form(max_files=MAX_FILES, max_fields=3) as form:
        key, link = str(form.get("key", ""))[:100], str(form.get("link", ""))
        await phone_links.look(services, device, link)
        files = [file for file in form.getlist("file") if isinstance(file, UploadFile) and file.filename]
        for file in files:
            sent, name = SentFile(file.file, file.filename or "", ""), f"{key}:{file.filename}:{file.size}"
            try:
                added = await phone_links.add_photo(services, device, link, sent, name, attended)
                lines.append((sent.filename, added, ""))
            except Problem as problem:
                status = status_of(problem)
                lines.append((sent.filename, None, sentence_of(problem, language)))
    if is_of_script(request):
        return pages.render(request, "phone_lines", language, status=status, lines=lines)
    notice = None if files else Notice("error", gettext_for(language)(_("No photo was chosen.")))
    return await _phone_page(request, services, link, status=status, lines=lines, notice=notice)


@router.post("/phone/photos/end")
async def end_on_telephone(request: Request, services: ServicesOf) -> Response:
    """The telephone has sent all that it wanted."""
    check_same_site(request)
    device = _device(request, services.settings)
    async with request.form(max_files=0, max_fields=1) as form:
        await phone_links.end_on_telephone(services, device, str(form.get("link", "")))
    language = pages.language_before_sign_in(request)
    return pages.render(request, "phone_ended", language)


async def _to_phone_page(services: ServicesOf, device: str) -> RedirectResponse:
    told = await phone_links.look(services, device)
    return RedirectResponse(f"{PATH}?link={told.link_id}", 303)


async def _phone_page(
    request: Request,
    services: ServicesOf,
    link: str | None,
    *,
    status: int = 200,
    lines: object = (),
    notice: Notice | None = None,
) -> Response:
    told = await phone_links.look(services, _device(request, services.settings), link)
    language, key = pages.language_before_sign_in(request), uuid4().hex
    return pages.render(request, "phone", language, status=status, told=told, lines=lines, key=key, notice=notice)


def _device(request: Request, settings: Settings) -> str:
    device = request.cookies.get(_cookie(settings))
    if not device:
        raise Problem("phone_link_ended")
    return device


def _cookie(settings: Settings) -> str:
    return "__Host-relais-phone" if settings.over_tls else "relais-phone"
