"""Subscriptions from the event to their systems: handshakes, numbers without gaps, who is told, what ends them."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain import commands as c
from domain.accounts import AccountEventKind, LetterKind
from domain.requests import Role
from domain.service_accounts import Scope
from domain.subscriptions import ERRORS, GIVEN_UP_AFTER, Content, SubscriptionStatus, Topic
from domain.webhooks import KEPT_FOR, MOST_AT_ONCE, PAUSES, DeliveryState, DisabledReason, EndpointState
from records import restrictions, senders, service_accounts, webhook_queue
from records import subscriptions as stored
from records import webhooks as outbox
from records.models import (
    Account,
    AccountEvent,
    ServiceAccount,
    Side,
    Subscription,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookMessage,
)
from records.requests import process_of
from records.subscriptions import Subscribed
from tests.eventually import eventually
from tests.fhir.checker import faults_of
from tests.records.scenes import Scene, Story, make_draft, scene_with_draft, usual_story
from tests.webhooks.conftest import Office, administrator
from tests.webhooks.receiver import Call, Receiver, open_receiver
from tests.webhooks.test_sender import letters
from use_cases import subscriptions, webhooks
from use_cases.caller import Caller, System
from use_cases.problems import Problem
from use_cases.service_accounts import Rotation, rotate
from use_cases.subscriptions import NewSubscription

A_MOMENT = timedelta(seconds=1)
ALL = frozenset({Scope.SUBSCRIPTIONS_WRITE, Scope.REQUESTS_READ, Scope.DOCUMENTS_READ})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver() as receiver:
        yield receiver


@pytest.fixture
async def other() -> AsyncIterator[Receiver]:
    async with open_receiver() as receiver:
        yield receiver


@dataclass
class Reader:
    """A clinic's system, and what it does with its Subscriptions."""

    office: Office
    caller: Caller

    async def new(self, receiver: Receiver, topic: Topic = Topic.TASK_STATUS, **more: Any) -> UUID:
        """A Subscription whose handshake was taken."""
        made = await subscriptions.create(self.office, self.caller, wanted(receiver, topic, **more))
        assert made.status is SubscriptionStatus.REQUESTED
        self.office.catch_up()
        assert await self.office.send() == 1
        assert (await self.read(made.id)).status is SubscriptionStatus.ACTIVE
        return made.id

    async def read(self, id_: UUID) -> Subscribed:
        return await subscriptions.read(self.office, self.caller, id_)

    async def change(self, id_: UUID, said: NewSubscription) -> Subscribed:
        changed = await subscriptions.change(self.office, self.caller, id_, said, None)
        self.office.catch_up()
        return changed

    async def events(self, id_: UUID, first: int = 1, last: int = 10**9) -> list[tuple[int, str | None]]:
        told = await subscriptions.events(self.office, self.caller, id_, first, last, None)
        return [(event.number, event.focus) for event in told.events]


def wanted(receiver: Receiver, topic: Topic = Topic.TASK_STATUS, **more: Any) -> NewSubscription:
    said: dict[str, Any] = {
        "topic": topic,
        "filters": (),
        "url": receiver.url,
        "content": Content.ID_ONLY,
        "payload": "application/fhir+json",
        "headers": None,
        "heartbeat_seconds": None,
        "timeout_seconds": None,
        "max_count": None,
        "reason": "Dossier",
        "ends_at": None,
        "is_off": False,
    }
    return NewSubscription(**{**said, **more})


async def reader_of(office: Office, scene: Scene, who: str = "home_administrator", scopes: Any = ALL) -> Reader:
    """A system of that administrator's clinic."""
    now = datetime.now(UTC)
    async with office.database.session() as session:
        found = await service_accounts.add(
            session,
            clinic_id=scene.accounts[who].clinic_id,
            name=f"Dossier {len(scopes)}",
            purpose="",
            scopes=scopes,
            language="fr",
            expires_at=now + timedelta(days=300),
            now=now,
        )
    system = System(found.account, frozenset(scopes))
    return Reader(office, Caller(found.account, "", Side.API, None, system))


def parameters(call: Call) -> dict[str, Any]:
    """What the first entry of a notification says; of events the list."""
    bundle = call.said
    assert (bundle["resourceType"], bundle["type"], len(bundle["entry"])) == ("Bundle", "history", 1)
    said: dict[str, Any] = {"events": []}
    for one in bundle["entry"][0]["resource"]["parameter"]:
        value = next((value for name, value in one.items() if name.startswith("value")), None)
        if one["name"] == "notification-event":
            parts = {part["name"]: next(v for n, v in part.items() if n.startswith("value")) for part in one["part"]}
            said["events"].append(parts)
        else:
            said[one["name"]] = value
    return said


