"""What the person's journal is made of: requests with which a clinic had to do, whom they name, and the acts that name them."""

import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act
from domain.requests import Status
from domain.same_patient import words_in_common
from records.ids import as_array
from records.models import Attachment, AuditEntry, FrozenForm, FrozenReport, RequestParty, RequestRecord
from records.sealed import NOT_OPENED, tell_not_opened, unread
from records.search import MOST_FOUND, find_patient, sift
from records.visibility import Viewer
from records.ways import Order, Sieve

MOST_OPENED = 2_000
"""So many requests that were submitted again are opened, to see whom their earlier forms name."""

PAGE = 200
"""So many of them at once."""

_OF_ADDRESSES = (Act.LOOK, Act.CHANGE, Act.REFUSED)
"""What the face writes, by the address: not each of them names a request."""


async def probably_about(session: AsyncSession, viewer: Viewer, patient: Mapping[str, object]) -> list[uuid.UUID]:
    """The requests that may be about this patient, by the form in force, and with which the clinic ever had to do."""
    finds = find_patient(session, viewer, words_in_common(patient))
    sieve = Sieve(condition=_is_of(viewer.clinic_id))
    found = await sift(session, finds, sieve, Order("creation", descending=True), None, MOST_FOUND)
    return list(found.first)


async def submitted_again(session: AsyncSession, clinic_id: uuid.UUID) -> AsyncIterator[Sequence[uuid.UUID]]:
    """The clinic's newest requests whose form was submitted more than once, `PAGE` at a time: an earlier one may name another."""
    query = (
        select(FrozenForm.request_id)
        .join(RequestRecord, RequestRecord.id == FrozenForm.request_id)
        .where(FrozenForm.number == 2, _is_of(clinic_id))
        .order_by(FrozenForm.request_id.desc())
        .limit(MOST_OPENED)
    )
    found = (await session.scalars(query)).all()
    for start in range(0, len(found), PAGE):
        yield found[start : start + PAGE]


async def rows_of(session: AsyncSession, ids: Collection[uuid.UUID]) -> list[RequestRecord]:
    """Those requests, the oldest first, without what is sealed in them."""
    query = select(RequestRecord).where(RequestRecord.id.in_(ids)).order_by(RequestRecord.id)
    query = query.options(*unread(RequestRecord))
    return list(await session.scalars(query))


async def forms_of(session: AsyncSession, rows: Sequence[RequestRecord]) -> dict[uuid.UUID, list[FrozenForm]]:
    """The forms of these requests that were submitted, the first of each first; none of a request where one does not open."""
    query = select(FrozenForm).where(FrozenForm.request_id.in_([row.id for row in rows])).order_by(FrozenForm.number)
    found: dict[uuid.UUID, list[FrozenForm]] = {row.id: [] for row in rows}
    in_force = {row.id: (row.process.get("form") or {}).get("number", 0) for row in rows}
    try:
        for form in await session.scalars(query):
            if form.number <= in_force[form.request_id]:
                found[form.request_id].append(form)
    except NOT_OPENED as error:
        if len(rows) == 1:
            tell_not_opened("form_versions.content", str(rows[0].id), error)
            return {rows[0].id: []}
        one_by_one = [await forms_of(session, [row]) for row in rows]
        return {id_: forms for one in one_by_one for id_, forms in one.items()}
    return found


async def acts_of(
    session: AsyncSession, ids: Collection[uuid.UUID], since: datetime | None, until: datetime, limit: int
) -> Sequence[Row[Any]]:
    """The acts that name one of these requests, or something of theirs, from `since` to before `until`, the oldest first.

    Of what belongs to a request some acts know the thing alone; `object_id` is it, and `request_id` None.
    """
    named = or_(AuditEntry.request_id.in_(ids), AuditEntry.shown.op("&&")(as_array(ids)))
    things = and_(
        AuditEntry.kind.in_(_OF_ADDRESSES),
        AuditEntry.request_id.is_(None),
        AuditEntry.object_id.in_({*ids, *await things_of(session, ids)}),
    )
    begun = await session.scalar(select(func.min(RequestRecord.created_at)).where(RequestRecord.id.in_(ids)))
    since = max(
        (at for at in (since, begun) if at is not None), default=None
    )  # nobody did anything with one before it was
    found = [row for one in (named, things) for row in await session.execute(_acts(one, since, until).limit(limit))]
    return sorted(found, key=lambda row: (row.at, row.id))


async def things_of(session: AsyncSession, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    """The photos, videos, documents and reports of these requests: the request of each."""
    found: dict[uuid.UUID, uuid.UUID] = {}
    for kept in (Attachment, FrozenReport):
        rows = await session.execute(select(kept.id, kept.request_id).where(kept.request_id.in_(ids)))
        found |= {row.id: row.request_id for row in rows}
    return found


async def load_asked(
    session: AsyncSession, request_id: uuid.UUID, clinic_id: uuid.UUID, journal_id: uuid.UUID, name: str
) -> AuditEntry | None:
    """The entry by which somebody of the clinic asked for this journal."""
    query = select(AuditEntry).where(
        AuditEntry.request_id == request_id,
        AuditEntry.kind == Act.JOURNAL,
        AuditEntry.name == name,
        AuditEntry.object_id == journal_id,
        AuditEntry.clinic_id == clinic_id,
    )
    return await session.scalar(query)


def _acts(named: ColumnElement[bool], since: datetime | None, until: datetime) -> Select[*tuple[Any, ...]]:
    query: Select[*tuple[Any, ...]] = select(
        *(AuditEntry.id, AuditEntry.at, AuditEntry.kind, AuditEntry.name, AuditEntry.account_id),
        *(AuditEntry.for_account_id, AuditEntry.clinic_id, AuditEntry.role, AuditEntry.purpose, AuditEntry.side),
        *(AuditEntry.request_id, AuditEntry.object_id, AuditEntry.shown),
    ).where(named, AuditEntry.at < until)
    return query if since is None else query.where(AuditEntry.at >= since)


def _is_of(clinic_id: uuid.UUID) -> ColumnElement[bool]:
    """Whether it was submitted, and the clinic ever had to do with it."""
    ours = exists().where(RequestParty.request_id == RequestRecord.id, RequestParty.clinic_id == clinic_id)
    return and_(RequestRecord.status != Status.DRAFT, ours)
