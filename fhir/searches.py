"""Searches of what belongs to requests: how their parameters are read, and how a page of what is found is made.

What is found stands in the order in which it changed, and a page ends at a key: what comes or goes meanwhile neither repeats nor
hides others. What changes moves to the end.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from urllib.parse import urlencode
from uuid import UUID

from domain.calendar import TIME_ZONE
from domain.partial_dates import read_day
from domain.requests import Status
from fhir.addresses import Server, request_in
from fhir.elements import Resource
from fhir.outcomes import NOT_READ, NotTaken
from fhir.resources import Bundle, Entry, Link, Search
from records.cases import Key, Window
from records.ways import BEYOND_DRAFT
from use_cases.caller import Caller
from use_cases.cases import Behind, Case, find_cases, request_numbered, request_of_document
from use_cases.problems import Problem
from use_cases.references import requests_referred_to
from use_cases.services import Services

MOST = 100
"""Resources of a page."""

USUAL = 50
"""The same where nobody says how many."""

ALWAYS = ("_id", "_lastUpdated", "_count", "_sort", "_format", "_cursor")
"""What every search of this kind takes."""

CURSOR = "_cursor"
"""Where a page goes on; it stands in the addresses that are given as `next`, and nobody makes one up."""

Parameters = Mapping[str, list[str]]
"""What was asked, by the name of each parameter."""

_LOWEST, _HIGHEST = UUID(int=0), UUID(int=2**128 - 1)

Make = Callable[[Case, Server], Iterator[Resource]]


@dataclass(frozen=True)
class Asked:
    """Who asks, of whom, in which language."""

    services: Services
    caller: Caller
    server: Server


@dataclass(frozen=True)
class OfRequests:
    """A type of resources of which each request has some: how they are made, and by what they are found.

    `references` are the parameters that name a request, by an id of these types; `numbers` those that name one by its number.
    `statuses`: the statuses of requests that can have a resource of that status; of others, every one.
    """

    make: Make
    behind: Behind
    references: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    numbers: tuple[str, ...] = ()
    has_status: bool = False
    statuses: Mapping[str, frozenset[Status]] = field(default_factory=dict)
    by_document: bool = False
    """Whether they have the ids of signed documents, and so are what a reference to one of these (`_DOCUMENTS`) leads to."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of what it is searched by, but for what every search takes."""
        return (*self.references, *self.numbers, *(("status",) if self.has_status else ()))


@dataclass(frozen=True)
class _Cursor:
    """A page goes on with the request that changed at `at`, of which so many resources were `given`; or, without, after it."""

    at: datetime
    id: UUID
    given: int | None = None

    def text(self) -> str:
        told = [self.at.isoformat(), str(self.id), self.given]
        return base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "_Cursor":
        try:
            at, id_, given = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            moment = datetime.fromisoformat(at)
            if moment.tzinfo is None or not (given is None or (type(given) is int and given >= 0)):
                raise ValueError(text)
            return cls(moment.astimezone(UTC), UUID(id_), given)
        except (binascii.Error, ValueError, OverflowError, TypeError, AttributeError, RecursionError):
            raise NotTaken(NOT_READ, about=CURSOR) from None


@dataclass(frozen=True)
class _Wanted:
    window: Window
    ids: frozenset[str] | None
    statuses: frozenset[str] | None
    count: int
    cursor: _Cursor | None

    def takes(self, resource: Resource) -> bool:
        """Whether a resource of a request in the window is meant."""
        is_named = self.ids is None or resource.id in self.ids
        return is_named and (self.statuses is None or getattr(resource, "status", None) in self.statuses)

    def given_of(self, case: Case) -> int:
        """How many of its resources stood on the page before."""
        cursor = self.cursor
        is_here = cursor is not None and (cursor.at, cursor.id) == (case.row.updated_at, case.id)
        return (cursor.given or 0) if cursor is not None and is_here else 0


async def search(asked: Asked, kind: OfRequests, parameters: Parameters) -> tuple[list[Resource], str | None]:
    """A page of what is found, and where the next one begins. Raises NotTaken."""
    wanted = await _read(asked, kind, parameters)
    count = wanted.count
    there = await find_cases(asked.services, asked.caller, wanted.window, count, kind.behind)
    found: list[Resource] = []
    for case in there.cases:
        given = wanted.given_of(case)
        made = [one for one in kind.make(case, asked.server) if wanted.takes(one)][given:]
        room = count - len(found)
        found += made[:room]
        if len(made) > room:
            return found, _Cursor(case.row.updated_at, case.id, given + room).text()
    return found, _Cursor(*there.last).text() if there.last else None


