"""For operators: is everything there, what failed, whom no e-mail reached, and the codec of the Temporal UI."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from api.server import create_app
from domain.requests import Role
from records.database import Database
from records.store import DocumentStore
from settings import SettingsError
from tests.api.answers import metrics_of, problem
from tests.api.conftest import Shelf
from tests.eventually import eventually
from tests.journeys import accepted, ok, submitted, written
from tests.system import PASSWORD, System, add_person
from use_cases.services import Services
from web.metrics import metrics_listener


def client(services: Services, address: str = "127.0.0.1", **settings: Any) -> httpx.AsyncClient:
    """A client of an API over those services, that calls from this address."""
    app = create_app(services.settings.model_copy(update=settings), services)
    app.state.services = replace(services, settings=services.settings.model_copy(update=settings))
    transport = httpx.ASGITransport(app, client=(address, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://relais.test")


# Is everything there


async def ready_with(http: httpx.AsyncClient, **parts: bool) -> httpx.Response:
    """The answer of /readyz, once it says so of these parts and that the others are well: a busy part may not answer in time."""
    expected = {**dict.fromkeys(("database", "engine", "documents", "disk", "workflows"), True), **parts}
    answers: list[httpx.Response] = []

    async def says_so() -> bool:
        answers.append(await http.get("/readyz"))
        return bool(answers[-1].json()["parts"] == expected)

    await eventually(says_so)
    return answers[-1]


async def test_alive_and_ready(system: System) -> None:
    async with client(system.services) as http:
        assert ok(await http.get("/healthz")) == {"status": "ok"}
        assert ok(await ready_with(http))["status"] == "ready"


async def test_without_the_database(system: System, tmp_path: Path) -> None:
    url = f"postgresql+asyncpg://relais@/relais?host={tmp_path}"
    database = Database(url)
    async with client(replace(system.services, database=database)) as http:
        ready = await ready_with(http, database=False)
        assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
        assert set(ready.json()["reasons"]) == {"database"}
        assert ok(await http.get("/healthz")) == {"status": "ok"}
        headers = {"Authorization": system.requester.http.headers["Authorization"]}
        for method, path in (("GET", "/requests"), ("POST", "/requests"), ("GET", f"/requests/{uuid4()}")):
            answer = await http.request(method, f"/api/v1{path}", headers=headers, json={"offering": "teledermatology"})
            assert (answer.status_code, answer.json()["code"]) == (503, "records_unreachable")
            assert int(answer.headers["retry-after"]) > 0
        answer = await http.post("/api/v1/tokens", json={"username": "x", "password": "x"})
        assert (answer.status_code, answer.json()["code"]) == (503, "records_unreachable")
    await database.close()


async def test_without_the_documents(system: System, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    store = DocumentStore(folder.as_uri())
    shutil.rmtree(folder)
    async with client(replace(system.services, store=store)) as http:
        ready = await http.get("/readyz")
    assert (ready.status_code, ready.json()["parts"]["documents"]) == (503, False)


async def test_metrics_hold_no_ids(system: System, shelf: Shelf) -> None:
    request_id = shelf.by_status["closed"]
    await system.requester.view(request_id)
    await system.requester.get(f"/nothing/{request_id}")
    text = await metrics_of(system.services)
    assert 'path="/requests/{request_id}",status="200"' in text
    assert "relais_http_call_seconds_bucket" in text
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", text)
    for secret in ("TC-20", "Tremblay", system.requester.account.username, "Bearer"):
        assert secret not in text


async def test_metrics_have_a_listener_of_their_own(system: System) -> None:
    async with client(system.services) as http:
        problem(await http.get("/metrics"), 404, "not_found")
        assert "/metrics" not in ok(await http.get("/api/openapi.json"))["paths"]
    settings = system.settings.model_copy(update={"metrics_port": 0})
    async with metrics_listener(settings, system.services) as port, httpx.AsyncClient(trust_env=False) as http:
        assert port is not None
        address = f"http://127.0.0.1:{port}"
        numbers = await http.get(f"{address}/metrics")
        assert (numbers.status_code, "relais_part_ready" in numbers.text) == (200, True)
        for method, path, status in (("POST", "/metrics", 405), ("GET", "/readyz", 404), ("GET", "/api/v1/me", 404)):
            assert (await http.request(method, f"{address}{path}")).status_code == status
        taken = settings.model_copy(update={"metrics_port": port})
        with pytest.raises(SettingsError, match="RELAIS_METRICS_PORT"):
            async with metrics_listener(taken, system.services):
                pass
    async with metrics_listener(system.settings, system.services) as none, httpx.AsyncClient(trust_env=False) as http:
        assert none is None
        with pytest.raises(httpx.ConnectError):
            await http.get(f"{address}/metrics")


# What failed


async def test_failures_are_the_operators(system: System) -> None:
    request_id = await accepted(system)
    await written(system, request_id)
    forged = {
        "id": f"forged-{uuid4()}",
        "actor": {"id": system.provider.id, "role": "provider", "clinic_id": str(system.clinics["near"].id)},
        "kind": "final",
        "report_id": str(uuid4()),
        "content_sha256": "0" * 64,
    }
    await system.workflow(request_id).signal("sign_report", forged)

    async def ours() -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = (await system.operator.get("/failures")).json()
        return [failure for failure in listed if failure["request_id"] == request_id]

    async def is_listed() -> bool:
        return bool(await ours())

    await eventually(is_listed)
    (failure,) = await ours()
    assert (failure["kind"], failure["code"]) == ("finalize", "report_not_frozen")
    path = f"/failures/{failure['effect_id']}/resolve"
    for name in ("requester", "provider", "dispatcher", "administrator"):
        problem(await system.people[name].get("/failures"), 403, "forbidden")
        problem(await system.people[name].post(path), 403, "forbidden")
    assert (await system.operator.post(path)).status_code == 204
    assert await ours() == []
    problem(await system.operator.post(path), 404, "not_found")
    problem(await system.operator.post("/failures/none/resolve"), 404, "not_found")


async def test_whom_no_email_reached(system: System) -> None:
    lost = await add_person(system, "lost_provider", system.clinics["near"], Role.PROVIDER)
    system.post_office.at_recipient[lost.account.email] = "550 5.1.1 No such user"
    request_id = await submitted(system)
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": lost.id}))

    async def listed(name: str) -> list[dict[str, Any]]:
        notices: list[dict[str, Any]] = (await system.people[name].get("/undeliverable")).json()
        return [notice for notice in notices if notice["request_id"] == request_id]

    async def is_listed() -> bool:
        return bool(await listed("dispatcher"))

    await eventually(is_listed)
    (notice,) = await listed("dispatcher")
    assert (notice["event"], notice["recipient"]["id"]) == ("assigned", lost.id)
    assert lost.account.email not in json.dumps(notice)
    assert await listed("administrator") == await listed("operator") == [notice]
    assert await listed("far_dispatcher") == []
    for name in ("requester", "provider"):
        problem(await system.people[name].get("/undeliverable"), 403, "forbidden")
    told = [str(mail["Subject"]) for mail in system.post_office.kept_for(system.dispatcher.account.email)]
    number = (await system.requester.view(request_id))["number"]
    await eventually(
        lambda: any(
            number in str(mail["Subject"]) and "non livré" in str(mail["Subject"])
            for mail in system.post_office.kept_for(system.dispatcher.account.email)
        )
    )
    assert all("Tremblay" not in subject for subject in told)
    del system.post_office.at_recipient[lost.account.email]  # other tests share this clinic's pool
    assert (await system.requester.view(request_id))["status"] == "awaiting_acceptance"


async def test_a_scheduler_ends_deadlines(system: System) -> None:
    """An outside scheduler, guarded by the version that it has seen: what is late does nothing."""
    request_id = await submitted(system)
    version = (await system.operator.view(request_id))["version"]
    path = f"/requests/{request_id}/deadlines/dispatch"
    seen = {"If-Match": f'"{version}"'}
    receipt = ok(await system.operator.post(path, headers=seen, key=uuid4().hex))
    view = await system.operator.view(request_id)
    assert (receipt["status"], view["overdue"], view["overdue_deadlines"]) == ("awaiting_dispatch", True, ["dispatch"])
    problem(await system.operator.post(path, headers=seen, key=uuid4().hex), 412, "version_conflict")
    timeline = (await system.requester.get(f"/requests/{request_id}/timeline")).json()
    assert (timeline[-1]["name"], timeline[-1]["role"]) == ("dispatch_overdue", "operator")
    assert UUID(timeline[-1]["by"]["id"]) == system.operator.account.id
    problem(await system.requester.post("/tokens", {"username": "x", "password": PASSWORD}), 401, "wrong_credentials")
