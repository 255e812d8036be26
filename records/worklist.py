"""The worklist: the requests that somebody may see, filtered, sorted, page by page, with counts by status.

Pages are cut by key and not by number: a cursor holds the sort key of the last row, so rows that come or go in the meantime
neither repeat nor hide others. A request whose own sort key changes moves to its new place.
"""

import base64
import binascii
import json
import typing
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError
from sqlalchemy import (
    ARRAY,
    CTE,
    ColumnElement,
    CompoundSelect,
    DateTime,
    Integer,
    Select,
    Subquery,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    cast,
    exists,
    false,
    func,
    not_,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, defer

from domain.audit import Act
from domain.calendar import TIME_ZONE
from domain.model import DISCREET
from domain.offerings import DeadlineName
from domain.priority import Priority
from domain.requests import DocumentKind, HolderKind, Role, Status
from domain.search import read_search
from domain.unread_reports import BRINGS_A_REPORT
from records.absences import away_today, has_left_or_is_absent
from records.errors import BadCursorError
from records.models import (
    SORT_KEYS,
    Account,
    AuditEntry,
    EventRecord,
    FrozenForm,
    Json,
    RequestParty,
    RequestRecord,
    StoredDocument,
)
from records.references import referred_to
from records.sealed import in_clear, with_key_if_it_opens
from records.search import Finds, find, sift
from records.unread_reports import READS_FOR_OTHERS, is_shown
from records.visibility import (
    Access,
    Viewer,
    access_of,
    charts_of,
    covered_by,
    listed_for,
    parts_for,
    read_for_others_by,
    shut_to,
)
from records.ways import (
    ALL,
    BEYOND_DRAFT,
    CLINIC_WAYS,
    COUNTED_UP_TO,
    Lead,
    Order,
    Part,
    Sieve,
    counts_of,
    first_among,
    first_of,
    in_order,
    only_asked,
    plainly,
)

MAX_LIMIT = 200

LED_TO = 1_000
"""So many requests that another clinic leads to are looked through one by one; each is a look at its row."""

HELD = 2_000
"""So many of those who are away; of what a colleague holds, an index tells most of what is asked."""

SUBMITTED = 20_000
"""So many of certain days; the index of the days tells most of what is asked."""

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
    submitted_from: date | None = None
    """Submitted on this day or later, by the calendar of America/Toronto."""
    submitted_until: date | None = None
    """Submitted on this day or before."""
    updated_since: datetime | None = None
    """Changed then or later, by `updated_at`."""
    reference: str | None = None
    """What a system of the viewer's clinic calls it by itself; just that of `reference_of`, where this is named."""
    reference_of: uuid.UUID | None = None
    sort: Sort = "due"
    cursor: str | None = None
    limit: int = 50
    """Rows of a page, 1 to 200; more is taken for 200."""


@dataclass(frozen=True)
class WorklistRow:
    """One request in the worklist. `request` comes without `process` and `form`; `patient`, only where the chart may be seen and
    opens.

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
    `urgent_unread`: a report that must be read without delay was not, as far as anybody has confirmed. `awaits_photos`: the final
    report says that the photos were not sufficient, and its requester has neither acknowledged it nor submitted a request that
    follows. `report_unread`: its requester has not read a report in time, so that others of their clinic see it. `covers`:
    the viewer answers what is asked about the report, for a colleague who is away; `reads_for_requester`: or reads it for one who
    has not. `undo`: what stood before the last command, while nothing else has happened (`domain.requests.Undo`).
    """

    is_new: bool
    holder_absent: bool
    overdue: tuple[DeadlineName, ...]
    worsened: bool
    urgent_unread: bool
    awaits_photos: bool
    report_unread: bool
    covers: bool
    reads_for_requester: bool
    undo: Json | None


@dataclass(frozen=True)
class Count:
    """A number of requests; with `at_least`, there are more, which were not counted."""

    number: int = 0
    at_least: bool = False

    @classmethod
    def of(cls, number: int) -> Self:
        """What it is when so many were found by somebody who stops at one more than `COUNTED_UP_TO`."""
        return cls(min(number, COUNTED_UP_TO), number > COUNTED_UP_TO)

    def __add__(self, other: "Count") -> "Count":
        return Count(self.number + other.number, self.at_least or other.at_least)

    def __bool__(self) -> bool:
        return self.number > 0


@dataclass(frozen=True)
class WorklistPage:
    """One page. `next_cursor` is None on the last one. `counts` are of the same filter without its statuses, zeros left out."""

    rows: tuple[WorklistRow, ...]
    next_cursor: str | None
    counts: Mapping[Status, Count]


async def worklist(session: AsyncSession, viewer: Viewer, wanted: WorklistFilter) -> WorklistPage:
    """A page of the viewer's worklist. Raises BadCursorError for a cursor that this sort never gave."""
    limit = _limit(wanted)
    after = None if wanted.cursor is None else _key_in(wanted.cursor, wanted.sort)
    if wanted.q.strip() or wanted.reference is not None:
        found, counts = await _found(session, viewer, wanted, after)
    else:
        found, counts = await _listed(session, viewer, wanted, after)
    rows = found[:limit]
    return WorklistPage(
        rows=tuple(rows),
        next_cursor=_cursor_at(rows[-1].request, wanted.sort) if len(found) > limit else None,
        counts=counts,
    )


async def count_to_do(session: AsyncSession, viewer: Viewer) -> Count:
    """About how many requests the viewer has something to do."""
    query = count_statement(viewer.roles)
    counts = await _counts(session, query, _given_by(viewer)) if query is not None else {}
    return sum(counts.values(), Count())


async def notes_on(session: AsyncSession, viewer: Viewer, request_id: uuid.UUID) -> RowNotes:
    """What the viewer should notice of one request; ask before writing down that they open it."""
    found = await session.execute(_statement_of_notes(viewer.roles), {**_given_by(viewer), "request_id": request_id})
    return _notes(*found.one())


async def lines_of(session: AsyncSession, viewer: Viewer, request_ids: Collection[uuid.UUID]) -> list[WorklistRow]:
    """The lines of these requests, the newest first, as far as the viewer may see them."""
    if not request_ids:
        return []
    found = await _lines(session, viewer, request_ids, "created")
    return [row for row in found if row.access is not None]


async def _listed(
    session: AsyncSession, viewer: Viewer, wanted: WorklistFilter, after: tuple[Any, ...] | None
) -> tuple[list[WorklistRow], dict[Status, Count]]:
    """The page, and its counts."""
    clinic = _OWN_CLINIC if wanted.clinic == viewer.clinic_id else wanted.clinic
    since = None if wanted.updated_since is None else _GIVEN
    for_all = replace(wanted, cursor=None, clinic=clinic, updated_since=since)
    values = {**_given_by(viewer), _SINCE.key: wanted.updated_since}
    all_values = {**values, **{f"after_{at}": value for at, value in enumerate(after or ())}}
    for statement, at_most in led_statements(viewer.roles, for_all, after is not None):
        (_, looked_at, _), *rows = await session.execute(statement, all_values)
        if looked_at <= at_most:
            counts = {Status(status): Count.of(number) for status, number, _ in rows if number}
            first = [id_ for _, _, id_ in rows if id_]
            return (await _lines(session, viewer, first, wanted.sort) if first else []), counts
    statements = list_statements(viewer.roles, for_all, after is not None)
    if statements is None:
        return [], {}
    page, numbers = statements
    return await _rows(session, page, all_values), await _counts(session, numbers, values)


async def _found(
    session: AsyncSession, viewer: Viewer, wanted: WorklistFilter, after: tuple[Any, ...] | None
) -> tuple[list[WorklistRow], dict[Status, Count]]:
    """The same of what somebody looks for: what is found leads to the requests, and the parts are conditions."""
    finds = await _finds(session, viewer, wanted)
    sieve = _sieve_of_rows(viewer, wanted)
    found = await sift(session, finds, sieve, _ORDERS[wanted.sort], after, _limit(wanted) + 1)
    counts = {status: Count(number, found.more) for status, number in found.counts.items()}
    return (await _lines(session, viewer, found.first, wanted.sort) if found.first else []), counts


async def _finds(session: AsyncSession, viewer: Viewer, wanted: WorklistFilter) -> Finds:
    finds = await find(session, viewer, read_search(wanted.q)) if wanted.q.strip() else Finds(None, true())
    if wanted.reference is None:
        return finds
    referred = referred_to(session, wanted.reference, viewer.clinic_id, wanted.reference_of)
    return replace(finds, candidates=referred, fits=False)


async def _lines(
    session: AsyncSession, viewer: Viewer, request_ids: Collection[uuid.UUID], sort: Sort
) -> list[WorklistRow]:
    statement = _statement_of_lines(viewer.roles, sort)
    return await _rows(session, statement, {**_given_by(viewer), "request_ids": list(request_ids)})


async def _rows(session: AsyncSession, statement: Select[Any], values: Mapping[str, object]) -> list[WorklistRow]:
    return [
        WorklistRow(request, access, form["patient"] if form else None, process, _notes(*notes))
        for request, access, form, process, *notes in await session.execute(statement, values)
    ]


async def _counts(
    session: AsyncSession, statement: Select[Any, int], values: Mapping[str, object]
) -> dict[Status, Count]:
    return {Status(status): Count.of(number) for status, number in await session.execute(statement, values) if number}


# The statements: made once for all who have the same roles, for making one takes longer than running it


STATEMENTS_KEPT = 100

_OWN_CLINIC = uuid.uuid4()
"""In place of the clinic of whoever looks, so that the statement knows what their parts say by themselves: an id that nobody can
ask for.
"""

_GIVEN = datetime.min.replace(tzinfo=UTC)
"""In place of a moment that is given when the statement runs, for it is another one each time."""

_SINCE = bindparam("updated_since", type_=DateTime(timezone=True))


def _somebody(roles: frozenset[Role]) -> Viewer:
    """Whoever has these roles: which account, which clinic and which system is given when a statement runs (`_given_by`)."""
    names = ("viewer_id", "viewer_clinic_id", "viewer_system_id")
    account, clinic, system = (typing.cast(uuid.UUID, bindparam(name, type_=Uuid())) for name in names)
    return Viewer(account, clinic, roles, system_id=system)


def _given_by(viewer: Viewer) -> dict[str, object]:
    ids = {"viewer_id": viewer.account_id, "viewer_clinic_id": viewer.clinic_id}
    return {**ids, "viewer_system_id": viewer.system_id}


@lru_cache(maxsize=STATEMENTS_KEPT)
def list_statements(
    roles: frozenset[Role], wanted: WorklistFilter, is_continued: bool
) -> tuple[Select[Any], Select[Any, int]] | None:
    """Of the page and of its counts; None for who has no list. A page that is continued is given the key it comes after."""
    viewer = _somebody(roles)
    wanted = _in_own_clinic(viewer, wanted)
    parts = _parts(viewer, wanted)
    if not parts:
        return None
    sieve = _sieve_of(viewer, wanted).and_(*_beside_parts(viewer, wanted))
    order = _ORDERS[wanted.sort]
    page = first_of(parts, sieve, order, _given_key(order) if is_continued else None, _limit(wanted) + 1)
    return _lines_on(page, viewer, wanted.sort), counts_of(parts, sieve.of_all_statuses)


@lru_cache(maxsize=STATEMENTS_KEPT)
def led_statements(
    roles: frozenset[Role], wanted: WorklistFilter, is_continued: bool
) -> list[tuple[CompoundSelect[Any], int]]:
    """What finds page and counts where a clinic, an absence or days lead to few requests (`first_among`), and how many these may
    be: they are looked through one by one. Where they lead to more, the viewer's own ways come soon to those that are asked for.
    """
    viewer = _somebody(roles)
    leads = _leads(viewer, wanted)
    wanted = _in_own_clinic(viewer, wanted)
    sieve, order = _sieve_of_rows(viewer, wanted), _ORDERS[wanted.sort]
    after = _given_key(order) if is_continued else None
    return [
        (first_among(some, sieve, order, after, _limit(wanted) + 1, at_most), at_most)
        for some, at_most in leads
        if _parts(viewer, wanted)
    ]


def _in_own_clinic(viewer: Viewer, wanted: WorklistFilter) -> WorklistFilter:
    return replace(wanted, clinic=viewer.clinic_id) if wanted.clinic == _OWN_CLINIC else wanted


def _given_key(order: Order) -> tuple[Any, ...]:
    """Of the last row of the page before, given when the statement runs."""
    types = (*((Integer(),) if order.by_rank else ()), DateTime(timezone=True), Uuid())
    return tuple(bindparam(f"after_{at}", type_=type_) for at, type_ in enumerate(types))


@lru_cache(maxsize=STATEMENTS_KEPT)
def count_statement(roles: frozenset[Role]) -> Select[Any, int] | None:
    viewer = _somebody(roles)
    parts = _parts_to_do(viewer)
    return counts_of(parts, Sieve(not_among=(shut_to(viewer),))) if parts else None


@lru_cache(maxsize=STATEMENTS_KEPT)
def _statement_of_notes(roles: frozenset[Role]) -> Select[Any]:
    of_request = RequestRecord.id == bindparam("request_id", type_=Uuid())
    return select(*_notes_for(_somebody(roles))).where(of_request)


@lru_cache(maxsize=STATEMENTS_KEPT)
def _statement_of_lines(roles: frozenset[Role], sort: Sort) -> Select[Any]:
    order = _ORDERS[sort]
    key = getattr(RequestRecord, SORT_KEYS[order.by]).label("key")
    these = RequestRecord.id == any_(bindparam("request_ids", type_=ARRAY(Uuid())))
    page = select(RequestRecord.priority_rank.label("rank"), key, RequestRecord.id).where(these).subquery("page")
    return _lines_on(page, _somebody(roles), sort)


def _lines_on(page: Subquery, viewer: Viewer, sort: Sort) -> Select[Any]:
    """What stands in the lines of a page."""
    form = case((charts_of(viewer), _form_for(viewer)), else_=null())
    process = case((has_to_do(viewer), RequestRecord.process), else_=null())
    return (
        select(RequestRecord, access_of(viewer), form, process, *_notes_for(viewer))
        .options(defer(RequestRecord.process, raiseload=True), defer(RequestRecord.form, raiseload=True))
        .join(page, page.c.id == RequestRecord.id)
        .order_by(*in_order(page, _ORDERS[sort]))
    )


def _notes_for(viewer: Viewer) -> tuple[ColumnElement[Any], ...]:
    process = RequestRecord.process
    absent = has_left_or_is_absent(RequestRecord.holder_id)
    called_for = (_is_unread(), _awaits_photos(), is_shown())
    for_others = (covered_by(viewer), read_for_others_by(viewer))
    of_state = process["overdue"], process["worsened"]
    return _is_new_for(viewer), absent, *of_state, *called_for, *for_others, process["undo"]


def _is_unread() -> ColumnElement[bool]:
    return RequestRecord.process["deadlines"].contains([{"name": DeadlineName.URGENT_ACKNOWLEDGEMENT}])


def _awaits_photos() -> ColumnElement[bool]:
    later = aliased(RequestRecord)
    insufficient = [{"kind": DocumentKind.FINAL, "new_photos": True}]
    return and_(
        RequestRecord.status == Status.REPORTED,
        RequestRecord.process["documents"].contains(insufficient),
        not_(exists().where(later.earlier_id == RequestRecord.id, later.status != Status.DRAFT)),
    )


def _notes(
    is_new: bool,
    holder_absent: bool,
    overdue: list[str],
    worsened: bool | None,
    urgent_unread: bool,
    awaits_photos: bool,
    report_unread: bool,
    covers: bool | None,
    reads_for_requester: bool,
    undo: Json | None,
) -> RowNotes:
    late = tuple(map(DeadlineName, overdue))
    called_for = (bool(worsened), urgent_unread, awaits_photos, report_unread)
    return RowNotes(is_new, holder_absent, late, *called_for, bool(covers), reads_for_requester, undo)


def _is_new_for(viewer: Viewer) -> ColumnElement[bool]:
    """Whether something happened after the version that the viewer opened last, other than by themselves.

    The document that Relais makes of what somebody signed is that person's doing. A draft has no events.
    """
    opened = (
        select(func.coalesce(func.max(AuditEntry.version), 0))
        .where(
            AuditEntry.account_id == viewer.account_id,
            AuditEntry.request_id == RequestRecord.id,
            AuditEntry.kind == Act.REQUEST,
        )
        .correlate(RequestRecord)
        .scalar_subquery()
    )
    own_document = exists().where(
        StoredDocument.report_id == cast(in_clear(EventRecord.command)["report_id"].astext, Uuid),
        StoredDocument.signer_id == viewer.account_id,
    )
    return exists().where(
        EventRecord.request_id == RequestRecord.id,
        EventRecord.version > opened,
        EventRecord.actor_id.is_distinct_from(viewer.account_id),
        not_(and_(EventRecord.name.in_(BRINGS_A_REPORT), own_document)),
    )


def _form_for(viewer: Viewer) -> ColumnElement[Json]:
    """The form with the patient, as submitted; for the requester as edited while it is returned. They differ from then on."""
    submitted = (
        select(with_key_if_it_opens(FrozenForm.content))
        .where(
            FrozenForm.request_id == RequestRecord.id,
            FrozenForm.number == RequestRecord.process["form"]["number"].as_integer(),
        )
        .scalar_subquery()
    )
    own = and_(RequestRecord.status == Status.RETURNED, RequestRecord.requester_id == viewer.account_id)
    as_edited = or_(own, RequestRecord.status.not_in((Status.RETURNED, Status.CANCELLED, Status.ABANDONED)))
    written = with_key_if_it_opens(RequestRecord.form)
    return case((as_edited, written), else_=func.coalesce(submitted, written))


def _parts(viewer: Viewer, wanted: WorklistFilter) -> list[Part]:
    """Where to look for what is wanted."""
    if wanted.to_do:
        parts = _parts_to_do(viewer)
    elif wanted.holder is not None:
        parts = [Part("holder", wanted.holder, ALL)]
    elif wanted.holder_is_me:
        parts = _parts_held(viewer)
    elif Role.OPERATOR in viewer.roles:
        parts = _parts_of_all(viewer, wanted)
    else:
        parts = parts_for(viewer)
    if wanted.to_do is False:
        parts = [left for part in parts for left in _nothing_to_do(part, viewer)]
    if wanted.holder_absent:  # a pool is nobody
        parts = [replace(part, statuses=part.statuses & _BY_NAME) for part in parts if part.way != "pool"]
    return [part for part in parts if part.statuses]


def _leads(viewer: Viewer, wanted: WorklistFilter) -> list[tuple[list[Lead], int]]:
    """What leads to what is wanted otherwise than the ways of the viewer, and to how many it may."""
    leads: list[tuple[list[Lead], int]] = []
    if Role.OPERATOR not in viewer.roles:  # whom their parts lead there
        ours = select(RequestParty.request_id).where(RequestParty.clinic_id == viewer.clinic_id)
        if wanted.clinic not in (None, _OWN_CLINIC):
            leads.append(([ours.where(RequestParty.party_id == wanted.clinic)], LED_TO))
        if wanted.holder_absent and viewer.roles & _SEES_WHAT_COLLEAGUES_HOLD:
            colleagues = select(_AWAY.c.id).where(_AWAY.c.clinic_id == viewer.clinic_id)
            theirs = func.array(colleagues.scalar_subquery(), type_=ARRAY(Uuid()))
            others = select(_AWAY.c.id).where(_AWAY.c.clinic_id != viewer.clinic_id)
            of_others = ours.where(RequestParty.party_id.in_(others))
            leads.append(([RequestRecord.holder_id == any_(theirs), of_others], HELD))
    if days := _submitted_within(wanted):
        leads.append(([and_(*days)], SUBMITTED))
    return leads


def _sieve_of_rows(viewer: Viewer, wanted: WorklistFilter) -> Sieve:
    """What to ask of rows that are found otherwise than along the parts."""
    sieve = _sieve_of(viewer, wanted).and_(*_with_whom(viewer, wanted), only_asked(listed_for(viewer)))
    return sieve.and_(has_to_do(viewer)) if wanted.to_do else sieve


def _sieve_of(viewer: Viewer, wanted: WorklistFilter) -> Sieve:
    """What to ask of what lies there, wherever that is."""
    since = _SINCE if wanted.updated_since == _GIVEN else wanted.updated_since
    sieve = Sieve(wanted.statuses or ALL, wanted.offering, wanted.overdue, wanted.priority, wanted.clinic, since)
    sieve = replace(sieve, not_among=(shut_to(viewer),)).and_(*_submitted_within(wanted))
    if wanted.holder_absent is not None:
        sieve = replace(sieve, holders=select(_AWAY.c.id), held=wanted.holder_absent)
    return _without_what_is_to_do(viewer, sieve) if wanted.to_do is False else sieve


def _without_what_is_to_do(viewer: Viewer, sieve: Sieve) -> Sieve:
    others = [_asked_of(viewer)] if Role.PROVIDER in viewer.roles else []
    others += [read_for_others_by(viewer)] if viewer.roles & READS_FOR_OTHERS else []
    few = tuple(select(RequestRecord.id).where(condition).correlate(None) for condition in others)
    by_holder = _to_do_by_holder(viewer)
    nothing = or_(*by_holder).is_not(true()) if by_holder else None  # NULL is nothing to do
    shared = frozenset(status for role, status in _SHARED.items() if role in viewer.roles)
    return replace(sieve, if_shared=nothing, shared_in=shared, not_among=(*sieve.not_among, *few))


def _beside_parts(viewer: Viewer, wanted: WorklistFilter) -> list[ColumnElement[bool]]:
    """What the parts do not say by themselves."""
    if wanted.to_do:
        return _with_whom(viewer, wanted)
    return [listed_for(viewer), *_with_whom(viewer, wanted)] if wanted.holder is not None else []


def _parts_of_all(viewer: Viewer, wanted: WorklistFilter) -> list[Part]:
    """Where operators find what they ask for: of a clinic, or of who is away, not among everything that there is."""
    *own, everything = parts_for(viewer)
    if wanted.holder_absent:
        return [*own, Part("holder", select(_AWAY.c.id), BEYOND_DRAFT)]
    if wanted.clinic is not None:
        return [*own, *(Part(way, wanted.clinic) for way in CLINIC_WAYS)]
    return [*own, everything]


def _with_whom(viewer: Viewer, wanted: WorklistFilter) -> list[ColumnElement[bool]]:
    """That those have it who are asked for."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.holder is not None:
        conditions.append(RequestRecord.holder_id == wanted.holder)
    if wanted.holder_is_me:
        conditions.append(_waits_for(viewer))
    return conditions


def _away_who_hold() -> CTE:
    """Those who are away and hold something, with their clinic: of all who have ever left, hardly anybody does."""
    away = away_today().subquery("away")
    (account_id,) = away.c
    held = aliased(RequestRecord)
    one = select(true()).where(held.holder_id == account_id).limit(plainly(1)).scalar_subquery()  # a look for each
    query = (
        select(Account.id, Account.clinic_id).join(away, account_id == Account.id).where(func.coalesce(one, false()))
    )
    return query.cte("away_who_hold")


_AWAY = _away_who_hold()
"""Looked up once in a statement, however often it is read."""


def _submitted_within(wanted: WorklistFilter) -> list[ColumnElement[bool]]:
    conditions = []
    if wanted.submitted_from is not None:
        conditions.append(RequestRecord.submitted_at >= _begin_of(wanted.submitted_from))
    if wanted.submitted_until is not None and wanted.submitted_until < date.max:
        conditions.append(RequestRecord.submitted_at < _begin_of(wanted.submitted_until + timedelta(days=1)))
    return conditions


def _begin_of(day: date) -> datetime:
    return datetime.combine(day, time.min, TIME_ZONE)


def has_to_do(viewer: Viewer) -> ColumnElement[bool]:
    """The requests about which the viewer has something to do: `use_cases.to_do` in SQL. A draft waits for nobody."""
    return or_(read_for_others_by(viewer), *_to_do_by_role(viewer))


def _to_do_by_role(viewer: Viewer) -> list[ColumnElement[bool]]:
    """But for what they read for others."""
    asked = [_asked_of(viewer)] if Role.PROVIDER in viewer.roles else []
    return [*_to_do_by_holder(viewer), *asked]


def _to_do_by_holder(viewer: Viewer) -> list[ColumnElement[bool]]:
    """What is theirs to do by who has it, or has asked for it."""
    to_do = []
    if Role.REQUESTER in viewer.roles:
        to_do.append(and_(RequestRecord.awaits_requester, RequestRecord.requester_id == viewer.account_id))
    if Role.PROVIDER in viewer.roles:
        by_name = and_(RequestRecord.holder_kind == HolderKind.PROVIDER, RequestRecord.holder_id == viewer.account_id)
        held = or_(by_name, RequestRecord.holder_kind == HolderKind.POOL)
        to_do.append(and_(RequestRecord.awaits_holder, _ours(viewer), held))
    if Role.DISPATCHER in viewer.roles:
        held = RequestRecord.holder_kind == HolderKind.DISPATCH
        to_do.append(and_(RequestRecord.awaits_holder, _ours(viewer), held))
    return to_do


def _parts_to_do(viewer: Viewer) -> list[Part]:
    """Where that is. Dispatchers hold nothing but what awaits dispatch, and always for the clinic that dispatches it."""
    parts = []
    if Role.REQUESTER in viewer.roles:
        parts.append(Part("requester", viewer.account_id, awaits=True))
    if Role.PROVIDER in viewer.roles:
        by_name = and_(RequestRecord.holder_kind == HolderKind.PROVIDER, _ours(viewer))
        parts.append(Part("holder", viewer.account_id, awaits=True, condition=by_name))
        parts.append(Part("pool", viewer.clinic_id, awaits=True))
        parts += [Part(way, value, condition=_asked_of(viewer)) for way, value in _asked_in(viewer)]
    if Role.DISPATCHER in viewer.roles:
        held = and_(RequestRecord.holder_kind == HolderKind.DISPATCH, RequestRecord.awaits_holder, _ours(viewer))
        parts.append(Part("dispatch_clinic", viewer.clinic_id, _AT_DISPATCH, condition=held))
    if viewer.roles & READS_FOR_OTHERS:
        parts.append(Part("unread_clinic", viewer.clinic_id, condition=read_for_others_by(viewer)))
    return parts


def _nothing_to_do(part: Part, viewer: Viewer) -> list[Part]:
    """The same without the stretches in which there is something to do about every request: the sieve asks of the others."""
    role = {"requester": Role.REQUESTER, "pool": Role.PROVIDER}.get(part.way)
    if role in viewer.roles:
        return [replace(part, awaits=False)]
    if part.way == "holder" and part.value is viewer.account_id:
        theirs = frozenset().union(*(_HELD_BY_NAME[kind] for kind, role in _HOLDS_AS.items() if role in viewer.roles))
        held, other = part.statuses & theirs, part.statuses - theirs
        return [replace(part, statuses=held, awaits=False), replace(part, statuses=other)]
    if part.way in ("dispatch_clinic", "other_dispatch") and Role.DISPATCHER in viewer.roles:
        return [replace(part, statuses=part.statuses - _AT_DISPATCH)]
    return [part]


def _asked_of(viewer: Viewer) -> ColumnElement[bool]:
    """What is asked about a report that the viewer, or a colleague who is away, has signed; not while an addendum is made."""
    asked = or_(RequestRecord.follow_up_signer_id == viewer.account_id, covered_by(viewer))
    return and_(asked, RequestRecord.process["signing"].astext.is_(None))


def _asked_in(viewer: Viewer) -> list[tuple[str, uuid.UUID]]:
    return [("asked_signer", viewer.account_id), ("asked_clinic", viewer.clinic_id)]


def _parts_held(viewer: Viewer) -> list[Part]:
    """Where that is of which `_waits_for` speaks, as far as it is listed for the viewer."""
    seen = [kind for kind, role in _HOLDS_AS.items() if role in viewer.roles]
    by_name = RequestRecord.holder_kind.in_(seen)
    parts = [Part("holder", viewer.account_id, ALL, condition=by_name)] if seen else []
    if other := frozenset().union(*(statuses for kind, statuses in _HELD_BY_NAME.items() if kind not in seen)):
        parts.append(Part("holder", viewer.account_id, other, condition=and_(not_(by_name), listed_for(viewer))))
    if Role.PROVIDER in viewer.roles:
        parts.append(Part("pool", viewer.clinic_id))
    if Role.DISPATCHER in viewer.roles:
        held = and_(RequestRecord.holder_kind == HolderKind.DISPATCH, _ours(viewer))
        parts.append(Part("dispatch_clinic", viewer.clinic_id, _AT_DISPATCH, condition=held))
    return parts


_SEES_WHAT_COLLEAGUES_HOLD = frozenset({Role.DISPATCHER, Role.CLINIC_ADMINISTRATOR})
_AT_DISPATCH = frozenset({Status.AWAITING_DISPATCH})
_HELD_BY_NAME = {
    HolderKind.PROVIDER: frozenset({Status.AWAITING_ACCEPTANCE, Status.ACCEPTED}),
    HolderKind.REQUESTER: frozenset({Status.DRAFT, Status.RETURNED, Status.REPORTED}),
}
"""In which statuses people hold a request by name."""
_BY_NAME = frozenset().union(*_HELD_BY_NAME.values())
_SHARED = {Role.PROVIDER: Status.AWAITING_ACCEPTANCE, Role.DISPATCHER: Status.AWAITING_DISPATCH}
"""In which status they hold one together, as a pool or as the dispatchers."""
_HOLDS_AS = {HolderKind.PROVIDER: Role.PROVIDER, HolderKind.REQUESTER: Role.REQUESTER}
"""In which role."""


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


_ORDERS: Mapping[Sort, Order] = {
    "due": Order("due"),
    "-due": Order("due", descending=True),
    "priority": Order("due", by_rank=True),
    "updated": Order("update", descending=True),
    "created": Order("creation", descending=True),
}

_KEYS: Mapping[Sort, TypeAdapter[tuple[Any, ...]]] = {
    "due": TypeAdapter(tuple[AwareDatetime, uuid.UUID], config=DISCREET),
    "-due": TypeAdapter(tuple[AwareDatetime, uuid.UUID], config=DISCREET),
    "priority": TypeAdapter(tuple[Annotated[int, Field(ge=0, le=9)], AwareDatetime, uuid.UUID], config=DISCREET),
    "updated": TypeAdapter(tuple[AwareDatetime, uuid.UUID], config=DISCREET),
    "created": TypeAdapter(tuple[AwareDatetime, uuid.UUID], config=DISCREET),
}


def _cursor_at(row: RequestRecord, sort: Sort) -> str:
    order = _ORDERS[sort]
    values = [*([row.priority_rank] if order.by_rank else []), getattr(row, SORT_KEYS[order.by])]
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
