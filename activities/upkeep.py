"""The activities of the upkeep. What they do is decided above the effects (`use_cases`); the worker hands it in."""

from collections.abc import Awaitable, Callable

from temporalio import activity

from activities.contract import REPAIR, SWEEP, TELL_UNREAD_REPORTS, RepairReport, SweepReport, UnreadReport
from activities.heartbeat import alive


class UpkeepActivities:
    """What runs by the clock, with what it does."""

    def __init__(
        self,
        repair: Callable[[], Awaitable[RepairReport]],
        sweep: Callable[[], Awaitable[SweepReport]],
        tell_unread_reports: Callable[[], Awaitable[UnreadReport]],
    ) -> None:
        self._repair = repair
        self._sweep = sweep
        self._tell_unread_reports = tell_unread_reports

    @activity.defn(name=REPAIR)
    async def repair(self) -> RepairReport:
        """Take up again the requests whose workflow the engine has lost."""
        async with alive():
            return await self._repair()

    @activity.defn(name=SWEEP)
    async def sweep(self) -> SweepReport:
        """Remove from the document store what no record names."""
        async with alive():
            return await self._sweep()

    @activity.defn(name=TELL_UNREAD_REPORTS)
    async def tell_unread_reports(self) -> UnreadReport:
        """Tell clinics of reports that lie unread."""
        async with alive():
            return await self._tell_unread_reports()
