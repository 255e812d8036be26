"""Waiting for a part that is not there yet: again and again, with growing pauses, and without filling the log."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

PAUSES_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
"""Between two tries; the last one repeats."""

Found = TypeVar("Found")

log = structlog.get_logger(__name__)


async def until_there(
    part: str, look: Callable[[], Awaitable[Found]], *, away: tuple[type[Exception], ...], within_seconds: float
) -> Found:
    """What `look` gives once it raises none of `away`; each look may take `within_seconds`. Any other error is raised at once.

    The log says when the wait begins, when its reason changes, and when it is over.
    """
    expected: tuple[type[Exception], ...] = (TimeoutError, *away)
    told = ""
    tries = 0
    while True:
        try:
            async with asyncio.timeout(within_seconds):
                found = await look()
        except expected as error:
            if (reason := _reason(error)) != told:
                log.warning("waiting for a part that is away", part=part, error=reason)
                told = reason
        else:
            if told:
                log.info("a part is there", part=part)
            return found
        await asyncio.sleep(PAUSES_SECONDS[min(tries, len(PAUSES_SECONDS) - 1)])
        tries += 1


def _reason(error: Exception) -> str:
    """The kind of the error, and what it is about where that is ours to tell: texts from elsewhere may hold anything."""
    told = getattr(error, "for_the_log", None)
    return str(told or getattr(getattr(error, "orig", None), "sqlstate", None) or type(error).__name__)
