"""Service accounts: the systems of clinics that call by themselves, and the secrets by which they do."""

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.notices import NoticeMode
from domain.service_accounts import NOTICE_BEFORE, Scope, ServiceAccountState, known_scopes, state_of
from records.ids import new_id
from records.models import Account, AccountKind, ServiceAccount, ServiceSecret
from records.people import USE_NOTED_EVERY, no_password


@dataclass(frozen=True)
class Found:
    """A service account: what it has as an account, and what it has besides."""

    account: Account
    service: ServiceAccount

    def may(self, scope: Scope, now: datetime) -> bool:
        """Whether it comes in now, and has that scope."""
        state = state_of(active=self.account.active, expires_at=self.service.expires_at, now=now)
        return state is ServiceAccountState.ACTIVE and scope in known_scopes(self.service.scopes)


async def add(
    session: AsyncSession,
    *,
    clinic_id: uuid.UUID,
    name: str,
    purpose: str,
    scopes: Iterable[str],
    language: str,
    expires_at: datetime,
    now: datetime,
) -> Found:
    """A new service account, without a secret yet."""
    id_ = new_id()
    account = Account(
        id=id_,
        clinic_id=clinic_id,
        kind=AccountKind.SERVICE,
        username=f"service/{id_}",  # unique, as those of people are, and nobody's
        password_hash=no_password(),
        roles=[],
        given_name=name,
        family_name="",
        title="",
        profession="",
        licence_number="",
        email="",
        language=language,
        notice_mode=NoticeMode.AT_ONCE,
        active=True,
        created_at=now,
        offerings=None,
    )
    session.add(account)
    await session.flush()
    service = ServiceAccount(account_id=id_, purpose=purpose, scopes=sorted(set(scopes)), expires_at=expires_at)
    session.add(service)
    await session.flush()
    return Found(account, service)


async def load(session: AsyncSession, account_id: uuid.UUID) -> Found | None:
    """The service account; None where there is none, or a person."""
    return await _one(session, Account.id == account_id)


async def lock(session: AsyncSession, account_id: uuid.UUID) -> Found | None:
    """The same, as it is now, kept from others who change it until the transaction ends; what refers to it does not wait."""
    await session.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))
    query = select(Account, ServiceAccount).join(ServiceAccount).where(Account.id == account_id)
    row = (await session.execute(query.execution_options(populate_existing=True))).one_or_none()
    return Found(*row) if row else None


async def find(session: AsyncSession, clinic_id: uuid.UUID, name: str) -> Found | None:
    """The service account of that name in a clinic."""
    return await _one(session, Account.clinic_id == clinic_id, Account.given_name == name)


async def _one(session: AsyncSession, *conditions: ColumnElement[bool]) -> Found | None:
    row = (await session.execute(select(Account, ServiceAccount).join(ServiceAccount).where(*conditions))).one_or_none()
    return Found(*row) if row else None


async def list_of(session: AsyncSession, clinic_id: uuid.UUID) -> list[Found]:
    """Those of a clinic, by name."""
    query = select(Account, ServiceAccount).join(ServiceAccount).where(Account.clinic_id == clinic_id)
    return [Found(*row) for row in await session.execute(query.order_by(func.lower(Account.given_name), Account.id))]


def may_come_in(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """What holds of a service account by which a system comes in, whatever it shows."""
    return Account.active.is_(True), ServiceAccount.expires_at > now


# Secrets


async def add_secret(
    session: AsyncSession,
    account_id: uuid.UUID,
    *,
    sha256: str,
    ending: str,
    given_by: uuid.UUID | None,
    now: datetime,
) -> ServiceSecret:
    """Write down a secret that somebody was given. Its text stays with the system."""
    secret = ServiceSecret(
        id=new_id(), account_id=account_id, sha256=sha256, ending=ending, given_by=given_by, created_at=now
    )
    session.add(secret)
    await session.flush()
    return secret


async def secrets_of(
    session: AsyncSession, account_ids: Collection[uuid.UUID], now: datetime
) -> dict[uuid.UUID, list[ServiceSecret]]:
    """By account, the secrets that still let somebody in (were it not locked), the newest first."""
    query = select(ServiceSecret).where(ServiceSecret.account_id.in_(account_ids), _lives(now))
    found: dict[uuid.UUID, list[ServiceSecret]] = {}
    for secret in await session.scalars(query.order_by(ServiceSecret.id.desc())):
        found.setdefault(secret.account_id, []).append(secret)
    return found


async def system_of_secret(session: AsyncSession, sha256: str, now: datetime) -> tuple[Found, ServiceSecret] | None:
    """Whose secret that is, if it still lets somebody in."""
    query = (
        select(Account, ServiceAccount, ServiceSecret)
        .join(ServiceAccount)
        .join(ServiceSecret, ServiceSecret.account_id == Account.id)
        .where(ServiceSecret.sha256 == sha256, _lives(now), *may_come_in(now))
    )
    row = (await session.execute(query)).one_or_none()
    return (Found(row[0], row[1]), row[2]) if row else None


def _lives(now: datetime) -> ColumnElement[bool]:
    return or_(ServiceSecret.ends_at.is_(None), ServiceSecret.ends_at > now)


# Use


def needs_a_note_of_use(found: Found, secret: ServiceSecret, address: str | None, now: datetime) -> bool:
    """Whether a call tells something new: it is long since the last, or it comes from elsewhere, or by another secret."""
    recent = [at is not None and at > now - USE_NOTED_EVERY for at in (found.account.last_used_at, secret.last_used_at)]
    return not all(recent) or found.service.last_address != address


async def note_use(
    session: AsyncSession, account_id: uuid.UUID, secret_id: uuid.UUID, address: str | None, now: datetime
) -> None:
    """The system calls now, by that secret, from that address."""
    await session.execute(update(Account).where(Account.id == account_id).values(last_used_at=now))
    await session.execute(
        update(ServiceAccount).where(ServiceAccount.account_id == account_id).values(last_address=address)
    )
    await session.execute(update(ServiceSecret).where(ServiceSecret.id == secret_id).values(last_used_at=now))


# The end


async def take_those_that_end(session: AsyncSession, now: datetime) -> Sequence[Found]:
    """The service accounts whose end is near and of whom nobody was told; from now on they count as told."""
    near = (
        select(Account, ServiceAccount)
        .join(ServiceAccount)
        .where(
            *may_come_in(now),
            ServiceAccount.warned_at.is_(None),
            ServiceAccount.expires_at <= now + NOTICE_BEFORE,
        )
        .with_for_update(of=ServiceAccount, skip_locked=True)
    )
    found = [Found(*row) for row in await session.execute(near)]
    for one in found:
        one.service.warned_at = now
    return found
