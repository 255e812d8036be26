"""What was opened in an emergency: to whom, until when, and whether that still holds.

It holds while everything is as it was when it was opened, and is asked at each read: the clock, who they are, what both clinics
have set, and that no restriction names them. So nothing has to be told to any process for it to end.
"""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, any_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from domain.accounts import LetterKind
from domain.emergencies import Course, Ended, opens_as
from domain.requests import Role, Status
from records.ids import new_id
from records.models import (
    Account,
    AccountKind,
    AccountLetter,
    AuditEntry,
    Clinic,
    DestroyedRequest,
    EmergencyEnd,
    EmergencyOpening,
    LetterStatus,
    RequestParty,
    RequestRecord,
    RequestRestriction,
)
from records.restrictions import holds, is_shut_out, shut_to
from records.sealed import unread, with_key_if_it_opens
from records.visibility import Viewer, charts_of


async def may_be_opened(
    session: AsyncSession, account_id: uuid.UUID, clinic_id: uuid.UUID, number: str
) -> uuid.UUID | None:
    """The id of the request of that number, if somebody of that clinic may open it in an emergency; one look, whatever it is."""
    query = select(RequestRecord.id).where(RequestRecord.number == number, _is_let(account_id, clinic_id))
    return await session.scalar(query)


async def seen_anyway(session: AsyncSession, viewer: Viewer, number: str) -> uuid.UUID | None:
    """The id of the request of that number, if the viewer sees its chart without an emergency; one look, whatever it is."""
    shut = shut_to(viewer.account_id, viewer.clinic_id, viewer.roles)
    query = select(RequestRecord.id).where(
        RequestRecord.number == number, charts_of(viewer), RequestRecord.id.not_in(shut)
    )
    return await session.scalar(query)


async def holding(
    session: AsyncSession, viewer: Viewer, request_id: uuid.UUID, now: datetime
) -> EmergencyOpening | None:
    """By what the viewer reads the request just now, if they do; without its reason."""
    if opens_as(viewer.roles) is None:
        return None
    query = (
        select(EmergencyOpening)
        .join(RequestRecord, RequestRecord.id == EmergencyOpening.request_id)
        .where(
            EmergencyOpening.account_id == viewer.account_id,
            EmergencyOpening.request_id == request_id,
            EmergencyOpening.clinic_id == viewer.clinic_id,
            EmergencyOpening.role.in_(sorted(viewer.roles)),
            _goes_on(now),
            _is_let(viewer.account_id, viewer.clinic_id),
        )
        .order_by(EmergencyOpening.id.desc())
        .limit(1)
        .options(*unread(EmergencyOpening))
    )
    return await session.scalar(query)


async def going_on(session: AsyncSession, opening_ids: Collection[uuid.UUID], now: datetime) -> set[uuid.UUID]:
    """Those of them by which who opened them reads the request just now."""
    query = (
        select(EmergencyOpening.id)
        .join(RequestRecord, RequestRecord.id == EmergencyOpening.request_id)
        .join(Account, Account.id == EmergencyOpening.account_id)
        .where(
            EmergencyOpening.id.in_(opening_ids),
            EmergencyOpening.clinic_id == Account.clinic_id,
            EmergencyOpening.role == any_(Account.roles),
            Account.active,
            ~_has_role(Role.OPERATOR),
            _goes_on(now),
            _is_let(Account.id, Account.clinic_id),
        )
    )
    return set(await session.scalars(query))


_Id = uuid.UUID | InstrumentedAttribute[uuid.UUID]


def _is_let(account_id: _Id, clinic_id: _Id) -> ColumnElement[bool]:
    """Of rows of `RequestRecord`: whether somebody of that clinic may open them in an emergency, by all but their role."""
    party = and_(RequestParty.request_id == RequestRecord.id, RequestParty.clinic_id == clinic_id)
    theirs, asking = aliased(Clinic), aliased(Clinic)
    return and_(
        RequestRecord.status != Status.DRAFT,
        exists().where(party),
        exists().where(theirs.id == clinic_id, theirs.emergency),
        exists().where(asking.id == RequestRecord.requester_clinic_id, asking.emergency),
        ~_names(account_id),
    )


