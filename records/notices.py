"""Notices: who is told of an event, planned with it in one transaction, and what became of each e-mail.

An e-mail is planned once, by the matrix of `domain.notices`. Its row then is the truth about it: the activity that sends it loads
the row, sends, and marks it.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, false, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.commands import FailSigning
from domain.lifecycle import Event
from domain.notices import MATRIX, Importance, NoticeMode, Recipient
from domain.requests import Holder, HolderKind, Request, Role
from records.ids import new_id
from records.models import Account, Notice, NoticeStatus, RequestRecord

NOTICE_REFUSED = "notice_refused"
"""The event of a notice that tells dispatchers of an address that was refused."""

LONGEST_LIST = 500


@dataclass(frozen=True)
class Told:
    """Somebody who is to be told, as which party, and what it means for them."""

    account: Account
    recipient: Recipient
    importance: Importance


async def plan_notices(session: AsyncSession, event: Event, request: Request) -> None:
    """Write the notices of a new event: one per person, none to the one who did it."""
    people: dict[uuid.UUID, Told] = {}
    by_weight = sorted(MATRIX[event.name].items(), key=lambda entry: entry[1] is Importance.ACTION)
    for recipient, importance in by_weight:  # actions last: they win
        for account in await _active(session, _party(recipient, event, request)):
            people[account.id] = Told(account, recipient, importance)
    people.pop(event.command.actor.id or uuid.UUID(int=0), None)
    await _insert(session, event.request_id, event.version, event.name, people.values())


async def queued_notices(session: AsyncSession, request_id: uuid.UUID, version: int) -> list[uuid.UUID]:
    """The ids of the event's notices that are still to be sent now, in the order of their accounts."""
    query = (
        select(Notice.id)
        .where(
            Notice.request_id == request_id,
            Notice.version == version,
            Notice.status == NoticeStatus.QUEUED,
            Notice.refused_notice_id.is_(None),
        )
        .order_by(Notice.account_id)
    )
    return list(await session.scalars(query))


async def load_notice(session: AsyncSession, notice_id: uuid.UUID) -> Notice | None:
    return await session.get(Notice, notice_id)


async def note_attempt(session: AsyncSession, notice_id: uuid.UUID, code: str) -> None:
    """One more try has failed and others will follow. `code` says why, without the address."""
    await _mark(session, notice_id, last_error=code)


async def mark_sent(session: AsyncSession, notice_id: uuid.UUID, now: datetime) -> None:
    """The mail server has taken it."""
    await _mark(session, notice_id, status=NoticeStatus.SENT, sent_at=now, last_error=None)


async def mark_refused(session: AsyncSession, notice_id: uuid.UUID, code: str) -> None:
    """The mail server has refused the address for good (5xx)."""
    await _mark(session, notice_id, status=NoticeStatus.REFUSED, last_error=code)


async def mark_failed(session: AsyncSession, notice_id: uuid.UUID, code: str) -> None:
    """Given up for another reason."""
    await _mark(session, notice_id, status=NoticeStatus.FAILED, last_error=code)


async def plan_refused_address_notices(session: AsyncSession, notice: Notice) -> list[uuid.UUID]:
    """Tell the request's dispatchers that the address of `notice` was refused; the ids of the notices to send now.

    A refused notice about a refused address causes none: that list ends here.
    """
    if notice.refused_notice_id is not None:
        return []
    clinic_id = await session.scalar(
        select(RequestRecord.dispatch_clinic_id).where(RequestRecord.id == notice.request_id)
    )
    dispatchers = _members(Holder.dispatch(clinic_id)) if clinic_id else false()
    people = [
        Told(account, Recipient.DISPATCHERS, Importance.ACTION)
        for account in await _active(session, dispatchers)
        if account.id != notice.account_id
    ]
    await _insert(session, notice.request_id, notice.version, NOTICE_REFUSED, people, refused_notice_id=notice.id)
    query = (
        select(Notice.id)
        .where(Notice.refused_notice_id == notice.id, Notice.status == NoticeStatus.QUEUED)
        .order_by(Notice.account_id)
    )
    return list(await session.scalars(query))


async def list_undeliverable(session: AsyncSession, clinic_id: uuid.UUID | None = None) -> list[Notice]:
    """Notices that reached nobody, newest first, at most 500: to people of that clinic, or about requests that it dispatches."""
    query = (
        select(Notice)
        .where(Notice.status.in_((NoticeStatus.REFUSED, NoticeStatus.FAILED)))
        .order_by(Notice.created_at.desc(), Notice.id)
        .limit(LONGEST_LIST)
    )
    if clinic_id is not None:
        query = (
            query.join(Account, Account.id == Notice.account_id)
            .join(RequestRecord, RequestRecord.id == Notice.request_id)
            .where(or_(Account.clinic_id == clinic_id, RequestRecord.dispatch_clinic_id == clinic_id))
        )
    return list(await session.scalars(query))


# Digests: the notices of those who want them grouped


@dataclass(frozen=True)
class Digest:
    """What one grouped e-mail tells, oldest first. `account` is its reader as of now."""

    id: uuid.UUID
    account: Account
    notices: tuple[Notice, ...]


