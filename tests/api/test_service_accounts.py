"""Service accounts: what a clinic's system may do and what not, for whom, how its secrets come and go, what is kept of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, text, update

from api.server import create_app
from domain.accounts import LetterKind
from domain.calendar import day_of
from domain.requests import Role
from domain.service_accounts import LASTS_AT_MOST, NOTICE_BEFORE, Scope
from records import people
from records.database import Database
from records.feed import ProjectionFeed
from records.models import AccountLetter, RequestRecord, ServiceAccount
from tests.api.answers import problem
from tests.api.conftest import Shelf
from tests.api.test_openapi import FOR_ANYBODY, operations
from tests.api.test_whole_case import case_of, words
from tests.journeys import accepted, draft, ok, reported, submitted, upload
from tests.system import PASSWORD, Clinician, System, add_person, photo
from use_cases.service_accounts import tell_of_ends
from use_cases.services import Services

PEOPLE = tuple(role for role in Role if role not in (Role.SYSTEM, Role.OPERATOR))
EVERYTHING = [scope.value for scope in Scope]

OPENED: Mapping[str, set[str]] = {
    "catalogue:read": {
        "GET /offerings",
        "GET /offerings/{code}",
        "GET /offerings/{code}/versions/{version}",
        "GET /clinics",
        "GET /providers",
    },
    "requests:read": {
        "GET /requests",
        "GET /changes",
        "GET /requests/{request_id}",
        "GET /requests/{request_id}/timeline",
        "GET /requests/{request_id}/forms",
        "GET /requests/{request_id}/forms/{number}",
    },
    "attachments:read": {
        "GET /requests/{request_id}/attachments",
        "GET /requests/{request_id}/attachments/{attachment_id}",
        *(
            f"GET /requests/{{request_id}}/attachments/{{attachment_id}}/{what}"
            for what in ("preview", "thumbnail", "full", "pages/{number}", "video")
        ),
    },
    "documents:read": {
        "GET /requests/{request_id}/reports",
        "GET /requests/{request_id}/reports/{report_id}.pdf",
        "GET /requests/{request_id}/reports/{report_id}/content",
        "GET /requests/{request_id}/reports/{report_id}/verification",
    },
    "drafts:write": {
        "POST /requests",
        "PATCH /requests/{request_id}",
        "DELETE /requests/{request_id}",
        "PUT /requests/{request_id}/reference",
        "DELETE /requests/{request_id}/reference",
        "GET /requests/{request_id}/check",
        "POST /requests/{request_id}/attachments",
        "PATCH /requests/{request_id}/attachments/{attachment_id}",
        "DELETE /requests/{request_id}/attachments/{attachment_id}",
        "PUT /requests/{request_id}/attachments/order",
        "OPTIONS /requests/{request_id}/uploads",
        "POST /requests/{request_id}/uploads",
        "HEAD /requests/{request_id}/uploads/{upload_id}",
        "PATCH /requests/{request_id}/uploads/{upload_id}",
        "DELETE /requests/{request_id}/uploads/{upload_id}",
    },
    "requests:submit": {
        "POST /requests/{request_id}/submit",
        "POST /requests/{request_id}/resubmit",
        "GET /requests/{request_id}/commands/{command_id}",
    },
    "people:provision": set(),  # SCIM, a face of its own
    "messages:send": set(),  # FHIR, a face of its own
    "subscriptions:write": set(),  # FHIR as well
}
"""What each scope opens, and no other: all else is for people."""


@dataclass
class Integration:
    """A clinic's system with its service account."""

    id: str
    secret: str
    http: httpx.AsyncClient

    async def get(self, path: str, **kwargs: Any) -> httpx.Response:
        return await self.http.get(f"/api/v1{path}", **kwargs)

    async def post(self, path: str, body: Any = None, **kwargs: Any) -> httpx.Response:
        return await self.http.post(f"/api/v1{path}", json=body, **kwargs)


def new(*scopes: str, **more: Any) -> dict[str, Any]:
    return {
        "name": f"Dossier {uuid4().hex[:8]}",
        "purpose": "Les rapports dans nos dossiers",
        "scopes": list(scopes),
        "expires_on": str(date.today() + timedelta(days=100)),  # noqa: DTZ011 - far from any midnight
        **more,
    }


