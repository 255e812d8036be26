"""For what callers have used their idempotency keys: at which address, with which body. All of it as keyed hashes.

What was made under a key is found by what made it; here stands only that the key means this and nothing else.
"""

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from records.models import UsedKey
from records.patient_words import keys_of


@dataclass(frozen=True)
class Use:
    """A key of an account, and what it is used for."""

    account_id: uuid.UUID
    key: str
    meaning: bytes


async def same_meaning(session: AsyncSession, use: Use) -> bool | None:
    """Whether the key was used before for this and nothing else; None where it was not used."""
    hashes = {_key(ring, use): _meaning(ring, use) for ring in keys_of(session).for_hashes_of("idempotency keys")}
    used = (await session.execute(select(UsedKey.hash, UsedKey.meaning).where(UsedKey.hash.in_(hashes)))).all()
    return all(hmac.compare_digest(meaning, hashes[hash_]) for hash_, meaning in used) if used else None


async def keep(session: AsyncSession, use: Use, now: datetime) -> None:
    """From now on the key means this."""
    ring = keys_of(session).for_hashes_of("idempotency keys")[0]
    used = insert(UsedKey).values(hash=_key(ring, use), meaning=_meaning(ring, use), used_at=now)
    await session.execute(used.on_conflict_do_nothing())


async def forget(session: AsyncSession, before: datetime) -> int:
    """What was used before that moment; gives how many."""
    return len((await session.scalars(delete(UsedKey).where(UsedKey.used_at < before).returning(UsedKey.hash))).all())


def _key(ring: bytes, use: Use) -> bytes:
    return _hash(ring, f"{use.account_id}:{use.key}".encode())


def _meaning(ring: bytes, use: Use) -> bytes:
    return _hash(ring, use.meaning)


def _hash(ring: bytes, said: bytes) -> bytes:
    return hmac.digest(ring, said, hashlib.sha256)
