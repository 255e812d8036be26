"""The register of confidentiality incidents, for the clinic's administrators: recorded, completed, and what is still owed."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.datastructures import FormData

from domain.incidents import Duty, Incident
from domain.refusals import Refusal
from domain.requests import Role
from domain.typed_dates import as_date
from portal import pages
from portal.errors import NOT_TAKEN, as_problem, fields_of, summary
from portal.pages import Visit, VisitOf
from translations import LANGUAGES, Language, gettext_for
from translations.registers import DUTIES, INCIDENT_FIELDS, RISKS
from use_cases import incidents, policy, register_papers
from use_cases.incident_texts import TITLES, Draft, read_draft, told
from use_cases.incidents import IncidentView
from use_cases.problems import Problem
from use_cases.register_papers import PaperBody
from web.files import csv_response, pdf_response
from web.rates import DOCUMENTS

router = APIRouter(include_in_schema=False)

_DAYS = ("happened_from", "happened_until", "aware_on", "minister_told_on", "commission_told_on", "persons_told_on")
_TYPED_DAYS = (*_DAYS, "public_notice_on")
_YES = ("happened_roughly", "persons_roughly")
_NUMBERS = ("persons", "persons_in_quebec")
_RISKS = {"yes": True, "no": False}


@router.get("/incidents")
async def incidents_page(visit: VisitOf) -> Response:
    """The register: what owes something first."""
    return visit.page(
        "incidents",
        lines=await incidents.list_incidents(visit.services, visit.caller),
        duties=DUTIES,
        complete=Duty.COMPLETE,
        most=incidents.MOST_SHOWN,
        notice=pages.done_notice(visit.request, visit.language),
    )


@router.get("/incidents.csv", dependencies=[DOCUMENTS])
async def incidents_file(visit: VisitOf) -> Response:
    """The register as a table."""
    made = await register_papers.incidents_as_csv(visit.services, visit.caller, visit.language)
    return csv_response(made, "incidents.csv")


@router.get("/incidents/new")
async def new_page(visit: VisitOf) -> Response:
    """What is known so far."""
    policy.must_have_role(visit.caller, Role.CLINIC_ADMINISTRATOR)
    return _form(visit, None)


@router.post("/incidents/new")
async def record(visit: VisitOf) -> Response:
    """Record it; or say why not, with everything that was written still there."""
    form = await visit.form()
    try:
        key = visit.key(form)
        wanted = Incident.model_validate(await _said(visit, form))
        found = await incidents.record_incident(visit.services, visit.caller, wanted, key)
    except NOT_TAKEN as error:
        return _form(visit, None, form, as_problem(error))
    return visit.on_to(f"/incidents/{found.id}", "incident_recorded")


@router.get("/incidents/{incident_id}")
async def incident_page(incident_id: UUID, visit: VisitOf, version: int | None = None) -> Response:
    """An incident as it is in force, or as it was written in an earlier version."""
    found = await incidents.read_incident(visit.services, visit.caller, incident_id)
    shown = next((one for one in found.versions if one.version == version), found.versions[0])
    numbers = [one.number for one in found.requests]
    return visit.page(
        "incident",
        found=found,
        shown=shown,
        points=told(shown.incident, numbers if shown.version == found.version else (), visit.language),
        duties=DUTIES,
        field_words=INCIDENT_FIELDS,
        complete=Duty.COMPLETE,
        drafts=TITLES,
        notice=pages.done_notice(visit.request, visit.language),
    )


@router.get("/incidents/{incident_id}/edit")
async def edit_page(incident_id: UUID, visit: VisitOf) -> Response:
    """What is in force of it, to be completed or corrected."""
    return _form(visit, await incidents.read_incident(visit.services, visit.caller, incident_id))


@router.post("/incidents/{incident_id}/edit")
async def correct(incident_id: UUID, visit: VisitOf) -> Response:
    """Write a new version; or say why not, with everything that was written still there."""
    form = await visit.form()
    found = await incidents.read_incident(visit.services, visit.caller, incident_id)
    try:
        visit.check_is_sent()
        wanted = Incident.model_validate(await _said(visit, form, found))
        version = pages.number_in(form, "version") or 0  # who names none has seen none
        await incidents.correct_incident(visit.services, visit.caller, incident_id, wanted, version)
    except NOT_TAKEN as error:
        if _is_changed(error):
            found = await incidents.read_incident(visit.services, visit.caller, incident_id)
        return _form(visit, found, form, as_problem(error))
    return visit.on_to(f"/incidents/{incident_id}", "incident_corrected")


@router.get("/incidents/{incident_id}/drafts/{draft}")
async def draft_page(incident_id: UUID, draft: Draft, visit: VisitOf, language: str = "") -> Response:
    """A draft of the notice or of the letter, to be copied or printed."""
    spoken: Language = next((known for known in LANGUAGES if known == language), visit.language)
    return visit.page(
        "incident_draft",
        incident_id=incident_id,
        draft=draft,
        draft_title=TITLES[draft],
        text=await read_draft(visit.services, visit.caller, incident_id, draft, spoken),
        spoken=spoken,
    )


# Papers of both registers


@router.post("/registers/papers", dependencies=[DOCUMENTS])
async def ask_for_paper(visit: VisitOf) -> Response:
    """Have a register made as a sealed document."""
    form = await visit.form()
    visit.check_is_sent()
    days = {name: as_date(str(form.get(name, ""))) or None for name in ("since", "until")}
    try:
        body = PaperBody.model_validate({"kind": str(form.get("kind", "")), **days})
    except ValidationError as error:  # the form itself offers days that were read already
        raise as_problem(error) from None
    asked = await register_papers.ask_for_paper(visit.services, visit.caller, body)
    return visit.on_to(f"/registers/papers/{asked.id}?kind={body.kind.value}")


@router.get("/registers/papers/{paper_id}.pdf", dependencies=[DOCUMENTS])
async def paper_file(paper_id: UUID, visit: VisitOf) -> Response:
    """The sealed file."""
    pdf = await register_papers.take_paper(visit.services, visit.caller, paper_id)
    return pdf_response(pdf, f"register-{paper_id}.pdf")


@router.get("/registers/papers/{paper_id}")
async def paper_page(paper_id: UUID, visit: VisitOf, kind: str = "") -> Response:
    """How far it is; the page asks again by itself until it is there."""
    found = await register_papers.read_paper(visit.services, visit.caller, paper_id)
    return visit.page("register_paper", found=found, back="communications" if kind == "communications" else "incidents")


def _form(
    visit: Visit,
    found: IncidentView | None,
    form: FormData | None = None,
    error: Problem | Refusal | None = None,
) -> Response:
    """The form as it was typed, with the version that its page has shown: what somebody else wrote since is not seen yet.

    Where that is why it was not taken, what they wrote stands beside, and that is the version seen.
    """
    wrong = {place.partition(".")[0]: words for place, words in fields_of(error, visit.language).items()}
    seen = pages.number_in(form, "version") or 0 if form is not None else 0
    is_changed = found is not None and _is_changed(error)
    return visit.page(
        "incident_edit",
        because=error,
        found=found,
        version=found.version if found and (form is None or is_changed) else seen,
        since=[one for one in found.versions if one.version > seen] if found and is_changed else [],
        differs=_differs(found, form, seen, visit.language) if found and form is not None and is_changed else {},
        words=INCIDENT_FIELDS,
        form=pages.written(form if form is not None else _as_written(found)),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else None,
    )


async def _said(visit: Visit, form: FormData, found: IncidentView | None = None) -> dict[str, Any]:
    """What the form says, as an incident. Requests are named by their numbers; those that it names already stay."""
    said: dict[str, Any] = {}
    for name in Incident.model_fields:
        text = str(form.get(name, "")).replace("\r\n", "\n").strip()
        if name in _TYPED_DAYS:
            said[name] = as_date(text) or None
        elif name in _YES:
            said[name] = name in form
        elif name == "serious_risk":
            said[name] = _RISKS.get(text)
        elif name != "request_ids":
            said[name] = text or None
    known = {one.number: one.id for one in found.requests} if found else {}
    numbers = dict.fromkeys(str(form.get("request_ids", "")).upper().replace(",", " ").split())
    new = [number for number in numbers if number not in known]
    known |= await incidents.requests_numbered(visit.services, visit.caller, new)
    said["request_ids"] = [known[number] for number in numbers]
    return {name: value for name, value in said.items() if value is not None}


def _as_written(found: IncidentView | None) -> dict[str, str]:
    if found is None or found.incident is None:
        return {}
    held = found.incident.model_dump(mode="json", exclude={"request_ids", "serious_risk", *_YES})
    texts = {name: str(value) for name, value in held.items() if value is not None}
    risk = next((name for name, value in _RISKS.items() if value is found.incident.serious_risk), "")
    ticked = {name: "yes" for name in _YES if getattr(found.incident, name)}
    return {**texts, **ticked, "serious_risk": risk, "request_ids": ", ".join(one.number for one in found.requests)}


def _is_changed(error: Exception | None) -> bool:
    return isinstance(error, Problem) and error.code == "incident_changed"


def _differs(found: IncidentView, form: FormData, seen: int, language: Language) -> dict[str, str]:
    """What others have written since the version that was seen, where it is not what the form says."""
    before = next((one.incident for one in found.versions if one.version == seen), None)
    now = _as_written(found)
    return {
        name: _shown(name, now.get(name, ""), language)
        for name in Incident.model_fields
        if (before is None or getattr(before, name) != getattr(found.incident, name))
        and str(form.get(name, "")).replace("\r\n", "\n").strip() != now.get(name, "")
    }


def _shown(name: str, text: str, language: Language) -> str:
    if name == "serious_risk":
        return gettext_for(language)(RISKS[_RISKS.get(text)])
    return gettext_for(language)(RISKS[bool(text)]) if name in _YES else text
