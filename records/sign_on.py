"""Who signs in through which provider: identities that are linked, sign-ins on their way, and sessions that ended there."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from records.hidden import hidden
from records.models import Account, LinkedIdentity, SigningTicket, SignOnAttempt, TakenLogout, Token
from records.people import tell_changed

# Identities


async def account_linked_with(session: AsyncSession, issuer: str, subject: str) -> Account | None:
    """Whose identity that is, active or not."""
    query = select(Account).join(LinkedIdentity, LinkedIdentity.account_id == Account.id)
    return await session.scalar(query.where(LinkedIdentity.issuer == issuer, LinkedIdentity.subject == subject))


async def identities_of(session: AsyncSession, account_id: uuid.UUID) -> Sequence[LinkedIdentity]:
    """The identities that somebody signs in with."""
    query = select(LinkedIdentity).where(LinkedIdentity.account_id == account_id)
    return (await session.scalars(query.order_by(LinkedIdentity.created_at))).all()


async def link(
    session: AsyncSession, account_id: uuid.UUID, issuer: str, subject: str, email: str | None, now: datetime
) -> bool:
    """Link an identity; False when it is somebody's already, or the account has another one there."""
    added = insert(LinkedIdentity).values(
        issuer=issuer, subject=subject, account_id=account_id, email=email, created_at=now
    )
    added = added.on_conflict_do_nothing()
    return await session.scalar(added.returning(LinkedIdentity.subject)) is not None


async def unlink(session: AsyncSession, account_id: uuid.UUID, issuer: str) -> LinkedIdentity | None:
    """Forget somebody's identity at that provider; gives what it was, None when there was none."""
    mine = LinkedIdentity.account_id == account_id, LinkedIdentity.issuer == issuer
    return await session.scalar(delete(LinkedIdentity).where(*mine).returning(LinkedIdentity))


# Sign-ins on their way


async def add_attempt(session: AsyncSession, attempt: SignOnAttempt) -> None:
    """Write down a sign-in that goes on at a provider. Those that nobody came back from go: strangers begin them."""
    await forget_attempts(session, datetime.now(UTC))
    session.add(attempt)
    await session.flush()


async def take_attempt(session: AsyncSession, sha256: str, provider: str, now: datetime) -> SignOnAttempt | None:
    """What was begun and is answered now, at that provider; nobody can answer it again."""
    mine = SignOnAttempt.sha256 == sha256, SignOnAttempt.provider == provider, SignOnAttempt.expires_at > now
    return await session.scalar(delete(SignOnAttempt).where(*mine).returning(SignOnAttempt))


async def find_launched(session: AsyncSession, sha256: str, purpose: str, now: datetime) -> SignOnAttempt | None:
    """What a record system has opened, and is still kept."""
    query = select(SignOnAttempt).where(SignOnAttempt.sha256 == sha256, SignOnAttempt.purpose == purpose)
    return await session.scalar(query.where(SignOnAttempt.expires_at > now))


async def give_to(session: AsyncSession, sha256: str, account_id: uuid.UUID, until: datetime) -> bool:
    """From now on it is that account's alone, and kept `until` then; False when it is somebody's already. It is given once."""
    nobodys = SignOnAttempt.sha256 == sha256, SignOnAttempt.account_id.is_(None)
    given = update(SignOnAttempt).where(*nobodys).values(account_id=account_id, expires_at=until)
    return await session.scalar(given.returning(SignOnAttempt.sha256)) is not None


async def identity_at(session: AsyncSession, account_id: uuid.UUID, issuer: str) -> str | None:
    """As whom that account is linked there, if it is."""
    mine = LinkedIdentity.account_id == account_id, LinkedIdentity.issuer == issuer
    return await session.scalar(select(LinkedIdentity.subject).where(*mine))


async def unlink_all(session: AsyncSession, account_id: uuid.UUID) -> None:
    """By no identity somebody signs in any more."""
    await session.execute(delete(LinkedIdentity).where(LinkedIdentity.account_id == account_id))


async def forget_attempts(session: AsyncSession, now: datetime) -> int:
    """Remove those that nobody answered in time; gives how many."""
    gone = delete(SignOnAttempt).where(SignOnAttempt.expires_at < now).returning(SignOnAttempt.sha256)
    return len((await session.scalars(gone)).all())


# Sessions that ended at a provider


async def take_logout(session: AsyncSession, issuer: str, token_id: str, expires_at: datetime) -> bool:
    """Whether that was not said before."""
    taken = insert(TakenLogout).values(sha256=hidden(f"{issuer}\n{token_id}"), expires_at=expires_at)
    return await session.scalar(taken.on_conflict_do_nothing().returning(TakenLogout.sha256)) is not None


async def end_sessions(
    session: AsyncSession, issuer: str, subject: str | None, sid: str | None, now: datetime
) -> Sequence[uuid.UUID]:
    """End the tokens that came of that session at the provider; without `sid`, of all sessions of that person there.

    Every process hears of it when the transaction ends. Gives whose they were, for each token.
    """
    ended = update(Token).where(Token.idp_issuer == issuer, Token.revoked_at.is_(None), Token.expires_at > now)
    if sid is not None:
        named = Token.idp_sid == sid
        ended = ended.where(named if subject is None else or_(named, Token.idp_sid.is_(None)))
    if subject is not None:
        ended = ended.where(Token.idp_subject == subject)
    accounts = (await session.scalars(ended.values(revoked_at=now).returning(Token.account_id))).all()
    for account_id in set(accounts):
        await tell_changed(session, account_id)
    return accounts


async def forget_logouts(session: AsyncSession, now: datetime) -> int:
    """Remove what a second time would be refused for its age; gives how many."""
    gone = delete(TakenLogout).where(TakenLogout.expires_at < now).returning(TakenLogout.sha256)
    return len((await session.scalars(gone)).all())


# Tickets for signatures


async def give_ticket(session: AsyncSession, ticket: SigningTicket) -> None:
    """Write it down."""
    session.add(ticket)
    await session.flush()


async def find_ticket(session: AsyncSession, token_sha256: str, used_for: str, now: datetime) -> SigningTicket | None:
    """The newest ticket of that session for that signature, if it has not run out and is not spent."""
    mine = SigningTicket.token_sha256 == token_sha256, SigningTicket.used_for == used_for
    query = select(SigningTicket).where(*mine, SigningTicket.expires_at > now, SigningTicket.spent_at.is_(None))
    return await session.scalar(query.order_by(SigningTicket.given_at.desc()).limit(1))


async def spend_ticket(session: AsyncSession, token_sha256: str, used_for: str, now: datetime) -> SigningTicket | None:
    """Take the newest ticket of that session for that signature; for the same one it may have been taken before."""
    mine = SigningTicket.token_sha256 == token_sha256, SigningTicket.used_for == used_for
    query = select(SigningTicket).where(*mine, SigningTicket.expires_at > now)
    ticket = await session.scalar(query.order_by(SigningTicket.given_at.desc()).limit(1).with_for_update())
    if ticket is not None and ticket.spent_at is None:
        ticket.spent_at = now
    return ticket


async def forget_tickets(session: AsyncSession, before: datetime) -> int:
    """Remove those that ran out before that moment; gives how many. What they proved is kept with what was signed."""
    gone = delete(SigningTicket).where(SigningTicket.expires_at < before).returning(SigningTicket.id)
    return len((await session.scalars(gone)).all())
