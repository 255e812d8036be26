"""What is new, for somebody who keeps looking. News say only that something changed: who gets them reads anew."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from enum import Enum, auto
from math import inf
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from records.feed import UNCHANGED, AccountChanged, Change, Told
from use_cases import policy
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.sign_in import holds

GATHER_SECONDS = 0.3
"""Changes that come within this time are told as one."""


async def check_may_follow(services: Services, caller: Caller, request_id: UUID) -> None:
    """Raises Problem `not_found` or `not_yet` for a request that the caller may not see.

    By what they have opened in an emergency they follow that request alone, where the call reads so (`Caller.in_emergency`).
    """
    async with services.database.session() as session:
        await policy.request_to_see(session, caller, request_id)


async def news(
    services: Services, caller: Caller, only: UUID | None, since: str | None, silence_seconds: float
) -> AsyncGenerator[bool, None]:
    """True when something changed that the caller may see (of the request `only`, if one is named), False after a silence.

    What happened between `since`, the feed's position when they read what they look at, and now is told at once. The news end
    when the caller's token does, when their account is changed (who goes on looking asks again, as who they are then), when the
    one request that they follow is not theirs to see any more (that is told, and nothing after it; also when the time of what
    they have opened in an emergency is over), and when the process is asked to end.
    """
    clock = asyncio.get_running_loop().time
    silent_until = clock() + silence_seconds
    heard: asyncio.Task[list[Told]] | None = None
    news_of = _News.NONE
    stopping = asyncio.create_task(services.stopping.wait())
    try:
        with services.feed.subscribe(since) as told:
            if not await _is_signed_in(services, caller):  # since they were let in; from here on it is told
                return
            while news_of is not _News.LAST:
                heard = heard or asyncio.ensure_future(anext(told))
                pause = max(0.0, min(silent_until - clock(), _seconds_left(caller)))
                await asyncio.wait({heard, stopping}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    return
                news_of = _News.NONE if _seconds_left(caller) > 0 else _News.LAST
                if news_of is _News.NONE and heard.done():
                    changes, heard = heard.result(), None
                    if AccountChanged(caller.id) in changes:
                        return
                    news_of = await _concern(services, caller, changes, only)
                if news_of is _News.NONE and clock() < silent_until:
                    continue
                if not await _is_signed_in(services, caller):
                    return
                yield news_of is not _News.NONE
                silent_until = clock() + silence_seconds
                if news_of is _News.SOME:
                    await asyncio.wait({stopping}, timeout=GATHER_SECONDS)
    finally:
        stopping.cancel()
        if heard is not None:
            heard.cancel()


def _seconds_left(caller: Caller) -> float:
    """Until what they read in an emergency is over; of anything else without end."""
    return (caller.opening.ends_at - datetime.now(UTC)).total_seconds() if caller.opening else inf


async def _is_signed_in(services: Services, caller: Caller) -> bool:
    """Whether the caller's token still holds. While nobody can say, it does: news hold no data."""
    try:
        return await holds(services, caller)
    except (SQLAlchemyError, OSError):
        return True


class _News(Enum):
    """What changes are for somebody who follows."""

    NONE = auto()
    SOME = auto()
    LAST = auto()


async def _concern(services: Services, caller: Caller, changes: list[Told], only: UUID | None) -> _News:
    """Whether any of these changes is news for the caller."""
    for change in dict.fromkeys(changes):
        if isinstance(change, AccountChanged):
            continue
        if (news_of := await _concerns(services, caller, change, only)) is not _News.NONE:
            return news_of
    return _News.NONE


async def _concerns(services: Services, caller: Caller, change: Change | None, only: UUID | None) -> _News:
    """Whether the caller may see what changed. When some may have been missed (None), they look afresh."""
    if change is None:
        return _News.SOME
    if only is not None and change.request_id != only:
        return _News.NONE
    if change.version == UNCHANGED and (only is None or change.of == caller.id):
        return _News.NONE  # who has a page open shows on that request's page alone, and to others
    try:
        await check_may_follow(services, caller, change.request_id)
    except Problem as problem:
        if only is None:
            return _News.NONE
        # whoever follows this one shows what they may no longer see; and hears no more of it, unless it comes back in a moment
        return _News.SOME if problem.code == "not_yet" else _News.LAST
    except (SQLAlchemyError, OSError):
        return _News.NONE
    return _News.SOME
