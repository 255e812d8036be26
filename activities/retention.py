"""The activities of retention. What they do is decided above the effects (`use_cases`); the worker hands it in."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

from temporalio import activity

from activities.contract import CERTIFY, DESTROY_LISTED, LIST_OVER_TIME, WHEN_TO_DESTROY, DestructionDue
from activities.heartbeat import alive


class RetentionActivities:
    """What lists, destroys and certifies."""

    def __init__(
        self,
        list_over_time: Callable[[], Awaitable[object]],
        when_to_destroy: Callable[[UUID], Awaitable[datetime | None]],
        destroy_listed: Callable[[UUID], Awaitable[None]],
        certify: Callable[[UUID], Awaitable[None]],
    ) -> None:
        self._list_over_time = list_over_time
        self._when_to_destroy = when_to_destroy
        self._destroy_listed = destroy_listed
        self._certify = certify

    @activity.defn(name=LIST_OVER_TIME)
    async def list_over_time(self) -> None:
        """Write down for each clinic what is over its time."""
        async with alive():
            await self._list_over_time()

    @activity.defn(name=WHEN_TO_DESTROY)
    async def when_to_destroy(self, list_id: UUID) -> DestructionDue:
        """From when on what stands on the list is destroyed."""
        return DestructionDue(at=await self._when_to_destroy(list_id))

    @activity.defn(name=DESTROY_LISTED)
    async def destroy_listed(self, list_id: UUID) -> None:
        """Destroy what stands on an approved list and may go."""
        async with alive():
            await self._destroy_listed(list_id)

    @activity.defn(name=CERTIFY)
    async def certify(self, list_id: UUID) -> None:
        """Make the certificate of a list on which everything is settled."""
        async with alive():
            await self._certify(list_id)
