"""What the upkeep asks of the records: which requests a workflow must be running for, and which stored objects are named."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import Status
from records.models import (
    Attachment,
    FrozenReport,
    Notice,
    NoticeStatus,
    PartnerMessage,
    RequestRecord,
    StoredDocument,
    Upload,
)
from records.requests import needs_workflow
from records.sealed import unread

_FINAL = [status for status in Status if status.is_final]


async def open_requests(session: AsyncSession, *, after: uuid.UUID | None, limit: int) -> Sequence[uuid.UUID]:
    """A page of the requests in which somebody has to act, or has to answer a question about the report, by their ids."""
    query = select(RequestRecord.id).where(needs_workflow()).order_by(RequestRecord.id).limit(limit)
    if after is not None:
        query = query.where(RequestRecord.id > after)
    return (await session.scalars(query)).all()


async def left_to_sign(session: AsyncSession, *, since: datetime, before: datetime) -> Sequence[uuid.UUID]:
    """Requests in which nobody has to act any more, with a report frozen between those times that has no document."""
    undocumented = (
        select(FrozenReport.request_id)
        .outerjoin(StoredDocument, StoredDocument.report_id == FrozenReport.id)
        .where(StoredDocument.report_id.is_(None), FrozenReport.created_at > since, FrozenReport.created_at < before)
    )
    query = select(RequestRecord.id).where(RequestRecord.status.in_(_FINAL), RequestRecord.id.in_(undocumented))
    return (await session.scalars(query)).all()


async def waiting_notices(session: AsyncSession, *, before: datetime, limit: int) -> Sequence[uuid.UUID]:
    """E-mails that should have been sent before that time and still wait, without those that go with others, oldest first."""
    query = (
        select(Notice.id)
        .where(Notice.status == NoticeStatus.QUEUED, Notice.told_with.is_(None), Notice.send_at < before)
        .order_by(Notice.send_at)
        .limit(limit)
    )
    return (await session.scalars(query)).all()


async def named_objects(session: AsyncSession, keys: Iterable[str]) -> set[str]:
    """Those of `keys` that the records name: an attachment, one of its copies, a signed document, a part of an upload, or a
    message of a partner.
    """
    wanted = set(keys)
    named: set[str] = set()
    if ids := _ids(wanted, "attachments", 2):
        found = await session.scalars(select(Attachment).where(Attachment.id.in_(ids)).options(*unread(Attachment)))
        named |= {key for attachment in found for key in attachment.keys}
    if ids := _ids(wanted, "documents", 2):
        named |= set(await session.scalars(select(StoredDocument.object_key).where(StoredDocument.report_id.in_(ids))))
    if ids := _ids(wanted, "uploads", 1):
        parts = await session.scalars(select(Upload.parts).where(Upload.id.in_(ids)))
        named |= {key for keys_of_one in parts for key in keys_of_one}
    if ids := _ids(wanted, "messages", 1):
        named |= set(await session.scalars(select(PartnerMessage.object_key).where(PartnerMessage.id.in_(ids))))
    return wanted & named


def request_of(key: str) -> uuid.UUID | None:
    """The request to which the object of that key belongs, by the key; None where it does not say."""
    folder, _, rest = key.partition("/")
    return _uuid(rest[:36]) if folder in ("attachments", "documents") else None


def _ids(keys: Iterable[str], folder: str, place: int) -> list[uuid.UUID]:
    """The ids that stand at that place of the keys in `folder`; a copy's name goes on after its attachment's id."""
    parts = (key.split("/") for key in keys)
    found = (part[place][:36] for part in parts if part[0] == folder and len(part) > place)
    return [made for text in found if (made := _uuid(text)) is not None]


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
