"""Two installations: one asks the other, over real HTTP, each with its own engine, database and people."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import Role
from domain.told_partners import MessageState, word_id
from portal import worklist
from records import lost_messages, notices, partner_outbox, partners, requests, restrictions
from records.models import (
    Account,
    Attachment,
    Notice,
    PartnerEndpoint,
    RequestRecord,
    RequestRestriction,
    ServiceAccount,
    ToldMessage,
)
from records.notices import MESSAGE_LOST
from records.store import DocumentStore
from server import create_app
from tests.api.answers import problem
from tests.api.test_fhir import OF_ONE
from tests.api.test_invitations import accept, code_for
from tests.api.test_people_of_clinics import invitation
from tests.api.test_restrictions import restricted
from tests.conftest import MakeDatabase
from tests.eventually import eventually
from tests.fhir.checker import faults_of
from tests.fhir.messages import entry, find, message, resource
from tests.journeys import draft, filled, ok, ok_list, submitted, upload
from tests.mail.post_office import open_post_office
from tests.papers import paper
from tests.partners.installations import House, agree, all_said, know
from tests.partners.requester import Requester, open_requester
from tests.portal.browsing import shown, visitor
from tests.scim.test_directories import directory_of, refused, somebody, told
from tests.serving import address_of, listen, served
from tests.system import PASSWORD, Clinician, add_person, photo, run_system
from use_cases import partner_sender
from use_cases import repair as use_case_of_repair
from use_cases.administration import AdministrationError, add_account
from use_cases.asked_files import NotReadyError
from use_cases.lost_messages import tell_of_lost_messages
from use_cases.partner_sender import PartnerSender
from use_cases.shut_holders import take_away_all
from use_cases.unasked import ask_for_what_was_left


@dataclass
class Two:
    """`asks` has a clinic that stands for `answers`, whose dispatcher and provider have accounts there."""

    asks: House
    answers: House
    dispatcher: Clinician
    provider: Clinician

    async def asked(self, **more: Any) -> tuple[str, str]:
        """A request that was given to the other installation, and has arrived: its ids here and there."""
        system = self.asks.system
        id_ = await submitted(system, **more)
        await self.give(id_)
        await all_said(self.asks, self.answers)
        return id_, str((await self.answers.begun_by_messages())[-1].id)

    async def give(self, id_: str) -> None:
        system = self.asks.system
        ok(await system.dispatcher.post(f"/requests/{id_}/assign", {"clinic_id": str(self.asks.clinic.id)}))

    async def taken(self, id_: str) -> None:
        """Accepted there."""
        ok(await self.dispatcher.post(f"/requests/{id_}/assign", {"provider_id": self.provider.id}))
        ok(await self.provider.post(f"/requests/{id_}/accept"))
        await self.said()

    async def reported(self, id_: str, kind: str = "final", **more: Any) -> None:
        answers = {**filled(self.answers.system.services.offerings["teledermatology"].report), **more}
        ok(await self.provider.http.put(f"/api/v1/requests/{id_}/report", json={"answers": answers}))
        ok(await self.provider.post(f"/requests/{id_}/report/sign", {"kind": kind, "password": PASSWORD}))
        await self.said()

    async def said(self) -> None:
        await all_said(self.asks, self.answers)

    async def statuses(self, here: str, there: str) -> tuple[str, str]:
        view = await self.asks.system.requester.view(here)
        async with self.answers.system.services.database.session() as session:
            row = await session.get_one(RequestRecord, UUID(there))
        return view["status"], row.status.value


@pytest.fixture(scope="module")
async def two(
    make_database: MakeDatabase, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Two]:
    async with AsyncExitStack() as stack:
        houses = []
        post_office = await stack.enter_async_context(open_post_office())
        for name in ("Réponses", "Demandes"):  # each knows the other one under that name
            listening, folder = listen(), tmp_path_factory.mktemp("house")
            url = address_of(listening)
            database = await make_database(migrated_template)
            running = run_system(database, folder, post_office, public_url=url, webhooks_to_this_machine=True)
            system = await stack.enter_async_context(running)
            await stack.enter_async_context(served(create_app(system.settings, system.of_api), listening))
            houses.append(await know(system, url, name))
        asks, answers = houses
        dispatcher = await add_person(answers.system, "outside_dispatcher", answers.clinic, Role.DISPATCHER)
        provider = await add_person(answers.system, "outside_provider", answers.clinic, Role.PROVIDER)
        await agree(asks, answers, performs=True)
        await agree(answers, asks)
        yield Two(asks, answers, dispatcher, provider)


async def test_a_whole_conversation(two: Two) -> None:
    """Asked with photos, taken, a question and its answer, something added, a preliminary and a final report, closed."""
    requester, provider = two.asks.system.requester, two.provider
    here, there = await two.asked()
    assert await two.statuses(here, there) == ("awaiting_acceptance", "awaiting_dispatch")
    assert await two.asks.told(here) == [("add-service-request", "delivered")]
    theirs = await two.dispatcher.view(there)
    assert theirs["patient"]["family_name"] == "Tremblay"
    assert len(theirs["attachments"]) == 3
    assert theirs["received"]["missing"] == []
    await two.taken(there)
    assert await two.statuses(here, there) == ("accepted", "accepted")

    ok(await provider.post(f"/requests/{there}/request-information", {"text": "Depuis quand?"}))
    await two.said()
    [question] = (await requester.view(here))["questions"]
    assert (question["text"], question["state"]) == ("Depuis quand?", "open")
    taken = ok(await upload(requester, here, photo((333, 241))), 201)["id"]
    ok(
        await requester.post(
            f"/requests/{here}/answer-information", {"text": "Depuis mardi.", "attachment_ids": [taken]}
        )
    )
    ok(await requester.post(f"/requests/{here}/add-information", {"text": "Elle saigne.", "worse": True}))
    await two.said()
    theirs = await provider.view(there)
    assert [(one["state"], one["answer"]) for one in theirs["questions"]] == [
        ("answered", "Dre Anne Requester: Depuis mardi.")
    ]
    assert len(theirs["attachments"]) == 4
    assert "Elle saigne." in str(theirs["additions"])

    await two.reported(there, "preliminary")
    assert [one["kind"] for one in (await requester.view(here))["documents"]] == ["preliminary"]
    await two.reported(there)
    assert await two.statuses(here, there) == ("reported", "reported")
    kept, sent = (await requester.view(here))["documents"], (await provider.view(there))["documents"]
    assert [one["sha256"] for one in kept] == [one["sha256"] for one in sent]

    ok(await requester.post(f"/requests/{here}/ask-follow-up", {"text": "Combien de temps?"}))
    await two.said()
    ok(await provider.post(f"/requests/{there}/answer-follow-up", {"text": "Dix jours."}))
    await two.said()
    assert [one["answer"] for one in (await requester.view(here))["follow_ups"]] == ["Dix jours."]
    ok(await requester.post(f"/requests/{here}/acknowledge", {}))
    await two.said()
    assert {state for _, state in await two.asks.told(here) + await two.answers.told(there)} == {"delivered"}


async def test_who_answers_is_named_and_marked_as_outside(two: Two) -> None:
    """Under each answer stands the name that the partner's message gives, and the document is theirs to the byte."""
    requester = two.asks.system.requester
    here, there = await two.asked()
    await two.taken(there)
    ok(await two.provider.post(f"/requests/{there}/request-information", {"text": "Depuis quand?"}))
    await two.reported(there)
    view = await requester.view(here)
    [document], [question] = view["documents"], view["questions"]
    for name in (document["signer"], question["asked_by"]):
        assert name["outside"]
        assert name["name"] == "Dre Anne Outside Provider (Clinique Demandes)"
    assert document["outside"]
    pdf = await requester.get(f"/requests/{here}/reports/{document['report_id']}.pdf")
    [signed] = (await two.provider.view(there))["documents"]
    theirs = await two.provider.get(f"/requests/{there}/reports/{signed['report_id']}.pdf")
    assert pdf.content == theirs.content
    content = ok(await requester.get(f"/requests/{here}/reports/{document['report_id']}/content"))
    assert content["signer"]["name"] == "Dre Anne Outside Provider"
    verdict = ok(await requester.get(f"/requests/{here}/reports/{document['report_id']}/verification"))
    assert (verdict["outside"], verdict["unchanged"], verdict["valid"]) == (True, True, False)
    assert (verdict["problems"], verdict["signer_name"], verdict["certificate"]) == ([], None, None)
    assert pdf.headers["content-disposition"].startswith("attachment")
    listed = await requester.get(f"/requests/{here}/reports")
    assert [one["signer"] for one in listed.json()] == [document["signer"]]
    await told_in_fhir(two, here)
    timeline: list[dict[str, Any]] = (await requester.get(f"/requests/{here}/timeline")).json()
    assert [entry["by"]["outside"] for entry in timeline if entry["name"] == "accepted"] == [True]
    assert {one["state"] for one in view["asked"]} == {"delivered"}
    async with visitor(create_app(two.asks.system.settings, two.asks.system.of_api), requester) as http:
        page = (await http.get(f"/requests/{here}", headers={"Accept-Language": "fr"})).text
        report = (await http.get(f"/requests/{here}/documents/{document['report_id']}")).text
    for words in ("Clinique Réponses répond à cette demande avec son propre système.", "De l’extérieur", "– remis"):
        assert words in page
    assert "Dre Anne Outside Provider (Clinique Demandes)" in page
    assert page.count(' <span class="badge">De l’extérieur</span>') >= 4  # question, report, document, history
    assert "De l’extérieur, inchangé depuis son arrivée" in report
    for words in ("La signature", "Ne vous fiez pas", "Ouvrir le PDF"):
        assert words not in report


