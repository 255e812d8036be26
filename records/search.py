"""Finding requests: by their number, their patient, the people who ask or hold them, and their clinics.

What is looked for leads to the newest requests that it fits, among those that the clinic of whoever searches has to do with, at
most so many (`MOST_FOUND`): how many others there are does not matter. Of these, every condition is asked then: what the viewer
may see, and by a patient only among what they may see the chart of.
"""

import itertools
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    Select,
    Subquery,
    and_,
    any_,
    column,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    union,
    union_all,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from domain.requests import Role, Status
from domain.search import SHORTEST_BEGINNING, Search, numbers_with
from records.models import EVERY_CLINIC, Account, Clinic, NumberCounter, PatientWord, RequestParty, RequestRecord
from records.patient_words import keys_of
from records.visibility import Viewer, charts_of
from records.ways import Order, Sieve, first_among, only_asked, plainly

MOST_FOUND = 1000
"""So many requests that fit are looked at, the newest; who wants others says more of them."""

LOOKED_THROUGH = 10_000
"""Of those that fit one of several words, so many are asked whether they fit the others."""

SIDE_BY_SIDE = 50
"""So many words, people or clinics of one name are each a part of the statement: planning it takes longer with each."""

_WRITTEN_ALONE = (Status.DRAFT, Status.RETURNED, Status.CANCELLED, Status.ABANDONED)
"""Where the form as its requester writes it may be another than the one in force."""


@dataclass(frozen=True)
class Finds:
    """What may be meant, by id, and what is asked of it.

    With `fits`, it need not be asked but of requests that have words which are not in force: the rest fits by what led there.
    """

    candidates: Select[uuid.UUID] | None
    condition: ColumnElement[bool]
    fits: bool = False

    @property
    def left_to_ask(self) -> ColumnElement[bool]:
        """What is asked of the rows."""
        return or_(RequestRecord.status.not_in(_WRITTEN_ALONE), self.condition) if self.fits else self.condition


@dataclass(frozen=True)
class Found:
    """The first requests of what was found, and how many there are of each status. With `more`, others that are older may fit."""

    first: Sequence[uuid.UUID] = ()
    counts: Mapping[Status, int] = field(default_factory=dict)
    more: bool = False


@dataclass(frozen=True)
class _Sought:
    """What must fit: one of the words of the patient, as hashes, or one of the people and clinics."""

    words: Sequence[int]
    parties: Sequence[uuid.UUID] = ()

    @property
    def size(self) -> int:
        """How many words, people and clinics these are."""
        return max(1, len(self.words) + len(self.parties))


async def find(session: AsyncSession, viewer: Viewer, search: Search) -> Finds:
    """The requests that somebody who types this means. Whether they may see them is asked elsewhere."""
    keys, sees_patients = keys_of(session), viewer.roles - {Role.OPERATOR}
    ways: list[list[_Sought]] = []
    if search.health_number is not None:
        ways.append([_Sought(keys.looked_for([search.health_number]))])
    if search.terms:
        named = await _named(session, [term.name for term in search.terms])
        words = [keys.looked_for(term.patient) if sees_patients else [] for term in search.terms]
        ways.append([_Sought(*both) for both in zip(words, named, strict=True)])
    numbers = await _numbers(session, search)
    conditions = [_fits_all(viewer, way) for way in ways]
    if search.number is not None:
        conditions.append(RequestRecord.number == search.number)
    if search.part_of_number is not None:
        conditions.append(RequestRecord.number.contains(search.part_of_number, autoescape=True))
    rarest_first = [await _rarest_first(session, viewer, way) for way in ways]
    return _finds(viewer, rarest_first, numbers, or_(false(), *conditions))


def find_patient(session: AsyncSession, viewer: Viewer, ways: Iterable[Sequence[str]]) -> Finds:
    """The requests whose patient has all the words of one of these `ways`, in each of which stands first what fewest have."""
    keys = keys_of(session)
    sought = [[_Sought(keys.looked_for([word])) for word in words] for words in ways if keys.keys]
    condition = or_(false(), *(_fits_all(viewer, way) for way in sought))
    return _finds(viewer, sought, (), condition)


