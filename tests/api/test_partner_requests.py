"""What messages of partners do to requests: only to the one that is meant, only what is meant, and nothing vanishes with `ok`."""

import base64
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from confined import NoVerdictError
from domain.audit import Act
from domain.messages import KEPT_FOR, MessageEvent
from domain.requests import Role, Status
from media import examine
from records.errors import ContentDiffersError, NotFoundError
from records.models import Account, AuditEntry, PartnerMessage, RequestRecord
from records.models import Partner as Terms
from records.upkeep import named_objects
from tests.api.partners import Partner, a_partner, issues_of, number_in, refused, response_of, row_of
from tests.api.test_attachments import png_of
from tests.api.test_service_accounts import by_secret
from tests.fhir.messages import (
    ORDERS,
    Json,
    changed,
    entry,
    find,
    header_of,
    new_request,
    resource,
    said,
)
from tests.journeys import ok, signed, submitted, written
from tests.portal.browsing import shown, visitor
from tests.system import System, add_person, photo
from use_cases.by_hand import Stores
from use_cases.partner_messages import in_hand
from use_cases.partner_requests import MOST_TRIES, Way, act
from use_cases.partners import asking_again, partner_of
from use_cases.said import InlineFile, OrderName, Said
from use_cases.service_callers import caller_of
from use_cases.sweep import sweep


@pytest.fixture(scope="module")
async def partner(system: System, face: FastAPI) -> Partner:
    return await a_partner(system, face)


async def taken(system: System, partner: Partner, sent: Json) -> RequestRecord:
    return await row_of(system, await partner.taken(sent))


async def accepted(system: System, partner: Partner, sent: Json) -> str:
    """The request of that message, which `provider` has accepted; its id."""
    request_id = str((await taken(system, partner, sent)).id)
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider.id}))
    ok(await system.provider.post(f"/requests/{request_id}/accept"))
    return request_id


async def returned(system: System, partner: Partner, sent: Json) -> str:
    request_id = str((await taken(system, partner, sent)).id)
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider.id}))
    back = {"reason": "incomplete_submission", "text": "Depuis quand?"}
    ok(await system.provider.post(f"/requests/{request_id}/return-to-requester", back))
    return request_id


def with_file(sent: Json, title: str, content: bytes) -> Json:
    attachment = {"title": title, "data": base64.b64encode(content).decode()}
    sent["entry"].append(entry(resource("DocumentReference", status="current", content=[{"attachment": attachment}])))
    return sent


# Who asks, and of which request


async def test_whose_licence_the_author_has_is_the_requester(system: System, partner: Partner) -> None:
    number = uuid4().hex
    doctor = await add_person(system, f"licensed_{uuid4().hex[:6]}", system.clinics["near"], Role.REQUESTER)
    async with system.services.database.session() as session:
        (await session.get_one(Account, doctor.account.id)).licence_number = number
    name = doctor.account.family_name

    async def requester_of(sent: Json) -> str:
        return str((await taken(system, partner, sent)).requester_id)

    assert await requester_of(new_request(licence=number, family=name)) == doctor.id
    assert await requester_of(new_request(licence=number, family="Somebody Else")) == system.requester.id
    untyped = new_request(licence=number, family=name)
    del find(untyped, "Practitioner")["identifier"][0]["type"]
    assert await requester_of(untyped) == system.requester.id


async def test_the_systems_that_the_terms_name_are_those_of_licences(system: System, face: FastAPI) -> None:
    number = uuid4().hex
    doctor = await add_person(system, f"college_{uuid4().hex[:6]}", system.clinics["near"], Role.REQUESTER)
    async with system.services.database.session() as session:
        (await session.get_one(Account, doctor.account.id)).licence_number = number
    other = await a_partner(system, face, licence_systems=["https://college.qc.test"])
    sent = new_request(licence=number, family=doctor.account.family_name)
    assert str((await taken(system, other, sent)).requester_id) == system.requester.id
    again = new_request(licence=number, family=doctor.account.family_name)
    find(again, "Practitioner")["identifier"] = [{"system": "https://college.qc.test", "value": number}]
    assert str((await taken(system, other, again)).requester_id) == doctor.id


