"""What lists, counts, searches and looks cost when the records are full.

    .venv/bin/python -m benchmarks.worklist [--requests 10000 1000000] [--clinics 2 20] [--only dispatcher] [--plans] [--keep …]

Starts a PostgreSQL of its own in a temporary folder for each number of requests (up to 10,000,000: about 11 kB each on the
disk, and it says before it begins if there is not that much), fills it (`benchmarks.full_records`), and asks all of them in turn,
round by round, so that whatever else the machine does meanwhile meets each alike. With ``--keep`` the folders stay, and the next
run finds them full (and migrates them); with ``--fill`` it ends there. Prints of each query the median, the 99th percentile, how
long processors were busy with it (here and in PostgreSQL), how many blocks PostgreSQL looked at and how many lines were shown:
processors and blocks tell what it costs on a machine that others use, too. Then how many queries took at most `AS_LONG` times
what they took at the sizes before; with ``--plans`` also how PostgreSQL goes about each at the last size. A page of three lines
costs less than one of fifty, and of 10,000 requests of 20 clinics many pages are as short: with fewer ``--clinics``, or fewer
``--lines``, they are as full as those of a million. Nothing here is a test; `tests/records/test_flat.py` holds the plans.
"""

import argparse
import asyncio
import itertools
import shutil
import signal
import statistics
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from typing import Any
from uuid import UUID

import asyncpg
from rich.console import Console
from rich.table import Table
from sqlalchemy import event, exists, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.full_records import (
    BYTES_OF_REQUEST,
    CLINICS,
    FAMILY_NAMES,
    FIRST_BIRTH,
    GIVEN_NAMES,
    KEYS,
    fill,
    those_who_look,
)
from domain.calendar import day_of
from domain.priority import Priority
from domain.requests import Role, Status
from embedded import postgres
from embedded.child import wrap
from records import absences, load, migrate, people
from records.cases import Window, first_in
from records.database import Database
from records.models import Clinic
from records.same_patient import same_patient
from records.visibility import Viewer
from records.worklist import MAX_LIMIT, WorklistFilter, WorklistPage, count_to_do, notes_on, worklist

ROUNDS = 100
PATIENT = 4321
TOO_SLOW_SECONDS = 10
AS_LONG = 1.5
IS_FULL = "is-full"
LONG_MILLISECONDS = 50

Query = Callable[[AsyncSession], Awaitable[object]]
Statement = tuple[str, Any]
"""With what it is given."""


@dataclass(frozen=True)
class Cost:
    """Of one query: of each round the milliseconds on the clock and of processors; the 8 kB blocks that one looks at."""

    lines: int | None
    statements: list[Statement]
    blocks: int
    clock: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def cells(self) -> list[str]:
        """For the table."""
        times = (statistics.median(self.clock), p99(self.clock), statistics.median(self.processor))
        return [*(f"{time:.1f}" for time in times), f"{self.blocks:,}", "" if self.lines is None else f"{self.lines}"]


Measured = dict[str, Cost]


@dataclass(frozen=True)
class Size:
    """Of full records."""

    requests: int
    clinics: int

    def __str__(self) -> str:
        return f"{self.requests:,} of {self.clinics} clinics"

    @property
    def folder(self) -> str:
        """The name of theirs, where they are kept."""
        return f"{self.requests}" if self.clinics == CLINICS else f"{self.requests}-of-{self.clinics}"


OPEN = frozenset(status for status in Status if status.is_open)

LISTS: dict[str, WorklistFilter] = {
    "everything": WorklistFilter(),
    "what is open": WorklistFilter(statuses=OPEN, limit=25),
    "closed": WorklistFilter(statuses=frozenset({Status.CLOSED})),
    "last due first": WorklistFilter(sort="-due"),
    "by priority": WorklistFilter(sort="priority"),
    "newest change first": WorklistFilter(sort="updated"),
    "newest first": WorklistFilter(sort="created"),
    "mine": WorklistFilter(statuses=OPEN, holder_is_me=True, limit=25),
    "to do": WorklistFilter(statuses=OPEN, to_do=True),
    "not to do": WorklistFilter(statuses=OPEN, to_do=False, limit=25),
    "mine, not to do": WorklistFilter(statuses=OPEN, holder_is_me=True, to_do=False, limit=25),
    "overdue": WorklistFilter(overdue=True),
    "most urgent only": WorklistFilter(priority=Priority.STAT, sort="updated"),
    "one offering": WorklistFilter(offering="teleophthalmology"),
    "an offering without requests": WorklistFilter(offering="wound_care"),
    "with somebody away": WorklistFilter(holder_absent=True),
    "number": WorklistFilter(q="TC-2025-004321"),
    "part of a number": WorklistFilter(q="4321"),
    "patient's family name": WorklistFilter(q="family17"),
    "patient's whole name": WorklistFilter(q="Given17 Family17"),
    "beginning of everybody's name": WorklistFilter(q="fam"),
    "birth date": WorklistFilter(q="1950-02-03"),
    "health-insurance number": WorklistFilter(q="HEAL 1000 4321"),
    "a word that nobody has": WorklistFilter(q="zebra"),
    "provider's name": WorklistFilter(q="Person1x1"),
    "clinic's name": WorklistFilter(q="Clinique 2"),
    "one request": WorklistFilter(limit=1),
}


