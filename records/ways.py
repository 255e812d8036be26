"""Going along the indexes of the worklist: the first requests of many short stretches, in order, and how many there are.

A list is made of parts, such as "what my clinic dispatches". Each part is gone along in stretches that are alike in all that
lists are filtered by (`Way.columns`), so that the first rows of each lie at one place of one index: how many others there are
does not matter. Counting ends at `COUNTED_UP_TO`.
"""

import functools
import itertools
import operator
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    Boolean,
    ColumnElement,
    CompoundSelect,
    DateTime,
    FromClause,
    Integer,
    Select,
    Subquery,
    TableValuedAlias,
    Text,
    Uuid,
    and_,
    any_,
    case,
    cast,
    column,
    false,
    func,
    literal,
    literal_column,
    not_,
    null,
    or_,
    select,
    true,
    tuple_,
    union,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute

from domain.priority import Priority
from domain.requests import Status
from records.models import ACTED, SORT_KEYS, WAYS, Participant, RequestRecord, Way
from records.requests import RANKS

COUNTED_UP_TO = 1000
"""More than this is not counted: a count says then that it is at least so many."""

ALL = frozenset(Status)
BEYOND_DRAFT = ALL - {Status.DRAFT}

_NOTHING = "nothing"
"""The column of a stretch that nothing tells from others."""

WAY = {way.name: way for way in (*WAYS, ACTED)}

CLINIC_WAYS = ("requester_clinic", "other_dispatch", "other_holder")
"""The ways on which lies what a clinic asked for, dispatches or holds, each request once."""

CLINIC_KEYS = ("requester_clinic_id", "dispatch_clinic_id", "holder_clinic_id")
"""The columns of the clinic that asked for a request, and of those that dispatch and hold it."""


@dataclass(frozen=True)
class Part:
    """Requests that lie on a way: with `value`, or one of these, in its key, and one of the statuses, if `condition` holds.

    `awaits` is asked of ways that have one of the columns `awaits_holder` and `awaits_requester`. All of them were asked for, are
    dispatched or held by `clinic`, where that is known; `home` is the clinic of who acted on them, and the way tells which of
    them that one asked for, dispatches or holds.
    """

    way: str
    value: uuid.UUID | Select[uuid.UUID] | None = None
    statuses: frozenset[Status] = BEYOND_DRAFT
    awaits: bool | None = None
    condition: ColumnElement[bool] = field(default_factory=true)
    clinic: uuid.UUID | None = None
    home: uuid.UUID | None = None


_EVERYTHING = Part("all")


@dataclass(frozen=True)
class Sieve:
    """What is asked of the requests beside their part. `condition` is about the row of the request; None filters nothing.

    `if_shared` is a condition, too, which of what somebody only acted on can fail in the statuses `shared_in`. Those `not_among`
    are few, and looked up once. `clinic` asked for them, dispatches or holds them; they were changed at `updated_since` or later,
    and at `updated_until` or before. `held` says whether one of the people `holders` holds them.
    """

    statuses: frozenset[Status] = ALL
    offering: str | None = None
    overdue: bool | None = None
    priority: Priority | None = None
    clinic: uuid.UUID | None = None
    updated_since: datetime | ColumnElement[datetime] | None = None
    updated_until: datetime | None = None
    holders: Select[uuid.UUID] | None = None
    held: bool = True
    condition: ColumnElement[bool] | None = None
    if_shared: ColumnElement[bool] | None = None
    shared_in: frozenset[Status] = ALL
    not_among: tuple[Select[uuid.UUID], ...] = ()

    def and_(self, *conditions: ColumnElement[bool]) -> "Sieve":
        """The same, and all of these must hold too."""
        all_ = (*([self.condition] if self.condition is not None else []), *conditions)
        return replace(self, condition=and_(*all_) if all_ else None)

    def beside(self, part: Part) -> ColumnElement[bool] | None:
        """What is asked of each row on the way of the part: not what the way says by itself."""
        leads_there = part.value if WAY[part.way].key in CLINIC_KEYS else part.clinic
        if self.clinic is None or self.clinic is leads_there or self.clinic is part.home:
            return self.condition
        return self.and_(or_(*(_column(RequestRecord, key) == self.clinic for key in CLINIC_KEYS))).condition

    def of_holders(self, table: Any) -> Iterable[ColumnElement[bool]]:
        """What is asked of who holds them, of rows of that table."""
        if self.holders is not None:
            these = func.array(self.holders.scalar_subquery(), type_=ARRAY(Uuid()))  # few, and looked up once
            is_held = func.coalesce(_column(table, "holder_id") == any_(these), false())
            yield is_held if self.held else not_(is_held)

    @property
    def of_all_statuses(self) -> "Sieve":
        """The same without its statuses."""
        return replace(self, statuses=ALL)


