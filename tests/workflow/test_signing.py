"""Documents are made on a task queue and in processes of their own: one that ends breaks nothing, none holds up a command."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.testing import ActivityEnvironment

import activities.heartbeat
import documents.bounded
import use_cases.gate
from activities.contract import FINALIZE_REPORT
from activities.reports import ReportActivities
from confined import ForkServer
from documents.bounded import LIMITS
from documents.key_folder import KeyFolder
from domain.effects import Finalize
from records import reports
from tests.eventually import eventually
from tests.journeys import accepted, ok, signed, written
from tests.system import PASSWORD, System
from tests.workflow import halting
from tests.workflow.branch import branch, workers
from tests.workflow.looks import names, projected
from workflows.contract import SECOND_MANNER, signing_task_queue


def place_of(system: System) -> KeyFolder:
    """Where the keys are."""
    assert isinstance(system.authority.place, KeyFolder)
    return system.authority.place


@pytest.fixture
def halted(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that the first signature leaves, which then halts."""
    server = ForkServer(halting.__name__, LIMITS)
    monkeypatch.setattr(documents.bounded, "_server", server)
    file = place_of(system).path / halting.HALTED
    yield file
    server.end()
    file.unlink(missing_ok=True)


async def test_documents_have_a_task_queue_of_their_own(system: System) -> None:
    request_id = await accepted(system)
    await written(system, request_id)
    await signed(system, request_id)
    queue = system.settings.task_queue
    assert await _queues(system, request_id) == {"record_event": {queue}, FINALIZE_REPORT: {signing_task_queue(queue)}}


async def test_a_run_that_began_before_there_was_one_has_its_documents_made_on_its_own(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use_cases.gate, "MANNER", SECOND_MANNER)
    request_id = await accepted(system)
    monkeypatch.undo()
    await written(system, request_id)
    assert (await signed(system, request_id))["status"] == "reported"
    assert (await _queues(system, request_id))[FINALIZE_REPORT] == {system.settings.task_queue}


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("whole", [False, True], ids=["one process", "the server of all"])
async def test_a_process_that_is_killed_while_it_signs_is_followed_by_another(
    system: System, halted: Path, whole: bool
) -> None:
    request_id = await accepted(system)
    await written(system, request_id)
    signing = asyncio.create_task(signed(system, request_id))
    await eventually(halted.exists)
    pid, known = _told(halted)
    secret = place_of(system).secret
    assert secret not in known
    assert secret.hex().encode() not in known
    server = documents.bounded._server._process
    assert server is not None
    os.kill(server.pid if whole else pid, signal.SIGKILL)
    assert (await signing)["status"] == "reported"
    assert (await names(system, request_id))[-2:] == ["report_signed", "final_report_issued"]


async def test_commands_are_taken_while_no_document_is_made(system: System, halted: Path) -> None:
    """One place, and one signature that halts in it: further ones wait behind it, with signs of life, and nobody else does."""
    async with branch(system, documents_at_once=1) as other, workers(other):
        waiting = [await accepted(other) for _ in range(3)]
        for request_id in waiting:
            await written(other, request_id)
        asked = {"kind": "final", "password": PASSWORD}
        sent = [
            asyncio.create_task(other.provider.post(f"/requests/{request_id}/report/sign", asked))
            for request_id in waiting
        ]
        await eventually(halted.exists)
        one_more = await accepted(other)
        ok(await other.provider.post(f"/requests/{one_more}/request-information", {"text": "Depuis quand ?"}))
        assert not any(one.done() for one in sent)
        _end(halted)
        assert {ok(answer)["status"] for answer in await asyncio.gather(*sent)} == {"reported"}


async def test_who_waits_for_a_place_gives_signs_of_life(
    system: System, halted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activities.heartbeat, "EVERY_SECONDS", 0.001)
    request_id = await accepted(system)
    await written(system, request_id)
    signing = asyncio.create_task(signed(system, request_id))
    await eventually(halted.exists)
    state = await projected(system, request_id)
    assert state.signing is not None
    async with system.services.database.session() as session:
        frozen = await reports.load_frozen_report(session, state.signing.report_id)
        assert frozen is not None
    effect = Finalize.again(state.id, state.version, frozen.command_id, state.signing)
    environment, beats = ActivityEnvironment(), list[Any]()
    environment.on_heartbeat = lambda *details: beats.append(details)
    full = ReportActivities(system.services.database, system.services.store, lambda: system.authority, at_once=0)
    waiting = asyncio.create_task(environment.run(full.finalize_report, effect))
    await eventually(lambda: len(beats) > 3)
    assert not waiting.done()
    waiting.cancel()
    _end(halted)
    await signing


def _told(halted: Path) -> tuple[int, bytes]:
    """The process that halted, and what can be seen of it from outside."""
    pid, known = halted.read_bytes().split(b"\n", 1)
    return int(pid), known


def _end(halted: Path) -> None:
    os.kill(_told(halted)[0], signal.SIGKILL)


async def _queues(system: System, request_id: str) -> dict[str, set[str]]:
    """By which task queues each kind of activity of a request went, but those of e-mails."""
    found: dict[str, set[str]] = {}
    async for event in system.workflow(request_id).fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            scheduled = event.activity_task_scheduled_event_attributes
            found.setdefault(scheduled.activity_type.name, set()).add(scheduled.task_queue.name)
    return {name: queues for name, queues in found.items() if not name.startswith(("deliver", "send"))}