def by_secret(system: System, secret: str, on_behalf_of: str | None = None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {secret}", "Tus-Resumable": "1.0.0"}
    if on_behalf_of is not None:
        headers["Relais-On-Behalf-Of"] = on_behalf_of
    return httpx.AsyncClient(transport=httpx.ASGITransport(system.app), base_url="http://relais.test", headers=headers)


async def connected(
    system: System, *scopes: str, by: Clinician | None = None, on_behalf_of: str | None = None, **more: Any
) -> Integration:
    """A new system of the administrator's clinic."""
    given = ok(await (by or system.administrator).post("/service-accounts", new(*scopes, **more)), 201)
    secret = given["secret"]
    return Integration(given["service_account"]["id"], secret, by_secret(system, secret, on_behalf_of))


@pytest.fixture
async def far_administrator(system: System) -> Clinician:
    return await add_person(system, f"far_boss_{uuid4().hex[:6]}", system.clinics["far"], Role.CLINIC_ADMINISTRATOR)


# What is open, and what is not


def addresses(system: System, request_id: str) -> list[tuple[str, str, str]]:
    """Every operation that needs a sign-in: as the table names it, its method, and an address of it."""
    found = []
    for method, path, _ in operations(system.app.openapi()):
        if path.startswith("/api/v1/") and path not in FOR_ANYBODY:
            numbers = path.replace("{request_id}", request_id).replace("{number}", "1").replace("{version}", "1")
            filled = numbers.replace("{code}", "teledermatology").replace("{name}", "acceptance")
            found.append((f"{method} {path.removeprefix('/api/v1')}", method, re.sub(r"\{\w+\}", str(uuid4()), filled)))
    return found


async def test_without_a_scope_every_address_is_closed(system: System, shelf: Shelf) -> None:
    nothing = await connected(system)
    walked = addresses(system, shelf.by_status["reported"])
    assert len(walked) > 100
    for name, method, path in walked:
        answer = await nothing.http.request(method, path, json={})
        assert answer.status_code == 403, name
        if method != "HEAD":
            problem(answer, 403, "insufficient_scope")
        assert answer.headers["www-authenticate"].startswith('Bearer error="insufficient_scope"'), name


async def test_each_scope_opens_what_it_says_and_nothing_else(system: System, shelf: Shelf) -> None:
    """Whoever it is for: of the person, only what they do as a requester; signing and accounts never."""
    jack = await add_person(system, "jack_of_all_trades", system.clinics["near"], *PEOPLE)
    closed = await connected(system, *EVERYTHING, on_behalf_of=jack.id)
    opened = {f"{operation}" for operations_ in OPENED.values() for operation in operations_}
    walked = addresses(system, shelf.by_status["accepted"])
    assert opened <= {name for name, _, _ in walked}
    for name, method, path in walked:
        if name not in opened:
            problem(await closed.http.request(method, path, json={}), 403, "insufficient_scope")
    for scope, operations_ in OPENED.items():
        others = await connected(system, *(other for other in EVERYTHING if other != scope), on_behalf_of=jack.id)
        for name, method, path in walked:
            if name in operations_:
                answer = await others.http.request(method, path, json={})
                assert answer.status_code == 403, name
                assert f'scope="{scope}"' in answer.headers["www-authenticate"], name


async def test_the_description_says_what_is_open(system: System) -> None:
    described: dict[str, set[str]] = {scope: set() for scope in EVERYTHING}
    for method, path, operation in operations(system.app.openapi()):
        for scheme in operation.get("security", []):
            for scope in scheme.get("ServiceAccount", []):
                described[scope].add(f"{method} {path.removeprefix('/api/v1')}")
                assert "Relais-On-Behalf-Of" in {parameter["name"] for parameter in operation["parameters"]}
    assert described == OPENED


async def test_another_clinics_requests_are_not_there(
    system: System, shelf: Shelf, far_administrator: Clinician
) -> None:
    alone = await connected(system, *EVERYTHING, by=far_administrator)
    for_somebody = by_secret(system, alone.secret, system.far_requester.id)
    opened = {operation for operations_ in OPENED.values() for operation in operations_}
    for status in ("draft", "reported"):
        for name, method, path in addresses(system, shelf.by_status[status]):
            if name not in opened or "{request_id}" not in name or method == "OPTIONS":
                continue
            seen = await for_somebody.request(method, path, json={}, headers={"Upload-Length": "3"})
            assert seen.status_code in (404, 422), name
            if method == "GET" and name not in OPENED["drafts:write"] | OPENED["requests:submit"]:
                problem(await alone.http.request(method, path), 404, "not_found")
    listed = ok(await alone.get("/requests", params={"limit": 200}))["items"]
    assert not {row["id"] for row in listed} & set(shelf.by_status.values())
    problem(await alone.post(f"/requests/{shelf.by_status['draft']}/submit"), 422, "person_needed")


# What it sees and does


async def test_a_system_reads_what_concerns_its_clinic(system: System) -> None:
    request_id = await reported(system)
    reader = await connected(system, "requests:read", "documents:read", "attachments:read")
    view = ok(await reader.get(f"/requests/{request_id}"))
    assert (view["access"], view["patient"]["family_name"]) == ("chart", "Tremblay")
    assert (view["allowed_commands"], view["editable"], view["may_mark"], view["todo"]) == ([], False, False, None)
    listed = ok(await reader.get("/requests", params={"q": view["number"]}))["items"]
    assert [row["id"] for row in listed] == [request_id]
    report_id = ok(await reader.get(f"/requests/{request_id}/reports"))[0]["report_id"]  # type: ignore[index]
    pdf = await reader.get(f"/requests/{request_id}/reports/{report_id}.pdf")
    assert (pdf.status_code, pdf.content[:5]) == (200, b"%PDF-")
    attachment_id = view["attachments"][0]["id"]
    seen = await reader.get(f"/requests/{request_id}/attachments/{attachment_id}/preview")
    assert seen.headers["content-type"] == "image/jpeg"
    own_draft = await draft(system)
    problem(await reader.get(f"/requests/{own_draft}"), 404, "not_found")

    looks: Any = ok(await system.requester.get(f"/requests/{request_id}/accesses"))
    by_system = [look for look in looks if look["system"]]
    assert {look["what"] for look in by_system} == {"request", "document", "preview"}
    assert {look["by"]["id"] for look in by_system} == {reader.id}
    assert {look["on_behalf_of"] for look in by_system} == {None}
    assert not any(look["on_behalf_of"] for look in looks)


async def test_what_a_system_reads_for_somebody_they_have_not_read(system: System) -> None:
    request_id = await reported(system)
    reader = await connected(system, "requests:read", "documents:read", on_behalf_of=system.requester.account.username)
    assert ok(await reader.get(f"/requests/{request_id}"))["is_new"] is True
    report_id = ok(await reader.get(f"/requests/{request_id}/reports"))[0]["report_id"]  # type: ignore[index]
    assert (await reader.get(f"/requests/{request_id}/reports/{report_id}.pdf")).status_code == 200
    async with system.services.database.session() as session:
        row = await session.get(RequestRecord, UUID(request_id))
        assert row is not None
        assert row.unread_colleagues_from is not None
    assert ok(await system.requester.get(f"/requests/{request_id}"))["is_new"] is True
    looks: Any = ok(await system.requester.get(f"/requests/{request_id}/accesses"))
    by_system = [look for look in looks if look["system"]]
    assert {look["what"] for look in by_system} == {"request", "document"}
    assert {look["on_behalf_of"]["id"] for look in by_system} == {system.requester.id}


async def test_a_look_for_somebody_else_is_another_one(system: System) -> None:
    """Within a few minutes, what one person looked at again is one look; a system may look for several."""
    request_id = await accepted(system)
    photo = (await system.requester.view(request_id))["attachments"][0]["id"]
    reading = await connected(system, "attachments:read")
    for whose in (None, system.requester.id, system.requester.id):
        http = by_secret(system, reading.secret, whose)
        async with http:
            answer = await http.get(f"/api/v1/requests/{request_id}/attachments/{photo}/thumbnail")
            assert answer.status_code == 200
    looks = (await system.requester.get(f"/requests/{request_id}/accesses")).json()
    by_system = [look["on_behalf_of"] for look in looks if look["by"]["id"] == reading.id]
    assert [whose and whose["id"] for whose in by_system] == [system.requester.id, None]


async def test_a_system_prepares_and_submits_for_somebody_and_the_history_names_both(system: System) -> None:
    whole = ok(await system.requester.get(f"/requests/{await draft(system)}"))
    name = f"Dossier {uuid4().hex[:8]}"
    scopes = ("drafts:write", "requests:submit", "requests:read", "attachments:read")
    writer = await connected(system, *scopes, name=name, on_behalf_of=system.requester.id)
    body = {"offering": "teledermatology", "patient": whole["patient"], "answers": whole["answers"]}
    key = {"Idempotency-Key": "order-4711"}
    request_id = ok(await writer.post("/requests", body, headers=key), 201)["id"]
    assert ok(await writer.post("/requests", body, headers=key), 201)["id"] == request_id
    own = await system.requester.post("/requests", body, key="order-4711")
    assert ok(own, 201)["id"] != request_id  # keys of the system are not those of the person
    as_somebody = Clinician(system.requester.account, writer.http)
    for slot in system.services.offerings["teledermatology"].attachments:
        for number in range(slot.minimum):
            ok(await upload(as_somebody, request_id, photo((320 + number, 240)), slot.name), 201)
    assert ok(await writer.get(f"/requests/{request_id}/check"))["errors"] == []
    assert ok(await system.requester.get(f"/requests/{request_id}"))["prepared_by"]["name"] == name
    offered = ok(await writer.get(f"/requests/{request_id}"))["allowed_commands"]
    assert offered == ["submit"]

    receipt = ok(await writer.post(f"/requests/{request_id}/submit", headers={"Idempotency-Key": "order-4711-sent"}))
    assert ok(await writer.get(f"/requests/{request_id}/commands/{receipt['command_id']}"))["state"] == "done"
    timeline: Any = ok(await system.requester.get(f"/requests/{request_id}/timeline"))
    submission = next(entry for entry in timeline if entry["name"] == "submitted")
    assert (submission["by"]["id"], submission["system"]["name"]) == (system.requester.id, name)
    assert f"{name}, pour {submission['by']['name']}" in words(await case_of(system.requester, request_id))
    problem(await writer.post(f"/requests/{request_id}/cancel", {"reason": "Non"}), 403, "insufficient_scope")

    by_hand = await submitted(system)
    timeline = ok(await system.requester.get(f"/requests/{by_hand}/timeline"))
    assert {entry["system"] for entry in timeline} == {None}


async def test_for_whom_a_system_may_act(system: System) -> None:
    scopes = ("drafts:write", "requests:read")
    writer = await connected(system, *scopes)
    body = {"offering": "teledermatology"}
    problem(await writer.post("/requests", body), 422, "person_needed")
    gone = await add_person(system, "gone", system.clinics["near"], Role.REQUESTER)
    ok(await system.administrator.post(f"/accounts/{gone.id}/lock"))
    for whom in (
        system.far_requester.id,
        system.far_requester.account.username,
        system.provider.id,  # asks for nothing
        gone.id,
        writer.id,
        str(uuid4()),
        "nobody",
        "x" * 201,
    ):
        http = by_secret(system, writer.secret, whom)
        problem(await http.post("/api/v1/requests", json=body), 422, "unknown_person")
        problem(await http.get("/api/v1/requests"), 422, "unknown_person")
    for whom in (system.requester2.id, system.requester2.account.username.upper()):
        http = by_secret(system, writer.secret, whom)
        request_id = ok(await http.post("/api/v1/requests", json=body), 201)["id"]
        assert ok(await system.requester2.get(f"/requests/{request_id}"))["requester"]["id"] == system.requester2.id
        problem(await by_secret(system, writer.secret).get(f"/api/v1/requests/{request_id}"), 404, "not_found")


async def test_a_system_sees_for_a_person_what_they_see_as_a_requester_only(system: System) -> None:
    """Whatever else they are: not what they hold as a provider, nor what they administer."""
    jack = await add_person(system, "jack", system.clinics["near"], *PEOPLE)
    request_id = await accepted(system)
    assert ok(await jack.get(f"/requests/{request_id}"))["access"] == "chart"
    reader = await connected(system, "requests:read", on_behalf_of=jack.id)
    problem(await reader.get(f"/requests/{request_id}"), 404, "not_found")


# Secrets, and the end of an access


async def status_by(system: System, secret: str) -> int:
    async with by_secret(system, secret) as http:
        return (await http.get("/api/v1/offerings")).status_code


async def test_two_secrets_live_at_once_and_each_can_be_ended(system: System) -> None:
    one = await connected(system, "catalogue:read")
    address = f"/service-accounts/{one.id}"
    assert one.secret.startswith("relais_sk_")
    assert await status_by(system, one.secret) == 200
    second = ok(await system.administrator.post(f"{address}/secrets"), 201)
    assert [await status_by(system, secret) for secret in (one.secret, second["secret"])] == [200, 200]
    newest, older = second["service_account"]["secrets"]
    assert (newest["ends_at"], newest["ending"]) == (None, second["secret"][-4:])
    assert datetime.fromisoformat(older["ends_at"]) > datetime.now(UTC) + timedelta(days=6)
    third = ok(await system.administrator.post(f"{address}/secrets", {"older_ends_in_hours": 1}), 201)
    found = [await status_by(system, secret) for secret in (one.secret, second["secret"], third["secret"])]
    assert found == [401, 200, 200]
    last = ok(await system.administrator.post(f"{address}/secrets", {"older_ends_in_hours": 0}), 201)
    found = [await status_by(system, secret) for secret in (second["secret"], third["secret"], last["secret"])]
    assert found == [401, 401, 200]
    events: Any = ok(await system.administrator.get(f"{address}/events"))
    told = [event["changes"]["secret"][0] for event in events if event["kind"] == "secret_ended"]
    assert sorted(told) == sorted(secret[-4:] for secret in (one.secret, second["secret"], third["secret"]))
    problem(await system.administrator.post(f"{address}/secrets", {"older_ends_in_hours": 721}), 422, "invalid_input")
    [left] = last["service_account"]["secrets"]
    ended = await system.administrator.http.delete(f"/api/v1{address}/secrets/{left['id']}")
    assert ok(ended)["secrets"] == []
    assert await status_by(system, last["secret"]) == 401
    again = await system.administrator.http.delete(f"/api/v1{address}/secrets/{left['id']}")
    problem(again, 404, "not_found")


async def test_a_lock_counts_in_every_process_and_an_expiry_too(system: System) -> None:
    one = await connected(system, "catalogue:read")
    database = Database.from_settings(system.services.settings)
    async with ProjectionFeed(database) as feed:
        other = Services(
            settings=system.settings,
            database=database,
            feed=feed,
            store=system.services.store,
            engine=system.services.engine,
            offerings=system.services.offerings,
        )
        elsewhere = httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(system.settings, other)),
            base_url="http://relais.test",
            headers=one.http.headers,
        )
        assert (await elsewhere.get("/api/v1/offerings")).status_code == 200
        assert ok(await system.administrator.post(f"/service-accounts/{one.id}/lock"))["state"] == "locked"
        problem(await elsewhere.get("/api/v1/offerings"), 401, "not_authenticated")
        ok(await system.administrator.post(f"/service-accounts/{one.id}/reopen"))
        assert (await elsewhere.get("/api/v1/offerings")).status_code == 200
        async with database.session() as session:
            over = update(ServiceAccount).where(ServiceAccount.account_id == UUID(one.id))
            await session.execute(over.values(expires_at=datetime.now(UTC) - timedelta(days=1)))
        problem(await elsewhere.get("/api/v1/offerings"), 401, "not_authenticated")
        assert ok(await system.administrator.get(f"/service-accounts/{one.id}"))["state"] == "expired"
        change = {"expires_on": str(day_of(datetime.now(UTC)))}
        ok(await system.administrator.http.patch(f"/api/v1/service-accounts/{one.id}", json=change))
        assert (await elsewhere.get("/api/v1/offerings")).status_code == 200  # its last day is a whole one
        await elsewhere.aclose()
    await database.close()


