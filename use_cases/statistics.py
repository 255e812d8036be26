"""How it goes: what is late and with whom, and what was asked and answered each week; for administrators and operators."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from pydantic import Field

from domain.requests import Role, Status
from domain.statistics import SUBMITTED, Side, answered, week_of, within
from records import statistics
from records.worklist import WorklistFilter, worklist
from use_cases import policy
from use_cases.caller import Caller
from use_cases.services import Services
from use_cases.views import View

MOST_WEEKS = 26


class WeekView(View):
    """One week, from Monday on. Times are upper limits: `half_within_hours` 24: half of the answers took a day at most."""

    week: date
    submitted: int
    answered: int
    half_within_hours: int | None = Field(
        description="Empty where nothing was answered, or half took more than 30 days."
    )
    most_within_hours: int | None = Field(description="The same for nine in ten.")


class StatisticsView(View):
    """`weeks` are of what the clinic's people asked, oldest first; `own_answers` of what they signed. For operators, of all."""

    clinic_only: bool
    weeks: list[WeekView]
    own_answers: list[WeekView]
    late: dict[Status, int] = Field(
        description="What is overdue now, by status: whoever must act; of each at most 1,000."
    )


async def read_statistics(services: Services, caller: Caller, *, weeks: int = 12) -> StatisticsView:
    """Of one's clinic; for operators, of all, without anything of a patient. Raises Problem `forbidden` for others."""
    policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR, Role.OPERATOR)
    clinic_id = None if Role.OPERATOR in caller.roles else caller.clinic_id
    this = week_of(datetime.now(UTC))
    shown = [this - timedelta(weeks=back) for back in reversed(range(weeks))]
    async with services.database.session() as session:
        asked = await statistics.counts_since(session, shown[0], Side.ASKED, clinic_id)
        signed = await statistics.counts_since(session, shown[0], Side.ANSWERED, clinic_id)
        late = (await worklist(session, caller.viewer, WorklistFilter(overdue=True, limit=1))).counts
    return StatisticsView(
        clinic_only=clinic_id is not None,
        weeks=[_week(monday, asked.get(monday, {})) for monday in shown],
        own_answers=[_week(monday, signed.get(monday, {})) for monday in shown],
        late={status: count.number for status, count in late.items()},
    )


def _week(monday: date, counts: Mapping[str, int]) -> WeekView:
    return WeekView(
        week=monday,
        submitted=counts.get(SUBMITTED, 0),
        answered=answered(counts),
        half_within_hours=_hours(within(counts, 0.5)),
        most_within_hours=_hours(within(counts, 0.9)),
    )


def _hours(time: timedelta | None) -> int | None:
    return None if time is None else round(time / timedelta(hours=1))
