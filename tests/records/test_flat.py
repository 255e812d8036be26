"""Lists, counts, searches and looks read what they show, however much lies in the records: nothing goes through a table, and
nothing reads more rows than a page and a count need."""

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from benchmarks import full_records
from benchmarks.full_records import KEYS, fill
from benchmarks.worklist import LISTS, OPEN, Query, look_for_the_same_patient
from domain.priority import Priority
from domain.requests import Role
from records import restrictions, search, ways
from records import worklist as lists
from records.database import Database
from records.models import RequestRecord
from records.visibility import Viewer, listed_for
from records.worklist import (
    WorklistFilter,
    count_statement,
    count_to_do,
    led_statements,
    list_statements,
    notes_on,
    worklist,
)
from tests.conftest import MakeDatabase

REQUESTS, CLINICS = 5_000, 2
STAFF = {Role.PROVIDER: 2, Role.REQUESTER: 2, Role.DISPATCHER: 1, Role.CLINIC_ADMINISTRATOR: 1, Role.OPERATOR: 1}
IN_ONE_GO = 2_000
COUNTED, FOUND, LOOKED_THROUGH = 25, 100, 300
MOST_ROWS = 750
"""That one step of a query reads for a page of `ROWS`: a clinic here sees 2,500 requests, late in the evening 700 of today."""

ROWS = 10

SHUT = 20
"""So many requests are restricted for somebody: more than for anybody who works."""

Viewers = dict[Role, Viewer]
Full = tuple[Database, Viewers, uuid.UUID]

LARGE = {"requests", "request_participants", "request_parties", "patient_words", "events", "audit_entries"}