def _names(account_id: _Id, request_id: InstrumentedAttribute[uuid.UUID] = RequestRecord.id) -> ColumnElement[bool]:
    """Whether the person has named this very account: that holds in an emergency as well. A wish about a role does not."""
    return exists().where(
        RequestRestriction.request_id == request_id, RequestRestriction.account_id == account_id, holds()
    )


def _names_reader() -> ColumnElement[bool]:
    """Of rows of `EmergencyOpening`: whether the person has named who opened it, since then. Nothing of it shows to them."""
    return _names(EmergencyOpening.account_id, EmergencyOpening.request_id)


def _goes_on(now: datetime) -> ColumnElement[bool]:
    ended = exists().where(EmergencyEnd.opening_id == EmergencyOpening.id)
    return and_(EmergencyOpening.ends_at > now, ~ended)  # it has begun, by whatever clock


# Opened and ended


async def add(
    session: AsyncSession,
    request_id: uuid.UUID,
    viewer: Viewer,
    role: Role,
    *,
    reason: str,
    command_id: uuid.UUID,
    told: int,
    begun_at: datetime,
    ends_at: datetime,
) -> EmergencyOpening:
    """Open the request, whose row is locked, to the viewer in that role, of which so many are `told`."""
    opening = EmergencyOpening(
        id=new_id(),
        request_id=request_id,
        account_id=viewer.account_id,
        clinic_id=viewer.clinic_id,
        role=role,
        reason={"text": reason},
        command_id=command_id,
        told=told,
        begun_at=begun_at,
        ends_at=ends_at,
    )
    session.add(opening)
    await session.flush()
    return opening


async def end(session: AsyncSession, opening: EmergencyOpening, *, ended_by: uuid.UUID, now: datetime) -> None:
    """From now on it does not hold, whether it still did or not. The request's row is locked."""
    session.add(EmergencyEnd(opening_id=opening.id, request_id=opening.request_id, ended_by=ended_by, ended_at=now))
    await session.flush()


async def readers_ended_by(session: AsyncSession, account_id: uuid.UUID, since: datetime) -> set[uuid.UUID]:
    """The others of whom somebody has ended, since then, what they had opened."""
    query = (
        select(EmergencyOpening.account_id)
        .join(EmergencyEnd, EmergencyEnd.opening_id == EmergencyOpening.id)
        .where(EmergencyEnd.ended_by == account_id, EmergencyEnd.ended_at > since)
        .where(EmergencyOpening.account_id != account_id)
    )
    return set(await session.scalars(query))


async def count_ended_by(session: AsyncSession, account_id: uuid.UUID, since: datetime, but: Viewer) -> int:
    """How much that others had opened somebody has ended since then, without what is shut to that viewer."""
    query = select(func.count(EmergencyEnd.opening_id.distinct())).join(
        EmergencyOpening, EmergencyEnd.opening_id == EmergencyOpening.id
    )
    return await session.scalar(query.where(_ended_by(account_id, since, but))) or 0


async def first_ended_by(
    session: AsyncSession, account_id: uuid.UUID, since: datetime, but: Viewer
) -> uuid.UUID | None:
    """The request of the first of these; None where there is none."""
    query = select(EmergencyOpening.request_id).join(EmergencyEnd, EmergencyEnd.opening_id == EmergencyOpening.id)
    query = query.where(_ended_by(account_id, since, but)).order_by(EmergencyEnd.ended_at).limit(1)
    return await session.scalar(query)


def _ended_by(account_id: uuid.UUID, since: datetime, but: Viewer) -> ColumnElement[bool]:
    return and_(
        EmergencyEnd.ended_by == account_id,
        EmergencyEnd.ended_at > since,
        EmergencyOpening.account_id != account_id,
        EmergencyOpening.request_id.not_in(shut_to(but.account_id, but.clinic_id, but.roles)),
    )


