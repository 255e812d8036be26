"""A record system opens Relais: on to it, back from it, and the page of the patient who is open there (SMART App Launch)."""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from domain.refusals import Refusal
from domain.requests import Role
from portal import pages
from portal.drafts import address_of_beginning
from portal.errors import NOT_TAKEN, as_problem, fields_of, sentence_of, summary
from portal.pages import Visit, VisitOf
from portal.sign_on import answer_in, browser_of, keep, kept_by, language_of, why_not
from portal.sign_on import go_on as on_to
from portal.signin import forget_sign_on, keep_session
from records.ids import new_id
from use_cases import launches, sign_on
from use_cases.catalogue import list_clinics, newest_offerings
from use_cases.drafts import NewDraft, draft_to_begin
from use_cases.launches import LAUNCH_PATH, LONGEST_KEY, RETURN_PATH, Opened
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.ways_in import proves_by_password
from web.origin import OriginOf
from web.rates import LAUNCHES, OF_ONE_PATIENT
from web.services import ServicesOf
from web.session import check_same_site

router = APIRouter(include_in_schema=False)

_PLACES: Mapping[str, str] = {"wrong_current_password": "password", "code_needed": "code", "wrong_code": "code"}
_ASKED_AGAIN = frozenset({*_PLACES, "too_many_attempts", "passwords_busy"})


@router.get(LAUNCH_PATH, dependencies=[LAUNCHES])
async def launch(request: Request, services: ServicesOf, iss: str = "", launch: str = "") -> Response:
    """A record system sends somebody here: on to it, to ask who they are and with which patient.

    That it comes from another site is how it is meant. Nothing begins by it: the press that begins a session comes after
    (`opened`). Source: SMART App Launch, EHR launch; ASVS 5.0.0, V7.6.2.
    """
    try:
        begun = await launches.begin_launch(services, iss, launch, kept_by(request, services.settings))
    except Problem as problem:
        return await why_not(request, services, problem)
    response = RedirectResponse(begun.address, 303)
    keep(response, services.settings, begun)
    return response


@router.get(RETURN_PATH)
async def returned(code: str, request: Request, services: ServicesOf, origin: OriginOf) -> Response:
    """Back from the record system, which says who it is and which patient, or why not."""
    browser = await browser_of(request, services, origin)
    try:
        key = await launches.finish_launch(services, code, answer_in(request), browser)
    except Problem as problem:
        return await why_not(request, services, problem)
    return RedirectResponse(f"/launched/{key}", 303)


@router.get("/launched/{key}")
async def opened(key: str, request: Request, services: ServicesOf, origin: OriginOf) -> Response:
    """Who goes on: who is signed in already, or who presses. Then the patient."""
    browser = await browser_of(request, services, origin)
    try:
        async with launches.refusals_noted(services, browser):
            came = await launches.open_launch(services, key[:LONGEST_KEY], browser)
    except Problem as problem:
        if problem.code == "not_authenticated":
            raise
        return await why_not(request, services, problem)
    if came is None:
        return RedirectResponse(f"/launched/{key}/patient", 303)
    return await _page(request, services, key, came)


@router.post("/launched/{key}/begin")
async def begin(key: str, request: Request, services: ServicesOf, origin: OriginOf) -> Response:
    """Go on as who the record system says, in a session of theirs."""
    check_same_site(request)
    browser = await browser_of(request, services, origin)
    try:
        async with launches.refusals_noted(services, browser):
            token = await launches.begin_session(services, key[:LONGEST_KEY], browser)
    except Problem as problem:
        if problem.code == "not_authenticated":
            raise
        return await why_not(request, services, problem)
    response = RedirectResponse(f"/launched/{key}/patient", 303)
    if token is not None:
        keep_session(response, services.settings, token.text)
        forget_sign_on(response, services.settings)
    return response


