"""When people are away, and whether somebody is away today."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    ColumnExpressionArgument,
    CompoundSelect,
    Date,
    cast,
    exists,
    func,
    not_,
    select,
    union,
)
from sqlalchemy.ext.asyncio import AsyncSession

from domain.absences import Absence, AbsenceFault, check_absence
from domain.calendar import TIME_ZONE, day_of
from domain.requests import Role
from records.errors import RecordsError
from records.ids import new_id
from records.models import AbsenceRecord, Account
from records.partners import answers_now


class AbsenceRefusedError(RecordsError):
    """The absence can't be entered; `fault` says why."""

    def __init__(self, fault: AbsenceFault) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True)
class Presence:
    """Of one person: the absence that covers today, and the next one that starts soon."""

    now: Absence | None = None
    next: Absence | None = None


async def add_absence(
    session: AsyncSession,
    account_id: uuid.UUID,
    absence: Absence,
    *,
    note: str | None,
    created_by: uuid.UUID,
    now: datetime,
    creation_key: str | None = None,
) -> AbsenceRecord:
    """A new absence of that account. The same `creation_key` of the same creator gives the same absence again.

    Raises AbsenceRefusedError with what is wrong with it.
    """
    await session.execute(  # one at a time: two absences at once must not overlap either
        select(Account.id).where(Account.id == account_id).with_for_update(key_share=True)
    )
    there = await list_absences(session, account_id)
    for row in there:
        if creation_key is not None and (row.created_by, row.creation_key) == (created_by, creation_key):
            return row
    if fault := check_absence(absence, [absence_of(row) for row in there], day_of(now)):
        raise AbsenceRefusedError(fault)
    row = AbsenceRecord(
        id=new_id(),
        account_id=account_id,
        starts_on=absence.starts_on,
        ends_on=absence.ends_on,
        note=note,
        created_by=created_by,
        creation_key=creation_key,
        created_at=now,
    )
    session.add(row)
    await session.flush()
    return row


async def list_absences(session: AsyncSession, account_id: uuid.UUID) -> list[AbsenceRecord]:
    """All absences of the account, past ones too, by their first day."""
    query = select(AbsenceRecord).where(AbsenceRecord.account_id == account_id).order_by(AbsenceRecord.starts_on)
    return list(await session.scalars(query))


async def remove_absence(session: AsyncSession, account_id: uuid.UUID, absence_id: uuid.UUID) -> bool:
    """Take an absence back. Whether the account had it."""
    row = await session.get(AbsenceRecord, absence_id)
    if row is None or row.account_id != account_id:
        return False
    await session.delete(row)
    await session.flush()
    return True


async def presence_of(
    session: AsyncSession, account_ids: Collection[uuid.UUID], *, on: date, soon: timedelta = timedelta()
) -> dict[uuid.UUID, Presence]:
    """Who of these people is away on that day, or will be from a later day on, within `soon`. Others are left out."""
    query = (
        select(AbsenceRecord)
        .where(
            AbsenceRecord.account_id.in_(account_ids), AbsenceRecord.ends_on >= on, AbsenceRecord.starts_on <= on + soon
        )
        .order_by(AbsenceRecord.starts_on.desc())  # so that the earliest is what stays
    )
    found: dict[uuid.UUID, Presence] = {}
    for row in await session.scalars(query):
        before = found.get(row.account_id, Presence())
        absence = absence_of(row)
        is_now = absence.starts_on <= on
        found[row.account_id] = Presence(absence, before.next) if is_now else Presence(before.now, absence)
    return found


async def is_away(session: AsyncSession, provider_id: uuid.UUID) -> bool:
    """Whether nothing should be sent to that provider now: absent today, or no provider any more."""
    return await session.scalar(select(is_away_provider(provider_id))) or False


def is_away_provider(account_id: ColumnExpressionArgument[uuid.UUID | None] | uuid.UUID) -> ColumnElement[bool]:
    """The same in SQL. A partner's system that answers is no person, and is there for as long as it can be asked."""
    is_provider = Account.roles.contains([Role.PROVIDER]) | answers_now()
    serves = exists().where(Account.id == account_id, Account.active, is_provider)
    return is_absent_today(account_id) | not_(serves)


def absence_of(row: AbsenceRecord) -> Absence:
    """Its days."""
    return Absence(starts_on=row.starts_on, ends_on=row.ends_on)


def has_left_or_is_absent(account_id: ColumnExpressionArgument[uuid.UUID | None]) -> ColumnElement[bool]:
    """The same, or whether that person has left: nothing comes from them either."""
    return is_absent_today(account_id) | exists().where(Account.id == account_id, not_(Account.active))


def away_today() -> CompoundSelect[uuid.UUID]:
    """Those of whom that is true."""
    absent = select(AbsenceRecord.account_id).where(*_covers_today())
    return union(absent, select(Account.id).where(not_(Account.active)))


def is_absent_today(account_id: ColumnExpressionArgument[uuid.UUID | None] | uuid.UUID) -> ColumnElement[bool]:
    """Whether that person is away today, in SQL, by the database's clock."""
    return exists().where(AbsenceRecord.account_id == account_id, *_covers_today())


def _covers_today() -> tuple[ColumnElement[bool], ...]:
    now = cast(func.timezone(TIME_ZONE.key, func.now()), Date)
    return AbsenceRecord.ends_on >= now, AbsenceRecord.starts_on <= now