async def told_in_fhir(two: Two, here: str) -> None:
    """What came from outside is under the name that it came with, signed by nobody here, and nothing leads to the system."""
    authorization = {"Authorization": two.asks.system.requester.http.headers["Authorization"]}
    told: list[dict[str, Any]] = []
    async with httpx.AsyncClient(base_url=two.asks.url, headers=authorization, trust_env=False) as http:
        for kind, by in OF_ONE.items():
            bundle = ok(await http.get(f"/fhir/{kind}", params={by: here}))
            told += [one["resource"] for one in bundle.get("entry", [])]
    assert [faults for faults in await faults_of(told) if faults] == []
    served = {kind: [one for one in told if one["resourceType"] == kind] for kind in OF_ONE}
    shown = {"display": "Dre Anne Outside Provider (Clinique Demandes)"}
    assert [one["author"] for one in served["DocumentReference"]] == [[shown]]
    assert [one["resultsInterpreter"] for one in served["DiagnosticReport"]] == [[shown]]
    assert [one["sender"] for one in served["Communication"]] == [shown]
    assert served["Provenance"] == []
    assert f"PractitionerRole/{two.asks.partner_id}" not in str(served)


async def test_sent_back_and_submitted_again(two: Two) -> None:
    """What the other one returns is edited here and goes to it again, as the same order."""
    requester = two.asks.system.requester
    here, there = await two.asked()
    before = len(await two.answers.begun_by_messages())
    ok(await two.dispatcher.post(f"/requests/{there}/assign", {"provider_id": two.provider.id}))
    reason = {"reason": "incomplete_submission", "text": "Les photos sont floues."}
    ok(await two.provider.post(f"/requests/{there}/return-to-requester", reason))
    await two.said()
    assert await two.statuses(here, there) == ("returned", "returned")
    view = await requester.view(here)
    assert view["return_notice"]["text"] == "Les photos sont floues."
    assert view["questions"] == []
    ok(await upload(requester, here, photo((350, 260))), 201)
    ok(await requester.post(f"/requests/{here}/resubmit"))
    await two.said()
    assert await two.statuses(here, there) == ("awaiting_acceptance", "awaiting_acceptance")
    assert len((await two.provider.view(there))["attachments"]) == 4
    ok(await two.provider.post(f"/requests/{there}/accept"))
    await two.reported(there)
    assert await two.statuses(here, there) == ("reported", "reported")
    assert len(await two.answers.begun_by_messages()) == before


async def test_cancelled_before_it_is_taken(two: Two) -> None:
    here, there = await two.asked()
    ok(await two.asks.system.requester.post(f"/requests/{here}/cancel", {"reason": "La patiente est guérie."}))
    await two.said()
    assert await two.statuses(here, there) == ("cancelled", "cancelled")


async def test_cancelled_after_it_is_taken_is_a_wish_there(two: Two) -> None:
    """Nobody's work is ended by a machine: who has it is told, and what they send back then is refused, and seen there."""
    here, there = await two.asked()
    await two.taken(there)
    ok(await two.asks.system.requester.post(f"/requests/{here}/cancel", {"reason": "La patiente est guérie."}))
    await two.said()
    assert await two.statuses(here, there) == ("cancelled", "accepted")
    assert "La patiente est guérie." in str((await two.provider.view(there))["additions"])
    await two.reported(there)
    assert await two.statuses(here, there) == ("cancelled", "reported")
    assert (await two.answers.told(there))[-1] == ("notify-update-process-request", "refused")
    assert (await two.asks.system.requester.view(here))["documents"] == []


async def test_taken_back_and_given_once_more(two: Two) -> None:
    """Dispatch takes it back: the other one is told. Given to it again, it is another order."""
    system = two.asks.system
    here, there = await two.asked()
    ok(await system.dispatcher.post(f"/requests/{here}/reassign", {"dispatch": True, "reason": "Trop long."}))
    await two.said()
    assert await two.statuses(here, there) == ("awaiting_dispatch", "cancelled")
    await two.give(here)
    await two.said()
    again = str((await two.answers.begun_by_messages())[-1].id)
    assert again != there
    await two.taken(again)
    assert await two.statuses(here, again) == ("accepted", "accepted")


async def test_the_page_says_who_has_it(two: Two) -> None:
    """What was dropped before it left says nothing; what was sent to one who has it no more says so."""
    system = two.asks.system
    id_ = await submitted(system)
    await two.give(id_)
    async with visitor(create_app(system.settings, system.of_api), system.requester) as http:
        has_it, had_it = "répond à cette demande avec son propre système", "et n’y est plus"
        assert has_it in shown(await http.get(f"/requests/{id_}"))
        ok(await system.dispatcher.post(f"/requests/{id_}/assign", {"provider_id": system.provider.id}))
        page = shown(await http.get(f"/requests/{id_}"))
        assert has_it not in page
        assert had_it not in page
        here, there = await two.asked()
        await two.taken(there)
        async with visitor(create_app(system.settings, system.of_api), system.dispatcher) as dispatching:
            page = shown(await dispatching.get(f"/requests/{here}"))
        assert has_it in page
        assert "Tout ce que cette personne a" not in page  # it is nobody
        ok(await system.dispatcher.post(f"/requests/{here}/reassign", {"dispatch": True, "reason": "Trop long."}))
        page = shown(await http.get(f"/requests/{here}"))
        assert has_it not in page
        assert "Clinique Réponses" in page
        assert {one["with_partner"] for one in (await system.requester.view(here))["asked"]} == {False}


async def test_what_was_taken_back_before_it_left_never_goes(two: Two) -> None:
    """A partner that was asked nothing is told nothing, and gets nobody's data any more."""
    system = two.asks.system
    before = len(await two.answers.begun_by_messages())
    id_ = await submitted(system)
    await two.give(id_)
    ok(await system.dispatcher.post(f"/requests/{id_}/assign", {"provider_id": system.provider.id}))
    await two.said()
    assert await two.asks.told(id_) == [("add-service-request", "dropped")]
    assert len(await two.answers.begun_by_messages()) == before


async def test_what_was_said_before_goes_along(two: Two) -> None:
    system = two.asks.system
    id_ = await submitted(system)
    ok(await system.requester.post(f"/requests/{id_}/add-information", {"text": "Elle démange la nuit."}))
    await two.give(id_)
    await two.said()
    there = str((await two.answers.begun_by_messages())[-1].id)
    assert "Elle démange la nuit." in str(await two.dispatcher.view(there))


async def test_a_report_to_be_read_without_delay_is_one_here(two: Two) -> None:
    """And one after which the patient is seen in two weeks is none."""
    for urgency, is_urgent in (("emergency", True), ("visit-2-weeks", False)):
        here, there = await two.asked()
        await two.taken(there)
        await two.reported(there, urgency_reassessment=urgency)
        view = await two.asks.system.requester.view(here)
        assert (view["status"], view["urgent_report_unread"]) == ("reported", is_urgent)


async def test_an_old_order_is_neither_sent_again_nor_revoked_with_the_new_one(two: Two) -> None:
    """What an administrator sends once more is of the order of then: the one that stands is left alone."""
    system = two.asks.system
    here, there = await two.asked()
    ok(await system.dispatcher.post(f"/requests/{here}/reassign", {"dispatch": True, "reason": "Trop long."}))
    await two.said()
    await two.give(here)
    await two.said()
    again = str((await two.answers.begun_by_messages())[-1].id)
    async with system.services.database.session() as session:
        told = update(ToldMessage).where(ToldMessage.request_id == UUID(here), ToldMessage.sequence < 4)
        await session.execute(told.values(state=MessageState.FAILED))
    path = f"/service-accounts/{two.asks.partner_id}/partner/replay"
    ok(await two.asks.boss.post(path, {"since": "2026-01-01T00:00:00Z"}), 202)
    await two.said()
    assert [state for _event, state in await two.asks.told(here)] == ["dropped", "delivered", "delivered"]
    assert await two.statuses(here, again) == ("awaiting_acceptance", "awaiting_dispatch")
    assert (await two.statuses(here, there))[1] == "cancelled"


# What is refused


def about(name: tuple[str, str], status: str, **more: Any) -> dict[str, Any]:
    """A message of a performer about the Task of an order."""
    based_on = [{"identifier": {"system": name[0], "value": name[1]}}]
    task = resource("Task", status=status, intent="order", basedOn=based_on, **more)
    return message("notify-update-process-request", task)


async def by_hand(two: Two, who: House) -> httpx.AsyncClient:
    """The system of `who`, by a secret of its own: what a partner of another make might send."""
    secret = ok(await who.boss.post(f"/service-accounts/{who.partner_id}/secrets", {}), 201)["secret"]
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/fhir+json"}
    return httpx.AsyncClient(base_url=two.asks.url, headers=headers, trust_env=False)


async def test_only_who_was_asked_may_speak_and_only_of_what_it_has(two: Two) -> None:
    system = two.asks.system
    here, _there = await two.asked()
    number = (await system.requester.view(here))["number"]
    orders = f"{two.asks.url}/fhir/identifiers/task-number"
    other = await know(system, two.asks.url, "Ailleurs")
    await agree(other, two.answers, performs=True)
    async with await by_hand(two, two.asks) as asked, await by_hand(two, other) as stranger:

        async def refused(http: httpx.AsyncClient, sent: dict[str, Any]) -> tuple[int, str]:
            answer = await http.post("/fhir/$process-message", json=sent)
            outcome = answer.json() if answer.status_code != 200 else find(answer.json(), "OperationOutcome")
            return answer.status_code, outcome["issue"][0]["code"]

        name = (orders, f"{number}-1")
        assert await refused(stranger, about(name, "accepted")) == (200, "not-found")
        assert await refused(asked, about((orders, f"{number}-2"), "accepted")) == (200, "forbidden")
        assert await refused(asked, about((orders, number), "accepted")) == (200, "not-found")
        assert await refused(asked, about(("https://other.test", f"{number}-1"), "accepted")) == (200, "not-found")
        assert await refused(asked, about((orders, "TC-2026-999999-1"), "accepted")) == (200, "not-found")
        assert await refused(asked, about(name, "completed")) == (200, "business-rule")
        assert await refused(asked, about(name, "finished")) == (422, "code-invalid")
        assert await refused(asked, about(name, "accepted", modifierExtension=[{"url": "x"}])) == (422, "not-supported")
        appointment = message("notify-add-appointment", resource("Appointment", status="booked"))
        assert await refused(asked, appointment) == (200, "not-supported")
        wrong = message("notify-update-process-request", resource("Appointment", status="booked"))
        assert await refused(asked, wrong) == (422, "not-supported")
        attachment = {"contentType": "text/plain", "data": base64.b64encode(b"Bonjour").decode()}
        text = resource("DocumentReference", status="current", content=[{"attachment": attachment}])
        report = about(name, "completed")
        report["entry"].append(entry(text))
        assert (await refused(asked, report))[0] == 200
        view = await system.requester.view(here)
        assert (view["status"], view["documents"]) == ("awaiting_acceptance", [])

        taken = about(name, "accepted")
        for _ in range(2):  # the same once more is answered as the first time
            answer = await asked.post("/fhir/$process-message", json=taken)
            assert find(answer.json(), "MessageHeader")["response"]["code"] == "ok"
        ok(await system.dispatcher.post(f"/requests/{here}/reassign", {"dispatch": True, "reason": "Trop long."}))
        assert await refused(asked, about(name, "in-progress")) == (200, "forbidden")
        assert (await system.requester.view(here))["status"] == "awaiting_dispatch"
        gone = await asked.post("/fhir/$process-message", json=about(name, "cancelled"))
        assert find(gone.json(), "MessageHeader")["response"]["code"] == "ok"  # it has nothing to end any more