@router.post("/launched/{key}/go-on")
async def go_on(key: str, visit: VisitOf, origin: OriginOf) -> Response:
    """Who is signed in says that it is they; or links, with their password and a new sign-in there, so as to be asked no more."""
    form = await visit.form()
    browser, key = await browser_of(visit.request, visit.services, origin), key[:LONGEST_KEY]
    page = f"/launched/{key}/patient"
    try:
        async with launches.refusals_noted(visit.services, browser):
            if form.get("do") == "link":
                proof = str(form.get("password", "")), str(form.get("code", ""))
                begun = await launches.begin_to_link(visit.services, visit.caller, key, browser, *proof)
                return await on_to(visit.request, visit.services, begun)
            await launches.go_on(visit.services, visit.caller, key, browser)
    except Problem as problem:
        if problem.code not in _ASKED_AGAIN:
            return await why_not(visit.request, visit.services, problem)
        came = await launches.open_launch(visit.services, key, browser)
        return await _page(visit.request, visit.services, key, came, problem) if came else visit.on_to(page)
    return visit.on_to(page)


@router.get("/launched/{key}/patient", dependencies=[OF_ONE_PATIENT])
async def patient_page(key: str, visit: VisitOf) -> Response:
    """The patient who is open in the record system: the requests about them, and what can be begun for them."""
    return await _patient_page(visit, key[:LONGEST_KEY])


@router.post("/launched/{key}/patient", dependencies=[OF_ONE_PATIENT])
async def begin_request(key: str, visit: VisitOf) -> Response:
    """On to the form of a new request for the patient, as `portal.drafts.begin` goes."""
    form = await visit.form()
    said, request_id = {name: str(form[name]) for name in ("offering", "clinic") if form.get(name)}, new_id()
    try:
        visit.check_is_sent()
        await draft_to_begin(visit.services, visit.caller, request_id, NewDraft.model_validate(said), visit.language)
    except NOT_TAKEN as error:
        return await _patient_page(visit, key[:LONGEST_KEY], as_problem(error))
    begins = address_of_beginning(visit, {**said, "launch": key[:LONGEST_KEY]})
    return visit.on_to(f"/requests/{request_id}/edit{begins}")


async def _patient_page(visit: Visit, key: str, problem: Problem | Refusal | None = None) -> Response:
    try:
        launched = await launches.read_launched(visit.services, visit.caller, key, visit.language)
    except Problem as other:
        return await why_not(visit.request, visit.services, other)
    may_ask = Role.REQUESTER in visit.caller.roles
    clinics = await list_clinics(visit.services, visit.caller) if may_ask else []
    rows = launched.requests
    groups = (
        ("open", [row for row in rows if row.status.is_open]),
        ("earlier", [row for row in rows if row.status.is_final]),
        ("drafts", [row for row in rows if not row.status.is_open and not row.status.is_final]),
    )
    return visit.page(
        "launched_patient",
        because=problem,
        key=key,
        launched=launched,
        patient=launched.patient.model_dump(mode="json"),
        groups=[(name, found) for name, found in groups if found],
        may_ask=may_ask,
        offered=visit.services.offerings,
        offerings=await newest_offerings(visit.services),
        clinics=sorted(clinics, key=lambda clinic: clinic.id != visit.caller.clinic_id),
        notice=pages.Notice("error", sentence_of(problem, visit.language)) if problem else None,
    )


async def _page(
    request: Request, services: Services, key: str, came: Opened, problem: Problem | None = None
) -> Response:
    """Who goes on: asked of whoever sits before the browser."""
    language, me = await language_of(request, services), came.signed_in
    may_link = came.as_whom is None and me is not None and came.may_begin and await proves_by_password(services, me)
    wrong = fields_of(problem, language, _PLACES)
    return pages.render(
        request,
        "launched",
        language,
        because=problem,
        key=key,
        came=came,
        may_link=may_link,
        needs_code=may_link and me is not None and await sign_on.link_needs_code(services, me.id),
        wrong=pages.written(wrong),
        notice=summary(problem, wrong, language) if problem else None,
    )