async def letters_about_ends_by(
    session: AsyncSession, account_id: uuid.UUID, kind: LetterKind, to: uuid.UUID, since: datetime
) -> list[tuple[datetime, LetterStatus]]:
    """When such e-mails were written to somebody since then about what that account had ended, and what became of each; the first
    first.
    """
    query = (
        select(AccountLetter.created_at, AccountLetter.status)
        .join(AuditEntry, AuditEntry.id == AccountLetter.link_id)
        .where(AccountLetter.account_id == to, AccountLetter.kind == kind, AccountLetter.created_at > since)
        .where(AuditEntry.account_id == account_id)
        .order_by(AccountLetter.created_at, AccountLetter.id)
    )
    return [(at, status) for at, status in await session.execute(query)]


async def ended_by_another(
    session: AsyncSession, account_id: uuid.UUID, request_id: uuid.UUID, since: datetime
) -> datetime | None:
    """When somebody else last ended, since then, what that account had opened of the request; None where nobody has."""
    query = (
        select(func.max(EmergencyEnd.ended_at))
        .join(EmergencyOpening, EmergencyOpening.id == EmergencyEnd.opening_id)
        .where(EmergencyOpening.request_id == request_id, EmergencyOpening.account_id == account_id)
        .where(EmergencyEnd.ended_by != account_id, EmergencyEnd.ended_at > since)
    )
    return await session.scalar(query)


# What is shown


async def load(session: AsyncSession, opening_id: uuid.UUID) -> EmergencyOpening | None:
    """That opening, whether it holds or not; without its reason."""
    return await _one(session, EmergencyOpening.id == opening_id)


async def shows_to_reader(session: AsyncSession, opening: EmergencyOpening) -> bool:
    """Whether who opened it is shown that they did: not where a restriction names them since."""
    return await _one(session, and_(EmergencyOpening.id == opening.id, ~_names_reader())) is not None


async def opened_by_command(session: AsyncSession, command_id: uuid.UUID) -> EmergencyOpening | None:
    """What that command has opened, whether it holds or not, where that shows to who did; without its reason."""
    return await _one(session, and_(EmergencyOpening.command_id == command_id, ~_names_reader()))


async def newest_opened(session: AsyncSession, account_id: uuid.UUID, request_id: uuid.UUID) -> EmergencyOpening | None:
    """What somebody last opened of the request, whether it holds or not; without its reason."""
    theirs = and_(EmergencyOpening.account_id == account_id, EmergencyOpening.request_id == request_id)
    return next(iter(await _listed(session, theirs, 1)), None)


async def _one(session: AsyncSession, which: ColumnElement[bool]) -> EmergencyOpening | None:
    return await session.scalar(select(EmergencyOpening).where(which).options(*unread(EmergencyOpening)))


async def opened_by(session: AsyncSession, account_id: uuid.UUID, limit: int) -> Sequence[EmergencyOpening]:
    """What somebody opened, the newest first; without the reasons. Not of what a restriction that names them shuts to them."""
    return await _listed(session, and_(EmergencyOpening.account_id == account_id, ~_names_reader()), limit)


async def of_clinic(session: AsyncSession, viewer: Viewer, limit: int) -> Sequence[EmergencyOpening]:
    """What people of the viewer's clinic opened, and others of what it asked for, the newest first; without the reasons.

    Not of what is shut to the viewer.
    """
    asked = select(RequestRecord.id).where(
        RequestRecord.id == EmergencyOpening.request_id, RequestRecord.requester_clinic_id == viewer.clinic_id
    )
    theirs = or_(EmergencyOpening.clinic_id == viewer.clinic_id, asked.exists())
    shut = shut_to(viewer.account_id, viewer.clinic_id, viewer.roles)
    return await _listed(session, and_(theirs, EmergencyOpening.request_id.not_in(shut)), limit)


