"""The feed of changes: what happened to requests, in an order in which a reader who goes on from their place misses nothing.

Rows are told by the transaction that wrote them, and only those before which no transaction is under way: a smaller id than one
that was told may still be uncommitted. Triggers write them (`records.models.RequestChange`); whether somebody may see the
request is asked when they read.
"""

import base64
import binascii
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Self, cast

from pydantic import Field, TypeAdapter, ValidationError
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    delete,
    exists,
    false,
    literal,
    or_,
    select,
    text,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from domain.changes import ChangeKind
from domain.model import DISCREET
from domain.requests import EventName, Role
from records.destruction import were_shut_to
from records.errors import BadCursorError, CursorExpiredError
from records.models import ChangeLog, RequestChange, RequestParty, RequestRecord
from records.visibility import Access, Viewer, access_of, shut_to

MOST_ROWS = 2_000
"""So many rows are looked through at once, also where few of them are for the reader."""

_OLDEST_UNDER_WAY = text("pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
_CLUSTER = text(
    "(SELECT system_identifier FROM pg_control_system()) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)"
)
"""Which server this is, and which of its histories: a restored or a promoted one has another."""

_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Told:
    """What the reader is told; of what is gone, nothing but the id."""

    kind: ChangeKind
    request_id: uuid.UUID
    number: str | None = None
    sequence: int | None = None
    version: int | None = None
    event: EventName | None = None
    at: datetime | None = None
    access: Access | None = None

    @classmethod
    def of(cls, row: RequestChange, request_id: uuid.UUID, number: str | None, access: Access | None) -> Self:
        """By how much of the request the reader may see now. A draft that is gone may be there again, which is told after it."""
        if access is None or row.kind is ChangeKind.GONE:
            return cls(ChangeKind.GONE, request_id)
        return cls(row.kind, request_id, number, row.sequence, row.version, row.event, row.at, access)


@dataclass(frozen=True)
class ChangesPage:
    """A page of the feed; `cursor` is the place behind it. `more`: one need not wait to go on."""

    items: Sequence[Told]
    cursor: str
    more: bool


@dataclass(frozen=True)
class _Place:
    """Behind that row. `turned`: the row tells of other roles, and what they change is told up to that request."""

    epoch: uuid.UUID
    horizon: int
    id: int
    turned: uuid.UUID | None = None

    def written(self) -> str:
        turned = "" if self.turned is None else str(self.turned)
        text_ = f"{self.epoch}.{self.horizon}.{self.id}.{turned}"
        return base64.urlsafe_b64encode(text_.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, cursor: str) -> Self:
        """Raises BadCursorError."""
        try:
            parts = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(".")
            return cls(*_PARTS.validate_python([part or None for part in parts]))
        except (binascii.Error, ValueError, ValidationError) as error:
            raise BadCursorError from error

    @property
    def key(self) -> ColumnElement[Any]:
        return tuple_(literal(self.horizon, BigInteger()), literal(self.id, BigInteger()))


_Number = Annotated[int, Field(ge=0, le=_LARGEST)]
_PARTS = TypeAdapter(tuple[uuid.UUID, _Number, _Number, uuid.UUID | None], config=DISCREET)

_KEY = tuple_(RequestChange.horizon, RequestChange.id)
_FIRST = uuid.UUID(int=0)


async def begin(session: AsyncSession) -> str:
    """The place behind all that has happened until now."""
    log = await _log(session)
    return _Place(log.epoch, await _under_way(session) - 1, _LARGEST).written()


async def read(
    session: AsyncSession, viewer: Viewer, cursor: str, limit: int, roles: frozenset[Role] = frozenset(Role)
) -> ChangesPage:
    """What happened after that place, as the viewer may see it now; of their roles before, those in `roles` counted.

    Raises BadCursorError, or CursorExpiredError.
    """
    place = _Place.read(cursor)
    log = await _log(session)
    if place.epoch != log.epoch or (place.horizon, place.id) < (log.forgotten_horizon, log.forgotten_id):
        raise CursorExpiredError
    if place.turned is not None:
        return await _turned(session, viewer, place, limit, roles)
    end, more = await _end(session, place)
    rows = await _rows(session, viewer, place, end, limit + 1)
    if rows and _is_turn(rows[0]):
        place = _Place(place.epoch, rows[0].RequestChange.horizon, rows[0].RequestChange.id, _FIRST)
        return await _turned(session, viewer, place, limit, roles)
    shown = rows[:limit]
    if turn := next((at for at, row in enumerate(shown) if _is_turn(row)), None):
        shown = shown[:turn]
    if len(shown) < len(rows):
        last = shown[-1].RequestChange
        end, more = _Place(place.epoch, last.horizon, last.id), True
    were_shut = await were_shut_to(session, viewer, _have_left(shown))
    items = [
        Told.of(row.RequestChange, row.RequestChange.request_id, row.number, row.access)
        for row in shown
        if row.RequestChange.account_id is not None or row.RequestChange.request_id not in were_shut
    ]
    return ChangesPage(items, end.written(), more)


async def forget(session: AsyncSession, before: datetime) -> int:
    """What was noted before that moment is not kept any longer; gives how much it was."""
    old = RequestChange.noted_at < before
    query = select(RequestChange.horizon, RequestChange.id).where(old)
    backwards = query.order_by(RequestChange.horizon.desc(), RequestChange.id.desc())
    last = (await session.execute(backwards.limit(1))).one_or_none()
    if last is None:
        return 0
    forgotten = update(ChangeLog).values(forgotten_horizon=last.horizon, forgotten_id=last.id)
    further = tuple_(ChangeLog.forgotten_horizon, ChangeLog.forgotten_id) < _Place(_FIRST, *last).key
    await session.execute(forgotten.where(further))
    return len((await session.scalars(delete(RequestChange).where(old).returning(RequestChange.id))).all())


async def _log(session: AsyncSession) -> ChangeLog:
    """The one of this server. On another one, what was noted before it means nothing: everybody begins anew."""
    cluster = await session.scalar(select(_CLUSTER)) or ""
    log = await session.get(ChangeLog, 1)
    if log is not None and log.cluster == cluster:
        return log
    new = insert(ChangeLog).values(id=1, epoch=uuid.uuid4(), cluster=cluster, forgotten_horizon=0, forgotten_id=0)
    anew = {"epoch": new.excluded.epoch, "cluster": cluster, "forgotten_horizon": 0, "forgotten_id": 0}
    ours = new.on_conflict_do_update(index_elements=[ChangeLog.id], set_=anew, where=ChangeLog.cluster != cluster)
    if await session.scalar(ours.returning(ChangeLog.id)):
        await session.execute(delete(RequestChange))
    return await session.get_one(ChangeLog, 1, populate_existing=True)


async def _under_way(session: AsyncSession) -> int:
    """Before this transaction all have ended."""
    return await session.scalar(select(_OLDEST_UNDER_WAY)) or 0


async def _end(session: AsyncSession, place: _Place) -> tuple[_Place, bool]:
    """How far one looks from there, and whether there is more behind."""
    before = await _under_way(session)
    last = (
        select(RequestChange.horizon, RequestChange.id)
        .where(place.key < _KEY, RequestChange.horizon < before)
        .order_by(RequestChange.horizon, RequestChange.id)
        .offset(MOST_ROWS - 1)
        .limit(1)
    )
    if found := (await session.execute(last)).one_or_none():
        return _Place(place.epoch, found.horizon, found.id), True
    return max(place, _Place(place.epoch, before - 1, _LARGEST), key=lambda one: (one.horizon, one.id)), False


async def _rows(session: AsyncSession, viewer: Viewer, place: _Place, end: _Place, limit: int) -> Sequence[Row[Any]]:
    """The rows up to there that are for the viewer, each with the request's number and how much of it they see now."""
    is_own = _is_own(viewer)
    has_left: ColumnElement[bool] = false()  # or it was destroyed, and no row says any more whom it concerned
    if Role.CLINIC_ADMINISTRATOR in viewer.roles:
        is_shut = RequestChange.request_id.in_(shut_to(viewer))
        has_left = and_(RequestChange.left_clinic_id == viewer.clinic_id, ~is_shut)
    access = access_of(viewer)
    query = (
        select(RequestChange, RequestRecord.number, access.label("access"))
        .outerjoin(RequestRecord, RequestRecord.id == RequestChange.request_id)
        .where(place.key < _KEY, end.key >= _KEY, _concerns(viewer, RequestChange.request_id) | is_own | has_left)
        .where(or_(access.is_not(None), is_own, has_left), or_(RequestChange.account_id.is_(None), is_own))
        .order_by(RequestChange.horizon, RequestChange.id)
        .limit(limit)
    )
    return cast(Sequence[Row[Any]], (await session.execute(query)).all())


def _is_own(viewer: Viewer) -> ColumnElement[bool]:
    """Whether a row is for the viewer alone: theirs; or of the system by which somebody looks, of what they see without it."""
    is_own: ColumnElement[bool] = RequestChange.account_id == viewer.account_id
    if viewer.system_id in (None, viewer.account_id):
        return is_own
    by_themselves = access_of(replace(viewer, system_id=None)).is_not(None)
    return or_(is_own, and_(RequestChange.account_id == viewer.system_id, by_themselves))


def _have_left(rows: Sequence[Row[Any]]) -> list[uuid.UUID]:
    """What is gone: of what was destroyed its tombstone says to whom it was shut."""
    return [row.RequestChange.request_id for row in rows if row.RequestChange.left_clinic_id and row.number is None]


def _concerns(viewer: Viewer, request_id: Any) -> ColumnElement[bool]:
    """Whether the viewer's clinic ever had to do with the request: the others are left out at once."""
    if Role.OPERATOR in viewer.roles:
        return true()
    return exists().where(RequestParty.request_id == request_id, RequestParty.clinic_id == viewer.clinic_id)


def _is_turn(row: Row[Any]) -> bool:
    """Whether it tells of other roles: what is seen of one request alone, after a restriction, is told by itself."""
    return bool(row.RequestChange.kind is ChangeKind.SEEN and row.RequestChange.request_id is None)


async def _turned(
    session: AsyncSession, viewer: Viewer, place: _Place, limit: int, roles: frozenset[Role]
) -> ChangesPage:
    """What the change of the viewer's roles has brought into their view, and what has left it."""
    turn = await session.get(RequestChange, place.id)
    if turn is None or turn.account_id != viewer.account_id or turn.roles_before is None or place.turned is None:
        raise BadCursorError
    had = frozenset(role for role in roles if role.value in turn.roles_before)
    before = replace(viewer, roles=had, had_roles=frozenset(role for role in Role if role.value in turn.roles_before))
    seen, was_seen = access_of(viewer), access_of(before)
    of_clinic = or_(_concerns(viewer, RequestRecord.id), _concerns(before, RequestRecord.id))
    query = (
        select(RequestRecord.id, RequestRecord.number, RequestRecord.process_version + RequestRecord.edits, seen)
        .where(RequestRecord.id > place.turned, of_clinic)
        .where(or_(and_(seen.is_(None), was_seen.is_not(None)), and_(seen.is_not(None), was_seen.is_(None))))
        .order_by(RequestRecord.id)
        .limit(limit + 1)
    )
    found = (await session.execute(query)).all()
    items = [
        Told(ChangeKind.SEEN, id_, number, version=version, at=turn.at, access=access)
        if access is not None
        else Told(ChangeKind.GONE, id_)
        for id_, number, version, access in found[:limit]
    ]
    further = items[-1].request_id if len(found) > limit else None
    return ChangesPage(items, replace(place, turned=further).written(), more=True)
