"""Asking open requests to live under the current rules, or by a clinic's new calendar.

Each gets a Signal, which is durable, and moves at its next quiet moment; what moved stands in its timeline. Asking twice changes
nothing twice, so whoever was interrupted asks again. It never asks faster than it is told.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import structlog
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.calendar import Calendar
from domain.commands import RenewRules
from domain.requests import SYSTEM, Request
from domain.rules import CURRENT
from records import people, renewals
from records.database import Database
from workflows.contract import workflow_id

log = structlog.get_logger(__name__)


@dataclass
class Asked:
    """How many were asked; `lost` have no workflow, and move when they are taken up again and asked anew."""

    asked: int = 0
    lost: int = 0


async def renew_rules(
    engine: Client, database: Database, *, per_second: float, reason: str, say: Callable[[Asked], None]
) -> Asked:
    """Ask every open request that lives under older rules than the current ones. `say` hears of the progress."""
    calendars: dict[UUID, Calendar] = {}
    asked = Asked()
    async for request in _pages(database, below_rules=CURRENT):
        if request.terms.calendar is None and request.dispatch_clinic_id not in calendars:
            async with database.session() as session:
                settings = await people.calendar_of(session, request.dispatch_clinic_id)
            calendars[request.dispatch_clinic_id] = settings.frozen_at(datetime.now(UTC))
        calendar = None if request.terms.calendar else calendars[request.dispatch_clinic_id]
        renewal = RenewRules(id=f"rules-{CURRENT}", actor=SYSTEM, rules=CURRENT, calendar=calendar, reason=reason)
        await _ask(engine, request, renewal, asked, per_second, say)
    return asked


async def renew_calendar(
    engine: Client,
    database: Database,
    clinic_id: UUID,
    *,
    per_second: float,
    reason: str,
    say: Callable[[Asked], None],
) -> Asked:
    """Ask the open requests that a clinic dispatches to go on by its present calendar; their running clocks move to it."""
    async with database.session() as session:
        settings = await people.calendar_of(session, clinic_id)
    calendar, this_time = settings.frozen_at(datetime.now(UTC)), uuid4()
    asked = Asked()
    async for request in _pages(database, clinic_id=clinic_id):
        if request.terms.on(calendar) == request.terms:
            continue
        renewal = RenewRules(
            id=f"calendar-{this_time}",
            actor=SYSTEM,
            rules=max(CURRENT, request.rules),
            calendar=calendar,
            move_clocks=True,
            reason=reason,
        )
        await _ask(engine, request, renewal, asked, per_second, say)
    return asked


async def _pages(
    database: Database, *, below_rules: int | None = None, clinic_id: UUID | None = None
) -> AsyncIterator[Request]:
    after = None
    while True:
        async with database.session() as session:
            page = await renewals.open_requests(session, after=after, below_rules=below_rules, clinic_id=clinic_id)
        for request in page:
            yield request
        if not page:
            return
        after = page[-1].id


async def _ask(
    engine: Client,
    request: Request,
    renewal: RenewRules,
    asked: Asked,
    per_second: float,
    say: Callable[[Asked], None],
) -> None:
    try:
        await engine.get_workflow_handle(workflow_id(request.id)).signal(renewal.type, renewal)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        asked.lost += 1
        log.warning("an open request has no workflow", request_id=str(request.id))
    else:
        asked.asked += 1
    say(asked)
    await asyncio.sleep(1 / per_second)
