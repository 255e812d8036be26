"""What may happen while the engine has a request: it is cancelled from the Temporal UI, its history grows long, its workflow is
lost; workers, records or the mail server are away for a while. Nothing is stuck, lost or doubled.
"""

import asyncio
import logging
import shlex
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    ExecuteMultiOperationResponse,
    StartWorkflowExecutionResponse,
    UpdateWorkflowExecutionResponse,
)
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from domain.requests import Role, Source, Status
from records.models import NoticeStatus
from records.store import DocumentStore
from settings import Settings
from tests.conftest import MakeDatabase
from tests.eventually import eventually
from tests.journeys import accepted, assigned, closed, draft, ok, ok_list, pooled, reported, signed, submitted, written
from tests.mail.post_office import open_post_office
from tests.system import PASSWORD, System, run_system
from tests.workflow.branch import Line, beside, branch, impatient, worker_process, workers
from tests.workflow.looks import (
    current_details,
    failed,
    history,
    names,
    notices,
    now,
    projected,
    quiet,
    recorded,
    refused,
    said_by,
    skip_to,
    temporal,
    timeline,
    told,
)
from use_cases import gate

# Cancelled from the Temporal UI


async def test_cancel_in_the_temporal_ui_is_the_command_of_an_operator(system: System) -> None:
    request_id = await accepted(system)
    handle = system.workflow(request_id)
    await handle.cancel(reason="Ouverte par erreur.")
    assert (await handle.result())["status"] == "cancelled"
    assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED
    event = (await timeline(system, request_id))[-1]
    assert (event.name, event.source, event.actor_role) == ("cancelled", Source.ENGINE, Role.OPERATOR)
    assert event.command["reason"] == "Ouverte par erreur."
    assert await told(system, request_id, event) == {"provider", "requester"}


@pytest.mark.parametrize("reason", ["", "  ", "a\x00b", "\x1c", "é" * 9000, "plusieurs\nlignes"])
async def test_cancel_in_the_temporal_ui_with_any_reason(system: System, reason: str) -> None:
    request_id = await submitted(system)
    await system.workflow(request_id).cancel(reason=reason)
    assert (await system.workflow(request_id).result())["status"] == "cancelled"
    assert (await timeline(system, request_id))[-1].command["reason"]


async def test_cancel_in_the_temporal_ui_is_refused_once_the_report_is_sent(system: System) -> None:
    request_id = await reported(system)
    before = await system.state(request_id)
    await system.workflow(request_id).cancel(reason="Trop tard.")
    await eventually(lambda: _has_refusals(system, request_id, 1))
    [refusal] = await refused(system, request_id)
    assert (refusal.name, refusal.code) == ("cancel", "not_allowed_in_status")
    assert await system.state(request_id) == before
    assert "cancel: not_allowed_in_status" in await current_details(system, request_id)
    await system.workflow(request_id).cancel(reason="Encore.")  # Temporal passes on only one in each run
    await skip_to(system, request_id, await now(system, request_id) + timedelta(days=4))
    await recorded(system, request_id, before.version + 1)
    ok(await system.requester.post(f"/requests/{request_id}/acknowledge"))
    assert (await system.workflow(request_id).result())["status"] == "closed"


async def test_after_a_refused_cancel_the_current_details_say_how_to_cancel(system: System) -> None:
    """Temporal passes on one Cancel in each run: the line that they show, pasted into a shell, does it once it is possible."""
    request_id = await accepted(system)
    await written(system, request_id, urgent=True)
    await signed(system, request_id, "preliminary")
    assert "temporal workflow signal" not in await current_details(system, request_id)
    await system.workflow(request_id).cancel(reason="Ouverte par erreur.")
    await eventually(lambda: _has_refusals(system, request_id, 1))
    ok(await system.dispatcher.post(f"/requests/{request_id}/confirm-reading"))
    [line] = [line for line in (await current_details(system, request_id)).splitlines() if line.startswith("temporal ")]
    await temporal(system, *shlex.split(line)[1:])
    assert (await system.workflow(request_id).result())["status"] == "cancelled"
    assert (await timeline(system, request_id))[-1].actor_role == Role.OPERATOR