async def test_a_scope_that_is_taken_is_gone_with_the_next_call(system: System) -> None:
    one = await connected(system, "catalogue:read", "requests:read")
    assert (await one.get("/requests")).status_code == 200
    path = f"/api/v1/service-accounts/{one.id}"
    ok(await system.administrator.http.patch(path, json={"scopes": ["catalogue:read"]}))
    problem(await one.get("/requests"), 403, "insufficient_scope")
    assert (await one.get("/offerings")).status_code == 200


async def test_its_last_use_is_told_with_the_address(system: System) -> None:
    one = await connected(system, "catalogue:read")
    before = ok(await system.administrator.get(f"/service-accounts/{one.id}"))
    assert (before["last_used_at"], before["last_address"], before["secrets"][0]["last_used_at"]) == (None, None, None)
    ok_list: Any = await one.get("/offerings")
    assert ok_list.status_code == 200
    after = ok(await system.administrator.get(f"/service-accounts/{one.id}"))
    assert after["last_address"] == "127.0.0.1"
    assert after["last_used_at"] == after["secrets"][0]["last_used_at"] is not None


# Who looks after them


async def test_administrators_look_after_those_of_their_clinic_and_systems_never(
    system: System, far_administrator: Clinician
) -> None:
    target = await connected(system, *EVERYTHING)
    secret_id = ok(await system.administrator.get(f"/service-accounts/{target.id}"))["secrets"][0]["id"]
    near = str(system.clinics["near"].id)
    calls: list[tuple[str, str, Any]] = [
        ("GET", f"?clinic={near}", None),
        ("POST", "", new(clinic_id=near)),
        ("GET", f"/{target.id}", None),
        ("GET", f"/{target.id}/events", None),
        ("PATCH", f"/{target.id}", {"purpose": "Autre chose"}),
        ("POST", f"/{target.id}/lock", None),
        ("POST", f"/{target.id}/reopen", None),
        ("DELETE", f"/{target.id}/secrets/{secret_id}", None),
        ("POST", f"/{target.id}/secrets", None),
    ]
    expected = {"requester": 403, "dispatcher": 403, "provider": 403, "far": 404, "operator": None}
    for who, status in expected.items():
        by = far_administrator if who == "far" else system.people[who]
        for method, path, body in calls:
            answer = await by.http.request(method, f"/api/v1/service-accounts{path}", json=body)
            assert answer.status_code == status or (status is None and answer.is_success), (who, method, path)


