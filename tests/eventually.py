"""The one place of these tests that waits: for something to become true that a real process does in its own time."""

import asyncio
from collections.abc import Awaitable, Callable

LOOK_EVERY_SECONDS = 0.1
PATIENCE_SECONDS = 120.0


async def eventually(look: Callable[[], Awaitable[bool] | bool]) -> None:
    """Returns when `look` gives true; an exception means not yet. The limit only keeps a broken test from waiting for ever."""
    last: Exception | None = None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    answer = look()
                    if answer if isinstance(answer, bool) else await answer:
                        return
                except Exception as error:
                    last = error
                await asyncio.sleep(LOOK_EVERY_SECONDS)
    except TimeoutError:
        raise AssertionError("it never became true") from last
