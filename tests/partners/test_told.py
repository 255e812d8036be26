"""What partners are told: which messages each event has, in which order, how each looks, and what the answer decides."""

import base64
import json
import random
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import select, text, update
from standardwebhooks.webhooks import Webhook

from domain import commands as c
from domain.accounts import AccountEventKind, LetterKind
from domain.audit import Act
from domain.fhir_course import open_questions
from domain.messages import MessageEvent
from domain.priority import Priority
from domain.requests import EventName, FormVersion, Role
from domain.told_partners import TOLD, Heard, MessageState, Outcome, message_id, word_id
from domain.webhooks import GIVEN_UP_AFTER, PAUSES, WITH_DOCUMENT, Tried
from fhir.told import heard, knock, message_to_send
from key_ring import EncryptionError, KeyRing
from records import data_keys, partner_outbox, partner_queue, senders, service_accounts
from records.data_keys import DataKeys
from records.database import Database
from records.errors import NotFoundError, StoreError
from records.ids import new_id
from records.models import (
    AccountEvent,
    AccountLetter,
    AuditEntry,
    PartnerEndpoint,
    RequestRecord,
    ServiceAccount,
    StoredDocument,
    ToldMessage,
)
from records.projection import record_event
from records.store import DocumentStore
from settings import Settings
from tests.conftest import MakeDatabase
from tests.eventually import eventually
from tests.fhir.checker import faults_of
from tests.partners.office import BASE, SIGNING, Office, Told, a_partner, at, change_account
from tests.partners.requester import Json, Requester, event_of, faults_in, of_type
from tests.partners.stories import TALES, Acts
from tests.records.scenes import SHA, Story, random_story, usual_story
from use_cases import sending
from use_cases.partner_endpoints import kept_secret
from use_cases.partner_sender import Telling, Words
from use_cases.problems import Problem

ADDED, CHANGED, SAID = (
    "notify-add-process-request",
    "notify-update-process-request",
    "send-communication-from-provider",
)
A_MOMENT = timedelta(seconds=1)


def submit(told: Told, id_: str = "1", priority: Priority = Priority.URGENT) -> c.AnyCommand:
    form = FormVersion(number=1, sha256=SHA)
    return c.Submit(id=id_, actor=told.scene.actor("requester"), form=form, priority=priority)


def by_message(told: Told) -> str:
    """The id of a command that the partner has given by a message."""
    return f"fhir:{told.partner_id}:{new_id()}"


# What is told


async def test_the_usual_story_is_told_in_its_order(office: Office, requester: Requester) -> None:
    told = await a_partner(office, requester)
    story = usual_story(told.scene, told.draft)
    await office.record(story)
    await office.send()
    assert await office.states(told.draft.id) == ["delivered"] * 7
    assert [event_of(one) for one in requester.messages] == [ADDED, CHANGED, CHANGED, SAID, CHANGED, CHANGED, CHANGED]
    assert requester.wrong == []
    assert [faults_in(one, told.draft.id, BASE) for one in requester.messages] == [[]] * 7
    tasks = [of_type(one, "Task") for one in requester.messages]
    assert [[(task["status"], task["businessStatus"]["coding"][0]["code"]) for task in some] for some in tasks] == [
        [("requested", "awaiting-dispatch")],
        [("received", "assigned")],
        [("accepted", "accepted")],
        [],
        [("in-progress", "awaiting-information")],
        [("completed", "completed-with-advice")],
        [("completed", "completed-with-advice")],
    ]
    versions = [int(task["meta"]["versionId"]) for some in tasks for task in some]
    assert versions == [1, 2, 3, 4, 7, 8]  # each as it was then, though all went at the end
    [said] = of_type(requester.messages[3], "Communication")
    assert said["payload"] == [{"contentString": "Depuis quand?"}]
    assert said["id"] == str(word_id(told.draft.id, 4))
    async with office.database.session() as session:
        row = await session.get_one(RequestRecord, told.draft.id)
    called = {task["basedOn"][0]["identifier"]["value"] for some in tasks for task in some}
    assert called == {f"ORD-{row.number}"}  # as the partner calls it
    assert {task["groupIdentifier"]["value"] for some in tasks for task in some} == {row.number}
    text = json.dumps(requester.messages)
    assert not any(word in text for word in ("Tremblay", "lésion", "Deux semaines"))


async def test_the_report_comes_with_its_very_bytes_or_says_where_they_are(
    office: Office, requester: Requester
) -> None:
    told = await a_partner(office, requester)
    story = usual_story(told.scene, told.draft)
    await office.record(story)
    await office.send()
    [document] = of_type(requester.messages[5], "DocumentReference")
    [report] = of_type(requester.messages[5], "DiagnosticReport")
    report_id = story.request.documents[0].report_id
    attachment = document["content"][0]["attachment"]
    assert base64.b64decode(attachment["data"]) == b"%PDF " + report_id.bytes
    assert attachment["url"] == f"{BASE}/Binary/{report_id}"
    assert report["status"] == "final"
    assert "data" not in report["presentedForm"][0]
    [task] = of_type(requester.messages[5], "Task")
    assert task["output"][0]["valueReference"]["reference"] == f"urn:uuid:{document['id']}"
    assert [of_type(one, "DocumentReference") for one in (*requester.messages[:5], requester.messages[6])] == [[]] * 6

    far = await a_partner(office, requester, documents="by_address")
    await office.record(usual_story(far.scene, far.draft))
    await office.send()
    [document] = of_type(requester.messages[-2], "DocumentReference")
    assert "data" not in document["content"][0]["attachment"]
    assert requester.wrong == []


