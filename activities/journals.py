"""The activity of journals. What it does is decided above the effects (`use_cases`); the worker hands it in."""

from collections.abc import Awaitable, Callable

from temporalio import activity

from activities.contract import MAKE_JOURNAL, JournalOrder, MadeJournal
from activities.heartbeat import alive


class JournalActivities:
    """Makes journals of accesses."""

    def __init__(self, make_journal: Callable[[JournalOrder], Awaitable[MadeJournal]]) -> None:
        self._make_journal = make_journal

    @activity.defn(name=MAKE_JOURNAL)
    async def make_journal(self, order: JournalOrder) -> MadeJournal:
        """Write the journal, seal it and store it, once."""
        async with alive():
            return await self._make_journal(order)
