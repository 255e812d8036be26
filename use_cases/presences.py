"""Who else has a request's page open, or writes its report: shown to those who may see the request."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from uuid import UUID, uuid4

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import Role
from records.presences import Doing, Presence, announce
from use_cases.caller import Caller
from use_cases.names import Names, PersonView
from use_cases.services import Services
from use_cases.views import View

MAY_COME_BACK_SECONDS = 3.0
"""Whoever goes from one page of a request to another is not gone in between."""


class PresenceView(View):
    """Somebody else who has the request's page open right now, or writes its report."""

    person: PersonView
    doing: Doing


async def others_present(
    session: AsyncSession, services: Services, caller: Caller, request_id: UUID
) -> list[PresenceView]:
    """Everybody but the caller, as this process has heard of them."""
    found = {who: doing for who, doing in services.feed.presences.of(request_id).items() if who != caller.id}
    names = await Names.load(session, list(found), [])
    named = [(names.person(who), doing) for who, doing in found.items()]
    shown = [PresenceView(person=person, doing=doing) for person, doing in named if person]
    return sorted(shown, key=lambda one: (one.doing is not Doing.WRITES_REPORT, one.person.name))


@contextlib.asynccontextmanager
async def present(
    services: Services, caller: Caller, request_id: UUID | None, doing: Doing
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """The caller has that request's page open for as long as the block lasts; what it gives says so once more."""
    if request_id is None:
        yield _nothing
        return
    writes = doing is Doing.WRITES_REPORT and Role.PROVIDER in caller.roles
    here = Presence(uuid4(), request_id, caller.id, Doing.WRITES_REPORT if writes else Doing.LOOKS)

    async def again() -> None:
        await _tell(services, here)

    await again()
    try:
        yield again
    finally:
        leaving = asyncio.create_task(_leave(services, here))
        _LEAVING.add(leaving)
        leaving.add_done_callback(_LEAVING.discard)


_LEAVING: set[asyncio.Task[None]] = set()


async def _nothing() -> None:
    return None


async def _leave(services: Services, here: Presence) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(services.stopping.wait(), MAY_COME_BACK_SECONDS)
    await _tell(services, replace(here, doing=None))


async def _tell(services: Services, presence: Presence) -> None:
    """While the database is away nobody hears of it, and nothing else depends on it."""
    with contextlib.suppress(SQLAlchemyError, OSError):
        async with services.database.session() as session:
            await announce(session, presence)
