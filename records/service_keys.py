"""Public keys of clinics' systems, the access tokens that they get for what they sign, and what of that was shown already."""

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from records.ids import new_id
from records.models import Account, Json, ServiceAccount, ServiceAssertion, ServiceKey, ServiceToken
from records.service_accounts import Found, may_come_in


async def add_key(
    session: AsyncSession,
    account_id: uuid.UUID,
    *,
    kid: str,
    algorithm: str,
    public_key: Json,
    given_by: uuid.UUID | None,
    now: datetime,
) -> ServiceKey:
    """A public key of a system, and who said it."""
    key = ServiceKey(
        id=new_id(),
        account_id=account_id,
        kid=kid,
        algorithm=algorithm,
        public_key=public_key,
        given_by=given_by,
        created_at=now,
    )
    session.add(key)
    await session.flush()
    return key


async def keys_of(session: AsyncSession, account_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, list[ServiceKey]]:
    """By account, its keys that have not ended, the newest first."""
    query = select(ServiceKey).where(ServiceKey.account_id.in_(account_ids), ServiceKey.ended_at.is_(None))
    found: dict[uuid.UUID, list[ServiceKey]] = {}
    for key in await session.scalars(query.order_by(ServiceKey.id.desc())):
        found.setdefault(key.account_id, []).append(key)
    return found


async def key_to_check_with(
    session: AsyncSession, account_id: uuid.UUID, kid: str, now: datetime
) -> tuple[Found, ServiceKey] | None:
    """The key of that name of a system that may come in now."""
    query = (
        select(Account, ServiceAccount, ServiceKey)
        .join(ServiceAccount)
        .join(ServiceKey, ServiceKey.account_id == Account.id)
        .where(
            Account.id == account_id,
            ServiceKey.kid == kid,
            ServiceKey.ended_at.is_(None),
            *may_come_in(now),
        )
    )
    row = (await session.execute(query)).one_or_none()
    return (Found(row[0], row[1]), row[2]) if row else None


async def is_shown_first(session: AsyncSession, account_id: uuid.UUID, jti_sha256: str, expires_at: datetime) -> bool:
    """Whether the system shows that assertion for the first time; from now on it was shown."""
    shown = insert(ServiceAssertion).values(account_id=account_id, jti_sha256=jti_sha256, expires_at=expires_at)
    first = shown.on_conflict_do_nothing().returning(ServiceAssertion.jti_sha256)
    return await session.scalar(first) is not None


async def add_token(
    session: AsyncSession,
    *,
    sha256: str,
    key: ServiceKey,
    scopes: Iterable[str],
    now: datetime,
    expires_at: datetime,
) -> None:
    """Write down an access token that was given out. Its text stays with the system."""
    session.add(
        ServiceToken(
            sha256=sha256,
            account_id=key.account_id,
            key_id=key.id,
            scopes=sorted(scopes),
            created_at=now,
            expires_at=expires_at,
        )
    )
    await session.flush()


async def system_of_token(session: AsyncSession, sha256: str, now: datetime) -> tuple[Found, ServiceToken] | None:
    """Whose access token that is, while its key has not ended and the system may come in."""
    query = (
        select(Account, ServiceAccount, ServiceToken)
        .join(ServiceAccount)
        .join(ServiceToken, ServiceToken.account_id == Account.id)
        .join(ServiceKey, ServiceKey.id == ServiceToken.key_id)
        .where(
            ServiceToken.sha256 == sha256,
            ServiceToken.expires_at > now,
            ServiceKey.ended_at.is_(None),
            *may_come_in(now),
        )
    )
    row = (await session.execute(query)).one_or_none()
    return (Found(row[0], row[1]), row[2]) if row else None


async def forget_ended(session: AsyncSession, now: datetime) -> int:
    """Remove access tokens that have ended, and what was shown and could not be shown again; gives how many rows."""
    tokens = delete(ServiceToken).where(ServiceToken.expires_at < now).returning(ServiceToken.sha256)
    shown = delete(ServiceAssertion).where(ServiceAssertion.expires_at < now).returning(ServiceAssertion.jti_sha256)
    return len((await session.scalars(tokens)).all()) + len((await session.scalars(shown)).all())