async def test_one_partner_of_a_clinic_answers_and_says_where(two: Two) -> None:
    path = f"/api/v1/service-accounts/{two.asks.partner_id}/partner"
    liaison = two.asks.liaison_id
    answer = await two.asks.boss.http.put(path, json={"liaison_id": liaison, "performs": True})
    assert problem(answer, 422, "invalid_input")["errors"][0]["field"] == "endpoint"
    until = str(datetime.now(UTC).date() + timedelta(days=30))
    new = {"name": "Deuxième", "purpose": "Messages", "scopes": ["messages:send"], "expires_on": until}
    second = ok(await two.asks.boss.post("/service-accounts", new), 201)["service_account"]["id"]
    kept = ok(await two.asks.boss.http.get(path))
    endpoint = endpoint_of(kept)
    said = {"liaison_id": liaison, "performs": True, "endpoint": endpoint}
    answer = await two.asks.boss.http.put(f"/api/v1/service-accounts/{second}/partner", json=said)
    assert problem(answer, 422, "invalid_input")["errors"][0]["field"] == "performs"


async def test_what_is_shut_to_providers_is_shut_to_the_system_that_answers_for_them_and_to_no_other(two: Two) -> None:
    system = two.asks.system
    silent = await know(system, two.asks.url, "Autre")
    request_id = UUID(await submitted(system))
    said: dict[str, Any] = {"reason": "Parenté.", "set_by": UUID(system.administrator.id), "now": datetime.now(UTC)}
    async with system.services.database.session() as session:
        for house in (two.asks, silent):
            await restrictions.add(session, request_id, None, (house.clinic.id, Role.PROVIDER), **said)
    async with system.services.database.session() as session:
        shut = [await restrictions.shuts_out(session, request_id, UUID(one.partner_id)) for one in (two.asks, silent)]
    assert shut == [True, False]


def endpoint_of(kept: dict[str, Any]) -> dict[str, Any]:
    """Where a partner is, as it is said: what is kept of it without what Relais has added."""
    return {name: kept["endpoint"][name] for name in ("url", "authorization", "token_url", "client_id")}


# What may be the report, and of whom


def made_pdf(words: str) -> bytes:
    """A PDF of one page, that is another with other words."""
    return paper(1) + b"\n%" + words.encode() + b"\n"


def document(pdf: bytes, **more: Any) -> dict[str, Any]:
    attachment = {"contentType": "application/pdf", "data": base64.b64encode(pdf).decode()}
    return resource("DocumentReference", **{"status": "current", "content": [{"attachment": attachment}], **more})


def named(name: str) -> list[dict[str, Any]]:
    """An author who is named, and no more."""
    return [{"display": name}]


@dataclass
class ByHand:
    """A partner of another make, which was asked for a request."""

    two: Two
    here: str
    name: tuple[str, str]
    house: House | None = None

    async def say(self, status: str, *others: dict[str, Any], **more: Any) -> tuple[str, str]:
        """What becomes of the Task: the answer's code, and FHIR's code of why not."""
        sent = about(self.name, status, **more)
        sent["entry"] += [entry(one) for one in others]
        return await self.send(sent)

    async def speak(self, text: str, **more: Any) -> tuple[str, str]:
        based_on = [{"identifier": {"system": self.name[0], "value": self.name[1]}}]
        said = resource(
            "Communication", status="completed", basedOn=based_on, payload=[{"contentString": text}], **more
        )
        return await self.send(message("send-communication-from-provider", said))

    async def send(self, sent: dict[str, Any]) -> tuple[str, str]:
        async with await by_hand(self.two, self.house or self.two.asks) as http:
            answer = await http.post("/fhir/$process-message", json=sent)
        if answer.status_code != 200:
            return "http", answer.json()["issue"][0]["code"]
        code = find(answer.json(), "MessageHeader")["response"]["code"]
        return code, "" if code == "ok" else find(answer.json(), "OperationOutcome")["issue"][0]["code"]

    async def documents(self) -> list[tuple[str, str]]:
        """The kinds of the documents that are kept, and under whose names."""
        view = await self.two.asks.system.requester.view(self.here)
        return [(one["kind"], one["signer"]["name"]) for one in view["documents"]]


async def other_make(two: Two, **more: Any) -> ByHand:
    here, _there = await two.asked(**more)
    return ByHand(two, here, await order_of(two, here))


async def order_of(two: Two, here: str) -> tuple[str, str]:
    """The name of a request's first order, as its partner knows it."""
    number = (await two.asks.system.requester.view(here))["number"]
    return f"{two.asks.url}/fhir/identifiers/task-number", f"{number}-1"


OK = ("ok", "")
SEVERAL = ("fatal-error", "multiple-matches")


async def test_what_is_struck_is_no_report(two: Two) -> None:
    """Neither what is entered in error nor what is replaced; and each report has its own author."""
    partner = await other_make(two)
    wrong = document(made_pdf("wrong"), status="entered-in-error", author=named("Dr Wrong"))
    old = document(made_pdf("old"), status="superseded", author=named("Dr Old"))
    assert await partner.say("completed", wrong, old) == ("fatal-error", "business-rule")
    assert await partner.documents() == []
    assert await partner.say("completed", wrong, document(made_pdf("right"), author=named("Dr Right")), old) == OK
    assert [kind for kind, name in await partner.documents() if "Dr Right" in name] == ["final"]


async def test_only_what_may_be_the_report_is_one(two: Two) -> None:
    """What the Task names as its output; where it names nothing, one document at most. What is ours is none of theirs."""
    partner = await other_make(two)
    [first, *_] = (await two.asks.system.requester.view(partner.here))["attachments"]
    ours = {**document(made_pdf("echo")), "id": first["id"]}
    photo = resource(
        "Media", status="completed", content={"contentType": "image/jpeg", "data": base64.b64encode(b"x").decode()}
    )
    one, other = document(made_pdf("one"), author=named("Dr One")), document(made_pdf("other"))
    assert await partner.say("completed", one, other) == SEVERAL
    assert await partner.say("completed", ours, photo) == ("fatal-error", "business-rule")
    nowhere = [{"type": {"text": "Report"}, "valueReference": {"reference": "DocumentReference/9"}}]
    assert await partner.say("completed", one, output=nowhere) == ("fatal-error", "business-rule")
    assert await partner.documents() == []
    output = [{"type": {"text": "Report"}, "valueReference": {"reference": f"urn:uuid:{one['id']}"}}]
    assert await partner.say("completed", other, ours, photo, one, output=output) == OK
    [(kind, name)] = await partner.documents()
    assert (kind, "Dr One" in name) == ("final", True)


