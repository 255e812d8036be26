"""Filters of the worklist that somebody keeps, and the days on which requests were submitted."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.calendar import day_of
from domain.requests import Role
from tests.api.answers import problem
from tests.journeys import draft, ok, submitted
from tests.system import Clinician, System, add_person
from use_cases.saved_filters import MOST_FILTERS

CRITERIA = {"status": ["accepted", "reported"], "overdue": True, "holder": "me", "q": "tc 2026", "sort": "updated"}


@pytest.fixture
async def reader(system: System) -> Clinician:
    return await add_person(system, f"reader_{uuid4().hex}", system.clinics["near"], Role.DISPATCHER)


async def keep(who: Clinician, name: Any, criteria: Any) -> Any:
    return await who.http.put("/api/v1/me/filters", json={"name": name, "criteria": criteria})


async def test_a_filter_is_kept_replaced_and_removed(system: System, reader: Clinician) -> None:
    first = ok(await keep(reader, " En retard ", CRITERIA))
    ok(await keep(reader, "Absents", {"holder_absent": True, "submitted_from": "2026-11-01"}))
    again = ok(await keep(reader, "En retard", {"overdue": True}))
    assert again["id"] == first["id"]
    there = (await reader.get("/me/filters")).json()
    assert [(each["name"], each["criteria"]["overdue"]) for each in there] == [("Absents", None), ("En retard", True)]
    assert (await system.dispatcher.get("/me/filters")).json() == []
    path = f"/api/v1/me/filters/{first['id']}"
    problem(await system.dispatcher.http.delete(path), 404, "not_found")
    assert (await reader.http.delete(path)).status_code == 204
    problem(await reader.http.delete(path), 404, "not_found")
    assert [each["name"] for each in (await reader.get("/me/filters")).json()] == ["Absents"]


async def test_what_is_kept_is_what_requests_are_asked_by(system: System, reader: Clinician) -> None:
    kept = ok(await keep(reader, "Tout", {**CRITERIA, "holder": system.provider.id}))["criteria"]
    asked = {name: value for name, value in kept.items() if value not in (None, [])}
    ok(await reader.get("/requests", params=asked))


async def test_only_so_many(reader: Clinician) -> None:
    for number in range(MOST_FILTERS):
        ok(await keep(reader, f"Filtre {number}", {}))
    said = problem(await keep(reader, "Un de trop", {}), 409, "too_many_filters")
    assert str(MOST_FILTERS) in said["detail"]
    ok(await keep(reader, "Filtre 7", CRITERIA))


@pytest.mark.parametrize(
    ("name", "criteria"),
    [
        ("", {}),
        ("   ", {}),
        ("x" * 81, {}),
        ("deux\nlignes", {}),
        ("a", None),
        ("a", {"status": ["lost"]}),
        ("a", {"holder": "you"}),
        ("a", {"submitted_from": "hier"}),
        ("a", {"cursor": "x"}),
        ("a", {"q": "x" * 101}),
    ],
)
async def test_what_can_not_be_kept(reader: Clinician, name: Any, criteria: Any) -> None:
    problem(await keep(reader, name, criteria), 422, "invalid_input")
    assert (await reader.get("/me/filters")).json() == []


async def test_by_the_day_on_which_it_was_submitted(system: System) -> None:
    sent, begun, day = await submitted(system), await draft(system), day_of(datetime.now(UTC))

    async def found(**days: Any) -> set[str]:
        params = {"limit": 200, "sort": "created", **{name: value.isoformat() for name, value in days.items()}}
        return {row["id"] for row in ok(await system.requester.get("/requests", params=params))["items"]} & {
            sent,
            begun,
        }

    one = timedelta(days=1)
    assert await found() == {sent, begun}
    assert await found(submitted_from=day - one, submitted_until=day + one) == {sent}
    assert await found(submitted_from=day + 2 * one) == set()
    assert await found(submitted_until=day - 2 * one) == set()
    problem(await system.requester.get("/requests?submitted_from=hier"), 422, "invalid_input")
