"""Communications: acts of the audit with which data left a clinic, found in bounded steps; and what was entered by hand."""

import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.audit import Act, Purpose
from domain.communications import ANSWERS, KINDS, SHOWING, SIGNING, TAKEN
from domain.requests import Role
from records.audit import first_id_of
from records.ids import new_id
from records.models import (
    Account,
    AuditEntry,
    CommunicationRecord,
    DestroyedRequest,
    Json,
    RequestRecord,
    RetentionList,
    Side,
)
from records.sealed import NOT_OPENED, tell_not_opened

STEP = 20_000
"""So many entries of the audit one query goes along at most, by their ids, whatever they tell of."""


class Told(NamedTuple):
    """An act that may be a communication, as the audit has it, with whose request it was and who acted for which clinic."""

    id: uuid.UUID
    at: datetime
    kind: Act
    name: str | None
    account_id: uuid.UUID | None
    for_account_id: uuid.UUID | None
    role: Role | None
    purpose: Purpose | None
    side: Side | None
    request_id: uuid.UUID
    object_id: uuid.UUID | None
    number: str
    asked: uuid.UUID
    by: uuid.UUID | None
    written_by: uuid.UUID | None


class Stretch(NamedTuple):
    """What one step has found, the newest first, and from where the next goes on; None where nothing is older."""

    found: Sequence[Told]
    before: uuid.UUID | None


async def step(
    session: AsyncSession,
    clinic_id: uuid.UUID,
    since: datetime | None,
    before: uuid.UUID,
    *,
    request_id: uuid.UUID | None = None,
    limit: int,
) -> Stretch:
    """Acts that may be a communication of the clinic, older than `before` and not older than `since`: those of the next `STEP`
    entries, or of one request, and not more than `limit`.
    """
    first = first_id_of(since) if since else uuid.UUID(int=0)
    floor: uuid.UUID | None = None
    if request_id is None:
        window = select(AuditEntry.id).where(AuditEntry.id < before, AuditEntry.id >= first)
        floor = await session.scalar(window.order_by(AuditEntry.id.desc()).offset(STEP - 1).limit(1))
    query = _maybe(clinic_id, floor or first, before).limit(limit)
    if request_id is not None:
        query = query.where(AuditEntry.request_id == request_id)
    found = [Told(*row) for row in await session.execute(query)]
    return Stretch(found, found[-1].id if len(found) == limit else floor)


def _maybe(clinic_id: uuid.UUID, first: uuid.UUID, before: uuid.UUID) -> Select[*tuple[Any, ...]]:
    """Whatever `domain.communications.flow` may find to be a communication of that clinic, and little else."""
    actor = aliased(Account)
    by = func.coalesce(AuditEntry.clinic_id, actor.clinic_id)
    asked = func.coalesce(RequestRecord.requester_clinic_id, RetentionList.clinic_id)  # whoever destroyed it had asked
    number = func.coalesce(RequestRecord.number, DestroyedRequest.number)
    query: Select[*tuple[Any, ...]] = select(
        *(AuditEntry.id, AuditEntry.at, AuditEntry.kind, AuditEntry.name, AuditEntry.account_id),
        *(AuditEntry.for_account_id, AuditEntry.role, AuditEntry.purpose, AuditEntry.side, AuditEntry.request_id),
        *(AuditEntry.object_id, number, asked, by, _signed_before(by)),
    )
    return (
        query.outerjoin(RequestRecord, RequestRecord.id == AuditEntry.request_id)
        .outerjoin(DestroyedRequest, DestroyedRequest.request_id == AuditEntry.request_id)
        .outerjoin(RetentionList, RetentionList.id == DestroyedRequest.list_id)
        .outerjoin(actor, actor.id == AuditEntry.account_id)
        .where(AuditEntry.id >= first, AuditEntry.id < before, AuditEntry.request_id.is_not(None))
        .where(AuditEntry.kind.in_(KINDS), asked.is_not(None))
        .where(
            or_(
                and_(
                    asked == clinic_id,
                    AuditEntry.kind.in_(SHOWING),
                    or_(by.is_distinct_from(clinic_id), AuditEntry.kind == Act.EXPORT),
                ),
                and_(by == clinic_id, AuditEntry.kind == Act.JOURNAL, AuditEntry.name == TAKEN),
                and_(by == clinic_id, AuditEntry.kind == Act.COMMAND, AuditEntry.name.in_(ANSWERS)),
            )
        )
        .order_by(AuditEntry.id.desc())
    )


