"""Passkeys of people, and the challenges that are given out for them, each for one thing."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from records.models import Passkey, PasskeyChallenge


async def list_passkeys(session: AsyncSession, account_id: uuid.UUID) -> Sequence[Passkey]:
    """Somebody's passkeys, the oldest first."""
    query = select(Passkey).where(Passkey.account_id == account_id).order_by(Passkey.created_at)
    return (await session.scalars(query)).all()


async def count_passkeys(session: AsyncSession, account_id: uuid.UUID) -> int:
    """How many somebody has."""
    return await session.scalar(select(func.count()).where(Passkey.account_id == account_id)) or 0


async def add_passkey(
    session: AsyncSession,
    account_id: uuid.UUID,
    *,
    credential_id: bytes,
    public_key: bytes,
    sign_count: int,
    name: str,
    now: datetime,
) -> bool:
    """Keep a passkey that was just made; False when there is one with that id."""
    added = insert(Passkey).values(
        credential_id=credential_id,
        account_id=account_id,
        public_key=public_key,
        sign_count=sign_count,
        name=name,
        created_at=now,
    )
    added = added.on_conflict_do_nothing(index_elements=[Passkey.credential_id])
    return await session.scalar(added.returning(Passkey.credential_id)) is not None


async def load_passkey(session: AsyncSession, account_id: uuid.UUID, credential_id: bytes) -> Passkey | None:
    """That passkey, if it is that person's; locked, so that two uses of it come one after the other."""
    query = select(Passkey).where(Passkey.credential_id == credential_id, Passkey.account_id == account_id)
    return await session.scalar(query.with_for_update())


async def note_use(session: AsyncSession, passkey: Passkey, sign_count: int, now: datetime) -> None:
    """It was used."""
    its_row = Passkey.credential_id == passkey.credential_id
    await session.execute(update(Passkey).where(its_row).values(sign_count=sign_count, used_at=now))


async def remove_passkey(session: AsyncSession, account_id: uuid.UUID, credential_id: bytes) -> bool:
    """Forget a passkey of somebody's; whether there was one."""
    gone = delete(Passkey).where(Passkey.credential_id == credential_id, Passkey.account_id == account_id)
    return await session.scalar(gone.returning(Passkey.credential_id)) is not None


async def remove_all(session: AsyncSession, account_id: uuid.UUID) -> None:
    """Forget all of somebody's, and what was to make or ask one."""
    await session.execute(delete(Passkey).where(Passkey.account_id == account_id))
    await session.execute(delete(PasskeyChallenge).where(PasskeyChallenge.account_id == account_id))


async def give_challenge(
    session: AsyncSession, account_id: uuid.UUID, challenge: bytes, used_for: str, now: datetime, expires_at: datetime
) -> None:
    """Write a challenge down, and forget those of that person that have expired."""
    expired = delete(PasskeyChallenge).where(
        PasskeyChallenge.account_id == account_id, PasskeyChallenge.expires_at < now
    )
    await session.execute(expired)
    session.add(PasskeyChallenge(challenge=challenge, account_id=account_id, used_for=used_for, expires_at=expires_at))
    await session.flush()


async def take_challenge(
    session: AsyncSession, account_id: uuid.UUID, challenge: bytes, used_for: str, now: datetime
) -> bool:
    """Whether that challenge was given to that person for that, lately, and not answered yet. From now on it is."""
    taken = delete(PasskeyChallenge).where(
        PasskeyChallenge.challenge == challenge,
        PasskeyChallenge.account_id == account_id,
        PasskeyChallenge.used_for == used_for,
        PasskeyChallenge.expires_at > now,
    )
    return await session.scalar(taken.returning(PasskeyChallenge.challenge)) is not None


async def forget_challenges(session: AsyncSession, now: datetime) -> int:
    """Remove the challenges that nobody answered in time; gives how many."""
    expired = delete(PasskeyChallenge).where(PasskeyChallenge.expires_at < now).returning(PasskeyChallenge.challenge)
    return len((await session.scalars(expired)).all())
