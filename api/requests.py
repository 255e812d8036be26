"""Reading requests: the worklist, one request, its timeline, and who has looked at it."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.parameters import ReaderLanguage
from api.views import RequestSummary, RequestView, request_view, summaries
from domain.model import Storable
from domain.priority import Priority
from domain.requests import Role, Status
from records import access, forms, worklist
from records.drafts import open_form
from records.errors import BadCursorError
from records.models import AccessKind, FrozenForm, RequestRecord
from records.worklist import WorklistFilter
from use_cases import policy
from use_cases.caller import Caller
from use_cases.names import Names, PersonView
from use_cases.problems import FieldFault, Problem
from use_cases.submitted_forms import FormVersionView, FormView, form_version_view, form_view
from use_cases.timeline import TimelineEntry, timeline_view
from use_cases.views import View
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["requests"])


class Worklist(View):
    """A page of the worklist. `counts` are over all pages, by status, whatever status is asked for."""

    items: list[RequestSummary]
    counts: dict[Status, int]
    next_cursor: str | None


class AccessView(View):
    """One look at a request."""

    at: datetime
    by: PersonView | None
    role: Role
    what: AccessKind
    object_id: UUID | None


@router.get("/requests", summary="The worklist")
async def get_worklist(
    caller: CallerOf,
    services: ServicesOf,
    language: ReaderLanguage,
    status: Annotated[list[Status] | None, Query(description="One or several statuses.")] = None,
    holder: Annotated[
        Literal["me"] | None,
        Query(description="`me`: only what waits for me, or for a pool or dispatchers to whom I belong."),
    ] = None,
    clinic: Annotated[UUID | None, Query(description="Only what this clinic asked for, dispatches or holds.")] = None,
    overdue: Annotated[bool | None, Query(description="Only what is late (or is not).")] = None,
    holder_absent: Annotated[
        bool | None, Query(description="Only what is held by somebody who is away today (or is not).")
    ] = None,
    offering: Annotated[Storable | None, Query(max_length=64)] = None,
    priority: Annotated[Priority | None, Query()] = None,
    q: Annotated[Storable | None, Query(max_length=100, description="Part of the request's number.")] = None,
    sort: Annotated[Literal["due", "-due", "priority", "updated", "created"], Query()] = "due",
    cursor: Annotated[str | None, Query(max_length=1000, description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Worklist:
    """The requests that the caller may see, a page at a time, with their counts by status."""
    wanted = WorklistFilter(
        statuses=frozenset(status or ()),
        holder_is_me=holder == "me",
        clinic=clinic,
        overdue=overdue,
        holder_absent=holder_absent,
        q=q or "",
        offering=offering,
        priority=priority,
        sort=sort,
        cursor=cursor,
        limit=limit,
    )
    async with services.database.session() as session:
        try:
            page = await worklist.worklist(session, caller.viewer, wanted)
        except BadCursorError:
            raise Problem("invalid_input", [FieldFault("cursor", "bad_cursor")]) from None
        items = await summaries(session, caller, page.rows, language)
    return Worklist(items=items, counts=page.counts, next_cursor=page.next_cursor)


@router.get("/requests/{request_id}", summary="One request")
async def get_request(
    request_id: UUID, caller: CallerOf, services: ServicesOf, language: ReaderLanguage, response: Response
) -> RequestView:
    """What the caller may see of the request, and the commands that they may give."""
    async with services.database.session() as session:
        row, how = await policy.request_to_see(session, caller, request_id)
        await open_form(session, services.versions, row)
        view = await request_view(session, caller, row, how, language)
        await log_access(session, caller, row, AccessKind.REQUEST)
    response.headers["ETag"] = f'"{view.version}"'
    return view


@router.get("/requests/{request_id}/timeline", summary="Who did what, when")
async def get_timeline(
    request_id: UUID, caller: CallerOf, services: ServicesOf, language: ReaderLanguage
) -> list[TimelineEntry]:
    """Everything that happened to the request, oldest first. What was said with it shows only with the chart."""
    async with services.database.session() as session:
        row, how = await policy.request_to_see(session, caller, request_id)
        await log_access(session, caller, row, AccessKind.TIMELINE)
        return await timeline_view(session, row, how, language)


@router.get("/requests/{request_id}/forms", summary="The form, version by version")
async def get_forms(request_id: UUID, caller: CallerOf, services: ServicesOf) -> list[FormVersionView]:
    """Every submission of the request's form, oldest first."""
    async with services.database.session() as session:
        found, names = await _forms_to_see(session, caller, request_id)
        return [form_version_view(form, names) for form in found]


@router.get("/requests/{request_id}/forms/{number}", summary="The form as it was submitted")
async def get_form(
    request_id: UUID, number: Annotated[int, Path(ge=1, le=10_000)], caller: CallerOf, services: ServicesOf
) -> FormView:
    """What one submission said, and what had changed since the one before it."""
    async with services.database.session() as session:
        found, names = await _forms_to_see(session, caller, request_id)
        for before, form in zip([None, *found], found, strict=False):
            if form.number == number:
                return form_view(form, before, names)
    raise Problem("not_found")


async def _forms_to_see(session: AsyncSession, caller: Caller, request_id: UUID) -> tuple[list[FrozenForm], Names]:
    row = await policy.chart_to_see(session, caller, request_id)
    await log_access(session, caller, row, AccessKind.REQUEST)
    found = await forms.submitted_forms(session, row.id)
    return found, await Names.load(session, [form.frozen_by for form in found], [])


@router.get("/requests/{request_id}/accesses", summary="Who looked at what, when")
async def get_accesses(request_id: UUID, caller: CallerOf, services: ServicesOf) -> list[AccessView]:
    """The newest 200 accesses to the request, for its requester and for administrators of a clinic that has to do with it."""
    async with services.database.session() as session:
        row = await policy.chart_to_see(session, caller, request_id)
        if row.requester_id != caller.id:
            policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)
        entries = await access.list_accesses(session, row.id)
        names = await Names.load(session, [entry.account_id for entry in entries], [])
        return [
            AccessView(
                at=entry.at,
                by=names.person(entry.account_id),
                role=entry.role,
                what=entry.kind,
                object_id=entry.object_id,
            )
            for entry in entries
        ]


async def log_access(
    session: AsyncSession, caller: Caller, row: RequestRecord, kind: AccessKind, object_id: UUID | None = None
) -> None:
    """Write down that the caller looked at something of a request. One's own draft is nobody else's business yet."""
    if row.status is Status.DRAFT:
        return
    await access.log_access(
        session,
        request_id=row.id,
        account_id=caller.id,
        role=policy.role_before(caller, row),
        kind=kind,
        at=datetime.now(UTC),
        version=row.process_version,
        object_id=object_id,
    )
