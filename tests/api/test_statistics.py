"""How it goes by week: for administrators of their clinic, for operators of all, and for nobody else."""

from datetime import UTC, datetime
from typing import Any

from domain.statistics import week_of
from tests.api.answers import problem
from tests.journeys import accepted, ok, reported
from tests.system import Clinician, System


async def this_week(who: Clinician, side: str = "weeks") -> dict[str, Any]:
    found = ok(await who.get("/statistics?weeks=2"))
    assert [len(found["weeks"]), len(found["own_answers"])] == [2, 2]
    week: dict[str, Any] = found[side][-1]
    assert week["week"] == str(week_of(datetime.now(UTC)))
    return week


async def test_what_was_asked_and_answered_is_counted_once(system: System) -> None:
    administrator, operator = system.administrator, system.operator
    before, all_before = await this_week(administrator), await this_week(operator)
    signed_before = await this_week(administrator, "own_answers")
    await accepted(system)
    await reported(system)
    after, all_after = await this_week(administrator), await this_week(operator)
    assert (after["submitted"] - before["submitted"], after["answered"] - before["answered"]) == (2, 1)
    assert (all_after["submitted"] - all_before["submitted"], all_after["answered"] - all_before["answered"]) == (2, 1)
    signed_after = await this_week(administrator, "own_answers")
    assert signed_after["answered"] - signed_before["answered"] == 1
    assert after["half_within_hours"] == 4
    assert ok(await administrator.get("/statistics"))["clinic_only"] is True
    assert ok(await operator.get("/statistics"))["clinic_only"] is False


async def test_nobody_else_is_told_and_weeks_have_a_limit(system: System) -> None:
    for name in ("requester", "provider", "dispatcher", "far_dispatcher"):
        problem(await system.people[name].get("/statistics"), 403, "forbidden")
    for weeks in ("0", "27", "x"):
        problem(await system.operator.get(f"/statistics?weeks={weeks}"), 422, "invalid_input")
