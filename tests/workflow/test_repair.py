"""Workflows that the engine has lost are taken up again by the clock, once; those that can't go on are named."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from temporalio.client import WorkflowExecutionStatus

from activities.contract import RepairReport
from domain.requests import Status
from engine.running import running_ids
from engine.schedules import ensure_schedules
from key_ring import KeyRing
from records import commands, requests
from records.models import NoticeStatus
from tests.away import never_given
from tests.eventually import eventually
from tests.journeys import accepted, assigned, closed, draft, ok, ok_list, submitted
from tests.mail.post_office import open_post_office
from tests.rounds import LONGER
from tests.system import System
from tests.workflow.branch import branch, impatient, workers
from tests.workflow.looks import names, notices, quiet, recorded, skip_to, timeline
from use_cases import repair as use_case
from use_cases.repair import repair
from workflows.contract import REPAIR_WORKFLOW, SINGLE_NOTICE, TELECONSULTATION, notice_workflow_id, workflow_id
from workflows.schedules import schedules


async def runs(system: System, request_id: str) -> bool:
    description = await system.workflow(request_id).describe()
    return description.status is WorkflowExecutionStatus.RUNNING


async def lose(system: System, request_id: str) -> None:
    """End the request's workflow as no request ends."""
    await lose_one(system, TELECONSULTATION, workflow_id(UUID(request_id)))


async def lose_one(system: System, kind: str, name: str) -> None:
    """End a workflow. The repair asks the engine's index, which hears of it a moment later."""
    await system.services.engine.get_workflow_handle(name).terminate("lost")

    async def is_known() -> bool:
        return name not in {found async for found in running_ids(system.services.engine, kind)}

    await eventually(is_known)


async def one_round(system: System) -> RepairReport:
    """A round as the schedule brings it: the workflow, on the requests' task queue."""
    report: RepairReport = await system.services.engine.execute_workflow(
        REPAIR_WORKFLOW,
        id=f"repair-{datetime.now(UTC).isoformat()}",
        task_queue=system.settings.task_queue,
        result_type=RepairReport,
    )
    return report


async def test_a_terminated_workflow_is_taken_up_by_the_schedule_and_its_deadline_calls(system: System) -> None:
    request_id = await accepted(system)
    await quiet(system, request_id)
    before = await system.state(request_id)
    await lose(system, request_id)
    engine = system.services.engine
    await ensure_schedules(engine, {"repair": schedules(system.settings)["repair"]})
    try:
        await engine.get_schedule_handle("repair").trigger()
        await eventually(lambda: runs(system, request_id))
    finally:
        await engine.get_schedule_handle("repair").delete()
    assert await system.state(request_id) == before
    assert before.due_at is not None
    await skip_to(system, request_id, before.due_at + timedelta(seconds=1))
    await eventually(lambda: has_event(system, request_id, "report_overdue"))


async def test_a_question_about_a_closed_request_is_not_lost_with_its_workflow(system: System) -> None:
    request_id = await closed(system)
    ok(await system.requester.post(f"/requests/{request_id}/ask-follow-up", {"text": "Combien de fois par jour?"}))
    await quiet(system, request_id)
    before = await system.state(request_id)
    await lose(system, request_id)
    assert UUID(request_id) in (await one_round(system)).taken_up
    await eventually(lambda: runs(system, request_id))
    assert await system.state(request_id) == before
    assert before.due_at is not None
    await skip_to(system, request_id, before.due_at + timedelta(seconds=1))
    await eventually(lambda: has_event(system, request_id, "follow_up_overdue"))
    await lose(system, request_id)
    ok(await system.provider.post(f"/requests/{request_id}/answer-follow-up", {"text": "Deux fois."}))
    await system.workflow(request_id).result()
    await one_round(system)
    assert not await runs(system, request_id)


