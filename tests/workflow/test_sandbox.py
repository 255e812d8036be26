"""Temporal's sandbox is on, and cheap: of the project, it loads nothing anew for a request but the workflow's own file."""

import sys
from typing import Any

import pytest
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox._importer import Importer

from tests.histories import FOLDER
from tests.histories.replays import stored
from tests.histories.test_replay import replayer
from tests.system import System
from tests.workflow.branch import branch, workers
from workflows.teleconsultation import TeleconsultationWorkflow


async def test_the_sandbox_is_on(system: System) -> None:
    async with branch(system) as other, workers(other) as running:
        for worker in running:
            assert isinstance(worker.config()["workflow_runner"], SandboxedWorkflowRunner)


async def test_only_the_workflow_itself_is_loaded_for_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    sandboxes: set[Importer] = set()
    load = Importer._import

    def watched(importer: Importer, *arguments: Any, **more: Any) -> Any:
        sandboxes.add(importer)
        return load(importer, *arguments, **more)

    monkeypatch.setattr(Importer, "_import", watched)
    await replayer(TeleconsultationWorkflow).replay_workflow(stored(FOLDER / "many_ways-1.json"))
    assert sandboxes
    for sandbox in sandboxes:
        anew = {name for name, module in sandbox.new_modules.items() if module is not sys.modules.get(name)}
        ours = {name for name in anew if name.partition(".")[0] in ("domain", "workflows", "activities", "engine")}
        assert ours <= {"workflows", "workflows.teleconsultation"}
        assert not {name for name in anew if name.partition(".")[0] in ("pydantic", "temporalio", "holidays")}
