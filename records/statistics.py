"""The counts of each week, kept as things happen: a look at them reads a few rows, however many requests there are."""

import uuid
from collections import defaultdict
from collections.abc import Mapping
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.events import Event
from domain.requests import EventName, Request
from domain.statistics import SUBMITTED, Side, measure_of, week_of
from records.models import RequestRecord, WeeklyCount, table_of
from records.straight import Straight

_COUNTS = table_of(WeeklyCount)
_COUNTED = Straight(
    insert(_COUNTS)
    .values(number=1)
    .on_conflict_do_update(constraint=_COUNTS.primary_key, set_={"number": _COUNTS.c.number + 1})
)


async def count(session: AsyncSession, row: RequestRecord, event: Event, request: Request) -> None:
    """Count a new event, for the clinics that it is counted for; always in the same order, so that nobody waits in a ring.

    What was sent as a test counts nowhere.
    """
    if row.is_test:
        return
    counted: list[tuple[uuid.UUID, Side, str]] = []
    if event.name is EventName.SUBMITTED:
        counted = [(row.requester_clinic_id, Side.ASKED, SUBMITTED)]
    elif event.name is EventName.FINAL_REPORT_ISSUED and row.submitted_at and request.final_report:
        measure = measure_of(event.at - row.submitted_at)
        counted = [
            (row.requester_clinic_id, Side.ASKED, measure),
            (request.final_report.signer.clinic_id, Side.ANSWERED, measure),
        ]
    for clinic_id, side, measure in sorted(counted):
        key = {"clinic_id": clinic_id, "side": side, "week": week_of(event.at), "measure": measure}
        await _COUNTED.run(session, key)


async def counts_since(
    session: AsyncSession, week: date, side: Side, clinic_id: uuid.UUID | None
) -> Mapping[date, Mapping[str, int]]:
    """By week and measure, from that week on: of one clinic, or of all together."""
    query = (
        select(WeeklyCount.week, WeeklyCount.measure, func.sum(WeeklyCount.number))
        .where(WeeklyCount.week >= week, WeeklyCount.side == side)
        .group_by(WeeklyCount.week, WeeklyCount.measure)
    )
    if clinic_id is not None:
        query = query.where(WeeklyCount.clinic_id == clinic_id)
    found: dict[date, dict[str, int]] = defaultdict(dict)
    for monday, measure, number in await session.execute(query):
        found[monday][measure] = int(number)
    return found
