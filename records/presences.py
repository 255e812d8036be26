"""Who has a request's page open right now: heard from every process, kept in memory alone, and forgotten by itself.

An open page says so again and again (`announce`), through the database's notifications, which nobody stores. Whoever is not heard
of for `LASTS_SECONDS` is gone, however their process ended.
"""

import json
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

CHANNEL = "relais_presences"

LASTS_SECONDS = 50.0
"""So long a page counts as open after it was heard of last: two of its signs of life may be lost."""


class Doing(StrEnum):
    """What somebody does with a request."""

    WRITES_REPORT = "writes_report"
    LOOKS = "looks"


@dataclass(frozen=True)
class Presence:
    """A page that somebody has open: `page` tells it from others of theirs; it is closed where `doing` is None."""

    page: uuid.UUID
    request_id: uuid.UUID
    account_id: uuid.UUID
    doing: Doing | None


async def announce(session: AsyncSession, presence: Presence) -> None:
    """Tell every process, at the end of the transaction."""
    said = [str(presence.page), str(presence.request_id), str(presence.account_id), presence.doing]
    await session.execute(select(func.pg_notify(CHANNEL, json.dumps(said))))


class Presences:
    """What this process has heard."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[uuid.UUID, dict[uuid.UUID, tuple[Presence, float]]] = defaultdict(dict)

    def hear(self, payload: str) -> Presence | None:
        """Take in what was announced; gives it where it makes a difference to what others are shown."""
        page, request_id, account_id, doing = json.loads(payload)
        presence = Presence(
            uuid.UUID(page), uuid.UUID(request_id), uuid.UUID(account_id), Doing(doing) if doing else None
        )
        before = self.of(presence.request_id)
        if presence.doing is None:
            self._open[presence.request_id].pop(presence.page, None)
        else:
            self._open[presence.request_id][presence.page] = (presence, self._clock() + LASTS_SECONDS)
        return presence if self.of(presence.request_id) != before else None

    def of(self, request_id: uuid.UUID) -> Mapping[uuid.UUID, Doing]:
        """By account, what is done with that request; who writes its report in one page and looks in another, writes."""
        there = self._open.get(request_id, {})
        now = self._clock()
        found: dict[uuid.UUID, Doing] = {}
        for presence, until in there.values():
            if until > now and presence.doing and found.get(presence.account_id) is not Doing.WRITES_REPORT:
                found[presence.account_id] = presence.doing
        return found

    def forget(self) -> set[uuid.UUID]:
        """Let go of those who were not heard of in time; gives their requests."""
        now, gone = self._clock(), set()
        for request_id, there in list(self._open.items()):
            for page, (_presence, until) in list(there.items()):
                if until <= now:
                    del there[page]
                    gone.add(request_id)
            if not there:
                del self._open[request_id]
        return gone