async def test_no_page_or_address_of_people_takes_a_system_for_one(system: System) -> None:
    one = await connected(system, *EVERYTHING)
    there: Any = ok(await system.administrator.get("/accounts"))
    assert one.id not in {person["id"] for person in there}
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/events", None),
        ("PATCH", "", {"roles": ["provider"]}),
        ("POST", "/lock", None),
        ("POST", "/reopen", None),
        ("POST", "/leave", {}),
        ("POST", "/confirm", None),
        ("POST", "/password-help", None),
        ("POST", "/second-factor/reset", None),
        ("GET", "/identities", None),
    ):
        answer = await system.administrator.http.request(method, f"/api/v1/accounts/{one.id}{path}", json=body)
        problem(answer, 404, "not_found")
    problem(await system.administrator.get(f"/service-accounts/{system.requester.id}"), 404, "not_found")
    for password in ("-", PASSWORD, one.secret):
        credentials = {"username": f"service/{one.id}", "password": password}
        problem(await one.http.post("/api/v1/tokens", json=credentials), 401, "wrong_credentials")


async def test_what_was_done_is_kept_with_its_author_and_no_secret_is(system: System) -> None:
    one = await connected(system, "catalogue:read")
    path = f"/api/v1/service-accounts/{one.id}"
    changed = ok(await system.operator.http.patch(path, json={"scopes": ["requests:read"], "purpose": "Autre chose"}))
    assert ok(await system.operator.http.patch(path, json={"purpose": "Autre chose"}))["version"] == changed["version"]
    stale = {"If-Match": f'"{changed["version"] - 1}"'}
    problem(await system.operator.http.patch(path, json={"scopes": []}, headers=stale), 412, "account_changed")
    given = ok(await system.administrator.post(f"/service-accounts/{one.id}/secrets"), 201)
    ok(await system.administrator.post(f"/service-accounts/{one.id}/lock"))
    kept: Any = ok(await system.administrator.get(f"/service-accounts/{one.id}/events"))
    assert [event["kind"] for event in kept] == [
        *("locked", "secret_added", "changed", "secret_added", "service_account_added"),
    ]
    assert {event["by"] for event in kept if event["kind"] == "changed"} == {"Dre Anne Operator"}
    assert kept[2]["changes"] == {"scopes": [["catalogue:read"], ["requests:read"]], "purpose": None}
    assert {event["side"] for event in kept} == {"api"}
    async with system.services.database.session() as session:
        for table in ("service_secrets", "service_accounts", "accounts", "account_events"):
            whole = await session.scalar(text(f"SELECT coalesce(json_agg(t), '[]')::text FROM {table} t"))  # noqa: S608
            for secret in (one.secret, given["secret"]):
                assert secret.removeprefix("relais_sk_") not in str(whole), table


