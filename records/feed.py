"""The feed of changes: tells, in each process, when the projection of a request has moved on.

`records.projection` notifies in the transaction that writes; one dedicated connection per process listens, and any number of
watches share it. The database is asked as well where nothing was heard, so a notification that nobody heard (while the
connection was being made anew) costs time and never truth. A page is read before it can listen: it takes the feed's `position`
along, and what came since is told first.
"""

import asyncio
import contextlib
import uuid
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Self

import asyncpg
import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from records import people, presences
from records.database import Database
from records.models import RequestRecord
from records.presences import Presences
from records.requests import CHANNEL

log = structlog.get_logger(__name__)

RETRY_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Pauses between tries to connect again; the last one repeats."""

HEARTBEAT_SECONDS = 20.0
"""How often a silent connection is asked whether it still lives."""

SOON_SECONDS = 1.0
"""A change that was not heard of by then is looked up in the database."""

UNCHANGED = -1
"""In place of a version, where the projection is as it was."""

BACKLOG = 1_000
"""As many changes are kept: for a subscriber who is slow, and for one who comes later and knows the position to begin at."""


@dataclass(frozen=True)
class Change:
    """The projection of a request has this process version now; or it is `UNCHANGED`, and somebody came to its page or left."""

    request_id: uuid.UUID
    version: int
    of: uuid.UUID | None = None


@dataclass(frozen=True)
class AccountChanged:
    """Sessions of that account have ended, or it has other roles: whoever hears for it must be asked again who they are."""

    account_id: uuid.UUID


Told = Change | AccountChanged | None
"""What subscribers are told; None means that some may have been missed."""


class ProjectionFeed:
    """Use it as ``async with ProjectionFeed(database) as feed``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.presences = Presences()
        self._watches: dict[uuid.UUID, set[Watch]] = defaultdict(set)
        self._subscribers: set[_Subscriber] = set()
        self._name = uuid.uuid4().hex
        self._told = 0
        self._latest: deque[Change | None] = deque(maxlen=BACKLOG)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._listen(), name="projection feed")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @contextlib.contextmanager
    def watch(self, request_id: uuid.UUID) -> Iterator["Watch"]:
        """Hear of one request from now on. Begin before you ask for a change, and the database need not be asked after it."""
        watch = Watch(self, request_id)
        self._watches[request_id].add(watch)
        try:
            yield watch
        finally:
            self._watches[request_id].discard(watch)
            if not self._watches[request_id]:
                del self._watches[request_id]

    async def wait_for(self, request_id: uuid.UUID, version: int, timeout: float) -> bool:  # noqa: ASYNC109
        """Wait until the projection of the request has reached that process version; False after `timeout` seconds.

        It never raises because of the database: while that is away, the answer is False.
        """
        with self.watch(request_id) as watch:
            watch.look()
            return await watch.reaches(version, timeout)

    @property
    def position(self) -> str:
        """How far this feed has told; opaque, and of this process alone."""
        return f"{self._name}.{self._told}"

    @contextlib.contextmanager
    def subscribe(self, since: str | None = None) -> Iterator[AsyncIterator[list[Told]]]:
        """All changes from now on, or since a `position`: ``with feed.subscribe() as news: async for changes in news``.

        Each step gives everything that has come since the last one, oldest first. None among it means that some may have been
        missed (a new connection, a subscriber too slow, a position that this feed does not know): look at everything afresh.
        That an account has changed is told from now on only: who asks since a position has just been let in.
        """
        subscriber = _Subscriber([*self._since(since)] if since else [])
        self._subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    def _since(self, position: str) -> list[Change | None]:
        name, _, told = position.partition(".")
        if name != self._name or not told.isdecimal():
            return [None]
        missed = self._told - int(told)
        if missed == 0:
            return []
        return list(self._latest)[-missed:] if 0 < missed <= len(self._latest) else [None]

    async def has_reached(self, request_id: uuid.UUID, version: int) -> bool:
        """Whether the database shows that version now; False also while it is away."""
        try:
            async with self._database.statement() as session:
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
                connection = await self._database.connection("relais feed")
                if failures:
                    log.info("the feed has a connection again")
                failures = 0
                try:
                    await self._hear(connection)
                finally:
                    connection.terminate()
            except Exception as error:
                if failures == 0:  # once for each time that it is away
                    log.warning("the feed has no connection", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                failures += 1

    async def _hear(self, connection: asyncpg.Connection) -> None:
        """Listen until the server ends the connection. Raises what asyncpg raises when it is lost in silence."""
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        await connection.add_listener(CHANNEL, self._on_notification)
        await connection.add_listener(presences.CHANNEL, self._on_presence)
        await connection.add_listener(people.CHANNEL, self._on_account)
        self._start_afresh()
        while not ended.is_set():
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await ended.wait()
            except TimeoutError:
                await connection.execute("SELECT 1", timeout=HEARTBEAT_SECONDS)
                for request_id in self.presences.forget():
                    self._tell(Change(request_id, UNCHANGED))

    def _start_afresh(self) -> None:
        """Nobody knows what was told before this connection: everyone looks for themselves."""
        for watches in self._watches.values():
            for watch in watches:
                watch.look()
        self._tell(None)

    def _on_notification(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        request_id, _, version = str(payload).rpartition(":")
        change = Change(uuid.UUID(request_id), int(version))
        for watch in self._watches.get(change.request_id, ()):
            watch.hear(change.version)
        self._tell(change)

    def _on_presence(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        presence = self.presences.hear(str(payload))
        if presence is not None:
            self._tell(Change(presence.request_id, UNCHANGED, presence.account_id))

    def _on_account(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        for subscriber in self._subscribers:
            subscriber.put(AccountChanged(uuid.UUID(str(payload))))

    def _tell(self, change: Change | None) -> None:
        self._told += 1
        self._latest.append(change)
        for subscriber in self._subscribers:
            subscriber.put(change)


class Watch:
    """What is heard of one request. Made by `ProjectionFeed.watch`."""

    def __init__(self, feed: ProjectionFeed, request_id: uuid.UUID) -> None:
        self._feed = feed
        self._request_id = request_id
        self._heard = -1
        self._woken = asyncio.Event()
        self._must_look = False

    def hear(self, version: int) -> None:
        """The projection has this version."""
        self._heard = max(self._heard, version)
        self._woken.set()

    def look(self) -> None:
        """Something may have been missed: ask the database."""
        self._must_look = True
        self._woken.set()

    async def reaches(self, version: int, timeout: float) -> bool:  # noqa: ASYNC109
        """Wait until the projection has that process version; False after `timeout` seconds.

        It never raises because of the database. What is not heard soon is looked up: it may have been there before the watch.
        """
        soon = asyncio.get_running_loop().call_later(min(SOON_SECONDS, timeout / 2), self.look)
        try:
            async with asyncio.timeout(timeout):
                while self._heard < version:
                    self._woken.clear()
                    if self._must_look:
                        self._must_look = False
                        if await self._feed.has_reached(self._request_id, version):
                            return True
                    if not self._woken.is_set():
                        await self._woken.wait()
        except TimeoutError:
            return self._heard >= version
        else:
            return True
        finally:
            soon.cancel()


class _Subscriber:
    """What is there for one subscriber: an endless iterator of what has come since its last step."""

    def __init__(self, missed: list[Told]) -> None:
        self._waiting = deque(missed)
        self._woken = asyncio.Event()

    def put(self, change: Told) -> None:
        if len(self._waiting) >= BACKLOG:
            self._waiting.clear()
            change = None
        self._waiting.append(change)
        self._woken.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Told]:
        while not self._waiting:
            self._woken.clear()
            await self._woken.wait()
        changes = list(self._waiting)
        self._waiting.clear()
        return changes
