"""Records that are full: clinics, their people and as many requests as one wants, written by PostgreSQL itself.

Of the requests three in ten are open; each clinic sees about a twentieth of all. What is by chance is always the same.
"""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import asyncpg
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.absences import Absence
from domain.calendar import day_of
from domain.offerings import DEFAULT_DEADLINES, Terms
from domain.priority import Priority
from domain.requests import Person, Role
from domain.search import words_of_patient
from records import absences, people, requests
from records.database import Database
from records.models import EVERY_CLINIC, Account
from records.patient_words import SearchKeys
from records.visibility import Viewer
from use_cases.patients import Patient

CLINICS = 20
STAFF = {Role.PROVIDER: 6, Role.REQUESTER: 20, Role.DISPATCHER: 2, Role.CLINIC_ADMINISTRATOR: 1, Role.OPERATOR: 1}
GIVEN_NAMES, FAMILY_NAMES, BIRTH_DATES = 80, 400, 20_000
FIRST_BIRTH = date(1940, 1, 1)
KEYS = SearchKeys((b"a key",))
TABLES = ("requests", "request_participants", "patient_words", "request_parties", "audit_entries")
NO_TIMEOUT = 1_000_000.0
SETTINGS = (
    "SET statement_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",  # while the words are hashed here
    "SET work_mem = '64MB'",
    "SET maintenance_work_mem = '256MB'",
    "SET session_replication_role = 'replica'",  # no triggers: what they would write is written here
)

AT_ONCE = 500_000
"""So many requests are made up in one go: what PostgreSQL and this process hold meanwhile does not grow with the number."""

BYTES_OF_REQUEST = 13_000
"""On the disk, with what PostgreSQL needs meanwhile: sorted words, and its log."""

APART, LONGEST = timedelta(minutes=3), timedelta(days=3650)
"""One request is made so long before the next; the first at most so long ago, so that more of them follow each other faster."""