async def test_a_request_that_comes_back_to_the_requester_and_again(office: Office, requester: Requester) -> None:
    """The Task that ends and the one that begins are told together; a new one after the resubmission, by hand."""
    told = await a_partner(office, requester)
    story, scene = Story(told.draft), told.scene
    story.give(submit(told, by_message(told)))  # the partner's own message: its answer had the Task
    story.give(c.Assign(id="2", actor=scene.actor("dispatcher"), to=scene.person("provider")))
    story.give(c.Accept(id="3", actor=scene.actor("provider")))
    story.give(c.Transfer(id="4", actor=scene.actor("provider"), to=scene.person("colleague"), comment="Merci"))
    why = c.ReturnReason.NOT_ELIGIBLE
    story.give(c.ReturnToRequester(id="5", actor=scene.actor("colleague"), reason=why, text="Hors de mon domaine."))
    form = FormVersion(number=2, sha256=SHA)
    story.give(c.Resubmit(id="6", actor=scene.actor("requester"), form=form))
    story.give(c.Cancel(id=by_message(told), actor=scene.actor("requester"), reason="non"))
    await office.record(story)
    await office.send()
    assert [event_of(one) for one in requester.messages] == [CHANGED, CHANGED, CHANGED, SAID, CHANGED, ADDED]
    [_, _, moved, said, back, anew] = requester.messages
    assert [(one["status"], one["businessStatus"]["coding"][0]["code"]) for one in of_type(moved, "Task")] == [
        ("cancelled", "handed-on"),
        ("received", "assigned"),
    ]
    assert len(moved["entry"][0]["resource"]["focus"]) == 2
    assert of_type(said, "Communication")[0]["payload"][0]["contentString"] == "Hors de mon domaine."
    [rejected] = of_type(back, "Task")
    assert rejected["status"] == "rejected"
    assert rejected["businessStatus"]["coding"][0]["code"] == "returned-non-admissible"
    [new] = of_type(anew, "Task")
    assert (new["status"], new["identifier"][0]["value"][-1]) == ("received", "3")
    assert requester.wrong == []


async def test_only_what_came_by_a_message_is_told(office: Office, requester: Requester) -> None:
    """Not a request of a person of the clinic, nor one that the same system has begun in another way, nor another system's."""
    told = await a_partner(office, requester)
    others = [
        await told.another(system_id=None),
        await told.another(creation_key="a key of the API"),
        await told.another(creation_key=f"fhir:{new_id()}:1"),
    ]
    for other in others:
        await office.record(usual_story(told.scene, other))
        assert await office.told(other.id) == []
    nowhere = await a_partner(office, None)
    await office.record(usual_story(nowhere.scene, nowhere.draft))
    assert await office.told(nowhere.draft.id) == []
    assert await office.send() == 0


async def test_a_test_is_told_as_one(office: Office, requester: Requester) -> None:
    told = await a_partner(office, requester)
    test = await told.another(is_test=True)
    await office.record(usual_story(told.scene, told.draft), slice(0, 1))
    await office.record(usual_story(told.scene, test), slice(0, 4))
    await office.send()
    await office.send()
    assert len(requester.messages) == 6
    for one in requester.messages:
        marked = [one.get("meta"), *(of_type(one, kind)[0].get("meta") for kind in ("MessageHeader",))]
        marked += [task["meta"] for task in (*of_type(one, "Task"), *of_type(one, "Communication"))]
        is_test = str(test.id) in json.dumps(one)
        codes = [[mark["code"] for mark in (meta or {}).get("security", [])] for meta in marked]
        assert codes == [["HTEST"] if is_test else []] * len(marked)


# Every message of every status and event


async def test_every_message_is_sound_whatever_happens(office: Office, requester: Requester) -> None:
    """Of lives by chance, and with every deadline: by R4's definitions and bindings, and by the rules that no validator has."""
    told, chance = await a_partner(office, requester), random.Random(11)  # noqa: S311
    seen: set[tuple[EventName, str]] = set()
    stories = [tale(Acts(told.scene), Story(await told.another())) for tale in TALES]
    stories += [
        random_story(told.scene, await told.another(is_test=chance.random() < 0.2), chance, 40) for _ in range(40)
    ]
    for story in stories:
        await office.record(story)
        seen |= {(event.name, event.status.value) for event, _ in story.steps if event.name in TOLD}
    while await office.send():
        pass
    assert {name for name, _ in seen} == set(TOLD)
    assert requester.wrong == []
    messages = requester.messages
    of_rows = [one for story in stories for one in await office.told(story.request.id)]
    assert [one.state for one in of_rows if one.state != "delivered"] == []
    assert len(messages) == len(of_rows) > 200
    by_id = {str(message_id(one.request_id, one.sequence, one.event)): one for one in of_rows}
    wrong = {}
    for one, faults in zip(messages, await faults_of(messages), strict=True):
        row = by_id[one["entry"][0]["resource"]["id"]]
        own = faults_in(one, row.request_id, BASE)
        if faults or own:
            wrong[f"{row.event} {row.sequence}"] = (faults, own)
    assert wrong == {}
    for story in stories:  # what is open by its events is what the request itself has open
        assert open_questions([event for event, _ in story.steps]) == len(story.request.questions)


def test_each_event_is_told_or_it_is_said_why_not() -> None:
    """By the record: a new event is decided."""
    by_requester = {
        *(EventName.INFORMATION_ANSWERED, EventName.INFORMATION_ADDED, EventName.WORSENING_REPORTED),
        *(EventName.FOLLOW_UP_ASKED, EventName.FOLLOW_UP_WITHDRAWN),
    }
    ours = {
        *(EventName.REPORT_SIGNED, EventName.ADDENDUM_SIGNED, EventName.SIGNING_FAILED, EventName.READING_CONFIRMED),
        *(EventName.READ_FOR_REQUESTER, EventName.RULES_RENEWED, EventName.URGENT_REPORT_UNREAD),
        *(EventName.DISPATCH_OVERDUE, EventName.REPORT_OVERDUE, EventName.FOLLOW_UP_OVERDUE),
        *(name for name in EventName if name.value.endswith("_reminder")),
    }
    assert set(TOLD) | by_requester | ours == set(EventName)
    assert not set(TOLD) & (by_requester | ours)
    assert {name for name, said in TOLD.items() if len(said) == 2} == {
        EventName.INFORMATION_REQUESTED,
        EventName.FOLLOW_UP_ANSWERED,
        EventName.RETURNED_TO_REQUESTER,
    }
    assert set(TOLD) >= WITH_DOCUMENT


