"""Webhooks by the API: who may look after them, what is shown, and what is refused."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from domain.audit import Act
from domain.requests import Role
from domain.webhooks import CHOSEN, MOST_ENDPOINTS
from key_ring import sealed_with
from records.models import AccountEvent, AuditEntry, WebhookEndpoint, WebhookMessage
from tests.api.answers import problem
from tests.journeys import ok
from tests.system import Clinician, System, add_person
from use_cases.webhooks import seal_anew


@pytest.fixture(scope="module")
async def elsewhere(system: System) -> Clinician:
    return await add_person(system, "administrator_elsewhere", system.clinics["far"], Role.CLINIC_ADMINISTRATOR)


def address() -> str:
    return f"https://records.example.ca/{uuid4().hex}"


async def made(who: Clinician, **more: Any) -> dict[str, Any]:
    return ok(await who.post("/webhooks", {"url": address(), **more}), 201)


async def removed(who: Clinician) -> None:
    for one in (await who.get("/webhooks")).json():
        assert (await who.http.delete(f"/api/v1/webhooks/{one['id']}")).status_code == 204


async def test_the_life_of_a_webhook(system: System) -> None:
    who, began = system.administrator, datetime.now(UTC)
    given = await made(who, event_types=["report.document_ready"], description="Dossier Fleuve")
    webhook, secret = given["webhook"], given["secret"]
    assert secret.startswith("whsec_")
    assert webhook | {"url": "", "created_at": ""} == {
        "id": webhook["id"],
        "clinic_id": str(system.clinics["near"].id),
        "clinic": "Clinique du Fleuve",
        "url": "",
        "event_types": ["report.document_ready"],
        "description": "Dossier Fleuve",
        "state": "unverified",
        "disabled_reason": None,
        "failing_since": None,
        "paused_until": None,
        "verified_at": None,
        "older_secret_ends_at": None,
        "created_at": "",
        "version": 1,
    }
    where = f"/webhooks/{webhook['id']}"
    [test] = ok(await who.get(f"{where}/messages"))["items"]
    assert (test["type"], test["state"], test["webhook_id"]) == (
        "webhook.test",
        "pending",
        f"msg_{test['message_id']}",
    )
    assert (await who.get(f"{where}/messages/{test['message_id']}/attempts")).json() == []

    read = await who.get(where)
    assert read.json() == webhook
    assert read.headers["etag"].startswith('"1.')
    assert secret not in read.text
    change = {"enabled": False, "event_types": ["account.locked"]}
    problem(await who.http.patch(f"/api/v1{where}", json=change, headers={"If-Match": '"7"'}), 412, "webhook_changed")
    off = ok(await who.http.patch(f"/api/v1{where}", json=change, headers={"If-Match": '"1"'}))
    assert (off["state"], off["disabled_reason"], off["event_types"]) == ("disabled", "by_hand", ["account.locked"])
    again = ok(await who.http.patch(f"/api/v1{where}", json=change, headers={"If-Match": '"1"'}))
    assert again == off  # the same change a second time changes nothing
    for what, body in (("test", None), ("replay", {"since": "2026-11-27T05:00:00Z"})):
        problem(await who.post(f"{where}/{what}", body), 409, "webhook_disabled")
    problem(await who.post(f"{where}/messages/{test['message_id']}/replay"), 409, "webhook_disabled")
    on = ok(await who.http.patch(f"/api/v1{where}", json={"enabled": True}))
    assert (on["state"], on["disabled_reason"]) == ("unverified", None)
    problem(await who.post(f"{where}/messages/{test['message_id']}/replay"), 409, "webhook_not_replayable")
    problem(await who.post(f"{where}/messages/{uuid4()}/replay"), 404, "not_found")
    assert ok(await who.post(f"{where}/replay", {"since": "2026-11-27T05:00:00Z"}), 202) == {"messages": 0}
    assert ok(await who.post(f"{where}/test"), 202)["state"] == "pending"
    rotated = ok(await who.post(f"{where}/rotate"), 201)
    assert rotated["secret"] != secret
    assert rotated["webhook"]["older_secret_ends_at"] is not None
    states = [one["state"] for one in ok(await who.get(f"{where}/messages"))["items"]]
    assert states == ["pending", "failed", "failed"]  # only the newest challenge counts
    page = ok(await who.get(f"{where}/messages", params={"status": "failed", "limit": 1}))
    assert len(page["items"]) == 1
    rest = ok(await who.get(f"{where}/messages", params={"status": "failed", "before": page["next"]}))
    assert (len(rest["items"]), rest["next"]) == (1, None)

    assert (await who.http.delete(f"/api/v1{where}")).status_code == 204
    problem(await who.get(where), 404, "not_found")
    async with system.services.database.session() as session:
        query = select(AccountEvent).where(
            AccountEvent.clinic_id == system.clinics["near"].id,
            AccountEvent.kind.startswith("webhook_"),
            AccountEvent.at >= began,
        )
        noted = list(await session.scalars(query.order_by(AccountEvent.id)))
        acts = select(AuditEntry).where(AuditEntry.object_id.in_([event.id for event in noted]))
        entries = list(await session.scalars(acts.order_by(AuditEntry.id)))
    assert [(entry.kind, entry.name, entry.account_id) for entry in entries] == [
        (Act.ACCOUNT, event.kind, who.account.id) for event in noted
    ]
    assert [event.kind.removeprefix("webhook_") for event in noted] == [
        *("added", "changed", "changed", "replayed", "tested", "secret_added", "removed")
    ]
    for event in noted:
        assert (event.actor_id, event.side) == (who.account.id, "api")
        assert event.changes["webhook"] == [None, "records.example.ca"]
        assert secret not in str(event.changes)


async def test_only_who_administers_the_clinic_sees_them(system: System, elsewhere: Clinician) -> None:
    given = await made(system.administrator)
    where = f"/webhooks/{given['webhook']['id']}"
    message = ok(await system.administrator.get(f"{where}/messages"))["items"][0]["message_id"]

    async def all_of(who: Clinician, status: int, code: str) -> None:
        for path in (where, f"{where}/messages", f"{where}/messages/{message}/attempts"):
            problem(await who.get(path), status, code)
        for path in (f"{where}/rotate", f"{where}/test", f"{where}/messages/{message}/replay"):
            problem(await who.post(path), status, code)
        problem(await who.post(f"{where}/replay", {"since": "2026-11-27T05:00:00Z"}), status, code)
        problem(await who.http.patch(f"/api/v1{where}", json={"enabled": False}), status, code)
        problem(await who.http.delete(f"/api/v1{where}"), status, code)

    await all_of(elsewhere, 404, "not_found")
    near = str(system.clinics["near"].id)
    problem(await elsewhere.get("/webhooks", params={"clinic": near}), 404, "not_found")
    problem(await elsewhere.post("/webhooks", {"url": address(), "clinic_id": near}), 404, "not_found")
    assert (await elsewhere.get("/webhooks")).json() == []
    for who in (system.requester, system.dispatcher, system.provider):
        await all_of(who, 403, "forbidden")
        problem(await who.get("/webhooks"), 403, "forbidden")
        problem(await who.post("/webhooks", {"url": address()}), 403, "forbidden")
    assert ok(await system.operator.get(where))["id"] == given["webhook"]["id"]
    await removed(system.administrator)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://records.example.ca/", "not_https"),
        ("https://169.254.169.254/latest", "address_not_public"),
        ("https://[::ffff:10.0.0.1]/", "address_not_public"),
        ("http://127.0.0.1:8000/", "not_https"),
        ("https://user:secret@records.example.ca/", "not_a_web_address"),
        ("https://records.example.ca:22/", "port_not_allowed"),
    ],
)
async def test_where_nothing_may_go(system: System, url: str, code: str) -> None:
    found = problem(await system.administrator.post("/webhooks", {"url": url}), 422, "invalid_input")
    assert [(one["field"], one["code"]) for one in found["errors"]] == [("url", code)]


@pytest.mark.parametrize("types", [["account.locked", "fhir.notification"], ["fhir.heartbeat"], ["webhook.test"]])
async def test_only_what_may_be_chosen_is(system: System, elsewhere: Clinician, types: list[str]) -> None:
    """With a test alone, which comes to each, an endpoint would be told of nothing."""
    found = problem(await elsewhere.post("/webhooks", {"url": address(), "event_types": types}), 422, "invalid_input")
    assert [one["field"].partition(".")[0] for one in found["errors"]] == ["event_types"]
    given = await made(elsewhere)
    there = f"/api/v1/webhooks/{given['webhook']['id']}"
    problem(await elsewhere.http.patch(there, json={"event_types": types}), 422, "invalid_input")
    assert ok(await elsewhere.get(f"/webhooks/{given['webhook']['id']}"))["event_types"] == list(CHOSEN)
    assert (await elsewhere.http.delete(there)).status_code == 204


async def test_what_else_is_refused(system: System, elsewhere: Clinician) -> None:
    for body in ({}, {"url": ""}, {"url": address(), "event_types": []}, {"url": address(), "event_types": ["x"]}):
        problem(await elsewhere.post("/webhooks", body), 422, "invalid_input")
    first = await made(elsewhere)
    url = first["webhook"]["url"]
    problem(await elsewhere.post("/webhooks", {"url": url}), 409, "webhook_url_taken")
    second = await made(elsewhere)
    there = f"/api/v1/webhooks/{second['webhook']['id']}"
    problem(await elsewhere.http.patch(there, json={"url": url}), 409, "webhook_url_taken")
    problem(await elsewhere.http.patch(there, json={"url": "http://x.ca"}), 422, "invalid_input")
    for _ in range(MOST_ENDPOINTS - 2):
        await made(elsewhere)
    problem(await elsewhere.post("/webhooks", {"url": address()}), 409, "too_many_webhooks")
    await removed(elsewhere)


async def test_secrets_are_sealed_and_follow_the_key_ring(system: System) -> None:
    given = await made(system.administrator)
    webhook_id = UUID(given["webhook"]["id"])
    ok(await system.administrator.post(f"/webhooks/{webhook_id}/rotate"), 201)

    async def sealed() -> tuple[str, str]:
        async with system.services.database.session() as session:
            endpoint = await session.get_one(WebhookEndpoint, webhook_id)
            assert endpoint.sealed_older_secret is not None
            return endpoint.sealed_secret, endpoint.sealed_older_secret

    assert given["secret"].removeprefix("whsec_") not in "".join(await sealed())
    assert system.settings.encryption_keys is not None
    old = system.settings.encryption_keys.get_secret_value()
    new = f"new:{'A' * 43}="

    def with_keys(keys: str) -> Any:
        return system.settings.model_copy(update={"encryption_keys": SecretStr(keys)})

    assert await seal_anew(with_keys(f"{new},{old}")) >= 1
    assert {sealed_with(one) for one in await sealed()} == {"new"}
    assert await seal_anew(with_keys(f"{new},{old}")) == 0
    assert await seal_anew(with_keys(f"{old},{new}")) >= 1
    assert {sealed_with(one) for one in await sealed()} == {"test"}
    await removed(system.administrator)


async def test_a_locked_account_is_told(system: System) -> None:
    """Once, whether an administrator locks it or its person leaves."""
    given = await made(system.administrator, event_types=["account.locked"])
    async with system.services.database.session() as session:
        endpoint = await session.get_one(WebhookEndpoint, UUID(given["webhook"]["id"]))
        endpoint.verified_at = datetime.now(UTC)
    person = await add_person(system, "locked", system.clinics["near"], Role.REQUESTER)
    leaving = await add_person(system, "leaving", system.clinics["near"], Role.REQUESTER)
    ok(await system.administrator.post(f"/accounts/{person.id}/lock"))
    for who in (person, leaving):
        ok(await system.administrator.post(f"/accounts/{who.id}/leave", {}))
    async with system.services.database.session() as session:
        query = select(WebhookMessage).where(WebhookMessage.clinic_id == system.clinics["near"].id)
        query = query.order_by(WebhookMessage.id)
        told = [one for one in await session.scalars(query) if one.type == "account.locked"]
    clinic = str(system.clinics["near"].id)
    assert [one.data for one in told] == [
        {"account_id": who.id, "kind": "person", "clinic_id": clinic} for who in (person, leaving)
    ]
    await removed(system.administrator)
