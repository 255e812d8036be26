"""Who may read what by FHIR: another clinic nothing, a system what its token and its account open; and how tokens are given."""

import time
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from joserfc.jwk import ECKey, RSAKey

from domain.requests import Role
from domain.smart_scopes import OPENED_BY
from records import people
from records.ids import new_id
from tests.api.conftest import Shelf
from tests.api.test_audit import since
from tests.api.test_client_credentials import ADDRESS, Client, refused, signing
from tests.api.test_fhir import BASE, OF_ONE, all_of, call, found, outcome
from tests.api.test_hand_over import routed_far
from tests.api.test_service_accounts import connected
from tests.journeys import assigned, filled, ok, submitted
from tests.system import PASSWORD, System, add_person
from use_cases.client_credentials import ASSERTION_TYPE

TOKEN = f"{BASE}/token"
READING = ("requests:read", "documents:read", "catalogue:read")


def bearer(token: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **more}


async def ask(face: FastAPI, client: Client, **more: str) -> httpx.Response:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": client.assertion(aud=TOKEN),
        **more,
    }
    return await call(face, None, "/fhir/token", "POST", data=form)


@pytest.fixture(scope="module")
def curve() -> ECKey:
    return ECKey.generate_key("P-384", private=True)


async def test_another_clinic_finds_nothing(system: System, face: FastAPI, shelf: Shelf) -> None:
    request_id = shelf.by_status["reported"]
    async with system.services.database.session() as session:  # one that has to do with nobody
        clinic = await people.add_clinic(session, code=f"alone-{uuid4().hex[:8]}", name="Clinique isolée")
    roles = (Role.CLINIC_ADMINISTRATOR, Role.DISPATCHER, Role.PROVIDER, Role.REQUESTER)
    theirs = [await add_person(system, f"alone_{uuid4().hex[:6]}", clinic, role) for role in roles]
    resources = await all_of(face, system.administrator, request_id)
    assert {one["resourceType"] for one in resources} >= set(OF_ONE) - {"Communication"}
    for who in theirs:
        for one in resources:
            path = f"/fhir/{one['resourceType']}/{one['id']}"
            outcome(await call(face, who, path), 404, "not-found")
        outcome(await call(face, who, f"/fhir/Binary/{resources[-1]['id']}"), 404, "not-found")
        assert await all_of(face, who, request_id) == []
        for kind in ("Practitioner", "PractitionerRole"):
            outcome(await call(face, who, f"/fhir/{kind}/{system.provider.id}"), 404, "not-found")
        outcome(await call(face, who, f"/fhir/Organization/{system.clinics['near'].id}"), 404, "not-found")
        own = await call(face, who, f"/fhir/Organization/{clinic.id}")
        assert ok(own)["name"] == "Clinique isolée"


async def test_who_signed_for_another_clinic_is_known_with_it(system: System, face: FastAPI) -> None:
    """Also once the request is not theirs any more."""
    request_id = await routed_far(system)
    far = system.far_provider
    answers = filled(system.services.offerings["teledermatology"].report)
    ok(await far.http.put(f"/api/v1/requests/{request_id}/report", json={"answers": answers}))
    ok(await far.post(f"/requests/{request_id}/report/sign", {"kind": "final", "password": PASSWORD}))
    for who in (system.requester, system.administrator):
        (document,) = await found(face, who, f"DocumentReference?patient={request_id}")
        for reference in (document["custodian"]["reference"], document["author"][0]["reference"]):
            assert ok(await call(face, who, f"/fhir/{reference.removeprefix(f'{BASE}/')}"))


async def test_an_operator_sees_that_a_request_is_there_and_no_chart(
    system: System, face: FastAPI, shelf: Shelf
) -> None:
    request_id = shelf.by_status["accepted"]
    outcome(await call(face, system.operator, f"/fhir/Patient/{request_id}"), 403, "forbidden")
    assert await found(face, system.operator, f"Task?based-on={request_id}") == []
    assert await found(face, system.operator, "Task?_count=5") == []