# Who may be told is decided when it goes


@pytest.mark.parametrize("what", ["locked", "expired", "scope", "elsewhere", "another_system", "terms"])
async def test_who_may_not_be_told_any_more_gets_nothing(office: Office, requester: Requester, what: str) -> None:
    told = await a_partner(office, requester)
    await office.record(usual_story(told.scene, told.draft))
    async with office.database.session() as session:
        service = await session.get_one(ServiceAccount, told.partner_id)
        row = await session.get_one(RequestRecord, told.draft.id)
        match what:
            case "expired":
                service.expires_at = office.now
            case "scope":
                service.scopes = ["requests:read"]
            case "elsewhere":
                row.requester_clinic_id = told.scene.far.id
            case "another_system":
                row.system_id = (await a_partner(office, None)).partner_id
    if what == "locked":
        await change_account(office, told.partner_id, active=False)
    if what == "terms":
        await told.keep(None)
    await office.send()
    assert requester.connections == 0
    assert await office.states(told.draft.id) == ["dropped"] * 7
    assert await entries(office, told) == []


async def test_it_is_asked_again_right_before_it_goes(office: Office, requester: Requester) -> None:
    """While a token is on its way, the account ends: nothing was sent, and nothing is in the audit."""
    terms = {"authorization": "client_secret", "secret": "s", "client_id": "relais", "token_url": requester.token_url}
    told = await a_partner(office, requester, **terms)
    await office.record(usual_story(told.scene, told.draft), slice(0, 1))
    sender = office.sender()
    asked = sender._tokens.token_of

    async def slowly(endpoint: PartnerEndpoint) -> str:
        token = await asked(endpoint)
        await change_account(office, told.partner_id, active=False)
        return token

    sender._tokens.token_of = slowly  # type: ignore[method-assign]
    await sender.send_due()
    assert (len(requester.tokens), len(requester.calls)) == (1, 0)
    assert await office.states(told.draft.id) == ["dropped"]
    assert await entries(office, told) == []


async def test_a_request_that_moved_to_another_clinic_is_told_to_who_asked(
    office: Office, requester: Requester, other: Requester
) -> None:
    """And to nobody else: the clinic that has it now has partners of its own."""
    told = await a_partner(office, requester)
    stranger = await a_partner(office, other)
    await office.record(usual_story(told.scene, told.draft))
    await office.record(usual_story(stranger.scene, stranger.draft), slice(0, 2))
    while await office.send():
        pass
    assert (len(requester.messages), len(other.messages)) == (7, 2)
    assert str(told.draft.id) not in json.dumps(other.messages)
    assert str(stranger.draft.id) not in json.dumps(requester.messages)


async def entries(office: Office, told: Told, request_id: UUID | None = None) -> list[AuditEntry]:
    of_request = AuditEntry.request_id == (request_id or told.draft.id), AuditEntry.kind == Act.MESSAGE
    async with office.database.session() as session:
        return list(await session.scalars(select(AuditEntry).where(*of_request).order_by(AuditEntry.id)))


async def test_each_message_that_left_is_in_the_audit_once(office: Office, requester: Requester) -> None:
    told = await a_partner(office, requester)
    await office.record(usual_story(told.scene, told.draft), slice(0, 2))
    requester.code = "transient-error"
    await office.send()
    await office.send(timedelta(minutes=1))
    assert len(requester.calls) == 2
    [entry] = await entries(office, told)
    requester.code = "ok"
    await office.send(timedelta(hours=1))
    rows = await office.told(told.draft.id)
    noted = await entries(office, told)
    assert [one.object_id for one in noted] == [one.id for one in rows]
    assert [one.name for one in noted] == [ADDED, CHANGED]
    asked_by = told.scene.accounts["requester"].id
    assert (entry.account_id, entry.for_account_id, entry.clinic_id) == (told.partner_id, asked_by, told.scene.home.id)
    assert (entry.role, entry.version, entry.content) == (Role.REQUESTER, 1, {"to": "127.0.0.1"})
    assert [one.told_to for one in rows] == ["127.0.0.1"] * 2


# What the answer decides