async def test_what_a_new_one_must_say(system: System) -> None:
    today = day_of(datetime.now(UTC))
    for wrong, field in (
        ({"expires_on": str(today - timedelta(days=1))}, "expires_on"),
        ({"expires_on": str(today + LASTS_AT_MOST + timedelta(days=1))}, "expires_on"),
        ({"name": "   "}, "name"),
        ({"purpose": ""}, "purpose"),
        ({"scopes": ["reports:sign"]}, "scopes.0"),
    ):
        body = problem(await system.administrator.post("/service-accounts", new(**wrong)), 422, "invalid_input")
        assert [error["field"] for error in body["errors"]] == [field]
    taken = new()
    ok(await system.administrator.post("/service-accounts", taken), 201)
    again = await system.administrator.post("/service-accounts", {**taken, "name": taken["name"].upper()})
    problem(again, 409, "service_account_name_taken")


async def test_a_clinic_has_so_many_and_no_more(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    async with system.services.database.session() as session:
        clinic = await people.add_clinic(session, code=f"small-{uuid4().hex[:8]}", name="Petite clinique")
    administrator = await add_person(system, f"boss_{uuid4().hex[:6]}", clinic, Role.CLINIC_ADMINISTRATOR)
    monkeypatch.setattr("use_cases.service_accounts.MOST_SERVICE_ACCOUNTS", 2)
    for _ in range(2):
        await connected(system, by=administrator)
    body = problem(await administrator.post("/service-accounts", new()), 409, "too_many_service_accounts")
    assert body["limit"] == 2


async def test_administrators_are_told_once_that_one_ends(system: System) -> None:
    async with system.services.database.session() as session:
        clinic = await people.add_clinic(session, code=f"small-{uuid4().hex[:8]}", name="Petite clinique")
    administrator = await add_person(system, f"boss_{uuid4().hex[:6]}", clinic, Role.CLINIC_ADMINISTRATOR)
    near_end = str(day_of(datetime.now(UTC)) + NOTICE_BEFORE - timedelta(days=1))
    ends = await connected(system, by=administrator, expires_on=near_end)
    await connected(system, by=administrator)

    async def letters() -> int:
        async with system.services.database.session() as session:
            written = AccountLetter.account_id == administrator.account.id
            kinds = await session.scalars(select(AccountLetter.kind).where(written))
            return kinds.all().count(LetterKind.SERVICE_ACCOUNT_ENDS)

    await tell_of_ends(system.services)
    await tell_of_ends(system.services)
    assert await letters() == 1
    assert ok(await administrator.get(f"/service-accounts/{ends.id}"))["ends_soon"] is True
    other_end = {"expires_on": str(day_of(datetime.now(UTC)) + timedelta(days=5))}
    ok(await administrator.http.patch(f"/api/v1/service-accounts/{ends.id}", json=other_end))
    await tell_of_ends(system.services)
    assert await letters() == 2