def _signed_before(by: ColumnElement[uuid.UUID]) -> ColumnElement[uuid.UUID | None]:
    """Who opens a report, where the audit says that they had signed one of the request: so much outlives the reports."""
    signing, signer = aliased(AuditEntry), aliased(Account)
    signed = (
        select(signing.id)
        .join(signer, signer.id == signing.account_id)
        .where(signing.request_id == AuditEntry.request_id, signing.id < AuditEntry.id)
        .where(signing.kind == Act.COMMAND, signing.name.in_(SIGNING))
        .where(func.coalesce(signing.clinic_id, signer.clinic_id) == by)
        .exists()
    )
    return case((and_(AuditEntry.kind == Act.DOCUMENT, signed), by))


# By hand


class Entered(NamedTuple):
    """What was entered by hand; `content` is None, and a line is in the log, where it does not open."""

    id: uuid.UUID
    given_on: date
    request_id: uuid.UUID | None
    replaces: uuid.UUID | None
    written_by: uuid.UUID
    written_at: datetime
    content: Json | None


_CLEAR = (
    *(CommunicationRecord.id, CommunicationRecord.given_on, CommunicationRecord.request_id),
    *(CommunicationRecord.replaces, CommunicationRecord.written_by, CommunicationRecord.written_at),
)


async def find_entered(session: AsyncSession, written_by: uuid.UUID, creation_key: str) -> Entered | None:
    """The entry that this person made under that key."""
    query = select(*_CLEAR).where(CommunicationRecord.written_by == written_by)
    return await _one(session, query.where(CommunicationRecord.creation_key == creation_key))


async def enter(
    session: AsyncSession,
    clinic_id: uuid.UUID,
    content: Json,
    *,
    given_on: date,
    request_id: uuid.UUID | None,
    replaces: uuid.UUID | None,
    written_by: uuid.UUID,
    now: datetime,
    creation_key: str | None,
) -> Entered:
    """A new entry in the register of the clinic, whose row is locked."""
    row = CommunicationRecord(
        id=new_id(),
        clinic_id=clinic_id,
        given_on=given_on,
        request_id=request_id,
        content=content,
        replaces=replaces,
        written_by=written_by,
        written_at=now,
        creation_key=creation_key,
    )
    session.add(row)
    await session.flush()
    return Entered(row.id, given_on, request_id, replaces, written_by, now, content)


async def load_entry(session: AsyncSession, clinic_id: uuid.UUID, entry_id: uuid.UUID) -> Entered | None:
    """An entry of that clinic."""
    query = select(*_CLEAR).where(CommunicationRecord.id == entry_id, CommunicationRecord.clinic_id == clinic_id)
    return await _one(session, query)


async def is_replaced(session: AsyncSession, entry_id: uuid.UUID) -> bool:
    """Whether another entry stands in its place."""
    query = select(CommunicationRecord.id).where(CommunicationRecord.replaces == entry_id)
    return await session.scalar(query) is not None


async def entered(
    session: AsyncSession,
    clinic_id: uuid.UUID,
    since: date | None,
    until: date | None,
    before: uuid.UUID | None,
    *,
    request_id: uuid.UUID | None,
    limit: int,
) -> list[Entered]:
    """What was entered by hand of these days, and nothing has replaced, the newest day first; what follows the entry `before`."""
    newer, last = aliased(CommunicationRecord), aliased(CommunicationRecord)
    day_of_last = select(last.given_on).where(last.id == before, last.clinic_id == clinic_id).scalar_subquery()
    place = tuple_(CommunicationRecord.given_on, CommunicationRecord.id)
    query: Select[*tuple[Any, ...]] = select(*_CLEAR).where(
        CommunicationRecord.clinic_id == clinic_id,
        ~select(newer.id).where(newer.replaces == CommunicationRecord.id).exists(),
        *((CommunicationRecord.given_on >= since,) if since else ()),
        *((CommunicationRecord.given_on <= until,) if until else ()),
        *((CommunicationRecord.request_id == request_id,) if request_id else ()),
        *((place < tuple_(day_of_last, before),) if before else ()),
    )
    order = CommunicationRecord.given_on.desc(), CommunicationRecord.id.desc()
    rows = (await session.execute(query.order_by(*order).limit(limit))).all()
    contents = await _opened(session, [row.id for row in rows])
    return [Entered._make((*row, contents.get(row.id))) for row in rows]


async def _one(session: AsyncSession, query: Select[*tuple[Any, ...]]) -> Entered | None:
    row = (await session.execute(query)).one_or_none()
    return Entered._make((*row, (await _opened(session, [row.id])).get(row.id))) if row else None


async def _opened(session: AsyncSession, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Json]:
    query = select(CommunicationRecord.id, CommunicationRecord.content).where(CommunicationRecord.id.in_(ids))
    try:
        return {id_: content for id_, content in await session.execute(query)}  # noqa: C416 - rows are no pairs
    except NOT_OPENED as error:
        if len(ids) == 1:
            tell_not_opened("communications.content", str(ids[0]), error)
            return {}
        one_by_one = [await _opened(session, [id_]) for id_ in ids]
        return {id_: content for found in one_by_one for id_, content in found.items()}
