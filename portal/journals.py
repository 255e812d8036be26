"""The person's journal, for the clinic's administrators: whom it is about, of which requests and days it tells, and its file."""

from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.refusals import Refusal
from domain.requests import Role
from portal import pages
from portal.errors import NOT_TAKEN, as_problem, fields_of, summary
from portal.pages import Visit, VisitOf
from translations import LANGUAGES
from use_cases import journals, policy
from use_cases.journals import JournalBody
from use_cases.problems import Problem
from web.files import pdf_response
from web.rates import DOCUMENTS, OF_ONE_PATIENT

router = APIRouter(include_in_schema=False)


@router.get("/journals")
async def journals_page(visit: VisitOf) -> Response:
    """How one comes to a journal; by the number of a request, where a clinic has no other way to it."""
    policy.must_have_role(visit.caller, Role.CLINIC_ADMINISTRATOR)
    return _begin(visit)


@router.post("/journals", dependencies=[OF_ONE_PATIENT])
async def find_request(visit: VisitOf) -> Response:
    """On to the journal of the person of that request."""
    form = await visit.form()
    try:
        visit.check_is_sent()
        request_id = await journals.find_numbered(visit.services, visit.caller, str(form.get("number", ""))[:100])
    except NOT_TAKEN as error:
        return _begin(visit, form, as_problem(error))
    return visit.on_to(f"/requests/{request_id}/journal")


@router.get("/requests/{request_id}/journal", dependencies=[OF_ONE_PATIENT])
async def journal_page(request_id: UUID, visit: VisitOf) -> Response:
    """Of which requests and days the journal is to tell."""
    return await _ask(visit, request_id)


@router.post("/requests/{request_id}/journal", dependencies=[OF_ONE_PATIENT, DOCUMENTS])
async def ask_for_journal(request_id: UUID, visit: VisitOf) -> Response:
    """Have it made; or say why not, with everything that was chosen still there."""
    form = await visit.form()
    try:
        visit.check_is_sent()
        body = JournalBody.model_validate(
            {
                "since": str(form.get("since", "")).strip() or None,
                "until": str(form.get("until", "")).strip() or None,
                "language": form.get("language") or None,
                "request_ids": form.getlist("request_ids"),
            }
        )
        asked = await journals.ask_for_journal(visit.services, visit.caller, request_id, body)
    except NOT_TAKEN as error:
        return await _ask(visit, request_id, form, as_problem(error))
    return visit.on_to(f"/requests/{request_id}/journals/{asked.id}")


@router.get("/requests/{request_id}/journals/{journal_id}.pdf", dependencies=[DOCUMENTS])
async def journal_file(request_id: UUID, journal_id: UUID, visit: VisitOf) -> Response:
    """The sealed file."""
    pdf = await journals.take_journal(visit.services, visit.caller, request_id, journal_id)
    return pdf_response(pdf, f"journal-{journal_id}.pdf")


@router.get("/requests/{request_id}/journals/{journal_id}")
async def journal_state_page(request_id: UUID, journal_id: UUID, visit: VisitOf) -> Response:
    """How far it is; the page asks again by itself until it is there."""
    found = await journals.read_journal(visit.services, visit.caller, request_id, journal_id)
    return visit.page("journal_state", found=found)


def _begin(visit: Visit, form: FormData | None = None, error: Problem | Refusal | None = None) -> Response:
    wrong = fields_of(error, visit.language, {"not_found": "number"})
    return visit.page(
        "journals",
        because=error,
        form=pages.written(form or {}),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else None,
    )


async def _ask(
    visit: Visit, request_id: UUID, form: FormData | None = None, error: Problem | Refusal | None = None
) -> Response:
    offer = await journals.offer_journal(visit.services, visit.caller, request_id)
    wrong = fields_of(error, visit.language)
    chosen = set(form.getlist("request_ids")) if form else set()  # whoever has compared them says which
    return visit.page(
        "journal",
        because=error,
        offer=offer,
        chosen=chosen,
        languages=LANGUAGES,
        form=pages.written({"language": visit.language, **(form or {})}),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else None,
    )