async def test_a_command_that_nobody_gave_is_given_again_and_opens_what_it_closed(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever others there are: one that this Relais can't read stands before it, and a page holds one."""
    monkeypatch.setattr(use_case, "OVERDUE_AFTER", timedelta())
    monkeypatch.setattr(use_case, "COMMANDS_AT_ONCE", 1)
    unreadable, request_id = await draft(system), await draft(system)
    for each in (unreadable, request_id):
        await never_given(monkeypatch, system.requester.post(f"/requests/{each}/submit"))
    async with system.services.database.session() as session:
        [given] = await commands.on_their_way(session, UUID(unreadable))
        given.command = {**given.command, "type": "of_a_newer_relais"}
    assert (await repair(system.services)).commands >= 2
    try:
        await eventually(lambda: has_event(system, request_id, "submitted"))
        async with system.services.database.session() as session:
            assert not await commands.on_their_way(session, UUID(request_id))
            row = await requests.load_request(session, UUID(request_id))
            assert row is not None
            assert (row.submission_id, row.submission_since) == (None, None)
            done = await commands.newest_of(session, UUID(request_id), system.requester.account.id)
            assert done is not None
            assert (done.event, done.refusal) == ("submitted", None)
            assert await commands.on_their_way(session, UUID(unreadable))
        assert await names(system, request_id) == ["submitted"]
    finally:
        async with system.services.database.session() as session:
            left = await commands.load_command(session, UUID(unreadable), given.command_id)
            assert left is not None
            await commands.withdraw(session, UUID(unreadable), left.command_id, left.given_at)


async def test_what_was_given_in_time_comes_before_a_deadline_that_ended_meanwhile(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use_case, "OVERDUE_AFTER", timedelta())
    request_id = await assigned(system)
    await quiet(system, request_id)
    await never_given(monkeypatch, system.provider.post(f"/requests/{request_id}/accept"))
    await lose(system, request_id)
    await _age(system, request_id, timedelta(days=30))
    await repair(system.services)
    await eventually(lambda: has_event(system, request_id, "accepted"))
    assert await names(system, request_id) == ["submitted", "assigned", "accepted"]


async def has_event(system: System, request_id: str, name: str) -> bool:
    return name in await names(system, request_id)


async def test_what_runs_is_left_alone_and_a_dry_run_only_tells(system: System) -> None:
    request_id, other = await accepted(system), await accepted(system)
    await quiet(system, request_id)
    run_id = (await system.workflow(other).describe()).run_id
    await lose(system, request_id)
    told = await repair(system.services, dry_run=True)
    assert request_id in {str(found) for found in told.taken_up}
    assert not await runs(system, request_id)
    done = await one_round(system)
    assert request_id in {str(found) for found in done.taken_up}
    assert other not in {str(found) for found in done.taken_up}
    assert (await system.workflow(other).describe()).run_id == run_id
    again = await one_round(system)
    assert request_id not in {str(found) for found in again.taken_up}


async def test_a_deadline_that_ended_while_the_workflow_was_lost_is_called_at_once(system: System) -> None:
    request_id = await submitted(system)
    await quiet(system, request_id)
    await lose(system, request_id)
    await _age(system, request_id, timedelta(days=30))
    await one_round(system)
    await eventually(lambda: has_event(system, request_id, "dispatch_overdue"))


async def _age(system: System, request_id: str, time: timedelta) -> None:
    """As if all clocks of the request had been started that much earlier."""
    async with system.services.database.session() as session:
        row = await requests.lock_request(session, UUID(request_id))
        process: dict[str, Any] = dict(row.process)
        row.process = _earlier(process, time)


def _earlier(value: Any, time: timedelta) -> Any:
    if isinstance(value, dict):
        return {name: _earlier(inner, time) for name, inner in value.items()}
    if isinstance(value, list):
        return [_earlier(inner, time) for inner in value]
    if isinstance(value, str) and "T" in value and value.endswith("Z"):
        return (datetime.fromisoformat(value) - time).isoformat().replace("+00:00", "Z")
    return value


async def test_nothing_is_doubled_when_a_command_comes_at_the_same_time(system: System) -> None:
    for _ in range(2 * LONGER):
        request_id = await accepted(system)
        before = await recorded(system, request_id, 3)
        await quiet(system, request_id)
        await lose(system, request_id)
        question = system.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand ?"})
        answer, *_ = await asyncio.gather(question, repair(system.services), repair(system.services))
        assert ok(answer)["version"] == before.version + 1
        await quiet(system, request_id)
        assert [event.version for event in await timeline(system, request_id)] == list(range(1, before.version + 2))
        assert (await system.state(request_id)).version == before.version + 1


async def test_mails_that_nobody_looks_after_are_sent_once(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(use_case, "MAY_STILL_COME", timedelta())
    async with open_post_office() as office, branch(system, smtp_port=office.port) as other:
        async with workers(other):
            office.hangs_up = True
            request_id = await closed(other)
            await other.workflow(request_id).result()
            planned = await notices(other, request_id)
            waiting = [notice for notice in planned if notice.status is NoticeStatus.QUEUED and not notice.told_with]
            assert waiting
            for notice in waiting:
                await lose_one(other, SINGLE_NOTICE, notice_workflow_id(notice.id))
        office.calm_down()
        async with workers(other):
            assert (await repair(other.services)).letters >= len(waiting)
            await eventually(lambda: all_sent(other, request_id))
            assert request_id not in {str(found) for found in (await repair(other.services)).taken_up}
        sent = [taken.message_id for taken in office.taken]
        assert [sent.count(notice.message_id) for notice in waiting] == [1] * len(waiting)
    assert (await system.requester.view(request_id))["status"] == Status.CLOSED


async def all_sent(system: System, request_id: str) -> bool:
    return {notice.status for notice in await notices(system, request_id)} == {NoticeStatus.SENT}


async def test_a_workflow_whose_tasks_fail_is_named(system: System) -> None:
    ring = KeyRing.parse("other:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=")
    async with branch(system) as other:
        async with workers(other):
            request_id = await accepted(other)
            await quiet(other, request_id)
        async with workers(other, ring=ring), impatient(other) as hasty:
            await hasty.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand ?"})
            await eventually(lambda: named(hasty, request_id))
            assert (await hasty.requester.get("/stuck-requests")).status_code == 403
            ready = await hasty.operator.http.get("/readyz")
            assert (await repair(hasty.services)).stuck > 0
            assert "can't go on" in (ready.json().get("reasons") or {}).get("workflows", "") + str(
                ready.json().get("warnings")
            )
        async with workers(other):
            await eventually(lambda: is_not_named(other, request_id))
            await eventually(lambda: has_event(other, request_id, "information_requested"))


async def named(system: System, request_id: str) -> bool:
    return request_id in [stuck["request_id"] for stuck in ok_list(await system.operator.get("/stuck-requests"))]


async def is_not_named(system: System, request_id: str) -> bool:
    return not await named(system, request_id)
