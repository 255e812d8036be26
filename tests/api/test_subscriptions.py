"""Subscriptions over FHIR's addresses: made, read, changed, found and ended by a system, with its scopes, and what is refused."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from joserfc.jwk import ECKey

from domain.requests import Role
from domain.subscriptions import MOST_HEADERS, TOPICS, Topic
from records import people
from tests.api.conftest import Shelf
from tests.api.test_client_credentials import signing
from tests.api.test_fhir import BASE, call, outcome, read
from tests.api.test_fhir_access import ask, bearer
from tests.api.test_service_accounts import Integration, connected
from tests.fhir.checker import faults_of
from tests.journeys import ok
from tests.system import System, add_person, hasty

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
OPEN = ("subscriptions:write", "requests:read", "documents:read")
FHIR = "application/fhir+json"


def resource(**more: Any) -> dict[str, Any]:
    """A Subscription as a system sends it."""
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "Dossier Fleuve",
        "criteria": f"{BASE}/SubscriptionTopic/task-status",
        "channel": channel(),
        **more,
    }


def channel(**more: Any) -> dict[str, Any]:
    return {
        "type": "rest-hook",
        "endpoint": f"https://records.example.ca/{uuid4().hex}",
        "payload": FHIR,
        "_payload": content("id-only"),
        **more,
    }


def content(code: Any) -> dict[str, Any]:
    return {"extension": [{"url": f"{BACKPORT}/backport-payload-content", "valueCode": code}]}


def filtered(*said: Any) -> dict[str, Any]:
    return {"extension": [{"url": f"{BACKPORT}/backport-filter-criteria", "valueString": one} for one in said]}


def number(name: str, **value: Any) -> dict[str, Any]:
    return {"url": f"{BACKPORT}/{name}", **value}


async def sent(
    face: FastAPI, system: Integration, method: str, path: str = "", said: Any = None, **headers: str
) -> httpx.Response:
    own = {"Authorization": f"Bearer {system.secret}", **headers}
    more: dict[str, Any] = {} if said is None else {"json": said}
    if said is not None:
        own = {"Content-Type": FHIR, **own}
    return await call(face, None, f"/fhir/Subscription{path}", method, headers=own, **more)


async def test_the_life_of_a_subscription(system: System, face: FastAPI) -> None:
    reader = await connected(system, *OPEN)
    extensions = [
        number("backport-heartbeat-period", valueUnsignedInt=3600),
        number("backport-timeout", valueUnsignedInt=60),
        number("backport-max-count", valuePositiveInt=20),
    ]
    said = resource(
        _criteria=filtered("Task?status=completed,rejected", "status=rejected"),
        end="2030-01-01T00:00:00-05:00",
        contact=[{"system": "email", "value": "it@example.ca"}],
        channel=channel(extension=extensions, header=["Authorization: Bearer very-secret"]),
    )
    answer = await sent(face, reader, "POST", "", said)
    made = ok(answer, 201)
    assert answer.headers["location"] == f"{BASE}/Subscription/{made['id']}"
    assert answer.headers["etag"] == 'W/"1"'
    assert (made["status"], made["end"], made["criteria"]) == ("requested", "2030-01-01T05:00:00Z", said["criteria"])
    assert [one["valueString"] for one in made["_criteria"]["extension"]] == [
        "status=completed,rejected",
        "status=rejected",
    ]
    assert made["channel"]["extension"][1]["valueUnsignedInt"] == 15  # no call takes longer
    assert "very-secret" not in answer.text
    assert "header" not in made["channel"]

    path = f"/{made['id']}"
    assert ok(await sent(face, reader, "GET", path)) == made
    assert (await sent(face, reader, "GET", path, **{"If-None-Match": 'W/"1"'})).status_code == 304
    bundles = [ok(await sent(face, reader, "GET", f"?status=requested&url={said['channel']['endpoint']}"))]
    bundles.append(
        ok(
            await call(
                face,
                None,
                "/fhir/Subscription/_search",
                "POST",
                headers=bearer(reader.secret),
                data={"_id": made["id"]},
            )
        )
    )
    assert [[one["resource"]["id"] for one in found["entry"]] for found in bundles] == [[made["id"]], [made["id"]]]
    assert "entry" not in ok(await sent(face, reader, "GET", "?status=active"))

    status = ok(await sent(face, reader, "GET", f"{path}/$status"))
    assert status["type"] == "searchset"
    bundles += [status, ok(await sent(face, reader, "GET", "/$status?status=requested"))]
    by_post = {"resourceType": "Parameters", "parameter": [{"name": "id", "valueId": made["id"]}]}
    bundles.append(ok(await sent(face, reader, "POST", "/$status", by_post)))
    for bundle in bundles[2:]:
        [entry] = bundle["entry"]
        told = {one["name"]: one for one in entry["resource"]["parameter"]}
        assert told["type"]["valueCode"] == "query-status"
        assert told["status"]["valueCode"] == "requested"
        assert told["events-since-subscription-start"]["valueString"] == "0"
    events = ok(await sent(face, reader, "GET", f"{path}/$events?eventsSinceNumber=1&content=full-resource"))
    assert (events["type"], len(events["entry"])) == ("history", 1)
    asked = {"resourceType": "Parameters", "parameter": [{"name": "eventsUntilNumber", "valueString": "9"}]}
    bundles += [events, ok(await sent(face, reader, "POST", f"{path}/$events", asked))]
    statement = ok(await call(face, None, "/fhir/metadata"))
    assert [faults for faults in await faults_of([made, statement, *bundles]) if faults] == []

    change = {**made, "status": "off"}
    stale = await sent(face, reader, "PUT", path, change, **{"If-Match": 'W/"7"'})
    outcome(stale, 412, "conflict")
    off = ok(await sent(face, reader, "PUT", path, change, **{"If-Match": 'W/"1"'}))
    assert (off["status"], off["channel"], "error" in off) == ("off", made["channel"], False)
    again = await sent(face, reader, "PUT", path, {**off, "status": "requested", "reason": "Autre"})
    assert (ok(again)["status"], ok(again)["reason"]) == ("requested", "Autre")
    outcome(
        await sent(
            face,
            reader,
            "PUT",
            path,
            {**made, "criteria": f"{BASE}/SubscriptionTopic/communication", "_criteria": None},
        ),
        409,
        "conflict",
    )
    outcome(await sent(face, reader, "PUT", path, {**made, "id": str(uuid4())}), 400, "value")
    assert (await sent(face, reader, "DELETE", path)).status_code == 204
    for method, body in (("GET", None), ("DELETE", None), ("PUT", made)):
        outcome(await sent(face, reader, method, path, body), 404, "not-found")


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"status": None}, "required", "status"),
    ({"status": "error"}, "value", "status"),
    ({"reason": None}, "required", "reason"),
    ({"reason": "\x00 "}, "value", "reason"),
    ({"reason": 7}, "value", "reason"),
    ({"reason": "a" * 501}, "value", "reason"),
    ({"end": "2020-01-01T00:00:00Z"}, "business-rule", "end"),
    ({"end": "2030-01-01T00:00:00"}, "value", "end"),
    ({"end": "9999-12-31T23:59:59-14:00"}, "value", "end"),
    ({"end": ["x"]}, "value", "end"),
    ({"criteria": None}, "required", "criteria"),
    ({"criteria": "Task?status=completed"}, "not-supported", "criteria"),
    ({"criteria": f"{BASE}/SubscriptionTopic/other"}, "not-supported", "criteria"),
    ({"criteria": {"x": 1}}, "not-supported", "criteria"),
    ({"_criteria": filtered("patient=Patient/1")}, "not-supported", "criteria.extension"),
    ({"_criteria": filtered("status=nothing")}, "not-supported", "criteria.extension"),
    ({"_criteria": filtered("Communication.status=completed")}, "not-supported", "criteria.extension"),
    ({"_criteria": filtered("status:not=completed")}, "not-supported", "criteria.extension"),
    ({"_criteria": filtered("status=")}, "not-supported", "criteria.extension"),
    ({"_criteria": filtered(7)}, "not-supported", "criteria.extension"),
    (
        {
            "_criteria": filtered(
                *(f"status={one}" for one in TOPICS[Topic.TASK_STATUS].values),
                *["status=failed,completed", "status=failed,accepted", "status=failed,received"],
            )
        },
        "too-long",
        "criteria.extension",
    ),
    ({"implicitRules": "http://example.ca"}, "not-supported", "implicitRules"),
    ({"modifierExtension": [{"url": "x"}]}, "not-supported", "modifierExtension"),
    ({"channel": None}, "required", "channel"),
    ({"channel": [channel()]}, "required", "channel"),
    ({"channel": channel(modifierExtension=[])}, "not-supported", "channel.modifierExtension"),
    ({"channel": channel(type=None)}, "required", "channel.type"),
    ({"channel": channel(type="websocket")}, "not-supported", "channel.type"),
    (
        {"channel": channel(_type={"extension": [{"url": f"{BACKPORT}/backport-channel-type"}]})},
        "not-supported",
        "channel.type",
    ),
    ({"channel": channel(endpoint=None)}, "required", "channel.endpoint"),
    ({"channel": channel(endpoint=7)}, "value", "channel.endpoint"),
    ({"channel": channel(payload=None)}, "required", "channel.payload"),
    ({"channel": channel(payload="application/fhir+xml")}, "not-supported", "channel.payload"),
    ({"channel": channel(payload="application/fhir+json; fhirVersion=4.3")}, "not-supported", "channel.payload"),
    ({"channel": channel(payload=["application/fhir+json"])}, "not-supported", "channel.payload"),
    ({"channel": channel(_payload=None)}, "required", "channel.payload.extension"),
    ({"channel": channel(_payload=content("full-resource"))}, "not-supported", "channel.payload.extension"),
    ({"channel": channel(_payload=content("all"))}, "value", "channel.payload.extension"),
    ({"channel": channel(_payload=content(["empty"]))}, "value", "channel.payload.extension"),
    *(
        ({"channel": channel(header=header)}, "value", "channel.header")
        for header in (
            [],
            "Authorization: x",
            [7],
            ["Authorization"],
            ["Authorization: "],
            ["A B: c"],
            [": c"],
            ["X-A: b\r\nX-B: c"],
            ["X-A: é"],
            ["X-A: \x00"],
            ["X-A: 1", "x-a: 2"],
            ["Host: 10.0.0.1"],
            ["Content-Length: 0"],
            ["content-type: text/plain"],
            ["Transfer-Encoding: chunked"],
            ["Forwarded: for=10.0.0.1"],
            ["X-Forwarded-For: 10.0.0.1"],
            ["X-Forwarded-Host: a"],
            ["X-HTTP-Method-Override: DELETE"],
            ["X-HTTP-Method: PUT"],
            ["Via: 1.1 a"],
            ["X-A: " + "a" * 4_000],
            [f"X-{n}: a" for n in range(MOST_HEADERS + 1)],
        )
    ),
    *(
        ({"channel": channel(extension=[number(name, **value)])}, "value", f"channel.extension('{name}')")
        for name, value in (
            ("backport-heartbeat-period", {"valueUnsignedInt": 59}),
            ("backport-heartbeat-period", {"valueUnsignedInt": 604_801}),
            ("backport-heartbeat-period", {"valueUnsignedInt": "600"}),
            ("backport-heartbeat-period", {"valueUnsignedInt": True}),
            ("backport-heartbeat-period", {"valueInteger": 600}),
            ("backport-timeout", {"valueUnsignedInt": 0}),
            ("backport-max-count", {"valuePositiveInt": 0}),
            ("backport-max-count", {"valuePositiveInt": 10**400}),
        )
    ),
]


@pytest.fixture(scope="module")
async def reader(system: System) -> Integration:
    return await connected(system, *OPEN)


def without_nothing(said: Any) -> Any:
    if isinstance(said, dict):
        return {name: without_nothing(value) for name, value in said.items() if value is not None}
    return said


async def test_each_single_fault_has_its_issue(system: System, face: FastAPI, reader: Integration) -> None:
    for change, code, about in FAULTS:
        answer = await sent(face, reader, "POST", "", without_nothing(resource(**change)))
        outcome(answer, 422, code)
        issues = [(one["code"], one["expression"]) for one in answer.json()["issue"]]
        assert issues == [(code, [f"Subscription.{about}"])], change
    several = await sent(face, reader, "POST", "", {"resourceType": "Subscription"})
    assert [one["expression"][0].partition(".")[2] for one in several.json()["issue"]] == [
        *("status", "criteria", "channel", "reason"),
    ]
    assert "entry" not in ok(await sent(face, reader, "GET"))


INSIDE = [
    *("http://records.example.ca/", "ftp://records.example.ca/", "records.example.ca", "", "https://", "https://a b/"),
    *("https://127.0.0.1/", "https://10.0.0.1/", "https://169.254.169.254/latest/", "https://100.64.0.1/"),
    *("https://192.168.1.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://[fd00::1]/", "https://0.0.0.0/"),
    *(
        "https://[64:ff9b::a00:1]/",
        "https://[2002:a00:1::]/",
        "https://224.0.0.1/",
        "https://me:pw@records.example.ca/",
    ),
    *("https://records.example.ca:8443/", "https://records.example.ca/#x", "https://records.example.ca\\@10.0.0.1/"),
    *(
        "https://records.example.ca/\x00",
        "https://records.example.ca/" + "a" * 2_000,
        "https://records.example.ca:99999/",
    ),
]


async def test_no_address_inside_is_taken(system: System, face: FastAPI, reader: Integration) -> None:
    for url in INSIDE:
        answer = await sent(face, reader, "POST", "", resource(channel=channel(endpoint=url)))
        outcome(answer, 422, "security")
        assert answer.json()["issue"][0]["expression"] == ["Subscription.channel.endpoint"], url
        if len(url) > 20:
            assert url not in answer.text


async def test_what_is_no_subscription_is_refused(system: System, face: FastAPI, reader: Integration) -> None:
    headers = {**bearer(reader.secret), "Content-Type": FHIR}

    async def post(body: bytes, path: str = "", **more: str) -> httpx.Response:
        return await call(face, None, f"/fhir/Subscription{path}", "POST", headers={**headers, **more}, content=body)

    for body in (
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b'{"resourceType": "Task"}',
        b'{"resourceType": ["Subscription"]}',
        b"\xff",
    ):
        outcome(await post(body), 400, "structure")
    outcome(await post(b'{"a":' * 5_000 + b"1" + b"}" * 5_000), 400, "structure")
    outcome(await post(b"[" + b"1," * 300_000 + b"1]"), 413, "too-long")
    outcome(await post(b'{"resourceType": "Subscription", "resourceType": "Subscription"}'), 400, "structure")
    outcome(await post(b"<Subscription/>", **{"Content-Type": "application/fhir+xml"}), 415, "not-supported")
    outcome(await post(b"{}", "?foo=1"), 400, "not-supported")
    surrogate = b'{"resourceType": "Subscription", "reason": "\\ud800", "criteria": "\\ud800", "status": "\\ud800"}'
    assert (await post(surrogate)).status_code == 422
    for path, method, status, code in (
        ("/nothing", "GET", 404, "not-found"),
        (f"/{uuid4()}", "GET", 404, "not-found"),
        (f"/{uuid4()}/$events", "GET", 404, "not-found"),
        ("?criteria=x", "GET", 400, "not-supported"),
        ("?_id=a%00", "GET", 400, "invalid"),
        (f"/{uuid4()}/$events?eventsSinceNumber=x", "GET", 400, "invalid"),
        (f"/{uuid4()}/$events?eventsSinceNumber=1&eventsSinceNumber=2", "GET", 400, "invalid"),
        (f"/{uuid4()}/$events?other=2", "GET", 400, "not-supported"),
        (f"/{uuid4()}/$get-ws-binding-token", "GET", 404, "not-found"),
        (f"/{uuid4()}", "PATCH", 405, "not-supported"),
    ):
        outcome(await sent(face, reader, method, path), status, code)
    mine = ok(await sent(face, reader, "POST", "", resource()), 201)
    outcome(await sent(face, reader, "PUT", f"/{mine['id']}", mine, **{"If-Match": "7"}), 400, "value")
    outcome(await sent(face, reader, "POST", "", mine), 409, "conflict")
    outcome(
        await sent(face, reader, "POST", f"/{mine['id']}/$events", {"parameter": [{"name": "content"}]}), 400, "invalid"
    )


async def test_scopes_open_what_they_name(system: System, face: FastAPI) -> None:
    client = await signing(system, ECKey.generate_key("P-384", private=True), *OPEN)
    every = ok(await ask(face, client))["scope"].split()
    assert "system/Subscription.cruds" in every
    made: str | None = None
    for scope, may in (
        ("system/Subscription.c", {"POST"}),
        ("system/Subscription.read", {"GET", "search", "status"}),
        ("system/Subscription.u", {"PUT"}),
        ("system/Subscription.d", {"DELETE"}),
        ("system/Task.rs system/DiagnosticReport.rs", set()),
    ):
        token = ok(await ask(face, client, scope=scope))["access_token"]
        headers = {**bearer(token), "Content-Type": FHIR}
        said = resource()
        for what, method, path in (
            ("POST", "POST", ""),
            ("GET", "GET", f"/{made}"),
            ("status", "GET", f"/{made}/$status"),
            ("search", "GET", ""),
            ("PUT", "PUT", f"/{made}"),
            ("DELETE", "DELETE", f"/{made}"),
        ):
            body = {"json": {**said, "id": made} if method == "PUT" else said} if method in ("POST", "PUT") else {}
            answer = await call(face, None, f"/fhir/Subscription{path}", method, headers=headers, **body)
            if what in may:
                assert answer.status_code in (200, 201, 204), (scope, what, answer.text)
                made = answer.json()["id"] if method == "POST" else made
            else:
                outcome(answer, 403, "forbidden")
    refused = await ask(face, client, scope="system/Subscription.xyz")
    assert refused.json()["error"] == "invalid_scope"
    poor = await signing(
        system, ECKey.generate_key("P-384", private=True), "requests:read", "documents:read", "catalogue:read"
    )
    assert (await ask(face, poor, scope="system/Subscription.c")).json()["error"] == "invalid_scope"
    token = ok(await ask(face, poor, scope="system/*.rs"))[
        "access_token"
    ]  # as before: no account loses what it could ask for
    outcome(await call(face, None, "/fhir/Subscription", headers=bearer(token)), 403, "forbidden")


async def test_people_have_none_and_other_clinics_find_none(system: System, face: FastAPI, reader: Integration) -> None:
    mine = ok(await sent(face, reader, "POST", "", resource()), 201)
    neighbour = await connected(system, *OPEN)
    async with system.services.database.session() as session:
        clinic = await people.add_clinic(session, code=f"alone-{uuid4().hex[:8]}", name="Clinique isolée")
    boss = await add_person(system, f"alone_{uuid4().hex[:6]}", clinic, Role.CLINIC_ADMINISTRATOR)
    stranger = await connected(system, *OPEN, by=boss)
    for other in (neighbour, stranger):
        for method, path, body in (
            ("GET", "", None),
            ("PUT", "", mine),
            ("DELETE", "", None),
            ("GET", "/$status", None),
            ("GET", "/$events", None),
        ):
            outcome(await sent(face, other, method, f"/{mine['id']}{path}", body), 404, "not-found")
        assert "entry" not in ok(await sent(face, other, "GET", f"?_id={mine['id']}"))
        assert "entry" not in ok(await sent(face, other, "GET", f"/$status?id={mine['id']}"))
    for who in (system.administrator, system.operator, system.requester):
        for path in ("", f"/{mine['id']}", f"/{mine['id']}/$events"):
            outcome(await call(face, who, f"/fhir/Subscription{path}"), 403, "forbidden")
    assert ok(await sent(face, reader, "GET", f"/{mine['id']}")) == mine


async def test_every_topic_is_told_of_and_what_it_leads_to_is_there(
    system: System, face: FastAPI, shelf: Shelf, reader: Integration
) -> None:
    statement = ok(await call(face, None, "/fhir/metadata"))
    told = next(one for one in statement["rest"][0]["resource"] if one["type"] == "Subscription")
    assert [one["valueCanonical"] for one in told["extension"]] == [
        f"{BASE}/SubscriptionTopic/{one.value}" for one in Topic
    ]
    for one in Topic:
        about = TOPICS[one]
        made = resource(
            criteria=f"{BASE}/SubscriptionTopic/{one.value}",
            _criteria=filtered(f"{about.kind}.{about.parameter}={','.join(about.values)}"),
        )
        ok(await sent(face, reader, "POST", "", made), 201)
        assert await read(face, system.administrator, f"{about.kind}?_count=1")


async def test_administrators_see_them_and_turn_them_off(system: System, face: FastAPI, reader: Integration) -> None:
    mine = ok(await sent(face, reader, "POST", "", resource(channel=channel(header=["X-Key: hush"]))), 201)
    boss = system.administrator
    answer = await boss.get("/subscriptions")
    listed: list[dict[str, Any]] = answer.json()
    [shown] = [one for one in listed if one["id"] == mine["id"]]
    assert "hush" not in answer.text
    assert (shown["url"], shown["status"], shown["topic"]) == (mine["channel"]["endpoint"], "requested", "task-status")
    assert shown["service_account_id"] == reader.id
    async with system.services.database.session() as session:
        clinic = await people.add_clinic(session, code=f"alone-{uuid4().hex[:8]}", name="Clinique isolée")
    stranger = await add_person(system, f"alone_{uuid4().hex[:6]}", clinic, Role.CLINIC_ADMINISTRATOR)
    assert (await stranger.get("/subscriptions")).json() == []
    assert (await stranger.post(f"/subscriptions/{mine['id']}/turn-off")).status_code == 404
    assert (await system.requester.get("/subscriptions")).status_code == 403
    assert (await system.requester.post(f"/subscriptions/{mine['id']}/turn-off")).status_code == 403
    assert ok(await boss.post(f"/subscriptions/{mine['id']}/turn-off"))["status"] == "off"
    assert ok(await boss.post(f"/subscriptions/{mine['id']}/turn-off"))["disabled_reason"] == "by_hand"
    outcome(await sent(face, reader, "PUT", f"/{mine['id']}", mine), 409, "conflict")
    assert ok(await sent(face, reader, "GET", f"/{mine['id']}"))["status"] == "off"


async def test_what_is_over_or_off_is_not_begun(face: FastAPI, system: System) -> None:
    reader = await connected(system, *OPEN)
    outcome(await sent(face, reader, "POST", "", resource(status="off")), 422, "business-rule")
    for status in ("requested", "off"):
        made = ok(await sent(face, reader, "POST", "", resource()), 201)
        past = {**made, "status": status, "end": "2026-01-01T00:00:00Z"}
        ended = await sent(face, reader, "PUT", f"/{made['id']}", past)
        outcome(ended, 422, "business-rule")
        assert ok(await sent(face, reader, "GET", f"/{made['id']}"))["status"] == "requested"


async def test_a_system_makes_and_changes_so_many_in_an_hour(face: FastAPI, system: System) -> None:
    """Each calls an address that has said nothing yet."""
    reader, neighbour = await connected(system, *OPEN), await connected(system, *OPEN)
    with hasty(face, subscriptions_per_hour=3):
        made = ok(await sent(face, reader, "POST", "", resource()), 201)
        path = f"/{made['id']}"
        ok(await sent(face, reader, "PUT", path, {**made, "reason": "Autre"}))
        assert (await sent(face, reader, "DELETE", path)).status_code == 204
        refused = await sent(face, reader, "POST", "", resource())
        outcome(refused, 429, "throttled")
        assert int(refused.headers["retry-after"]) > 600
        assert ok(await sent(face, reader, "GET")).get("entry", []) == []
        ok(await sent(face, neighbour, "POST", "", resource()), 201)


async def test_who_asks_slowly_is_not_waited_for(
    face: FastAPI, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("use_cases.verification.RECEIVED_WITHIN", timedelta(milliseconds=50))
    reader = await connected(system, *OPEN)
    falls_silent = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await falls_silent.wait()

    headers = {**bearer(reader.secret), "Content-Type": FHIR}
    answer = await call(face, None, "/fhir/Subscription/$status", "POST", headers=headers, content=body())
    outcome(answer, 408, "processing")
