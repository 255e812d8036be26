"""What is new, told to open pages as it happens (server-sent events).

An event says only that something the person may see has changed; the page then asks for itself anew. So an event holds no data,
and a page that missed some is right again after the next one.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import SQLAlchemyError

from portal.pages import Visit, VisitOf
from records.feed import Change
from use_cases import policy
from use_cases.problems import Problem
from use_cases.sign_in import holds

router = APIRouter()

SILENCE_SECONDS = 20.0
"""How often a silent stream says that it still lives, so that no proxy cuts it and a lost browser is noticed."""

GATHER_SECONDS = 0.3
"""Changes that come within this time are told as one."""


@router.get("/events")
async def events(visit: VisitOf, request: Annotated[UUID | None, Query()] = None) -> StreamingResponse:
    """A stream of `changed` events: about one request, or about any that the person may see.

    It ends with the session. Raises Problem `not_found` for a request that the person may not see.
    """
    if request is not None:
        async with visit.services.database.session() as session:
            await policy.request_to_see(session, visit.caller, request)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(visit, request), 200, headers, "text/event-stream")


async def _stream(visit: Visit, only: UUID | None) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    clock = asyncio.get_running_loop().time
    silent_until = clock() + SILENCE_SECONDS
    heard: asyncio.Task[Change | None] | None = None
    stopping = asyncio.create_task(visit.services.stopping.wait())
    try:
        with visit.services.feed.subscribe() as changes:
            while True:
                heard = heard or asyncio.ensure_future(anext(changes))
                pause = max(0.0, silent_until - clock())
                await asyncio.wait({heard, stopping}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    return
                is_news = False
                if heard.done():
                    change, heard = heard.result(), None
                    is_news = await _concerns(visit, change, only)
                if not is_news and clock() < silent_until:
                    continue
                if not await _is_signed_in(visit):
                    return
                yield "event: changed\ndata: \n\n" if is_news else ": still here\n\n"
                silent_until = clock() + SILENCE_SECONDS
                if is_news:
                    await asyncio.wait({stopping}, timeout=GATHER_SECONDS)
    finally:
        stopping.cancel()
        if heard is not None:
            heard.cancel()


async def _is_signed_in(visit: Visit) -> bool:
    """Whether the session that opened the stream still holds. While nobody can say, it does: an event holds no data."""
    try:
        return await holds(visit.services, visit.caller)
    except (SQLAlchemyError, OSError):
        return True


async def _concerns(visit: Visit, change: Change | None, only: UUID | None) -> bool:
    """Whether the person may see what changed. When some may have been missed (None), the page looks afresh."""
    if change is None:
        return True
    if only is not None and change.request_id != only:
        return False
    try:
        async with visit.services.database.session() as session:
            await policy.request_to_see(session, visit.caller, change.request_id)
    except Problem:
        return only is not None  # the page that is open shows what the person may no longer see
    except (SQLAlchemyError, OSError):
        return False
    return True
