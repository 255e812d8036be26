"""The feed of changes: tells, in each process, when the projection of a request has moved on.

`records.projection` notifies in the transaction that writes; one dedicated connection per process listens, and any number of
waiters share it. The database is always asked as well, so a notification that nobody heard (while the connection was
being made anew) costs time and never truth.
"""

import asyncio
import contextlib
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Self

import asyncpg
import structlog
from sqlalchemy import make_url, select
from sqlalchemy.exc import SQLAlchemyError

from records.database import Database
from records.models import RequestRecord
from records.projection import CHANNEL

log = structlog.get_logger(__name__)

RETRY_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Pauses between tries to connect again; the last one repeats."""

HEARTBEAT_SECONDS = 20.0
"""How often a silent connection is asked whether it still lives."""

SUBSCRIBER_BACKLOG = 1_000


@dataclass(frozen=True)
class Change:
    """The projection of a request has this process version now."""

    request_id: uuid.UUID
    version: int


class ProjectionFeed:
    """Use it as ``async with ProjectionFeed(database) as feed``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiters: dict[uuid.UUID, set[_Waiter]] = defaultdict(set)
        self._subscribers: set[asyncio.Queue[Change | None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._listen(), name="projection feed")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def wait_for(self, request_id: uuid.UUID, version: int, timeout: float) -> bool:  # noqa: ASYNC109
        """Wait until the projection of the request has reached that process version; False after `timeout` seconds.

        It never raises because of the database: while that is away, the answer is False.
        """
        waiter = _Waiter(version)
        self._waiters[request_id].add(waiter)
        try:
            async with asyncio.timeout(timeout):
                while not waiter.reached:
                    waiter.woken.clear()
                    if await self._has_reached(request_id, version):
                        return True
                    if not waiter.reached:
                        await waiter.woken.wait()
        except TimeoutError:
            return waiter.reached
        else:
            return True
        finally:
            self._waiters[request_id].discard(waiter)
            if not self._waiters[request_id]:
                del self._waiters[request_id]

    @contextlib.contextmanager
    def subscribe(self) -> Iterator[AsyncIterator[Change | None]]:
        """All changes from now on: ``with feed.subscribe() as changes: async for change in changes``.

        None means that some may have been missed (a new connection, or a subscriber too slow): look at everything afresh.
        """
        queue: asyncio.Queue[Change | None] = asyncio.Queue(SUBSCRIBER_BACKLOG)
        self._subscribers.add(queue)
        try:
            yield _items(queue)
        finally:
            self._subscribers.discard(queue)

    async def _has_reached(self, request_id: uuid.UUID, version: int) -> bool:
        try:
            async with self._database.session() as session:
                stored = await session.scalar(
                    select(RequestRecord.process_version).where(RequestRecord.id == request_id)
                )
        except (SQLAlchemyError, OSError) as error:
            log.warning("the database does not answer", error=type(error).__name__)
            return False
        return stored is not None and stored >= version

    async def _listen(self) -> None:
        """Keep one listening connection, for ever, whatever happens to it."""
        failures = 0
        while True:
            try:
                connection = await _connect(self._database)
                failures = 0
                try:
                    await self._hear(connection)
                finally:
                    connection.terminate()
            except Exception as error:
                log.warning("the feed has no connection", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                failures += 1

    async def _hear(self, connection: asyncpg.Connection) -> None:
        """Listen until the server ends the connection. Raises what asyncpg raises when it is lost in silence."""
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        await connection.add_listener(CHANNEL, self._on_notification)
        self._start_afresh()
        while not ended.is_set():
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await ended.wait()
            except TimeoutError:
                await connection.execute("SELECT 1", timeout=HEARTBEAT_SECONDS)

    def _start_afresh(self) -> None:
        """Nobody knows what was told before this connection: everyone looks for themselves."""
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.woken.set()
        for queue in self._subscribers:
            _put(queue, None)

    def _on_notification(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        request_id, _, version = str(payload).rpartition(":")
        change = Change(uuid.UUID(request_id), int(version))
        for waiter in self._waiters.get(change.request_id, ()):
            if change.version >= waiter.version:
                waiter.reached = True
                waiter.woken.set()
        for queue in self._subscribers:
            _put(queue, change)


@dataclass(eq=False)
class _Waiter:
    """One call of `wait_for`."""

    version: int
    reached: bool = False

    def __post_init__(self) -> None:
        self.woken = asyncio.Event()


async def _connect(database: Database) -> asyncpg.Connection:
    _, arguments = database.engine.dialect.create_connect_args(make_url(database.url))
    return await asyncpg.connect(**arguments, timeout=10, server_settings={"application_name": "relais feed"})


def _put(queue: asyncio.Queue[Change | None], change: Change | None) -> None:
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        change = None
    queue.put_nowait(change)


async def _items(queue: asyncio.Queue[Change | None]) -> AsyncIterator[Change | None]:
    while True:
        yield await queue.get()
