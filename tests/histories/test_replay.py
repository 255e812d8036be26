"""Every stored workflow history must still replay: requests that began weeks ago go on under today's code."""

from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from engine.client import plugin
from engine.encryption import KeyRing
from tests.histories import FOLDER, KEYS
from tests.histories.changed import ChangedWorkflow
from workflows.teleconsultation import TeleconsultationWorkflow

STORED = sorted(FOLDER.glob("*.json"))


def stored(path: Path) -> WorkflowHistory:
    history = WorkflowHistory.from_json("", path.read_text())
    started = history.events[0].workflow_execution_started_event_attributes
    return WorkflowHistory(started.workflow_id, history.events)


def replayer(workflow: type) -> Replayer:
    return Replayer(workflows=[workflow], plugins=[plugin(KeyRing.parse(KEYS))])


def test_the_stories_are_here() -> None:
    kinds = {path.stem.rpartition("-")[0] for path in STORED}
    assert kinds == {
        *("many_ways", "every_clock", "signals_refused", "cancelled_in_ui", "cancelled_in_vain", "addendum"),
        *("signing_failed", "lost", "continued"),
    }
    for twice in ("addendum", "lost", "continued"):
        assert FOLDER / f"{twice}-2.json" in STORED


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
async def test_a_stored_history_replays(path: Path) -> None:
    await replayer(TeleconsultationWorkflow).replay_workflow(stored(path))


async def test_a_changed_order_is_noticed() -> None:
    with pytest.raises(NondeterminismError):
        await replayer(ChangedWorkflow).replay_workflow(stored(FOLDER / "many_ways-1.json"))


async def test_a_history_of_another_key_does_not_replay() -> None:
    other = Replayer(workflows=[TeleconsultationWorkflow], plugins=[plugin(KeyRing({"other": bytes(32)}))])
    with pytest.raises(RuntimeError):
        await other.replay_workflow(stored(STORED[0]))


def test_the_continued_history_did_continue() -> None:
    last = stored(FOLDER / "continued-1.json").events[-1]
    assert last.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW
