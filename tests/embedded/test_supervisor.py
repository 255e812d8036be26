"""The supervisor with small real processes: order, restarts, orders from outside, and all the ways to end."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from embedded.control import print_status, start_part, stop_part
from embedded.errors import StartError
from embedded.runtime import PartState, PartStatus, read_runtime
from tests.embedded import small_system
from tests.eventually import eventually


class System:
    """The running small system and what can be seen of it."""

    def __init__(self, folder: Path, process: Process) -> None:
        self.folder = folder
        self.process = process

    async def said(self, text: str) -> str:
        """Reads its output up to a line with `text`; gives that line, or an empty one at the end of the output."""
        assert self.process.stdout is not None
        while line := (await self.process.stdout.readline()).decode():
            if text in line:
                return line
        return ""

    async def ended(self) -> int:
        """Waits for its end; gives the exit code."""
        await self.said("this is never said")
        return await self.process.wait()

    def status(self, name: str) -> PartStatus:
        runtime = read_runtime(self.folder)
        assert runtime is not None
        return runtime.parts[name]

    def pid(self, name: str) -> int:
        pid = self.status(name).pid
        assert pid is not None
        return pid

    def events(self) -> list[str]:
        return (self.folder / "events").read_text().splitlines()


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[System]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", small_system.__name__, str(folder)),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=PIPE,
        stderr=STDOUT,
    )
    system = System(folder, process)
    try:
        yield system
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await system.ended()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_starts_in_order_and_stops_in_reverse(tmp_path: Path) -> None:
    async with started(tmp_path) as system:
        assert await system.said("all ready")
        assert {name: system.status(name).state for name in ("database", "worker")} == {
            "database": PartState.RUNNING,
            "worker": PartState.RUNNING,
        }
        system.process.send_signal(signal.SIGINT)
        assert await system.ended() == 0
    assert system.events() == [
        "database started",
        "step done",
        "worker started",
        "worker stopped",
        "database stopped",
    ]
    assert system.status("database").state is PartState.STOPPED


async def test_a_killed_part_is_started_again(tmp_path: Path) -> None:
    async with started(tmp_path) as system:
        assert await system.said("all ready")
        before = system.pid("worker")
        os.kill(before, signal.SIGKILL)
        assert "worker ended by itself (SIGKILL); starting it again in 1 s" in await system.said("ended by itself")
        await eventually(lambda: system.status("worker").state is PartState.RUNNING)
        assert system.pid("worker") != before
        assert system.status("worker").restarts == 1
        assert system.status("database").restarts == 0


async def test_a_part_that_stands_still_is_said_to_and_started_again(tmp_path: Path) -> None:
    (tmp_path / "impatient").write_text("6")
    async with started(tmp_path) as system:
        assert await system.said("all ready")
        before = system.pid("worker")
        os.kill(before, signal.SIGSTOP)
        assert "worker does not answer" in await system.said("does not answer")
        assert system.status("worker").state is PartState.NOT_ANSWERING
        assert await system.said("worker was ended because it did not answer; starting it again in 1 s")
        await eventually(lambda: system.status("worker").state is PartState.RUNNING)
        assert system.pid("worker") != before
        assert not is_alive(before)
        assert (system.status("worker").restarts, system.status("database").restarts) == (1, 0)


async def test_a_part_that_answers_again_goes_on(tmp_path: Path) -> None:
    (tmp_path / "impatient").write_text("600")
    async with started(tmp_path) as system:
        assert await system.said("all ready")
        before = system.pid("worker")
        os.kill(before, signal.SIGSTOP)
        assert await system.said("worker does not answer")
        os.kill(before, signal.SIGCONT)
        assert await system.said("worker answers again")
        assert system.status("worker").state is PartState.RUNNING
        assert (system.pid("worker"), system.status("worker").restarts) == (before, 0)


async def test_a_part_that_waits_for_another_is_started(tmp_path: Path) -> None:
    (tmp_path / "impatient").write_text("600")
    async with started(tmp_path) as system:
        assert await system.said("all ready")
        await asyncio.to_thread(stop_part, tmp_path, "worker")
        (tmp_path / "worker.waits").touch()
        assert await asyncio.to_thread(start_part, tmp_path, "worker") is PartState.WAITING
        (tmp_path / "worker.ready").touch()
        await eventually(lambda: system.status("worker").state is PartState.RUNNING)


async def test_a_part_that_was_stopped_stays_so_until_it_is_started(tmp_path: Path) -> None:
    async with started(tmp_path) as system:
        assert await system.said("all ready")
        before = system.pid("worker")
        await asyncio.to_thread(stop_part, tmp_path, "worker")
        assert system.status("worker") == system.status("worker").model_copy(update={"pid": None, "restarts": 0})
        assert not is_alive(before)
        await asyncio.to_thread(start_part, tmp_path, "worker")
        assert system.pid("worker") != before
        assert system.status("worker").restarts == 0
        assert system.events()[-2:] == ["worker stopped", "worker started"]


async def test_a_stopped_part_runs_again_after_the_next_start(tmp_path: Path) -> None:
    async with started(tmp_path) as system:
        assert await system.said("all ready")
        await asyncio.to_thread(stop_part, tmp_path, "worker")
    async with started(tmp_path) as system:
        assert await system.said("all ready")
        assert system.status("worker").state is PartState.RUNNING


async def test_orders_need_a_running_system_and_a_known_part(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="does not run in"):
        stop_part(tmp_path, "worker")
    async with started(tmp_path) as system:
        assert await system.said("all ready")
        with pytest.raises(StartError, match="no part 'typewriter': choose among database, worker"):
            stop_part(tmp_path, "typewriter")


async def test_status_is_a_table_of_the_parts(tmp_path: Path) -> None:
    from rich.console import Console

    async with started(tmp_path) as system:
        assert await system.said("all ready")
        console = Console(width=100)
        with console.capture() as printed:
            print_status(tmp_path, console)
        for word in ("worker", "running", str(system.pid("worker")), "at worker"):
            assert word in printed.get()


async def test_a_part_that_does_not_start_ends_all_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "worker.broken").touch()
    async with started(tmp_path) as system:
        line = await system.said("The worker does not start")
        assert await system.ended() == 1
    assert line.strip() == f"The worker does not start: see {tmp_path}/logs/worker.log (last line: no bolts left)."
    assert system.events()[-1] == "database stopped"


async def test_a_step_that_fails_ends_all_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "step.broken").touch()
    async with started(tmp_path) as system:
        assert "(last line: the step slipped)" in await system.said("The step “first step” failed")
        assert await system.ended() == 1
    assert system.events()[-1] == "database stopped"


async def test_an_optional_step_that_fails_is_told_and_all_else_starts(tmp_path: Path) -> None:
    (tmp_path / "step.broken").touch()
    (tmp_path / "step.optional").touch()
    async with started(tmp_path) as system:
        assert "(last line: the step slipped)" in await system.said("! The step “first step” failed")
        assert await system.said("all ready")


async def test_a_part_that_does_not_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    (tmp_path / "with-stubborn").touch()
    async with started(tmp_path) as system:
        assert await system.said("all ready")
        pid = system.pid("stubborn")
        system.process.send_signal(signal.SIGTERM)
        assert await system.said("stubborn did not stop when asked; killing it")
        assert await system.ended() == 0
    assert not is_alive(pid)


async def test_a_second_signal_hurries(tmp_path: Path) -> None:
    (tmp_path / "with-stubborn").touch()
    async with started(tmp_path) as system:
        assert await system.said("all ready")
        system.process.send_signal(signal.SIGINT)
        assert await system.said("Stopping")
        system.process.send_signal(signal.SIGINT)
        assert await system.said("Killing what is left")
        assert await system.ended() == 0


async def test_parts_do_not_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    async with started(tmp_path) as system:
        assert await system.said("all ready")
        pids = [system.pid(name) for name in ("database", "worker")]
        system.process.kill()
        await system.ended()
    await eventually(lambda: not any(map(is_alive, pids)))


async def test_the_next_start_ends_what_a_killed_system_left(tmp_path: Path) -> None:
    """`stubborn` ignores the signal that the supervisor's death sends, and is found by its command line."""
    (tmp_path / "with-stubborn").touch()
    async with started(tmp_path) as system:
        assert await system.said("all ready")
        left = system.pid("stubborn")
        system.process.kill()
        await system.ended()
    assert is_alive(left)
    async with started(tmp_path) as system:
        assert await system.said("all ready")
        assert not is_alive(left)
        assert system.pid("stubborn") != left


async def test_a_second_instance_is_refused_with_one_sentence(tmp_path: Path) -> None:
    async with started(tmp_path) as first:
        assert await first.said("all ready")
        async with started(tmp_path) as second:
            line = await second.said("already runs")
            assert await second.ended() == 1
        assert line.startswith(f"Relais already runs in {tmp_path}: see it with `relais status`")
        assert is_alive(first.pid("worker"))