async def test_a_document_of_ours_that_comes_back_is_no_report(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its bytes, under whatever name: each of ours is read once for it, and none where no document comes."""
    system = two.asks.system
    id_ = await draft(system)
    ok(await upload(system.requester, id_, paper(2), "lab-results", "résultats.pdf"), 201)
    ok(await system.requester.post(f"/requests/{id_}/submit"))
    await two.give(id_)
    await two.said()
    partner = ByHand(two, id_, await order_of(two, id_))
    async with system.services.database.session() as session:
        query = select(Attachment).where(Attachment.request_id == UUID(id_), Attachment.kind == "document")
        key = (await session.scalars(query)).one().full_key
    assert key is not None
    copy = await system.services.store.get(key)
    read: list[str] = []
    stream = DocumentStore.stream

    def counted(store: DocumentStore, wanted: str, *more: Any) -> AsyncIterator[bytes]:
        read.append(wanted)
        return stream(store, wanted, *more)

    monkeypatch.setattr(DocumentStore, "stream", counted)
    assert await partner.say("accepted") == OK
    assert read.count(key) == 0
    assert await partner.say("completed", document(copy), document(copy)) == ("fatal-error", "business-rule")
    assert read.count(key) == 1
    assert await partner.say("completed", document(copy), document(made_pdf("report"))) == OK
    assert [kind for kind, _name in await partner.documents()] == ["final"]


async def test_a_report_that_lies_in_a_diagnostic_report(two: Two) -> None:
    partner = await other_make(two)
    form = [{"contentType": "application/pdf", "data": base64.b64encode(made_pdf("form")).decode()}]
    report = resource("DiagnosticReport", status="final", presentedForm=form, resultsInterpreter=named("Dre Lue"))
    assert await partner.say("completed", report) == OK
    assert [name.partition(" (")[0] for _kind, name in await partner.documents()] == ["Dre Lue"]


async def test_the_same_document_is_preliminary_and_then_final(two: Two) -> None:
    """What is marked preliminary is never the final report; said to be final, it is."""
    partner = await other_make(two)
    pdf = made_pdf("same")
    assert await partner.say("in-progress", document(pdf, docStatus="preliminary")) == OK
    assert [kind for kind, _ in await partner.documents()] == ["preliminary"]
    assert await partner.say("completed", document(pdf, docStatus="preliminary")) == ("fatal-error", "business-rule")
    assert (await two.asks.system.requester.view(partner.here))["status"] == "accepted"
    for _ in range(2):
        assert await partner.say("completed", document(pdf, docStatus="final")) == OK
        assert [kind for kind, _ in await partner.documents()] == ["preliminary", "final"]
    assert (await two.asks.system.requester.view(partner.here))["status"] == "reported"


async def test_another_patient_is_refused(two: Two) -> None:
    partner = await other_make(two)
    pdf = document(made_pdf("patient"))
    number = {
        "system": "https://fhir.infoway-inforoute.ca/NamingSystem/ca-qc-patient-healthcare-id",
        "value": "BOUL61070212",
    }
    another = resource("Patient", identifier=[number])
    conflict = ("fatal-error", "conflict")
    assert await partner.say("completed", pdf, another) == conflict
    assert await partner.say("completed", pdf, **{"for": {"identifier": number}}) == conflict
    assert await partner.say("completed", {**pdf, "subject": {"identifier": number}}) == conflict
    within = {"contained": [{**another, "id": "p"}], "for": {"reference": "#p"}}
    assert await partner.say("accepted", **within) == conflict
    assert await partner.speak("Depuis quand?", subject={"identifier": number}) == conflict
    assert await partner.say("completed", pdf, another, resource("Patient")) == ("http", "value")
    elsewhere = {"subject": {"reference": "Patient/2"}}
    assert await partner.say("completed", {**pdf, **elsewhere}, **{"for": {"reference": "Patient/1"}}) == (
        "http",
        "value",
    )
    assert await partner.documents() == []
    view = await two.asks.system.requester.view(partner.here)
    assert (view["status"], view["questions"]) == ("awaiting_acceptance", [])
    own = resource("Patient", identifier=[{**number, "value": view["patient"]["health_insurance_number"]}])
    subject = {"reference": f"urn:uuid:{own['id']}"}
    assert await partner.say("completed", {**pdf, "subject": subject}, own, **{"for": subject}) == OK


async def test_an_answer_answers_what_it_names(two: Two) -> None:
    """Of what was asked about a report: what it names, or the only one; an addition alone is no answer."""
    requester = two.asks.system.requester
    partner = await other_make(two)
    assert await partner.say("completed", document(made_pdf("about"))) == OK
    ok(await requester.post(f"/requests/{partner.here}/ask-follow-up", {"text": "Combien de temps?"}))
    assert await partner.say("completed", document(made_pdf("about, more"))) == OK
    [asked] = (await requester.view(partner.here))["follow_ups"]
    assert asked["state"] == "open"
    missed = ("fatal-error", "business-rule")
    wrong = [{"reference": f"Communication/{partner.here}.1"}]
    assert await partner.speak("Dix jours.", inResponseTo=wrong) == missed
    assert await partner.speak("Dix jours.") == OK
    ok(await requester.post(f"/requests/{partner.here}/ask-follow-up", {"text": "Et après?"}))
    timeline = (await requester.get(f"/requests/{partner.here}/timeline")).json()
    first, second = [one["version"] for one in timeline if one["name"] == "follow_up_asked"]
    assert await partner.speak("Dix jours encore.") == missed
    assert await partner.speak("Dix.", inResponseTo=[{"reference": f"Communication/{partner.here}.{first}"}]) == (
        "fatal-error",
        "conflict",
    )
    word = f"urn:uuid:{word_id(UUID(partner.here), second)}"
    answer = document(made_pdf("the answer"), context={"related": [{"reference": word}]})
    assert await partner.say("completed", answer) == OK
    assert [one["state"] for one in (await requester.view(partner.here))["follow_ups"]] == ["answered", "answered"]


# Who answers, and where


async def test_what_one_person_of_the_clinic_is_given_stays_here(two: Two) -> None:
    """A partner has what its clinic has, not what somebody there was given by name; that revokes what it had."""
    system = two.asks.system
    person = await add_person(system, "came_later", two.asks.clinic, Role.PROVIDER)
    id_ = await submitted(system)
    ok(await system.dispatcher.post(f"/requests/{id_}/assign", {"provider_id": person.id}))
    ok(await system.requester.post(f"/requests/{id_}/add-information", {"text": "Elle démange."}))
    assert await two.asks.told(id_) == []
    here, there = await two.asked()
    ok(await person.post(f"/requests/{here}/accept"))
    ok(await system.requester.post(f"/requests/{here}/add-information", {"text": "Elle démange."}))
    await two.said()
    assert await two.asks.told(here) == [("add-service-request", "delivered"), ("revoke-service-request", "delivered")]
    assert (await two.statuses(here, there))[1] == "cancelled"
    async with system.services.database.session() as session:
        (await session.get_one(Account, UUID(person.id))).active = False


async def test_a_partner_is_given_up_only_when_nothing_is_with_it(two: Two) -> None:
    """Both are written down, and what is with it keeps it; where people answer, no partner does."""
    path = f"/api/v1/service-accounts/{two.asks.partner_id}/partner"
    kept = ok(await two.asks.boss.http.get(path))
    endpoint = endpoint_of(kept)
    said: dict[str, Any] = {
        "liaison_id": two.asks.liaison_id,
        "dispatch_clinic_id": str(two.asks.clinic.id),
        "endpoint": endpoint,
    }
    here, _there = await two.asked()
    problem(await two.asks.boss.http.put(path, json=said), 409, "partner_has_requests")
    assert ok(await two.asks.boss.http.get(path))["performs"]

    system = two.asks.system
    own = await know(system, two.asks.url, "Encore")
    path = f"/api/v1/service-accounts/{own.partner_id}/partner"
    said = {"liaison_id": own.liaison_id, "performs": True, "endpoint": endpoint}
    person = await add_person(system, "answers_herself", own.clinic, Role.PROVIDER)
    problem(await own.boss.http.put(path, json=said), 409, "clinic_has_providers")
    async with system.services.database.session() as session:
        (await session.get_one(Account, UUID(person.id))).active = False
    ok(
        await system.dispatcher.post(
            f"/requests/{here}/reassign", {"clinic_id": str(own.clinic.id), "reason": "Plus près."}
        )
    )
    problem(await own.boss.http.put(path, json=said), 409, "clinic_has_requests")
    ok(await system.dispatcher.post(f"/requests/{here}/reassign", {"dispatch": True, "reason": "Trop long."}))
    for performs in (True, False):
        ok(await own.boss.http.put(path, json={**said, "performs": performs}))
    events: list[dict[str, Any]] = (await own.boss.get(f"/service-accounts/{own.partner_id}/events")).json()
    changes = [one["changes"]["performs"] for one in events if "performs" in (one.get("changes") or {})]
    assert sorted(changes) == [[False, True], [True, False]]


async def test_what_a_partner_was_never_asked_for_is_asked_by_the_upkeep(two: Two) -> None:
    """As of a request that came to its clinic while somebody said that it answers; and what was shut when it was to go, and is
    not any more. What is shut still is not asked, and one that can't be read holds up no other.
    """
    system = two.asks.system
    async with asked_by_hand(two, "Oubliée") as (house, there):
        broken, *ids = [await given(two, house) for _ in range(4)]
        async with system.services.database.session() as session:
            left = [UUID(broken), UUID(ids[0])]
            await session.execute(delete(ToldMessage).where(ToldMessage.request_id.in_(left)))
            for id_ in ids[1:]:
                said: dict[str, Any] = {"reason": "Parenté.", "set_by": UUID(system.administrator.id)}
                clinic = house.clinic.id, Role.PROVIDER
                await restrictions.add(session, UUID(id_), None, clinic, now=datetime.now(UTC), **said)
        ok(await system.requester.post(f"/requests/{ids[0]}/add-information", {"text": "Elle démange."}))
        await house.send()
        assert [state for id_ in ids[1:] for _event, state in await house.told(id_)] == ["dropped"] * 2
        async with system.services.database.session() as session:
            held = await session.scalar(select(RequestRestriction).where(RequestRestriction.request_id == UUID(ids[1])))
            assert held is not None
            by, now = UUID(system.administrator.id), datetime.now(UTC)
            await restrictions.end(session, held, reason="C’est fini.", ended_by=by, now=now)
        async with system.services.database.session() as session:
            row = await requests.lock_request(session, UUID(broken))
            as_it_is, row.process = row.process, {**row.process, "status": "of_another_relais"}
        for _ in range(2):  # once
            await ask_for_what_was_left(system.services)
        async with system.services.database.session() as session:
            (await session.get_one(RequestRecord, UUID(broken))).process = as_it_is
        await house.send()
        assert await house.told(broken) == []
        assert await house.told(ids[0]) == [("add-service-request", "delivered")]
        assert await house.told(ids[1]) == [("add-service-request", "delivered")]
        assert await house.told(ids[2]) == [("add-service-request", "dropped")]
        assert any("Elle démange." in str(one) for one in there.messages)


async def test_what_has_come_to_a_clinic_is_seen_by_who_says_that_a_partner_answers(two: Two) -> None:
    """And the other way round: who records it waits until that is said."""
    system = two.asks.system
    async with system.services.database.session() as session, system.services.database.session() as other:
        await partner_outbox._keep_who_performs(session, two.asks.clinic.id)
        await other.execute(text("SET LOCAL lock_timeout = '200ms'"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            await partners.other_performs(other, two.asks.clinic.id, UUID(two.asks.partner_id))
        await other.rollback()


async def test_what_is_with_the_clinics_system_is_not_given_to_it_again(two: Two) -> None:
    system = two.asks.system
    here, there = await two.asked()
    await two.taken(there)
    to = {"clinic_id": str(two.asks.clinic.id), "reason": "Plus près."}
    problem(await system.dispatcher.post(f"/requests/{here}/reassign", to), 409, "already_assigned")
    async with visitor(create_app(system.settings, system.of_api), system.dispatcher) as http:
        page = await http.get(f"/requests/{here}/reassign")
    assert page.status_code == 200
    assert f"clinic:{two.asks.clinic.id}" not in page.text
    assert "clinic:" in page.text


async def test_what_can_not_go_any_more_holds_up_no_new_order(two: Two) -> None:
    """Neither where the partner has ended the order itself; and of an order that never left nothing is revoked, nor of the one
    before once more.
    """
    system = two.asks.system
    async with asked_by_hand(two, "Têtue") as (house, there):
        id_ = await given(two, house)
        await house.send()
        partner = ByHand(two, id_, await order_of(two, id_), house)
        there.chart_status = 500
        ok(await system.requester.post(f"/requests/{id_}/add-information", {"text": "Elle démange."}))
        await house.send()
        assert await partner.say("accepted") == OK
        assert await partner.say("failed") == OK
        assert (await house.told(id_))[-1] == ("send-communication-from-requester", "dropped")
        there.chart_status = 200
        to = {"clinic_id": str(house.clinic.id)}
        ok(await system.dispatcher.post(f"/requests/{id_}/assign", to))
        back = {"dispatch": True, "reason": "Trop long."}
        ok(await system.dispatcher.post(f"/requests/{id_}/reassign", back))
        assert [event for event, _state in await house.told(id_)].count("revoke-service-request") == 0
        ok(await system.dispatcher.post(f"/requests/{id_}/assign", to))
        await house.send()
        assert (await house.told(id_))[-1] == ("add-service-request", "delivered")


async def test_nobody_becomes_a_provider_where_a_partner_answers(two: Two) -> None:
    """Neither by a change of roles nor by an invitation, by a directory or on the command line, nor when an account is opened
    again; another role is given. In the page it is said beside the roles.
    """
    boss, clinic = two.asks.boss, two.asks.clinic
    person = await add_person(two.asks.system, "asks_only", clinic, Role.REQUESTER)
    path = f"/api/v1/accounts/{person.id}"
    problem(await boss.http.patch(path, json={"roles": ["requester", "provider"]}), 409, "clinic_has_partner")
    invited = {"given_name": "Léa", "family_name": "Roy", "email": "lea@example.org", "roles": ["provider"]}
    problem(await boss.post("/invitations", invited), 409, "clinic_has_partner")
    ok(await boss.http.patch(path, json={"roles": ["requester", "dispatcher"]}))
    async with two.asks.system.services.database.session() as session:
        account = await session.get_one(Account, UUID(person.id))
        account.active, account.roles = False, [Role.PROVIDER.value]
    problem(await boss.post(f"/accounts/{person.id}/reopen"), 409, "clinic_has_partner")
    system, roles = two.asks.system, [{"value": "provider"}]
    async with directory_of(system, by=boss) as directory:
        refused(await directory.http.post("/Users", json=somebody(roles=roles)), 409)
        told(await directory.http.post("/Users", json=somebody(roles=roles, active=False)), 201)
    with pytest.raises(AdministrationError, match="it has no providers"):
        await add_account(
            system.settings,
            username="zoe-outside",
            clinic=clinic.code,
            roles=[Role.PROVIDER],
            given_name="Zoé",
            family_name="Roy",
            email="zoe@example.org",
            title="",
            profession="",
            licence_number="",
            language="fr",
        )
    async with visitor(create_app(system.settings, system.of_api), boss) as http:
        [key] = re.findall(r'name="key" value="([^"]+)"', (await http.get("/people/invite")).text)[:1]
        page = await http.post("/people/invite", data={**invited, "key": key, "language": "fr"})
    assert 'href="#field-roles"' in page.text
    assert "Le système d’un partenaire répond pour cette clinique" in shown(page, 409)


async def test_who_was_invited_before_a_partner_answered_is_no_provider(two: Two) -> None:
    """They are told so, and the invitation stays for when it is mended."""
    system = two.asks.system
    house = await know(system, two.asks.url, "Invite")
    wanted = invitation(roles=["provider"])
    sent = ok(await house.boss.post("/invitations", wanted), 201)
    code = await code_for(system, wanted["email"])
    async with asked_by(house):
        problem(await accept(system, code, voice_code=sent["voice_code"]), 409, "clinic_has_partner")


async def test_nobody_is_asked_before_the_giving_can_be_taken_back_no_more(two: Two) -> None:
    system = two.asks.system
    id_ = await submitted(system)
    await two.give(id_)
    at_once = replace(two.asks, later=timedelta())
    await at_once.send()
    assert await two.asks.told(id_) == [("add-service-request", "pending")]
    ok(await system.dispatcher.post(f"/requests/{id_}/take-back"))
    await two.said()
    assert await two.asks.told(id_) == [("add-service-request", "dropped")]


async def test_a_new_address_is_asked_about_nobody_first(two: Two) -> None:
    """No chart goes to where nobody answers as who hears messages does."""
    system = two.asks.system
    async with asked_by_hand(two, "Muette") as (silent, there):
        there.status, there.body = 404, b"<html>nobody</html>"
        id_ = await given(two, silent)
        await silent.send()
        [call] = there.calls
        assert [one["resource"]["resourceType"] for one in call.said["entry"]] == ["MessageHeader"]
        assert "Tremblay" not in call.body.decode()
        assert await silent.told(id_) == [("add-service-request", "pending")]
        there.status, there.body = 200, None
        async with system.services.database.session() as session:
            await session.execute(update(ToldMessage).values(next_attempt=datetime.now(UTC)))
        await silent.send()
        assert [len(one.said["entry"]) > 1 for one in there.calls] == [False, False, True]
        assert await silent.told(id_) == [("add-service-request", "delivered")]
        ok(await system.requester.post(f"/requests/{id_}/add-information", {"text": "Elle démange."}))
        ok(await system.dispatcher.post(f"/requests/{id_}/change-priority", {"priority": "urgent", "reason": "Vite."}))
        await silent.send()
        ok(await system.dispatcher.post(f"/requests/{id_}/reassign", {"dispatch": True, "reason": "Trop long."}))
        await silent.send()
        assert {state for _event, state in await silent.told(id_)} == {"delivered"}
        assert len(there.messages) == 5
        assert [faults for faults in await faults_of(there.messages) if faults] == []


@asynccontextmanager
async def asked_by_hand(two: Two, name: str) -> AsyncIterator[tuple[House, Requester]]:
    """A clinic for which a system of another make answers that nobody has asked yet."""
    house = await know(two.asks.system, two.asks.url, name)
    async with asked_by(house) as there:
        yield house, there


@asynccontextmanager
async def asked_by(house: House) -> AsyncIterator[Requester]:
    """A system of another make answers for that clinic from now on."""
    async with open_requester() as there:
        await say_where(house, house.boss, there.url, there.token_url)
        yield there


async def say_where(house: House, who: Clinician, url: str, token_url: str) -> None:
    endpoint = {"url": url, "authorization": "client_assertion", "token_url": token_url, "client_id": "relais"}
    said = {"liaison_id": house.liaison_id, "performs": True, "endpoint": endpoint}
    ok(await who.http.put(f"/api/v1/service-accounts/{house.partner_id}/partner", json=said))


async def given(two: Two, house: House, **more: Any) -> str:
    """A request that was given to that clinic."""
    system = two.asks.system
    id_ = await submitted(system, **more)
    ok(await system.dispatcher.post(f"/requests/{id_}/assign", {"clinic_id": str(house.clinic.id)}))
    return id_


@pytest.mark.parametrize(("status", "becomes"), [(413, "refused"), (500, "pending")])
async def test_a_first_chart_that_is_not_taken_holds_up_no_other(two: Two, status: int, becomes: str) -> None:
    """That somebody answers there is known from what was about nobody: the requests of others go. Since something has failed
    there, it is asked once more before.
    """
    async with asked_by_hand(two, f"Pleine{status}") as (house, there):
        there.chart_status = status
        first = await given(two, house)
        await house.send()
        assert await house.told(first) == [("add-service-request", becomes)]
        there.chart_status = 200
        second = await given(two, house)
        await house.send()
        assert await house.told(second) == [("add-service-request", "delivered")]
        assert await house.told(first) == [("add-service-request", becomes)]
        assert [len(one.said["entry"]) > 1 for one in there.calls] == [False, True, False, True]


async def test_an_address_may_have_changed_owners(two: Two) -> None:
    """No chart goes where nobody has answered for days, or since something failed, before somebody answers again."""
    system = two.asks.system
    async with asked_by_hand(two, "Vendue") as (house, there):
        await given(two, house)
        await house.send()
        await given(two, house)
        await house.send()
        assert [len(one.said["entry"]) > 1 for one in there.calls] == [False, True, True]
        there.body = b"<html>for sale</html>"
        of_long_ago: dict[str, Any] = {"verified_at": datetime.now(UTC) - timedelta(days=4)}
        for there.status, changed in (
            (200, of_long_ago),
            (404, of_long_ago),
            (404, {"failing_since": datetime.now(UTC)}),
        ):
            async with system.services.database.session() as session:
                endpoint = await session.get_one(PartnerEndpoint, UUID(house.partner_id))
                endpoint.verified_at, endpoint.failing_since, endpoint.paused_until = datetime.now(UTC), None, None
                for name, value in changed.items():
                    setattr(endpoint, name, value)
            there.calls.clear()
            id_ = await given(two, house)
            await house.send()
            assert {len(one.said["entry"]) for one in there.calls} == {1}
            assert await house.told(id_) == [("add-service-request", "pending")]


async def test_files_that_are_not_ready_use_up_no_try(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked again soon, however often; people are told after an hour, though it is urgent."""
    system = two.asks.system

    async def unready(*_given: Any) -> tuple[Any, ...]:
        raise NotReadyError

    async with asked_by_hand(two, "Patiente") as (house, _there):
        id_ = await given(two, house)
        change = {"priority": "urgent", "reason": "Vite."}
        ok(await system.dispatcher.post(f"/requests/{id_}/change-priority", change))
        with monkeypatch.context() as patched:
            patched.setattr(partner_sender, "read_files", unready)
            for _ in range(3):
                await house.send()
                async with system.services.database.session() as session:
                    query = select(ToldMessage).where(ToldMessage.request_id == UUID(id_)).order_by(ToldMessage.id)
                    first = (await session.scalars(query)).first()
                    assert first is not None
                    assert (first.attempts, first.last_error, first.claimed_by) == (0, "not_ready", None)
                    assert first.next_attempt - datetime.now(UTC) < timedelta(minutes=2)
                    first.next_attempt = datetime.now(UTC)
        await tell_of_lost_messages(system.services)
        assert await mails_about(two.asks, id_) == []
        await tell_of_lost_messages(system.services, in_hours(1.1))
        assert ("dispatcher", "dispatchers") in await mails_about(two.asks, id_)
        await house.send()
        assert {state for _event, state in await house.told(id_)} == {"delivered"}


async def test_charts_of_many_partners_wait_for_each_other(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holds its files in memory until it was answered: however many partners are slow, few are made at once."""
    async with asked_by_hand(two, "Une") as (one, there), asked_by_hand(two, "Deux") as (other, elsewhere):
        elsewhere.under_way, elsewhere.may_answer = there.under_way, there.may_answer
        for house in (one, other):
            await given(two, house)
        await one.send()
        there.most_at_once = elsewhere.most_at_once = 0
        monkeypatch.setattr(PartnerSender, "CHARTS_AT_ONCE", 1)
        ids = [await given(two, house) for house in (one, other)]
        there.may_answer.clear()
        sending = asyncio.create_task(one.send())
        await eventually(lambda: there.under_way.total() >= 1)
        there.may_answer.set()
        await sending
        assert max(there.most_at_once, elsewhere.most_at_once) == 1
        for house, id_ in zip((one, other), ids, strict=True):
            assert await house.told(id_) == [("add-service-request", "delivered")]


async def test_an_old_rejection_does_not_return_what_was_submitted_again(two: Two) -> None:
    requester = two.asks.system.requester
    partner = await other_make(two)
    reason = {"statusReason": {"text": "Les photos sont floues."}}
    assert await partner.say("rejected", **reason) == OK
    ok(await upload(requester, partner.here, photo((351, 262))), 201)
    ok(await requester.post(f"/requests/{partner.here}/resubmit"))
    for late in ("rejected", "failed"):
        assert await partner.say(late, **reason) == OK  # there is nothing to end, and nobody is told of it
    assert (await requester.view(partner.here))["status"] == "awaiting_acceptance"
    await two.said()
    slow = (datetime.now(UTC) - timedelta(hours=1)).isoformat()  # its clock decides nothing
    assert await partner.say("rejected", lastModified=slow, **reason) == OK
    assert (await requester.view(partner.here))["status"] == "returned"


async def test_what_is_said_of_an_order_that_is_over_is_not_obeyed_for_the_next(two: Two) -> None:
    """Taken back and given anew, before the partner has heard of either: its answer is to what it was asked, and that is over."""
    system = two.asks.system
    partner = await other_make(two)
    ok(await system.dispatcher.post(f"/requests/{partner.here}/reassign", {"dispatch": True, "reason": "Trop long."}))
    await two.give(partner.here)
    before = (await system.requester.view(partner.here))["version"]
    assert await partner.say("accepted") == ("fatal-error", "forbidden")
    assert await partner.say("completed", document(made_pdf("late"))) == ("fatal-error", "forbidden")
    assert await partner.speak("Depuis quand?") == ("fatal-error", "forbidden")
    for ends in ("rejected", "cancelled"):  # there is nothing to end any more
        assert await partner.say(ends, statusReason={"text": "Pas pour nous."}) == OK
    await two.said()
    assert await partner.say("rejected", statusReason={"text": "Pas pour nous."}) == OK
    view = await system.requester.view(partner.here)
    assert (view["version"], view["status"], view["documents"]) == (before, "awaiting_acceptance", [])


async def test_what_comes_late_and_changes_nothing_is_not_lost(two: Two) -> None:
    """That it was taken up may come after the report: all of it is there. A document that is not is refused, and seen."""
    partner = await other_make(two)
    dispatcher = two.asks.system.dispatcher
    pdf = made_pdf("final")
    assert await partner.say("completed", document(pdf)) == OK
    assert await partner.say("in-progress") == OK
    assert await partner.say("accepted", document(pdf)) == OK
    assert partner.here not in {one["request_id"] for one in await lost(dispatcher)}
    assert (await partner.say("in-progress", document(made_pdf("other"))))[0] == "fatal-error"
    assert partner.here in {one["request_id"] for one in await lost(dispatcher)}
    assert [kind for kind, _name in await partner.documents()] == ["final"]


async def test_the_worklist_says_how_much_was_lost(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts no further than it must, and not where results alone are replaced."""
    system = two.asks.system
    partner = await other_make(two)
    one, other = document(made_pdf("one")), document(made_pdf("other"))
    assert await partner.say("completed", one, other) == SEVERAL
    async with visitor(create_app(system.settings, system.of_api), system.dispatcher) as http:
        whole = await http.get("/worklist")
        results = await http.get("/worklist", headers={"HX-Request": "true"})
        for module in (lost_messages, worklist):
            monkeypatch.setattr(module, "MOST_COUNTED", 1)
        capped = await http.get("/worklist")
    assert "Messages qui ne sont pas arrivés" in shown(whole)
    assert "Messages qui ne sont pas arrivés" not in shown(results)
    assert "Messages qui ne sont pas arrivés : 1+" in shown(capped)


async def test_a_report_that_was_refused_is_mended_by_a_report_alone(two: Two) -> None:
    partner = await other_make(two)
    dispatcher = two.asks.system.dispatcher

    async def is_lost() -> bool:
        return partner.here in {one["request_id"] for one in await lost(dispatcher)}

    assert await partner.say("completed") == ("fatal-error", "business-rule")
    assert await partner.say("received") == OK  # which changes nothing, and so mends nothing
    assert await is_lost()
    one, other = document(made_pdf("one")), document(made_pdf("other"))
    assert await partner.say("completed", one, other) == SEVERAL
    assert await partner.say("accepted") == OK
    assert await partner.speak("Depuis quand?") == OK
    assert await partner.say("in-progress") == OK
    assert await is_lost()
    assert await partner.say("completed", one) == OK
    assert not await is_lost()


async def test_what_is_refused_as_it_is_read_is_lost_too(two: Two) -> None:
    """A report in a form that is not taken is told of, as far as it says of which request it is; until another report comes."""
    await all_told(two)
    partner = await other_make(two)
    dispatcher, stranger = two.asks.system.dispatcher, await know(two.asks.system, two.asks.url, "Étrangère")
    await agree(stranger, two.answers, performs=True)

    async def lost_of() -> list[tuple[str, str]]:
        return [(one["event"], one["why"]) for one in await lost(dispatcher) if one["request_id"] == partner.here]

    report = document(made_pdf("lost"), modifierExtension=[{"url": "https://other.test/x", "valueBoolean": True}])
    said = about(partner.name, "completed")
    said["entry"].append(entry(report))
    async with await by_hand(two, stranger) as http:  # who was not asked says nothing of it
        assert (await http.post("/fhir/$process-message", json=said)).status_code == 422
    assert await lost_of() == []
    assert await partner.send(said) == ("http", "not-supported")
    assert await lost_of() == [("notify-update-process-request", "not-supported")]
    assert await partner.say("accepted") == OK
    assert len(await lost_of()) == 1
    await tell_of_lost_messages(two.asks.system.services)
    assert await mails_about(two.asks, partner.here) == [("dispatcher", "dispatchers")]
    async with await by_hand(two, two.asks) as http:
        taken = about(partner.name, "in-progress")
        ok(await http.post("/fhir/$process-message", json=taken))
        changed = {**taken, "entry": [*taken["entry"], entry(document(made_pdf("same id")))]}
        assert (await http.post("/fhir/$process-message", json=changed)).status_code == 409
    assert ("notify-update-process-request", "duplicate") in await lost_of()
    assert await partner.say("completed", document(made_pdf("mended"))) == OK
    assert await lost_of() == []


async def it_is_shut_still(two: Two, house: House, partner: ByHand) -> None:
    """What is shut to a clinic's providers is shut to the system that answered for them, and takes nothing of it."""
    system, path = two.asks.system, f"/requests/{partner.here}/restrictions"
    clinic = house.boss.account.clinic_id
    whom = {"clinic_id": str(clinic), "role": "provider", "reason": "Parenté."}
    set_ = ok(await system.administrator.post(path, whom), 201)["id"]
    async with system.services.database.session() as session:
        assert await restrictions.shuts_out(session, UUID(partner.here), UUID(house.partner_id))
    assert await partner.say("completed", document(made_pdf("shut"))) != OK
    ok(await system.administrator.post(f"{path}/{set_}/end", {"reason": "Fini."}))


async def test_who_performs_no_more_still_adds_to_what_it_has_answered(two: Two) -> None:
    """It is given up once nothing asked about its reports is open; what it adds comes, and what is asked later goes there."""
    system = two.asks.system
    async with asked_by_hand(two, "Sortante") as (house, there):
        id_ = await given(two, house)
        await house.send()
        name = await order_of(two, id_)
        partner = ByHand(two, id_, name, house)
        assert await partner.say("completed", document(made_pdf("final"))) == OK
        asked = {"text": "Faut-il une biopsie?"}
        ok(await system.requester.post(f"/requests/{id_}/ask-follow-up", asked))
        path = f"/api/v1/service-accounts/{house.partner_id}/partner"
        kept = ok(await house.boss.http.get(path))
        endpoint = endpoint_of(kept)
        terms = {"liaison_id": kept["liaison_id"], "endpoint": endpoint}
        problem(await house.boss.http.put(path, json=terms), 409, "partner_has_requests")
        assert await partner.speak("Non.") == OK
        ok(await house.boss.http.put(path, json=terms))
        await it_is_shut_still(two, house, partner)
        assert await partner.say("completed", document(made_pdf("added"))) == OK
        assert [kind for kind, _name in await partner.documents()] == ["final", "addendum"]
        ok(await system.requester.post(f"/requests/{id_}/ask-follow-up", {"text": "Et après?"}))
        await house.send()
        assert (await house.told(id_))[-1] == ("send-communication-from-requester", "delivered")
        assert there.messages
        nobody = await know(system, two.asks.url, "Muselée")
        async with await by_hand(two, nobody) as http:  # who was never asked is no performer
            answer = await http.post("/fhir/$process-message", json=about(name, "completed"))
            assert answer.status_code == 403


# What is lost, and what is shut


async def lost(who: Clinician) -> list[dict[str, Any]]:
    return ok_list(await who.get("/lost-messages"))


async def mails_about(house: House, request_id: str) -> list[tuple[str, str]]:
    """Who is told by an e-mail that a message of a request was lost, as which party."""
    query = select(Notice).where(Notice.request_id == UUID(request_id), Notice.event == MESSAGE_LOST)
    async with house.system.services.database.session() as session:
        found = list(await session.scalars(query))
        names = {one.account_id: await session.get_one(Account, one.account_id) for one in found}
    return sorted((names[one.account_id].username.rpartition("-")[0], one.recipient.value) for one in found)


async def test_a_report_that_is_refused_is_told_on_both_sides(two: Two) -> None:
    """By e-mail without a word of the case, once; and in a list. Who got through since is on none."""
    await all_told(two)
    asks, answers = two.asks.system, two.answers.system
    here, there = await two.asked()
    await two.taken(there)
    ok(await asks.requester.post(f"/requests/{here}/cancel", {"reason": "La patiente est guérie."}))
    await two.said()
    await two.reported(there)
    for house in (two.asks, two.answers):
        await tell_of_lost_messages(house.system.services)
        await tell_of_lost_messages(house.system.services)
    assert await mails_about(two.asks, here) == [("dispatcher", "dispatchers")]
    told = await mails_about(two.answers, there)
    assert told == [("liaison_demandes", "requester"), ("outside_dispatcher", "dispatchers")]
    [ours] = [one for one in await lost(asks.dispatcher) if one["request_id"] == here]
    assert (ours["event"], ours["sent_by_us"], ours["state"], ours["why"]) == (
        *("notify-update-process-request", False, "refused"),
        "not_the_holder",
    )
    assert ours["partner"]["clinic"] == "Clinique Réponses"
    [theirs] = [one for one in await lost(two.dispatcher) if one["request_id"] == there]
    assert (theirs["event"], theirs["sent_by_us"], theirs["state"]) == (
        "notify-update-process-request",
        True,
        "refused",
    )
    for stranger in (asks.far_dispatcher, answers.dispatcher):
        assert not {here, there} & {one["request_id"] for one in await lost(stranger)}
    problem(await two.provider.get("/lost-messages"), 403, "forbidden")
    office, address = two.answers.system.post_office, two.dispatcher.account.email

    def mails() -> list[str]:
        subjects = ("message non remis", theirs["number"])
        return [str(one) for one in office.kept_for(address) if all(words in one["subject"] for words in subjects)]

    await eventually(lambda: len(mails()) == 1)
    [text] = mails()
    assert not any(word in text for word in ("Tremblay", "guérie", "Réponses"))
    async with visitor(create_app(asks.settings, asks.of_api), asks.dispatcher) as http:
        listed = shown(await http.get("/lost-messages"))
        assert "Messages qui ne sont pas arrivés" in shown(await http.get("/worklist"))
    for words in (ours["number"], "Clinique Réponses", "Où en est la demande, ou son rapport", "à Relais"):
        assert words in listed


def in_hours(hours: float) -> Callable[[], datetime]:
    moment = datetime.now(UTC) + timedelta(hours=hours)
    return lambda: moment


async def all_told(two: Two) -> None:
    """People know of what other tests have lost: one e-mail tells of all that was lost to a partner."""
    for house in (two.asks, two.answers):
        await tell_of_lost_messages(house.system.services)


async def ended(two: Two, request_id: str, state: MessageState, **more: Any) -> None:
    """The newest message about a request ended so."""
    async with two.asks.system.services.database.session() as session:
        of_it = ToldMessage.request_id == UUID(request_id)
        [newest] = await session.scalars(select(ToldMessage).where(of_it).order_by(ToldMessage.id.desc()).limit(1))
        newest.state, newest.settled_at = state, datetime.now(UTC)
        for name, value in more.items():
            setattr(newest, name, value)


async def test_what_is_lost_again_is_told_again_and_nothing_is_marked_that_nobody_heard(two: Two) -> None:
    """Sent once more and lost once more, within 12 hours nobody is told; after them they are, although it is the same message."""
    await all_told(two)
    services = two.asks.system.services
    here, there = await two.asked()
    await two.taken(there)
    ok(await two.asks.system.requester.post(f"/requests/{here}/add-information", {"text": "Elle démange."}))
    both = [("dispatcher", "dispatchers"), ("requester", "requester")]
    for hours, mails in ((0.0, 1), (6.0, 1), (13.0, 2), (14.0, 2)):
        await ended(two, here, MessageState.FAILED, settled_at=in_hours(hours)())
        await tell_of_lost_messages(services, in_hours(hours))
        assert await mails_about(two.asks, here) == sorted(both * mails)
    ok(
        await two.asks.system.requester.post(
            f"/requests/{here}/add-information", {"text": "Elle saigne.", "worse": True}
        )
    )
    await ended(two, here, MessageState.FAILED, settled_at=in_hours(14)())  # what must not wait does not
    await tell_of_lost_messages(services, in_hours(14.1))
    assert await mails_about(two.asks, here) == sorted(both * 3)
    await two.said()


async def test_what_nobody_could_be_told_of_is_told_when_there_is_somebody(two: Two) -> None:
    await all_told(two)
    system = two.asks.system
    async with asked_by_hand(two, "Déserte") as (house, _there):
        id_ = await given(two, house)
        await ended(two, id_, MessageState.FAILED)
        of_near = Account.clinic_id == system.clinics["near"].id, Account.roles.contains([Role.DISPATCHER.value])
        async with system.services.database.session() as session:
            gone = list(
                await session.scalars(update(Account).where(*of_near).values(active=False).returning(Account.id))
            )
        try:
            await tell_of_lost_messages(system.services)
            assert await mails_about(two.asks, id_) == []
        finally:
            async with system.services.database.session() as session:
                await session.execute(update(Account).where(Account.id.in_(gone)).values(active=True))
        await tell_of_lost_messages(system.services)
        assert await mails_about(two.asks, id_) == [("dispatcher", "dispatchers")]


async def test_one_request_of_which_nobody_can_be_told_keeps_none_from_being_told(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is lost is told last of all that the upkeep does: what fails there keeps nothing else from being done."""
    await all_told(two)
    services = two.asks.system.services
    async with asked_by_hand(two, "Première") as (one, _), asked_by_hand(two, "Seconde") as (other, _there):
        first, second = await given(two, one), await given(two, other)
        for id_ in (first, second):
            await ended(two, id_, MessageState.FAILED)
        plan, done = notices.plan_lost_message_notices, []

        async def fails(session: AsyncSession, untold: lost_messages.Untold, *more: Any) -> notices.LostTold:
            if str(untold.row.id) == first:
                raise ValueError
            return await plan(session, untold, *more)

        async def stuck(*_: object) -> int:
            done.append("stuck")
            return 0

        monkeypatch.setattr(notices, "plan_lost_message_notices", fails)
        monkeypatch.setattr(use_case_of_repair, "_tell_stuck", stuck)
        with pytest.raises(ValueError):  # noqa: PT011 - the one of above
            await use_case_of_repair.repair(services)
        assert done == ["stuck"]
        assert [await mails_about(two.asks, id_) for id_ in (first, second)] == [[], [("dispatcher", "dispatchers")]]
        monkeypatch.undo()
        await tell_of_lost_messages(services)
        assert await mails_about(two.asks, first) == [("dispatcher", "dispatchers")]


async def test_one_e_mail_tells_of_all_that_was_lost_to_a_partner(two: Two) -> None:
    services = two.asks.system.services
    async with asked_by_hand(two, "Fermée") as (house, _there):
        ids = [await given(two, house) for _ in range(3)]
        for id_ in ids:
            await ended(two, id_, MessageState.FAILED)
        await tell_of_lost_messages(services)
        told = [await mails_about(two.asks, id_) for id_ in ids]
        assert sorted(told) == [[], [], [("dispatcher", "dispatchers")]]
        await tell_of_lost_messages(services)
        assert [await mails_about(two.asks, id_) for id_ in ids] == told
        listed = {one["request_id"] for one in await lost(two.asks.system.dispatcher)}
        assert listed.issuperset(ids)


async def test_what_is_tried_in_vain_is_shown_before_three_days_are_over(two: Two) -> None:
    """After an hour, with what waits behind it; what is urgent from the first try on."""
    services, dispatcher = two.asks.system.services, two.asks.system.dispatcher
    async with asked_by_hand(two, "Lente") as (house, there):
        there.status, there.body = 503, b""
        slow = await given(two, house)
        await house.send()
        await tell_of_lost_messages(services)
        assert await mails_about(two.asks, slow) == []
        assert slow not in {one["request_id"] for one in await lost(dispatcher)}
        await tell_of_lost_messages(services, in_hours(2))
        assert await mails_about(two.asks, slow) == [("dispatcher", "dispatchers")]
        urgent = await given(two, house)
        change = {"priority": "urgent", "reason": "Vite."}
        ok(await dispatcher.post(f"/requests/{urgent}/change-priority", change))
        await tell_of_lost_messages(services)
        assert await mails_about(two.asks, urgent) == [("dispatcher", "dispatchers"), ("requester", "requester")]
        [shown_] = [one for one in await lost(dispatcher) if one["request_id"] == urgent][:1]
        assert (shown_["state"], shown_["sent_by_us"]) == ("pending", True)


async def test_who_wants_to_be_left_alone_for_long_is_told_of(two: Two) -> None:
    """Its answer counts, and stops all requests: also those that were never tried."""
    system = two.asks.system
    async with asked_by_hand(two, "Débordée") as (house, there):
        first = await given(two, house)
        await house.send()
        there.status, there.code, there.issue = 429, "transient-error", "throttled"
        there.headers = "Retry-After: 86400\r\n"
        ok(await system.requester.post(f"/requests/{first}/add-information", {"text": "Elle démange."}))
        await house.send()
        waiting = await given(two, house)
        await house.send()
        assert await house.told(waiting) == [("add-service-request", "pending")]
        await tell_of_lost_messages(system.services)
        assert await mails_about(two.asks, waiting) == []
        await tell_of_lost_messages(system.services, in_hours(1.1))
        told = [await mails_about(two.asks, id_) for id_ in (first, waiting)]
        assert ("dispatcher", "dispatchers") in told[0] + told[1]
        urgent = await given(two, house)
        change = {"priority": "urgent", "reason": "Vite."}
        ok(await system.dispatcher.post(f"/requests/{urgent}/change-priority", change))
        listed = {one["request_id"] for one in await lost(system.dispatcher)}
        assert urgent in listed


async def test_what_can_not_be_sent_is_told_to_who_said_it(two: Two) -> None:
    """An account that is over can be asked nothing: the clinic is shown so, what was to go has failed, and people are told."""
    await all_told(two)
    system = two.asks.system
    here, there = await two.asked()
    await two.taken(there)
    async with expired(two):
        clinics = (await system.dispatcher.get("/clinics")).json()
        assert [one["outside"] for one in clinics if one["id"] == str(two.asks.clinic.id)] == ["away"]
        ok(await system.requester.post(f"/requests/{here}/add-information", {"text": "Elle saigne."}))
        await two.asks.send()
        await tell_of_lost_messages(system.services)
        assert (await two.asks.told(here))[-1] == ("send-communication-from-requester", "failed")
        assert await mails_about(two.asks, here) == [("dispatcher", "dispatchers"), ("requester", "requester")]
        [shown_] = [one for one in await lost(system.requester) if one["request_id"] == here]
        assert (shown_["sent_by_us"], shown_["state"]) == (True, "failed")
        id_ = await submitted(system)
        async with visitor(create_app(system.settings, system.of_api), system.dispatcher) as http:
            page = shown(await http.get(f"/requests/{id_}/assign"))
        assert "Le système de la clinique" in page
        assert "Injoignable" in page
    ok(await system.requester.post(f"/requests/{here}/add-information", {"text": "Moins maintenant."}))
    await two.said()
    assert {state for _event, state in await two.asks.told(here)} == {"delivered"}
    assert not [one for one in await lost(system.requester) if one["request_id"] == here]
    clinics = (await system.dispatcher.get("/clinics")).json()
    assert [one["outside"] for one in clinics if one["id"] == str(two.asks.clinic.id)] == ["answers"]
    assert "Elle saigne." in str((await two.provider.view(there))["additions"])


@asynccontextmanager
async def expired(two: Two) -> AsyncIterator[None]:
    """Meanwhile the account of who answers is over: it can be asked nothing."""
    database = two.asks.system.services.database
    async with database.session() as session:
        account = await session.get_one(ServiceAccount, UUID(two.asks.partner_id))
        until, account.expires_at = account.expires_at, datetime.now(UTC) - timedelta(minutes=1)
    try:
        yield
    finally:
        async with database.session() as session:
            (await session.get_one(ServiceAccount, UUID(two.asks.partner_id))).expires_at = until


async def test_a_restriction_holds_for_who_answers(two: Two) -> None:
    """Set after the request was given and before it went: nothing goes, it goes back to dispatch, and nobody gives it there."""
    system, clinic = two.asks.system, str(two.asks.clinic.id)
    before = len(await two.answers.begun_by_messages())
    id_ = await submitted(system)
    await two.give(id_)
    await restricted(system, id_, clinic_id=clinic, role="provider")
    await eventually(lambda: is_in(two, id_, "awaiting_dispatch"))
    await two.said()
    assert await two.asks.told(id_) == [("add-service-request", "dropped")]
    assert len(await two.answers.begun_by_messages()) == before
    answer = await system.dispatcher.post(f"/requests/{id_}/assign", {"clinic_id": clinic})
    problem(answer, 409, "restricted_for_them")


async def test_a_restriction_that_comes_later_takes_it_back(two: Two) -> None:
    """Who answers is told that it is over and nothing else, and what it says then is of nothing that is there."""
    system = two.asks.system
    partner = await other_make(two)
    assert await partner.say("accepted") == OK
    ok(await system.requester.post(f"/requests/{partner.here}/add-information", {"text": "Elle saigne."}))
    await restricted(system, partner.here, clinic_id=str(two.asks.clinic.id), role="provider")
    await eventually(lambda: is_in(two, partner.here, "awaiting_dispatch"))
    await two.said()
    assert await two.asks.told(partner.here) == [
        ("add-service-request", "delivered"),
        ("send-communication-from-requester", "dropped"),
        ("revoke-service-request", "delivered"),
    ]
    assert await partner.say("completed", document(made_pdf("late"))) == ("fatal-error", "not-found")
    assert await partner.speak("Depuis quand?") == ("fatal-error", "not-found")
    assert (await partner.documents(), await is_in(two, partner.here, "awaiting_dispatch")) == ([], True)


async def test_what_is_shut_to_somebody_else_stays_with_who_answers(two: Two) -> None:
    """A system that answers counts as the providers of its clinic: nothing is taken from it because there is no person."""
    system = two.asks.system
    id_ = await submitted(system)
    await restricted(system, id_, account_id=system.provider2.id)
    await two.give(id_)
    await restricted(system, id_, account_id=system.provider.id)
    await two.said()
    assert await two.asks.told(id_) == [("add-service-request", "delivered")]
    assert await is_in(two, id_, "awaiting_acceptance")


async def test_what_is_shut_is_asked_when_a_message_goes_and_when_one_comes(two: Two) -> None:
    """Also while it has not been taken away yet."""
    system = two.asks.system
    partner = await other_make(two)
    ok(await system.requester.post(f"/requests/{partner.here}/add-information", {"text": "Elle saigne."}))
    providers = two.asks.clinic.id, Role.PROVIDER
    async with system.services.database.session() as session:
        said: dict[str, Any] = {"reason": "Parenté.", "set_by": UUID(system.administrator.id), "now": datetime.now(UTC)}
        await restrictions.add(session, UUID(partner.here), None, providers, **said)
    assert await partner.say("accepted") == ("fatal-error", "not-found")
    await two.asks.send()
    assert (await two.asks.told(partner.here))[-1] == ("send-communication-from-requester", "dropped")
    assert await is_in(two, partner.here, "awaiting_acceptance")
    await take_away_all(system.services)
    await eventually(lambda: is_in(two, partner.here, "awaiting_dispatch"))
    await two.said()
    assert (await two.asks.told(partner.here))[-1] == ("revoke-service-request", "delivered")


async def test_to_whom_it_is_shut_no_reason_goes(two: Two) -> None:
    """It is told that it is over: neither why it was cancelled, nor by whom."""
    system = two.asks.system
    async with asked_by_hand(two, "Indiscrète") as (house, there):
        ids = [await given(two, house) for _ in range(2)]
        await house.send()
        before = len(there.messages)
        providers = house.clinic.id, Role.PROVIDER
        async with system.services.database.session() as session:
            by, now = UUID(system.administrator.id), datetime.now(UTC)
            await restrictions.add(session, UUID(ids[0]), None, providers, reason="Parenté.", set_by=by, now=now)
        for id_ in ids:
            ok(await system.requester.post(f"/requests/{id_}/cancel", {"reason": "La patiente est guérie."}))
        await house.send()
        told = {
            one["resource"]["note"][0]["text"]: one for said in there.messages[before:] for one in said["entry"][1:2]
        }
        assert set(told) == {"La patiente est guérie.", "La demande n’est plus chez vous."}
        whole = {("guérie" in str(said)): str(said) for said in there.messages[before:]}
        assert "Practitioner" in whole[True]
        assert "Practitioner" not in whole[False]


async def test_what_is_shut_to_who_can_not_be_asked_leaves_its_pool(two: Two) -> None:
    """Nobody else could answer there: the pool of such a clinic is its system's, also while nothing may go to it."""
    system = two.asks.system
    id_ = await submitted(system)
    await two.give(id_)
    async with expired(two):
        await restricted(system, id_, clinic_id=str(two.asks.clinic.id), role="provider")
        await eventually(lambda: is_in(two, id_, "awaiting_dispatch"))


async def test_what_is_shut_to_who_keeps_the_system_is_shut_to_it(two: Two) -> None:
    """They could come in as that system, or read what it is sent."""
    system = two.asks.system
    keeper = await add_person(system, "keeper", two.asks.clinic, Role.CLINIC_ADMINISTRATOR, Role.REQUESTER)
    partner = await other_make(two)
    assert await partner.say("accepted") == OK
    ok(await keeper.post(f"/service-accounts/{two.asks.partner_id}/secrets", {}), 201)
    await restricted(system, partner.here, account_id=keeper.id)
    await eventually(lambda: is_in(two, partner.here, "awaiting_dispatch"))
    await two.said()
    assert (await two.asks.told(partner.here))[-1] == ("revoke-service-request", "delivered")
    assert await partner.say("completed", document(made_pdf("late"))) == ("fatal-error", "not-found")
    answer = await system.dispatcher.post(f"/requests/{partner.here}/assign", {"clinic_id": str(two.asks.clinic.id)})
    problem(answer, 409, "restricted_for_them")


async def test_what_is_shut_to_who_said_where_it_is_does_not_go_there(two: Two) -> None:
    """Another administrator says an address of theirs; once somebody else says where the partner is, it is asked again."""
    system = two.asks.system
    async with asked_by_hand(two, "Détournée") as (house, there):
        other = await add_person(system, "other_boss_away", house.clinic, Role.CLINIC_ADMINISTRATOR, Role.REQUESTER)
        await say_where(house, other, f"{there.url}?elsewhere", there.token_url)
        id_ = await submitted(system)
        await restricted(system, id_, account_id=other.id)
        to = {"clinic_id": str(house.clinic.id)}
        problem(await system.dispatcher.post(f"/requests/{id_}/assign", to), 409, "restricted_for_them")
        await say_where(house, house.boss, there.url, there.token_url)
        ok(await system.dispatcher.post(f"/requests/{id_}/assign", to))
        await house.send()
        assert await house.told(id_) == [("add-service-request", "delivered")]


async def test_what_is_shut_to_another_administrator_stays_with_who_answers(two: Two) -> None:
    """A system that answers is no provider by its roles, and works on what it holds all the same: nobody has to hand it on."""
    system = two.asks.system
    other = await add_person(system, "other_boss", two.asks.clinic, Role.CLINIC_ADMINISTRATOR, Role.REQUESTER)
    partner = await other_make(two)
    assert await partner.say("accepted") == OK
    await restricted(system, partner.here, account_id=other.id)
    await take_away_all(system.services)
    assert await is_in(two, partner.here, "accepted")
    assert await partner.say("completed", document(made_pdf("done"))) == OK
    assert await is_in(two, partner.here, "reported")


async def is_in(two: Two, id_: str, status: str) -> bool:
    view = await two.asks.system.requester.view(id_)
    return bool(view["status"] == status)