async def test_what_names_two_requests_or_an_unknown_one_is_about_none(system: System, partner: Partner) -> None:
    one, other = new_request(), new_request()
    ids = [str((await taken(system, partner, sent)).id) for sent in (one, other)]
    both = said(number_in(one), "Oui")
    spoken = find(both, "Communication")
    spoken["basedOn"] += find(said(number_in(other), "Oui"), "Communication")["basedOn"]
    refused(ok(await partner.send(both)), "multiple-matches")
    by_id = said(number_in(one), "Oui")
    find(by_id, "Communication")["basedOn"] = [{"reference": f"urn:uuid:{find(other, 'ServiceRequest')['id']}"}]
    await partner.taken(by_id)
    assert [one["text"][-3:] for one in (await system.requester.view(ids.pop()))["additions"]] == ["Oui"]
    unknown = said(number_in(one), "Oui")
    find(unknown, "Communication")["basedOn"].append({"type": "ServiceRequest", "identifier": {"value": "never sent"}})
    refused(ok(await partner.send(unknown)), "not-found")
    of_other_system = said(number_in(one), "Oui")
    find(of_other_system, "Communication")["basedOn"][0]["identifier"]["system"] = "https://other.test/orders"
    refused(ok(await partner.send(of_other_system)), "not-found")
    never = changed(new_request(), "revoke-service-request", status="revoked")
    find(never, "ServiceRequest")["basedOn"] = [{"identifier": {"system": ORDERS, "value": number_in(one)}}]
    refused(ok(await partner.send(never)), "not-found")
    for request_id in ids:
        view = await system.requester.view(request_id)
        assert (view["status"], view["additions"]) == ("awaiting_dispatch", [])


async def test_a_request_that_the_system_has_not_made_is_not_its_own(system: System, face: FastAPI) -> None:
    other = await a_partner(system, face, "drafts:write", "requests:read")
    request_id = await submitted(system)
    sent = changed(new_request(), "revoke-service-request", status="revoked")
    api = by_secret(system, other.secret, system.requester.id)
    name = {"reference": f"{ORDERS}|{number_in(sent)}"}
    ok(await api.put(f"/api/v1/requests/{request_id}/reference", json=name))
    refused(ok(await other.send(sent)), "not-found")
    assert (await system.requester.view(request_id))["status"] == "awaiting_dispatch"


async def test_another_patient_and_a_test_are_not_of_that_request(system: System, partner: Partner) -> None:
    sent = new_request()
    row = await taken(system, partner, sent)
    other = changed(sent, "notify-update-service-request")
    find(other, "Patient")["identifier"][0]["value"] = "1234567890"
    answer = ok(await partner.send(other))
    refused(answer, "conflict")
    assert issues_of(answer)[0][1] == "Patient"
    test = changed(sent, "revoke-service-request", status="revoked")
    test["meta"] = {"security": [{"code": "HTEST"}]}
    refused(ok(await partner.send(test)), "conflict")
    assert (await system.requester.view(str(row.id)))["status"] == "awaiting_dispatch"
    marked = new_request()
    marked["meta"] = {"security": [{"code": "HTEST"}]}
    task = await partner.taken(marked)
    assert [one["code"] for one in task["meta"]["security"]] == ["HTEST"]
    refused(ok(await partner.send(said(number_in(marked), "Oui"))), "conflict")


# What is done


