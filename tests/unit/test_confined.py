"""Work in processes of its own: each limit holds, each end is told apart, and nothing is left behind."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import confined
from confined import ConfinedError, ForkServer, Limits, NoVerdictError, OutOfMemoryError, OutOfTimeError, _Server
from tests.eventually import PATIENCE_SECONDS, eventually
from tests.unit import confined_tasks

MODULE = confined_tasks.__name__
LIMITS = Limits(cpu_seconds=1, seconds=600, memory_bytes=256 * 1024**2, file_bytes=8 * 1024**2)
SHORT = Limits(cpu_seconds=10, seconds=1, memory_bytes=512 * 1024**2, file_bytes=8 * 1024**2)


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    server = ForkServer(MODULE, LIMITS)
    yield server
    server.end()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def told(server: ForkServer, folder: Path) -> dict[str, object]:
    await server.run("look", folder)
    return dict(json.loads((folder / "told.json").read_text()))


async def test_a_process_for_each_task_that_knows_nothing_of_ours(
    server: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAIS_ENCRYPTION_KEYS", "secret")
    one, other = await told(server, tmp_path), await told(server, tmp_path)
    assert one["pid"] != other["pid"]
    assert not is_alive(int(str(one["pid"])))
    assert set(one["environment"]) <= {"PATH", "LC_ALL", "LC_CTYPE", "PYTHONPATH", "MALLOC_ARENA_MAX"}  # type: ignore[call-overload]
    assert one["folder"] == os.path.realpath(tmp_path)  # noqa: ASYNC240, PTH
    assert len(one["open"]) <= 4  # type: ignore[arg-type]  # and the folder that is looked into


async def test_words_travel_in_memory_only(server: ForkServer, tmp_path: Path) -> None:
    await server.run("look", tmp_path, "a secret", "another")
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["words"] == ["a secret", "another"]
    assert "a secret" not in str(told["environment"])
    assert server._process is not None
    assert "a secret" not in str(server._process.args)
    assert os.listdir(tmp_path) == ["told.json"]  # noqa: PTH208


async def test_what_all_calls_need_is_loaded_once_by_a_server_that_is_nicer_than_its_caller(tmp_path: Path) -> None:
    server = ForkServer(MODULE, LIMITS)
    await server.start()
    assert server._process is not None
    begun = server._process.pid
    one, other = await told(server, tmp_path), await told(server, tmp_path)
    assert one["prepared"] == other["prepared"] == [begun]
    assert one["nice"] == other["nice"] == os.nice(0) + confined._PRIORITY
    server.end()


async def test_a_start_that_fails_is_made_good_by_the_first_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ForkServer(MODULE, LIMITS)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", str(tmp_path / "nothing"))
        await server.start()
    await told(server, tmp_path)
    server.end()


@pytest.mark.parametrize(
    ("task", "error"),
    [("turn", OutOfTimeError), ("swell", OutOfMemoryError), ("write", ConfinedError), ("crash", ConfinedError)],
)
async def test_a_limit_ends_the_process(
    server: ForkServer, tmp_path: Path, task: str, error: type[ConfinedError]
) -> None:
    if task == "swell" and sys.platform == "darwin":
        pytest.skip("macOS can't limit the memory of a process")
    with pytest.raises(ConfinedError) as raised:
        await server.run(task, tmp_path)
    assert type(raised.value) is error
    assert not (tmp_path / "large").exists() or (tmp_path / "large").stat().st_size <= LIMITS.file_bytes
    await told(server, tmp_path)


async def test_what_waits_ends_by_the_clock(tmp_path: Path) -> None:
    server = ForkServer(MODULE, SHORT)
    with pytest.raises(NoVerdictError):
        await server.run("wait", tmp_path)
    assert not is_alive(int((tmp_path / "pid").read_text()))
    server.end()


async def test_an_error_names_its_place_and_not_what_it_says(server: ForkServer, tmp_path: Path) -> None:
    with pytest.raises(ConfinedError, match=r"^ValueError at confined_tasks\.py:\d+$"):
        await server.run("fail", tmp_path)
    with pytest.raises(ConfinedError, match="SystemExit"):
        await server.run("quit", tmp_path)
    with pytest.raises(ConfinedError):
        await server.run("no_such_task", tmp_path)
    await told(server, tmp_path)


async def test_who_gives_up_ends_the_process(server: ForkServer, tmp_path: Path) -> None:
    task = asyncio.create_task(server.run("wait", tmp_path))
    await eventually(lambda: (tmp_path / "pid").read_text() != "")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_alive(int((tmp_path / "pid").read_text()))  # it has ended before the place is free


async def test_many_at_once(server: ForkServer, tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(24)]
    for folder in folders:
        folder.mkdir()
    seen = await asyncio.gather(*(told(server, folder) for folder in folders))
    assert len({one["pid"] for one in seen}) == 24


async def test_a_server_that_is_ended_is_started_again(tmp_path: Path) -> None:
    server = ForkServer(MODULE, LIMITS)
    await told(server, tmp_path)
    process = server._process
    assert process is not None
    task = asyncio.create_task(server.run("wait", tmp_path))
    await eventually(lambda: (tmp_path / "pid").read_text() != "")
    process.kill()
    with pytest.raises(NoVerdictError):
        await task
    pid = int((tmp_path / "pid").read_text())
    if sys.platform == "linux":
        await eventually(lambda: not is_alive(pid))  # what it ran ends with it
    else:
        os.kill(pid, signal.SIGKILL)
    await told(server, tmp_path)
    server.end()


async def test_a_server_that_does_not_answer_delays_nobody_who_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confined, "_GRACE_SECONDS", 0.05)
    server = ForkServer(MODULE, LIMITS)
    task = asyncio.create_task(server.run("wait", tmp_path))
    await eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
    assert server._process is not None
    server._process.send_signal(signal.SIGSTOP)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, PATIENCE_SECONDS)
    server.end()


async def test_a_server_that_can_not_start_says_nothing_of_the_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(NoVerdictError):
        await ForkServer(MODULE, LIMITS).run("look", tmp_path)


def test_a_process_that_ended_is_not_ended_again() -> None:
    """Its end and the caller's may come in the same moment."""
    server = _Server.__new__(_Server)
    server._running = {}
    server._kill(1)


def test_no_room_for_a_process_ends_the_one_task(monkeypatch: pytest.MonkeyPatch) -> None:
    server = _Server.__new__(_Server)
    asking, server._control = socket.socketpair()
    waiting, told = socket.socketpair()
    job = json.dumps(["look", "/"]).encode()
    with asking, server._control, waiting:
        with told:
            socket.send_fds(asking, [len(job).to_bytes(2, "big") + job], [told.fileno()])
        monkeypatch.setattr(os, "fork", full)
        server._take()
        assert waiting.recv(1) == b""


def full() -> int:
    raise BlockingIOError


async def test_nothing_outlives_who_asked_for_it(tmp_path: Path) -> None:
    """The API may be killed: the fork server sees that, and ends what it runs."""
    program = (
        "import asyncio, sys; from pathlib import Path; from confined import ForkServer, Limits;"
        f"asyncio.run(ForkServer('{MODULE}', Limits(10, 600, 2**30, 2**20)).run('wait', Path(sys.argv[1])))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(tmp_path))
    await eventually(lambda: (tmp_path / "pid").read_text() != "")
    process.kill()
    await process.wait()
    await eventually(lambda: not is_alive(int((tmp_path / "pid").read_text())))
