"""How commands find the running system: ports that stay, settings and TEMPORAL_ names, leftovers of a crash."""

import os
import signal
import socket
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from embedded.errors import StartError
from embedded.leftovers import command_line, end_leftovers
from embedded.ports import choose_port, choose_ports, require_free
from embedded.runtime import PartState, PartStatus, Runtime, StartSettings, load_runtime, read_runtime, runtime_file
from settings import Settings
from tests.embedded.processes import running
from tests.eventually import eventually

VARIABLE = "RELAIS_TEST_PORT"


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """Written by an earlier start into the data folder of this test."""
    monkeypatch.setenv("RELAIS_DATA_DIR", str(tmp_path))
    for name in [*os.environ]:
        if name.startswith("TEMPORAL_"):
            monkeypatch.delenv(name)
    runtime = Runtime(
        started_at=datetime.now(UTC),
        settings={"embedded": True, "smtp_port": 2525, "support_phone": "1 866 555-0123"},
        environment={"TEMPORAL_ADDRESS": "127.0.0.1:7999", "TEMPORAL_NAMESPACE": "default"},
    )
    runtime.write(tmp_path)
    return runtime


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port at which a program listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_is_read_as_it_was_written_and_private(tmp_path: Path, runtime: Runtime) -> None:
    assert read_runtime(tmp_path) == runtime
    assert stat.S_IMODE(runtime_file(tmp_path).stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [runtime_file(tmp_path)]


def test_other_commands_find_the_engines(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "mine")
    settings = Settings()
    assert (settings.embedded, settings.smtp_port) == (True, 2525)
    assert load_runtime(settings) == runtime
    assert os.environ["TEMPORAL_ADDRESS"] == "127.0.0.1:7999"
    assert os.environ["TEMPORAL_NAMESPACE"] == "mine"


def test_in_production_there_is_nothing_to_find(tmp_path: Path) -> None:
    assert load_runtime(Settings(data_dir=tmp_path)) is None


@pytest.mark.usefixtures("runtime")
def test_a_start_does_not_begin_from_what_the_last_one_wrote() -> None:
    assert StartSettings().smtp_port == Settings.model_fields["smtp_port"].default


def test_a_file_that_is_damaged_is_named(tmp_path: Path) -> None:
    runtime_file(tmp_path).write_text("{")
    with pytest.raises(StartError, match=r"runtime\.json cannot be read: remove it"):
        read_runtime(tmp_path)


def test_the_port_that_is_set_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    free = choose_port(VARIABLE, None)
    monkeypatch.setenv(VARIABLE, str(free))
    assert choose_port(VARIABLE, 1) == free


def test_the_port_of_the_last_start_is_kept_while_it_is_free(taken_port: int) -> None:
    free = choose_port(VARIABLE, None)
    assert choose_port(VARIABLE, free) == free
    assert choose_port(VARIABLE, taken_port) != taken_port


def test_a_taken_port_is_named_with_the_variable_that_changes_it(
    taken_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = f"Port {taken_port} is already used by another program: free it, or choose another one.* RELAIS_PORT="
    with pytest.raises(StartError, match=sentence):
        require_free("127.0.0.1", taken_port, "RELAIS_PORT")
    monkeypatch.setenv(VARIABLE, str(taken_port))
    with pytest.raises(StartError, match=VARIABLE):
        choose_port(VARIABLE, None)


@pytest.mark.parametrize("value", ["", "0", "-1", "65536", "smtp", "８０００"])
def test_what_is_no_port_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(StartError, match="is no port"):
        choose_port(VARIABLE, None)


def test_no_port_is_given_twice() -> None:
    free = choose_port(VARIABLE, None)
    names = ("a", "b", "c")
    ports = choose_ports(dict.fromkeys(names, VARIABLE), dict.fromkeys(names, free))
    assert len(set(ports.values())) == 3
    assert ports["a"] == free


async def test_leftovers_end_and_strangers_with_their_ids_do_not(tmp_path: Path) -> None:
    async with (
        running(["sleep", "1000"], tmp_path / "log") as ours,
        running(["sleep", "999"], tmp_path / "log") as other,
    ):
        await eventually(lambda: command_line(ours.pid) == "sleep 1000" and command_line(other.pid) == "sleep 999")
        await end_leftovers({"ours": status(ours.pid), "other": status(other.pid), "none": status(None)})
        assert await ours.wait() == -signal.SIGTERM
        assert other.returncode is None
        os.kill(other.pid, 0)


def status(pid: int | None) -> PartStatus:
    return PartStatus(
        state=PartState.RUNNING, pid=pid, address="", restarts=0, command=("sleep", "1000"), stop_signal=signal.SIGTERM
    )