async def main(
    sizes: list[Size], only: str, kept: Path | None, *, lines: int, rounds: int, plans: bool, only_fill: bool
) -> None:
    """Fill, measure, print."""
    await asyncio.to_thread(check_room, sizes, kept)
    console = Console(width=190)
    full: dict[Size, Database] = {}
    asked: dict[Size, dict[str, Query]] = {}
    async with AsyncExitStack() as stack:
        for size in sizes:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) if kept is None else kept / size.folder
            full[size] = await stack.enter_async_context(running_database(folder))
            began = perf_counter()
            asked[size] = queries(*await _filled(full[size], size, folder / IS_FULL), lines)
            console.print(f"{size} in {perf_counter() - began:.0f} s")
        if only_fill:
            return
        measured: dict[Size, Measured] = {size: {} for size in sizes}
        for name in [name for name in asked[sizes[0]] if only in name]:
            found = await measure([(full[size], asked[size][name]) for size in sizes], rounds)
            for size, one in zip(sizes, found, strict=True):
                measured[size][name] = one
            print(f"{name:60}", *(f"{cell:>7}" for one in found for cell in one.cells()), flush=True)
            if plans:
                await explain(console, full[sizes[-1]], name, found[-1].statements)
    console.print(table_of(measured))
    for line in summary_of(measured):
        console.print(line)


def check_room(sizes: Sequence[Size], kept: Path | None) -> None:
    """Raises SystemExit where the disk has not the room that they take."""
    folder = Path(tempfile.gettempdir()) if kept is None else kept
    folder.mkdir(parents=True, exist_ok=True)
    missing = [size for size in sizes if kept is None or not (kept / size.folder / IS_FULL).exists()]
    needed, free = sum(size.requests for size in missing) * BYTES_OF_REQUEST, shutil.disk_usage(folder).free
    if needed > free:
        what = ", ".join(map(str, missing))
        raise SystemExit(
            f"{what} take about {needed / 1e9:,.0f} GB, and {folder} has {free / 1e9:,.0f} GB left: "
            "name fewer --requests, or a folder with more room by --keep"
        )


async def _filled(database: Database, size: Size, marker: Path) -> tuple[UUID, UUID, dict[Role, Viewer]]:
    """As `fill` gives it; nothing is filled where an earlier run has."""
    async with database.session() as session:
        if await session.scalar(select(exists(Clinic))):
            return await those_who_look(session)
    found = await fill(database, size.requests, size.clinics)
    await asyncio.to_thread(marker.touch)
    return found


def table_of(measured: dict[Size, Measured]) -> Table:
    """Of each query what it cost at each number of requests."""
    table = Table("", "statements", title="Lists, counts, searches, looks: milliseconds on the clock and of processors")
    for size in measured:
        for name in (f"{size}: p50", "p99", "processor", "blocks", "lines"):
            table.add_column(name, justify="right")
    table.add_column("last ÷ first", justify="right")
    first, last = (list(measured.values())[at] for at in (0, -1))
    for name, cost in last.items():
        cells = [cell for some in measured.values() for cell in some[name].cells()]
        table.add_row(name, str(len(cost.statements)), *cells, f"{_median(cost.clock, first[name].clock):.2f}")
    return table


