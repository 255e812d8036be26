"""The page on which anybody checks a signed document that they were given, and finds the certificates to check it elsewhere."""

from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import UploadFile

from portal import pages
from portal.pages import Notice
from translations import gettext_noop as _
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.signing_roots import Root, known_roots
from use_cases.verification import MAX_FILE_BYTES, VERIFICATION_PAGE, FileVerification, received, verify_file
from web.connected import AttendedBy
from web.origin import OriginOf
from web.rates import CHECKS
from web.services import ServicesOf
from web.session import check_same_site

router = APIRouter(include_in_schema=False)

_NO_FILE = _("Choose the PDF file that you want to check.")


@router.get(VERIFICATION_PAGE)
async def verification_page(request: Request, services: ServicesOf) -> Response:
    """Where the file is chosen, and how to check it without Relais; in the language of ``?language=en`` where that is said."""
    return await _page(request, services)


@router.post(VERIFICATION_PAGE, dependencies=[CHECKS])
async def verify(request: Request, services: ServicesOf, origin: OriginOf, attended: AttendedBy) -> Response:
    """The verdict on the file that was sent. Nothing of it is kept."""
    check_same_site(request)
    try:
        pdf, name = await received(services, origin.network, partial(_file, request))
        if not pdf:
            return await _page(request, services, missing=_NO_FILE, status=422)
        verdict = await verify_file(services, origin.network, pdf, attended)
    except Problem as problem:
        return await _page(request, services, because=problem)
    return await _page(request, services, verdict=verdict, file_name=name)


async def _file(request: Request) -> tuple[bytes, str]:
    """The file that was sent, and its name."""
    async with request.form(max_files=1, max_fields=1) as form:
        file = form.get("file")
        return (await file.read(), (file.filename or "")[:200]) if isinstance(file, UploadFile) else (b"", "")


async def _page(
    request: Request,
    services: Services,
    *,
    verdict: FileVerification | None = None,
    file_name: str = "",
    missing: str = "",
    because: Problem | None = None,
    status: int = 200,
) -> HTMLResponse:
    reader = await pages.reader(request, services)
    language = pages.language_asked_for(request, reader)
    return pages.render(
        request,
        "verify",
        language,
        status=status,
        because=because,
        me=reader,
        verdict=verdict,
        file_name=file_name,
        missing=missing,
        notice=Notice("error", because.told(language)) if because else None,
        roots=await _roots(services),
        max_bytes=MAX_FILE_BYTES,
    )


async def _roots(services: Services) -> list[Root]:
    """The certificates; none while the records are away: the page is there without them."""
    try:
        return await known_roots(services)
    except (SQLAlchemyError, OSError):
        return []