async def _has_refusals(system: System, request_id: str, count: int) -> bool:
    return len(await refused(system, request_id)) >= count


# The worker is away, forgets, comes back


async def test_commands_wait_while_no_worker_is_there(system: System) -> None:
    async with branch(system) as alone, impatient(alone) as hasty:
        request_id = await draft(alone)
        path = f"/requests/{request_id}"
        first = await hasty.requester.post(f"{path}/submit", key=f"{request_id}:submit")
        again = await hasty.requester.post(f"{path}/submit", key=f"{request_id}:submit")
        assert [(a.status_code, a.json()["state"]) for a in (first, again)] == [(202, "queued")] * 2
        await alone.workflow(request_id).signal(
            "assign", said_by(alone.dispatcher, Role.DISPATCHER, to={"clinic_id": str(alone.clinics["near"].id)})
        )
        async with workers(alone):
            await recorded(alone, request_id, 2)
            await quiet(alone, request_id)
            assert await names(alone, request_id) == ["submitted", "assigned"]
            assert not await refused(alone, request_id)
        accept = await hasty.provider.post(f"{path}/accept")
        assert accept.status_code == 202
        async with workers(alone):
            await recorded(alone, request_id, 3)
            ok(await alone.requester.post(f"{path}/cancel", {"reason": "Vue ailleurs."}))
        assert await names(alone, request_id) == ["submitted", "assigned", "accepted", "cancelled"]


