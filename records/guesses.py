"""Counts of wrong passwords, which all processes share, and the devices from which somebody has signed in."""

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import DateTime, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.rates import Rate
from records.hidden import hidden
from records.models import Account, Guesses, KnownDevice

MOST_DEVICES = 20
"""Of one account; the one that was not used for longest is forgotten."""

_CLEARED = 20
"""So many counts that are of no effect any more go with each guess: whoever makes many up leaves no more than still count."""


async def empty_at(session: AsyncSession, what: Collection[str]) -> Mapping[str, datetime]:
    """When those counts will be empty; what is not counted is left out."""
    by_row = {hidden(one): one for one in what}
    found = await session.execute(select(Guesses.sha256, Guesses.empty_at).where(Guesses.sha256.in_(by_row)))
    return {by_row[sha256]: moment for sha256, moment in found}


async def count(session: AsyncSession, what: Mapping[str, Rate], now: datetime) -> bool:
    """Count a guess in each of `what`, if all of them allow it; whether they did. If not, roll the transaction back."""
    for one in sorted(what, key=hidden):  # always in one order, so that two never wait for each other
        if not await _count(session, one, what[one], now):
            return False
    await _clear(session, now)
    return True


async def _count(session: AsyncSession, what: str, rate: Rate, now: datetime) -> bool:
    before = func.greatest(Guesses.empty_at, now, type_=DateTime(timezone=True))
    counted = insert(Guesses).values(sha256=hidden(what), empty_at=now + rate.every)
    counted = counted.on_conflict_do_update(
        index_elements=[Guesses.sha256],
        set_={"empty_at": before + rate.every},
        where=before <= now + rate.window - rate.every,
    )
    return await session.scalar(counted.returning(Guesses.sha256)) is not None


async def take_back(session: AsyncSession, what: Mapping[str, Rate], *, forgiven: Collection[str] = ()) -> None:
    """It was no guess: each of `what` is as it was before it was counted, and those that are `forgiven` count nothing."""
    for one in sorted(what, key=hidden):
        its_row = Guesses.sha256 == hidden(one)
        if one in forgiven:
            await session.execute(delete(Guesses).where(its_row))
        else:
            before = Guesses.empty_at - what[one].every
            await session.execute(update(Guesses).where(its_row).values(empty_at=before))


async def forget_guesses(session: AsyncSession, now: datetime) -> int:
    """Remove the counts that are of no effect any more; gives how many."""
    ended = await session.scalars(delete(Guesses).where(Guesses.empty_at < now).returning(Guesses.sha256))
    return len(ended.all())


async def _clear(session: AsyncSession, now: datetime) -> None:
    ended = select(Guesses.sha256).where(Guesses.empty_at < now).limit(_CLEARED).with_for_update(skip_locked=True)
    await session.execute(delete(Guesses).where(Guesses.sha256.in_(ended)))


# Devices


async def knows_device(session: AsyncSession, sha256: str, username: str) -> bool:
    """Whether the owner of that user name (as `people.find_account` reads it) has signed in from that device."""
    query = (
        select(KnownDevice.sha256)
        .join(Account, Account.id == KnownDevice.account_id)
        .where(KnownDevice.sha256 == sha256, Account.username == username)
    )
    return await session.scalar(query) is not None


async def is_anybodys(session: AsyncSession, sha256: str) -> bool:
    """Whether anybody has signed in from that device."""
    return await session.scalar(select(KnownDevice.sha256).where(KnownDevice.sha256 == sha256).limit(1)) is not None


async def note_device(session: AsyncSession, sha256: str, account_id: uuid.UUID, now: datetime) -> None:
    """Somebody has signed in from that device."""
    noted = insert(KnownDevice).values(sha256=sha256, account_id=account_id, used_at=now)
    await session.execute(noted.on_conflict_do_update(index_elements=["sha256", "account_id"], set_={"used_at": now}))
    kept = (
        select(KnownDevice.sha256)
        .where(KnownDevice.account_id == account_id)
        .order_by(KnownDevice.used_at.desc())
        .limit(MOST_DEVICES)
    )
    await session.execute(
        delete(KnownDevice).where(KnownDevice.account_id == account_id, KnownDevice.sha256.not_in(kept))
    )


async def forget_devices(session: AsyncSession, before: datetime) -> int:
    """Remove devices from which nobody has signed in since then; gives how many."""
    old = await session.scalars(delete(KnownDevice).where(KnownDevice.used_at < before).returning(KnownDevice.sha256))
    return len(old.all())
