"""The accesses of a year: what real acts lead to, by whom they may be seen, and which are left out of the report."""

import csv
import io
from datetime import UTC, datetime
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from domain.access_year import Category, Counted, by_category
from domain.audit import Act
from domain.requests import Role
from records import people
from records.models import Clinic
from tests.api.answers import problem
from tests.api.test_access_reviews import Small, acted, looked, small
from tests.journeys import ok, submitted
from tests.system import System, add_person

__all__ = ["small"]

ZONE = ZoneInfo("America/Toronto")


def at(*when: int) -> datetime:
    """That moment where the clinic is."""
    return datetime(*when, tzinfo=ZONE).astimezone(UTC)  # type: ignore[arg-type, misc]


async def test_what_was_shown_is_counted_by_role(system: System, small: Small) -> None:
    request_id = await submitted(system)
    for month in (1, 6):
        await looked(system, small.requester, request_id, at=at(2025, month, 3))
    for who in (small.administrator, small.administrator, small.colleague):
        await looked(system, who, request_id, at=at(2025, 7, 1))
    shown = [UUID(request_id)]
    await acted(system, small.administrator, Act.LIST, at=at(2025, 8, 1), role=Role.CLINIC_ADMINISTRATOR, shown=shown)
    # nothing of a request is shown, it is changed or refused, or nobody of the clinic sees it
    await acted(system, small.administrator, Act.LOOK, at=at(2025, 8, 1), name="list_people")
    await acted(system, small.administrator, Act.COMMAND, at=at(2025, 8, 1), name="submit", request_id=UUID(request_id))
    await acted(system, small.administrator, Act.REFUSED, at=at(2025, 8, 1), request_id=UUID(request_id))
    await looked(system, system.administrator, request_id, at=at(2025, 8, 1))

    found = ok(await small.administrator.get("/access-years/2025"))
    rows = [(one["role"], one["what"], one["accesses"], one["people"], one["left_out"]) for one in found["categories"]]
    assert rows == [
        ("clinic_administrator", "request", 3, 2, False),
        ("clinic_administrator", "list", 1, 1, False),
        ("requester", "request", 2, 1, True),
    ]
    assert (found["year"], found["is_over"], found["reported"]) == (2025, True, 4)
    assert [one["purpose"] for one in found["categories"]] == ["HOPERAT", "HOPERAT", "TREAT"]


async def test_a_year_begins_and_ends_where_the_clinic_is(system: System, small: Small) -> None:
    request_id = await submitted(system)
    await looked(system, small.administrator, request_id, at=at(2024, 1, 1, 0, 0, 0))
    await looked(system, small.administrator, request_id, at=at(2024, 12, 31, 23, 59, 59))
    await looked(system, small.administrator, request_id, at=at(2025, 1, 1, 0, 0, 0))
    for year, number in ((2023, 0), (2024, 2), (2025, 1)):
        assert ok(await small.administrator.get(f"/access-years/{year}"))["reported"] == number, year


async def test_the_year_that_runs_is_counted_until_now(system: System, small: Small) -> None:
    year = datetime.now(ZONE).year
    assert not ok(await small.administrator.get(f"/access-years/{year}"))["is_over"]
    for never in (year + 1, 0, 10_000, 1):
        assert problem(await small.administrator.get(f"/access-years/{never}"), 404, "not_found"), never


async def test_as_a_table(system: System, small: Small) -> None:
    await looked(system, small.requester, await submitted(system), at=at(2025, 1, 3))
    answer = await small.administrator.http.get("/api/v1/access-years/2025.csv", headers={"Accept-Language": "en"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    names, row = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert dict(zip(names, row, strict=True)) == {
        "Year": "2025",
        "Role": "Requester",
        "For what": "Care: teleconsultation",
        "What was shown": "Opening of the request",
        "Accesses": "1",
        "People or systems": "1",
        "Left out of the report: care by a professional": "yes",
    }


@pytest.mark.parametrize("rest", ["", ".csv"])
async def test_for_administrators_alone(rest: str, system: System, small: Small) -> None:
    for who in (small.requester, system.dispatcher, system.provider, system.operator):
        assert problem(await who.get(f"/access-years/2025{rest}"), 403, "forbidden")


async def test_a_system_is_counted_as_one(system: System) -> None:
    async with system.services.database.session() as session:
        clinic: Clinic = await people.add_clinic(session, code=f"year-{uuid4().hex[:8]}", name="Clinique de l’an")
    administrator = await add_person(system, f"year_{uuid4().hex[:8]}", clinic, Role.CLINIC_ADMINISTRATOR)
    request_id = UUID(await submitted(system))
    await acted(system, administrator, Act.DOCUMENT, at=at(2025, 5, 1), role=Role.SYSTEM, request_id=request_id)
    found = ok(await administrator.get("/access-years/2025"))
    assert {(one["role"], one["left_out"]) for one in found["categories"]} == {("system", False)}


async def test_a_list_counts_as_of_the_one_role_that_somebody_has(system: System, small: Small) -> None:
    """Of who has several it is not known in which they looked, and it is reported."""
    request_id = UUID(await submitted(system))
    async with system.services.database.session() as session:
        clinic = await people.load_clinic(session, small.clinic.id)
        assert clinic is not None
    both = await add_person(system, f"both_{uuid4().hex[:8]}", clinic, Role.PROVIDER, Role.DISPATCHER)
    for who in (small.requester, both):
        await acted(system, who, Act.LIST, at=at(2025, 5, 1), shown=[request_id])
    found = ok(await small.administrator.get("/access-years/2025"))
    assert [(one["role"], one["left_out"]) for one in found["categories"]] == [(None, False), ("requester", True)]


def test_people_are_counted_once_in_a_category() -> None:
    seen, listed = Category(Role.OPERATOR, Act.REQUEST), Category(Role.PROVIDER, Act.LIST)
    found = by_category([[(seen, 2), (seen, 3)], [(seen, 1), (listed, 9)], []])
    assert found == [Counted(seen, 6, 2), Counted(listed, 9, 1)]
