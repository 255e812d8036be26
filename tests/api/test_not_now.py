"""What is not possible for the moment is said so, by the API and by the portal alike.

503 with Retry-After where waiting helps, a code of its own where a disk is full, and 500 only for what is our own fault. The
errors are raised by the real server.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from structlog.testing import capture_logs

from domain.requests import Role
from portal import errors
from records import database as database_module
from records.database import Database
from records.requests import lock_request
from server import create_app
from tests.api.test_absences import days
from tests.journeys import draft, filled, ok
from tests.system import PASSWORD, Clinician, System, add_person
from tests.workflow.branch import beside
from use_cases.problems import passing_problem
from web.problems import status_of
from web.services import ServicesOf

BUSY = ("55P03", "57014", "40001", "40P01", "25P03", "25P04", "53300")
AWAY = ("58000", "58030", "58P01", "53000", "53200", "53400", "57P01", "57P02", "57P03", "57P05", "08006", "25006")
OURS = ("22P02", "23505", "42601", "42P01", "XX000")


@asynccontextmanager
async def with_statements(system: System, database: Database | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """The whole application, with an address of the API and one of the portal that let that server say something."""
    app = create_app(system.settings, replace(system.of_api, database=database or system.of_api.database))

    async def run(statement: str, services: ServicesOf) -> None:
        async with services.database.session() as session:
            await session.execute(text(statement))

    inner = FastAPI()
    inner.get("/api/v1/run")(run)
    inner.get("/run")(run)
    app.router.routes[:0] = inner.router.routes[-2:]
    errors.install(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://relais.test") as http:
        yield http


async def said(http: httpx.AsyncClient, statement: str) -> tuple[int, str, bool]:
    """Status, code and whether to try again, of the API; the portal's page must say the same."""
    answer = await http.get("/api/v1/run", params={"statement": statement})
    page = await http.get("/run", params={"statement": statement})
    assert page.headers["content-type"].startswith("text/html")
    assert page.status_code == answer.status_code
    assert page.headers.get("retry-after") == answer.headers.get("retry-after")
    return answer.status_code, answer.json()["code"], "retry-after" in answer.headers


