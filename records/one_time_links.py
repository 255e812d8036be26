"""Links that let somebody in once: invitations, and the way to a new password. Their codes are known here by hashes only."""

import secrets
import uuid
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import TypeVar

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import INVITATION_LASTS, MOST_WRONG_TRIES, RESET_LASTS
from records.hidden import hidden
from records.ids import new_id
from records.models import ForgottenPasswordAsk, Invitation, PasswordReset

Link = TypeVar("Link", Invitation, PasswordReset)

CODE_BYTES = 24
"""192 bits, of which nobody guesses one."""

CODES_KEPT = 5
"""So many tries of the same e-mail may arrive."""


def add_code(link: Invitation | PasswordReset, now: datetime) -> str:
    """A new code that opens the link, from now on for as long as its kind lasts. Its text goes by e-mail and is kept nowhere."""
    code = f"{link.id.hex}{secrets.token_urlsafe(CODE_BYTES)}"
    link.code_hashes = [*link.code_hashes, hidden(code)][-CODES_KEPT:]
    link.expires_at = now + lasts(link)
    return code


def lasts(link: Invitation | PasswordReset) -> timedelta:
    """How long such a link opens something."""
    return INVITATION_LASTS if isinstance(link, Invitation) else RESET_LASTS


def is_open(link: Invitation | PasswordReset, now: datetime) -> bool:
    """Whether it still lets somebody in."""
    return link.ended_at is None and link.expires_at > now and link.wrong_tries < MOST_WRONG_TRIES


async def find_by_code(
    session: AsyncSession, kind: type[Link], code: str, now: datetime, *, lock: bool = False
) -> Link | None:
    """The link that this code opens now; with `lock`, nobody else opens it until the transaction ends."""
    link_id = _id_in(code)
    link = await session.get(kind, link_id, populate_existing=lock, with_for_update=lock or None) if link_id else None
    if link is None or not is_open(link, now):
        return None
    said = hidden(code)
    return link if any(compare_digest(said, known) for known in link.code_hashes) else None


async def find_by_id(session: AsyncSession, kind: type[Link], link_id: uuid.UUID, *, lock: bool = False) -> Link | None:
    """The link, open or not."""
    return await session.get(kind, link_id, with_for_update=lock or None)


def _id_in(code: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(hex=code[:32])
    except ValueError:
        return None


# Invitations


async def find_invitation_of(session: AsyncSession, invited_by: uuid.UUID, key: str) -> Invitation | None:
    """The invitation that somebody made with that key."""
    query = select(Invitation).where(Invitation.invited_by == invited_by, Invitation.creation_key == key)
    return await session.scalar(query)


async def list_invitations(session: AsyncSession, clinic_id: uuid.UUID, since: datetime) -> list[Invitation]:
    """The invitations of a clinic that wait, or were made since then, the newest first."""
    query = select(Invitation).where(
        Invitation.clinic_id == clinic_id, Invitation.ended_at.is_(None) | (Invitation.created_at > since)
    )
    return list(await session.scalars(query.order_by(Invitation.id.desc())))


async def end_invitations_by(session: AsyncSession, account_id: uuid.UUID, now: datetime) -> list[Invitation]:
    """What somebody has invited others to, and nobody has accepted, opens nothing any more; gives those that were open."""
    open_ = Invitation.invited_by == account_id, Invitation.ended_at.is_(None)
    return list(await session.scalars(update(Invitation).where(*open_).values(ended_at=now).returning(Invitation)))


# Forgotten passwords


async def add_reset(session: AsyncSession, account_id: uuid.UUID, now: datetime) -> PasswordReset:
    """A way to a new password."""
    reset = PasswordReset(
        id=new_id(),
        account_id=account_id,
        code_hashes=[],
        voice_hash=None,
        wrong_tries=0,
        created_at=now,
        expires_at=now + RESET_LASTS,
    )
    session.add(reset)
    await session.flush()
    return reset


async def open_reset_of(session: AsyncSession, account_id: uuid.UUID, now: datetime) -> PasswordReset | None:
    """The way to a new password that is open to somebody."""
    query = select(PasswordReset).where(
        PasswordReset.account_id == account_id,
        PasswordReset.ended_at.is_(None),
        PasswordReset.expires_at > now,
        PasswordReset.wrong_tries < MOST_WRONG_TRIES,
    )
    return await session.scalar(query.order_by(PasswordReset.id.desc()).limit(1).with_for_update())


async def end_resets_of(session: AsyncSession, account_id: uuid.UUID, now: datetime) -> None:
    """No link leads to a new password of that account any more."""
    open_ = PasswordReset.account_id == account_id, PasswordReset.ended_at.is_(None)
    await session.execute(update(PasswordReset).where(*open_).values(ended_at=now))


async def count_asks(session: AsyncSession, typed: str, address: str, since: datetime) -> tuple[int, int]:
    """How often a new password was asked for since then by that name, and from there."""
    by_name = ForgottenPasswordAsk.typed_sha256 == _typed(typed)
    by_address = ForgottenPasswordAsk.address_sha256 == hidden(address)
    asked = select(func.count(ForgottenPasswordAsk.id)).where(ForgottenPasswordAsk.at > since)
    return await session.scalar(asked.where(by_name)) or 0, await session.scalar(asked.where(by_address)) or 0


async def note_ask(session: AsyncSession, typed: str, address: str, now: datetime) -> uuid.UUID:
    """Note that somebody asks for a new password."""
    asked = ForgottenPasswordAsk(id=new_id(), typed_sha256=_typed(typed), address_sha256=hidden(address), at=now)
    session.add(asked)
    await session.flush()
    return asked.id


async def take_ask_back(session: AsyncSession, ask_id: uuid.UUID) -> None:
    """It was not heard, and counts as if it never was."""
    await session.execute(delete(ForgottenPasswordAsk).where(ForgottenPasswordAsk.id == ask_id))


def _typed(typed: str) -> str:
    return hidden(typed.strip().lower())


async def forget_asks(session: AsyncSession, before: datetime) -> int:
    """Remove what was asked before that moment; gives how many."""
    gone = delete(ForgottenPasswordAsk).where(ForgottenPasswordAsk.at < before).returning(ForgottenPasswordAsk.id)
    return len((await session.scalars(gone)).all())


# When they are over


async def forget_resets(session: AsyncSession, before: datetime) -> int:
    """Remove the ways to a new password that ended before that moment; gives how many."""
    gone = delete(PasswordReset).where(func.coalesce(PasswordReset.ended_at, PasswordReset.expires_at) < before)
    return len((await session.scalars(gone.returning(PasswordReset.id))).all())


async def forget_invitations(session: AsyncSession, before: datetime) -> int:
    """Remove the invitations that were accepted or taken back before that moment; gives how many. Others can be sent again."""
    gone = delete(Invitation).where(Invitation.ended_at < before)
    return len((await session.scalars(gone.returning(Invitation.id))).all())
