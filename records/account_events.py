"""What was done about accounts, invitations and clinics: by whom, when, from where, and what changed. Rows are only added.

Each is an act as well, and stands in the audit (`records.audit`), too; here are those that somebody is shown with an account.
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import AccountEventKind
from domain.audit import Act
from records import audit
from records.audit import By
from records.ids import new_id
from records.models import Account, AccountEvent, Clinic, Invitation, Side


@dataclass(frozen=True)
class Hand:
    """Whose hand did something: an account's, or nobody's that is known here; from which side and address of the network."""

    account_id: uuid.UUID | None
    side: Side
    address: str | None = None


def note(
    session: AsyncSession,
    kind: AccountEventKind,
    about: Account | Invitation | Clinic,
    by: Hand,
    now: datetime,
    changes: Mapping[str, Any] | None = None,
    *,
    invitation_id: uuid.UUID | None = None,
) -> None:
    """Write down what is done in this transaction; `invitation_id` is the one by which an account came."""
    is_account = isinstance(about, Account)
    event_id = new_id()
    session.add(
        AccountEvent(
            id=event_id,
            clinic_id=about.id if isinstance(about, Clinic) else about.clinic_id,
            account_id=about.id if is_account else None,
            invitation_id=about.id if isinstance(about, Invitation) else invitation_id,
            kind=kind,
            changes=dict(changes or {}),
            actor_id=by.account_id,
            side=by.side,
            address=by.address,
            at=now,
        )
    )
    content = {"about": str(about.id), **({"changes": dict(changes)} if changes else {})}
    who = By(by.account_id, by.side, by.address)
    audit.add(session, Act.ACCOUNT, who, now, name=kind, object_id=event_id, content=content)


async def count_since(session: AsyncSession, account_id: uuid.UUID, kind: AccountEventKind, since: datetime) -> int:
    """How often that was done about an account since then."""
    noted = AccountEvent.account_id == account_id, AccountEvent.kind == kind, AccountEvent.at > since
    return await session.scalar(select(func.count()).where(*noted)) or 0


async def is_apart_since(session: AsyncSession, account: Account, since: datetime, *, of: uuid.UUID | None) -> bool:
    """Whether the account has been there since then with the same roles, and that other one (`of`) has done nothing about it but
    review it: no new password or address by their help, say.
    """
    by_them = and_(AccountEvent.actor_id == of, AccountEvent.kind != AccountEventKind.REVIEWED)
    changed = select(AccountEvent.id).where(
        *(AccountEvent.account_id == account.id, AccountEvent.at > since),
        or_(AccountEvent.changes.has_key("roles"), by_them),
    )
    return account.created_at <= since and await session.scalar(changed.limit(1)) is None


async def newest(
    session: AsyncSession, account_id: uuid.UUID, kinds: Collection[AccountEventKind], *, limit: int
) -> list[AccountEvent]:
    """When one of these was done about an account, the newest first."""
    query = select(AccountEvent).where(AccountEvent.account_id == account_id, AccountEvent.kind.in_(kinds))
    return list(await session.scalars(query.order_by(AccountEvent.id.desc()).limit(limit)))


async def list_events(session: AsyncSession, account_id: uuid.UUID, *, limit: int) -> list[AccountEvent]:
    """What was done about an account, the newest first."""
    query = select(AccountEvent).where(AccountEvent.account_id == account_id)
    return list(await session.scalars(query.order_by(AccountEvent.id.desc()).limit(limit)))


async def list_clinic_events(session: AsyncSession, clinic_id: uuid.UUID, *, limit: int) -> list[AccountEvent]:
    """What was done about a clinic itself, the newest first."""
    query = select(AccountEvent).where(
        AccountEvent.clinic_id == clinic_id, AccountEvent.account_id.is_(None), AccountEvent.invitation_id.is_(None)
    )
    return list(await session.scalars(query.order_by(AccountEvent.id.desc()).limit(limit)))