def _finds(
    viewer: Viewer, ways: Iterable[Sequence[_Sought]], numbers: Sequence[str], condition: ColumnElement[bool]
) -> Finds:
    led_to = [_led_to(viewer, way) for way in ways]
    if numbers:
        of_numbers = RequestRecord.number == any_(literal(list(numbers), ARRAY(RequestRecord.number.type)))
        led_to.append(select(RequestRecord.id.label("request_id")).where(of_numbers))
    fits = Role.OPERATOR not in viewer.roles  # who finds by names alone what they see no chart of
    if len(led_to) < 2:
        return Finds(led_to[0] if led_to else None, condition, fits)
    found = union(*(select(query.subquery().c.request_id) for query in led_to)).subquery()
    return Finds(select(found.c.request_id), condition, fits)


async def sift(
    session: AsyncSession, finds: Finds, sieve: Sieve, order: Order, after: tuple[Any, ...] | None, limit: int
) -> Found:
    """What remains of what was found, the first after the key `after`."""
    if finds.candidates is None:
        return Found()
    query = first_among([finds.candidates], sieve.and_(finds.left_to_ask), order, after, limit)
    (_, looked_at, _), *rows = await session.execute(query)
    counts = {Status(status): number for status, number, _ in rows if number}
    return Found([id_ for _, _, id_ in rows if id_], counts, looked_at > MOST_FOUND)


async def _numbers(session: AsyncSession, search: Search) -> Sequence[str]:
    """The newest numbers that may be meant."""
    if search.number is not None:
        return [search.number]
    if (part := search.part_of_number) is None:
        return ()
    counters = await session.execute(select(NumberCounter.year, NumberCounter.last).order_by(NumberCounter.year.desc()))
    meant = (number for year, last in counters for number in numbers_with(part, year, last))
    return list(itertools.islice(meant, MOST_FOUND + 1))


# Along the indexes: what may fit


async def _rarest_first(session: AsyncSession, viewer: Viewer, way: Sequence[_Sought]) -> Sequence[_Sought]:
    """What few fit before what many fit, as far as `MOST_FOUND` tells."""
    if len(way) < 2:
        return way
    most = plainly(MOST_FOUND + 1)
    some = [select(_along(viewer, sought, MOST_FOUND + 1)).limit(most).subquery() for sought in way]
    counts = [select(func.count()).select_from(fitting).scalar_subquery() for fitting in some]
    numbers = (await session.execute(select(*counts))).one()
    order = sorted(range(len(way)), key=lambda at: (numbers[at], way[at].size))
    return [way[at] for at in order]


