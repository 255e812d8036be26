"""Second factors: what makes somebody's one-time codes, and the codes for who has lost it. Nothing here knows a secret."""

import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from records import passkeys
from records.models import RecoveryCode, SecondFactor


async def load_factor(session: AsyncSession, account_id: uuid.UUID) -> SecondFactor | None:
    """What somebody has set up, confirmed or not."""
    return await session.get(SecondFactor, account_id)


async def is_in_force(session: AsyncSession, account_id: uuid.UUID) -> bool:
    """Whether somebody has a second factor, with which they have shown a code."""
    query = select(SecondFactor.account_id).where(SecondFactor.account_id == account_id, _CONFIRMED)
    return await session.scalar(query) is not None


async def hold_in_force(session: AsyncSession, account_id: uuid.UUID) -> bool:
    """The same, and it stays so until the transaction ends."""
    query = select(SecondFactor.account_id).where(SecondFactor.account_id == account_id, _CONFIRMED)
    return await session.scalar(query.with_for_update(read=True)) is not None


async def in_force_of(session: AsyncSession, account_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the accounts that have a second factor."""
    query = select(SecondFactor.account_id).where(SecondFactor.account_id.in_(account_ids), _CONFIRMED)
    return set(await session.scalars(query))


async def begin(session: AsyncSession, account_id: uuid.UUID, sealed_secret: str, now: datetime) -> bool:
    """Keep a secret until a code of it is shown, instead of one that never was; False when one is in force."""
    begun = insert(SecondFactor).values(account_id=account_id, sealed_secret=sealed_secret, created_at=now)
    begun = begun.on_conflict_do_update(
        index_elements=[SecondFactor.account_id],
        set_={"sealed_secret": sealed_secret, "created_at": now},
        where=SecondFactor.confirmed_at.is_(None),
    )
    return await session.scalar(begun.returning(SecondFactor.account_id)) is not None


async def confirm(session: AsyncSession, account_id: uuid.UUID, step: int, now: datetime) -> bool:
    """The code of that step was shown: it is in force. False when it was before, or nothing was begun."""
    confirmed = (
        update(SecondFactor)
        .where(SecondFactor.account_id == account_id, SecondFactor.confirmed_at.is_(None))
        .values(confirmed_at=now, last_step=step, spent_for=None)
    )
    return await session.scalar(confirmed.returning(SecondFactor.account_id)) is not None


async def spend_step(session: AsyncSession, account_id: uuid.UUID, step: int, used_for: str) -> bool:
    """Take the code of that step; False when it, or a later one, was taken for anything else."""
    is_new = or_(SecondFactor.last_step < step, (SecondFactor.last_step == step) & (SecondFactor.spent_for == used_for))
    spent = (
        update(SecondFactor)
        .where(SecondFactor.account_id == account_id, _CONFIRMED, is_new)
        .values(last_step=step, spent_for=used_for)
    )
    return await session.scalar(spent.returning(SecondFactor.account_id)) is not None


async def remove(session: AsyncSession, account_id: uuid.UUID) -> bool:
    """Remove it with its recovery codes and passkeys; whether there was one."""
    removed = delete(SecondFactor).where(SecondFactor.account_id == account_id).returning(SecondFactor.confirmed_at)
    was_in_force = await session.scalar(removed) is not None
    await passkeys.remove_all(session, account_id)  # after it: whoever adds one holds the factor
    await session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id))
    return was_in_force


async def replace_recovery_codes(session: AsyncSession, account_id: uuid.UUID, hashes: Iterable[str]) -> None:
    """These instead of all that there were."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id))
    session.add_all(RecoveryCode(account_id=account_id, sha256=sha256) for sha256 in hashes)
    await session.flush()


async def recovery_codes_left(session: AsyncSession, account_id: uuid.UUID) -> int:
    """How many were not used yet."""
    query = select(func.count()).where(RecoveryCode.account_id == account_id, RecoveryCode.used_at.is_(None))
    return await session.scalar(query) or 0


async def spend_recovery_code(
    session: AsyncSession, account_id: uuid.UUID, sha256: str, used_for: str, now: datetime
) -> bool:
    """Take a recovery code; False when there is none such, or it was taken for anything else."""
    spent = (
        update(RecoveryCode)
        .where(
            RecoveryCode.account_id == account_id,
            RecoveryCode.sha256 == sha256,
            or_(RecoveryCode.used_at.is_(None), RecoveryCode.used_for == used_for),
        )
        .values(used_at=now, used_for=used_for)
    )
    return await session.scalar(spent.returning(RecoveryCode.sha256)) is not None


async def all_factors(session: AsyncSession) -> Sequence[SecondFactor]:
    """Those of everybody, locked."""
    return (await session.scalars(select(SecondFactor).order_by(SecondFactor.account_id).with_for_update())).all()


_CONFIRMED = SecondFactor.confirmed_at.is_not(None)
