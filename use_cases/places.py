"""Places for work that takes a processor: decoding a file, drawing and checking a document. There are few of them.

One account can't hold them all: it waits behind itself, and of those who wait, the account that holds least is next.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import structlog

from confined import NoVerdictError
from use_cases.problems import Problem

PLACES = 3
"""Files that one API decodes, draws or checks at once; a photo in at most 1.5 GB of memory, mostly in 0.2."""
WAITING_EACH = 24
"""How many calls of one account may wait: a set of photos that somebody sends at once."""
WAITING_ALL = 96
PATIENCE_SECONDS = 45.0
"""How long a call waits; proxies give up after a minute."""

log = structlog.get_logger(__name__)


class Places:
    """`count` places. An account holds at most all but one of them."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._each = max(1, count - 1)
        self._held: Counter[UUID] = Counter()
        self._waiting: OrderedDict[UUID, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def place_for(self, account: UUID) -> AsyncIterator[None]:
        """A place, when it is the account's turn.

        Raises Problem `too_many_at_once` when too many calls of the account wait already, and `busy` when too many wait in
        all, or for too long; `busy` as well when what was done there was ended without a verdict (`confined`).
        """
        await self._take(account)
        try:
            yield
        except NoVerdictError as error:
            log.error("work was ended without a verdict", fault=str(error))
            raise Problem("busy") from None
        finally:
            self._give_back(account)

    async def _take(self, account: UUID) -> None:
        queue = self._waiting.get(account, ())
        if len(queue) >= WAITING_EACH:
            raise Problem("too_many_at_once")
        if sum(map(len, self._waiting.values())) >= WAITING_ALL:
            raise Problem("busy")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account, deque()).append(turn)
        self._seat()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # the place came at the same moment
                self._give_back(account)
            else:
                self._forget(account, turn)
            if isinstance(error, TimeoutError):
                raise Problem("busy") from None
            raise

    def _give_back(self, account: UUID) -> None:
        self._free += 1
        self._held[account] -= 1
        if not self._held[account]:
            del self._held[account]
        self._seat()

    def _seat(self) -> None:
        """Give the free places to those who wait."""
        while self._free and (account := self._next()):
            turn = self._waiting[account][0]
            self._forget(account, turn)
            if turn.done():
                continue
            self._free -= 1
            self._held[account] += 1
            if account in self._waiting:
                self._waiting.move_to_end(account)
            turn.set_result(None)

    def _next(self) -> UUID | None:
        """The account that holds least of those who wait and may hold more; among equals, the one that waited longest."""
        may = [account for account in self._waiting if self._held[account] < self._each]
        return min(may, key=lambda account: self._held[account], default=None)

    def _forget(self, account: UUID, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(account, deque())
        if turn not in queue:  # it was cancelled, and passed over, in the same moment
            return
        queue.remove(turn)
        if not queue:
            del self._waiting[account]
