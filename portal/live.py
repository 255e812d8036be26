"""What is new, told to open pages as it happens (server-sent events).

An event says only that something the person may see has changed; the page then asks for itself anew. So an event holds no data,
and a page says with its question how far the feed had told when it was read: what came between is told at once.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from portal.pages import Visit, VisitOf
from records.presences import Doing
from use_cases.news import check_may_follow, news
from use_cases.presences import present
from web.rates import STREAMS, must_have_few_streams, open_stream

router = APIRouter(include_in_schema=False)

SILENCE_SECONDS = 20.0
"""How often a silent stream says that it still lives, so that no proxy cuts it and a lost browser is noticed."""


@router.get("/events", dependencies=[STREAMS])
async def events(
    visit: VisitOf,
    request: Annotated[UUID | None, Query()] = None,
    since: Annotated[str | None, Query()] = None,
    doing: Annotated[Doing, Query()] = Doing.LOOKS,
) -> StreamingResponse:
    """A stream of `changed` events: about one request, or about any that the person may see; first about what is past `since`.

    While it is open, others who see the request are shown who has its page open, or writes its report (`doing`); not who reads
    it in an emergency.
    It ends with the session. Raises Problem `not_found` for a request that the person may not see, `too_many_requests` when they
    have too many open.
    """
    must_have_few_streams(visit.request, visit.caller.id, visit.services.settings.streams_at_once)
    if request is not None:
        visit = visit.also_in_emergency()
        await check_may_follow(visit.services, visit.caller, request)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(visit, request, since, doing), 200, headers, "text/event-stream")


async def _stream(visit: Visit, only: UUID | None, since: str | None, doing: Doing) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    with open_stream(visit.request, visit.caller.id):
        async for told in _told(visit, only, since, doing):
            yield told


async def _told(visit: Visit, only: UUID | None, since: str | None, doing: Doing) -> AsyncIterator[str]:
    async with (
        present(visit.services, visit.caller, None if visit.caller.opening else only, doing) as still_here,
        aclosing(news(visit.services, visit.caller, only, since, SILENCE_SECONDS)) as heard,
    ):
        async for is_news in heard:
            await still_here()
            yield "event: changed\ndata: \n\n" if is_news else ": still here\n\n"
