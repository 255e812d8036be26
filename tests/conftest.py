"""The real PostgreSQL that tests run on: one private cluster per test process, and a migrated database in it."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from hypothesis import HealthCheck, settings
from sqlalchemy import make_url
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

import memory
from embedded import postgres
from embedded.child import wrap
from records import grants, migrate
from records.database import Database
from records.ids import new_id
from records.patient_words import SearchKeys
from tests.mail.post_office import open_post_office
from tests.system import System, api_account, part_with_newcomers, run_system

settings.register_profile("relais", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("relais")  # how long an example takes says something of the machine only

# As in the processes that serve: with what each frame holds, drawn, one traceback of the API takes half a minute.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

DEAREST_FIRST = (
    "end_to_end",
    "unit/domain/test_lifecycle_properties",
    "workflow",
    "portal",
    "mail",
    "histories",
    "embedded",
    "api",
    "records",
)
"""Where the tests are that take longest each: at the end of the run only cheap files are left, and no core stands idle."""

TOGETHER = ("tests/end_to_end/",)
"""Folders whose tests share one thing that takes a minute of a processor to start."""

SHARED: list[System] = []
"""The system of this test process, once a test has asked for it."""

MakeDatabase = Callable[[str | None], Awaitable[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The dearest files come first; within a file, and among the others, the order stays."""
    here = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        name = item.path.relative_to(here).as_posix()
        return next((n for n, dear in enumerate(DEAREST_FIRST) if name.startswith(dear)), len(DEAREST_FIRST))

    items.sort(key=rank)


class FilesAndFolders(LoadFileScheduling):  # type: ignore[misc]
    """A process takes a whole file, or a whole folder of those in `TOGETHER`."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return next((folder for folder in TOGETHER if file.startswith(folder)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesAndFolders | None:
    """How the tests are shared among processes, when that is by files."""
    return FilesAndFolders(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    """As the processes that serve: otherwise a search for garbage looks through every test and every module."""
    memory.settle()


@pytest.fixture(scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[postgres.Cluster]:
    """A running cluster of our own, without fsync: no test pulls the plug."""
    folder = tmp_path_factory.mktemp("cluster").resolve()
    cluster = await postgres.prepare(folder)
    command = wrap([*cluster.command, "-c", "fsync=off"], run_as=cluster.run_as, death_signal=signal.SIGINT)
    with (folder / "postgres.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)  # noqa: ASYNC220
    try:
        await _until_ready(cluster, server, folder / "postgres.log")
        yield cluster
    finally:
        server.send_signal(signal.SIGINT)
        await asyncio.to_thread(server.wait)


@pytest.fixture(scope="session")
async def make_database(cluster: postgres.Cluster) -> MakeDatabase:
    """Makes a database of its own, as a copy of the one named, or empty for None; gives its address."""

    async def make(template: str | None) -> str:
        name = f"test_{new_id().hex}"
        await _administer(cluster, f'CREATE DATABASE "{name}" TEMPLATE "{template or "template0"}"')
        return make_url(cluster.url).set(database=name).render_as_string(hide_password=False)

    return make


@pytest.fixture(scope="session")
async def migrated_template(make_database: MakeDatabase) -> str:
    """The name of a database that has the schema and no rows."""
    url = await make_database(None)
    await migrate.upgrade(url)
    database = Database(url)
    async with database.session() as session:
        await grants.let_in(session, api_account(url))
    await database.close()
    return str(make_url(url).database)


@pytest.fixture(scope="session")
async def database_url(make_database: MakeDatabase, migrated_template: str) -> str:
    """The address of this test process's migrated database. Tests share it: make your own clinics, look at your own rows."""
    return await make_database(migrated_template)


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    """The connection to that database."""
    database = Database(database_url, application_name="relais tests", search_keys=SearchKeys((b"a key",)))
    yield database
    await database.close()


@pytest.fixture(scope="session")
async def system(
    make_database: MakeDatabase, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """A whole Relais in this process, with a database of its own. See `tests.system`."""
    url = await make_database(migrated_template)
    patched = pytest.MonkeyPatch()  # tests share its clinics, and let in more systems than one clinic may have
    patched.setattr("use_cases.service_accounts.MOST_SERVICE_ACCOUNTS", 10_000)
    async with (
        open_post_office() as post_office,
        run_system(url, tmp_path_factory.mktemp("system"), post_office) as system,
    ):
        SHARED.append(system)
        memory.settle()  # what its start made stays as well
        yield system
        SHARED.clear()


@pytest.fixture(scope="module", autouse=True)
async def newcomers_leave() -> AsyncIterator[None]:
    """The tests of the next file find the shared system's people as they were."""
    yield
    if SHARED:
        await part_with_newcomers(SHARED[0])


async def _until_ready(cluster: postgres.Cluster, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until the server takes connections; say what it said when it ended instead."""
    while server.poll() is None:
        try:
            await cluster.ready(datetime.now(UTC))
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.02)
        else:
            return
    raise RuntimeError(f"PostgreSQL did not start: see {log}")


async def _administer(cluster: postgres.Cluster, statement: str) -> None:
    connection = await asyncpg.connect(
        host=str(cluster.socket_folder), port=postgres.PORT, user=postgres.USER, database="postgres"
    )
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
