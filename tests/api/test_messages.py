"""Requests that come as FHIR messages of partners: done once, whatever is sent how often; answered soundly; refused politely."""

import asyncio
from collections.abc import Callable
from copy import deepcopy
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from joserfc.jwk import ECKey
from sqlalchemy import func, select

from domain.requests import Status
from records.models import PartnerMessage, RequestRecord, WeeklyCount
from server import create_app
from tests.api.partners import TYPE, Partner, a_partner, issues_of, number_in, refused, response_of, row_of
from tests.api.test_client_credentials import refused as refused_scope
from tests.api.test_client_credentials import signing
from tests.api.test_fhir_access import ask
from tests.api.test_service_accounts import connected
from tests.away import away_from
from tests.eventually import eventually
from tests.fhir.checker import faults_of
from tests.fhir.messages import (
    ORDERS,
    Json,
    by_ids,
    changed,
    find,
    header_of,
    message,
    new_request,
    resource,
    said,
    untidy,
)
from tests.journeys import ok, signed, written
from tests.portal.browsing import shown, visitor
from tests.system import System, photo


@pytest.fixture(scope="module")
async def partner(system: System, face: FastAPI) -> Partner:
    return await a_partner(system, face)


async def test_a_message_becomes_a_request(system: System, partner: Partner) -> None:
    sent = by_ids(new_request(photo=photo((330, 240))))
    answer = ok(await partner.send(sent, **{"X-Correlation-ID": "c-1"}))
    assert await faults_of([answer]) == [[]]
    assert response_of(answer)["identifier"] == header_of(sent)["id"]
    assert header_of(answer)["eventCoding"]["code"] == "notify-add-process-request"
    task = find(answer, "Task")
    assert (task["status"], task["code"]["coding"][0]["code"]) == ("requested", "process-request-consult")
    named = task["basedOn"][0]["identifier"]
    assert (named["system"], named["value"]) == (ORDERS, number_in(sent))
    row = await row_of(system, task)
    view = await system.dispatcher.view(str(row.id))
    assert (view["status"], view["priority"], view["offering"]) == ("awaiting_dispatch", "urgent", "teledermatology")
    assert view["requester"]["id"] == system.requester.id  # the liaison, for nobody has that licence
    assert view["prepared_by"]["id"] == partner.id
    assert view["patient"] == {
        "given_name": "Line Marie",
        "family_name": "Bouchard",
        "birth_date": "1961-07-02",
        "health_insurance_number": "9876543217",
        "health_insurance_issuer": "CA-ON",
        "sex": "female",
    }
    assert view["answers"] == {"question": "Lésion qui saigne depuis trois semaines."}
    assert view["received"]["number"] == number_in(sent)
    assert (view["received"]["author"], view["received"]["organization"]) == ("Dre Ada Okafor", "Clinique du Lac")
    missing = {part["field"] for part in view["received"]["missing"]}
    assert {"body_sites", "duration"} <= missing
    assert "question" not in missing
    assert "patient.health_insurance_number" not in missing
    assert [one["kind"] for one in view["attachments"]] == ["photo"]


async def test_what_real_systems_leave_out_keeps_no_request_away(
    system: System, face: FastAPI, partner: Partner
) -> None:
    sent = untidy()
    refused(ok(await partner.send(sent)), "not-found")  # no service that is known
    terms = {"liaison_id": system.requester.id, "offerings": {"103696004": "teledermatology"}}
    ok(await system.administrator.http.put(f"/api/v1/service-accounts/{partner.id}/partner", json=terms))
    again = changed(sent, "add-service-request")
    counted = await weekly(system)
    row = await row_of(system, await partner.taken(again))
    assert await weekly(system) == counted
    terms["offerings"] = {"DERM-01": "teledermatology"}
    ok(await system.administrator.http.put(f"/api/v1/service-accounts/{partner.id}/partner", json=terms))
    view = await system.dispatcher.view(str(row.id))
    assert (view["is_test"], view["priority"]) == (True, "routine")
    assert view["answers"]["question"] == "<b>Lésion</b>&nbsp;au dos"
    missing = {part["field"] for part in view["received"]["missing"]}
    assert {"patient.birth_date", "patient.health_insurance_number"} <= missing
    lines = {line["label"]: line["text"] for line in view["received"]["lines"]}
    assert (lines["Médication"], lines["Allergies"]) == ("Aucune", "Non")
    assert view["received"]["elsewhere"] == [{"label": "Biopsie", "text": "https://dossier.test/documents/12"}]
    async with visitor(face, system.dispatcher) as page:
        told = shown(await page.get(f"/requests/{row.id}"))
    assert "Elle est incomplète." in told
    assert "Photos (il en faut davantage)" in told
    assert "<b>Lésion</b>&nbsp;au dos" in told  # as text
    assert "Catégorie" in told


