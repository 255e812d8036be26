"""For specialists: the requests whose report they have signed, with what became of them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.parameters import ReaderLanguage, tell_next
from use_cases import past_cases
from use_cases.past_cases import PastCases
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["requests"])


@router.get("/me/past-cases", summary="My past cases, with their outcome")
async def get_past_cases(
    request: Request,
    response: Response,
    caller: CallerOf,
    services: ServicesOf,
    language: ReaderLanguage,
    cursor: Annotated[UUID | None, Query(description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> PastCases:
    """The requests whose final report the caller has signed, the newest first, with what their requesters said of the answer."""
    page = await past_cases.read_past_cases(services, caller, language, cursor=cursor, limit=limit)
    tell_next(request, response, cursor=page.next_cursor)
    return page
