"""Places for work that takes a processor: decoding a file, drawing and checking a document, checking a password. They are few.

One account can't hold them all: it waits behind itself, and of those who wait, the account that holds least is next. Who finds
too many waiting is told when to come back, from how long the work took lately.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import ceil
from time import monotonic

import structlog

from confined import NoVerdictError
from use_cases.problems import Problem

PLACES = 3
"""Files that one API decodes, draws or checks at once; a photo in at most 1.5 GB of memory, mostly in 0.2."""

_FORGOTTEN = 0.05
"""By how much a piece of work that was quicker shortens what is expected of the next ones; a slower one counts at once."""

LONGEST_PROMISE_SECONDS = 60.0
"""Nobody is told to come back later than that."""

log = structlog.get_logger(__name__)


class NoVerdictProblem(Problem):
    """There is room, but what was done there was ended without a verdict: it may be so each time."""


@dataclass(frozen=True)
class Queue:
    """How many may wait for a place, for how long, and what those are told for whom there is no room.

    `each` and `too_many` are for one account, `all` and `busy` for all together; `usually_seconds` is how long a piece of work
    takes; where lately some took longer, that counts.
    """

    each: int = 24
    """A set of photos that somebody sends at once."""
    all: int = 96
    patience_seconds: float = 45.0
    """Proxies give up after a minute."""
    usually_seconds: float = 1.0
    too_many: str = "too_many_at_once"
    busy: str = "busy"


class Places:
    """`count` places. An account holds at most `each` of them, by default all but one."""

    def __init__(self, count: int, queue: Queue = Queue(), *, each: int | None = None) -> None:
        self._count = self._free = count
        self._each = each or max(1, count - 1)
        self._queue = queue
        self._held: Counter[Hashable] = Counter()
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()
        self._lately_seconds = queue.usually_seconds
        self._promised_until = 0.0

    @asynccontextmanager
    async def place_for(self, account: Hashable) -> AsyncIterator[None]:
        """A place, when it is the account's turn.

        Raises Problem `too_many_at_once` when too many calls of the account wait already, and `busy` when too many wait in
        all, or for too long, with the seconds after which there will be room; `busy` as well when what was done there was
        ended without a verdict (`confined`). A queue may have other codes for these.
        """
        await self._take(account)
        began = monotonic()
        try:
            yield
        except NoVerdictError as error:
            log.error("work was ended without a verdict", error=type(error).__name__)
            busy = self._full(self._queue.busy)
            raise NoVerdictProblem(busy.code, (), **busy.members) from None
        finally:
            self._learn(monotonic() - began)
            self._give_back(account)

    async def _take(self, account: Hashable) -> None:
        if len(self._waiting.get(account, ())) >= self._queue.each:
            raise self._full(self._queue.too_many)
        if self._are_waiting() >= self._queue.all:
            raise self._full(self._queue.busy)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account, deque()).append(turn)
        self._seat()
        try:
            async with asyncio.timeout(self._queue.patience_seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # the place came at the same moment
                self._give_back(account)
            else:
                self._forget(account, turn)
            if isinstance(error, TimeoutError):
                raise self._full(self._queue.busy) from None
            raise

    def _learn(self, took: float) -> None:
        """It is told too late, rather than too soon, when there will be room: under a crowd everything takes longer."""
        less = self._lately_seconds - _FORGOTTEN * (self._lately_seconds - took)
        self._lately_seconds = max(took, less, self._queue.usually_seconds)

    def _are_waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    def _full(self, code: str) -> Problem:
        """There is no room: the problem, with the seconds after which those who wait now will be through.

        Who is told so next gets a later moment, so that they don't all come back at once.
        """
        now = monotonic()
        each = self._lately_seconds / self._count
        all_through = now + each * (self._are_waiting() + self._count - self._free)
        self._promised_until = min(max(all_through, self._promised_until + each), now + LONGEST_PROMISE_SECONDS)
        return Problem(code, retry_after=max(1, ceil(self._promised_until - now)))

    def _give_back(self, account: Hashable) -> None:
        self._free += 1
        self._held[account] -= 1
        if not self._held[account]:
            del self._held[account]
        self._seat()

    def _seat(self) -> None:
        """Give the free places to those who wait."""
        while self._free and (account := self._next()) is not None:
            turn = self._waiting[account][0]
            self._forget(account, turn)
            if turn.done():
                continue
            self._free -= 1
            self._held[account] += 1
            if account in self._waiting:
                self._waiting.move_to_end(account)
            turn.set_result(None)

    def _next(self) -> Hashable | None:
        """The account that holds least of those who wait and may hold more; among equals, the one that waited longest."""
        may = [account for account in self._waiting if self._held[account] < self._each]
        return min(may, key=lambda account: self._held[account], default=None)

    def _forget(self, account: Hashable, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(account, deque())
        if turn not in queue:  # it was cancelled, and passed over, in the same moment
            return
        queue.remove(turn)
        if not queue:
            del self._waiting[account]