@dataclass(frozen=True)
class Order:
    """By which column, in which direction, and whether by the rank of the priority first."""

    by: str
    descending: bool = False
    by_rank: bool = False


def first_of(parts: Sequence[Part], sieve: Sieve, order: Order, after: tuple[Any, ...] | None, limit: int) -> Subquery:
    """The ids of the first requests after the key `after`: of the rank if that is asked, of the column, of the id.

    First the head of each stretch is read: the page ends at the last of the first heads, if not before. Then each stretch is
    gone along from its head to there, so that what is read is hardly more than what is shown, however many stretches there are.
    """
    offerings = _offerings(sieve)
    parts = [part for part in parts if part.statuses & sieve.statuses] or parts[:1]
    walks = [_Walk(part, sieve, offerings, order, after) for part in parts]
    heads = [walk.heads().cte(f"heads_{at}") for at, walk in enumerate(walks)]
    end = _end_of(heads, order, limit).cte("page_end")
    found = [walk.on_from(of_part, end, limit) for walk, of_part in zip(walks, heads, strict=True)]
    query = select((found[0] if len(found) == 1 else _all_of(parts, found)).subquery("found"))
    return query.order_by(*_places(query.selected_columns, order)).limit(plainly(limit)).subquery("page")


def in_order(page: Subquery, order: Order) -> list[ColumnElement[Any]]:
    """The columns by which what is joined to `page` stands in its order."""
    keys = (page.c.rank, page.c.key, page.c.id) if order.by_rank else (page.c.key, page.c.id)
    return [_turned(key, order) for key in keys]


def counts_of(parts: Sequence[Part], sieve: Sieve) -> Select[Any, int]:
    """How many there are of each status, each counted until there is one more than `COUNTED_UP_TO`."""
    statuses = _unnested("counted", {"status": (Text(), sorted(sieve.statuses))})
    offerings = _offerings(sieve)
    found = [_ids_of_part(part, sieve, offerings, statuses) for part in parts]
    ids = found[0] if len(found) == 1 else select(_all_of(parts, found).subquery("found").c.id)
    some = ids.limit(plainly(COUNTED_UP_TO + 1)).correlate(statuses).subquery("some")
    counted = select(func.count().label("number")).select_from(some).correlate(statuses).lateral("numbers")
    return select(statuses.c.status, counted.c.number).select_from(statuses.join(counted, true()))


Lead = Select[uuid.UUID] | ColumnElement[bool]
"""Ids, or what an index leads to by this condition alone."""


def first_among(
    leads: Sequence[Lead],
    sieve: Sieve,
    order: Order,
    after: tuple[Any, ...] | None,
    limit: int,
    at_most: int | None = None,
) -> CompoundSelect[Any]:
    """Of the candidates to which these lead, for which all of this is asked, in one statement: a row with the `number` of
    candidates, one with that of each `status` that remain, and then those with an `id`, the first after the key `after`.

    Where one of them leads to more than `at_most`, none is looked at, and only their number is told, which is more than that.
    """
    led_to = [_candidates(lead, f"candidates_{at}", at_most) for at, lead in enumerate(leads)]
    number = functools.reduce(operator.add, (number for number, _ in led_to))
    key = _column(RequestRecord, SORT_KEYS[order.by])
    rank = RequestRecord.priority_rank if order.by_rank else literal_column("0", Integer())
    remain = []
    for at, (_, is_candidate) in enumerate(led_to):
        others = (func.coalesce(earlier, false()).is_(false()) for _, earlier in led_to[:at])  # each comes once
        some = select(RequestRecord.status, rank.label("rank"), key.label("key"), RequestRecord.id)
        some = some.where(is_candidate, *others, *_sifted(sieve))
        if at_most is not None:
            some = some.where(number <= plainly(at_most))  # asked once, before any is read
        remain.append(some)
    all_ = remain[0] if len(remain) == 1 else union_all(*remain)
    them = all_.cte("remain")  # read twice, so PostgreSQL makes it once
    first = select(them.c.status, cast(null(), Integer()).label("number"), them.c.id)
    first = first.where(them.c.status.in_(sieve.statuses))
    if after is not None:
        here, last = tuple_(*_keys(them.c, order)), tuple_(*after)
        first = first.where(here < last if order.descending else here > last)
    first = first.order_by(*_places(them.c, order)).limit(plainly(limit))
    of_all = select(cast(null(), Text()).label("status"), number.label("number"), cast(null(), Uuid()).label("id"))
    counts = select(them.c.status, func.count(), cast(null(), Uuid())).group_by(them.c.status)
    return union_all(of_all, counts, select(first.subquery()))