async def test_a_token_opens_the_types_that_it_names_and_nothing_else(
    system: System, face: FastAPI, shelf: Shelf, curve: ECKey
) -> None:
    client = await signing(system, curve, *READING)
    request_id = shelf.by_status["reported"]
    given = ok(await ask(face, client, scope="system/Task.s system/Patient.read"))
    assert given["scope"] == "system/Task.s system/Patient.read"
    assert (given["token_type"], given["expires_in"]) == ("bearer", 300)
    headers = bearer(given["access_token"])
    for path, is_open in (
        (f"Task?based-on={request_id}", True),
        (f"Task/{request_id}.1", False),
        (f"Patient/{request_id}", True),
        (f"Patient?_id={request_id}", True),
        (f"ServiceRequest/{request_id}", False),
        ("Questionnaire", False),
    ):
        answer = await call(face, None, f"/fhir/{path}", headers=headers)
        assert answer.status_code == (200 if is_open else 403), path
        if not is_open:
            outcome(answer, 403, "forbidden")
            assert 'scope="system/' in answer.headers["www-authenticate"]
    for path in ("/api/v1/requests", f"/api/v1/requests/{request_id}", "/api/v1/offerings"):
        assert (await call(face, None, path, headers=headers)).status_code == 403
    address = f"/api/v1/service-accounts/{client.account.id}"
    ok(await system.administrator.http.patch(address, json={"scopes": ["documents:read"]}))
    taken = await call(face, None, f"/fhir/Patient/{request_id}", headers=headers)
    outcome(taken, 403, "forbidden")  # what is taken is gone at once


async def test_without_a_scope_every_address_is_closed_and_each_opens_its_own(
    system: System, face: FastAPI, shelf: Shelf
) -> None:
    """A system that comes by its secret, or by a token for the API: the scopes of its account count."""
    request_id = shelf.by_status["reported"]
    for scopes in ((), *((scope,) for scope in READING)):
        one = await connected(system, *scopes)
        for kind, opened_by in OPENED_BY.items():
            answer = await call(face, None, f"/fhir/{kind}/{uuid4()}", headers=bearer(one.secret))
            expected = 404 if set(scopes).intersection(opened_by) else 403
            assert answer.status_code == expected, (kind, scopes)
    one = await connected(system, *READING)
    whom = {"Relais-On-Behalf-Of": system.requester2.id}
    assert ok(await call(face, None, f"/fhir/Patient/{request_id}", headers=bearer(one.secret)))["id"] == request_id
    theirs = await call(face, None, f"/fhir/Patient/{request_id}", headers=bearer(one.secret, **whom))
    outcome(theirs, 404, "not-found")  # requester2 has nothing to do with it


async def test_a_system_finds_a_request_by_what_it_calls_it_itself(system: System, face: FastAPI) -> None:
    request_id = await submitted(system)
    one, other = [await connected(system, *READING, "drafts:write") for _ in range(2)]
    reference, systems = f"ORD-{uuid4()}", f"{BASE}/identifiers/reference"
    for_requester = bearer(one.secret, **{"Relais-On-Behalf-Of": system.requester.id})
    address = f"/api/v1/requests/{request_id}/reference"
    ok(await call(face, None, address, "PUT", headers=for_requester, json={"reference": reference}))
    for headers, is_told in (
        (bearer(one.secret), True),
        (bearer(other.secret), False),
        ({"Authorization": system.administrator.http.headers["Authorization"]}, True),
        ({"Authorization": system.far_dispatcher.http.headers["Authorization"]}, False),
    ):
        for search in ("ServiceRequest?identifier", "Task?based-on:identifier"):
            path = f"/fhir/{search}={systems}/{one.id}|{reference}"
            assert bool(ok(await call(face, None, path, headers=headers)).get("entry")) is is_told, path
    told = ok(await call(face, None, f"/fhir/ServiceRequest/{request_id}", headers=bearer(one.secret)))
    assert told["identifier"][1]["value"] == reference
    assert told["identifier"][1]["system"] == f"{systems}/{one.id}"
    hidden = ok(await call(face, None, f"/fhir/ServiceRequest/{request_id}", headers=bearer(other.secret)))
    assert len(hidden["identifier"]) == 1
    for wrong in (f"{systems}/x", f"{systems}/{other.id}", systems):
        path = f"/fhir/ServiceRequest?identifier={wrong}|{reference}"
        assert "entry" not in ok(await call(face, None, path, headers=bearer(one.secret)))


async def test_tokens_are_given_as_smart_asks(system: System, face: FastAPI, curve: ECKey) -> None:
    for key in (curve, RSAKey.generate_key(2048, private=True)):
        client = await signing(system, key, "requests:read")
        every = ok(await ask(face, client))["scope"].split()
        assert every == [f"system/{kind}.rs" for kind, by in OPENED_BY.items() if "requests:read" in by]
    in_an_hour = int(time.time()) + 3_600
    for claims in (
        {"aud": "http://relais.test"},
        {"aud": BASE},
        {"aud": ADDRESS},  # for the API
        {"aud": TOKEN, "exp": in_an_hour},
        {"aud": TOKEN, "sub": str(uuid4())},
        {"aud": TOKEN, "jti": None},
    ):
        refused(await ask(face, client, client_assertion=client.assertion(**claims)), 401, "invalid_client")
    once = client.assertion(aud=TOKEN)
    ok(await ask(face, client, client_assertion=once))
    refused(await ask(face, client, client_assertion=once), 401, "invalid_client")
    for scope in (
        "system/*.rs",
        "system/DocumentReference.rs",
        "system/Task.cruds",
        "system/Foo.r",
        "user/Task.rs",
        "system/Task.",
    ):
        refused(await ask(face, client, scope=scope), 400, "invalid_scope")
    refused(await ask(face, client, grant_type="password"), 400, "unsupported_grant_type")
    for_fhir = client.assertion(aud=TOKEN)
    refused(await client.ask(for_fhir), 401, "invalid_client")


