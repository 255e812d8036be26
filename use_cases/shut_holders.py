"""Nothing waits for somebody who sees nothing of it: Relais takes it from them, tries again, and tells others when it stays.

Who is shut out and holds a request all the same came to it by a way that nobody looked at: a role that was given later, a Signal
of an operator, a command that was on its way. Each event is looked at as it is recorded (`records.projection`), each change of an
account when it is made, and everything that is restricted every few minutes, with the repair.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.service import RPCError

from domain.requests import Role
from records import notices, people, requests, restrictions, shut_holders
from records.acting import acting_for
from records.errors import NotFoundError
from records.models import GivenCommand, RequestRecord
from records.visibility import Viewer
from use_cases import giving
from use_cases.administrators import Administrator
from use_cases.gate import GateError, Starting
from use_cases.single_notice import send_by_itself

STAYS_AFTER = timedelta(hours=1)
"""So long may a request be with somebody to whom it is shut before others are told: a document that is being made is there by
then, and so is an engine or a worker that was away for a moment.
"""

_UNREADABLE = (*requests.UNREADABLE, NotFoundError)
"""What one raises that can't be read, or that is gone: the others go on."""

_GIVEN_LATER = (GateError, RPCError, SQLAlchemyError, OSError, *_UNREADABLE)

GIVES_FOR_SECONDS = 5.0
"""So long at most commands are given to the engine before whoever changed an account is answered: the repair gives the others."""

_NOBODY = UUID(int=0)

log = structlog.get_logger(__name__)


async def give(services: Starting, given: GivenCommand) -> None:
    """Give the command that takes a request away; where the engine is away, it is given again until it has it."""
    try:
        await giving.give_again(services, given)
    except _GIVEN_LATER as error:
        log.warning("what takes a request away is given later", error=type(error).__name__)


async def follow(services: Starting, account_id: UUID, by: Administrator) -> None:
    """Somebody's roles changed, or whether they come in: take from them, and from the pool of their clinic, what is shut to
    them now; and what they can't work on any more where whoever did this may not see it, and so hands it on to nobody.

    All of it is written down, and given to the engine as far as that is soon done.
    """
    async with services.database.session() as session:
        account = await people.load_account(session, account_id)
        held = await shut_holders.held_around(session, account) if account else ()
        let_go_by = as_administrator(by, account.clinic_id) if account else None
    written = [await _write_down(services, request_id, let_go_by=let_go_by) for request_id in held]
    clock = asyncio.get_running_loop().time
    until = clock() + GIVES_FOR_SECONDS
    for given in written:
        if given is not None and clock() < until:
            await _give(services, *given)


def as_administrator(by: Administrator, clinic_id: UUID) -> Viewer:
    """Who administers the accounts of that clinic, as who looks at what its people hold."""
    return Viewer(by.hand.account_id or _NOBODY, clinic_id, frozenset({Role.CLINIC_ADMINISTRATOR}))


async def take_away_all(services: Starting, *, now: datetime | None = None) -> int:
    """Take everything away from whom it is shut to, once more where it was tried before; gives how much. Where something stays,
    its dispatchers, and the administrators of the clinic that asked, are told once.
    """
    async with services.database.session() as session:
        waiting = await shut_holders.waiting(session)
    taken = 0
    for request_id in waiting:
        taken += await _take_away(services, request_id)
        await _tell(services, request_id, now or datetime.now(UTC))
    return taken


async def _take_away(services: Starting, request_id: UUID) -> bool:
    """Whether there was something to take away."""
    given = await _write_down(services, request_id)
    if given is not None:
        await _give(services, *given)
    return given is not None


async def _give(services: Starting, clinic_id: UUID, given: GivenCommand) -> None:
    """Give what takes a request of that clinic away: what is sealed of it opens to Relais, whoever called for this."""
    with acting_for(clinic_id):
        await give(services, given)


async def _write_down(
    services: Starting, request_id: UUID, *, let_go_by: Viewer | None = None
) -> tuple[UUID, GivenCommand] | None:
    """What is to be given to take the request away, and for which clinic; None where nothing is, and where it can't be found out
    now: the repair looks again, and the others go on.
    """
    try:
        async with services.database.session() as session:
            row = await requests.load_process(session, request_id)
        if row is None:
            return None
        with acting_for(row.requester_clinic_id):
            async with services.database.session() as session:
                row = await requests.lock_request(session, request_id)
                given = await shut_holders.take_away(session, row, datetime.now(UTC), let_go_by=let_go_by)
                return (row.requester_clinic_id, given) if given is not None else None
    except (*_UNREADABLE, SQLAlchemyError, OSError) as error:
        log.error("a request can't be taken away", request_id=str(request_id), error=type(error).__name__)
        return None


async def _tell(services: Starting, request_id: UUID, now: datetime) -> None:
    """Tell others that the request is stuck, if it is and they were not told yet. As `_take_away` for one that can't be read."""
    try:
        async with services.database.session() as session:
            row = await requests.load_process(session, request_id)
            planned = (
                await notices.plan_stuck_notices(session, row) if row and await _is_stuck(session, row, now) else ()
            )
        for notice_id in planned:
            await send_by_itself(services, notice_id)
    except _GIVEN_LATER as error:
        log.error("whether a request is stuck can't be told", request_id=str(request_id), error=type(error).__name__)


async def _is_stuck(session: AsyncSession, row: RequestRecord, now: datetime) -> bool:
    if not await shut_holders.is_stuck(session, row):
        return False
    return not row.status.is_with_provider or await _stays(session, row, now)


async def _stays(session: AsyncSession, row: RequestRecord, now: datetime) -> bool:
    """Whether it could not be taken away for long, be it that this was refused, waits, or must not be done as it is."""
    since = max([row.waiting_since, *(one.set_at for one in await restrictions.holding(session, row.id))])
    return now - since > STAYS_AFTER