async def test_a_file_that_is_not_taken_is_told_on_the_page_and_in_words(
    system: System, face: FastAPI, partner: Partner
) -> None:
    bomb = png_of(60_000, 60_000)
    sent = with_file(new_request(), "Radio", bomb)
    row = await taken(system, partner, sent)
    received = (await system.dispatcher.view(str(row.id)))["received"]
    assert [(file["title"], file["code"], file["numbers"]["width"]) for file in received["not_taken"]] == [
        ("Radio", "too_many_pixels", 60_000)
    ]
    async with visitor(face, system.dispatcher) as page:
        assert "Un fichier n’a pas pu être pris : Radio" in shown(await page.get(f"/requests/{row.id}")).replace(
            "\N{NO-BREAK SPACE}", " "
        )
    await partner.taken(changed(sent, "notify-update-service-request"))
    assert (await system.requester.view(str(row.id)))["additions"] == [], "it was told before"
    word = with_file(said(number_in(sent), "Voici."), "Radio 2", bomb)
    assert response_of(ok(await partner.send(word)))["code"] == "ok"
    told = (await system.requester.view(str(row.id)))["additions"][-1]["text"]
    assert "Voici." in told
    assert "Radio 2" in told
    mute = with_file(with_file(said(number_in(sent), ""), "Radio 3", bomb), "Radio 4", bomb)
    find(mute, "Communication")["payload"] = [{"contentString": " "}]
    refused(ok(await partner.send(mute)), "business-rule")