def _candidates(lead: Lead, name: str, at_most: int | None) -> tuple[ColumnElement[int], ColumnElement[bool]]:
    """How many there are, counted until there is one more than `at_most`, and the condition that leads to them."""
    if isinstance(lead, Select):
        given = lead if at_most is None else lead.limit(plainly(at_most + 1))
        ids = select(func.array(given.scalar_subquery(), type_=ARRAY(Uuid())).label("ids")).cte(name)
        is_candidate = RequestRecord.id == any_(cast(select(ids.c.ids).scalar_subquery(), ARRAY(Uuid())))
        return func.cardinality(select(ids.c.ids).scalar_subquery()), is_candidate
    there = select(RequestRecord.submitted_at).where(lead)
    there = there if at_most is None else there.limit(plainly(at_most + 1))
    counted = select(func.count().label("number")).select_from(there.subquery()).cte(name)
    return select(counted.c.number).scalar_subquery(), lead


def _sifted(sieve: Sieve) -> Iterable[ColumnElement[bool]]:
    if sieve.offering is not None:
        yield RequestRecord.offering == sieve.offering
    if sieve.overdue is not None:
        yield RequestRecord.overdue.is_(sieve.overdue)
    if sieve.priority is not None:
        yield RequestRecord.priority_rank == RANKS[sieve.priority]
    if sieve.updated_since is not None:
        yield RequestRecord.updated_at >= sieve.updated_since
    if sieve.updated_until is not None:
        yield RequestRecord.updated_at <= sieve.updated_until
    yield from sieve.of_holders(RequestRecord)
    yield from (RequestRecord.id.not_in(some) for some in sieve.not_among)
    for condition in (sieve.beside(_EVERYTHING), sieve.if_shared):
        if condition is not None:
            yield only_asked(condition)


@dataclass(frozen=True)
class _Walk:
    """Along the stretches of a part, in order, after the key `after`."""

    part: Part
    sieve: Sieve
    offerings: CTE
    order: Order
    after: tuple[Any, ...] | None

    def heads(self) -> Select[Any]:
        """The first of each stretch that is not empty, with what is alike in it."""
        stretches = _stretches(self.part, self.sieve)
        head = self._steps(self.offerings, stretches, 1).correlate(self.offerings, stretches).lateral("head")
        alike = [column_.label(name) for name, column_ in stretches.c.items()]
        query = select(self.offerings.c.offering, *alike, head.c.key, head.c.id)
        return query.select_from(self.offerings.join(stretches, true()).join(head, true()))

    def on_from(self, heads: CTE, end: CTE, limit: int) -> Select[Any]:
        """What follows the heads up to the end of the page, at most so many of each."""
        _, id_ = _table_of(self.part)
        here = tuple_(self._key, id_)
        steps = self._steps(heads, heads, limit).where(
            here <= tuple_(heads.c.key, heads.c.id)
            if self.order.descending
            else here >= tuple_(heads.c.key, heads.c.id)
        )
        last: tuple[ColumnElement[Any], ...] = end.c.key, end.c.id
        if self.order.by_rank:  # of a rank before that of the end, all may be on the page
            before, beyond = heads.c.priority_rank < end.c.rank, _beyond_all(self.order)
            last = case((before, beyond[1]), else_=end.c.key), case((before, beyond[2]), else_=end.c.id)
        steps = steps.where(here >= tuple_(*last) if self.order.descending else here <= tuple_(*last))
        found = steps.correlate(heads, end).lateral("stretch")
        places, ends = (tuple_(*_keys(of, self.order)) for of in (_ranked(heads.c), end.c))
        rank = heads.c.priority_rank.label("rank")
        query = select(rank, found.c.key, found.c.id).select_from(heads.join(end, true()).join(found, true()))
        return query.where(places >= ends if self.order.descending else places <= ends)

    @property
    def _key(self) -> InstrumentedAttribute[Any]:
        return _column(_table_of(self.part)[0], SORT_KEYS[self.order.by])

    def _steps(self, offerings: FromClause, stretches: FromClause, limit: int) -> Select[Any]:
        table, id_ = _table_of(self.part)
        query = select(self._key.label("key"), id_.label("id")).where(*_on_the_way(self.part, self.sieve))
        query = query.where(*_in_stretch(table, WAY[self.part.way], stretches), table.offering == offerings.c.offering)
        if self.after is not None:
            columns = (table.priority_rank, self._key, id_) if self.order.by_rank else (self._key, id_)
            here, last = tuple_(*columns), tuple_(*self.after)
            query = query.where(here < last if self.order.descending else here > last)
        return query.order_by(_turned(self._key, self.order), _turned(id_, self.order)).limit(plainly(limit))


