"""Reports that their requester has not read: which there are, who of their clinic sees them, and when somebody has read one."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, false, func, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.events import Event
from domain.requests import Request, Role
from domain.unread_reports import BRINGS_A_REPORT, ends_unread, unread_from
from records.absences import has_left_or_is_absent
from records.models import Account, RequestRecord
from records.sealed import unread

_READ = {"unread_colleagues_from": None, "unread_clinic_from": None, "unread_told_at": None}

READS_FOR_OTHERS = frozenset({Role.REQUESTER, Role.CLINIC_ADMINISTRATOR})
"""The roles in which somebody reads the report of another of their clinic."""


def follow(row: RequestRecord, event: Event, request: Request) -> None:
    """Write into `row`, which is locked, what a new event means for its report: another to be read, or nothing any more."""
    if event.name in BRINGS_A_REPORT:
        unread = unread_from(request, event.at)
        row.unread_colleagues_from, row.unread_clinic_from = unread.colleagues_from, unread.clinic_from
        row.unread_told_at = None
    elif ends_unread(event.name, event.command.actor.role):
        for column, value in _READ.items():
            setattr(row, column, value)


async def note_reading(
    session: AsyncSession, row: RequestRecord, account_id: uuid.UUID, report_id: uuid.UUID | None = None
) -> None:
    """That person has the report, or all that `row` has, before them: if they are its requester, the newest is read.

    An older one says nothing of it, and one that came after `row` was loaded was not there to be read.
    """
    if row.unread_colleagues_from is None or row.requester_id != account_id:
        return
    if report_id is not None and row.process["documents"][-1]["report_id"] != str(report_id):
        return
    here = and_(RequestRecord.id == row.id, RequestRecord.process_version == row.process_version)
    await session.execute(update(RequestRecord).where(here).values(_READ).execution_options(synchronize_session=False))


def is_shown() -> ColumnElement[bool]:
    """Whether a report has lain unread for so long that others see it, in SQL, by the database's clock. Who is no requester any
    more reads nothing either.
    """
    is_none = exists().where(
        Account.id == RequestRecord.requester_id, not_(Account.roles.contains([Role.REQUESTER.value]))
    )
    cannot = or_(has_left_or_is_absent(RequestRecord.requester_id), is_none)
    away = and_(RequestRecord.unread_colleagues_from <= func.now(), cannot)
    return func.coalesce(or_(RequestRecord.unread_clinic_from <= func.now(), away), false())


def reads_for(account_id: uuid.UUID, clinic_id: uuid.UUID, roles: frozenset[Role]) -> ColumnElement[bool]:
    """The requests whose report that person of the requester's clinic may read, because its requester has not."""
    if not roles & READS_FOR_OTHERS:
        return false()
    return and_(
        RequestRecord.unread_colleagues_from.is_not(None),
        RequestRecord.requester_clinic_id == clinic_id,
        RequestRecord.requester_id != account_id,
        is_shown(),
    )


async def list_untold(session: AsyncSession, limit: int) -> Sequence[uuid.UUID]:
    """Requests with an unread report that others see by now and were not told of, at most so many, the longest waiting first."""
    query = (
        select(RequestRecord.id)
        .where(
            RequestRecord.unread_colleagues_from.is_not(None),
            RequestRecord.unread_told_at.is_(None),
            RequestRecord.unread_colleagues_from <= func.now(),
            is_shown(),
        )
        .order_by(RequestRecord.unread_colleagues_from)
        .limit(limit)
    )
    return (await session.scalars(query)).all()


async def lock_untold(session: AsyncSession, request_id: uuid.UUID, now: datetime) -> RequestRecord | None:
    """The request, marked as told of, until the end of the transaction; None when there is nothing to be told any more."""
    query = select(RequestRecord).where(
        RequestRecord.id == request_id, RequestRecord.unread_told_at.is_(None), is_shown()
    )
    locked = query.with_for_update(key_share=True, of=RequestRecord)
    row = await session.scalar(locked.options(*unread(RequestRecord)))
    if row is not None:
        row.unread_told_at = now
        await session.flush()
    return row