async def accounts_awaiting_digest(session: AsyncSession) -> list[uuid.UUID]:
    """The accounts for which grouped notices wait."""
    query = select(Notice.account_id).where(Notice.status == NoticeStatus.GROUPED).distinct()
    return list(await session.scalars(query.order_by(Notice.account_id)))


async def claim_digest(session: AsyncSession, account_id: uuid.UUID, digest_id: uuid.UUID) -> Digest | None:
    """Put the waiting notices of an account into the digest of that id; None when there are none.

    The same id gives the same digest again, so that a retry says the same. What an earlier digest claimed but never sent is
    taken over.
    """
    account = await session.get(Account, account_id, with_for_update={"key_share": True}, populate_existing=True)
    if account is None or not account.active:
        return None
    claimed = select(Notice).where(Notice.digest_id == digest_id, Notice.account_id == account_id).order_by(Notice.id)
    notices = list(await session.scalars(claimed))
    if not notices:
        waiting = (Notice.account_id == account_id, Notice.status == NoticeStatus.GROUPED)
        await session.execute(update(Notice).where(*waiting).values(digest_id=digest_id))
        notices = list(await session.scalars(claimed))
    return Digest(digest_id, account, tuple(notices)) if notices else None


async def mark_digested(session: AsyncSession, digest_id: uuid.UUID, now: datetime) -> None:
    """The mail server has taken the digest."""
    await session.execute(
        update(Notice)
        .where(Notice.digest_id == digest_id, Notice.status == NoticeStatus.GROUPED)
        .values(status=NoticeStatus.SENT, sent_at=now, attempts=Notice.attempts + 1, last_error=None)
    )


async def mark_digest_refused(session: AsyncSession, digest_id: uuid.UUID, code: str) -> None:
    """The mail server has refused the address of the digest for good."""
    await session.execute(
        update(Notice)
        .where(Notice.digest_id == digest_id, Notice.status == NoticeStatus.GROUPED)
        .values(status=NoticeStatus.REFUSED, attempts=Notice.attempts + 1, last_error=code)
    )


# Who is who


def _party(recipient: Recipient, event: Event, request: Request) -> ColumnElement[bool]:
    match recipient:
        case Recipient.REQUESTER:
            return Account.id == request.requester.id
        case Recipient.HOLDER:
            return _members(event.holder)
        case Recipient.PREVIOUS_HOLDER:
            return _members(event.holder_before)
        case Recipient.DISPATCHERS:
            return _members(Holder.dispatch(request.dispatch_clinic_id))
        case Recipient.SIGNER:
            report = request.final_report
            return Account.id == report.signer.id if report else false()
        case Recipient.SIGNING_PROVIDER:
            command = event.command
            return Account.id == command.signer.id if isinstance(command, FailSigning) else false()


def _members(holder: Holder) -> ColumnElement[bool]:
    match holder.kind:
        case HolderKind.REQUESTER | HolderKind.PROVIDER:
            return Account.id == holder.id
        case HolderKind.POOL:
            return and_(Account.clinic_id == holder.clinic_id, Account.roles.contains([Role.PROVIDER.value]))
        case HolderKind.DISPATCH:
            return and_(Account.clinic_id == holder.clinic_id, Account.roles.contains([Role.DISPATCHER.value]))
        case HolderKind.NOBODY:
            return false()


async def _active(session: AsyncSession, who: ColumnElement[bool]) -> list[Account]:
    return list(await session.scalars(select(Account).where(who, Account.active)))


def _first_status(mode: NoticeMode, importance: Importance) -> NoticeStatus:
    match mode:
        case NoticeMode.AT_ONCE:
            return NoticeStatus.QUEUED
        case NoticeMode.GROUPED:
            return NoticeStatus.GROUPED
        case NoticeMode.ACTIONS_ONLY:
            return NoticeStatus.QUEUED if importance is Importance.ACTION else NoticeStatus.SUPPRESSED


async def _insert(
    session: AsyncSession,
    request_id: uuid.UUID,
    version: int,
    event: str,
    people: Iterable[Told],
    *,
    refused_notice_id: uuid.UUID | None = None,
) -> None:
    rows = []
    for told in people:
        notice_id = new_id()
        rows.append(
            {
                "id": notice_id,
                "request_id": request_id,
                "version": version,
                "event": event,
                "account_id": told.account.id,
                "address": told.account.email,
                "language": told.account.language,
                "recipient": told.recipient,
                "importance": told.importance,
                "status": _first_status(told.account.notice_mode, told.importance),
                "message_id": f"<{notice_id}@relais>",
                "attempts": 0,
                "refused_notice_id": refused_notice_id,
            }
        )
    if rows:
        await session.execute(insert(Notice).on_conflict_do_nothing(), rows)


async def _mark(session: AsyncSession, notice_id: uuid.UUID, **values: object) -> None:
    await session.execute(update(Notice).where(Notice.id == notice_id).values(attempts=Notice.attempts + 1, **values))