def _end_of(heads: Sequence[CTE], order: Order, limit: int) -> Select[Any]:
    """The last that can be on the page: of so many heads the last; beyond everything, where there are fewer."""
    beyond = select(*(value.label(name) for name, value in zip(_KEYS, _beyond_all(order), strict=True)))
    them = union(*(select(*_ranked(of.c).values()) for of in heads), beyond).subquery("ends")
    first = select(them).order_by(*_places(them.c, order)).limit(plainly(limit)).subquery("first_ends")
    backwards = [key.asc() if order.descending else key.desc() for key in _keys(first.c, order)]
    return select(first).order_by(*backwards).limit(plainly(1))


_KEYS = ("rank", "key", "id")


def _ranked(of: Any) -> dict[str, ColumnElement[Any]]:
    return {"rank": of.priority_rank.label("rank"), "key": of.key, "id": of.id}


def _keys(of: Mapping[str, ColumnElement[Any]] | Any, order: Order) -> list[ColumnElement[Any]]:
    return [of[name] for name in (_KEYS if order.by_rank else _KEYS[1:])]


def _places(of: Any, order: Order) -> list[ColumnElement[Any]]:
    return [_turned(key, order) for key in _keys(of, order)]


def _beyond_all(order: Order) -> tuple[ColumnElement[Any], ColumnElement[Any], ColumnElement[Any]]:
    """After every rank, time and id there is, in that order."""
    time, id_ = ("-infinity", "0") if order.descending else ("infinity", "f")
    return (
        plainly(2**31 - 1),
        literal_column(f"TIMESTAMPTZ '{time}'", DateTime(timezone=True)),
        literal_column(f"UUID '{id_ * 32}'", Uuid()),
    )


def _all_of(parts: Sequence[Part], found: Sequence[Select[Any]]) -> CompoundSelect[Any]:
    """Each once. Where no request is in two parts, they need not be compared, and counting ends as soon as there are enough."""
    apart = all(_are_apart(one, other) for one, other in itertools.combinations(parts, 2))
    return union_all(*found) if apart else union(*found)


def _are_apart(one: Part, other: Part) -> bool:
    of_clinic = one.way != other.way and {one.way, other.way} <= set(CLINIC_WAYS)
    return of_clinic or one.statuses.isdisjoint(other.statuses)


def _ids_of_part(part: Part, sieve: Sieve, offerings: CTE, statuses: TableValuedAlias) -> Select[uuid.UUID]:
    """The ids, at most so many of each status as are counted."""
    stretches = _stretches(part, sieve, to_count=True)
    table, id_ = _table_of(part)
    query = select(id_.label("id")).where(*_on_the_way(part, sieve), table.offering == offerings.c.offering)
    query = query.where(*_in_stretch(table, WAY[part.way], stretches), stretches.c.status == statuses.c.status)
    enough = plainly(COUNTED_UP_TO + 1)
    found = query.limit(enough).correlate(offerings, stretches, statuses).lateral("stretch")
    of_all = select(found.c.id).select_from(offerings.join(stretches, true()).join(found, true()))
    return select(of_all.limit(enough).correlate(statuses).subquery().c.id).correlate(statuses)


def _table_of(part: Part) -> tuple[Any, InstrumentedAttribute[uuid.UUID]]:
    return (Participant, Participant.request_id) if part.way == ACTED.name else (RequestRecord, RequestRecord.id)


def _in_stretch(table: Any, way: Way, stretches: FromClause) -> Iterable[ColumnElement[bool]]:
    alike = [name for name in (way.key, *way.columns) if name and name in stretches.c and name != "offering"]
    return [_column(table, name) == stretches.c[name] for name in alike]


def _column(table: Any, name: str) -> InstrumentedAttribute[Any]:
    found: InstrumentedAttribute[Any] = getattr(table, name)
    return found