def summary_of(measured: dict[Size, Measured]) -> Iterator[str]:
    """How many queries cost about as much at the last number of requests as at each before."""
    *before, (last, costs) = measured.items()
    for size, those in before:
        pairs = [(costs[name], those[name]) for name in costs]
        full = [(one, other) for one, other in pairs if one.lines == other.lines]
        for of, some in (("all", pairs), ("those with as many lines", full)):
            clock = sum(_median(one.clock, other.clock) <= AS_LONG for one, other in some)
            processor = sum(_median(one.processor, other.processor) <= AS_LONG for one, other in some)
            blocks = sum(one.blocks <= AS_LONG * other.blocks for one, other in some)
            yield (
                f"{last} against {size}, {of}: of {len(some)} at most {AS_LONG} times the time {clock}, "
                f"the processor {processor}, the blocks {blocks}"
            )
    clock, processor = (
        sum(p99(times) >= LONG_MILLISECONDS for times in some)
        for some in ([cost.clock for cost in costs.values()], [cost.processor for cost in costs.values()])
    )
    yield (
        f"{last}: of {len(costs)} the 99th percentile is {LONG_MILLISECONDS} ms or more on the clock of {clock}, "
        f"of processors of {processor}"
    )


def p99(times: list[float]) -> float:
    """The 99th percentile."""
    return sorted(times)[int(0.99 * (len(times) - 1))]


def _median(times: list[float], others: list[float]) -> float:
    return statistics.median(times) / statistics.median(others)


def queries(clinic_id: UUID, another_id: UUID, viewers: dict[Role, Viewer], lines: int) -> dict[str, Query]:
    """What is measured: every list in every role, of so many lines at most, and what stands beside them."""

    async def providers(session: AsyncSession) -> None:
        found = [account.id for account in await people.list_providers(session, clinic_id)]
        await load.loads_of(session, found, viewers[Role.DISPATCHER])
        await absences.presence_of(session, found, on=day_of(datetime.now(UTC)), soon=timedelta(days=30))

    found: dict[str, Query] = {
        "providers of a clinic, with load and absences": providers,
        "the pool of a clinic": lambda session: load.pools_waiting(session, [clinic_id], viewers[Role.DISPATCHER]),
    }
    for role, viewer in viewers.items():
        found[f"{role}: count to do"] = _counting(viewer)
        found[f"{role}: second page"] = _second_page(viewer)
        found[f"{role}: look at one"] = _looking(viewer)
        found[f"{role}: others about the same patient"] = look_for_the_same_patient(viewer)
        found[f"{role}: newest cases for another system"] = _giving_out(viewer, lines)
        for name, wanted in {**LISTS, **_of_clinics(clinic_id, another_id), **_of_days()}.items():
            found[f"{role}: {name}"] = _listing(viewer, replace(wanted, limit=min(wanted.limit, lines)))
    return found


def _of_clinics(own_id: UUID, another_id: UUID) -> dict[str, WorklistFilter]:
    return {"their own clinic": WorklistFilter(clinic=own_id), "another clinic": WorklistFilter(clinic=another_id)}


def _of_days() -> dict[str, WorklistFilter]:
    today = day_of(datetime.now(UTC))
    return {
        "of one day": WorklistFilter(submitted_from=today, submitted_until=today),
        "of the last week": WorklistFilter(submitted_from=today - timedelta(days=7)),
        "what has changed": WorklistFilter(updated_since=datetime.now(UTC) - timedelta(hours=12), sort="updated"),
    }


def _listing(viewer: Viewer, wanted: WorklistFilter) -> Query:
    return lambda session: worklist(session, viewer, wanted)


def _counting(viewer: Viewer) -> Query:
    return lambda session: count_to_do(session, viewer)


def look_for_the_same_patient(viewer: Viewer) -> Query:
    """Others about one of the patients."""
    born = (FIRST_BIRTH + timedelta(days=PATIENT)).isoformat()
    names = {"given_name": f"Given{PATIENT % GIVEN_NAMES}", "family_name": f"Family{PATIENT % FAMILY_NAMES}"}
    patient = {**names, "birth_date": born, "health_insurance_number": f"HEAL{10_000_000 + PATIENT}"}
    return lambda session: same_patient(session, viewer, patient, but=viewer.account_id)


def _giving_out(viewer: Viewer, lines: int) -> Query:
    return lambda session: first_in(session, viewer, Window(descending=True), min(lines, WorklistFilter.limit))


def _second_page(viewer: Viewer) -> Query:
    cursors: list[str | None] = []

    async def query(session: AsyncSession) -> None:
        if not cursors:
            cursors.append((await worklist(session, viewer, WorklistFilter())).next_cursor)
        await worklist(session, viewer, WorklistFilter(cursor=cursors[0]))

    return query