def told_events(bundle: dict[str, Any]) -> list[tuple[int, str]]:
    """The events of a notification: their numbers, and what each is about."""
    events = parameters(Call("", {}, json.dumps(bundle).encode()))["events"]
    return [(int(event["event-number"]), event["focus"]["reference"]) for event in events]


def numbers(receiver: Receiver) -> list[int]:
    """Of the events that came, in the order in which they came."""
    return [int(event["event-number"]) for call in receiver.calls for event in parameters(call)["events"]]


async def told_of(office: Office, scene: Scene) -> Story:
    """Another request of the clinic, submitted."""
    async with office.database.session() as session:
        draft = process_of(await make_draft(session, scene))
    story = usual_story(scene, draft)
    await office.record(story, slice(0, 1))
    return story


# The handshake


async def test_nothing_is_told_before_a_handshake_is_taken(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader, story = await reader_of(office, scene), usual_story(scene, draft)
    receiver.status = 500
    made = await subscriptions.create(office, reader.caller, wanted(receiver, headers={"Authorization": "Bearer abc"}))
    office.catch_up()
    await office.record(story, slice(0, 1))
    assert await office.send() == 1
    failed = await reader.read(made.id)
    assert (failed.status, failed.own.disabled_reason) == (SubscriptionStatus.ERROR, DisabledReason.NO_HANDSHAKE)
    assert await office.send(timedelta(days=1)) == 0  # tried once
    await office.record(story, slice(1, 2))
    assert await office.messages_of(draft.id) == []

    receiver.status = 200
    again = await reader.change(made.id, wanted(receiver))
    assert again.status is SubscriptionStatus.REQUESTED
    assert await office.send() == 1
    assert (await reader.read(made.id)).status is SubscriptionStatus.ACTIVE
    first, second = receiver.calls
    for call in (first, second):
        said = parameters(call)
        assert call.headers["content-type"] == "application/fhir+json"
        assert (said["type"], said["status"], said["events"]) == ("handshake", "requested", [])
        assert said["events-since-subscription-start"] == "0"
        assert said["subscription"] == {"reference": f"https://relais.test/fhir/Subscription/{made.id}"}
        assert "webhook-signature" not in call.headers
        assert call.headers["authorization"] == "Bearer abc"  # kept where nothing else is said
    await office.record(story, slice(2, 3))
    await office.send()
    assert numbers(receiver) == [1]


async def test_headers_do_not_follow_to_another_address(office: Office, receiver: Receiver, other: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader, story = await reader_of(office, scene), usual_story(scene, draft)
    id_ = await reader.new(receiver, headers={"X-Api-Key": "for the first alone"})
    await office.record(story, slice(0, 1))
    async with office.database.session() as session:  # it is under way when the address changes
        [taken] = await webhook_queue.take_up(session, 7, office.now + A_MOMENT, 10)
    other.status = 500
    moved = await reader.change(id_, wanted(other))
    assert moved.status is SubscriptionStatus.REQUESTED
    await office.sender()._send(taken)
    assert (await reader.read(id_)).status is SubscriptionStatus.REQUESTED
    assert [call.headers.get("x-api-key") for call in receiver.calls] == ["for the first alone"] * 2
    await office.send(A_MOMENT)
    assert [call.headers.get("x-api-key") for call in other.calls] == [None]
    assert (await reader.read(id_)).status is SubscriptionStatus.ERROR


async def test_a_handshake_to_the_old_address_proves_nothing_of_the_new(
    office: Office, receiver: Receiver, other: Receiver
) -> None:
    scene, _ = await scene_with_draft(office.database)
    reader = await reader_of(office, scene)
    made = await subscriptions.create(office, reader.caller, wanted(receiver))
    office.catch_up()
    async with office.database.session() as session:
        [taken] = await webhook_queue.take_up(session, 7, office.now + A_MOMENT, 10)
    await reader.change(made.id, wanted(other))
    await office.sender()._send(taken)
    assert (await reader.read(made.id)).status is SubscriptionStatus.REQUESTED
    assert (len(receiver.calls), len(other.calls)) == (1, 0)


# What is told


async def test_each_topic_tells_its_events_by_number_and_nothing_of_the_patient(office: Office) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader, story = await reader_of(office, scene), usual_story(scene, draft)
    report = next(e.command.report_id for e, _ in story.steps if isinstance(e.command, c.IssueDocument))
    base, request = "https://relais.test/fhir", draft.id
    expected = {
        Topic.TASK_STATUS: [f"Task/{request}.1"] * 5,  # requested, received, accepted, in progress, completed
        Topic.REPORT_SIGNED: [f"DiagnosticReport/{report}"],
        Topic.COMMUNICATION: [f"Communication/{request}.4", f"Communication/{request}.5"],
    }
    async with open_receiver() as first, open_receiver() as second, open_receiver() as third:
        at = dict(zip(Topic, (first, second, third), strict=True))
        ids = {topic: await reader.new(at[topic], topic) for topic in Topic}
        await office.record(story)
        await office.send()
        for topic, receiver in at.items():
            told = sorted(map(parameters, receiver.calls[1:]), key=lambda one: int(one["events"][0]["event-number"]))
            focuses = [one["events"][0]["focus"]["reference"] for one in told]
            assert focuses == [f"{base}/{focus}" for focus in expected[topic]]
            assert [int(one["events"][0]["event-number"]) for one in told] == list(range(1, len(told) + 1))
            for one in told:
                assert one["topic"] == f"{base}/SubscriptionTopic/{topic.value}"
                assert (one["type"], one["status"]) == ("event-notification", "active")
                assert one["events-since-subscription-start"] == one["events"][0]["event-number"]
            assert await reader.events(ids[topic]) == list(enumerate(expected[topic], 1))
            for call in receiver.calls:
                assert not any(word in call.body.decode() for word in ("Tremblay", "Depuis", "semaines"))
        said = [call.said for receiver in at.values() for call in receiver.calls]
    assert [faults for faults in await faults_of(said) if faults] == []


async def test_what_ends_and_what_begins_with_one_event_are_two(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader, story = await reader_of(office, scene), usual_story(scene, draft)
    id_ = await reader.new(receiver)
    await office.record(story, slice(0, 3))
    back = Story(story.steps[2][1], story.now)
    back.give(c.ReturnToDispatch(id="back", actor=scene.actor("provider"), comment="Hors de mon domaine."))
    await office.record(back)
    await office.send()
    assert [focus for _, focus in await reader.events(id_)] == [
        *[f"Task/{draft.id}.1"] * 4,
        f"Task/{draft.id}.2",
    ]
    assert sorted(numbers(receiver)) == [1, 2, 3, 4, 5]


async def test_filters_narrow_and_empty_tells_nothing_but_numbers(
    office: Office, receiver: Receiver, other: Receiver
) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader, story = await reader_of(office, scene), usual_story(scene, draft)
    some = await reader.new(receiver, filters=("status=completed,received",))
    await reader.new(other, Topic.COMMUNICATION, filters=("category=answer",), content=Content.EMPTY)
    both = await reader.new(other, filters=("status=accepted,completed", "status=completed,received"))
    await office.record(story)
    await office.send()
    assert len(await reader.events(some)) == 2
    assert len(await reader.events(both)) == 1
    empty = next(one for one in map(parameters, other.calls) if one["events"] and "focus" not in one["events"][0])
    assert "topic" not in empty
    assert set(empty["events"][0]) == {"event-number", "timestamp"}
    assert [faults for faults in await faults_of([call.said for call in other.calls]) if faults] == []


# Who is told


async def test_who_is_told_is_decided_before_an_event_gets_its_number(
    office: Office, receiver: Receiver, other: Receiver
) -> None:
    scene, draft = await scene_with_draft(office.database)
    far = await reader_of(office, scene, "administrator")
    blind = await reader_of(office, scene, scopes=frozenset({Scope.SUBSCRIPTIONS_WRITE, Scope.DOCUMENTS_READ}))
    id_, none = await far.new(receiver), await blind.new(other)
    story = usual_story(scene, draft)
    await office.record(story, slice(0, 3))
    left = Story(story.steps[2][1], story.now)
    left.give(c.ReturnToDispatch(id="back", actor=scene.actor("provider"), comment="Hors de mon domaine."))
    await office.record(left)
    await office.send()
    assert (len(receiver.calls), len(other.calls)) == (1, 1)  # the handshakes
    for reader, one in ((far, id_), (blind, none)):
        told = await subscriptions.status(office, reader.caller, one)
        assert (told.count, await reader.events(one)) == (0, [])
    other_story = await told_of(office, scene)
    other_story_steps = Story(other_story.steps[0][1], other_story.now)
    other_story_steps.give(c.Assign(id="2", actor=scene.actor("dispatcher"), to=c.Pool(clinic_id=scene.far.id)))
    await office.record(other_story_steps)
    await office.send()
    assert numbers(receiver) == [1]  # what was dropped has left no gap


async def test_an_event_that_may_not_be_seen_any_more_keeps_its_number_and_says_nothing(
    office: Office, receiver: Receiver
) -> None:
    scene, draft = await scene_with_draft(office.database)
    far = await reader_of(office, scene, "administrator")
    id_ = await far.new(receiver)
    story = usual_story(scene, draft)
    await office.record(story, slice(0, 2))
    receiver.status = 500
    await office.send()
    left = Story(story.steps[1][1], story.now)
    left.give(c.ReturnToDispatch(id="back", actor=scene.actor("provider"), comment="Hors de mon domaine."))
    await office.record(left)
    receiver.status = 200
    await office.send(PAUSES[0])
    [first, second] = [parameters(call)["events"][0] for call in receiver.calls[1:]]
    assert first["event-number"] == second["event-number"] == "1"
    assert first["focus"] == {"reference": f"https://relais.test/fhir/Task/{draft.id}.1"}
    assert "focus" not in second
    assert await far.events(id_) == [(1, None)]


async def test_what_is_shut_at_the_persons_wish_is_not_told(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader, story = await reader_of(office, scene), usual_story(scene, draft)
    id_ = await reader.new(receiver)
    await office.record(story, slice(0, 1))
    await office.send()
    by = scene.accounts["home_administrator"]
    async with office.database.session() as session:
        role = (scene.home.id, Role.CLINIC_ADMINISTRATOR)
        await restrictions.add(session, draft.id, None, role, reason="Parenté.", set_by=by.id, now=office.now)
    await office.record(story, slice(1, 3))
    await office.send()
    assert numbers(receiver) == [1]
    assert await reader.events(id_) == [(1, None)]


async def test_what_is_shut_to_who_can_come_in_as_the_system_is_not_told(office: Office, receiver: Receiver) -> None:
    """Who has given out a secret of it; while somebody else has, it is told."""
    scene, draft = await scene_with_draft(office.database)
    reader, story = await reader_of(office, scene), usual_story(scene, draft)
    by, named = scene.accounts["home_administrator"], scene.accounts["everything"]
    id_ = await reader.new(receiver)
    await rotate(office, administrator(scene, "home_administrator"), reader.caller.id, Rotation())
    async with office.database.session() as session:
        await restrictions.add(session, draft.id, named.id, None, reason="Parenté.", set_by=by.id, now=office.now)
    await office.record(story, slice(0, 1))
    await office.send()
    assert numbers(receiver) == [1]
    await rotate(
        office, replace(administrator(scene, "everything"), clinic_id=scene.home.id), reader.caller.id, Rotation()
    )
    await office.record(story, slice(1, 3))
    await office.send()
    assert numbers(receiver) == [1]
    assert await reader.events(id_) == [(1, None)]


async def test_other_systems_and_webhooks_know_nothing_of_it(office: Office, receiver: Receiver) -> None:
    scene, _ = await scene_with_draft(office.database)
    reader, neighbour = await reader_of(office, scene), await reader_of(office, scene)
    far = await reader_of(office, scene, "administrator")
    id_ = await reader.new(receiver)
    by = administrator(scene, "home_administrator")
    for stranger in (neighbour.caller, far.caller):
        assert await subscriptions.list_own(office, stranger) == []
        for refused in (
            subscriptions.read(office, stranger, id_),
            subscriptions.status(office, stranger, id_),
            subscriptions.events(office, stranger, id_, 1, 9, None),
            subscriptions.change(office, stranger, id_, wanted(receiver), None),
            subscriptions.remove(office, stranger, id_),
        ):
            with pytest.raises(Problem) as error:
                await refused
            assert error.value.code == "not_found"
    assert await webhooks.list_webhooks(office, by, scene.home.id) == []
    for seen in (
        webhooks.read_webhook(office, by, id_),
        webhooks.rotate(office, by, id_),
        webhooks.remove_webhook(office, by, id_),
        subscriptions.turn_off(office, administrator(scene, "administrator"), id_),
    ):
        with pytest.raises(Problem) as error:
            await seen
        assert error.value.code == "not_found"
    assert (await reader.read(id_)).status is SubscriptionStatus.ACTIVE


# Numbers


async def test_numbers_have_no_gap_and_no_double_whoever_sends_and_asks(office: Office, receiver: Receiver) -> None:
    """Events of many requests at once, two senders, and somebody who asks all the time."""
    scene, _ = await scene_with_draft(office.database)
    reader = await reader_of(office, scene)
    id_ = await reader.new(receiver)
    stories = []
    async with office.database.session() as session:
        for _each in range(12):
            stories.append(usual_story(scene, process_of(await make_draft(session, scene))))
    asking = True

    async def ask() -> None:
        while asking:
            await reader.events(id_)

    async with office.sender(), office.sender():
        asker = asyncio.create_task(ask())
        await asyncio.gather(*(office.record(story) for story in stories))
        office.now += A_MOMENT
        await eventually(lambda: _is_all(receiver, 60))
        asking = False
        await asker
    assert sorted(numbers(receiver)) == list(range(1, 61))
    found = await reader.events(id_)
    assert [number for number, _ in found] == list(range(1, 61))
    by_number = {
        int(e["event-number"]): e["focus"]["reference"] for call in receiver.calls for e in parameters(call)["events"]
    }
    assert {n: f"https://relais.test/fhir/{focus}" for n, focus in found} == by_number


async def _is_all(receiver: Receiver, count: int) -> bool:
    return len(numbers(receiver)) == count


async def test_what_a_dead_sender_had_in_hand_keeps_its_numbers(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader, story = await reader_of(office, scene), usual_story(scene, draft)
    id_ = await reader.new(receiver)
    await office.record(story, slice(0, 3))
    connection = await office.database.connection("a sender that will be killed")
    assert await senders.hold_number(connection, 4_712)
    async with office.database.session() as session:
        taken = await webhook_queue.take_up(session, 4_712, office.now, 100)
    assert [one.event.number for one in taken if one.event] == [1]  # of one request one after the other
    connection.terminate()
    await office.record(story, slice(3, None))
    async with office.sender():
        await eventually(lambda: _is_all(receiver, 5))
    assert sorted(numbers(receiver)) == [1, 2, 3, 4, 5]
    assert [number for number, _ in await reader.events(id_)] == [1, 2, 3, 4, 5]


async def test_an_event_and_what_is_told_of_it_are_one_transaction_and_told_once(
    office: Office, receiver: Receiver
) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader, story = await reader_of(office, scene), usual_story(scene, draft)
    id_ = await reader.new(receiver)
    for _again in range(2):
        await office.record(story, slice(0, 3))
    assert [number for number, _ in await reader.events(id_)] == [1, 2, 3]


# Errors


async def test_after_days_it_is_in_error_and_events_are_counted_on(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader, story = await reader_of(office, scene), usual_story(scene, draft)
    id_ = await reader.new(receiver)
    receiver.status = 503
    await office.record(story, slice(0, 1))
    await office.send()
    for pause in PAUSES[:-1]:
        assert await office.send(pause) == 1
        assert (await reader.read(id_)).status is SubscriptionStatus.ACTIVE
    assert await office.send(PAUSES[-1]) == 1
    assert len({call.body for call in receiver.calls[1:]}) == 1
    failed = await reader.read(id_)
    assert (failed.status, failed.own.disabled_reason) == (SubscriptionStatus.ERROR, DisabledReason.EVENT_LOST)
    assert await letters(office, scene.accounts["home_administrator"].id) == [LetterKind.SUBSCRIPTION_EVENT_LOST]

    await office.record(story, slice(1, 3))
    assert await office.send(timedelta(days=1)) == 0
    told = await subscriptions.status(office, reader.caller, id_)
    assert (told.subscribed.status, told.count) == (SubscriptionStatus.ERROR, 3)
    assert [number for number, _ in await reader.events(id_)] == [1, 2, 3]
    assert [number for number, _ in await reader.events(id_, 2, 2)] == [2]

    receiver.status = 200
    receiver.calls.clear()
    await reader.change(id_, wanted(receiver))
    assert await office.send() == 1
    await office.record(story, slice(3, 4))
    await office.send()
    assert (await reader.read(id_)).status is SubscriptionStatus.ACTIVE
    assert numbers(receiver) == [4]
    kinds = [
        AccountEventKind.SUBSCRIPTION_ADDED,
        AccountEventKind.SUBSCRIPTION_VERIFIED,
        AccountEventKind.SUBSCRIPTION_DISABLED,
        AccountEventKind.SUBSCRIPTION_CHANGED,
        AccountEventKind.SUBSCRIPTION_VERIFIED,
    ]
    async with office.database.session() as session:
        query = select(AccountEvent.kind).where(AccountEvent.clinic_id == scene.home.id).order_by(AccountEvent.id)
        assert list(await session.scalars(query)) == kinds


async def test_who_says_gone_is_not_called_again(office: Office, receiver: Receiver, other: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader = await reader_of(office, scene)
    gone, fine = await reader.new(receiver), await reader.new(other)
    receiver.status = 410
    await office.record(usual_story(scene, draft), slice(0, 3))
    await office.send()
    assert len(receiver.calls) == 2
    assert (await reader.read(gone)).own.disabled_reason is DisabledReason.GONE
    assert (await reader.read(fine)).status is SubscriptionStatus.ACTIVE
    assert sorted(numbers(other)) == [1, 2, 3]
    assert [number for number, _ in await reader.events(gone)] == [1, 2, 3]


async def test_one_that_is_in_error_for_a_month_is_turned_off(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader = await reader_of(office, scene)
    id_ = await reader.new(receiver)
    receiver.status = 410
    await office.record(usual_story(scene, draft), slice(0, 1))
    await office.send()
    await office.send(KEPT_FOR - A_MOMENT)
    assert (await reader.read(id_)).status is SubscriptionStatus.ERROR
    await office.send(2 * A_MOMENT)
    assert (await reader.read(id_)).status is SubscriptionStatus.OFF
    assert DisabledReason.OVER not in ERRORS


@pytest.mark.parametrize("how", ["secret", "test"])
async def test_what_cant_be_written_ends_no_other(
    office: Office, receiver: Receiver, other: Receiver, how: str
) -> None:
    """Headers that do not open; a test, which is for webhooks, from code that knows no Subscription."""
    scene, draft = await scene_with_draft(office.database)
    reader = await reader_of(office, scene)
    broken, fine = await reader.new(receiver), await reader.new(other)
    async with office.database.session() as session:
        endpoint = await session.get_one(WebhookEndpoint, broken)
        if how == "secret":
            endpoint.sealed_secret = "gone:AAAA"
        else:
            await outbox.queue_test(session, endpoint, office.now)
    await office.record(usual_story(scene, draft), slice(0, 1))
    await office.send()
    assert numbers(other) == [1]
    assert (await reader.read(fine)).status is SubscriptionStatus.ACTIVE
    if how == "secret":
        assert (await reader.read(broken)).status is SubscriptionStatus.ERROR
        assert (numbers(receiver), await reader.events(broken)) == ([], [(1, f"Task/{draft.id}.1")])
    else:
        assert (await reader.read(broken)).status is SubscriptionStatus.ACTIVE
        assert (len(receiver.calls), numbers(receiver)) == (2, [1])


# Signs of life


async def test_signs_of_life_come_by_the_clock_and_are_not_kept(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader = await reader_of(office, scene)
    id_ = await reader.new(receiver, heartbeat_seconds=600, content=Content.EMPTY)
    await office.record(usual_story(scene, draft), slice(0, 3))
    await office.send()
    assert await office.send(timedelta(seconds=595)) == 0
    for beat in range(3):
        assert await office.send(timedelta(seconds=10 if beat == 0 else 600)) == 1
        said = parameters(receiver.calls[-1])
        assert (said["type"], said["status"], said["events"]) == ("heartbeat", "active", [])
        assert said["events-since-subscription-start"] == "3"
    assert await beats(office, id_) == 1
    receiver.status = 500
    assert await office.send(timedelta(seconds=600)) == 1
    assert await office.send(timedelta(seconds=599)) == 0  # not tried again: the next one says the same
    assert (await reader.read(id_)).endpoint.failing_since is not None
    receiver.status = 200
    await office.send(A_MOMENT)
    assert (await reader.read(id_)).endpoint.failing_since is None
    assert [faults for faults in await faults_of([call.said for call in receiver.calls]) if faults] == []


async def beats(office: Office, id_: UUID) -> int:
    async with office.database.session() as session:
        query = (
            select(func.count())
            .select_from(WebhookMessage)
            .join(WebhookDelivery, WebhookDelivery.message_id == WebhookMessage.id)
        )
        is_one = WebhookDelivery.endpoint_id == id_, WebhookMessage.type == "fhir.heartbeat"
        return (await session.scalar(query.where(*is_one))) or 0


# What ends one


@pytest.mark.parametrize("how", ["end", "locked", "expired", "scope"])
async def test_it_ends_with_its_time_or_with_its_system(office: Office, receiver: Receiver, how: str) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader, story = await reader_of(office, scene), usual_story(scene, draft)
    id_ = await reader.new(
        receiver, heartbeat_seconds=60, ends_at=office.now + timedelta(hours=1) if how == "end" else None
    )
    await office.record(story, slice(0, 1))
    system_id = reader.caller.account.id
    of_service = update(ServiceAccount).where(ServiceAccount.account_id == system_id)
    changes = {
        "locked": update(Account).where(Account.id == system_id).values(active=False),
        "expired": of_service.values(expires_at=office.now - A_MOMENT),
        "scope": of_service.values(scopes=["requests:read"]),
    }
    if how in changes:
        async with office.database.session() as session:
            await session.execute(changes[how])
    assert await office.send(timedelta(hours=2)) == 0
    async with office.database.session() as session:
        own = await session.get_one(Subscription, id_)
        reason = DisabledReason.OVER if how == "end" else DisabledReason.SYSTEM_ENDED
        assert (own.state, own.disabled_reason) == (EndpointState.DISABLED, reason)
    await office.record(story, slice(1, 2))
    assert await office.send(timedelta(days=1)) == 0
    assert len(receiver.calls) == 1


async def test_its_system_and_administrators_turn_it_off(office: Office, receiver: Receiver, other: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader, story = await reader_of(office, scene), usual_story(scene, draft)
    one, two = await reader.new(receiver), await reader.new(other)
    by = administrator(scene, "home_administrator")
    assert (await reader.change(one, wanted(receiver, is_off=True))).status is SubscriptionStatus.OFF
    shown = await subscriptions.turn_off(office, by, two)
    assert (shown.status, shown.disabled_reason) == (SubscriptionStatus.OFF, DisabledReason.BY_HAND)
    assert [view.status for view in await subscriptions.list_of_clinic(office, by, scene.home.id)] == ["off", "off"]
    await office.record(story, slice(0, 2))
    assert await office.send() == 0
    assert (await reader.change(one, wanted(receiver))).status is SubscriptionStatus.REQUESTED
    with pytest.raises(Problem) as error:
        await reader.change(two, wanted(other))
    assert error.value.code == "subscription_turned_off"
    await reader.change(two, wanted(other, is_off=True))
    assert (await reader.read(two)).own.disabled_reason is DisabledReason.BY_HAND
    await subscriptions.remove(office, reader.caller, two)
    with pytest.raises(Problem):
        await reader.read(two)
    assert await office.send() == 1
    assert numbers(receiver) == []  # what happened while it was off is not told


async def test_the_same_twice_and_too_many_are_refused(office: Office, receiver: Receiver) -> None:
    scene, _ = await scene_with_draft(office.database)
    reader = await reader_of(office, scene)
    first = await reader.new(receiver)
    with pytest.raises(Problem) as error:
        await subscriptions.create(office, reader.caller, wanted(receiver))
    assert error.value.code == "subscription_exists"
    both = [subscriptions.create(office, reader.caller, wanted(receiver, Topic.REPORT_SIGNED)) for _ in range(2)]
    done = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(one, Problem) for one in done) == 1
    with pytest.raises(Problem) as error:
        await reader.change(first, wanted(receiver, filters=("status=failed",)))
    assert error.value.code == "subscription_is_of_its_topic"
    for number in range(18):
        await subscriptions.create(office, reader.caller, replace(wanted(receiver), url=f"{receiver.url}/{number}"))
    with pytest.raises(Problem) as error:
        await subscriptions.create(office, reader.caller, replace(wanted(receiver), url=f"{receiver.url}/more"))
    assert error.value.code == "too_many_subscriptions"


async def test_two_calls_are_under_way_and_what_was_told_is_known_for_a_month(
    office: Office, receiver: Receiver
) -> None:
    scene, _ = await scene_with_draft(office.database)
    reader = await reader_of(office, scene)
    id_ = await reader.new(receiver)
    for _each in range(4):
        await told_of(office, scene)
    async with office.database.session() as session:
        assert len(await webhook_queue.take_up(session, 9, office.now, 100)) == MOST_AT_ONCE
    async with office.database.session() as session:
        await outbox.forget(session, office.now + KEPT_FOR)
    assert await reader.events(id_) == []  # what was told is known for a month
    assert (await subscriptions.status(office, reader.caller, id_)).count == 4


# Much of it


async def many(office: Office, id_: UUID, request_id: UUID, count: int) -> None:
    """Events that wait for their numbers."""
    written = text(
        """
        WITH made AS (
            INSERT INTO webhook_messages (id, type, request_id, sequence, part, at, data)
            SELECT gen_random_uuid(), 'fhir.notification', :request_id, 100 + n, 0, now(), '{"focus": "Task/1"}'
            FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n RETURNING id
        )
        INSERT INTO webhook_deliveries (message_id, endpoint_id, request_id, type, state, next_attempt)
        SELECT id, :id, :request_id, 'fhir.notification', 'pending', now() + interval '1 day' FROM made
        """
    )
    for first in range(1, count + 1, 4_000):  # no statement of which a slow machine says that it takes too long
        span = {"first": first, "last": min(first + 3_999, count)}
        async with office.database.session() as session:
            await session.execute(written, {"id": id_, "request_id": request_id, **span})


async def unnumbered(office: Office, id_: UUID) -> int:
    query = select(func.count()).where(WebhookDelivery.endpoint_id == id_, WebhookDelivery.number.is_(None))
    async with office.database.session() as session:
        return (await session.scalar(query.where(WebhookDelivery.type == "fhir.notification"))) or 0


async def test_very_many_events_get_their_numbers_some_at_a_time(
    office: Office, receiver: Receiver, other: Receiver
) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader = await reader_of(office, scene)
    full, fine = await reader.new(receiver), await reader.new(other)
    await office.record(usual_story(scene, draft), slice(0, 1))
    await office.send()
    await many(office, full, draft.id, 40_000)
    await office.record(await later_story(office, scene), slice(0, 1))
    await office.send()
    assert numbers(other) == [1, 2]
    left = await unnumbered(office, full)
    assert 30_000 < left < 40_000
    told = await subscriptions.status(office, reader.caller, full)
    assert (told.count, await unnumbered(office, full)) == (40_002, 0)
    assert len(await reader.events(full, 39_900)) == 103
    await subscriptions.remove(office, reader.caller, full)
    with pytest.raises(Problem):
        await reader.read(full)
    assert [one.id for one in await subscriptions.list_own(office, reader.caller)] == [fine]
    rounds = 0
    async with office.database.session() as session:
        while await stored.forget_removed(session, 10_000):
            rounds += 1
        assert rounds == 6
        assert await session.get(WebhookEndpoint, full) is None
        assert await session.get(WebhookEndpoint, fine) is not None


async def later_story(office: Office, scene: Scene) -> Story:
    async with office.database.session() as session:
        return usual_story(scene, process_of(await make_draft(session, scene)))


async def test_what_comes_to_one_in_error_gets_its_numbers_by_the_clock(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader, story = await reader_of(office, scene), usual_story(scene, draft)
    id_ = await reader.new(receiver)
    receiver.status = 410
    await office.record(story, slice(0, 1))
    await office.send()
    await office.record(story, slice(1, 3))
    await office.send()
    assert await unnumbered(office, id_) == 0
    assert set(await office.states(id_)) == {DeliveryState.DELIVERED, DeliveryState.FAILED}


async def test_one_that_gets_no_numbers_holds_up_no_other(office: Office, receiver: Receiver, other: Receiver) -> None:
    """A number that is given already, by a restored table or by hand: the index holds them apart."""
    scene, draft = await scene_with_draft(office.database)
    reader, story = await reader_of(office, scene), usual_story(scene, draft)
    broken, fine = await reader.new(receiver), await reader.new(other)
    await office.record(story, slice(0, 1))
    await office.send()
    async with office.database.session() as session:
        await session.execute(update(Subscription).where(Subscription.endpoint_id == broken).values(events=0))
    await office.record(story, slice(1, 2))
    await office.send()
    assert (numbers(receiver), numbers(other)) == ([1], [1, 2])
    assert (await reader.read(fine)).status is SubscriptionStatus.ACTIVE


async def test_a_heartbeat_that_cant_be_queued_holds_up_nothing(
    office: Office, receiver: Receiver, other: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader = await reader_of(office, scene)
    broken = await reader.new(receiver, heartbeat_seconds=60)
    await reader.new(other, heartbeat_seconds=60)
    queue = outbox.queue_heartbeat

    async def fails(session: AsyncSession, endpoint: WebhookEndpoint, now: datetime) -> None:
        if endpoint.id == broken:
            await session.execute(text("SELECT 1 / 0"))
        await queue(session, endpoint, now)

    monkeypatch.setattr(outbox, "queue_heartbeat", fails)
    await office.record(usual_story(scene, draft), slice(0, 1))
    await office.send(timedelta(seconds=61))
    assert (numbers(receiver), numbers(other)) == ([1], [1])
    assert [parameters(call)["type"] for call in other.calls].count("heartbeat") == 1


async def test_code_of_the_version_before_sends_nothing_there(office: Office, receiver: Receiver) -> None:
    """Its sender takes up what is active; it reads these reasons alone."""
    scene, draft = await scene_with_draft(office.database)
    reader = await reader_of(office, scene)
    id_ = await reader.new(receiver)
    for status in (200, 410):
        receiver.status = status
        await office.record(usual_story(scene, draft), slice(0, 1))
        await office.send()
        async with office.database.session() as session:
            endpoint = await session.get_one(WebhookEndpoint, id_)
            assert (endpoint.state, endpoint.disabled_reason) == (EndpointState.UNVERIFIED, None)


async def test_events_that_make_no_tasks_fail_no_command(office: Office, receiver: Receiver, other: Receiver) -> None:
    """Reported before it was accepted, as it is recorded: what lies between may come later."""
    scene, draft = await scene_with_draft(office.database)
    reader, story = await reader_of(office, scene), usual_story(scene, draft)
    tasks, said = await reader.new(receiver), await reader.new(other, Topic.COMMUNICATION)
    await office.record(story, slice(0, 1))
    await office.record(story, slice(3, None))
    await office.send()
    assert len(await reader.events(said)) == 2
    assert await reader.events(tasks) == [(1, f"Task/{draft.id}.1")]


async def test_an_error_lasts_a_month_from_when_it_began(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    reader = await reader_of(office, scene)
    id_ = await reader.new(receiver)
    receiver.status = 503
    await office.record(usual_story(scene, draft), slice(0, 1))
    await office.send()
    for pause in PAUSES:
        await office.send(pause)
    assert (await reader.read(id_)).own.disabled_reason is DisabledReason.EVENT_LOST
    await office.send(GIVEN_UP_AFTER - A_MOMENT)
    assert (await reader.read(id_)).status is SubscriptionStatus.ERROR
    await office.send(2 * A_MOMENT)
    off = await reader.read(id_)
    assert (off.status, off.own.disabled_reason) == (SubscriptionStatus.OFF, DisabledReason.NOT_BEGUN_ANEW)
