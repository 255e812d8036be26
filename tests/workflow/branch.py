"""A branch of the system for one test: the same people, records and Temporal server, but task queues and workers of its own.

So a test may stop its workers, give them other keys, another mail server or a line to the records that it can cut.
"""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import make_url
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from api.server import create_app
from embedded.postgres import PORT
from engine.converter import data_converter
from key_ring import KeyRing
from records.database import Database
from records.store import DocumentStore
from settings import Settings
from tests.system import Clinician, System, forget_what_is_on_its_way
from worker import build_workers
from workflows.schedules import schedules


@asynccontextmanager
async def branch(system: System, *, ring: KeyRing | None = None, **changes: Any) -> AsyncIterator[System]:
    """The branch, without workers. `changes` are settings; `ring` replaces the keys of the API's client."""
    name = secrets.token_hex(4)
    settings = system.settings.model_copy(
        update={"task_queue": f"relais-{name}", "mail_task_queue": f"relais-mail-{name}", **changes}
    )
    engine = system.services.engine if ring is None else with_keys(system, ring)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(_records(system, settings))
        services = replace(system.services, settings=settings, engine=engine, database=database)
        app = create_app(settings, services)
        people = {}
        for person, clinician in system.people.items():
            http = httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://relais.test", headers=clinician.http.headers
            )
            people[person] = Clinician(clinician.account, await stack.enter_async_context(http))
        yield replace(system, settings=settings, services=services, app=app, people=people)
        if "task_queue" not in changes:
            await forget_what_is_on_its_way(system)  # its workers are gone for good


@asynccontextmanager
async def _records(system: System, settings: Settings) -> AsyncIterator[Database]:
    """The system's own connections, unless these settings ask for others: a pool of its own compiles every statement anew."""
    if all(
        getattr(settings, name) == getattr(system.settings, name) for name in ("database_url", "database_pool_size")
    ):
        yield system.services.database
        return
    async with Database.opened(settings) as others:
        yield others


@asynccontextmanager
async def impatient(branch_: System) -> AsyncIterator[System]:
    """The same branch, through an API that soon gives up waiting for a worker."""
    async with beside(branch_, command_timeout_seconds=0.5) as hasty:
        yield hasty


@asynccontextmanager
async def beside(branch_: System, **changes: Any) -> AsyncIterator[System]:
    """The same branch, with the same workers, through an API with other settings."""
    queues = {name: getattr(branch_.settings, name) for name in ("task_queue", "mail_task_queue")}
    async with branch(branch_, **queues, **changes) as other:
        yield other


@asynccontextmanager
async def workers(
    branch: System, *, ring: KeyRing | None = None, store: DocumentStore | None = None, **changes: Any
) -> AsyncIterator[tuple[Worker, ...]]:
    """The branch's workers, by its settings with `changes`, with the keys of `ring` and another document store."""
    settings: Settings = branch.settings.model_copy(update=changes)
    client = branch.services.engine if ring is None else with_keys(branch, ring)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(_records(branch, settings))
        running = build_workers(client, settings, database, store or branch.services.store, lambda: branch.authority)
        for worker in running:
            await stack.enter_async_context(worker)
        yield running


@asynccontextmanager
async def worker_process(branch: System) -> AsyncIterator[asyncio.subprocess.Process]:
    """The branch's workers in a process of their own. A test may kill it."""
    settings = branch.settings.model_dump(mode="json", exclude_none=True)
    for name in ("database_url", "encryption_keys", "authority_secret"):
        settings[name] = getattr(branch.settings, name).get_secret_value()
    address = branch.services.engine.service_client.config.target_host
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", "import asyncio, worker; asyncio.run(worker.main())"),
        env={
            **os.environ,
            **{f"RELAIS_{name.upper()}": _written(value) for name, value in settings.items()},
            **{"TEMPORAL_ADDRESS": address, "TEMPORAL_CONFIG_FILE": os.devnull},
        },
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        await _call_off_schedules(branch)


def _written(value: Any) -> str:
    """As in an environment."""
    return json.dumps(value) if isinstance(value, list) else str(value)


async def _call_off_schedules(branch: System) -> None:
    """What a worker process has planned on the shared engine would begin on task queues where nobody works any more."""
    for name in schedules(branch.settings):
        with suppress(RPCError):  # it was killed before it had planned this one
            await branch.services.engine.get_schedule_handle(name).delete()


def with_keys(system: System, ring: KeyRing) -> Client:
    """A client like the system's, with the plugin of these keys."""
    config = system.environment.client.config()
    config["data_converter"] = data_converter(ring)
    config["plugins"] = []
    return Client(**config)


class Line:
    """A line to PostgreSQL that can be cut: a Unix socket of its own that leads to the real one."""

    def __init__(self, database_url: str, folder: Path) -> None:
        real = make_url(database_url)
        self._real = Path(str(real.query["host"])) / f".s.PGSQL.{PORT}"
        self._socket = folder / self._real.name
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.url = real.set(query={"host": str(folder)}).render_as_string(hide_password=False)

    async def mend(self) -> None:
        self._server = await asyncio.start_unix_server(self._connect, self._socket)

    def cut(self) -> None:
        """End every connection, and take no new ones."""
        if self._server is not None:
            self._server.close()
        self._socket.unlink(missing_ok=True)
        for writer in self._writers:
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        real_reader, real_writer = await asyncio.open_unix_connection(self._real)
        self._writers |= {writer, real_writer}
        await asyncio.gather(_pass_on(reader, real_writer), _pass_on(real_reader, writer), return_exceptions=True)
        self._writers -= {writer, real_writer}


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