def _looking(viewer: Viewer) -> Query:
    ids: list[UUID] = []

    async def query(session: AsyncSession) -> None:
        if not ids:
            ids.extend(row.request.id for row in (await worklist(session, viewer, WorklistFilter(limit=1))).rows)
        if ids:
            await notes_on(session, viewer, ids[0])

    return query


async def measure(databases: Sequence[tuple[Database, Query]], rounds: int) -> list[Cost]:
    """Each database with its query, all of them in each round (fewer rounds, where they take long)."""
    async with AsyncExitStack() as stack:
        sessions = [(await stack.enter_async_context(database.session()), query) for database, query in databases]
        found = [await _begin(database, *one) for (database, _), one in zip(databases, sessions, strict=True)]
        servers = [await session.scalar(text("SELECT pg_backend_pid()")) for session, _ in sessions]
        for _ in range(rounds):
            for (session, query), cost, server in zip(sessions, found, servers, strict=True):
                session.expunge_all()
                busy, began = _busy(server), perf_counter()
                await query(session)
                cost.clock.append(1000 * (perf_counter() - began))
                cost.processor.append(1000 * (_busy(server) - busy))
            if max(sum(cost.clock) for cost in found) > 1000 * TOO_SLOW_SECONDS:
                break
    return found


async def _begin(database: Database, session: AsyncSession, query: Query) -> Cost:
    answer = await query(session)
    lines = len(answer.rows) if isinstance(answer, WorklistPage) else None
    statements = await _statements_of(database, session, query)
    return Cost(lines, statements, await _blocks_of(database, statements))


def _busy(server: int) -> float:
    """For how many seconds processors have been busy with this process and with that of PostgreSQL, by the kernel's schedule."""
    nanoseconds, *_ = Path(f"/proc/{server}/schedstat").read_text().split()
    return process_time() + int(nanoseconds) / 1e9


async def _statements_of(database: Database, session: AsyncSession, query: Query) -> list[Statement]:
    statements: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        statements.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    await query(session)
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    return statements


async def _blocks_of(database: Database, statements: list[Statement]) -> int:
    """How many blocks these look at, those included that they look at again."""
    plans = await _explained(database, statements, "ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON")
    tops = [row[0][0]["Plan"] for (row,) in plans]
    return sum(top["Shared Hit Blocks"] + top["Shared Read Blocks"] for top in tops)


async def explain(console: Console, database: Database, name: str, statements: list[Statement]) -> None:
    """Print the plans."""
    for plan in await _explained(database, statements, "ANALYZE, BUFFERS, COSTS OFF"):
        console.rule(name)
        console.print("\n".join(row[0][:200] for row in plan), markup=False, highlight=False)


async def _explained(database: Database, statements: list[Statement], options: str) -> list[list[asyncpg.Record]]:
    async with database.engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        return [await raw.fetch(f"EXPLAIN ({options}) {statement}", *given) for statement, given in statements]


@asynccontextmanager
async def running_database(folder: Path) -> AsyncIterator[Database]:
    """A migrated database in a PostgreSQL of its own."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    cluster = await postgres.prepare(await asyncio.to_thread(folder.resolve))
    command = wrap([*cluster.command, "-c", "fsync=off"], run_as=cluster.run_as, death_signal=signal.SIGINT)
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: ASYNC220, S603
    try:
        while True:
            try:
                await cluster.ready(datetime.now(UTC))
                break
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)
        await migrate.upgrade(cluster.url)
        database = Database(cluster.url, search_keys=KEYS)
        yield database
        await database.close()
    finally:
        server.send_signal(signal.SIGINT)
        await asyncio.to_thread(server.wait)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--clinics", type=int, nargs="+", default=[CLINICS], help="of each number, in turn")
    parser.add_argument("--only", default="", help="only queries with this in their names")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--lines", type=int, default=MAX_LIMIT, help="of a page, at most: short pages are full of both")
    parser.add_argument("--plans", action="store_true")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where the full records stay for the next run")
    parser.add_argument("--fill", action="store_true", help="only fill them")
    given = parser.parse_args()
    sizes = [Size(*one) for one in zip(given.requests, itertools.cycle(given.clinics), strict=False)]
    asyncio.run(
        main(
            sizes,
            given.only,
            given.keep,
            lines=given.lines,
            rounds=given.rounds,
            plans=given.plans,
            only_fill=given.fill,
        )
    )