async def weekly(system: System) -> int:
    async with system.services.database.session() as session:
        return await session.scalar(select(func.coalesce(func.sum(WeeklyCount.number), 0))) or 0


FAULTS: dict[str, tuple[Callable[[Json], Any], int, str]] = {
    "not a message": (lambda m: m.update(type="collection"), 400, "invalid"),
    "no header": (lambda m: m["entry"].pop(0), 400, "structure"),
    "no timestamp": (lambda m: m.pop("timestamp"), 422, "required"),
    "timestamp without a zone": (lambda m: m.update(timestamp="2026-11-27T10:15:00"), 422, "value"),
    "a total": (lambda m: m.update(total=2), 422, "value"),
    "the same fullUrl twice": (lambda m: m["entry"][2].update(fullUrl=m["entry"][1]["fullUrl"]), 422, "value"),
    "an entry without a fullUrl": (lambda m: m["entry"][-1].pop("fullUrl"), 422, "required"),
    "an entry without a resource": (
        lambda m: m["entry"].append({"fullUrl": "urn:uuid:" + str(uuid4())}),
        422,
        "required",
    ),
    "the header is not first": (lambda m: m["entry"].reverse(), 422, "value"),
    "no source": (lambda m: header_of(m).pop("source"), 422, "required"),
    "an event that there is not": (
        lambda m: header_of(m)["eventCoding"].update(code="add-request"),
        422,
        "code-invalid",
    ),
    "the focus leads nowhere": (lambda m: header_of(m).update(focus=[{"reference": "urn:uuid:x"}]), 422, "value"),
    "the author leads nowhere": (lambda m: header_of(m).update(author={"reference": "urn:uuid:x"}), 422, "value"),
    "no status": (lambda m: find(m, "ServiceRequest").pop("status"), 422, "required"),
    "a status that there is not": (lambda m: find(m, "ServiceRequest").update(status="open"), 422, "code-invalid"),
    "a priority that there is not": (lambda m: find(m, "ServiceRequest").update(priority="high"), 422, "code-invalid"),
    "a gender that there is not": (lambda m: find(m, "Patient").update(gender="F"), 422, "code-invalid"),
    "30 February": (lambda m: find(m, "Patient").update(birthDate="1961-02-30"), 422, "value"),
    "no subject": (lambda m: find(m, "ServiceRequest").pop("subject"), 422, "required"),
    "another subject": (lambda m: find(m, "ServiceRequest").update(subject={"reference": "urn:uuid:x"}), 422, "value"),
    "two patients": (
        lambda m: m["entry"].append({"fullUrl": "urn:uuid:b", "resource": resource("Patient")}),
        422,
        "value",
    ),
    "an element that there is not": (lambda m: find(m, "ServiceRequest").update(urgency="high"), 422, "value"),
    "one where there are several": (lambda m: find(m, "Patient").update(name={"family": "X"}), 422, "value"),
    "no Base64": (
        lambda m: m["entry"].append(
            {
                "fullUrl": "urn:uuid:d",
                "resource": resource("DocumentReference", status="current", content=[{"attachment": {"data": "%"}}]),
            }
        ),
        422,
        "value",
    ),
}


async def test_one_fault_is_told_as_what_it_is(partner: Partner) -> None:
    told = {}
    answers = []
    for name, (spoil, _, _) in FAULTS.items():
        sent = new_request()
        spoil(sent)
        answer = await partner.send(sent)
        answers.append(answer.json())
        told[name] = (answer.status_code, {code for code, _ in issues_of(answer.json())})
    assert told == {name: (status, {code}) for name, (_, status, code) in FAULTS.items()}
    assert await faults_of(answers) == [[] for _ in answers]


async def test_what_is_no_message_is_refused_and_kept(system: System, partner: Partner) -> None:
    before = await count_of(system, partner)
    body = uuid4().hex.encode()
    for sent in (body, b"[" * 100_000, b'{"resourceType": "Patient"}'):
        answer = await partner.send(sent)
        assert (answer.status_code, issues_of(answer.json())) == (400, [("structure", "")])
    assert await count_of(system, partner) == before + 3
    async with system.services.database.session() as session:
        of_partner = select(PartnerMessage).where(PartnerMessage.partner_id == UUID(partner.id))
        kept = (await session.scalars(of_partner.order_by(PartnerMessage.received_at.desc()).limit(3))).all()
    assert all(one.refused for one in kept)
    assert body in [await system.services.store.get(one.object_key) for one in kept]


async def count_of(system: System, partner: Partner) -> int:
    async with system.services.database.session() as session:
        of_partner = PartnerMessage.partner_id == UUID(partner.id)
        return await session.scalar(select(func.count()).select_from(PartnerMessage).where(of_partner)) or 0