async def test_a_command_waits_no_longer_than_its_setting(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine ends a wait for a worker by itself, whereupon the client begins another: the time of one is not that of all."""
    monkeypatch.setattr(gate, "_A_MOMENT_SECONDS", 0)
    calls = system.services.engine.workflow_service
    whole = ExecuteMultiOperationResponse.Response
    begun = [whole(start_workflow=StartWorkflowExecutionResponse()), whole(update_workflow=NOBODY_TOOK_IT)]
    both = ExecuteMultiOperationResponse(responses=begun)
    async with branch(system) as alone, impatient(alone) as hasty:
        request_id = await draft(alone)
        with monkeypatch.context() as patched:
            patched.setattr(calls, "execute_multi_operation", _ended_soon(calls.execute_multi_operation, both))
            first = await hasty.requester.post(f"/requests/{request_id}/submit")
        async with workers(alone):
            await recorded(alone, request_id, 1)
        with monkeypatch.context() as patched:
            update = calls.update_workflow_execution
            patched.setattr(calls, "update_workflow_execution", _ended_soon(update, NOBODY_TOOK_IT))
            second = await hasty.requester.post(f"/requests/{request_id}/cancel", {"reason": "Vue ailleurs."})
        assert [(a.status_code, a.json().get("state")) for a in (first, second)] == [(202, "queued")] * 2


NOBODY_TOOK_IT = UpdateWorkflowExecutionResponse()


def _ended_soon(call: Callable[..., Awaitable[Any]], answer: Any) -> Callable[..., Awaitable[Any]]:
    """The same call to the engine, which after 50 ms gives that answer, as it does by itself after 20 seconds."""
    waits = count(1)

    async def ended(request: Any, *, timeout: timedelta, **more: Any) -> Any:  # noqa: ASYNC109 - its name in the SDK
        if next(waits) > 20:
            raise RPCError("it waits for twice as long as it may", RPCStatusCode.INVALID_ARGUMENT, b"")
        try:
            return await call(request, timeout=min(timeout, timedelta(milliseconds=50)), **more)
        except RPCError as error:
            if error.status not in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
                raise
            return answer

    return ended


async def test_what_is_queued_never_gives_an_ended_request_a_second_life(system: System) -> None:
    """The command waits in vain for a worker; meanwhile another one, queued before it, ends the request."""
    async with branch(system) as slow, impatient(slow) as hasty:
        async with workers(slow):
            request_id = await assigned(slow)
        await slow.workflow(request_id).signal(
            "cancel", said_by(slow.requester, Role.REQUESTER, reason="Vue ailleurs.")
        )
        assert (await hasty.provider.post(f"/requests/{request_id}/accept")).status_code == 202
        first_run = (await slow.workflow(request_id).describe()).run_id
        async with workers(slow):
            assert (await slow.workflow(request_id).result())["status"] == "cancelled"
            refusals = [refusal.code for refusal in await refused(slow, request_id)]
        assert set(refusals) == {"not_allowed_in_status"}
        assert (await slow.workflow(request_id).describe()).run_id == first_run
        assert await names(slow, request_id) == ["submitted", "assigned", "cancelled"]


async def test_cancel_in_the_temporal_ui_before_the_first_task(system: System) -> None:
    async with branch(system) as alone, impatient(alone) as hasty:
        request_id = await draft(alone)
        assert (await hasty.requester.post(f"/requests/{request_id}/submit")).status_code == 202
        await alone.workflow(request_id).cancel(reason="Trop vite.")
        async with workers(alone):
            assert (await alone.workflow(request_id).result())["status"] == "cancelled"
        assert await names(alone, request_id) == ["submitted", "cancelled"]


async def test_a_worker_that_was_killed_keeps_nobody_waiting(system: System) -> None:
    """The server prefers the worker that knows the request; when that one is gone, another must get the task in time."""
    usual = Settings.model_fields["command_timeout_seconds"].default
    async with branch(system, command_timeout_seconds=usual) as other:
        async with worker_process(other) as process:
            await eventually(lambda: _has_worker(other))
            request_id = await accepted(other)
            await quiet(other, request_id)
            process.kill()
        async with workers(other):
            body = {"text": "Depuis quand ?"}
            ok(await other.provider.post(f"/requests/{request_id}/request-information", body))


async def _has_worker(system: System) -> bool:
    queue = TaskQueue(name=system.settings.task_queue)
    kind = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
    request = DescribeTaskQueueRequest(namespace="default", task_queue=queue, task_queue_type=kind)
    return bool((await system.services.engine.workflow_service.describe_task_queue(request)).pollers)


async def test_a_worker_that_forgets_a_request_rebuilds_it(system: System, caplog: pytest.LogCaptureFixture) -> None:
    """Also one that was cancelled in vain: being forgotten feels the same to a workflow, and must not be taken for a command."""
    async with branch(system) as other:
        async with workers(other):
            plain, vain = await accepted(other), await reported(other)
            ok(await other.provider.post(f"/requests/{plain}/request-information", {"text": "Depuis quand ?"}))
            await other.workflow(vain).cancel(reason="Trop tard.")
            await eventually(lambda: _has_refusals(other, vain, 1))
            before = [await other.state(request_id) for request_id in (plain, vain)]
        assert not [r for r in caplog.records if r.name.startswith("temporalio") and r.levelno >= logging.ERROR]
        async with workers(other):
            assert [await other.state(request_id) for request_id in (plain, vain)] == before
            ok(await other.requester.post(f"/requests/{plain}/answer-information", {"text": "Trois semaines."}))
            ok(await other.requester.post(f"/requests/{vain}/acknowledge"))
        assert len(await refused(other, vain)) == 1
        assert (await names(other, plain))[-1] == "information_answered"


# The workflow is lost


async def test_a_lost_workflow_is_taken_up_again_from_the_records(system: System) -> None:
    request_id = await accepted(system)
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand ?"}, key="q1"))
    before = await system.state(request_id)
    await quiet(system, request_id)
    await system.workflow(request_id).terminate("lost")
    ok(await system.requester.post(f"/requests/{request_id}/answer-information", {"text": "Trois semaines."}))
    after = await recorded(system, request_id, before.version + 1)
    assert after == await system.state(request_id)
    assert after.commands_taken[:-1] == before.commands_taken
    again = await system.provider.post(
        f"/requests/{request_id}/request-information", {"text": "Depuis quand ?"}, key="q1"
    )
    assert ok(again)["version"] == after.version
    assert after.due_at is not None
    await skip_to(system, request_id, after.due_at + timedelta(seconds=1))
    await eventually(lambda: _has_event(system, request_id, "report_overdue"))


async def _has_event(system: System, request_id: str, name: str) -> bool:
    return name in await names(system, request_id)


async def test_a_lost_workflow_still_makes_its_document_and_sends_its_mails(
    system: System, unusable_store: DocumentStore
) -> None:
    """Lost between the signature and the document, with mails that were not sent: the next command brings all of it back."""
    async with open_post_office() as office, branch(system, smtp_port=office.port) as other:
        async with workers(other, store=unusable_store):
            office.hangs_up = True
            request_id = await accepted(other)
            await written(other, request_id)
            body = {"kind": "final", "password": PASSWORD}
            signing = asyncio.create_task(other.provider.post(f"/requests/{request_id}/report/sign", body))
            await eventually(lambda: _is_signing(other, request_id))
            await other.workflow(request_id).terminate("lost")
        office.calm_down()
        async with workers(other):
            ok(await other.operator.post(f"/requests/{request_id}/deadlines/report"))
            await eventually(lambda: _has_event(other, request_id, "final_report_issued"))
            await quiet(other, request_id)
            assert ok(await signing)["status"] == "reported"
            await eventually(lambda: _everybody_told(other, request_id))
        assert (await names(other, request_id))[3:] == ["report_signed", "report_overdue", "final_report_issued"]
        planned = await notices(other, request_id)
        assert {notice.status for notice in planned} == {NoticeStatus.SENT}
        sent = [taken.message_id for taken in office.taken]
        assert [sent.count(notice.message_id) for notice in planned] == [1] * len(planned)


@pytest.fixture
def unusable_store(system: System, tmp_path: Path) -> DocumentStore:
    """A document store whose folder became a file."""
    folder = tmp_path / "documents"
    settings = system.settings.model_copy(update={"document_store": folder.as_uri()})
    store = DocumentStore.from_settings(settings, system.services.database)
    if folder.exists():
        folder.rmdir()
    folder.write_text("not a folder")
    return store


async def _is_signing(system: System, request_id: str) -> bool:
    return (await projected(system, request_id)).signing is not None


# The records are away


@pytest.fixture
async def line(system: System) -> AsyncIterator[Line]:
    folder = Path(tempfile.mkdtemp(prefix="line"))  # short: the path of a socket may not be long
    assert system.settings.database_url is not None
    line = Line(system.settings.database_url.get_secret_value(), folder)
    await line.mend()
    yield line
    line.cut()
    shutil.rmtree(folder)


async def test_while_the_records_are_away_commands_are_taken_and_the_projection_catches_up(
    system: System, line: Line
) -> None:
    async with (
        branch(system) as patient,
        beside(patient, projection_timeout_seconds=0.2) as other,
        workers(other, database_url=SecretStr(line.url)),
    ):
        request_id = await pooled(patient)
        await quiet(other, request_id)
        line.cut()
        path = f"/requests/{request_id}"
        assert (await other.provider.post(f"{path}/accept", key="a")).status_code == 202
        assert (await other.provider.post(f"{path}/accept", key="a")).status_code == 202
        ask = said_by(other.provider, Role.PROVIDER, text="Depuis quand ?")
        await other.workflow(request_id).signal("request_information", ask)
        await eventually(lambda: _has_version(other, request_id, 4))
        assert await names(other, request_id) == ["submitted", "assigned"]
        await line.mend()
        await recorded(other, request_id, 4)
        await quiet(other, request_id)
        events = await timeline(other, request_id)
        assert [event.name for event in events][2:] == ["accepted", "information_requested"]
        assert await told(other, request_id, events[-1]) == {"requester"}
        assert await failed(other, request_id) == []


async def _has_version(system: System, request_id: str, version: int) -> bool:
    return (await system.state(request_id)).version == version


async def test_a_command_that_was_taken_is_never_called_undone(system: System, line: Line) -> None:
    """The API loses the records while the workflow takes the command: the answer must not say that nothing was changed."""
    hasty = {"command_timeout_seconds": 20.0, "projection_timeout_seconds": 0.2}
    async with (
        branch(system) as patient,
        beside(patient, database_url=SecretStr(line.url), **hasty) as cut_off,
    ):
        async with workers(cut_off, database_url=system.settings.database_url):
            taken_up, running = await draft(patient), await pooled(patient)
        answers = [
            asyncio.create_task(cut_off.requester.post(f"/requests/{taken_up}/submit")),
            asyncio.create_task(cut_off.provider.post(f"/requests/{running}/accept")),
        ]
        await eventually(lambda: _is_started(cut_off, taken_up))
        await eventually(lambda: _is_asked(cut_off, running))
        line.cut()
        async with workers(cut_off, database_url=system.settings.database_url):
            assert [answer.status_code for answer in await asyncio.gather(*answers)] == [202, 202]
            await recorded(system, taken_up, 1)
            await recorded(system, running, 3)
            assert await names(system, taken_up) == ["submitted"]
            assert (await names(system, running))[-1] == "accepted"


async def _is_started(system: System, request_id: str) -> bool:
    return bool(await history(system, request_id))


async def _is_asked(system: System, request_id: str) -> bool:
    """Whether a task waits for a worker: the server then has the Update."""
    described = await system.workflow(request_id).describe()
    return described.raw_description.HasField("pending_workflow_task")


# Mail


async def test_mail_that_is_refused_for_good_is_listed_and_the_dispatchers_are_told(system: System) -> None:
    async with open_post_office() as office, branch(system, smtp_port=office.port) as other, workers(other):
        office.at_recipient[other.provider.account.email] = "550 No such person"
        request_id = await assigned(other)
        await quiet(other, request_id)
        [lost] = [n for n in await notices(other, request_id) if n.status is NoticeStatus.REFUSED]
        assert (lost.event, lost.account_id) == ("assigned", other.provider.account.id)
        listed = ok_list(await other.dispatcher.get("/undeliverable"))
        assert [(n["event"], n["code"]) for n in listed if n["request_id"] == request_id] == [
            ("assigned", "recipient_smtp_550")
        ]
        followers = [n for n in await notices(other, request_id) if n.refused_notice_id == lost.id]
        assert [n.account_id for n in followers] == [other.dispatcher.account.id]
        dispatcher = other.dispatcher.account.email
        await eventually(lambda: any(m["Message-ID"] == followers[0].message_id for m in office.kept_for(dispatcher)))
        ok(await other.provider.post(f"/requests/{request_id}/accept"))


async def test_while_the_mail_server_is_down_nothing_else_waits(system: System) -> None:
    async with open_post_office() as office, branch(system, smtp_port=office.port) as other, workers(other):
        late = await assigned(other, priority="asap")
        await skip_to(other, late, await now(other, late) + timedelta(hours=4) - timedelta(seconds=4))
        await quiet(other, late)
        office.hangs_up, kept = True, len(office.kept)
        request_id = await reported(other)
        ok(await other.requester.post(f"/requests/{request_id}/acknowledge"))
        state = await projected(other, request_id)
        assert state.status is Status.CLOSED
        await eventually(lambda: _has_event(other, late, "acceptance_expired"))
        assert len(office.kept) == kept
        assert (await other.workflow(request_id).result())["status"] == "closed"
        office.calm_down()
        await eventually(lambda: _everybody_told(other, request_id))
        planned = await notices(other, request_id)
        assert {n.status for n in planned} == {NoticeStatus.SENT}
        sent = [taken.message_id for taken in office.taken]
        assert [sent.count(n.message_id) for n in planned] == [1] * len(planned)


async def _everybody_told(system: System, request_id: str) -> bool:
    return all(notice.status is not NoticeStatus.QUEUED for notice in await notices(system, request_id))


async def test_an_e_mail_whose_note_fails_is_not_sent_again(
    system: System, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The records are away from the mail server's answer on, for longer than the activity lives: the next try only notes."""
    monkeypatch.setattr("activities.notifications.NOTES_FOR", timedelta())
    async with (
        open_post_office() as office,
        branch(system, smtp_port=office.port) as other,
        workers(other, database_url=SecretStr(line.url)),
    ):
        office.when_kept = line.cut
        request_id = await submitted(other)
        await eventually(lambda: bool(office.kept))
        office.when_kept = None
        await line.mend()
        await eventually(lambda: _everybody_told(other, request_id))
        assert len(office.kept) == len(await notices(other, request_id)) == 1


# A history that grows long


@pytest.fixture(scope="module")
async def short_histories(
    make_database: MakeDatabase, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """A system of its own, whose server soon says that a history is long."""
    url = await make_database(migrated_template)
    short = {"limit.historyCount.suggestContinueAsNew": 60}
    async with (
        open_post_office() as office,
        run_system(url, tmp_path_factory.mktemp("short"), office, server_limits=short) as system,
    ):
        yield system


async def test_a_request_that_continues_as_new_keeps_everything(short_histories: System) -> None:
    system = short_histories
    request_id = await accepted(system)
    path = f"/requests/{request_id}"
    first = ok(await system.provider.post(f"{path}/request-information", {"text": "Question 0 ?"}, key="first"))
    await system.workflow(request_id).signal("accept", "nonsense")
    runs = set()
    for number in range(1, 9):
        ok(await system.provider.post(f"{path}/request-information", {"text": f"Question {number} ?"}))
        await quiet(system, request_id)
        runs.add((await system.workflow(request_id).describe()).run_id)
    assert len(runs) > 1
    state = await system.state(request_id)
    assert len(state.questions) == 9
    assert await projected(system, request_id) == state
    again = ok(await system.provider.post(f"{path}/request-information", {"text": "Question 0 ?"}, key="first"))
    assert (again["command_id"], len((await system.state(request_id)).questions)) == (first["command_id"], 9)
    command = said_by(system.provider, Role.PROVIDER, id=first["command_id"], text="Question 0 ?")
    assert (await system.workflow(request_id).execute_update("request_information", command))[
        "version"
    ] == state.version
    assert "accept: malformed" in await current_details(system, request_id)
    description = await system.workflow(request_id).describe()
    assert description.search_attributes["RequestStatus"] == ["accepted"]

    for question in state.questions:
        ok(await system.requester.post(f"{path}/answer-information", {"text": "Oui.", "question_id": str(question.id)}))
    answered = await system.state(request_id)
    assert answered.due_at is not None
    await skip_to(system, request_id, answered.due_at + timedelta(seconds=1))
    await eventually(lambda: _has_event(system, request_id, "report_overdue"))
    await written(system, request_id)
    await signed(system, request_id)
    ok(await system.requester.post(f"{path}/acknowledge"))
    assert (await system.workflow(request_id).result())["status"] == "closed"
    assert len(set(state.commands_taken)) == len(state.commands_taken)
    events = await timeline(system, request_id)
    assert [event.version for event in events] == list(range(1, len(events) + 1))
    ids = [taken.message_id for taken in system.post_office.taken]
    assert len(set(ids)) == len(ids)


async def test_commands_meet_the_change_of_runs(short_histories: System) -> None:
    """Updates and Signals that arrive just while a run gives way to the next: each acts once."""
    system = short_histories
    request_id = await accepted(system)
    handle = system.workflow(request_id)
    asked = [said_by(system.provider, Role.PROVIDER, text=f"Question {n} ?") for n in range(40)]
    path = f"/requests/{request_id}/request-information"
    for start in range(0, 40, 8):
        answers = await asyncio.gather(
            *(handle.signal("request_information", command) for command in asked[start : start + 4]),
            *(system.provider.post(path, {"text": c["text"]}, key=c["id"]) for c in asked[start + 4 : start + 8]),
        )
        assert {answer.status_code for answer in answers if answer is not None} == {200}
    await eventually(lambda: _has_version(system, request_id, 43))
    await quiet(system, request_id)
    assert (await names(system, request_id))[3:] == ["information_requested"] * 40
    assert not await refused(system, request_id)


# An addendum after the end


async def test_an_addendum_to_a_closed_request_is_a_short_new_run(system: System) -> None:
    request_id = await closed(system)
    first = (await system.workflow(request_id).describe()).run_id
    body = {"text": "Complément.", "password": PASSWORD}
    ok(await system.provider.post(f"/requests/{request_id}/report/addenda", body))
    assert (await system.workflow(request_id).result())["status"] == "closed"
    assert (await system.workflow(request_id).describe()).run_id != first
    assert (await names(system, request_id))[-2:] == ["addendum_signed", "addendum_issued"]