MAKE_UP = """
CREATE TEMPORARY TABLE cast_ AS
SELECT n, (lpad(to_hex((extract(epoch FROM made) * 1000)::bigint), 12, '0') || '7' || left(md5(n::text), 3) || '8'
           || right(md5(n::text), 15))::uuid AS id, of_status, of_person, made, c.status,
       'TC-2025-' || lpad(count::text, greatest(6, length(count::text)), '0') AS number,
       array_position(ARRAY['stat', 'asap', 'urgent', 'routine'], level) - 1 AS priority_rank, level AS priority,
       CASE n % 3 WHEN 0 THEN 'teleophthalmology' ELSE 'teledermatology' END AS offering,
       r.id AS requester_id, r.clinic_id AS requester_clinic_id, d.id AS dispatcher_id, d.clinic_id AS dispatch_clinic_id,
       p.id AS provider_id, p.clinic_id AS provider_clinic_id,
       CASE WHEN c.status IN ('returned', 'reported', 'draft') THEN 'requester'
            WHEN c.status = 'awaiting_dispatch' THEN 'dispatch'
            WHEN pooled THEN 'pool' WHEN c.status IN ('awaiting_acceptance', 'accepted') THEN 'provider' ELSE 'nobody' END
           AS holder_kind,
       CASE WHEN c.status IN ('returned', 'reported', 'draft') THEN r.id
            WHEN c.status = 'accepted' OR (c.status = 'awaiting_acceptance' AND NOT pooled) THEN p.id END AS holder_id,
       CASE WHEN c.status IN ('returned', 'reported', 'draft') THEN r.clinic_id
            WHEN c.status = 'awaiting_dispatch' THEN d.clinic_id
            WHEN c.status IN ('awaiting_acceptance', 'accepted') THEN p.clinic_id END AS holder_clinic_id,
       CASE WHEN of_status < 30 THEN made + interval '3 days' END AS due_at, of_status < 30 AND of_person % 11 = 0 AS overdue,
       made + of_person * interval '1 minute' AS updated_at
FROM generate_series(:first, :last) AS n
CROSS JOIN LATERAL (SELECT now() - n * interval ':apart seconds', :requests + 1 - n) AS m (made, count)
CROSS JOIN LATERAL (SELECT mod(abs(hashint8extended(n, 1)), :clinics) + 1, mod(abs(hashint8extended(n, 2)), 100),
                           mod(abs(hashint8extended(n, 3)), 1000)) AS a (place, of_status, of_person)
CROSS JOIN LATERAL (SELECT CASE WHEN of_person < 900 THEN place ELSE of_person % :clinics + 1 END,
    CASE WHEN of_status < 10 THEN 'awaiting_dispatch' WHEN of_status < 18 THEN 'awaiting_acceptance'
         WHEN of_status < 25 THEN 'accepted' WHEN of_status < 27 THEN 'returned' WHEN of_status < 30 THEN 'reported'
         WHEN of_status < 31 THEN 'draft' WHEN of_status < 35 THEN 'cancelled' ELSE 'closed' END,
    of_status >= 16 AND of_status < 18,
    CASE WHEN of_person < 5 THEN 'stat' WHEN of_person < 50 THEN 'asap' WHEN of_person < 250 THEN 'urgent' ELSE 'routine' END
) AS c (other, status, pooled, level)
JOIN people_ AS r ON r.place = a.place AND r.role = 'requester' AND r.nth = of_person % :requesters
JOIN people_ AS d ON d.place = other AND d.role = 'dispatcher' AND d.nth = 0
JOIN people_ AS p ON p.place = other AND p.role = 'provider' AND p.nth = of_person % :providers;

ANALYZE cast_;

INSERT INTO requests (id, number, created_at, created_by, form, form_priority, edits, process, process_version, status, priority,
    priority_rank, offering, requester_id, requester_clinic_id, dispatch_clinic_id, holder_kind, holder_id, holder_clinic_id,
    waiting_since, due_at, overdue, open_questions, submitted_at, updated_at, ended_at)
SELECT c.id, c.number, made, c.requester_id,
       jsonb_set(t.form, '{patient}', t.form -> 'patient' || jsonb_build_object(
           'given_name', 'Given' || n % :given, 'family_name', 'Family' || n % :family,
           'birth_date', date '1940-01-01' + (n % :births)::int, 'health_insurance_number', 'HEAL' || 10000000 + n)),
       'routine', 0, t.process, 6, c.status, c.priority, c.priority_rank, c.offering, c.requester_id, c.requester_clinic_id,
       c.dispatch_clinic_id, c.holder_kind, c.holder_id, c.holder_clinic_id, made, c.due_at, c.overdue,
       CASE WHEN c.status = 'accepted' AND of_person % 7 = 0 THEN 1 ELSE 0 END, made, c.updated_at,
       CASE WHEN of_status >= 31 THEN made END
FROM cast_ AS c JOIN requests AS t ON t.id = :template;

INSERT INTO events (request_id, version, name, at, source, command_id, actor_id, actor_role, actor_clinic_id, status_before,
    status, holder_before, holder, command, recorded_at)
SELECT id, v, 'assigned', made, 'update', id || '-' || v, CASE v WHEN 1 THEN requester_id WHEN 2 THEN provider_id END,
       'provider', requester_clinic_id, status, status, '{"kind": "nobody", "id": null, "clinic_id": null}',
       jsonb_build_object('kind', 'provider', 'id', provider_id, 'clinic_id', provider_clinic_id),
       '{"type": "assign", "comment": "…"}', made
FROM cast_ CROSS JOIN generate_series(1, 3) AS v
WHERE status <> 'draft';

INSERT INTO audit_entries (id, request_id, account_id, role, kind, at, version)
SELECT gen_random_uuid(), id, account_id, role, kind, made, v
FROM cast_ CROSS JOIN LATERAL (VALUES (1, dispatcher_id, 'dispatcher', 'timeline'), (2, provider_id, 'provider', 'request'))
    AS looks (v, account_id, role, kind)
WHERE status <> 'draft' AND n % 3 > 0;

INSERT INTO request_participants (request_id, account_id, holding, asked, ours, holder_id, offering, status, overdue,
    priority_rank, due_sort, updated_at, created_at)
SELECT id, account_id, holder_kind = 'provider' AND holder_id IS NOT DISTINCT FROM account_id, requester_id = account_id,
       clinic_id IN (requester_clinic_id, dispatch_clinic_id, coalesce(holder_clinic_id, dispatch_clinic_id)), holder_id,
       offering, status, overdue, priority_rank, coalesce(due_at, make_timestamptz(9999, 12, 31, 0, 0, 0, 'UTC')),
       updated_at, made
FROM cast_ CROSS JOIN LATERAL (VALUES (requester_id, requester_clinic_id), (provider_id, provider_clinic_id))
    AS acted (account_id, clinic_id)
WHERE status <> 'draft';

INSERT INTO patient_words (clinic_id, hash, request_id, written, submitted)
SELECT k.clinic_id, w.hash, c.id, is_own, c.status <> 'draft'
FROM cast_ AS c
CROSS JOIN LATERAL (VALUES (requester_clinic_id, true), (dispatch_clinic_id, false)) AS k (clinic_id, is_own)
CROSS JOIN LATERAL (VALUES ('given', n % :given), ('family', n % :family), ('born', n % :births), ('number', n), ('kept', 0))
    AS v (kind, nth)
JOIN words_ AS w ON w.kind = v.kind AND w.nth = v.nth
WHERE is_own OR (k.clinic_id <> requester_clinic_id AND c.status <> 'draft')
ORDER BY 1, 2, 3;

INSERT INTO request_parties (clinic_id, party_id, request_id)
SELECT DISTINCT k.id, p.id, c.id
FROM cast_ AS c
CROSS JOIN LATERAL (VALUES (:every_clinic), (requester_clinic_id), (dispatch_clinic_id)) AS k (id)
CROSS JOIN LATERAL (VALUES (requester_id), (holder_id), (requester_clinic_id), (dispatch_clinic_id)) AS p (id)
WHERE p.id IS NOT NULL
ORDER BY 1, 2, 3;

DROP TABLE cast_
"""