async def test_who_may_not_send_is_told_so(system: System, face: FastAPI, partner: Partner) -> None:
    as_person = {"Authorization": system.requester.http.headers["Authorization"], **TYPE}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(face), base_url="http://relais.test") as http:
        nobody = await http.post("/fhir/$process-message", json=new_request(), headers=TYPE)
        assert (nobody.status_code, issues_of(nobody.json())[0][0]) == (401, "login")
        assert nobody.headers["www-authenticate"] == "Bearer"
        person = await http.post("/fhir/$process-message", json=new_request(), headers=as_person)
        assert (person.status_code, issues_of(person.json())[0][0]) == (403, "forbidden")
    other = Partner(face, "", (await connected(system, "drafts:write", "requests:submit")).secret)
    assert (await other.send(new_request())).status_code == 403
    later = await partner.send(new_request(), path="/fhir/$process-message?async=true")
    assert (later.status_code, issues_of(later.json())[0][0]) == (400, "not-supported")
    xml = await partner.send(b"<Bundle/>", **{"Content-Type": "application/fhir+xml"})
    assert (xml.status_code, issues_of(xml.json())[0][0]) == (415, "not-supported")


async def test_a_resend_is_answered_as_the_first_time_and_does_nothing(system: System, partner: Partner) -> None:
    sent = new_request()
    first = ok(await partner.send(sent))
    again = {**sent, "id": str(uuid4()), "timestamp": "2026-11-27T15:20:00Z"}
    second = ok(await partner.send(again, path="/fhir/$process-messages"))
    assert first["entry"] == second["entry"]
    assert first["id"] != second["id"]
    other = deepcopy(sent)
    find(other, "ServiceRequest")["priority"] = "asap"
    conflict = await partner.send(other)
    assert conflict.status_code == 409
    refused(conflict.json(), "duplicate")
    same_order = changed(sent, "add-service-request")  # a new message about an order that was sent before
    refused(ok(await partner.send(same_order)), "duplicate")
    row = await row_of(system, find(first, "Task"))
    assert row.system_id == UUID(partner.id)
    async with system.services.database.session() as session:  # as if the process had died before it noted the answer
        of_message = PartnerMessage.partner_id == UUID(partner.id), PartnerMessage.message_id == header_of(sent)["id"]
        kept = (await session.scalars(select(PartnerMessage).where(*of_message, ~PartnerMessage.refused))).one()
        kept.answer = None
    assert find(ok(await partner.send(sent)), "Task") == find(first, "Task")


async def until_done(partner: Partner, sent: Json) -> Json:
    """Sent again for as long as it may be done later."""
    while True:
        answer = await partner.send(sent)
        if answer.status_code == 200:
            return ok(answer)
        assert answer.status_code in (429, 503), answer.text
        assert int(answer.headers["retry-after"]) > 0
        if answer.json()["resourceType"] == "Bundle":  # it was read; else there was no place to read it
            assert response_of(answer.json())["code"] == "transient-error"


async def test_what_waits_for_a_worker_is_not_said_to_be_done(system: System, partner: Partner) -> None:
    async with away_from(system) as away:
        other = Partner(create_app(away.system.settings, away.system.app.state.services), partner.id, partner.secret)
        sent = new_request()
        waits = await other.send(sent)
        assert (waits.status_code, response_of(waits.json())["code"]) == (503, "transient-error"), waits.text
        assert issues_of(waits.json()) == [("transient", "")]
        assert await faults_of([waits.json()]) == [[]]
        key = f"fhir:{partner.id}:{header_of(sent)['id']}"

        async def is_submitted() -> bool:
            async with system.services.database.session() as session:
                query = select(RequestRecord.status).where(RequestRecord.creation_key == key)
                return await session.scalar(query) is Status.AWAITING_DISPATCH

        async with away.worker():
            await eventually(is_submitted)
        assert (await other.taken(sent))["status"] == "requested"


async def test_a_token_for_fhir_opens_it_where_it_says_so(system: System, face: FastAPI) -> None:
    client = await signing(system, ECKey.generate_key("P-384", private=True), "messages:send", "requests:read")
    terms = {"liaison_id": system.requester.id, "default_offering": "teledermatology"}
    ok(await system.administrator.http.put(f"/api/v1/service-accounts/{client.account.id}/partner", json=terms))
    for scope, status in (("system/Bundle.c", 200), ("system/Bundle.write", 200), ("system/Task.rs", 403)):
        token = ok(await ask(face, client, scope=scope))["access_token"]
        assert (await Partner(face, client.account.id, token).send(new_request())).status_code == status
    whole = ok(await ask(face, client))
    assert "system/Bundle.c" in whole["scope"].split()
    refused_scope(await ask(face, client, scope="system/Bundle.rs"), 400, "invalid_scope")


