"""What a specialist has answered, and what became of it."""

from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response

from portal.pages import VisitOf
from use_cases.catalogue import newest_offerings
from use_cases.past_cases import read_past_cases

router = APIRouter(include_in_schema=False)

PAGE_ROWS = 25


@router.get("/past-cases")
async def past_cases_page(visit: VisitOf, cursor: UUID | None = None) -> Response:
    """A page of them, the newest report first."""
    found = await read_past_cases(visit.services, visit.caller, visit.language, cursor=cursor, limit=PAGE_ROWS)
    return visit.page(
        "past_cases",
        cases=found.items,
        next_cursor=found.next_cursor,
        is_first_page=cursor is None,
        offerings=await newest_offerings(visit.services),
    )
