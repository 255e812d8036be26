"""Work for a caller who may go away meanwhile."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from use_cases.attended import Attended

T = TypeVar("T")


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives. If the caller goes away it is cancelled. What still comes of the call's body is read and passed over.

    Raises ClientDisconnect.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _gone(request: Request) -> None:
    """Until the caller goes away. The body is read as a stream, so that whoever comes after knows that nothing of it is left."""
    try:
        async for _ in request.stream():
            pass
    except ClientDisconnect:
        return
    except RuntimeError:  # it was read before
        pass
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _attended(request: Request) -> Attended:
    async def attended(work: Coroutine[Any, Any, T]) -> T:
        return await while_connected(request, work)

    return attended


AttendedBy = Annotated[Attended, Depends(_attended)]
"""What ends work when this call breaks off (`while_connected`), as a parameter of a route."""