def page(kind: str, found: Iterable[Resource], links: Mapping[str, str], server: Server, now: datetime) -> Bundle:
    """What was found, as a Bundle."""
    entries = tuple(
        Entry(full_url=server.address(kind, one.id or ""), resource=one, search=Search(mode="match")) for one in found
    )
    return Bundle(
        timestamp=now,
        link=tuple(Link(relation=relation, url=url) for relation, url in links.items()),
        entry=entries or None,
    )


def address_of(kind: str, parameters: Parameters, cursor: str | None, server: Server) -> str:
    """The address of this search, or of the page of it that begins at the cursor."""
    pairs = [(name, value) for name, values in parameters.items() for value in values if name != CURSOR]
    query = urlencode([*pairs, *([(CURSOR, cursor)] if cursor else [])])
    return f"{server.base}/{kind}" + (f"?{query}" if query else "")


async def _read(asked: Asked, kind: OfRequests, parameters: Parameters) -> _Wanted:
    cursor = _Cursor.read(_one(parameters, CURSOR) or "") if CURSOR in parameters else None
    statuses = frozenset(map(_code, _listed(parameters["status"]))) if "status" in parameters else None
    ids = _named(kind, parameters, asked.server)
    requests = await _requests(asked, kind, parameters, ids)
    within = BEYOND_DRAFT
    if statuses is not None:
        within = frozenset().union(*(kind.statuses.get(status, BEYOND_DRAFT) for status in statuses))
    window = Window(statuses=within, ids=requests, descending=_is_descending(parameters))
    for value in parameters.get("_lastUpdated", ()):
        window = narrowed(window, value)
    return _Wanted(_from(window, cursor), ids, statuses, count_of(parameters), cursor)


async def _requests(
    asked: Asked, kind: OfRequests, parameters: Parameters, ids: frozenset[str] | None
) -> frozenset[UUID] | None:
    """The requests that the parameters name, all of them at once; None where they name none."""
    named: list[frozenset[UUID]] = []
    if ids is not None:
        named.append(await _of_ids(asked, kind, ids))
    for name, types in kind.references.items():
        for value in parameters.get(name, ()):
            named.append(await referred(asked, types, value))
    for name in kind.numbers:
        for value in parameters.get(name, ()):
            named.append(frozenset().union(*[await _identified(asked, one) for one in _listed([value])]))
    return frozenset.intersection(*named) if named else None


async def _of_ids(asked: Asked, kind: OfRequests, ids: Iterable[str]) -> frozenset[UUID]:
    found = [await request_of(asked, kind.by_document, id_) for id_ in ids]
    return frozenset(one for one in found if one is not None)


async def request_of(asked: Asked, by_document: bool, id_: str) -> UUID | None:
    """The request whose resource has that id, if it can be one: whether it may be seen is asked when it is read."""
    try:
        if not by_document:
            return request_in(id_)
        return await request_of_document(asked.services, UUID(id_))
    except (ValueError, Problem):
        return None


_DOCUMENTS = ("DocumentReference", "DiagnosticReport", "Binary")


async def referred(asked: Asked, types: tuple[str, ...], value: str) -> frozenset[UUID]:
    """The requests to which references to resources of these types lead."""
    found = set()
    for one in _listed([value]):
        kind, id_ = _split(one, asked.server)
        if kind and kind not in types:
            continue
        found.add(await request_of(asked, (kind or types[0]) in _DOCUMENTS, id_))
    return frozenset(one for one in found if one is not None)


def _named(kind: OfRequests, parameters: Parameters, server: Server) -> frozenset[str] | None:
    """The ids of which one must be: those that are asked for, and those of the documents that are referred to."""
    said = [frozenset(_listed([value])) for value in parameters.get("_id", ())]
    for name, types in kind.references.items():
        if set(types) <= set(_DOCUMENTS):
            said += [frozenset(_split(one, server)[1] for one in _listed([v])) for v in parameters.get(name, ())]
    return frozenset.intersection(*said) if said else None


def _split(reference: str, server: Server) -> tuple[str, str]:
    """The type and the id in a reference to a resource of ours; the type is empty where it is left out."""
    kind, _, id_ = reference.removeprefix(server.base + "/").rpartition("/")
    return kind, id_


