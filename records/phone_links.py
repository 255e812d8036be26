"""Links by which a telephone, where nobody is signed in, sends photos to one place of one request, for some minutes.

A link is known by the SHA-256 of its code, which stands in the QR code, and, once a telephone has taken it, by that of the secret
which only that telephone has. It lives until its time is over, somebody ends it, or the session ends in which it was made.
"""

import uuid
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act
from domain.events import Event
from domain.requests import EventName, Role, Status
from records.access import log_access
from records.audit import By
from records.ids import new_id
from records.models import Account, Attachment, AuditEntry, EventRecord, PhoneLink, RequestRecord, Token
from records.people import token_lives
from records.straight import Straight

_HAS_LINK = (
    select(PhoneLink.id).where(PhoneLink.request_id == bindparam("request_id"), PhoneLink.ended_at.is_(None)).exists()
)
_HAS_PHOTO = (
    select(Attachment.id)
    .where(Attachment.request_id == bindparam("request_id"), Attachment.phone_link_id.is_not(None))
    .exists()
)
_CONCERNED = Straight(select(or_(_HAS_LINK, _HAS_PHOTO)))
"""Whether a request has a link that is open, or photos that came by one; made once, as in `records.requests`."""


async def begin_link(
    session: AsyncSession,
    *,
    request_id: uuid.UUID,
    account_id: uuid.UUID,
    slot: str,
    made_by: str,
    code_sha256: str,
    now: datetime,
    ends_at: datetime,
) -> PhoneLink:
    """A new link; the one that its maker had made for this request before ends. `made_by` is the SHA-256 of the maker's token."""
    await end_links(session, request_id, account_id, now)
    link = PhoneLink(
        id=new_id(),
        request_id=request_id,
        account_id=account_id,
        slot=slot,
        made_by=made_by,
        code_sha256=code_sha256,
        made_at=now,
        ends_at=ends_at,
    )
    session.add(link)
    await session.flush()
    return link


def _lives(now: datetime) -> ColumnElement[bool]:
    session_lives = select(Token.sha256).where(Token.sha256 == PhoneLink.made_by, token_lives(now)).exists()
    return and_(PhoneLink.ended_at.is_(None), PhoneLink.ends_at > now, session_lives)


def _living(now: datetime) -> Select[PhoneLink, Account]:
    return (
        select(PhoneLink, Account)
        .join(Account, Account.id == PhoneLink.account_id)
        .where(_lives(now), Account.active)
        .execution_options(populate_existing=True)
    )


async def link_of_code(session: AsyncSession, code_sha256: str, now: datetime) -> tuple[PhoneLink, Account] | None:
    """The living link of a code, with its maker."""
    found = (await session.execute(_living(now).where(PhoneLink.code_sha256 == code_sha256))).one_or_none()
    return (found[0], found[1]) if found else None


async def link_of_device(session: AsyncSession, device_sha256: str, now: datetime) -> tuple[PhoneLink, Account] | None:
    """The living link that the telephone with this secret has taken, with its maker."""
    found = (await session.execute(_living(now).where(PhoneLink.device_sha256 == device_sha256))).one_or_none()
    return (found[0], found[1]) if found else None


async def take_link(session: AsyncSession, link_id: uuid.UUID, device_sha256: str) -> bool:
    """Give the link to the telephone with this secret; False when another one was faster."""
    taken = await session.scalars(
        update(PhoneLink)
        .where(PhoneLink.id == link_id, PhoneLink.device_sha256.is_(None))
        .values(device_sha256=device_sha256)
        .returning(PhoneLink.id)
    )
    return taken.one_or_none() is not None


async def newest_link(
    session: AsyncSession, request_id: uuid.UUID, account_id: uuid.UUID, now: datetime
) -> tuple[PhoneLink, bool] | None:
    """The link that this person made last for the request, and whether it lives."""
    query = (
        select(PhoneLink, _lives(now))
        .where(PhoneLink.request_id == request_id, PhoneLink.account_id == account_id)
        .order_by(PhoneLink.id.desc())
        .limit(1)
    )
    found = (await session.execute(query)).one_or_none()
    return (found[0], found[1]) if found else None


async def end_links(session: AsyncSession, request_id: uuid.UUID, account_id: uuid.UUID, now: datetime) -> None:
    """End what this person has made for the request; nothing happens where nothing lives."""
    await session.execute(
        update(PhoneLink)
        .where(PhoneLink.request_id == request_id, PhoneLink.account_id == account_id, PhoneLink.ended_at.is_(None))
        .values(ended_at=now)
    )


async def photos_by(session: AsyncSession, link_id: uuid.UUID) -> int:
    """How many photos have come by the link, also those that were removed since."""
    query = select(func.count()).select_from(Attachment).where(Attachment.phone_link_id == link_id)
    return await session.scalar(query) or 0


async def note_photos(session: AsyncSession, row: RequestRecord) -> None:
    """Write into the audit which photos came by a link, made by the one in whose name they are there; once for each photo.

    Of a draft nothing is written yet: it is nobody else's business, and can be removed. It follows with the submission.
    """
    if row.status is Status.DRAFT:
        return
    is_noted = (
        select(AuditEntry.id)
        .where(
            AuditEntry.request_id == row.id,
            AuditEntry.account_id == Attachment.uploaded_by,
            AuditEntry.kind == Act.PHONE_PHOTO,
            AuditEntry.object_id == Attachment.id,
        )
        .exists()
    )
    not_noted = select(Attachment).where(
        Attachment.request_id == row.id, Attachment.phone_link_id.is_not(None), ~is_noted
    )
    for photo in await session.scalars(not_noted.order_by(Attachment.uploaded_at, Attachment.id)):
        await log_access(
            session,
            By(photo.uploaded_by),
            Act.PHONE_PHOTO,
            photo.uploaded_at,
            request_id=row.id,
            role=Role.REQUESTER,
            version=row.process_version,
            object_id=photo.id,
        )


async def follow(session: AsyncSession, row: RequestRecord, event: Event) -> None:
    """What an event, which `row` shows already, means for links: with what their maker submits or sends, they end.

    Events that somebody recorded who knew nothing of links, as code of an earlier version does, are made good.
    """
    if not await _CONCERNED.value(session, {"request_id": row.id}):
        return  # as nearly all
    if event.name in _ENDS_LINKS and event.command.actor.id is not None:
        await end_links(session, row.id, event.command.actor.id, event.at)
    ended_before = (
        select(EventRecord.version)
        .where(
            EventRecord.request_id == row.id,
            EventRecord.name.in_(_ENDS_LINKS),
            EventRecord.actor_id == PhoneLink.account_id,
            EventRecord.at > PhoneLink.made_at,
        )
        .exists()
    )
    left = update(PhoneLink).where(PhoneLink.request_id == row.id, PhoneLink.ended_at.is_(None), ended_before)
    await session.execute(left.values(ended_at=event.at))
    await note_photos(session, row)


_ENDS_LINKS = frozenset(
    {EventName.SUBMITTED, EventName.RESUBMITTED, EventName.INFORMATION_ANSWERED, EventName.INFORMATION_ADDED}
    | {EventName.WORSENING_REPORTED}
)


async def forget_links(session: AsyncSession, before: datetime) -> int:
    """Remove the links whose time was over before that moment; gives how many."""
    forgotten = await session.scalars(delete(PhoneLink).where(PhoneLink.ends_at < before).returning(PhoneLink.id))
    return len(forgotten.all())
