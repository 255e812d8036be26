"""Going along the indexes of the worklist: the first requests of many short stretches, in order, and how many there are.

A list is made of parts, such as "what my clinic dispatches". Each part is gone along in stretches that are alike in all that
lists are filtered by (`Way.columns`), so that the first rows of each lie at one place of one index: how many others there are
does not matter. Counting ends at `COUNTED_UP_TO`.
"""

import itertools
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    Boolean,
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    Subquery,
    TableValuedAlias,
    Text,
    Uuid,
    and_,
    any_,
    cast,
    column,
    false,
    func,
    literal,
    literal_column,
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
from records.models import ACTED, SORT_KEYS, WAYS, Participant, RequestRecord
from records.requests import RANKS

COUNTED_UP_TO = 1000
"""More than this is not counted: a count says then that it is at least so many."""

ALL = frozenset(Status)
BEYOND_DRAFT = ALL - {Status.DRAFT}

_NOTHING = "nothing"
"""The column of a stretch that nothing tells from others."""

WAY = {way.name: way for way in (*WAYS, ACTED)}

CLINIC_KEYS = ("requester_clinic_id", "dispatch_clinic_id", "holder_clinic_id")
"""The columns of the clinic that asked for a request, and of those that dispatch and hold it."""


@dataclass(frozen=True)
class Part:
    """Requests that lie on a way: with `value`, or one of these, in its key, and one of the statuses, if `condition` holds.

    `awaits` is asked of ways that have one of the columns `awaits_holder` and `awaits_requester`.
    """

    way: str
    value: uuid.UUID | CompoundSelect[uuid.UUID] | None = None
    statuses: frozenset[Status] = BEYOND_DRAFT
    awaits: bool | None = None
    condition: ColumnElement[bool] = field(default_factory=true)


_EVERYTHING = Part("all")


@dataclass(frozen=True)
class Sieve:
    """What is asked of the requests beside their part. `condition` is about the row of the request; None filters nothing.

    `clinic` asked for them, dispatches or holds them.
    """

    statuses: frozenset[Status] = ALL
    offering: str | None = None
    overdue: bool | None = None
    priority: Priority | None = None
    clinic: uuid.UUID | None = None
    condition: ColumnElement[bool] | None = None

    def and_(self, *conditions: ColumnElement[bool]) -> "Sieve":
        """The same, and all of these must hold too."""
        all_ = (*([self.condition] if self.condition is not None else []), *conditions)
        return replace(self, condition=and_(*all_) if all_ else None)

    def beside(self, part: Part) -> ColumnElement[bool] | None:
        """What is asked of each row on the way of the part: not what the way says by itself."""
        leads_to_clinic = WAY[part.way].key in CLINIC_KEYS and part.value is self.clinic
        if self.clinic is None or leads_to_clinic:
            return self.condition
        return self.and_(or_(*(_column(RequestRecord, key) == self.clinic for key in CLINIC_KEYS))).condition

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
    """The ids of the first requests after the key `after`: of the rank if that is asked, of the column, of the id."""
    keys = (*(("rank",) if order.by_rank else ()), "key", "id")
    offerings = _offerings(sieve)
    found = [_first_of_part(part, sieve, offerings, order, after, limit) for part in parts]
    query = select(found[0].subquery("found")) if len(found) == 1 else select(union(*found).subquery("found"))
    columns = [query.selected_columns[key] for key in keys]
    return query.order_by(*(_turned(column_, order) for column_ in columns)).limit(plainly(limit)).subquery("page")


def in_order(page: Subquery, order: Order) -> list[ColumnElement[Any]]:
    """The columns by which what is joined to `page` stands in its order."""
    keys = (page.c.rank, page.c.key, page.c.id) if order.by_rank else (page.c.key, page.c.id)
    return [_turned(key, order) for key in keys]


def counts_of(parts: Sequence[Part], sieve: Sieve) -> Select[Any, int]:
    """How many there are of each status, each counted until there is one more than `COUNTED_UP_TO`."""
    statuses = _unnested("counted", {"status": (Text(), sorted(sieve.statuses))})
    offerings = _offerings(sieve)
    found = [_ids_of_part(part, sieve, offerings, statuses) for part in parts]
    ids = found[0] if len(found) == 1 else select(union(*found).subquery("found").c.id)
    some = ids.limit(plainly(COUNTED_UP_TO + 1)).correlate(statuses).subquery("some")
    counted = select(func.count().label("number")).select_from(some).correlate(statuses).lateral("numbers")
    return select(statuses.c.status, counted.c.number).select_from(statuses.join(counted, true()))


