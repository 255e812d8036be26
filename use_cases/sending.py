"""What senders of messages have in common: each takes up what is due, sends it, and writes down what came of it, for ever.

Several may run, one in each worker. Each has a number that it holds by a lock on a connection of its own (`records.senders`), on
which it also hears of new messages.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic
from typing import ClassVar, Generic, Self, TypeVar

import asyncpg
import structlog

from records import senders
from records.account_events import Hand
from records.database import Database
from records.models import Side

LOOKS_EVERY_SECONDS = 1.0
"""How soon something is seen that is due by the clock, or that nobody was told of."""

LOOKS_FOR_THE_DEAD_EVERY_SECONDS = 5.0

RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)
"""Pauses between tries to get at the database again; the last one repeats."""

ENDS_WITHIN_SECONDS = 15.0
"""How long calls under way are waited for at the end. What is let go then goes once more, under the same id."""

BY_ITSELF = Hand(None, Side.SYSTEM)
"""Whose hand it is that looks at how calls go: nobody's."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Sending(ABC, Generic[T]):
    """Use it as ``async with …:``; at the end, calls that are under way are waited for a while."""

    WHAT: ClassVar[str]
    """What is sent, as the log and the database's list of connections call it."""
    CHANNEL: ClassVar[str]
    """On which it is told that there is something to send."""
    AT_ONCE: ClassVar[int]
    """Calls under way of one sender."""
    PATIENCE: ClassVar[timedelta]
    """The longest that one takes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._woken = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._number = 0
        self._running: asyncio.Task[None] | None = None
        self._lost: Exception | None = None

    @abstractmethod
    async def _take_up(self, most: int) -> Sequence[T]:
        """What is due now, claimed under our number."""

    @abstractmethod
    async def _send(self, taken: T) -> None:
        """Send one, and write down what came of it."""

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run(), name=self.WHAT)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running}, timeout=ENDS_WITHIN_SECONDS)
            for late in self._under_way:
                late.cancel()
            await asyncio.gather(self._running, *self._under_way, return_exceptions=True)

    async def send_due(self) -> int:
        """Send what is due now, and wait until all that was answered, or not; gives how many calls were made."""
        count = 0
        while taken := await self._take_up(self.AT_ONCE):
            count += len(taken)
            await asyncio.gather(*map(self._send, taken))
        return count

    async def _run(self) -> None:
        """Send for ever, whatever happens to the database."""
        failures = 0
        while True:
            try:
                connection = await self._database.connection(f"relais {self.WHAT}")
                try:
                    await self._take_number(connection)
                    failures = 0
                    await self._send_what_comes(connection)
                finally:
                    await self._let_end()  # under this number: what it has in hand is nobody else's until then
                    connection.terminate()
            except Exception as error:
                if failures == 0:  # once for each time that it is away
                    log.warning(f"{self.WHAT} can't be sent now", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                failures += 1

    async def _take_number(self, connection: asyncpg.Connection) -> None:
        self._lost = None
        while not await senders.hold_number(connection, number := random.randrange(1, 2**31)):  # noqa: S311
            pass
        self._number = number
        connection.add_termination_listener(self._on_lost)
        await connection.add_listener(self.CHANNEL, lambda *_: self._woken.set())

    def _on_lost(self, _connection: object) -> None:
        self._lost = ConnectionError()
        self._woken.set()

    async def _send_what_comes(self, connection: asyncpg.Connection) -> None:
        looked_at = float("-inf")
        while self._lost is None:
            self._woken.clear()
            if monotonic() - looked_at >= LOOKS_FOR_THE_DEAD_EVERY_SECONDS:
                looked_at = monotonic()
                await connection.execute("SELECT 1", timeout=LOOKS_FOR_THE_DEAD_EVERY_SECONDS)
                async with self._database.session() as session:
                    await senders.free_what_the_dead_held(session)
            room = self.AT_ONCE - len(self._under_way)
            taken = await self._take_up(room) if room > 0 else []
            for one in taken:
                task = asyncio.create_task(self._send(one))
                self._under_way.add(task)
                task.add_done_callback(self._on_done)
            if not taken:
                await self._wait()
        raise self._lost

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(LOOKS_EVERY_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            pass

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        """What could not be written down is let go with our number: it goes once more."""
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._lost = error if isinstance(error, Exception) else ConnectionError()
        self._woken.set()

    async def _let_end(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self.PATIENCE.total_seconds() + 5)