async def test_who_looked_is_told_to_the_requester_and_to_administrators(system: System, face: FastAPI) -> None:
    request_id = await assigned(system)
    reader = await connected(system, *READING)
    for headers in (bearer(reader.secret, **{"Relais-On-Behalf-Of": system.requester.id}), bearer(reader.secret)):
        ok(await call(face, None, f"/fhir/Patient/{request_id}", headers=headers))
        closed = await call(face, None, f"/fhir/AuditEvent?patient={request_id}", headers=headers)
        outcome(closed, 403, "forbidden")  # no scope opens it
    ok(await call(face, system.provider, f"/fhir/Patient/{request_id}"))
    for who in (system.requester, system.administrator):
        before = new_id()
        newest, by_system, for_somebody, *_ = await found(face, who, f"AuditEvent?entity=ServiceRequest/{request_id}")
        assert newest["agent"][0]["who"]["reference"] == f"PractitionerRole/{system.provider.id}"
        assert newest["purposeOfEvent"][0]["coding"][0]["code"] == "TREAT"
        assert [agent["requestor"] for agent in for_somebody["agent"]] == [True, False]
        assert by_system["agent"][0]["who"]["identifier"]["value"] == reader.id
        assert ok(await call(face, who, f"/fhir/AuditEvent/{newest['id']}")) == newest
        entries = await since(system, before)
        assert {(entry.kind.value, entry.name, str(entry.request_id)) for entry in entries} == {
            ("look", "accesses", request_id)
        }
    along = []
    path = f"/fhir/AuditEvent?patient={request_id}&_count=2"
    while path:
        bundle = ok(await call(face, system.requester, path))
        along += [entry["resource"]["id"] for entry in bundle.get("entry", [])]
        path = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    whole = await found(face, system.requester, f"AuditEvent?patient={request_id}&_count=100")
    assert along == [one["id"] for one in whole]
    later = await found(face, system.requester, f"AuditEvent?patient={request_id}&date=gt{whole[1]['recorded']}")
    assert [one["id"] for one in later] == along[:1]
    outcome(await call(face, system.provider, f"/fhir/AuditEvent?patient={request_id}"), 403, "forbidden")
    outcome(await call(face, system.far_dispatcher, f"/fhir/AuditEvent/{along[0]}"), 404, "not-found")
    outcome(await call(face, system.requester, "/fhir/AuditEvent"), 400, "required")


async def test_every_look_is_written_down(system: System, face: FastAPI, shelf: Shelf) -> None:
    """With who looked, the request, and by what; of a list, what it showed; of a refusal, that it was one."""
    request_id = shelf.by_status["closed"]
    reader = await connected(system, *READING, on_behalf_of=system.requester.id)
    headers = bearer(reader.secret, **{"Relais-On-Behalf-Of": system.requester.id})
    resources = await all_of(face, system.administrator, request_id)
    report_id = next(one["id"] for one in resources if one["resourceType"] == "DocumentReference")
    for path, method, kinds in (
        (f"Patient/{request_id}", "GET", {"request"}),
        (f"Task/{request_id}.1", "GET", {"request"}),
        (f"Binary/{report_id}", "GET", {"document"}),
        (f"Provenance/{report_id}", "GET", {"request"}),
        (f"QuestionnaireResponse?patient={request_id}", "GET", {"request"}),
        ("Patient/_search", "POST", {"request"}),
        (f"Practitioner/{system.provider.id}", "GET", {"look"}),
        (f"Patient/{uuid4()}", "GET", {"refused"}),
    ):
        before = new_id()
        more: dict[str, Any] = {"data": {"_id": request_id}} if method == "POST" else {}
        await call(face, None, f"/fhir/{path}", method, headers=headers, **more)
        entries = await since(system, before)
        assert {entry.kind.value for entry in entries} == kinds, path
        for entry in entries:
            assert (str(entry.account_id), str(entry.for_account_id)) == (reader.id, system.requester.id)
            if entry.kind.value in ("request", "document"):
                assert entry.request_id == UUID(request_id), path
