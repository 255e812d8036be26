"""A partner is told what becomes of its requests: by real people's doings, over real sockets; and its clinic administers that."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from domain.audit import Act
from fhir.told import heard, knock, message_to_send
from records.models import AccountEvent, AuditEntry
from tests.api.answers import problem
from tests.api.partners import Partner, a_partner, number_in, row_of
from tests.api.test_fhir import call
from tests.fhir.checker import faults_of
from tests.fhir.messages import find, header_of, new_request, said
from tests.journeys import ok, signed, written
from tests.partners.requester import Requester, event_of, faults_in, of_type, open_requester
from tests.system import PASSWORD, System, hasty
from use_cases.partner_sender import PartnerSender, Words, calls_for

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
async def requester() -> AsyncIterator[Requester]:
    async with open_requester() as requester:
        yield requester


def at(requester: Requester, **more: Any) -> dict[str, Any]:
    return {"url": requester.url, "authorization": "signature", "secret": SECRET, **more}


async def keep(system: System, partner: Partner, endpoint: dict[str, Any] | None, **more: Any) -> httpx.Response:
    """Say where it is told, as an administrator of its clinic, where calls may go to this machine."""
    terms = {"liaison_id": system.requester.id, "default_offering": "teledermatology", "endpoint": endpoint, **more}
    with hasty(system.app, webhooks_to_this_machine=True):
        return await system.administrator.http.put(f"/api/v1/service-accounts/{partner.id}/partner", json=terms)


async def send(system: System, later: timedelta = timedelta()) -> int:
    settings = system.settings.model_copy(update={"webhooks_to_this_machine": True})
    services, words = system.services, Words(message_to_send, heard, knock)
    now = datetime.now(UTC) + timedelta(seconds=1) + later
    sender = PartnerSender(
        settings, services.database, services.store, calls_for(settings), words, clock=lambda: now, chance=lambda: 0.5
    )
    return await sender.send_due()


async def test_a_conversation_about_one_request(system: System, face: FastAPI, requester: Requester) -> None:
    """Asked by a message, answered by a specialist with a question in between: each step is told."""
    partner = await a_partner(system, face)
    kept = ok(await keep(system, partner, at(requester)))
    assert (kept["endpoint"]["state"], kept["endpoint"]["authorization"]) == ("unverified", "signature")
    assert SECRET not in str(kept)
    asked = new_request()
    request_id = str((await row_of(system, await partner.taken(asked))).id)
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider.id}))
    ok(await system.provider.post(f"/requests/{request_id}/accept"))
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand?"}))
    await send(system)
    [question] = [one for message in requester.messages for one in of_type(message, "Communication")]
    answer = said(number_in(asked), "Depuis mardi.")
    find(answer, "Communication")["inResponseTo"] = [{"reference": f"urn:uuid:{question['id']}"}]
    await partner.taken(answer)
    assert [one["state"] for one in (await system.requester.view(request_id))["questions"]] == ["answered"]
    stray = said(number_in(asked), "Autre chose.")
    find(stray, "Communication")["inResponseTo"] = [{"reference": f"urn:uuid:{uuid4()}"}]
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Où?"}))
    assert header_of(ok(await partner.send(stray)))["response"]["code"] == "fatal-error"
    await written(system, request_id, urgency_reassessment="visit-2-weeks")
    await signed(system, request_id, "preliminary")
    await signed(system, request_id)
    ok(await system.requester.post(f"/requests/{request_id}/ask-follow-up", {"text": "Combien de fois?"}))
    ok(await system.provider.post(f"/requests/{request_id}/answer-follow-up", {"text": "Deux fois."}))
    addendum = {"text": "Voir aussi le dos.", "password": PASSWORD}
    ok(await system.provider.post(f"/requests/{request_id}/report/addenda", addendum))
    ok(await system.requester.post(f"/requests/{request_id}/acknowledge"))
    await send(system)
    changed, word = "notify-update-process-request", "send-communication-from-provider"
    assert [event_of(one) for one in requester.messages] == [
        *(changed, changed, word, changed, word, changed, changed, changed, word, changed, changed, changed)
    ]
    assert requester.wrong == []
    base = f"{system.settings.public_url}/fhir"
    assert [faults_in(one, UUID(request_id), base) for one in requester.messages] == [[]] * 12
    assert [faults for faults in await faults_of(requester.messages) if faults] == []
    documents = [one for message in requester.messages for one in of_type(message, "DocumentReference")]
    assert len(documents) == 3
    for document, kind in zip(documents, ("preliminary", "final", "addendum"), strict=True):
        attachment = document["content"][0]["attachment"]
        report_id = attachment["url"].rpartition("/")[2]
        pdf = (await system.requester.get(f"/requests/{request_id}/reports/{report_id}.pdf")).content
        assert base64.b64decode(attachment["data"]) == pdf, kind
    [last] = of_type(requester.messages[-1], "Task")
    assert last["status"] == "completed"
    assert last["extension"][0]["valueBoolean"] is True
    read = ok(await call(face, system.requester, f"/fhir/Task/{request_id}.1"))
    assert {name: last[name] for name in ("status", "authoredOn", "lastModified", "businessStatus")} == {
        name: read[name] for name in ("status", "authoredOn", "lastModified", "businessStatus")
    }
    assert last["meta"]["versionId"] == read["meta"]["versionId"]
    text = str(requester.messages)
    assert "Bouchard" not in text
    assert "9876543217" not in text


async def test_who_asked_sees_what_was_told_to_whom(system: System, face: FastAPI, requester: Requester) -> None:
    partner = await a_partner(system, face)
    ok(await keep(system, partner, at(requester)))
    request_id = str((await row_of(system, await partner.taken(new_request()))).id)
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider.id}))
    await send(system)
    looks: Any = ok(await system.requester.get(f"/requests/{request_id}/accesses"))
    [look] = [one for one in looks if one["what"] == "message"]
    assert (look["system"], look["on_behalf_of"]["id"]) == (True, system.requester.id)
    events = ok(await call(face, system.requester, f"/fhir/AuditEvent?patient={request_id}&_count=100"))
    codes = [entry["resource"]["subtype"][0]["code"] for entry in events["entry"]]
    assert codes.count("message") == 1
    row = (await system.requester.view(request_id))["number"]
    [one] = ok(await system.administrator.get(f"/service-accounts/{partner.id}/partner/messages"))["items"]
    assert (one["number"], one["state"], one["told_to"], one["event"]) == (
        row,
        "delivered",
        "127.0.0.1",
        "notify-update-process-request",
    )
    async with system.services.database.session() as session:
        [entry] = await session.scalars(
            select(AuditEntry).where(AuditEntry.kind == Act.MESSAGE, AuditEntry.request_id == UUID(request_id))
        )
    assert str(entry.object_id) == one["id"]


async def test_it_is_administered_as_the_terms_are(system: System, face: FastAPI, requester: Requester) -> None:
    partner = await a_partner(system, face)
    where = f"/service-accounts/{partner.id}/partner"
    inside = await keep(system, partner, at(requester, url="https://10.0.0.1/fhir"))
    problem(inside, 422, "invalid_input")
    assert inside.json()["errors"][0]["field"] == "endpoint.url"
    assert inside.json()["errors"][0]["code"] == "address_not_public"
    plain = {"liaison_id": system.requester.id, "endpoint": at(requester)}
    answer = await system.administrator.http.put(f"/api/v1{where}", json=plain)  # where nothing goes to this machine
    assert answer.json()["errors"][0]["code"] == "not_https"
    for wrong in ({"event_system": "a\0b"}, {"event_system": " "}, {"licence_systems": ["a\0b"]}):
        problem(await keep(system, partner, at(requester), **wrong), 422, "invalid_input")
    for name, other in (("DERM-01", "derm-01"), ("Café", "Cafe\u0301")):  # as messages are matched
        twice = await keep(system, partner, None, offerings={name: "teledermatology", other: "wound_care"})
        [fault] = problem(twice, 422, "invalid_input")["errors"]
        assert (fault["field"], fault["code"]) == ("offerings", "same_name")
        ok(await keep(system, partner, None, offerings={name: "teledermatology", other: "teledermatology"}))
    ok(await keep(system, partner, None))
    token = {"authorization": "client_secret", "secret": "s3cret"}
    faults = (await keep(system, partner, at(requester, **token))).json()["errors"]
    assert {fault["field"] for fault in faults} == {"endpoint.token_url", "endpoint.client_id"}
    problem(await system.requester.get(f"{where}/messages"), 403, "forbidden")
    for who in (system.requester, system.far_provider):
        problem(await who.post(f"{where}/replay", {"since": "2026-11-27T05:00:00Z"}), 403, "forbidden")
    problem(await system.administrator.get(f"/service-accounts/{uuid4()}/partner/messages"), 404, "not_found")
    assert (await partner.http.get(f"/api/v1{where}/messages")).status_code == 403
    problem(
        await system.administrator.post(f"{where}/replay", {"since": "2026-11-27T05:00:00Z"}), 409, "partner_not_told"
    )

    request_id = str((await row_of(system, await partner.taken(new_request()))).id)
    ok(await keep(system, partner, at(requester)))
    requester.code = "fatal-error"
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider.id}))
    await send(system)
    [refused] = ok(await system.administrator.get(f"{where}/messages", params={"status": "refused"}))["items"]
    assert (refused["answered"], refused["last_status"]) == ("business-rule", 200)
    requester.code = "ok"
    again = ok(await system.administrator.post(f"{where}/messages/{refused['id']}/replay"), 202)
    assert (again["state"], again["message_id"]) == ("pending", refused["message_id"])
    await send(system)
    assert header_of(requester.messages[0])["id"] == refused["message_id"]
    arrived = await system.administrator.post(f"{where}/messages/{refused['id']}/replay")
    problem(arrived, 409, "message_not_replayable")
    problem(await system.administrator.post(f"{where}/messages/{uuid4()}/replay"), 404, "not_found")

    off = ok(await keep(system, partner, at(requester, enabled=False)))
    assert (off["endpoint"]["state"], off["endpoint"]["disabled_reason"]) == ("disabled", "by_hand")
    ok(await system.provider.post(f"/requests/{request_id}/accept"))
    assert await send(system) == 0
    [failed] = ok(await system.administrator.get(f"{where}/messages", params={"status": "failed"}))["items"]
    ok(await keep(system, partner, {name: value for name, value in at(requester).items() if name != "secret"}))
    assert ok(await system.administrator.post(f"{where}/replay", {"since": failed["at"]}), 202) == {"messages": 1}
    await send(system)
    kept = ok(await system.administrator.get(where))
    assert (kept["endpoint"]["state"], kept["endpoint"]["messages"]) == (
        "active",
        {"dropped": 0, "failed": 0, "pending": 0, "refused": 0},
    )
    page = ok(await system.administrator.get(f"{where}/messages", params={"limit": 1}))
    rest = ok(await system.administrator.get(f"{where}/messages", params={"before": page["next"]}))
    assert (len(page["items"]), len(rest["items"]), rest["next"]) == (1, 1, None)
    async with system.services.database.session() as session:
        query = select(AccountEvent).where(AccountEvent.account_id == UUID(partner.id)).order_by(AccountEvent.id)
        noted = list(await session.scalars(query))
    assert "partner_replayed" in [one.kind for one in noted]
    terms = [one.changes["endpoint_terms"][1] for one in noted if "endpoint_terms" in one.changes]
    assert terms[-2:] == ["enabled, secret", "enabled"]  # the secret was given once more, and stayed
    assert "secret" in terms[0]
    assert SECRET not in str([one.changes for one in noted])
