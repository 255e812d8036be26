"""Signs of life from an activity that may take long: if its worker dies, Temporal notices within seconds and tries again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from temporalio import activity

EVERY_SECONDS = 4.0
"""Well under the heartbeat time-out that the workflows give (`HEARTBEAT_TIMEOUT` in `activities.contract`)."""


@asynccontextmanager
async def alive(details: Callable[[], Sequence[str]] = tuple) -> AsyncIterator[None]:
    """Heartbeat for as long as the block runs, when it runs within an activity. `details` are what the next try is to know."""
    beating = asyncio.create_task(_beat(details)) if activity.in_activity() else None
    try:
        yield
    finally:
        if beating is not None:
            beating.cancel()


async def _beat(details: Callable[[], Sequence[str]]) -> None:
    while True:
        activity.heartbeat(*details())
        await asyncio.sleep(EVERY_SECONDS)
