"""Whether the signing keys can be had: a worker looks after them, so that it is known before somebody wants to sign."""

import asyncio
from datetime import timedelta

import structlog

from documents.authority import Authority
from documents.keys import KeysAwayError, WrongSecretError
from sign_of_life import SignOfLife

LOOKED_AT_EVERY = timedelta(seconds=30)

log = structlog.get_logger(__name__)


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
        await asyncio.to_thread(authority.look_for_its_keys)
    except (KeysAwayError, OSError) as error:
        reason = str(error) if isinstance(error, KeysAwayError) else type(error).__name__
        if before is None:
            log.error("nothing can be signed: the keys are away", error=reason)
        return f"Nothing can be signed now: {reason}."
    if before is not None:
        log.info("the signing keys are back")
    return None
