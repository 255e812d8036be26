"""What lists cost when the records are full: pages of the worklist, the load of a clinic's providers, its absences.

    .venv/bin/python -m benchmarks.worklist [--requests 100000] [--plans]

Starts a PostgreSQL of its own in a temporary folder, fills it (about six events and six looks per request, a third of them open),
and prints the median time of each query in milliseconds, with ``--plans`` also how PostgreSQL goes about it. Nothing here is a
test.
"""

import argparse
import asyncio
import signal
import statistics
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID

import asyncpg
from rich.console import Console
from rich.table import Table
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.absences import Absence
from domain.offerings import DEFAULT_DEADLINES, Terms
from domain.priority import Priority
from domain.requests import Person, Role, Status
from embedded import postgres
from embedded.child import wrap
from records import absences, load, migrate, people, requests
from records.database import Database
from records.visibility import Viewer
from records.worklist import WorklistFilter, notes_on, worklist
from use_cases.patients import Patient

CLINICS, PROVIDERS, REQUESTERS = 20, 6, 20
ROUNDS = 15

FILL = """
CREATE TEMPORARY TABLE cast_ AS
SELECT n,
       gen_random_uuid() AS id,
       (1 + n % :clinics) AS place,
       CASE n % 9 WHEN 0 THEN 'awaiting_dispatch' WHEN 1 THEN 'awaiting_acceptance' WHEN 2 THEN 'accepted'
                  WHEN 3 THEN 'cancelled' ELSE 'closed' END AS status,
       n % 18 = 1 AS pooled
FROM generate_series(1, :requests) AS n;

INSERT INTO requests (id, number, created_at, created_by, form, form_priority, edits, process, process_version, status, priority,
    priority_rank, offering, requester_id, requester_clinic_id, dispatch_clinic_id, holder_kind, holder_id, holder_clinic_id,
    waiting_since, due_at, overdue, open_questions, submitted_at, updated_at)
SELECT c.id, 'TC-2025-' || lpad(n::text, 6, '0'), made, r.id, t.form, 'routine', 0, t.process, 6, c.status, 'routine', 3,
       t.offering, r.id, r.clinic_id, r.clinic_id,
       CASE c.status WHEN 'awaiting_dispatch' THEN 'dispatch' WHEN 'awaiting_acceptance' THEN
            CASE WHEN pooled THEN 'pool' ELSE 'provider' END WHEN 'accepted' THEN 'provider' ELSE 'nobody' END,
       CASE WHEN c.status = 'accepted' OR (c.status = 'awaiting_acceptance' AND NOT pooled) THEN p.id END,
       CASE WHEN c.status IN ('awaiting_dispatch', 'awaiting_acceptance', 'accepted') THEN r.clinic_id END,
       made, made + interval '3 days', n % 11 = 0, 0, made, made + interval '1 hour'
FROM cast_ AS c
JOIN requests AS t ON t.number LIKE '%-000001' AND t.status = 'draft'
JOIN people_ AS r ON r.place = c.place AND r.role = 'requester' AND r.nth = n % :requesters
JOIN people_ AS p ON p.place = c.place AND p.role = 'provider' AND p.nth = (n / 9) % :providers
CROSS JOIN LATERAL (SELECT now() - n * interval '3 minutes' AS made) AS at_;

INSERT INTO events (request_id, version, name, at, source, command_id, actor_id, actor_role, actor_clinic_id, status_before,
    status, holder_before, holder, command, recorded_at)
SELECT c.id, v, 'assigned', now(), 'update', c.id || '-' || v, CASE v % 3 WHEN 0 THEN NULL WHEN 1 THEN r.id ELSE p.id END,
       'provider', r.clinic_id, c.status, c.status, '{"kind": "nobody", "id": null, "clinic_id": null}',
       jsonb_build_object('kind', 'provider', 'id', p.id, 'clinic_id', r.clinic_id), '{"type": "assign", "comment": "…"}', now()
FROM cast_ AS c CROSS JOIN generate_series(1, 6) AS v
JOIN people_ AS r ON r.place = c.place AND r.role = 'requester' AND r.nth = n % :requesters
JOIN people_ AS p ON p.place = c.place AND p.role = 'provider' AND p.nth = (n / 9) % :providers;

INSERT INTO access_log (id, request_id, account_id, role, kind, at, version)
SELECT gen_random_uuid(), c.id, p.id, p.role, CASE v % 3 WHEN 0 THEN 'timeline' ELSE 'request' END, now(), v
FROM cast_ AS c CROSS JOIN generate_series(1, 6) AS v
JOIN people_ AS p ON p.place = c.place AND (p.role, p.nth) IN (('provider', (n / 9) % :providers), ('dispatcher', 0))
WHERE p.role = 'dispatcher' OR v % 2 = 0;

INSERT INTO request_participants SELECT DISTINCT request_id, actor_id FROM events WHERE actor_id IS NOT NULL
ON CONFLICT DO NOTHING;

ANALYZE;
"""


