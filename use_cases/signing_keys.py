"""Whether the signing keys can be had: a worker waits for them while all else goes on, and looks after them, so that it is known
before somebody wants to sign.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from documents.authority import Authority
from documents.keys import KeysAwayError, WrongSecretError
from documents.keys_thread import of_the_keys
from records.trouble import DATABASE_ERRORS
from sign_of_life import SignOfLife
from waiting import until_there

LOOKED_AT_EVERY = timedelta(seconds=30)

OPENS_WITHIN_SECONDS = 60.0
"""How long the authority may take to open, or to be made, before it is tried anew."""

AT_ONCE_WITHIN_SECONDS = 5.0
"""How long a worker that starts gives the keys, before it begins without them."""

log = structlog.get_logger(__name__)


class KeysToCome:
    """The authority that signs here, whose keys may be away when the worker starts: ``open_`` opens it, and is tried until it
    does. Make it inside the running event loop.
    """

    def __init__(self, open_: Callable[[], Awaitable[Authority]], life: SignOfLife) -> None:
        self._open = open_
        self._life = life
        self._coming = asyncio.create_task(self._come(), name="signing keys")

    async def at_once(self) -> None:
        """Give them the time that they take when they are there. Raises what waiting would not help."""
        await asyncio.wait({self._coming}, timeout=AT_ONCE_WITHIN_SECONDS)
        if self._coming.done():
            await self._coming

    async def come(self) -> Authority:
        """The authority, when its keys are there. Raises what waiting would not help."""
        return await self._coming

    def authority(self) -> Authority:
        """The authority. Raises KeysAwayError as long as its keys were never there."""
        if not self._coming.done():
            raise KeysAwayError("the signing keys are not there yet")
        return self._coming.result()

    def give_up(self) -> None:
        """Nobody waits for them any more."""
        self._coming.cancel()

    async def _come(self) -> Authority:
        authority = await until_there(
            "signing keys", self._look, away=(KeysAwayError, *DATABASE_ERRORS), within_seconds=OPENS_WITHIN_SECONDS
        )
        self._life.trouble = None
        return authority

    async def _look(self) -> Authority:
        try:
            return await self._open()
        except KeysAwayError as error:
            self._life.trouble = f"Nothing can be signed now: {error}."
            raise


async def watch(authority: Authority, life: SignOfLife) -> None:
    """Say in the log, and in the worker's sign of life, that the keys are gone and that they are back; until cancelled.

    After a wrong PIN it looks no more: a token shuts after a few.
    """
    while True:
        try:
            life.trouble = await _trouble(authority, life.trouble)
        except WrongSecretError as error:
            life.trouble = f"Nothing can be signed: {error}."
            log.error("nothing can be signed: the keys do not open", error=str(error))
            return
        await asyncio.sleep(LOOKED_AT_EVERY.total_seconds())


async def _trouble(authority: Authority, before: str | None) -> str | None:
    try:
        await of_the_keys(authority.look_for_its_keys)
    except (KeysAwayError, OSError) as error:
        reason = str(error) if isinstance(error, KeysAwayError) else type(error).__name__
        if before is None:
            log.error("nothing can be signed: the keys are away", error=reason)
        return f"Nothing can be signed now: {reason}."
    if before is not None:
        log.info("the signing keys are back")
    return None