def _led_to(viewer: Viewer, way: Sequence[_Sought]) -> Select[Any]:
    """The newest that may fit all of these."""
    first, *others = way
    most = MOST_FOUND + 1
    along = _along(viewer, first, max(most, LOOKED_THROUGH // first.size) if others else most)
    query = select(along.c.request_id).where(*(_is_there(viewer, other, along.c.request_id) for other in others))
    once = query.ext(distinct_on(along.c.request_id))  # in the order in which they come: it ends when there are enough
    return once.order_by(along.c.request_id.desc()).limit(plainly(most))


def _along(viewer: Viewer, sought: _Sought, most: int) -> Subquery:
    """Those that may fit it: of each word, person and clinic the newest, at most so many. Some may come twice."""
    found = [query for table, key, values in _keys(sought) for query in _newest(viewer, table, key, values, most)]
    return union_all(*found).subquery() if len(found) > 1 else found[0].subquery()


def _newest(
    viewer: Viewer, table: Any, key: InstrumentedAttribute[Any], values: Sequence[Any], most: int
) -> list[Select[Any]]:
    """One for each value, so that they are gone along side by side until there are enough; of very many, one for all."""
    query = select(table.request_id).where(table.clinic_id == _place(viewer, table))
    query = query.order_by(table.request_id.desc()).limit(plainly(most))
    if 0 < len(values) <= SIDE_BY_SIDE:
        return [query.where(key == value) for value in values]
    each = func.unnest(_array(key, values)).table_valued(column("value", key.type), name="sought").render_derived()
    newest = query.where(key == each.c.value).correlate(each).lateral("newest")
    return [select(newest.c.request_id).select_from(each.join(newest, true()))]


def _is_there(viewer: Viewer, sought: _Sought, request_id: ColumnElement[uuid.UUID]) -> ColumnElement[bool]:
    """Whether this request may fit it: a look into the index for each."""
    looks = [
        select(true())
        .where(
            table.clinic_id == _place(viewer, table), key == any_(_array(key, values)), table.request_id == request_id
        )
        .limit(plainly(1))
        .scalar_subquery()
        for table, key, values in _keys(sought)
    ]
    return func.coalesce(*looks, false())


def _keys(sought: _Sought) -> Iterable[tuple[Any, InstrumentedAttribute[Any], Sequence[Any]]]:
    if sought.words or not sought.parties:
        yield PatientWord, PatientWord.hash, sought.words
    if sought.parties:
        yield RequestParty, RequestParty.party_id, sought.parties


def _array(key: InstrumentedAttribute[Any], values: Sequence[Any]) -> ColumnElement[Any]:
    return literal(sorted(values), ARRAY(key.type))


def _place(viewer: Viewer, table: type[PatientWord | RequestParty]) -> uuid.UUID:
    sees_all = table is RequestParty and Role.OPERATOR in viewer.roles
    return EVERY_CLINIC if sees_all else viewer.clinic_id


# On the row of a request: what fits


def _fits_all(viewer: Viewer, way: Iterable[_Sought]) -> ColumnElement[bool]:
    return and_(*(_fits(viewer, sought) for sought in way))


def _fits(viewer: Viewer, sought: _Sought) -> ColumnElement[bool]:
    parties = _array(RequestParty.party_id, sought.parties)
    columns = (
        RequestRecord.requester_id,
        RequestRecord.holder_id,
        RequestRecord.requester_clinic_id,
        RequestRecord.holder_clinic_id,
        RequestRecord.dispatch_clinic_id,
    )
    named = [part == any_(parties) for part in columns] if sought.parties else []
    return or_(*named, _has_patient(viewer, sought.words))


def _has_patient(viewer: Viewer, words: Sequence[int]) -> ColumnElement[bool]:
    """Whether its patient has one of these words: in the form in force; for its requester, also in what they write.

    Whether the viewer may see them is asked elsewhere; but who sees requests without their charts finds none by its patient.
    """
    if not words:
        return false()
    look = (
        select(true())
        .where(
            PatientWord.clinic_id == viewer.clinic_id,
            PatientWord.hash == any_(_array(PatientWord.hash, words)),
            PatientWord.request_id == RequestRecord.id,
            or_(PatientWord.submitted, RequestRecord.requester_id == viewer.account_id),
        )
        .limit(plainly(1))
        .correlate(RequestRecord)
        .scalar_subquery()
    )
    has_one: ColumnElement[bool] = func.coalesce(look, false())
    return and_(has_one, only_asked(charts_of(viewer))) if Role.OPERATOR in viewer.roles else has_one


# The names of people and clinics


async def _named(session: AsyncSession, names: Sequence[str | None]) -> list[list[uuid.UUID]]:
    """For each name the people and clinics that have it; None is nobody's."""
    found: list[list[uuid.UUID]] = [[] for _ in names]
    queries: list[Select[int, uuid.UUID]] = [
        select(literal_column(str(at), Integer()), of.id).where(_is_called(of, name))
        for at, name in enumerate(names)
        if name is not None
        for of in (Account, Clinic)
    ]
    for at, id_ in await session.execute(union_all(*queries)) if queries else ():
        found[at].append(id_)
    return found


def _is_called(of: type[Account | Clinic], name: str) -> ColumnElement[bool]:
    """Whether one of the names' words is `name`, or begins with it."""
    return of.plain_name.contains(f" {name}" if len(name) >= SHORTEST_BEGINNING else f" {name} ", autoescape=True)