async def _listed(session: AsyncSession, which: ColumnElement[bool], limit: int) -> Sequence[EmergencyOpening]:
    query = select(EmergencyOpening).where(which).order_by(EmergencyOpening.id.desc()).limit(limit)
    return (await session.scalars(query.options(*unread(EmergencyOpening)))).all()


async def courses_of(session: AsyncSession, found: Sequence[EmergencyOpening]) -> dict[uuid.UUID, Course]:
    """From when to when each of them was to last, and who has ended it."""
    query = select(EmergencyEnd).where(EmergencyEnd.opening_id.in_([one.id for one in found]))
    ends: dict[uuid.UUID, list[Ended]] = {}
    for one in await session.scalars(query.order_by(EmergencyEnd.ended_at)):
        ends.setdefault(one.opening_id, []).append(Ended(one.ended_by, one.ended_at))
    return {one.id: Course(one.account_id, one.begun_at, one.ends_at, tuple(ends.get(one.id, ()))) for one in found}


async def reasons_of(session: AsyncSession, opening_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Why each of them was opened, of those whose reason opens."""
    query = select(EmergencyOpening.id, with_key_if_it_opens(EmergencyOpening.reason))
    found = await session.execute(query.where(EmergencyOpening.id.in_(opening_ids)))
    return {opening_id: reason["text"] for opening_id, reason in found if reason}


async def going_on_in(session: AsyncSession, clinic_id: uuid.UUID, now: datetime) -> Sequence[RequestRecord]:
    """The requests that are open just now, to people of the clinic or of what it asked for: their pages are to be told."""
    theirs = or_(EmergencyOpening.clinic_id == clinic_id, RequestRecord.requester_clinic_id == clinic_id)
    query = (
        select(RequestRecord)
        .join(EmergencyOpening, EmergencyOpening.request_id == RequestRecord.id)
        .where(theirs, _goes_on(now))
        .options(*unread(RequestRecord))
    )
    return (await session.scalars(query)).unique().all()


# Who is told


async def to_tell(
    session: AsyncSession,
    told_of: Collection[uuid.UUID],
    clinic_ids: Collection[uuid.UUID],
    request_id: uuid.UUID | None = None,
    *,
    operators: bool = False,
) -> Sequence[Account]:
    """The administrators of these clinics, and the operators where one of them has none, or by wish. Never who is told of, and
    nobody to whom the request is shut.
    """
    others = [Account.active, Account.kind == AccountKind.PERSON, Account.id.not_in(told_of)]
    if request_id is not None:
        others.append(~is_shut_out(request_id))
    administers = and_(Account.clinic_id.in_(clinic_ids), _has_role(Role.CLINIC_ADMINISTRATOR))
    query = select(Account).where(*others).order_by(Account.id)
    told = (await session.scalars(query.where(administers))).all()
    if not operators and {one.clinic_id for one in told} == set(clinic_ids):
        return told
    return (await session.scalars(query.where(or_(administers, _has_role(Role.OPERATOR))))).all()


async def concerned(session: AsyncSession, entry: AuditEntry) -> set[uuid.UUID]:
    """The clinics whose administrators are told of what that entry of the audit says; where the request is destroyed by now, all
    that had to do with it.
    """
    query = select(EmergencyOpening.clinic_id, RequestRecord.requester_clinic_id).join(
        RequestRecord, RequestRecord.id == EmergencyOpening.request_id
    )
    found = (await session.execute(query.where(EmergencyOpening.id == entry.object_id))).first()
    if found is not None:
        return set(found)
    gone = await session.get(DestroyedRequest, entry.request_id) if entry.request_id is not None else None
    return {*([entry.clinic_id] if entry.clinic_id else []), *(gone.clinic_ids if gone else [])}


def _has_role(role: Role) -> ColumnElement[bool]:
    return Account.roles.contains([role.value])