async def fill(
    database: Database, count: int, clinics: int = CLINICS, staff: Mapping[Role, int] = STAFF
) -> tuple[UUID, UUID, dict[Role, Viewer]]:
    """People and requests; the clinic that is looked at, another one, and a viewer of the first for each role.

    All in one transaction: who breaks it off leaves nothing.
    """
    async with database.session() as session:
        template = await _people(session, clinics, staff)
        raw = (await (await session.connection()).get_raw_connection()).driver_connection
        assert raw is not None
        indexes = await _drop_indexes(raw, TABLES)
        await _execute(raw, *SETTINGS)
        await raw.execute("INSERT INTO number_counters (year, last) VALUES (2025, $1)", count)
        await _words_of_many(raw)
        numbers = {
            "apart": min(APART, LONGEST / count).total_seconds(),
            "clinics": clinics,
            "requesters": staff[Role.REQUESTER],
            "providers": staff[Role.PROVIDER],
            "requests": count,
            "given": GIVEN_NAMES,
            "family": FAMILY_NAMES,
            "births": BIRTH_DATES,
            "template": f"uuid '{template}'",
            "every_clinic": f"uuid '{EVERY_CLINIC}'",
        }
        for some in _in_goes(count):
            await _words_of_one(raw, some)
            making = _with_numbers(MAKE_UP, {**numbers, "first": some.start, "last": some.stop - 1})
            await _execute(raw, *making.split(";\n"), "DELETE FROM words_ WHERE kind = 'number'")
        await _execute(raw, *indexes, "DROP TABLE words_, people_", "RESET ALL")
    async with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        await _execute(raw, "SET statement_timeout = 0", "VACUUM ANALYZE", "RESET ALL")  # as the autovacuum leaves it
    async with database.statement() as session:
        return await those_who_look(session)


def _in_goes(count: int) -> Iterable[range]:
    return (range(first, min(first + AT_ONCE, count + 1)) for first in range(1, count + 1, AT_ONCE))


def _with_numbers(statements: str, numbers: Mapping[str, object]) -> str:
    return re.sub(r"(?<!:):(\w+)", lambda name: str(numbers[name[1]]), statements)


async def _execute(raw: asyncpg.Connection, *statements: str) -> None:
    for statement in statements:
        await raw.execute(statement, timeout=NO_TIMEOUT)


