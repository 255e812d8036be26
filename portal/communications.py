"""The register of communications, for the clinic's administrators: what left by Relais, and what is entered by hand."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData, QueryParams

from domain.communications import ByHand
from domain.refusals import Refusal
from domain.requests import Role
from domain.typed_dates import as_date
from portal import pages
from portal.errors import NOT_TAKEN, as_problem, fields_of, summary
from portal.pages import Visit, VisitOf
from use_cases import communications, policy, register_papers
from use_cases.communications import Asked, Communications, Entries, EntryView
from use_cases.patients import WrittenDate
from use_cases.problems import Problem
from use_cases.views import View
from web.files import csv_response
from web.rates import DOCUMENTS, OF_ONE_PATIENT

router = APIRouter(include_in_schema=False)

_FILTERS = ("since", "until", "recipient", "number")


class _Days(View):
    since: WrittenDate | None = None
    until: WrittenDate | None = None


@router.get("/communications", dependencies=[OF_ONE_PATIENT])
async def communications_page(
    visit: VisitOf, before: UUID | None = None, by_hand_before: UUID | None = None
) -> Response:
    """What left in the days that are asked for; or say what of them can't be read."""
    typed = _typed(visit.request.query_params)
    found, entries, error = Communications(items=[], next=None), Entries(items=[], next=None), None
    try:
        asked = await _asked(visit, typed)
        found = await communications.list_communications(visit.services, visit.caller, asked, before, visit.language)
        if before is None:
            entries = await communications.list_entries(visit.services, visit.caller, asked, by_hand_before)
    except NOT_TAKEN as raised:
        error = as_problem(raised)
        if not isinstance(error, Problem) or not error.errors:
            raise
    wrong = fields_of(error, visit.language)
    here = urlencode({name: text for name, text in typed.items() if text})
    return visit.page(
        "communications",
        because=error,
        found=found,
        entries=entries,
        here=here,
        is_read=error is None,
        form=pages.written(typed),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else pages.done_notice(visit.request, visit.language),
    )


@router.get("/communications.csv", dependencies=[DOCUMENTS])
async def communications_file(visit: VisitOf) -> Response:
    """The same days as a table."""
    asked = await _asked(visit, _typed(visit.request.query_params))
    made = await register_papers.communications_as_csv(visit.services, visit.caller, asked, visit.language)
    return csv_response(made, "communications.csv")


@router.get("/communications/new")
async def new_page(visit: VisitOf, replaces: UUID | None = None) -> Response:
    """What left outside of Relais; or an entry that is to be corrected by another."""
    policy.must_have_role(visit.caller, Role.CLINIC_ADMINISTRATOR)
    before = await communications.read_entry(visit.services, visit.caller, replaces) if replaces else None
    return _form(visit, before)


@router.post("/communications/new")
async def enter(visit: VisitOf, replaces: UUID | None = None) -> Response:
    """Enter it; or say why not, with everything that was written still there."""
    form = await visit.form()
    before = await communications.read_entry(visit.services, visit.caller, replaces) if replaces else None
    try:
        key = visit.key(form)
        wanted = ByHand.model_validate(await _said(visit, form, before))
        await communications.enter(visit.services, visit.caller, wanted, replaces, key)
    except NOT_TAKEN as error:
        return _form(visit, before, form, as_problem(error))
    return visit.on_to("/communications", "communication_entered")


def _typed(said: QueryParams) -> dict[str, str]:
    return {name: said.get(name, "").strip()[:200] for name in _FILTERS}


async def _asked(visit: Visit, typed: dict[str, str]) -> Asked:
    """Raises ValidationError or Problem for what can't be read, or names no request of the clinic's."""
    days = _Days.model_validate({name: as_date(typed[name]) or None for name in ("since", "until")})
    request_id = None
    if typed["number"]:
        request_id = await communications.find_numbered(visit.services, visit.caller, typed["number"])
    return Asked(days.since, days.until, typed["recipient"], request_id)


async def _said(visit: Visit, form: FormData, before: EntryView | None) -> dict[str, Any]:
    texts = {name: str(form.get(name, "")).replace("\r\n", "\n").strip() for name in ("nature", "recipient", "purpose")}
    number = str(form.get("number", "")).strip().upper()
    request_id = before.request_id if before and number == before.number else None
    if number and request_id is None:
        request_id = await communications.find_numbered(visit.services, visit.caller, number)
    return {**texts, "given_on": as_date(str(form.get("given_on", ""))), "request_id": request_id}


def _form(
    visit: Visit,
    before: EntryView | None,
    form: FormData | None = None,
    error: Problem | Refusal | None = None,
) -> Response:
    wrong = {
        ("number" if field == "request_id" else field): words
        for field, words in fields_of(error, visit.language).items()
    }
    held = {}
    if before is not None:
        said = before.entry.model_dump(mode="json", exclude={"request_id"}) if before.entry else {}
        held = {"given_on": str(before.given_on), **said, "number": before.number or ""}
    return visit.page(
        "communication_new",
        because=error,
        before=before,
        form=pages.written(form if form is not None else held),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else None,
    )