async def _identified(asked: Asked, token: str) -> frozenset[UUID]:
    """The request of that number, if no other system is named; or what a system of the caller's clinic calls so."""
    system, _, value = token.rpartition("|")
    if system in ("", asked.server.identifiers("request-number")):
        found = await request_numbered(asked.services, value)
        return frozenset() if found is None else frozenset({found})
    head, _, system_id = system.rpartition("/")
    if head != asked.server.references:
        return frozenset()
    try:
        return await requests_referred_to(asked.services, asked.caller, UUID(system_id), value)
    except ValueError:
        return frozenset()


def _listed(values: Iterable[str]) -> list[str]:
    """What stands between commas: any of these is meant."""
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _code(token: str) -> str:
    """What a token says, of FHIR's own codes or without a system; of others, nothing that there is."""
    system, bar, code = token.rpartition("|")
    return code if not bar or system.startswith("http://hl7.org/fhir/") else token


def _one(parameters: Parameters, name: str) -> str | None:
    values = parameters.get(name, [])
    if len(values) > 1:
        raise NotTaken(NOT_READ, about=name)
    return values[0] if values else None


def count_of(parameters: Parameters) -> int:
    """How many resources a page shall have. Raises NotTaken."""
    said = _one(parameters, "_count")
    if said is None:
        return USUAL
    if not re.fullmatch(r"[0-9]{1,6}", said, re.ASCII) or int(said) == 0:
        raise NotTaken(NOT_READ, about="_count")
    return min(int(said), MOST)


def _is_descending(parameters: Parameters) -> bool:
    said = _one(parameters, "_sort")
    if said not in (None, *_SORTS):
        raise NotTaken(NOT_READ, about="_sort")
    return said is not None and said.startswith("-")


_SORTS = ("_lastUpdated", "_lastUpdated,_id", "-_lastUpdated", "-_lastUpdated,-_id")

_MOMENT = re.compile(r"(eq|gt|lt|ge|le|sa|eb)?(.+)")


def narrowed(window: Window, value: str, name: str = "_lastUpdated") -> Window:
    """The window within what a date of a search says. A time is taken to the instant, a day as the whole day in Toronto's time.

    Raises NotTaken, which names the parameter.
    """
    found = _MOMENT.fullmatch(value.strip())
    begin, end = _span(found[2]) if found else (None, None)
    if found is None or begin is None or end is None:
        raise NotTaken(NOT_READ, about=name)
    prefix = found[1] or "eq"
    after, before = window.after, window.before
    if prefix in ("ge", "eq"):
        after = max(after or (begin, _LOWEST), (begin, _LOWEST))
    elif prefix in ("gt", "sa"):
        after = max(after or (end, _HIGHEST), (end, _HIGHEST))
    if prefix in ("le", "eq"):
        before = min(before or (end, _HIGHEST), (end, _HIGHEST))
    elif prefix in ("lt", "eb"):
        before = min(before or (begin, _LOWEST), (begin, _LOWEST))
    return replace(window, after=after, before=before)


def is_within(window: Window, key: Key) -> bool:
    """Whether what stands there is in the window."""
    return (window.after is None or key > window.after) and (window.before is None or key < window.before)


def _span(written: str) -> tuple[datetime, datetime] | tuple[None, None]:
    """The first and the last instant that are meant; a time has a zone."""
    if (day := read_day(written)) is not None:
        try:
            begin = datetime.combine(day, time(), TIME_ZONE).astimezone(UTC)
            end = datetime.combine(day + timedelta(days=1), time(), TIME_ZONE).astimezone(UTC)
        except OverflowError:
            return None, None
        return begin, end - timedelta(microseconds=1)
    try:
        moment = datetime.fromisoformat(written.replace(" ", "+"))  # a plus in an address is a space
        return (moment.astimezone(UTC), moment.astimezone(UTC)) if moment.tzinfo else (None, None)
    except (ValueError, OverflowError):
        return None, None


def _from(window: Window, cursor: _Cursor | None) -> Window:
    """The window from where a page goes on; the request of which some was given is in it."""
    if cursor is None:
        return window
    if window.descending:
        key = (cursor.at, UUID(int=min(cursor.id.int + 1, _HIGHEST.int)) if cursor.given is not None else cursor.id)
        return replace(window, before=min(window.before or key, key))
    key = (cursor.at, UUID(int=max(cursor.id.int - 1, 0)) if cursor.given is not None else cursor.id)
    return replace(window, after=max(window.after or key, key))
