"""Incidents of confidentiality: the register of a clinic, whose versions are only added."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from records.ids import new_id
from records.models import DestroyedRequest, IncidentRecord, IncidentVersion, Json, RequestRecord
from records.sealed import NOT_OPENED, tell_not_opened


async def find_recorded(session: AsyncSession, recorded_by: uuid.UUID, creation_key: str) -> IncidentRecord | None:
    """The incident that this person recorded under that key."""
    query = select(IncidentRecord).where(IncidentRecord.recorded_by == recorded_by)
    return await session.scalar(query.where(IncidentRecord.creation_key == creation_key))


async def record_incident(
    session: AsyncSession,
    clinic_id: uuid.UUID,
    content: Json,
    *,
    written_by: uuid.UUID,
    now: datetime,
    creation_key: str | None,
) -> IncidentRecord:
    """A new incident with the clinic's next number. The clinic's row is locked."""
    last = await session.scalar(select(func.max(IncidentRecord.number)).where(IncidentRecord.clinic_id == clinic_id))
    row = IncidentRecord(
        id=new_id(), clinic_id=clinic_id, number=(last or 0) + 1, recorded_by=written_by, creation_key=creation_key
    )
    session.add(row)
    await session.flush()
    await add_version(session, row.id, 1, content, written_by=written_by, now=now)
    return row


async def add_version(
    session: AsyncSession, incident_id: uuid.UUID, number: int, content: Json, *, written_by: uuid.UUID, now: datetime
) -> None:
    """What somebody wrote of it, whole."""
    session.add(
        IncidentVersion(incident_id=incident_id, number=number, content=content, written_by=written_by, written_at=now)
    )
    await session.flush()


async def load_incident(session: AsyncSession, clinic_id: uuid.UUID, incident_id: uuid.UUID) -> IncidentRecord | None:
    """An incident of that clinic."""
    query = select(IncidentRecord).where(IncidentRecord.id == incident_id, IncidentRecord.clinic_id == clinic_id)
    return await session.scalar(query)


async def versions_of(session: AsyncSession, incident_id: uuid.UUID) -> Sequence[IncidentVersion]:
    """All that was ever written of it, the newest first."""
    query = select(IncidentVersion).where(IncidentVersion.incident_id == incident_id)
    return (await session.scalars(query.order_by(IncidentVersion.number.desc()))).all()


async def newest_of(
    session: AsyncSession, clinic_id: uuid.UUID, limit: int
) -> list[tuple[IncidentRecord, IncidentVersion | None]]:
    """The newest incidents of a clinic, each with what is in force of it; None, and a line in the log, for what does not open."""
    newest = (
        select(IncidentVersion.incident_id, func.max(IncidentVersion.number).label("number"))
        .group_by(IncidentVersion.incident_id)
        .subquery()
    )
    query = (
        select(IncidentRecord, newest.c.number)
        .join(newest, newest.c.incident_id == IncidentRecord.id)
        .where(IncidentRecord.clinic_id == clinic_id)
        .order_by(IncidentRecord.number.desc())
        .limit(limit)
    )
    found = (await session.execute(query)).all()
    contents = await _opened(session, [(row.id, number) for row, number in found])
    return [(row, contents.get(row.id)) for row, _ in found]


async def _opened(session: AsyncSession, wanted: Sequence[tuple[uuid.UUID, int]]) -> dict[uuid.UUID, IncidentVersion]:
    query = select(IncidentVersion).where(tuple_(IncidentVersion.incident_id, IncidentVersion.number).in_(wanted))
    try:
        return {row.incident_id: row for row in await session.scalars(query)}
    except NOT_OPENED as error:
        if len(wanted) == 1:
            tell_not_opened("incident_versions.content", str(wanted[0][0]), error)
            return {}
        one_by_one = [await _opened(session, [one]) for one in wanted]
        return {id_: row for found in one_by_one for id_, row in found.items()}


async def numbers_of(session: AsyncSession, request_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, str]:
    """By what number people know these requests, or knew them."""
    found: dict[uuid.UUID, str] = {}
    for id_, number in (
        (DestroyedRequest.request_id, DestroyedRequest.number),
        (RequestRecord.id, RequestRecord.number),
    ):
        rows = await session.execute(select(id_, number).where(id_.in_(request_ids)))
        found |= {row[0]: row[1] for row in rows}
    return found
