"""The feed of changes, for who keeps a copy of what they see."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.parameters import tell_next
from use_cases import changes
from use_cases.changes import Changes
from web.services import ServicesOf
from web.session import RequestReader

router = APIRouter(tags=["requests"])


@router.get("/changes", summary="What has changed")
async def get_changes(
    request: Request,
    response: Response,
    caller: RequestReader,
    services: ServicesOf,
    after: Annotated[
        str | None,
        Query(
            max_length=300,
            description="`after` of the page before. Without it, the answer says where the feed stands now.",
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Changes:
    """What happened to the requests that the caller may see, the oldest first, and which they do not see any more.

    **It misses nothing**, whatever is written at the same time, and tells each request's changes in their order. To begin, ask
    without `after`, read the lists, then go on from the `after` that was given; keep that of each page once the page is dealt
    with. A page that is read again from the same place may tell less: what one may see is asked anew each time. Kept for 30 days;
    from an older place the answer is 410 `cursor_expired`: begin again.
    """
    page = await changes.read_changes(services, caller, after, limit)
    tell_next(request, response, after=page.after)
    return page