def raising(state: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$"


async def test_what_the_database_says_by_its_codes(system: System) -> None:
    async with with_statements(system) as http:
        for state in BUSY:
            assert await said(http, raising(state)) == (503, "records_busy", True), state
        for state in AWAY:
            assert await said(http, raising(state)) == (503, "records_unreachable", True), state
        assert await said(http, raising("53100")) == (507, "storage_full", True)
        for state in OURS:
            with capture_logs() as logs:
                assert await said(http, raising(state)) == (500, "internal_error", False), state
            assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["unexpected error"] * 2
        assert await said(http, "SELECT pg_terminate_backend(pg_backend_pid())") == (503, "records_unreachable", True)


async def test_a_statement_that_takes_too_long(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "STATEMENT_TIMEOUT_SECONDS", 0.1)
    async with (
        another_database(system) as database,
        with_statements(system, database) as http,
    ):
        assert await said(http, "SELECT pg_sleep(60)") == (503, "records_busy", True)


async def test_a_lock_that_is_not_had_in_time(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "LOCK_TIMEOUT_SECONDS", 0.2)
    request_id = await draft(system)
    async with another_database(system) as database:
        app = create_app(system.settings, replace(system.of_api, database=database))
        async with system.services.database.session() as session:
            await lock_request(session, UUID(request_id))
            async with client(app, system) as http:
                changed = await http.patch(f"/api/v1/requests/{request_id}", json={"priority": "urgent"})
        assert (changed.status_code, changed.json()["code"]) == (503, "records_busy")
        assert int(changed.headers["retry-after"]) > 0
        async with client(app, system) as http:
            ok(await http.patch(f"/api/v1/requests/{request_id}", json={"priority": "urgent"}))


async def test_a_deadlock(system: System) -> None:
    first, second = await draft(system), await draft(system)

    async def both(one: str, other: str, met: asyncio.Barrier) -> None:
        async with system.services.database.session() as session:
            await lock_request(session, UUID(one))
            await met.wait()
            await lock_request(session, UUID(other))

    met = asyncio.Barrier(2)
    outcomes = await asyncio.gather(both(first, second, met), both(second, first, met), return_exceptions=True)
    [lost] = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    problem = passing_problem(lost)
    assert problem is not None
    assert (status_of(problem), problem.code) == (503, "records_busy")


async def test_no_connection_that_is_free(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "POOL_TIMEOUT_SECONDS", 0.1)
    async with another_database(system, pool_size=1) as database:
        app = create_app(system.settings, replace(system.of_api, database=database))
        async with database.session() as session:
            await session.execute(text("SELECT 1"))
            async with client(app, system) as http:
                for path in ("/api/v1/requests", f"/requests/{uuid4()}"):
                    answer = await http.get(path)
                    assert (answer.status_code, "retry-after" in answer.headers) == (503, True), path


async def test_nobody_waits_for_a_second_connection(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds one connection while waiting for another waits for ever, once enough others do the same.

    A whole life, each command given twice under its key, and all that is read of it, by an API that has one connection.
    """
    monkeypatch.setattr(database_module, "POOL_TIMEOUT_SECONDS", 0.5)
    away = await add_person(system, f"away_{uuid4().hex}", system.clinics["near"], Role.PROVIDER)
    ok(await away.post("/me/absences", days(0, 5)), 201)
    request_id = await draft(system)
    report = {"answers": filled(system.services.offerings["teledermatology"].report)}
    async with beside(system, database_pool_size=1) as lean:
        await _twice(lean.requester, request_id, "submit")
        taken_by_absent = await _twice(lean.dispatcher, request_id, "assign", {"provider_id": away.id})
        assert taken_by_absent["holder_absence"] == days(0, 5)
        handed_on = {"provider_id": system.provider.id, "reason": "Elle est absente."}
        await _twice(lean.dispatcher, request_id, "reassign", handed_on)
        await _twice(lean.provider, request_id, "accept")
        await _twice(lean.provider, request_id, "request-information", {"text": "Depuis quand?"})
        await _twice(lean.requester, request_id, "answer-information", {"text": "Depuis mai."})
        ok(await lean.provider.http.put(f"/api/v1/requests/{request_id}/report", json=report))
        await _twice(lean.provider, request_id, "report/sign", {"kind": "final", "password": PASSWORD})
        async with client(create_app(lean.settings, lean.of_api), system) as http:
            request = f"/requests/{request_id}"
            lists = ("/worklist", "/worklist?q=Tremblay", "/providers", "/api/v1/requests?q=Tremblay")
            for path in (request, f"/api/v1{request}", f"/api/v1{request}/timeline", f"{request}/accesses", *lists):
                assert (await http.get(path)).status_code == 200, path
        await _twice(lean.requester, request_id, "acknowledge")


async def _twice(who: Clinician, request_id: str, command: str, body: object = None) -> dict[str, object]:
    """The receipt of a command that was given twice under one key."""
    key = str(uuid4())
    receipts = [ok(await who.post(f"/requests/{request_id}/{command}", body, key=key)) for _ in range(2)]
    assert receipts[0]["status"] == receipts[1]["status"]
    return receipts[1]


@asynccontextmanager
async def another_database(system: System, pool_size: int = 10) -> AsyncIterator[Database]:
    database = Database.from_settings(system.settings.model_copy(update={"database_pool_size": pool_size}))
    try:
        yield database
    finally:
        await database.close()


def client(app: FastAPI, system: System) -> httpx.AsyncClient:
    """Somebody who is signed in, at the API and in the portal."""
    token = system.requester.http.headers["Authorization"]
    cookie = {"Cookie": f"relais={token.removeprefix('Bearer ')}"}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://relais.test", headers={"Authorization": token, **cookie}
    )
