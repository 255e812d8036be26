"""A report that nobody reads: when others of its requester's clinic see it, who they are, and what ends it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from domain.notices import Importance, Recipient
from domain.requests import Role
from records.models import RequestRecord
from tests.api.answers import let_lie, notices, problem
from tests.api.test_follow_up import away
from tests.journeys import accepted, ok, reported, signed, written
from tests.system import PASSWORD, Clinician, System, set_roles
from use_cases.unread_reports import tell_clinics

THREE_DAYS, TOO_SHORT = timedelta(days=3), timedelta(days=3, minutes=-1)
A_DAY_OVER_THE_LONGEST_WEEKEND = timedelta(days=2, hours=23)
"""Never less than a business day, but where three closing days follow each other; and never three days."""

READS = "read_for_requester"


@pytest.fixture(scope="module")
async def request_id(system: System) -> str:
    """A request with a report; each test says for how long nobody has read it."""
    return await reported(system)


async def seen_by(system: System, request_id: str) -> dict[str, str | None]:
    """What there is to do for each of those who see the request."""
    found = {}
    for name in system.first_people:
        answer = await system.people[name].get(f"/requests/{request_id}")
        if answer.status_code == 200:
            found[name] = answer.json()["todo"]
    return found


async def is_listed(who: Clinician, request_id: str) -> bool:
    listed = (await who.get("/requests?todo=true&limit=200&sort=created")).json()["items"]
    return request_id in {line["id"] for line in listed}


async def opened(who: Clinician, request_id: str, number: int = -1, what: str = ".pdf") -> httpx.Response:
    """They open a document of the request, the newest unless another is named."""
    document = (await who.view(request_id))["documents"][number]
    answer = await who.get(f"/requests/{request_id}/reports/{document['report_id']}{what}")
    assert answer.status_code == 200, who.account.username
    return answer


async def test_after_three_days_the_clinic_of_its_requester_sees_it(system: System) -> None:
    request_id = await reported(system, urgent=True)
    await let_lie(system, request_id, TOO_SHORT)
    usual = await seen_by(system, request_id)
    assert usual["requester"] == "read_report"
    assert "requester2" not in usual
    assert not (await system.dispatcher.view(request_id))["report_unread"]
    problem(await system.administrator.post(f"/requests/{request_id}/read-for-requester"), 409, "nothing_unread")

    await let_lie(system, request_id, THREE_DAYS)
    colleague = system.people["requester2"]
    assert await seen_by(system, request_id) == {**usual, "requester2": READS, "administrator": READS}
    for who in (colleague, system.administrator):
        view = await who.view(request_id)
        assert (view["access"], view["report_unread"]) == ("chart", True)
        assert await is_listed(who, request_id)
    assert not await is_listed(system.dispatcher, request_id)

    for name in ("requester2", "administrator", "dispatcher", "provider"):
        await opened(system.people[name], request_id)
    before = await system.requester.view(request_id)
    assert before["report_unread"], "whoever else looks at it has not read it for them"

    receipt = ok(await colleague.post(f"/requests/{request_id}/read-for-requester"))
    assert (receipt["status"], READS in receipt["allowed_commands"]) == ("reported", False)
    after = await system.requester.view(request_id)
    assert (after["report_unread"], after["urgent_report_unread"]) == (False, False)
    assert (after["holder"], after["todo"]) == (before["holder"], "read_report"), "it still waits for its requester"
    told = await notices(system, request_id, "read_for_requester")
    assert told[system.requester.id].importance is Importance.INFORMATION
    assert colleague.id not in told
    assert (await colleague.view(request_id))["access"] == "chart", "they had a part in it"
    assert not await is_listed(colleague, request_id)
    last = (await system.provider.get(f"/requests/{request_id}/timeline")).json()[-1]
    assert (last["name"], last["by"]["id"]) == ("read_for_requester", colleague.id)


async def test_of_who_is_away_colleagues_see_it_after_a_business_day(system: System, request_id: str) -> None:
    await let_lie(system, request_id, timedelta(hours=23))
    async with away(system.requester):
        assert "requester2" not in await seen_by(system, request_id)
    await let_lie(system, request_id, A_DAY_OVER_THE_LONGEST_WEEKEND)
    async with system.services.database.session() as session:
        row = await session.get_one(RequestRecord, UUID(request_id))
        assert row.unread_colleagues_from is not None
        row.unread_colleagues_from -= timedelta(days=3)  # whatever day it is
    assert "requester2" not in await seen_by(system, request_id)
    async with away(system.requester):
        assert (await seen_by(system, request_id))["requester2"] == READS
    assert "requester2" not in await seen_by(system, request_id), "they are back, and have time until the third day"
    await set_roles(system, system.requester)
    try:
        assert (await seen_by(system, request_id))["requester2"] == READS, (
            "whoever is no requester any more reads nothing"
        )
    finally:
        await set_roles(system, system.requester, Role.REQUESTER)


async def reads_the_file(system: System, request_id: str) -> None:
    await opened(system.requester, request_id)


async def reads_the_text(system: System, request_id: str) -> None:
    await opened(system.requester, request_id, what="/content")


async def asks(system: System, request_id: str) -> None:
    path = f"/requests/{request_id}"
    ok(await system.requester.post(f"{path}/ask-follow-up", {"text": "Combien de fois?"}))
    ok(await system.requester.post(f"{path}/withdraw-follow-up"))


@pytest.mark.parametrize("reads", [reads_the_file, reads_the_text, asks])
async def test_who_has_read_it_leaves_nothing_unread(
    system: System, request_id: str, reads: Callable[[System, str], Awaitable[None]]
) -> None:
    await let_lie(system, request_id, THREE_DAYS)
    assert (await system.requester.view(request_id))["report_unread"], "the list of what there is tells nothing of it"
    await reads(system, request_id)
    view = await system.administrator.view(request_id)
    assert (view["report_unread"], view["todo"]) == (False, None)
    assert "requester2" not in await seen_by(system, request_id)


async def test_they_are_told_once(system: System, request_id: str) -> None:
    await let_lie(system, request_id, TOO_SHORT)
    await tell_clinics(system.services)
    assert await notices(system, request_id, "unread_report") == {}
    await let_lie(system, request_id, THREE_DAYS)
    await tell_clinics(system.services)
    told = await notices(system, request_id, "unread_report")
    assert told[system.people["requester2"].id].recipient is Recipient.REQUESTER_COLLEAGUES
    assert told[system.administrator.id].recipient is Recipient.REQUESTER_CLINIC
    assert {notice.importance for notice in told.values()} == {Importance.ACTION}
    others = {system.people[name].id for name in system.first_people} - {
        system.people["requester2"].id,
        system.administrator.id,
    }
    assert not told.keys() & others
    await tell_clinics(system.services)
    again = await notices(system, request_id, "unread_report")
    assert {notice.id for notice in again.values()} == {notice.id for notice in told.values()}


async def test_an_addendum_is_another_report_to_be_read(system: System) -> None:
    """Whoever opens the report again has not read what was added; closed by the calendar, it still lies unread."""
    request_id = await reported(system)
    await opened(system.requester, request_id)
    ok(await system.operator.post(f"/requests/{request_id}/deadlines/acknowledgement"))
    addendum: dict[str, Any] = {"text": "La culture est positive.", "password": PASSWORD}
    ok(await system.provider.post(f"/requests/{request_id}/report/addenda", addendum))
    await let_lie(system, request_id, THREE_DAYS)
    await opened(system.requester, request_id, 0)
    colleague = system.people["requester2"]
    assert await is_listed(colleague, request_id)
    receipt = ok(await colleague.post(f"/requests/{request_id}/read-for-requester"))
    assert receipt["status"] == "closed"
    assert not (await system.requester.view(request_id))["report_unread"]
    assert (await system.workflow(request_id).result())["status"] == "closed"


async def test_a_preliminary_report_lies_unread_as_well(system: System) -> None:
    request_id = await accepted(system)
    await written(system, request_id)
    await signed(system, request_id, "preliminary")
    await let_lie(system, request_id, THREE_DAYS)
    ok(await system.people["requester2"].post(f"/requests/{request_id}/read-for-requester"))
    await let_lie(system, request_id, THREE_DAYS)
    ok(await system.requester.post(f"/requests/{request_id}/cancel", {"reason": "Vue ailleurs."}))
    assert not (await system.administrator.view(request_id))["report_unread"]
