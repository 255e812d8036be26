"""The register of communications of a clinic: when data about patients left it, to whom and for what; and registers as papers."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from api.parameters import IdempotencyKey, ReaderLanguage, tell_next
from domain.communications import ByHand
from use_cases import communications, register_papers
from use_cases.communications import Asked, Communications, Entries, EntryView
from use_cases.patients import WrittenDate
from use_cases.register_papers import PaperBody, PaperView
from web.files import csv_response, pdf_response
from web.rates import DOCUMENTS, OF_ONE_PATIENT
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["registers"])

Since = Annotated[WrittenDate | None, Query(description="The first day, where the clinic is.")]
Until = Annotated[WrittenDate | None, Query(description="The last day.")]
To = Annotated[str, Query(alias="recipient", max_length=200, description="Words of who got it.")]
Of = Annotated[UUID | None, Query(alias="request_id", description="The request that it is of.")]


async def _asked(since: Since = None, until: Until = None, recipient: To = "", request_id: Of = None) -> Asked:
    return Asked(since, until, recipient, request_id)


AskedOf = Annotated[Asked, Depends(_asked)]
"""Which communications are asked for."""


@router.get("/communications", dependencies=[OF_ONE_PATIENT], summary="When data left the clinic by Relais")
async def list_communications(
    request: Request,
    response: Response,
    caller: CallerOf,
    services: ServicesOf,
    language: ReaderLanguage,
    asked: AskedOf,
    before: Annotated[UUID | None, Query(description="Go on from here, as `next` of a page says.")] = None,
) -> Communications:
    """For administrators, of their own clinic, from the audit, the newest first. A page may be empty and have a `next`: so far
    the audit was looked through. Patients are named by their requests' numbers alone.
    """
    found = await communications.list_communications(services, caller, asked, before, language)
    tell_next(request, response, before=found.next)
    return found


@router.get(
    "/communications.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}, "description": "A line for each communication"}},
    dependencies=[DOCUMENTS],
    summary="The register of communications, as a table",
)
async def get_communications_csv(
    caller: CallerOf,
    services: ServicesOf,
    language: ReaderLanguage,
    asked: AskedOf,
) -> Response:
    """What left by Relais, and what was entered by hand, the newest first; 5,000 lines at most. No cell is a formula."""
    made = await register_papers.communications_as_csv(services, caller, asked, language)
    return csv_response(made, "communications.csv")


@router.get("/communications/by-hand", summary="What was entered by hand")
async def list_entries(
    request: Request,
    response: Response,
    caller: CallerOf,
    services: ServicesOf,
    asked: AskedOf,
    before: Annotated[UUID | None, Query(description="Go on from here, as `next` of a page says.")] = None,
) -> Entries:
    """What left the clinic outside of Relais, the newest day first. What was replaced is not among it. A page may be empty and
    have a `next`: so far was looked for the recipient. What does not open is told with its day.
    """
    found = await communications.list_entries(services, caller, asked, before)
    tell_next(request, response, before=found.next)
    return found


@router.post("/communications/by-hand", status_code=201, summary="Enter what left outside of Relais")
async def enter_communication(
    entry: ByHand,
    caller: CallerOf,
    services: ServicesOf,
    key: IdempotencyKey,
    replaces: Annotated[UUID | None, Query(description="The entry in whose place this one stands.")] = None,
) -> EntryView:
    """On paper, by telephone, by another system. Nothing is changed or removed afterwards: another entry replaces one."""
    return await communications.enter(services, caller, entry, replaces, key)


@router.get("/communications/by-hand/{entry_id}", summary="One entry by hand")
async def get_entry(entry_id: UUID, caller: CallerOf, services: ServicesOf) -> EntryView:
    """Also one in whose place another one stands."""
    return await communications.read_entry(services, caller, entry_id)


@router.post("/register-papers", status_code=202, dependencies=[DOCUMENTS], summary="Ask for a register on paper")
async def ask_register_paper(body: PaperBody, caller: CallerOf, services: ServicesOf) -> PaperView:
    """Of the clinic's incidents, or of its communications. It is made by itself: ask how far it is."""
    return await register_papers.ask_for_paper(services, caller, body)


@router.get(
    "/register-papers/{paper_id}.pdf",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}, "description": "The register, sealed"}},
    dependencies=[DOCUMENTS],
    summary="A register, as a sealed document",
)
async def get_register_paper_pdf(paper_id: UUID, caller: CallerOf, services: ServicesOf) -> Response:
    """Sealed in the name of the clinic: anybody can check it, as a signed report. It is here for seven days."""
    return pdf_response(await register_papers.take_paper(services, caller, paper_id), f"register-{paper_id}.pdf")


@router.get("/register-papers/{paper_id}", summary="How far a paper of a register is")
async def get_register_paper(paper_id: UUID, caller: CallerOf, services: ServicesOf) -> PaperView:
    """For administrators of the clinic that has asked for it."""
    return await register_papers.read_paper(services, caller, paper_id)
