"""The person's journal: who has seen the requests about somebody, as a sealed document. For administrators of clinics."""

from uuid import UUID

from fastapi import APIRouter, Response

from use_cases import journals
from use_cases.journals import JournalBody, JournalOffer, JournalView
from web.files import pdf_response
from web.rates import DOCUMENTS, OF_ONE_PATIENT
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(prefix="/requests/{request_id}", tags=["journals"])


@router.get("/journal", dependencies=[OF_ONE_PATIENT], summary="Of which requests a person's journal would tell")
async def get_journal_offer(request_id: UUID, caller: CallerOf, services: ServicesOf) -> JournalOffer:
    """This request, and those that are probably about the same person, with which your clinic ever had to do.

    For administrators of such a clinic. Who is told so decides which are: `request_ids` of `POST /journals`.
    """
    return await journals.offer_journal(services, caller, request_id)


@router.post("/journals", status_code=202, dependencies=[DOCUMENTS], summary="Ask for a person's journal")
async def ask_journal(request_id: UUID, body: JournalBody, caller: CallerOf, services: ServicesOf) -> JournalView:
    """Who has seen these requests, printed them, taken them along or changed something: a line each, in plain words.

    It is made by itself: ask how far it is. That it was asked for stands in it.
    """
    return await journals.ask_for_journal(services, caller, request_id, body)


@router.get(
    "/journals/{journal_id}.pdf",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}, "description": "The journal, sealed"}},
    dependencies=[DOCUMENTS],
    summary="A person's journal, as a sealed document",
)
async def get_journal_pdf(request_id: UUID, journal_id: UUID, caller: CallerOf, services: ServicesOf) -> Response:
    """Sealed in the name of the clinic: anybody can check it, as a signed report. It is here for seven days."""
    return pdf_response(
        await journals.take_journal(services, caller, request_id, journal_id), f"journal-{journal_id}.pdf"
    )


@router.get("/journals/{journal_id}", summary="How far a journal is")
async def get_journal(request_id: UUID, journal_id: UUID, caller: CallerOf, services: ServicesOf) -> JournalView:
    """For administrators of the clinic that has asked for it."""
    return await journals.read_journal(services, caller, request_id, journal_id)