def first_among(
    candidates: Select[uuid.UUID], sieve: Sieve, order: Order, after: tuple[Any, ...] | None, limit: int
) -> CompoundSelect[Any]:
    """Of these candidates, for which all of this is asked, in one statement: a row with the `number` of candidates, one with that
    of each `status` that remain, and then those with an `id`, which are the first after the key `after`.
    """
    ids = select(func.array(candidates.scalar_subquery(), type_=ARRAY(Uuid())).label("ids")).cte("candidates")
    key = _column(RequestRecord, SORT_KEYS[order.by])
    rank = RequestRecord.priority_rank if order.by_rank else literal_column("0", Integer())
    remain = select(RequestRecord.status, rank.label("rank"), key.label("key"), RequestRecord.id)
    remain = remain.where(
        RequestRecord.id == any_(cast(select(ids.c.ids).scalar_subquery(), ARRAY(Uuid()))), *_sifted(sieve)
    )
    them = remain.cte("remain")  # read twice, so PostgreSQL makes it once
    first = select(them.c.status, cast(null(), Integer()).label("number"), them.c.id)
    first = first.where(them.c.status.in_(sieve.statuses))
    keys = (*((them.c.rank,) if order.by_rank else ()), them.c.key, them.c.id)
    if after is not None:
        here, last = tuple_(*keys), tuple_(*after)
        first = first.where(here < last if order.descending else here > last)
    first = first.order_by(*(_turned(key, order) for key in keys)).limit(plainly(limit))
    of_all = select(
        cast(null(), Text()).label("status"),
        func.cardinality(ids.c.ids).label("number"),
        cast(null(), Uuid()).label("id"),
    )
    counts = select(them.c.status, func.count(), cast(null(), Uuid())).group_by(them.c.status)
    return union_all(of_all, counts, select(first.subquery()))


def _sifted(sieve: Sieve) -> Iterable[ColumnElement[bool]]:
    if sieve.offering is not None:
        yield RequestRecord.offering == sieve.offering
    if sieve.overdue is not None:
        yield RequestRecord.overdue.is_(sieve.overdue)
    if sieve.priority is not None:
        yield RequestRecord.priority == sieve.priority
    if (condition := sieve.beside(_EVERYTHING)) is not None:
        yield only_asked(condition)


def _first_of_part(
    part: Part, sieve: Sieve, offerings: CTE, order: Order, after: tuple[Any, ...] | None, limit: int
) -> Select[Any]:
    stretches = _stretches(part, sieve)
    table, id_ = _table_of(part)
    key = _column(table, SORT_KEYS[order.by])
    query = select(key.label("key"), id_.label("id")).where(*_on_the_way(part, sieve))
    query = query.where(*_in_stretch(table, stretches))
    query = query.where(table.offering == offerings.c.offering)
    if after is not None:
        columns = (key, id_) if not order.by_rank else (table.priority_rank, key, id_)
        here, last = tuple_(*columns), tuple_(*after)
        query = query.where(here < last if order.descending else here > last)
    query = query.order_by(_turned(key, order), _turned(id_, order)).limit(plainly(limit))
    found = query.correlate(offerings, stretches).lateral("stretch")
    rank = stretches.c.priority_rank.label("rank")
    return select(rank, found.c.key, found.c.id).select_from(offerings.join(stretches, true()).join(found, true()))


def _ids_of_part(part: Part, sieve: Sieve, offerings: CTE, statuses: TableValuedAlias) -> Select[uuid.UUID]:
    """The ids, at most so many of each stretch as are counted."""
    stretches = _stretches(part, sieve, to_count=True)
    table, id_ = _table_of(part)
    query = select(id_.label("id")).where(*_on_the_way(part, sieve), table.offering == offerings.c.offering)
    query = query.where(*_in_stretch(table, stretches), stretches.c.status == statuses.c.status)
    query = query.limit(plainly(COUNTED_UP_TO + 1))
    found = query.correlate(offerings, stretches, statuses).lateral("stretch")
    return select(found.c.id).select_from(offerings.join(stretches, true()).join(found, true())).correlate(statuses)


def _table_of(part: Part) -> tuple[Any, InstrumentedAttribute[uuid.UUID]]:
    return (Participant, Participant.request_id) if part.way == ACTED.name else (RequestRecord, RequestRecord.id)


def _in_stretch(table: Any, stretches: TableValuedAlias) -> Iterable[ColumnElement[bool]]:
    return [_column(table, name) == of for name, of in stretches.c.items() if name != _NOTHING]


def _column(table: Any, name: str) -> InstrumentedAttribute[Any]:
    found: InstrumentedAttribute[Any] = getattr(table, name)
    return found


def _on_the_way(part: Part, sieve: Sieve) -> Iterable[ColumnElement[bool]]:
    way, (table, id_) = WAY[part.way], _table_of(part)
    if way.key is not None:
        key = _column(table, way.key)
        yield key.in_(part.value) if isinstance(part.value, CompoundSelect) else key == part.value
    if way.where is not None:
        yield literal_column(f"({way.where})", Boolean())  # word for word as the index has it
    yield only_asked(part.condition)
    beside = sieve.beside(part)
    if beside is not None and table is RequestRecord:
        yield only_asked(beside)
    elif beside is not None:
        row = select(beside).where(RequestRecord.id == id_)  # a look at one row; a join would go through all
        yield func.coalesce(row.scalar_subquery(), false())


def _stretches(part: Part, sieve: Sieve, *, to_count: bool = False) -> TableValuedAlias:
    """Every combination of what stands in the index between its key and the sort key; to count, as far as it is filtered by."""
    overdue, priority = sieve.overdue is not None, sieve.priority is not None
    values: dict[str, tuple[Any, Collection[Any]]] = {}
    for name in WAY[part.way].columns:
        if name.startswith("awaits_"):
            values[name] = (Boolean(), (False, True) if part.awaits is None else (part.awaits,))
        elif name == "status":
            values[name] = (Text(), sorted(part.statuses & sieve.statuses))
        elif name == "overdue" and (overdue or priority or not to_count):
            values[name] = (Boolean(), (sieve.overdue,) if overdue else (False, True))
        elif name == "priority_rank" and (priority or not to_count):
            values[name] = (Integer(), [RANKS[sieve.priority]] if sieve.priority else list(RANKS.values()))
    return _unnested("stretches", values)


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