async def test_a_file_that_no_try_gets_through_keeps_no_request_away(
    system: System, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ended(*_: Any) -> None:
        raise NoVerdictError("the fork server was ended")

    sent = new_request(photo=photo((337, 240)))
    monkeypatch.setattr(examine._decoders, "run", ended)
    for _ in range(MOST_TRIES - 1):
        waits = await partner.send(sent)
        assert (waits.status_code, response_of(waits.json())["code"]) == (503, "transient-error")
    row = await taken(system, partner, sent)
    received = (await system.dispatcher.view(str(row.id)))["received"]
    assert [file["code"] for file in received["not_taken"]] == ["media_too_demanding"]


async def test_after_the_report_a_file_is_refused_and_not_lost(system: System, partner: Partner) -> None:
    sent = new_request()
    request_id = await accepted(system, partner, sent)
    await written(system, request_id)
    await signed(system, request_id)
    refused(ok(await partner.send(with_file(said(number_in(sent), "Voici."), "Photo", photo((330, 241))))), "conflict")


async def test_a_change_is_told_once_and_what_is_not_said_stays(system: System, partner: Partner) -> None:
    sent = new_request(photo=photo((333, 240)))
    row = await taken(system, partner, sent)
    request_id = str(row.id)
    quiet = changed(sent, "notify-update-service-request")
    del find(quiet, "ServiceRequest")["priority"]
    await partner.taken(quiet)
    view = await system.requester.view(request_id)
    assert (view["priority"], view["additions"], len(view["attachments"])) == ("urgent", [], 1)
    more = changed(sent, "notify-update-service-request", patientInstruction="À jeun.", priority="asap")
    await partner.taken(more)
    await partner.taken(changed(more, "notify-update-service-request"))
    view = await system.requester.view(request_id)
    assert len(view["additions"]) == 1
    assert "Consignes à la patiente ou au patient: À jeun." in view["additions"][0]["text"]
    assert "patientInstruction" in {line["label"] for line in view["received"]["lines"]}
    assert len(view["attachments"]) == 1


async def test_a_returned_request_keeps_its_priority_and_each_photo_once(system: System, partner: Partner) -> None:
    sent = new_request(photo=photo((334, 240)))
    request_id = await returned(system, partner, sent)
    word = with_file(said(number_in(sent), "Voici."), "Autre", photo((335, 240)))
    refused(ok(await partner.send(word)), "conflict")
    assert len((await system.requester.view(request_id))["attachments"]) == 1, "what is refused leaves nothing"
    better = changed(sent, "notify-update-service-request", reasonCode=[{"text": "Depuis mars."}])
    del find(better, "ServiceRequest")["priority"]
    await partner.taken(better)
    view = await system.requester.view(request_id)
    assert (view["status"], view["priority"], len(view["attachments"])) == ("awaiting_acceptance", "urgent", 1)


async def test_the_question_is_answered_that_is_meant(system: System, partner: Partner) -> None:
    sent = new_request()
    request_id = await accepted(system, partner, sent)
    for text in ("Une biopsie?", "Des allergies?"):
        ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": text}))
    asked = [
        event["version"]
        for event in (await system.provider.get(f"/requests/{request_id}/timeline")).json()
        if event["name"] == "information_requested"
    ]
    answer = said(number_in(sent), "Aucune.")
    find(answer, "Communication")["inResponseTo"] = [{"reference": f"Communication/{request_id}.{asked[1]}"}]
    await partner.taken(answer)
    lost = said(number_in(sent), "Oui.")
    find(lost, "Communication")["inResponseTo"] = [{"reference": "Communication/unknown"}]
    refused(ok(await partner.send(lost)), "business-rule")
    questions = (await system.provider.view(request_id))["questions"]
    assert [(question["text"], question["answer"]) for question in questions] == [
        ("Une biopsie?", None),
        ("Des allergies?", "Aucune."),
    ]


async def at(system: System, partner: Partner, sent: Said) -> tuple[Way, Any]:
    """What does that message for a partner, and the caller, without HTTP."""
    caller = await caller_of(system.services, partner.secret, None, None)
    terms: Terms = await partner_of(system.services, caller)
    return Way(system.services, terms, sent, gone_away, "fr", 1), caller


async def gone_away(work: Coroutine[Any, Any, Any]) -> Any:
    """Who goes away while a file is examined."""
    work.close()
    raise ConnectionResetError


async def test_what_is_accepted_meanwhile_is_not_cancelled(system: System, partner: Partner) -> None:
    sent = new_request()
    row = await taken(system, partner, sent)  # as it was seen before
    ok(await system.dispatcher.post(f"/requests/{row.id}/assign", {"provider_id": system.provider.id}))
    ok(await system.provider.post(f"/requests/{row.id}/accept"))
    way, caller = await at(system, partner, Said(MessageEvent.REVOKE_REQUEST, str(uuid4()), text="Vue ailleurs."))
    await way.revoke(await asking_again(system.services, caller, row.requester_id), row)
    view = await system.provider.view(str(row.id))
    assert view["status"] == "accepted"
    assert "Vue ailleurs." in view["additions"][-1]["text"]


async def left_in_the_middle(system: System, partner: Partner, number: str) -> RequestRecord:
    """The draft of a message whose sender went away while its file was examined."""
    begun = Said(
        MessageEvent.ADD_REQUEST,
        str(uuid4()),
        names=(OrderName(number, ORDERS),),
        services=("DERM-01",),
        files=(InlineFile("Photo", photo((336, 240))),),
    )
    caller = await caller_of(system.services, partner.secret, None, None)
    terms = await partner_of(system.services, caller)
    message_ = (UUID(partner.id), begun.message_id, begun.event, "digest", begun.message_id.encode())
    with pytest.raises(ConnectionResetError):
        async with in_hand(system.services, *message_):
            await act(system.services, caller, terms, begun, gone_away)
    async with system.services.database.session() as session:
        query = select(RequestRecord).where(RequestRecord.creation_key == f"fhir:{partner.id}:{begun.message_id}")
        return (await session.scalars(query)).one()


async def test_an_order_that_was_left_in_the_middle_goes_on_with_the_next_message(
    system: System, partner: Partner
) -> None:
    number = uuid4().hex
    left = await left_in_the_middle(system, partner, number)
    row = await taken(system, partner, new_request(number))
    assert (left.status, left.id, row.status) == (Status.DRAFT, row.id, Status.AWAITING_DISPATCH)
    assert row.form["patient"]["family_name"] == "Bouchard"
    refused(ok(await partner.send(new_request(number))), "duplicate")


async def test_what_came_goes_with_the_draft(system: System, partner: Partner) -> None:
    left = await left_in_the_middle(system, partner, uuid4().hex)
    query = select(PartnerMessage).where(PartnerMessage.request_id == left.id)
    async with system.services.database.session() as session:
        key = (await session.scalars(query)).one().object_key
        assert await named_objects(session, [key]) == {key}
    removed = await system.requester.http.delete(f"/api/v1/requests/{left.id}")
    assert removed.status_code == 204, removed.text
    async with system.services.database.session() as session:
        assert (await session.scalars(query)).all() == []
        assert await named_objects(session, [key]) == set()
    with pytest.raises(NotFoundError):
        await system.services.store.get(key)


async def test_what_waits_for_people_here_is_not_refused_for_ever(system: System, face: FastAPI) -> None:
    liaison = await add_person(system, f"liaison_{uuid4().hex[:6]}", system.clinics["near"], Role.REQUESTER)
    other = await a_partner(system, face, liaison_id=liaison.id)
    sent = new_request()

    async def let_be(*, active: bool) -> None:
        async with system.services.database.session() as session:
            (await session.get_one(Account, liaison.account.id)).active = active

    await let_be(active=False)
    waits = await other.send(sent)
    assert (waits.status_code, response_of(waits.json())["code"]) == (503, "transient-error")
    assert int(waits.headers["retry-after"]) > 0
    await let_be(active=True)
    assert (await other.taken(sent))["status"] == "requested"


async def test_what_can_not_be_a_patient_or_a_text_is_answered(system: System, partner: Partner) -> None:
    sent = new_request()
    request_id = await returned(system, partner, sent)
    unknown = {"patient": {"family_name": "Bouchard", "birth_date_unknown": True}}
    ok(await system.requester.http.patch(f"/api/v1/requests/{request_id}", json=unknown))
    await partner.taken(changed(sent, "notify-update-service-request"))
    assert (await system.requester.view(request_id))["patient"]["birth_date"] == "1961-07-02"
    invisible = said(number_in(sent), "\u200b")
    answer = ok(await partner.send(invisible))
    refused(answer, "business-rule")
    assert issues_of(answer)[0][1] == "Communication.payload"


# What is kept


async def test_what_was_refused_is_kept_once_and_counted(system: System, face: FastAPI) -> None:
    other = await a_partner(system, face)
    path = f"/api/v1/service-accounts/{other.id}/partner"
    before = ok(await system.administrator.http.get(path))["refused_lately"]
    wrong = changed(new_request(), "add-service-request", status="revoked")
    for timestamp in ("2026-11-27T10:00:00Z", "2026-11-27T10:05:00Z"):
        assert (await other.send({**wrong, "id": str(uuid4()), "timestamp": timestamp})).status_code == 422
    refused(ok(await other.send(new_request(service="unknown"))), "not-found")
    assert ok(await system.administrator.http.get(path))["refused_lately"] == before + 2


async def test_what_no_request_has_is_forgotten_and_what_one_has_stays(system: System, face: FastAPI) -> None:
    other = await a_partner(system, face)
    row = await taken(system, other, new_request())
    refused(ok(await other.send(new_request(service="unknown"))), "not-found")
    stores, of_partner = (
        Stores(system.services.database, system.services.store),
        PartnerMessage.partner_id == UUID(other.id),
    )

    async def swept(age: timedelta) -> list[PartnerMessage]:
        """What is there after a sweep when all that came is that old."""
        async with system.services.database.session() as session:
            await session.execute(update(PartnerMessage).where(of_partner).values(received_at=datetime.now(UTC) - age))
        await sweep(stores)
        async with system.services.database.session() as session:
            return [*await session.scalars(select(PartnerMessage).where(of_partner))]

    hour = timedelta(hours=1)
    lost = [one.object_key for one in await swept(KEPT_FOR - hour) if one.request_id is None]
    assert len(lost) == 2  # before anybody had said how its messages are taken; and of an unknown service
    assert [one.request_id for one in await swept(KEPT_FOR + hour)] == [row.id]
    for key in lost:
        with pytest.raises(ContentDiffersError):  # it lies there sealed, and its key is gone
            await system.services.store.get(key)


async def test_the_audit_names_the_author(system: System, partner: Partner) -> None:
    sent = new_request()
    row = await taken(system, partner, sent)
    async with system.services.database.session() as session:
        query = select(AuditEntry).where(AuditEntry.request_id == row.id, AuditEntry.kind == Act.COMMAND)
        entries = (await session.scalars(query)).all()
    (content,) = [one.content for one in entries if one.content]
    assert content["author"] == "Dre Ada Okafor"
    assert header_of(sent)["id"] in content["command_id"]
