"""Reading requests: the worklist, one request, its timeline, and who has looked at it."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AwareDatetime

from api.parameters import ReaderLanguage, tell_next
from domain.model import Storable
from domain.priority import Priority
from domain.requests import Status
from records.worklist import WorklistFilter
from translations import Language
from use_cases import accesses, requests, same_patient, submitted_forms, timeline, whole_case, worklist
from use_cases.accesses import AccessView
from use_cases.references import Reference
from use_cases.requests import RequestSummary, RequestView
from use_cases.submitted_forms import FormVersionView, FormView
from use_cases.timeline import TimelineEntry
from use_cases.worklist import Worklist
from web.connected import AttendedBy
from web.files import pdf_response
from web.rates import DOCUMENTS, OF_ONE_PATIENT, SEARCHES
from web.services import ServicesOf
from web.session import CallerOf, RequestReader

router = APIRouter(tags=["requests"])


@router.get("/requests", dependencies=[SEARCHES], summary="The worklist")
async def get_worklist(
    request: Request,
    response: Response,
    caller: RequestReader,
    services: ServicesOf,
    language: ReaderLanguage,
    status: Annotated[list[Status] | None, Query(description="One or several statuses.")] = None,
    holder: Annotated[
        Literal["me"] | UUID | None,
        Query(
            description="`me`: only what waits for me, or for a pool or dispatchers to whom I belong. An account's id: only "
            "what this person holds."
        ),
    ] = None,
    todo: Annotated[
        bool | None, Query(description="Only what the caller has to do something about (or has not), whoever holds it.")
    ] = None,
    clinic: Annotated[UUID | None, Query(description="Only what this clinic asked for, dispatches or holds.")] = None,
    overdue: Annotated[bool | None, Query(description="Only what is late (or is not).")] = None,
    holder_absent: Annotated[
        bool | None, Query(description="Only what is held by somebody who is away today (or is not).")
    ] = None,
    offering: Annotated[Storable | None, Query(max_length=64)] = None,
    priority: Annotated[Priority | None, Query()] = None,
    submitted_from: Annotated[
        date | None, Query(description="Only what was submitted on this day or later (America/Toronto).")
    ] = None,
    submitted_until: Annotated[date | None, Query(description="Only what was submitted on this day or before.")] = None,
    updated_since: Annotated[
        AwareDatetime | None,
        Query(
            description="Only what changed at this time or later, by `updated_at`. That is when it happened, and it may show a "
            "little later: let what you ask for overlap by some minutes. `/changes` misses nothing, and needs no overlap."
        ),
    ] = None,
    q: Annotated[
        Storable | None,
        Query(
            max_length=100,
            description="What to find: a request's number in any writing or a part of it; the patient's names (in any order, "
            "without accents, or their beginnings of three letters and more), birth date or health-insurance number, where "
            "the caller may see the chart; the requester, the holder, or a clinic. Finding a patient is written down as an "
            "access.",
        ),
    ] = None,
    reference: Annotated[
        Reference | None,
        Query(
            description="What a system of the caller's clinic calls the request by itself; of a system, what it does. Finding a "
            "request so is written down as an access."
        ),
    ] = None,
    sort: Annotated[Literal["due", "-due", "priority", "updated", "created"], Query()] = "due",
    cursor: Annotated[str | None, Query(max_length=1000, description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Worklist:
    """The requests that the caller may see, a page at a time, with their counts by status."""
    wanted = WorklistFilter(
        statuses=frozenset(status or ()),
        holder_is_me=holder == "me",
        holder=holder if isinstance(holder, UUID) else None,
        to_do=todo,
        clinic=clinic,
        overdue=overdue,
        holder_absent=holder_absent,
        submitted_from=submitted_from,
        submitted_until=submitted_until,
        updated_since=updated_since,
        reference=reference,
        reference_of=caller.system.account.id if caller.system else None,
        q=q or "",
        offering=offering,
        priority=priority,
        sort=sort,
        cursor=cursor,
        limit=limit,
    )
    page = await worklist.read_worklist(services, caller, wanted, language)
    tell_next(request, response, cursor=page.next_cursor)
    return page


@router.get("/requests/{request_id}", summary="One request")
async def get_request(
    request_id: UUID, caller: RequestReader, services: ServicesOf, language: ReaderLanguage, response: Response
) -> RequestView:
    """What the caller may see of the request, and the commands that they may give."""
    view = await requests.read_request(services, caller.also_in_emergency(), request_id, language)
    response.headers["ETag"] = f'"{view.version}"'
    return view


@router.get("/requests/{request_id}/timeline", summary="Who did what, when")
async def get_timeline(
    request_id: UUID, caller: RequestReader, services: ServicesOf, language: ReaderLanguage
) -> list[TimelineEntry]:
    """Everything that happened to the request, oldest first. What was said with it shows only with the chart."""
    return await timeline.read_timeline(services, caller.also_in_emergency(), request_id, language)


@router.get(
    "/requests/{request_id}/case.pdf",
    dependencies=[DOCUMENTS],
    summary="The whole case as one PDF",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}},
)
async def get_whole_case(
    request_id: UUID,
    caller: CallerOf,
    services: ServicesOf,
    attended: AttendedBy,
    language: Annotated[
        Language | None, Query(description="Language of the document; the caller's own if empty.")
    ] = None,
) -> Response:
    """Everything of the request that the caller may see: form, photos, exchange, reports, history. Written down as an export.

    It is a copy for the patient's record elsewhere, and not signed; the signed documents are at `/reports`.
    """
    case = await whole_case.whole_case(services, caller, request_id, language, attended)
    response = pdf_response(case.pdf, case.filename)
    response.headers["Cache-Control"] = "private, no-store"
    return response


@router.get(
    "/requests/{request_id}/same-patient",
    dependencies=[OF_ONE_PATIENT],
    summary="Other requests about the patient",
)
async def get_same_patient(
    request_id: UUID, caller: CallerOf, services: ServicesOf, language: ReaderLanguage
) -> list[RequestSummary]:
    """Requests about probably the same patient (the same number, or the same names and birth date), the newest first.

    At most 100, of those whose chart the caller may see. Finding them is written down as an access, as a search is.
    """
    return await same_patient.read_same_patient(services, caller, request_id, language)


@router.get("/requests/{request_id}/forms", summary="The form, version by version")
async def get_forms(request_id: UUID, caller: RequestReader, services: ServicesOf) -> list[FormVersionView]:
    """Every submission of the request's form, oldest first."""
    return await submitted_forms.list_forms(services, caller.also_in_emergency(), request_id)


@router.get("/requests/{request_id}/forms/{number}", summary="The form as it was submitted")
async def get_form(
    request_id: UUID, number: Annotated[int, Path(ge=1, le=10_000)], caller: RequestReader, services: ServicesOf
) -> FormView:
    """What one submission said, and what had changed since the one before it."""
    return await submitted_forms.read_form(services, caller.also_in_emergency(), request_id, number)


@router.get("/requests/{request_id}/accesses", summary="Who looked at what, when")
async def get_accesses(request_id: UUID, caller: CallerOf, services: ServicesOf) -> list[AccessView]:
    """The newest 200 accesses to the request, for its requester and for administrators of a clinic that has to do with it."""
    return await accesses.list_accesses(services, caller, request_id)