async def test_many_copies_at_once_are_one_request(system: System, partner: Partner) -> None:
    """Who comes while another copy is being done is told to come back, and then gets the same answer."""
    sent = [new_request() for _ in range(3)]

    answers = await asyncio.gather(*(until_done(partner, one) for one in sent for _ in range(6)))
    numbers = [find(answer, "Task")["groupIdentifier"]["value"] for answer in answers]
    assert len(set(numbers)) == 3
    for place in range(3):
        assert len(set(numbers[6 * place : 6 * place + 6])) == 1


async def test_a_conversation(system: System, partner: Partner) -> None:
    """Asked, returned, changed, answered, told more, and asked about the report: each message does what its sender means."""
    sent = new_request()
    number = number_in(sent)
    request_id = str((await row_of(system, await partner.taken(sent))).id)
    for_provider = {"provider_id": system.provider.id}
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", for_provider))
    back = {"reason": "incomplete_submission", "text": "Depuis quand?"}
    ok(await system.provider.post(f"/requests/{request_id}/return-to-requester", back))
    better = changed(sent, "notify-update-service-request", reasonCode=[{"text": "Saigne depuis mars."}])
    task = await partner.taken(better)
    assert (task["status"], task["businessStatus"]["coding"][0]["code"]) == ("received", "assigned")
    view = await system.provider.view(request_id)
    assert view["answers"]["question"] == "Saigne depuis mars."
    ok(await system.provider.post(f"/requests/{request_id}/accept"))
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Une biopsie?"}))
    assert (await partner.taken(said(number, "Non.")))["status"] == "in-progress"
    more = said(number, "Elle prend de la warfarine.")
    ok(await partner.send(more))
    assert ok(await partner.send(more))["entry"]
    view = await system.provider.view(request_id)
    assert [question["answer"] for question in view["questions"]] == ["Non."]
    assert [addition["text"] for addition in view["additions"]] == ["Elle prend de la warfarine."]
    revoked = changed(sent, "revoke-service-request", status="revoked", note=[{"text": "Vue ailleurs."}])
    assert (await partner.taken(revoked))["status"] == "in-progress"  # accepted: it is asked for, and nothing more
    assert "Vue ailleurs." in (await system.provider.view(request_id))["additions"][-1]["text"]
    await written(system, request_id)
    await signed(system, request_id)
    done = await partner.taken(said(number, "Combien de fois par jour?"))
    assert (done["status"], len(done["output"])) == ("completed", 1)
    assert (await system.provider.view(request_id))["follow_ups"][0]["text"] == "Combien de fois par jour?"
    refused(ok(await partner.send(changed(better, "notify-update-service-request", note=[{"text": "?"}]))), "conflict")


async def test_what_was_not_accepted_is_cancelled(system: System, partner: Partner) -> None:
    sent = new_request()
    request_id = str((await row_of(system, await partner.taken(sent))).id)
    revoke = changed(sent, "revoke-service-request", status="revoked")
    task = await partner.taken(revoke)
    assert (task["status"], task["businessStatus"]["coding"][0]["code"]) == ("cancelled", "cancelled-by-requester")
    assert await partner.taken(revoke) == task
    assert (await system.requester.view(request_id))["status"] == "cancelled"
    refused(ok(await partner.send(changed(sent, "revoke-service-request"))), "conflict")


async def test_what_is_not_acted_on_is_answered_politely(partner: Partner) -> None:
    task = resource("Task", status="requested", intent="order")
    for event in ("notify-add-process-request", "notify-add-appointment", "send-communication-from-provider"):
        refused(ok(await partner.send(message(event, task))), "not-supported")
    informed = ok(await partner.send(message("notify-add-service-record", task)))
    assert response_of(informed)["code"] == "ok"
    emergency = new_request()
    find(emergency, "ServiceRequest")["priority"] = "stat"
    refused(ok(await partner.send(emergency)), "business-rule")
    refused(ok(await partner.send(said("ORD-unknown", "Bonjour"))), "not-found")


async def test_another_partner_finds_nothing_of_it(system: System, face: FastAPI, partner: Partner) -> None:
    sent = new_request()
    await partner.taken(sent)
    account = await connected(system, "messages:send")
    other = Partner(face, account.id, account.secret)
    terms = {"liaison_id": system.requester.id, "default_offering": "teledermatology"}
    ok(await system.administrator.http.put(f"/api/v1/service-accounts/{account.id}/partner", json=terms))
    refused(ok(await other.send(said(number_in(sent), "Bonjour"))), "not-found")
    refused(ok(await other.send(changed(sent, "revoke-service-request"))), "not-found")
    assert (await other.taken(sent))["status"] == "requested"  # ids of messages and orders are each partner's own