async def those_who_look(session: AsyncSession) -> tuple[UUID, UUID, dict[Role, Viewer]]:
    """The same of records that are full already."""
    accounts = await session.scalars(select(Account).where(Account.username.like("%-_-0")).order_by(Account.username))
    found = [Viewer(row.id, row.clinic_id, frozenset(map(Role, row.roles))) for row in accounts]
    clinic_id, another_id = dict.fromkeys(viewer.clinic_id for viewer in found[:2])
    return (
        clinic_id,
        another_id,
        {role: viewer for viewer in found for role in viewer.roles if viewer.clinic_id == clinic_id},
    )


async def _drop_indexes(raw: asyncpg.Connection, tables: Sequence[str]) -> list[str]:
    """The statements that make again those which no constraint needs: made at once, they cost a tenth."""
    of_tables = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY ($1) AND indexname LIKE 'ix_%'"
    found = await raw.fetch(of_tables, tables)
    for name, _ in found:
        await raw.execute(f"DROP INDEX {name}")
    return [made for _, made in found]


async def _words_of_many(raw: asyncpg.Connection) -> None:
    """The hashed words of names and birth dates."""
    await raw.execute("CREATE TEMPORARY TABLE words_ (kind text, nth bigint, hash bigint)")
    patients: Iterable[tuple[str, int, dict[str, str]]] = (
        *(("given", n, {"given_name": f"Given{n}"}) for n in range(GIVEN_NAMES)),
        *(("family", n, {"family_name": f"Family{n}"}) for n in range(FAMILY_NAMES)),
        *(("born", n, {"birth_date": (FIRST_BIRTH + timedelta(days=n)).isoformat()}) for n in range(BIRTH_DATES)),
    )
    lines = [f"kept\t0\t{KEYS.written('kept')}\n"]
    lines += [f"{kind}\t{n}\t{KEYS.written(word)}\n" for kind, n, some in patients for word in words_of_patient(some)]
    await _copy_words(raw, lines)


async def _words_of_one(raw: asyncpg.Connection, some: range) -> None:
    """The hashed numbers of these patients."""
    await _copy_words(raw, (f"number\t{n}\t{KEYS.written(f'number:heal{10_000_000 + n}')}\n" for n in some))


async def _copy_words(raw: asyncpg.Connection, lines: Iterable[str]) -> None:
    await raw.copy_to_table("words_", source=io.BytesIO("".join(lines).encode()), timeout=NO_TIMEOUT)
    await raw.execute("ANALYZE words_")


async def _people(session: AsyncSession, clinics: int, staff: Mapping[Role, int]) -> UUID:
    """Clinics and accounts, and the draft that the requests are copies of."""
    now = datetime.now(UTC)
    await session.execute(
        text("CREATE TEMPORARY TABLE people_ (id uuid, clinic_id uuid, place int, role text, nth int)")
    )
    requester: Person | None = None
    for place in range(1, clinics + 1):
        clinic = await people.add_clinic(session, code=f"clinic-{place}", name=f"Clinique {place}")
        for role, nth in ((role, nth) for role, number in staff.items() for nth in range(number)):
            account = await people.add_account(
                session,
                clinic_id=clinic.id,
                username=f"{role}-{place}-{nth}",
                password_hash="",
                roles=[role],
                given_name=f"{role}",
                family_name=f"Person{place}x{nth}",
                email="nobody@example.invalid",
                now=now,
            )
            if role is Role.REQUESTER:
                requester = requester or Person(id=account.id, clinic_id=clinic.id)
            person = {"id": account.id, "clinic": clinic.id, "place": place, "role": role.value, "nth": nth}
            await session.execute(text("INSERT INTO people_ VALUES (:id, :clinic, :place, :role, :nth)"), person)
            if role is Role.PROVIDER and nth == 0:
                day = day_of(now)
                absence = Absence(starts_on=day, ends_on=day)
                await absences.add_absence(session, account.id, absence, note=None, created_by=account.id, now=now)
    assert requester is not None
    template = await requests.create_draft(
        session,
        requester=requester,
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
        patient=Patient(given_name="Jeanne", family_name="Tremblay", sex="female").model_dump(mode="json"),
        answers={"question": "Mélanome?" * 20},
        now=now,
    )
    await session.execute(text("ANALYZE people_"))
    return template.id
