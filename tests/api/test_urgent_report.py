"""A report that says “send the patient without delay”: it is followed from the signature to the person who reads it."""

from datetime import datetime, timedelta

import pytest

from domain.notices import Importance, Recipient
from domain.requests import Role
from records.models import NoticeStatus
from tests.api.answers import notices, picture, problem, who_wants_notices_grouped
from tests.journeys import accepted, ok, reported, signed, written
from tests.system import Clinician, System


async def test_it_is_told_at_once_and_in_other_words(system: System, grouped: Clinician) -> None:
    """Whoever wants e-mails grouped gets this one at once; the dispatchers and the clinic's administrators know of it."""
    request_id = await reported(system, urgent=True)
    assert await notices(system, request_id, "final_report_issued") == {}
    found = await notices(system, request_id, "urgent_report")
    assert found.keys() == {system.requester.id, system.dispatcher.id, system.administrator.id, grouped.id}
    assert found[system.requester.id].importance is Importance.ACTION
    assert found[grouped.id].recipient is Recipient.REQUESTER_CLINIC
    view = await system.requester.view(request_id)
    assert view["urgent_report_unread"]
    issued = datetime.fromisoformat(view["updated_at"])
    due = datetime.fromisoformat(view["due_at"])
    assert abs(due - issued - timedelta(hours=4)) < timedelta(seconds=10)
    assert {deadline["name"] for deadline in view["deadlines"]} == {"acknowledgement", "urgent_acknowledgement"}


@pytest.fixture
async def grouped(system: System) -> Clinician:
    """An administrator whose e-mails come three times a day."""
    return await who_wants_notices_grouped(system, Role.CLINIC_ADMINISTRATOR)


async def test_unread_it_is_told_to_the_clinic_and_the_dispatchers_every_time(
    system: System, grouped: Clinician
) -> None:
    request_id = await reported(system, urgent=True)
    ok(await system.operator.post(f"/requests/{request_id}/deadlines/urgent_acknowledgement"))
    found = await notices(system, request_id, "urgent_report_unread")
    assert {system.requester.id, system.dispatcher.id, system.administrator.id, grouped.id} <= found.keys()
    assert all(notice.importance is Importance.ACTION for notice in found.values())
    assert found[grouped.id].status is not NoticeStatus.GROUPED
    for who in (system.requester, system.dispatcher, system.administrator, system.provider):
        view = await who.view(request_id)
        assert (view["overdue"], view["overdue_deadlines"]) == (True, ["urgent_acknowledgement"])
    ok(await system.operator.post(f"/requests/{request_id}/deadlines/urgent_acknowledgement"))
    timeline = (await system.requester.get(f"/requests/{request_id}/timeline")).json()
    assert [entry["name"] for entry in timeline][-2:] == ["urgent_report_unread"] * 2


@pytest.mark.parametrize("who", ["requester", "dispatcher", "administrator"])
async def test_whoever_reads_it_says_so_and_it_calls_nobody_more(system: System, who: str) -> None:
    request_id = await reported(system, urgent=True)
    ok(await system.operator.post(f"/requests/{request_id}/deadlines/urgent_acknowledgement"))
    receipt = ok(await system.people[who].post(f"/requests/{request_id}/confirm-reading"))
    assert receipt["status"] == "reported"
    view = await system.provider.view(request_id)
    assert (view["urgent_report_unread"], view["overdue"]) == (False, False)
    last = (await system.provider.get(f"/requests/{request_id}/timeline")).json()[-1]
    assert (last["name"], last["by"]["id"]) == ("reading_confirmed", system.people[who].id)
    answer = await system.operator.post(f"/requests/{request_id}/deadlines/urgent_acknowledgement")
    problem(answer, 409, "deadline_not_armed")
    problem(await system.people[who].post(f"/requests/{request_id}/confirm-reading"), 409, "nothing_to_confirm")


async def test_to_acknowledge_it_says_so_too(system: System) -> None:
    request_id = await reported(system, urgent=True)
    ok(await system.requester.post(f"/requests/{request_id}/acknowledge"))
    assert not (await system.provider.view(request_id))["urgent_report_unread"]


async def test_who_wrote_it_can_not_have_read_it_for_others(system: System) -> None:
    request_id = await reported(system, urgent=True)
    before = await picture(system.requester, request_id)
    for name, status, code in (
        ("provider", 403, "role_not_allowed"),
        ("operator", 403, "role_not_allowed"),
        ("requester2", 404, "not_found"),
        ("far_dispatcher", 404, "not_found"),
    ):
        problem(await system.people[name].post(f"/requests/{request_id}/confirm-reading"), status, code)
    assert await picture(system.requester, request_id) == before


async def test_a_preliminary_report_calls_as_well_and_its_provider_keeps_their_time(system: System) -> None:
    request_id = await accepted(system)
    due = (await system.provider.view(request_id))["due_at"]
    await written(system, request_id, urgent=True)
    await signed(system, request_id, "preliminary")
    view = await system.provider.view(request_id)
    assert (view["status"], view["due_at"], view["urgent_report_unread"]) == ("accepted", due, True)
    assert system.requester.id in await notices(system, request_id, "urgent_report")
    ok(await system.requester.post(f"/requests/{request_id}/confirm-reading"))
    assert {d["name"] for d in (await system.provider.view(request_id))["deadlines"]} == {"report"}


async def test_nobody_cancels_the_request_before_it_was_read(system: System) -> None:
    """What was refused changes nothing, and its clock goes on (of Cancel in the Temporal UI a stored history tells)."""
    request_id = await accepted(system)
    await written(system, request_id, urgent=True)
    await signed(system, request_id, "preliminary")
    before, reason = await picture(system.requester, request_id), {"reason": "Vue ailleurs."}
    problem(await system.requester.post(f"/requests/{request_id}/cancel", reason), 409, "urgent_report_unread")
    assert await picture(system.requester, request_id) == before
    assert "cancel" not in (await system.requester.view(request_id))["allowed_commands"]
    ok(await system.administrator.post(f"/requests/{request_id}/confirm-reading"))
    assert ok(await system.requester.post(f"/requests/{request_id}/cancel", reason))["status"] == "cancelled"


async def test_another_report_calls_nobody(system: System) -> None:
    request_id = await reported(system)
    assert await notices(system, request_id, "urgent_report") == {}
    view = await system.requester.view(request_id)
    assert not view["urgent_report_unread"]
    assert {deadline["name"] for deadline in view["deadlines"]} == {"acknowledgement"}
