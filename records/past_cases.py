"""The requests whose final report somebody has signed, the newest first, each with what its requester said of the answer."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import DocumentKind, EventName
from records.errors import BadCursorError
from records.models import EventRecord, Json, StoredDocument
from records.sealed import with_key_if_it_opens


@dataclass(frozen=True)
class PastCase:
    """A request with a final report: `report_id` is that report; `outcome` what its requester said, None where nothing."""

    request_id: uuid.UUID
    report_id: uuid.UUID
    signed_at: datetime
    acknowledged_at: datetime | None
    outcome: Json | None


async def list_past_cases(
    session: AsyncSession, signer_id: uuid.UUID, *, after: uuid.UUID | None, limit: int
) -> Sequence[PastCase]:
    """A page of them, after the report `after`. Raises BadCursorError for one that this person has not signed."""
    signed = and_(StoredDocument.signer_id == signer_id, StoredDocument.kind == DocumentKind.FINAL)
    key = tuple_(StoredDocument.signed_at, StoredDocument.report_id)
    acknowledged = and_(EventRecord.request_id == StoredDocument.request_id, EventRecord.name == EventName.ACKNOWLEDGED)
    said = (EventRecord.at, with_key_if_it_opens(EventRecord.command))
    query = (
        select(StoredDocument.request_id, StoredDocument.report_id, StoredDocument.signed_at, *said)
        .outerjoin(EventRecord, acknowledged)
        .where(signed)
        .order_by(StoredDocument.signed_at.desc(), StoredDocument.report_id.desc())
    )
    if after is not None:
        last = await session.scalar(select(StoredDocument.signed_at).where(signed, StoredDocument.report_id == after))
        if last is None:
            raise BadCursorError
        query = query.where(key < tuple_(last, after))
    found = await session.execute(query.limit(limit))
    return [
        PastCase(request_id, report_id, signed_at, at, command["outcome"] if command else None)
        for request_id, report_id, signed_at, at, command in found
    ]