def _on_the_way(part: Part, sieve: Sieve) -> Iterable[ColumnElement[bool]]:
    way, (table, id_) = WAY[part.way], _table_of(part)
    if way.key is not None and not isinstance(part.value, Select):
        yield _column(table, way.key) == part.value
    if way.where is not None:
        yield literal_column(f"({way.where})", Boolean())  # word for word as the index has it
    if sieve.updated_since is not None:
        yield table.updated_at >= sieve.updated_since  # an index may lead there
    if sieve.updated_until is not None:
        yield table.updated_at <= sieve.updated_until
    yield from sieve.of_holders(table)
    if sieve.clinic is not None and part.home is sieve.clinic:
        yield Participant.ours.is_(true())
    yield only_asked(part.condition)
    yield from (id_.not_in(some) for some in sieve.not_among)
    beside, if_shared = sieve.beside(part), sieve.if_shared
    if table is RequestRecord:
        yield from (only_asked(condition) for condition in (beside, if_shared) if condition is not None)
        return
    if beside is not None:
        yield _on_the_row(id_, beside)
    if if_shared is not None:
        yield or_(table.status.not_in(sieve.shared_in), _on_the_row(id_, if_shared))


def _on_the_row(id_: InstrumentedAttribute[uuid.UUID], condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Asked of the request with that id: a look at one row; a join would go through all."""
    return func.coalesce(select(condition).where(RequestRecord.id == id_).scalar_subquery(), false())


def _stretches(part: Part, sieve: Sieve, *, to_count: bool = False) -> FromClause:
    """Every combination of what stands in the index between its key and the sort key; to count, as far as it is filtered by.

    Where the part has several values in its key, each of these with each.
    """
    overdue, priority = sieve.overdue is not None, sieve.priority is not None
    by_update = sieve.updated_since is not None  # the sort key of the index that leads there stands behind all of these
    values: dict[str, tuple[Any, Collection[Any]]] = {}
    for name in WAY[part.way].columns:
        if name.startswith("awaits_"):
            values[name] = (Boolean(), (False, True) if part.awaits is None else (part.awaits,))
        elif name == "status":
            values[name] = (Text(), sorted(part.statuses & sieve.statuses))
        elif name == "overdue" and (overdue or priority or by_update or not to_count):
            values[name] = (Boolean(), (sieve.overdue,) if overdue else (False, True))
        elif name == "priority_rank" and (priority or by_update or not to_count):
            values[name] = (Integer(), [RANKS[sieve.priority]] if sieve.priority else list(RANKS.values()))
    alike = _unnested("stretches", values)
    if not isinstance(part.value, Select):
        return alike
    (value,) = part.value.subquery("keys").c
    return (
        select(value.label(WAY[part.way].key), *alike.c)
        .select_from(alike.join(value.table, true()))
        .subquery("stretches")
    )


def _unnested(name: str, values: dict[str, tuple[Any, Collection[Any]]]) -> TableValuedAlias:
    values = values or {_NOTHING: (Boolean(), (True,))}
    combined = list(itertools.product(*(some for _, some in values.values())))
    arrays = [literal([row[at] for row in combined], ARRAY(kind)) for at, (kind, _) in enumerate(values.values())]
    columns = [column(name_, kind) for name_, (kind, _) in values.items()]
    return func.unnest(*arrays).table_valued(*columns, name=name).render_derived()


def _offerings(sieve: Sieve) -> CTE:
    """Those of which there are requests, or the one that is asked for: each is found by one look into an index."""
    if sieve.offering is not None:
        return select(literal(sieve.offering).label("offering")).cte("offerings")
    found = select(RequestRecord.offering).order_by(RequestRecord.offering).limit(plainly(1))
    first = select(found.subquery().c.offering).cte("offerings", recursive=True)
    following = found.where(RequestRecord.offering > first.c.offering).correlate(first).scalar_subquery()
    return first.union_all(select(following).where(first.c.offering.is_not(None)))


def only_asked(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """The same, written so that PostgreSQL asks it of rows that it has, and leaves the way for no index that might serve it."""
    return condition.is_(true())


def plainly(number: int) -> ColumnElement[int]:
    """Written into the statement, so that its plan knows it."""
    return literal_column(str(number), Integer())


def _turned(key: ColumnElement[Any] | InstrumentedAttribute[Any], order: Order) -> ColumnElement[Any]:
    return key.desc() if order.descending else key.asc()