def outcome(severity: str, code: str) -> bytes:
    return json.dumps({"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code}]}).encode()


@pytest.mark.parametrize(
    ("says", "state", "code"),
    [
        ({"code": "fatal-error", "issue": "not-found"}, "refused", "not-found"),
        ({"code": "fatal-error", "issue": "Tremblay"}, "refused", None),
        ({"code": "transient-error", "status": 503}, "pending", "business-rule"),
        ({"status": 404, "body": b""}, "refused", None),
        ({"status": 422, "body": outcome("error", "required")}, "refused", "required"),
        ({"status": 401, "body": b""}, "pending", None),
        ({"status": 429, "body": b"", "headers": "Retry-After: 3600\r\n"}, "pending", None),
        ({"status": 500, "body": b"x"}, "pending", None),
        ({"status": 503, "body": b""}, "pending", None),
        ({"status": 200, "body": b"<html>"}, "pending", None),
        ({"status": 200, "body": b""}, "pending", None),
        ({"status": 200, "body": b'{"resourceType":"Bundle","type":"message","entry":[null,{}]}'}, "pending", None),
        ({"status": 301, "body": b"", "headers": "Location: http://127.0.0.1/\r\n"}, "pending", None),
        ({"hangs_up": True, "code": "none"}, "pending", None),
        ({"status": 201, "body": outcome("information", "informational")}, "delivered", "informational"),
        ({"status": 200, "body": outcome("error", "conflict")}, "refused", "conflict"),
    ],
)
async def test_what_the_answer_decides(
    office: Office, requester: Requester, says: Json, state: str, code: str | None
) -> None:
    told = await a_partner(office, requester)
    story = usual_story(told.scene, told.draft)
    await office.record(story, slice(0, 1))
    await office.send()
    assert (await office.endpoint(told.partner_id)).state == "active"
    for name, value in says.items():
        setattr(requester, name, value)
    await office.record(story, slice(1, 2))
    await office.send()
    [_, row] = await office.told(told.draft.id)
    assert (row.state, row.answered) == (state, code)
    assert "Tremblay" not in str(row.__dict__)
    if state == "pending":
        calls = len(requester.calls)
        assert await office.send(A_MOMENT) == 0  # not at once
        requester.code, requester.status, requester.body, requester.hangs_up = "ok", 200, None, False
        await office.send(timedelta(hours=2))
        assert len(requester.calls) == calls + 1
        assert await office.states(told.draft.id) == ["delivered"] * 2


async def test_retry_after_is_kept_to(office: Office, requester: Requester) -> None:
    """Of 429, by everything that goes there; of one message's transient error, by that alone."""
    told = await a_partner(office, requester)
    story, beside = usual_story(told.scene, told.draft), usual_story(told.scene, await told.another())
    await office.record(story, slice(0, 1))
    await office.send()
    requester.code, requester.status, requester.headers = "transient-error", 503, "Retry-After: 600\r\n"
    await office.record(story, slice(1, 2))
    await office.send()
    requester.code, requester.status, requester.headers = "ok", 200, ""
    await office.record(beside, slice(0, 1))
    assert await office.send() == 1
    assert await office.send(timedelta(seconds=590)) == 0
    assert await office.send(timedelta(seconds=20)) == 1
    requester.status, requester.body, requester.headers = 429, b"", "Retry-After: 600\r\n"
    await office.record(story, slice(2, 3))
    await office.send()
    requester.status, requester.body = 200, None
    await office.record(beside, slice(1, 2))
    assert await office.send(timedelta(seconds=590)) == 0
    assert await office.send(timedelta(seconds=20)) == 2
    assert requester.wrong == []


async def test_a_second_try_is_the_same_message(office: Office, requester: Requester) -> None:
    """It was done, and the answer did not come: the id is the same and so is all it says, though the request has moved on."""
    told = await a_partner(office, requester)
    story = usual_story(told.scene, told.draft)
    requester.hangs_up = True
    await office.record(story, slice(0, 1))
    await office.send()
    assert len(requester.done) == 1
    await office.record(story, slice(1, None))
    requester.hangs_up = False
    await office.send(timedelta(hours=1))
    first, second = requester.calls[:2]
    assert first.said["id"] != second.said["id"]
    assert first.said["entry"] == second.said["entry"]
    assert requester.wrong == []  # which holds the content of both against each other
    assert await office.states(told.draft.id) == ["delivered"] * 7


async def test_one_at_a_time_of_each_request(office: Office, requester: Requester) -> None:
    told = await a_partner(office, requester)
    other = await told.another()
    await office.record(usual_story(told.scene, told.draft), slice(0, 1))
    await office.send()
    requester.may_answer.clear()
    await office.record(usual_story(told.scene, told.draft), slice(1, None))
    await office.record(usual_story(told.scene, other))
    async with office.sender(), office.sender():
        await eventually(lambda: len(requester.calls) == 3)
        requester.may_answer.set()
        await eventually(lambda: len(requester.messages) == 14)
    assert requester.most_under_way == 1
    assert len(requester.calls) == 14
    assert requester.wrong == []


async def test_what_nobody_answers_for_three_days_holds_up_its_request_alone(
    office: Office, requester: Requester
) -> None:
    told = await a_partner(office, requester)
    beside = await told.another()
    story, other = usual_story(told.scene, told.draft), usual_story(told.scene, beside)
    await office.record(story, slice(0, 1))
    await office.send()
    requester.code, requester.status = "transient-error", 503
    await office.record(story, slice(1, 4))
    for pause in (timedelta(), *PAUSES):
        await office.send(pause)
    assert await office.states(told.draft.id) == ["delivered", "failed", "failed", "failed", "failed"]
    requester.code, requester.status = "ok", 200
    await office.record(other)
    await office.send()
    assert await office.states(beside.id) == ["delivered"] * 7
    assert len(requester.messages) == 8
    # what happens next of the request takes up what failed, in its order
    await office.record(story, slice(4, None))
    await office.send()
    assert await office.states(told.draft.id) == ["delivered"] * 7
    assert requester.wrong == []


async def test_a_replay_goes_under_the_same_id_and_no_task_goes_back(office: Office, requester: Requester) -> None:
    told = await a_partner(office, requester)
    story = usual_story(told.scene, told.draft)
    await office.record(story, slice(0, 3))
    await office.send()
    requester.code = "fatal-error"
    await office.record(story, slice(3, 4))
    await office.send()  # the question and its Task are refused
    assert await office.states(told.draft.id) == [*["delivered"] * 3, "refused", "refused"]
    requester.code = "ok"
    await office.record(story, slice(4, None))
    await office.send()
    rows = await office.told(told.draft.id)
    async with office.database.session() as session:
        assert await partner_outbox.replay_since(session, told.partner_id, story.steps[0][0].at) == 2
    while await office.send():
        pass
    assert await office.states(told.draft.id) == ["delivered"] * 7
    ids = [one["entry"][0]["resource"]["id"] for one in requester.messages]
    assert ids[-2:] == [str(message_id(one.request_id, one.sequence, one.event)) for one in rows[3:5]]
    assert of_type(requester.messages[-2], "Communication")[0]["payload"][0]["contentString"] == "Depuis quand?"
    assert of_type(requester.messages[-1], "Task")[0]["status"] == "completed"  # not in-progress, as it was then
    assert requester.wrong == []


# Whether anybody is there


async def test_to_a_wrong_address_no_second_patients_message_goes(office: Office, requester: Requester) -> None:
    """Until a message is answered there, one alone is tried, and no answer of HTTP is final."""
    told = await a_partner(office, requester)
    others = [await told.another() for _ in range(5)]
    requester.status, requester.body = 404, b"nothing here"
    for draft in (told.draft, *others):
        await office.record(usual_story(told.scene, draft), slice(0, 1))
    await office.send()
    await office.send(timedelta(hours=1))
    assert len(requester.calls) == 2
    assert len({call.said["entry"][0]["resource"]["id"] for call in requester.calls}) == 1
    assert (await office.endpoint(told.partner_id)).state == "unverified"
    requester.status, requester.body = 200, None
    await office.send(timedelta(hours=1))
    assert len(requester.messages) == 6
    endpoint = await office.endpoint(told.partner_id)
    assert (endpoint.state, endpoint.failing_since) == ("active", None)
    # and another address is another partner's until it answers
    await told.keep(at(requester, url=f"{requester.url}/other"))
    assert (await office.endpoint(told.partner_id)).state == "unverified"


@pytest.mark.parametrize("is_removed", [False, True])
async def test_an_answer_from_the_old_address_proves_nothing_of_the_new(
    office: Office, requester: Requester, other: Requester, is_removed: bool
) -> None:
    told = await a_partner(office, requester)
    await office.record(usual_story(told.scene, told.draft), slice(0, 1))
    requester.may_answer.clear()
    async with office.sender():
        await eventually(lambda: len(requester.calls) == 1)
        if is_removed:
            await told.keep(None)
        await told.keep(at(other))
        requester.may_answer.set()

        async def is_settled() -> bool:
            return await office.states(told.draft.id) == ["delivered"]

        await eventually(is_settled)
    endpoint = await office.endpoint(told.partner_id)
    assert (endpoint.state, endpoint.verified_at) == ("unverified", None)


async def test_who_fails_for_five_days_is_told_nothing_any_more(office: Office, requester: Requester) -> None:
    told = await a_partner(office, requester)
    story = usual_story(told.scene, told.draft)
    await office.record(story, slice(0, 1))
    await office.send()
    requester.status, requester.body = 500, b""
    await office.record(story, slice(1, 2))
    for pause in (timedelta(), *PAUSES, GIVEN_UP_AFTER):
        await office.send(pause)
    await office.record(story, slice(2, 3))
    await office.send()
    endpoint = await office.endpoint(told.partner_id)
    assert (endpoint.state, endpoint.disabled_reason) == ("disabled", "failing")
    assert await letters(office, told) == [LetterKind.PARTNER_DISABLED]
    await office.record(story, slice(3, 4))
    assert await office.states(told.draft.id) == ["delivered", *["failed"] * 4]
    assert await office.send(timedelta(days=1)) == 0
    requester.status, requester.body = 200, None
    await told.keep(at(requester))  # turned on again
    await office.record(story, slice(4, None))
    while await office.send():
        pass
    assert await office.states(told.draft.id) == ["delivered"] * 7
    assert requester.wrong == []
    assert await noted(office, told) == [
        AccountEventKind.PARTNER_VERIFIED,
        AccountEventKind.PARTNER_DISABLED,
        AccountEventKind.PARTNER_VERIFIED,
    ]


async def test_who_is_gone_is_told_nothing_any_more(office: Office, requester: Requester) -> None:
    told = await a_partner(office, requester)
    story = usual_story(told.scene, told.draft)
    await office.record(story, slice(0, 1))
    await office.send()
    requester.status, requester.body = 410, b""
    await office.record(story, slice(1, 3))
    await office.send()
    assert (await office.endpoint(told.partner_id)).disabled_reason == "gone"
    assert await office.states(told.draft.id) == ["delivered", "failed", "failed"]
    assert await letters(office, told) == [LetterKind.PARTNER_DISABLED]


async def test_who_says_why_it_refuses_is_there(office: Office, requester: Requester) -> None:
    """By HTTP's status and an OperationOutcome, for longer than one may fail."""
    told = await a_partner(office, requester)
    story = usual_story(told.scene, told.draft)
    await office.record(story, slice(0, 1))
    await office.send()
    requester.status, requester.body = 422, outcome("error", "required")
    for step in (1, 2):
        await office.record(story, slice(step, step + 1))
        await office.send(GIVEN_UP_AFTER)
    endpoint = await office.endpoint(told.partner_id)
    assert (endpoint.state, endpoint.failing_since) == ("active", None)
    assert await office.states(told.draft.id) == ["delivered", "refused", "refused"]


async def letters(office: Office, told: Told) -> list[LetterKind]:
    to = told.scene.accounts["home_administrator"].id
    async with office.database.session() as session:
        return list(await session.scalars(select(AccountLetter.kind).where(AccountLetter.account_id == to)))


async def noted(office: Office, told: Told) -> list[AccountEventKind]:
    query = select(AccountEvent.kind).where(AccountEvent.account_id == told.partner_id)
    async with office.database.session() as session:
        return list(await session.scalars(query.order_by(AccountEvent.id)))


async def test_one_that_never_answers_delays_nobody_else(
    office: Office, requester: Requester, other: Requester
) -> None:
    dead, living = await a_partner(office, other), await a_partner(office, requester)
    other.may_answer.clear()
    for told in (dead, living):
        await office.record(usual_story(told.scene, told.draft))
    async with office.sender():
        await eventually(lambda: len(requester.messages) == 7)
        assert len(other.calls) == 1
        other.may_answer.set()


async def test_a_document_that_is_not_there_is_waited_for(office: Office, requester: Requester) -> None:
    """Nothing goes without it, and the partner is not to blame."""
    told = await a_partner(office, requester)
    await office.record(usual_story(told.scene, told.draft))
    async with office.database.session() as session:
        document = await session.scalar(select(StoredDocument).where(StoredDocument.request_id == told.draft.id))
        assert document is not None
    pdf = await office.store.get(document.object_key)
    await office.store.delete([document.object_key])
    while await office.send():
        pass
    assert await office.states(told.draft.id) == [*["delivered"] * 5, "pending", "pending"]
    assert (await office.told(told.draft.id))[5].last_error == "not_made"
    assert (await office.endpoint(told.partner_id)).failing_since is None
    with pytest.raises(NotFoundError):
        await office.store.get(document.object_key)
    await office.store.put_new(document.object_key, pdf)
    await office.send(timedelta(hours=1))
    assert await office.states(told.draft.id) == ["delivered"] * 7


def words_that_fail(request_id: UUID, what: str) -> Words:
    """Those of a version with a fault: of that request they can't write, or read no answer."""

    def write(telling: Telling) -> bytes:
        if telling.message.request_id == request_id and what == "words":
            raise KeyError("a new code")
        return message_to_send(telling)

    def hear(status: int, body: bytes, id_: UUID) -> Heard:
        if id_ in {message_id(request_id, 1, one) for one in MessageEvent} and what == "answer":
            raise RecursionError
        return heard(status, body, id_)

    return Words(write, hear, knock)


@pytest.mark.parametrize("what", ["token", "secret", "store", "words", "answer"])
async def test_what_goes_wrong_with_one_message_holds_up_no_other_partner(
    office: Office, requester: Requester, other: Requester, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """It counts as a try of that message, and the sender goes on."""
    said = {"authorization": "client_secret", "secret": "s", "client_id": "relais", "token_url": requester.token_url}
    told, beside = await a_partner(office, requester, **said), await a_partner(office, other)
    requester.token_lasts = 10**400
    await office.record(usual_story(told.scene, told.draft))
    await office.record(usual_story(beside.scene, beside.draft))
    sender, get = office.sender(), office.store.get

    async def fails(key: str) -> bytes:
        if str(told.draft.id) in key:
            raise StoreError
        return await get(key)

    if what == "secret":
        theirs = (await office.endpoint(beside.partner_id)).sealed_secret
        async with office.database.session() as session:
            (await session.get_one(PartnerEndpoint, told.partner_id)).sealed_secret = theirs
    if what == "store":
        monkeypatch.setattr(office.store, "get", fails)
    if what in ("words", "answer"):
        sender._words = words_that_fail(told.draft.id, what)
    begun: list[int] = []
    async with sender:

        async def is_done() -> bool:
            begun.append(sender._number)
            waiting = [one for one in await office.told(told.draft.id) if one.state == "pending"]
            is_tried = waiting[0].attempts == 1 if waiting else what == "token"
            return is_tried and len(other.messages) == 7

        await eventually(is_done)
    assert len(set(begun) - {0}) == 1  # it did not begin anew
    rows = await office.told(told.draft.id)
    if what == "token":
        assert [one.state for one in rows] == ["delivered"] * 7
        return
    tried = next(one for one in rows if one.state == "pending")
    assert (tried.attempts, tried.last_error, tried.claimed_by) == (1, "not_made", None)
    assert tried.next_attempt > office.now
    assert (await office.endpoint(told.partner_id)).failing_since is None


async def test_a_token_of_a_removed_address_goes_to_no_other(
    office: Office, requester: Requester, other: Requester
) -> None:
    said = {"authorization": "client_secret", "secret": "s", "client_id": "relais"}
    told = await a_partner(office, requester, token_url=requester.token_url, **said)
    story, sender = usual_story(told.scene, told.draft), office.sender()
    await office.record(story, slice(0, 1))
    await sender.send_due()
    await told.keep(None)
    other.token = "token-of-other"
    await told.keep(at(other, token_url=other.token_url, **said))
    await office.record(story, slice(1, 2))
    await sender.send_due()
    assert [call.headers["authorization"] for call in requester.calls] == ["Bearer token-1"]
    assert [call.headers["authorization"] for call in other.calls] == ["Bearer token-of-other"]


async def test_a_document_is_fetched_without_a_connection_in_hand(
    office: Office, requester: Requester, make_database: MakeDatabase, migrated_template: str
) -> None:
    """Of a pool with one connection: what is stored opens with a key that lies in the database."""
    keys = DataKeys(KeyRing({"only": bytes(32)}))
    database = Database(await make_database(migrated_template), pool_size=1, data_keys=keys)
    try:
        async with database.session() as session:
            await data_keys.begin(session)
        small = replace(office, database=database, store=DocumentStore.from_settings(office.settings, database))
        told = await a_partner(small, requester)
        await small.record(usual_story(told.scene, told.draft))
        while await small.send():
            pass
        assert await small.states(told.draft.id) == ["delivered"] * 7
    finally:
        await database.close()


async def test_what_happens_does_not_wait_for_who_changes_the_partner(office: Office, requester: Requester) -> None:
    told = await a_partner(office, requester)
    story = usual_story(told.scene, told.draft)
    async with office.database.session() as changing, office.database.session() as session:
        await service_accounts.lock(changing, told.partner_id)
        await session.execute(text("SET LOCAL lock_timeout = '5s'"))
        await record_event(session, *story.steps[0])
    assert await office.states(told.draft.id) == ["pending"]


async def test_who_ends_waits_a_while_and_lets_go(
    office: Office, requester: Requester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "ENDS_WITHIN_SECONDS", 0.2)
    told = await a_partner(office, requester)
    await office.record(usual_story(told.scene, told.draft), slice(0, 1))
    requester.may_answer.clear()
    async with office.sender() as ending:
        await eventually(lambda: len(requester.calls) == 1)
    assert not ending._under_way
    assert await office.states(told.draft.id) == ["pending"]
    requester.may_answer.set()
    async with office.sender():  # it goes once more, by whoever is there

        async def is_delivered() -> bool:
            return await office.states(told.draft.id) == ["delivered"]

        await eventually(is_delivered)
    assert requester.wrong == []


async def test_where_nobody_has_answered_yet_what_never_left_holds_up_nothing(
    office: Office, requester: Requester
) -> None:
    told = await a_partner(office, requester)
    beside = await told.another()
    await office.record(usual_story(told.scene, told.draft), slice(0, 1))
    sender = office.sender()
    sender._words = words_that_fail(told.draft.id, "words")
    await sender.send_due()
    await office.record(usual_story(told.scene, beside), slice(0, 1))
    await sender.send_due()
    assert await office.states(told.draft.id) == ["pending"]
    assert await office.states(beside.id) == ["delivered"]


async def test_two_that_were_tried_elsewhere_do_not_wait_for_each_other(
    office: Office, requester: Requester, other: Requester
) -> None:
    """Two are under way to who has answered before; then the address is another one, where one alone is tried."""
    told = await a_partner(office, requester)
    story, beside = usual_story(told.scene, told.draft), await told.another()
    await office.record(story, slice(0, 1))
    await office.send()
    requester.status, requester.body = 500, b""
    await office.record(story, slice(1, 2))
    await office.record(usual_story(told.scene, beside), slice(0, 1))
    await office.send()
    await office.send(timedelta(minutes=10))
    assert [one.attempts > 0 for id_ in (told.draft.id, beside.id) for one in await office.told(id_)] == [True] * 3
    await told.keep(at(other))
    other.status, other.body = 404, b"nothing here"
    await office.send(timedelta(hours=1))
    assert len(other.calls) == 1
    other.status, other.body = 200, None
    await office.send(timedelta(hours=1))
    assert await office.states(told.draft.id) == ["delivered"] * 2
    assert await office.states(beside.id) == ["delivered"]


async def test_what_waits_is_what_could_go(office: Office, requester: Requester) -> None:
    told = await a_partner(office, requester)
    await office.record(usual_story(told.scene, told.draft), slice(0, 1))
    async with office.database.session() as session:
        assert (await partner_outbox.waiting(session, office.now))[0] == 1
    await told.keep(at(requester, enabled=False))
    async with office.database.session() as session:  # as it is written by who saw the partner just before
        await session.execute(update(ToldMessage).values(state="pending", settled_at=None))
        assert await partner_outbox.waiting(session, office.now) == (0, None)


# How a partner knows that it is Relais


async def test_signed_messages_are_checked_by_anothers_library(office: Office, requester: Requester) -> None:
    told = await a_partner(office, requester)
    office.now = office.now.replace(microsecond=0)
    await office.record(usual_story(told.scene, told.draft), slice(0, 1))
    await office.send()
    [call] = requester.calls
    Webhook(SIGNING).verify(call.body, dict(call.headers))
    assert call.headers["webhook-id"] == call.said["entry"][0]["resource"]["id"]
    assert call.headers["content-type"].startswith("application/fhir+json")
    assert "authorization" not in call.headers


async def test_a_token_is_got_by_a_secret_and_kept(office: Office, requester: Requester) -> None:
    said = {
        "authorization": "client_secret",
        "secret": "très secret",
        "client_id": "relais",
        "token_scope": "system/Bundle.c",
    }
    told = await a_partner(office, requester, token_url=requester.token_url, **said)
    story = usual_story(told.scene, told.draft)
    await office.record(story, slice(0, 3))
    sender = office.sender()
    await sender.send_due()
    assert requester.tokens == [
        {
            "grant_type": "client_credentials",
            "client_id": "relais",
            "client_secret": "très secret",
            "scope": "system/Bundle.c",
        }
    ]
    assert {call.headers["authorization"] for call in requester.calls} == {"Bearer token-1"}
    requester.status, requester.body, requester.token = 401, b"", "token-2"
    await office.record(story, slice(3, 4))
    await sender.send_due()
    requester.status, requester.body = 200, None
    office.now += timedelta(minutes=1)
    await sender.send_due()
    assert len(requester.tokens) == 2
    assert requester.calls[-1].headers["authorization"] == "Bearer token-2"
    assert await office.states(told.draft.id) == ["delivered"] * 5


async def test_a_token_is_got_by_something_signed(office: Office, requester: Requester) -> None:
    told = await a_partner(
        office,
        requester,
        authorization="client_assertion",
        client_id="relais",
        token_url=requester.token_url,
        secret=None,
    )
    await office.record(usual_story(told.scene, told.draft), slice(0, 1))
    await office.send()
    [asked] = requester.tokens
    public = (await office.endpoint(told.partner_id)).public_key
    assert public is not None
    assert "d" not in public
    token = jwt.decode(asked["client_assertion"], ECKey.import_key(public), algorithms=["ES384"])
    assert token.header["kid"] == public["kid"]
    assert (token.claims["iss"], token.claims["sub"], token.claims["aud"]) == ("relais", "relais", requester.token_url)
    assert 0 < token.claims["exp"] - token.claims["iat"] <= 300
    assert await office.states(told.draft.id) == ["delivered"]


@pytest.mark.parametrize("status", [400, 401, 500])
async def test_without_a_token_nothing_goes(office: Office, requester: Requester, status: int) -> None:
    said = {"authorization": "client_secret", "secret": "s", "client_id": "relais", "token_url": requester.token_url}
    told = await a_partner(office, requester, **said)
    requester.token_status = status
    await office.record(usual_story(told.scene, told.draft), slice(0, 1))
    await office.send()
    assert requester.calls == []
    [row] = await office.told(told.draft.id)
    assert (row.state, row.last_error) == ("pending", "no_token")
    assert await entries(office, told) == []  # nothing has left
    requester.token_status = 200
    await office.send(timedelta(minutes=1))
    assert await office.states(told.draft.id) == ["delivered"]


async def test_a_secret_opens_for_its_partner_alone_and_goes_to_nobody_else(
    office: Office, requester: Requester
) -> None:
    said = {
        "authorization": "client_secret",
        "secret": "s3cret",
        "client_id": "relais",
        "token_url": requester.token_url,
    }
    told, stranger = await a_partner(office, requester, **said), await a_partner(office, requester, **said)
    endpoint = await office.endpoint(told.partner_id)
    assert "s3cret" not in endpoint.sealed_secret
    assert kept_secret(office.settings, endpoint) == "s3cret"
    theirs = await office.endpoint(stranger.partner_id)
    theirs.sealed_secret = endpoint.sealed_secret
    with pytest.raises(EncryptionError):
        kept_secret(office.settings, theirs)
    left_out = {name: value for name, value in said.items() if name != "secret"}
    await told.keep(at(requester, **left_out, secret=None))  # it stays
    assert kept_secret(office.settings, await office.endpoint(told.partner_id)) == "s3cret"
    for change in (
        {"token_url": f"{requester.token_url}/mine"},
        {"client_id": "another"},
        {"authorization": "signature"},
        {"url": "http://localhost:8/fhir/$process-message"},
        {"url": requester.url.replace("127.0.0.1", "localhost")},
    ):
        with pytest.raises(Problem) as error:
            await told.keep(at(requester, **{**left_out, **change}, secret=None))
        assert [(fault.field, fault.code) for fault in error.value.errors] == [("endpoint.secret", "required")]
    for secret in ("s3cret", "whsec_", "whsec_" + "A" * 8, "whsec_" + "A" * 100, "whsec_=A=="):
        with pytest.raises(Problem) as error:
            await told.keep(at(requester, authorization="signature", secret=secret))
        assert error.value.errors[0].code == "not_a_signing_secret"


async def test_another_origin_has_another_key(office: Office, requester: Requester, other: Requester) -> None:
    said = {"authorization": "client_assertion", "client_id": "relais", "token_url": requester.token_url}
    told = await a_partner(office, requester, **said, secret=None)
    first = (await office.endpoint(told.partner_id)).public_key
    await told.keep(at(requester, **said, url=f"{requester.url}/deeper", secret=None))
    assert (await office.endpoint(told.partner_id)).public_key == first
    await told.keep(at(other, **said, secret=None))
    assert (await office.endpoint(told.partner_id)).public_key != first


# Nowhere inside


INSIDE = (
    *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),  # noqa: S104
    *("[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "[fd00::1]", "localhost"),
    *("2130706433", "0x7f000001", "127.1", "168.63.129.16", "255.255.255.255"),
)


@pytest.mark.parametrize("where", ["url", "token_url"])
async def test_nothing_goes_inside(office: Office, requester: Requester, where: str) -> None:
    """By the address that is typed; and where it was let in once (as names are), by what it is when it goes: 0 connections."""
    walled = office.settings.model_copy(update={"webhooks_to_this_machine": False})
    by_token = {
        "authorization": "client_secret",
        "secret": "s",
        "client_id": "relais",
        "token_url": requester.token_url,
    }
    told = await a_partner(office, requester, **(by_token if where == "token_url" else {}))
    await office.record(usual_story(told.scene, told.draft), slice(0, 1))
    for host in INSIDE:
        for scheme in ("https", "http"):
            await _must_not_go(office, walled, told, f"{scheme}://{host}:{requester.port}/", where)
            await _must_not_go(office, walled, told, f"{scheme}://{host}/", where)
    assert requester.connections == 0


async def _must_not_go(office: Office, walled: Settings, told: Told, url: str, where: str) -> None:
    async with office.database.session() as session:
        await session.execute(update(PartnerEndpoint).values({where: url, "failing_since": None, "paused_until": None}))
        await session.execute(update(ToldMessage).values(state="pending", attempts=0, next_attempt=office.now))
    await office.sender(walled).send_due()
    [row] = await office.told(told.draft.id)
    assert row.state == "pending"
    assert row.last_error in {
        "not_https",
        "port_not_allowed",
        "address_not_public",
        "no_such_name",
        "not_a_web_address",
    }, (
        url,
        row.last_error,
    )


# When a sender dies


async def test_what_a_dead_sender_had_in_hand_goes_at_once(office: Office, requester: Requester) -> None:
    told = await a_partner(office, requester)
    await office.record(usual_story(told.scene, told.draft))
    connection = await office.database.connection("a sender that will be killed")
    assert await senders.hold_number(connection, 4_712)
    async with office.database.session() as session:
        assert len(await partner_queue.take_up(session, 4_712, office.now, 100)) == 1
    async with office.database.session() as session:
        await senders.free_what_the_dead_held(session)
        assert await partner_queue.take_up(session, 1, office.now, 100) == []  # it lives
    connection.terminate()
    async with office.sender():
        await eventually(lambda: len(requester.messages) == 7)
    assert requester.wrong == []


async def test_what_another_sender_has_in_hand_by_now_is_theirs(office: Office, requester: Requester) -> None:
    """Whoever lost their number while they waited sends nothing: it would go twice at a time."""
    told = await a_partner(office, requester)
    await office.record(usual_story(told.scene, told.draft))
    async with office.database.session() as session:
        [late] = await partner_queue.take_up(session, 4_713, office.now, 100)
    async with office.database.session() as session:
        await senders.free_what_the_dead_held(session)
        [now] = await partner_queue.take_up(session, 4_714, office.now, 100)
    async with office.database.session() as session:
        assert (late.id, await partner_queue.to_tell(session, late, office.now)) == (now.id, None)
        assert await partner_queue.to_tell(session, now, office.now) is not None
    outcome = Outcome(MessageState.REFUSED)
    async with office.database.session() as session:
        assert not await partner_queue.settle(session, late, Tried(office.now, 400), None, outcome)
        message = await session.get_one(ToldMessage, now.id)
        assert (message.state, message.claimed_by, message.attempts) == (MessageState.PENDING, 4_714, 0)
    async with office.database.session() as session:
        await partner_queue.settle(session, late, Tried(office.now, 200), None, Outcome(MessageState.DELIVERED))
        message = await session.get_one(ToldMessage, now.id)
        assert (message.state, message.claimed_by) == (MessageState.DELIVERED, 4_714)