async def main(count: int, plans: bool) -> None:
    """Fill, measure, print."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        async with running_database(Path(folder)) as database:
            began = perf_counter()
            clinic_id, viewers = await fill(database, count)
            console.print(f"{count:,} requests in {perf_counter() - began:.0f} s")
            table = Table("median, ms", "queries", title="Lists")
            for name, query in queries(clinic_id, viewers).items():
                times, statements = await measure(database, query)
                table.add_row(name, f"{statistics.median(times):.1f}", str(len(statements)))
                if plans:
                    await explain(console, database, name, statements)
            console.print(table)


def queries(clinic_id: UUID, viewers: dict[Role, Viewer]) -> dict[str, Callable[[AsyncSession], Awaitable[object]]]:
    """What is measured."""
    provider, dispatcher = viewers[Role.PROVIDER], viewers[Role.DISPATCHER]
    held = frozenset({Status.AWAITING_ACCEPTANCE, Status.ACCEPTED})

    async def providers(session: AsyncSession) -> None:
        found = [account.id for account in await people.list_providers(session, clinic_id)]
        await load.loads_of(session, found)
        await absences.presence_of(session, found, on=datetime.now(UTC).date(), soon=timedelta(days=30))

    async def one(session: AsyncSession) -> None:
        page = await worklist(session, provider, WorklistFilter(limit=1))
        await notes_on(session, provider, page.rows[0].request.id)

    return {
        "dispatcher: what is held": lambda s: worklist(s, dispatcher, WorklistFilter(statuses=held)),
        "dispatcher: everything": lambda s: worklist(s, dispatcher, WorklistFilter()),
        "dispatcher: with somebody away": lambda s: worklist(s, dispatcher, WorklistFilter(holder_absent=True)),
        "provider: mine": lambda s: worklist(s, provider, WorklistFilter(holder_is_me=True)),
        "provider: everything, newest change first": lambda s: worklist(s, provider, WorklistFilter(sort="updated")),
        "requester: everything": lambda s: worklist(s, viewers[Role.REQUESTER], WorklistFilter()),
        "operator: everything": lambda s: worklist(s, viewers[Role.OPERATOR], WorklistFilter()),
        "one line, and what to notice of one request": one,
        "providers of a clinic, with load and absences": providers,
        "the pool of a clinic": lambda s: load.pools_waiting(s, [clinic_id]),
    }


async def measure(
    database: Database, query: Callable[[AsyncSession], Awaitable[object]]
) -> tuple[list[float], list[tuple[str, Any]]]:
    """Milliseconds of each round, and the statements of one."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        statements.append((statement, parameters))

    times = []
    async with database.session() as session:
        await query(session)
        event.listen(database.engine.sync_engine, "before_cursor_execute", note)
        await query(session)
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
        for _ in range(ROUNDS):
            session.expunge_all()
            began = perf_counter()
            await query(session)
            times.append(1000 * (perf_counter() - began))
    return times, statements


async def explain(console: Console, database: Database, name: str, statements: list[tuple[str, Any]]) -> None:
    """Print the plans."""
    async with database.engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        for statement, parameters in statements:
            rows = await raw.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, BUFFERS OFF) {statement}", *parameters)
            console.rule(name)
            console.print("\n".join(row[0][:200] for row in rows), markup=False, highlight=False)


async def fill(database: Database, count: int) -> tuple[UUID, dict[Role, Viewer]]:
    """People and requests; the clinic that is looked at, and one viewer of it for each role."""
    now = datetime.now(UTC)
    async with database.session() as session:
        await session.execute(
            text("CREATE TEMPORARY TABLE people_ (id uuid, clinic_id uuid, place int, role text, nth int)")
        )
        viewers: dict[Role, Viewer] = {}
        for place in range(1, CLINICS + 1):
            clinic = await people.add_clinic(session, code=f"clinic-{place}", name=f"Clinique {place}")
            staff = {Role.PROVIDER: PROVIDERS, Role.REQUESTER: REQUESTERS, Role.DISPATCHER: 2, Role.OPERATOR: 1}
            for role, number in staff.items():
                for nth in range(number):
                    account = await people.add_account(
                        session,
                        clinic_id=clinic.id,
                        username=f"{role}-{place}-{nth}",
                        password_hash="",
                        roles=[role],
                        given_name="A",
                        family_name="B",
                        email="nobody@example.invalid",
                        now=now,
                    )
                    viewers.setdefault(role, Viewer(account.id, clinic.id, frozenset({role})))
                    person = {"id": account.id, "clinic": clinic.id, "place": place, "role": role.value, "nth": nth}
                    await session.execute(
                        text("INSERT INTO people_ VALUES (:id, :clinic, :place, :role, :nth)"), person
                    )
                    if role is Role.PROVIDER and nth == 0:
                        today = absences.today(now)
                        await absences.add_absence(
                            session,
                            account.id,
                            Absence(starts_on=today, ends_on=today),
                            note=None,
                            created_by=account.id,
                            now=now,
                        )
        requester = viewers[Role.REQUESTER]
        await requests.create_draft(
            session,
            requester=Person(id=requester.account_id, clinic_id=requester.clinic_id),
            dispatch_clinic_id=requester.clinic_id,
            terms=Terms.model_validate(
                {
                    "offering": "teledermatology",
                    "offering_version": 1,
                    "dispatch": "manual",
                    "deadlines": DEFAULT_DEADLINES,
                }
            ),
            priority=Priority.ROUTINE,
            patient=Patient(given_name="Jeanne", family_name="Tremblay").model_dump(mode="json"),
            answers={"question": "Mélanome?" * 20},
            now=now,
        )
        numbers = {"clinics": CLINICS, "providers": PROVIDERS, "requesters": REQUESTERS, "requests": count}
        await session.execute(text("SET LOCAL statement_timeout = 0"))
        for statement in FILL.split(";\n"):
            if statement.strip():
                used = {name: value for name, value in numbers.items() if f":{name}" in statement}
                await session.execute(text(statement), used)
    return viewers[Role.PROVIDER].clinic_id, viewers


@asynccontextmanager
async def running_database(folder: Path) -> AsyncIterator[Database]:
    """A migrated database in a PostgreSQL of its own."""
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
        database = Database(cluster.url)
        yield database
        await database.close()
    finally:
        server.send_signal(signal.SIGINT)
        await asyncio.to_thread(server.wait)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--plans", action="store_true")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.requests, arguments.plans))
