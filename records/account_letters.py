"""E-mails about accounts: written down with what they tell, sent by the worker, and what became of each."""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import and_, delete, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import LetterKind
from domain.requests import Role
from domain.retention import DRAFTS_KEPT_FOR
from records import people
from records.ids import new_id
from records.models import Account, AccountLetter, Invitation, LetterStatus, PasswordReset


async def write_to(
    session: AsyncSession, kind: LetterKind, account: Account, now: datetime, *, address: str | None = None
) -> uuid.UUID:
    """A letter to somebody with an account, to its address where no other is named."""
    return await _write(session, kind, account, now, address or account.email, account_id=account.id)


async def write_to_administrators(
    session: AsyncSession, kind: LetterKind, clinic_id: uuid.UUID, now: datetime
) -> list[uuid.UUID]:
    """A letter to each administrator of a clinic."""
    administrators = await people.list_accounts(session, clinic_id=clinic_id, role=Role.CLINIC_ADMINISTRATOR)
    return [await write_to(session, kind, one, now) for one in administrators]


async def write_about(
    session: AsyncSession, kind: LetterKind, account: Account, about_id: uuid.UUID, now: datetime
) -> uuid.UUID:
    """A letter that names the entry of the audit that it tells of."""
    return await _write(session, kind, account, now, account.email, account_id=account.id, link_id=about_id)


async def write_link(
    session: AsyncSession, link: Invitation | PasswordReset, to: Account | Invitation, now: datetime
) -> uuid.UUID:
    """The letter that brings the link's code."""
    if isinstance(link, Invitation):
        return await _write(session, LetterKind.INVITATION, to, now, to.email, link_id=link.id)
    ids = {"account_id": to.id, "link_id": link.id}
    return await _write(session, LetterKind.PASSWORD_RESET, to, now, to.email, **ids)


async def _write(
    session: AsyncSession,
    kind: LetterKind,
    to: Account | Invitation,
    now: datetime,
    address: str,
    *,
    account_id: uuid.UUID | None = None,
    link_id: uuid.UUID | None = None,
) -> uuid.UUID:
    letter = AccountLetter(
        id=new_id(),
        kind=kind,
        account_id=account_id,
        link_id=link_id,
        name=f"{to.given_name} {to.family_name}",
        address=address,
        language=to.language,
        status=LetterStatus.QUEUED,
        attempts=0,
        created_at=now,
    )
    session.add(letter)
    await session.flush()
    return letter.id


async def load(session: AsyncSession, letter_id: uuid.UUID) -> AccountLetter | None:
    """The letter, kept from others until the transaction ends."""
    return await session.get(AccountLetter, letter_id, with_for_update=True)


async def count_since(session: AsyncSession, account_id: uuid.UUID, kind: LetterKind, since: datetime) -> int:
    """How many letters of that kind an account was written since then."""
    written = AccountLetter.account_id == account_id, AccountLetter.kind == kind, AccountLetter.created_at > since
    return await session.scalar(select(func.count()).where(*written)) or 0


async def are_about(session: AsyncSession, ids: Collection[uuid.UUID]) -> bool:
    """Whether a letter tells of one of these."""
    return bool(await session.scalar(select(exists().where(AccountLetter.link_id.in_(ids)))))


async def newest_of_links(session: AsyncSession, link_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, AccountLetter]:
    """By link, the newest letter that brings its code."""
    query = select(AccountLetter).where(AccountLetter.link_id.in_(link_ids)).order_by(AccountLetter.id)
    return {letter.link_id: letter for letter in await session.scalars(query) if letter.link_id}


async def forget_letters(session: AsyncSession, before: datetime) -> int:
    """Remove what was written before that moment and waits no more; gives how many. An invitation's stays as long as that, and
    the warning of a draft longer: no draft goes of which nobody was told (`records.old_drafts`).
    """
    is_listed = exists().where(Invitation.id == AccountLetter.link_id)
    is_needed = and_(AccountLetter.kind == LetterKind.DRAFTS_END, AccountLetter.created_at >= before - DRAFTS_KEPT_FOR)
    gone = delete(AccountLetter).where(
        AccountLetter.created_at < before, AccountLetter.status != LetterStatus.QUEUED, ~is_listed, ~is_needed
    )
    return len((await session.scalars(gone.returning(AccountLetter.id))).all())


async def waiting(session: AsyncSession, *, before: datetime, limit: int) -> Sequence[uuid.UUID]:
    """Letters that were written before that time and still wait, oldest first."""
    query = select(AccountLetter.id).where(
        AccountLetter.status == LetterStatus.QUEUED, AccountLetter.created_at < before
    )
    return (await session.scalars(query.order_by(AccountLetter.created_at).limit(limit))).all()