@pytest.fixture(scope="module")
async def full(make_database: MakeDatabase, migrated_template: str) -> AsyncIterator[Full]:
    """Full records, and somebody of each role who looks at them."""
    database = Database(await make_database(migrated_template), search_keys=KEYS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(full_records, "AT_ONCE", IN_ONE_GO)
        _, another_id, viewers = await fill(database, REQUESTS, CLINICS, STAFF)
    yield database, viewers, another_id
    await database.close()


@pytest.fixture
def counting_ends_soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """So that a clinic of 2,500 requests is one that has more than is counted."""
    monkeypatch.setattr(ways, "COUNTED_UP_TO", COUNTED)
    monkeypatch.setattr(search, "MOST_FOUND", FOUND)
    monkeypatch.setattr(search, "LOOKED_THROUGH", LOOKED_THROUGH)
    _make_statements_anew()
    yield
    _make_statements_anew()


def _make_statements_anew() -> None:
    list_statements.cache_clear()
    led_statements.cache_clear()
    count_statement.cache_clear()


@pytest.mark.usefixtures("counting_ends_soon")
@pytest.mark.parametrize("shut", [0, SHUT])
@pytest.mark.parametrize("role", STAFF)
async def test_nothing_reads_more_than_it_shows(full: Full, role: Role, shut: int) -> None:
    """Whether or not some requests are restricted for who looks."""
    database, viewers, another_id = full
    viewer = viewers[role]
    await _shut(database, viewer, shut)
    today = datetime.now(UTC).date()

    async def look(session: AsyncSession) -> None:
        page = await worklist(session, viewer, WorklistFilter(limit=1))
        await notes_on(session, viewer, page.rows[0].request.id)
        await worklist(session, viewer, WorklistFilter(limit=ROWS, cursor=page.next_cursor))

    asked: dict[str, Query] = {
        "look": look,
        "count to do": lambda session: count_to_do(session, viewer),
        "others about the same patient": look_for_the_same_patient(viewer),
        "their own clinic": _listing(viewer, WorklistFilter(clinic=viewer.clinic_id, limit=ROWS)),
        "another clinic": _listing(viewer, WorklistFilter(clinic=another_id, limit=ROWS)),
        "of one day": _listing(viewer, WorklistFilter(submitted_from=today, submitted_until=today, limit=ROWS)),
        "since": _listing(viewer, WorklistFilter(updated_since=datetime.now(UTC) - timedelta(hours=12), limit=ROWS)),
    }
    for name in LISTS:
        asked[name] = _listing(viewer, replace(LISTS[name], limit=min(ROWS, LISTS[name].limit)))
    too_much = {name: found for name, query in asked.items() if (found := await _too_much(database, query))}
    assert too_much == {}


@pytest.mark.usefixtures("counting_ends_soon")
@pytest.mark.parametrize(
    ("role", "name", "index", "most"),
    [
        pytest.param(Role.PROVIDER, "not to do", "pk_requests", 250, id="only what a pool may have is looked at"),
        pytest.param(Role.OPERATOR, "with somebody away", "ix_requests_holder", 250, id="away, in order"),
        pytest.param(
            Role.CLINIC_ADMINISTRATOR,
            "with somebody away",
            "pk_requests",
            60,
            id="what a colleague holds is not looked at",
        ),
        pytest.param(Role.DISPATCHER, "with somebody away", "pk_requests", 60, id="nor by who dispatches it"),
        pytest.param(Role.PROVIDER, "with somebody away", "pk_requests", 60, id="nor what others hold"),
        pytest.param(Role.PROVIDER, "their own clinic", "pk_requests", 60, id="whose clinic's it is, one acted on"),
        pytest.param(Role.DISPATCHER, "patient's family name", "pk_patient_words", 90, id="what led there has told"),
        pytest.param(Role.DISPATCHER, "provider's name", "pk_request_parties", 150, id="people of a name side by side"),
    ],
)
async def test_what_the_way_tells_is_not_looked_up(full: Full, role: Role, name: str, index: str, most: int) -> None:
    database, viewers, _ = full
    lists_ = {**LISTS, "their own clinic": WorklistFilter(clinic=viewers[role].clinic_id)}
    asked = _listing(viewers[role], replace(lists_[name], limit=ROWS))
    steps = [step for step in await _steps_of(database, asked) if step.get("Index Name", "").startswith(index)]
    assert 0 < sum(map(_rows_read, steps)) <= most


@pytest.mark.parametrize("role", STAFF)
async def test_what_leads_to_few_tells_what_the_ways_tell(
    full: Full, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clinic, an absence and days are looked through one by one where they lead to few: the same pages, and their counts."""
    database, viewers, another_id = full
    viewer, today = viewers[role], datetime.now(UTC).date()
    few = timedelta(days=3)
    asked = [
        WorklistFilter(clinic=another_id, limit=100, statuses=OPEN),
        WorklistFilter(clinic=another_id, limit=100, sort="priority", offering="teleophthalmology"),
        WorklistFilter(holder_absent=True, limit=100, sort="updated"),
        WorklistFilter(submitted_from=today - few, limit=100, sort="created", statuses=OPEN),
        WorklistFilter(submitted_from=today - few, submitted_until=today - timedelta(days=1), limit=100, sort="-due"),
        WorklistFilter(submitted_until=today - few, clinic=another_id, limit=100, to_do=False, statuses=OPEN),
        WorklistFilter(submitted_from=today - few, limit=100, to_do=True, priority=Priority.URGENT),
    ]
    found = []
    for at_most in (REQUESTS, 0):
        for bound in ("LED_TO", "HELD", "SUBMITTED"):
            monkeypatch.setattr(lists, bound, at_most)
        _make_statements_anew()
        async with database.session() as session:
            found.append([await _first_pages(session, viewer, wanted) for wanted in asked])
    _make_statements_anew()
    assert found[0] == found[1]
    assert sum(len(ids) for ids, _ in found[0]) > 100


async def _shut(database: Database, viewer: Viewer, number: int) -> None:
    """Restrict that many requests for the viewer, for half of them by their role."""
    async with database.session() as session:
        ids = await session.scalars(select(RequestRecord.id).where(listed_for(viewer)).limit(number))
        for at, request_id in enumerate(ids):
            role = (viewer.clinic_id, min(viewer.roles)) if at % 2 else None
            account_id = None if role else viewer.account_id
            await restrictions.add(
                *(session, request_id, account_id, role),
                reason="Parenté.",
                set_by=viewer.account_id,
                now=datetime.now(UTC),
            )


async def _first_pages(session: AsyncSession, viewer: Viewer, wanted: WorklistFilter) -> tuple[list[uuid.UUID], object]:
    first = await worklist(session, viewer, wanted)
    then = await worklist(session, viewer, replace(wanted, cursor=first.next_cursor)) if first.next_cursor else first
    return [row.request.id for page in (first, then) for row in page.rows], first.counts


def _listing(viewer: Viewer, wanted: WorklistFilter) -> Query:
    return lambda session: worklist(session, viewer, wanted)


async def _too_much(database: Database, query: Query) -> list[str]:
    """The steps of the query's statements that read too many rows, or a whole table."""
    return [
        f"{step['Node Type']} of {step.get('Index Name', step.get('Relation Name'))}: {_rows_read(step)} rows"
        for step in await _steps_of(database, query)
        if (step["Node Type"] == "Seq Scan" and step["Relation Name"] in LARGE) or _rows_read(step) > MOST_ROWS
    ]


async def _steps_of(database: Database, query: Query) -> list[dict[str, Any]]:
    """All steps of the query's statements."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        statements.append((statement, parameters))

    async with database.session() as session:
        event.listen(database.engine.sync_engine, "before_cursor_execute", note)
        await query(session)
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    async with database.engine.connect() as connection:
        return [
            step
            for statement, parameters in statements
            for step in _steps(await _plan(connection, statement, parameters))
        ]


async def _plan(connection: AsyncConnection, statement: str, parameters: Any) -> dict[str, Any]:
    raw = (await connection.get_raw_connection()).driver_connection
    assert raw is not None
    explained = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}"
    plan: dict[str, Any] = (await raw.fetchval(explained, *parameters))[0]["Plan"]
    return plan


def _steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _steps(below)


def _rows_read(step: dict[str, Any]) -> int:
    """By a step that reads a table or an index, in all its loops; those too that it passed over."""
    if "Scan" not in step["Node Type"] or not ("Relation Name" in step or "Index Name" in step):
        return 0
    passed_over = step.get("Rows Removed by Filter", 0) + step.get("Rows Removed by Index Recheck", 0)
    rows: float = (step["Actual Rows"] + passed_over) * step["Actual Loops"]
    return round(rows)
