"""The worklist: the requests that somebody may see, filtered, sorted, page by page, with counts by status.

Pages are cut by key and not by number: a cursor holds the sort key of the last row, so rows that come or go in the meantime
neither repeat nor hide others. A request whose own sort key changes moves to its new place.
"""

import base64
import binascii
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError
from sqlalchemy import (
    ColumnElement,
    Select,
    Uuid,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    not_,
    null,
    or_,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, defer

from domain.offerings import DeadlineName
from domain.priority import Priority
from domain.requests import EventName, HolderKind, Role, Status
from domain.search import read_search
from records.absences import has_left_or_is_absent
from records.errors import BadCursorError
from records.models import AccessEntry, AccessKind, EventRecord, FrozenForm, Json, RequestRecord, StoredDocument
from records.patient_words import SearchKeys, keys_of
from records.search import found_by
from records.visibility import Access, Viewer, access_of, charts_of, listed_for

MAX_LIMIT = 200

_ISSUED = (EventName.PRELIMINARY_REPORT_ISSUED, EventName.FINAL_REPORT_ISSUED, EventName.ADDENDUM_ISSUED)

Sort = Literal["due", "-due", "priority", "updated", "created"]
"""Soonest deadline first, last deadline first, most urgent first, latest change first, newest first. A request without a running
deadline is due after all others."""


@dataclass(frozen=True)
class WorklistFilter:
    """What to show. Whatever is None or empty does not filter."""

    statuses: frozenset[Status] = frozenset()
    holder_is_me: bool = False
    to_do: bool | None = None
    """Whether the viewer has to do something about it, whoever holds it; see `use_cases.to_do`."""
    holder: uuid.UUID | None = None
    """Requests that this person holds."""
    clinic: uuid.UUID | None = None
    """Requests that this clinic asked for, dispatches or holds."""
    overdue: bool | None = None
    q: str = ""
    """What somebody typed to find requests; see `domain.search`."""
    offering: str | None = None
    priority: Priority | None = None
    holder_absent: bool | None = None
    """Whether the person who holds it is away today."""
    sort: Sort = "due"
    cursor: str | None = None
    limit: int = 50
    """Rows of a page, 1 to 200; more is taken for 200."""


@dataclass(frozen=True)
class WorklistRow:
    """One request in the worklist. `request` comes without `process` and `form`; `patient`, only where the chart may be seen.

    `process` is there where the viewer has something to do.
    """

    request: RequestRecord
    access: Access
    patient: Json | None
    process: Json | None
    notes: "RowNotes"


@dataclass(frozen=True)
class RowNotes:
    """What a viewer should notice of a request.

    `is_new`: the viewer has not opened it since somebody else, or Relais, changed it. `holder_absent`: the person who holds it
    is away today. `overdue`: the deadlines that are over. `worsened`: its requester says so, and nobody has changed the priority.
    `urgent_unread`: a report that must be read without delay was not, as far as anybody has confirmed.
    """

    is_new: bool
    holder_absent: bool
    overdue: tuple[DeadlineName, ...]
    worsened: bool
    urgent_unread: bool


@dataclass(frozen=True)
class WorklistPage:
    """One page. `next_cursor` is None on the last one. `counts` are of the same filter without its statuses, zeros left out."""

    rows: tuple[WorklistRow, ...]
    next_cursor: str | None
    counts: Mapping[Status, int]


async def worklist(session: AsyncSession, viewer: Viewer, wanted: WorklistFilter) -> WorklistPage:
    """A page of the viewer's worklist. Raises BadCursorError for a cursor that this sort never gave."""
    matching = and_(listed_for(viewer), *_conditions(viewer, wanted, keys_of(session)))
    found = await _rows(session, viewer, wanted, matching)
    counted = await session.execute(
        select(RequestRecord.status, func.count()).where(matching).group_by(RequestRecord.status)
    )
    limit = _limit(wanted)
    rows = found[:limit]
    return WorklistPage(
        rows=tuple(rows),
        next_cursor=_cursor_at(rows[-1].request, wanted.sort) if len(found) > limit else None,
        counts=dict(counted.all()),
    )


async def count_to_do(session: AsyncSession, viewer: Viewer) -> int:
    """About how many requests the viewer has something to do."""
    query = select(func.count()).select_from(RequestRecord).where(listed_for(viewer), has_to_do(viewer))
    return await session.scalar(query) or 0


async def notes_on(session: AsyncSession, viewer: Viewer, request_id: uuid.UUID) -> RowNotes:
    """What the viewer should notice of one request; ask before writing down that they open it."""
    query = select(*_notes_for(viewer)).where(RequestRecord.id == request_id)
    return _notes(*(await session.execute(query)).one())


async def _rows(
    session: AsyncSession, viewer: Viewer, wanted: WorklistFilter, matching: ColumnElement[bool]
) -> list[WorklistRow]:
    """The page's rows, and one more when there is a next page."""
    patient = case((charts_of(viewer), _patient_for(viewer)), else_=null())
    process = case((has_to_do(viewer), RequestRecord.process), else_=null())
    query = (
        select(RequestRecord, access_of(viewer), patient, process, *_notes_for(viewer))
        .options(defer(RequestRecord.process, raiseload=True), defer(RequestRecord.form, raiseload=True))
        .where(matching)
        .limit(_limit(wanted) + 1)
    )
    if wanted.statuses:
        query = query.where(RequestRecord.status.in_(wanted.statuses))
    query = _sorted(query, wanted)
    return [
        WorklistRow(request, access, patient, process, _notes(*notes))
        for request, access, patient, process, *notes in await session.execute(query)
    ]


def _notes_for(viewer: Viewer) -> tuple[ColumnElement[Any], ...]:
    process = RequestRecord.process
    absent = has_left_or_is_absent(RequestRecord.holder_id)
    return _is_new_for(viewer), absent, process["overdue"], process["worsened"], _is_unread()


def _is_unread() -> ColumnElement[bool]:
    return RequestRecord.process["deadlines"].contains([{"name": DeadlineName.URGENT_ACKNOWLEDGEMENT}])


def _notes(
    is_new: bool, holder_absent: bool, overdue: list[str], worsened: bool | None, urgent_unread: bool
) -> RowNotes:
    return RowNotes(is_new, holder_absent, tuple(map(DeadlineName, overdue)), bool(worsened), urgent_unread)


def _is_new_for(viewer: Viewer) -> ColumnElement[bool]:
    """Whether something happened after the version that the viewer opened last, other than by themselves.

    The document that Relais makes of what somebody signed is that person's doing. A draft has no events.
    """
    opened = (
        select(func.coalesce(func.max(AccessEntry.version), 0))
        .where(
            AccessEntry.account_id == viewer.account_id,
            AccessEntry.request_id == RequestRecord.id,
            AccessEntry.kind == AccessKind.REQUEST,
        )
        .correlate(RequestRecord)
        .scalar_subquery()
    )
    own_document = exists().where(
        StoredDocument.report_id == cast(EventRecord.command["report_id"].astext, Uuid),
        StoredDocument.signer_id == viewer.account_id,
    )
    return exists().where(
        EventRecord.request_id == RequestRecord.id,
        EventRecord.version > opened,
        EventRecord.actor_id.is_distinct_from(viewer.account_id),
        not_(and_(EventRecord.name.in_(_ISSUED), own_document)),
    )


def _patient_for(viewer: Viewer) -> ColumnElement[Json]:
    """The patient as submitted; for the requester as edited while it is returned. They differ from then on."""
    submitted = (
        select(FrozenForm.content["patient"])
        .where(
            FrozenForm.request_id == RequestRecord.id,
            FrozenForm.number == RequestRecord.process["form"]["number"].as_integer(),
        )
        .scalar_subquery()
    )
    own = and_(RequestRecord.status == Status.RETURNED, RequestRecord.requester_id == viewer.account_id)
    as_edited = or_(own, RequestRecord.status.not_in((Status.RETURNED, Status.CANCELLED, Status.ABANDONED)))
    return case(
        (as_edited, RequestRecord.form["patient"]), else_=func.coalesce(submitted, RequestRecord.form["patient"])
    )


def _conditions(viewer: Viewer, wanted: WorklistFilter, keys: SearchKeys) -> list[ColumnElement[bool]]:
    """All of the filter but the statuses, which the counts leave out."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.holder_is_me:
        conditions.append(_waits_for(viewer))
    if wanted.to_do is not None:
        conditions.append(has_to_do(viewer) if wanted.to_do else not_(has_to_do(viewer)))
    if wanted.holder is not None:
        conditions.append(RequestRecord.holder_id == wanted.holder)
    if wanted.clinic is not None:
        conditions.append(
            or_(
                RequestRecord.requester_clinic_id == wanted.clinic,
                RequestRecord.dispatch_clinic_id == wanted.clinic,
                RequestRecord.holder_clinic_id == wanted.clinic,
            )
        )
    if wanted.overdue is not None:
        conditions.append(RequestRecord.overdue.is_(wanted.overdue))
    if wanted.q.strip():
        conditions.append(found_by(viewer, read_search(wanted.q), keys))
    if wanted.offering is not None:
        conditions.append(RequestRecord.offering == wanted.offering)
    if wanted.priority is not None:
        conditions.append(RequestRecord.priority == wanted.priority)
    if wanted.holder_absent is not None:
        absent = has_left_or_is_absent(RequestRecord.holder_id)
        conditions.append(absent if wanted.holder_absent else not_(absent))
    return conditions


def has_to_do(viewer: Viewer) -> ColumnElement[bool]:
    """The requests about which the viewer has something to do: `use_cases.to_do` in SQL. A draft waits for nobody."""
    own = RequestRecord.requester_id == viewer.account_id if Role.REQUESTER in viewer.roles else false()
    back = and_(
        own,
        RequestRecord.holder_kind == HolderKind.REQUESTER,
        RequestRecord.status != Status.DRAFT,
        RequestRecord.submission_id.is_(None),
    )
    asked = and_(own, RequestRecord.open_questions > 0)
    unsigned = RequestRecord.process["signing"].astext.is_(None)
    return or_(and_(unsigned, or_(back, asked, *_held_at_work(viewer))), and_(own, _is_unread()))


def _held_at_work(viewer: Viewer) -> list[ColumnElement[bool]]:
    """What a provider or dispatcher holds and can go on with: not while an answer is awaited, or a signature on its way."""
    held = []
    if Role.PROVIDER in viewer.roles:
        by_name = and_(RequestRecord.holder_kind == HolderKind.PROVIDER, RequestRecord.holder_id == viewer.account_id)
        unsigned = or_(RequestRecord.signature_id.is_(None), RequestRecord.status != Status.ACCEPTED)
        goes_on = and_(RequestRecord.open_questions == 0, unsigned)
        held.append(and_(goes_on, _ours(viewer), or_(by_name, RequestRecord.holder_kind == HolderKind.POOL)))
    if Role.DISPATCHER in viewer.roles:
        held.append(and_(_ours(viewer), RequestRecord.holder_kind == HolderKind.DISPATCH))
    return held


def _ours(viewer: Viewer) -> ColumnElement[bool]:
    return RequestRecord.holder_clinic_id == viewer.clinic_id


def _waits_for(viewer: Viewer) -> ColumnElement[bool]:
    """What the viewer holds, in person or as one of a pool or of the dispatchers: `Holder.includes` in SQL."""
    held: ColumnElement[bool] = RequestRecord.holder_id == viewer.account_id
    for role, kind in ((Role.PROVIDER, HolderKind.POOL), (Role.DISPATCHER, HolderKind.DISPATCH)):
        if role in viewer.roles:
            ours = and_(RequestRecord.holder_kind == kind, RequestRecord.holder_clinic_id == viewer.clinic_id)
            held = or_(held, ours)
    return held


def _limit(wanted: WorklistFilter) -> int:
    return max(1, min(wanted.limit, MAX_LIMIT))


# Order and cursors


@dataclass(frozen=True)
class _Order:
    """The columns of a sort, before the id that makes it total, all in one direction."""

    columns: tuple[InstrumentedAttribute[Any], ...]
    descending: bool = False


_ORDERS: Mapping[Sort, _Order] = {
    "due": _Order((RequestRecord.due_sort,)),
    "-due": _Order((RequestRecord.due_sort,), descending=True),
    "priority": _Order((RequestRecord.priority_rank, RequestRecord.due_sort)),
    "updated": _Order((RequestRecord.updated_at,), descending=True),
    "created": _Order((RequestRecord.created_at,), descending=True),
}

_KEYS: Mapping[Sort, TypeAdapter[tuple[Any, ...]]] = {
    "due": TypeAdapter(tuple[AwareDatetime, uuid.UUID]),
    "-due": TypeAdapter(tuple[AwareDatetime, uuid.UUID]),
    "priority": TypeAdapter(tuple[Annotated[int, Field(ge=0, le=9)], AwareDatetime, uuid.UUID]),
    "updated": TypeAdapter(tuple[AwareDatetime, uuid.UUID]),
    "created": TypeAdapter(tuple[AwareDatetime, uuid.UUID]),
}


def _sorted(query: Select[Any], wanted: WorklistFilter) -> Select[Any]:
    order = _ORDERS[wanted.sort]
    columns = (*order.columns, RequestRecord.id)
    query = query.order_by(*(column.desc() if order.descending else column.asc() for column in columns))
    if wanted.cursor is None:
        return query
    key, last = tuple_(*columns), tuple_(*_key_in(wanted.cursor, wanted.sort))
    return query.where(key < last if order.descending else key > last)


def _cursor_at(row: RequestRecord, sort: Sort) -> str:
    values = [getattr(row, column.key) for column in _ORDERS[sort].columns]
    texts = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps([sort, *texts, str(row.id)]).encode()).decode().rstrip("=")


def _key_in(cursor: str, sort: Sort) -> tuple[Any, ...]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        of_sort, *key = json.loads(text)
        if of_sort != sort:
            raise BadCursorError
        values = _KEYS[sort].validate_python(tuple(key))
        return tuple(value.astimezone(UTC) if isinstance(value, datetime) else value for value in values)
    except (binascii.Error, ValueError, TypeError, OverflowError, ValidationError) as error:
        raise BadCursorError from error
