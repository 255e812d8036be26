"""Messages from the event to the receiver: what is written with the event, who gets it, when it is tried again, or no more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from domain import commands as c
from domain.accounts import AccountEventKind, LetterKind
from domain.requests import Role
from domain.webhooks import (
    GIVEN_UP_AFTER,
    KEPT_FOR,
    MOST_AT_ONCE,
    OLDER_SECRET_LASTS,
    PAUSES,
    DeliveryState,
    DisabledReason,
    EndpointState,
    WebhookType,
)
from records import restrictions, senders, webhook_queue
from records import webhooks as outbox
from records.models import AccountEvent, AccountLetter, EventRecord, WebhookAttempt, WebhookEndpoint, WebhookMessage
from records.projection import record_event
from tests.eventually import eventually
from tests.records.scenes import Scene, Story, scene_with_draft, usual_story
from tests.webhooks.conftest import Office, administrator
from tests.webhooks.receiver import Receiver, open_receiver, read_call
from use_cases import webhooks
from use_cases.problems import Problem
from use_cases.webhooks import NewWebhook, WebhookChange

A_MOMENT = timedelta(seconds=1)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver() as receiver:
        yield receiver


@pytest.fixture
async def other() -> AsyncIterator[Receiver]:
    async with open_receiver() as receiver:
        yield receiver


# Ownership


async def test_nothing_is_told_before_a_challenge_is_answered(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    story, by = usual_story(scene, draft), administrator(scene, "home_administrator")
    receiver.answers_challenges = False
    given = await webhooks.add_webhook(office, by, scene.home.id, NewWebhook(url=receiver.url))
    office.catch_up()
    assert await office.send() == 1
    await office.record(story, slice(0, 1))
    assert await office.messages_of(draft.id) == []
    view = await webhooks.read_webhook(office, by, given.webhook.id)
    assert (view.state, view.verified_at) == (EndpointState.UNVERIFIED, None)
    [test] = (await webhooks.list_messages(office, by, view.id)).items
    assert (test.state, test.last_status, test.last_error) == ("failed", 200, "challenge_not_answered")
    assert await office.send(timedelta(days=1)) == 0  # a test is tried once

    receiver.answers_challenges = True
    await webhooks.test(office, by, view.id)
    assert await office.send() == 1
    assert (await webhooks.read_webhook(office, by, view.id)).state is EndpointState.ACTIVE
    first, second = receiver.calls
    assert first.id != second.id
    assert first.said["data"]["challenge"] != second.said["data"]["challenge"]
    await office.record(story, slice(1, 2))
    assert [message.sequence for message in await office.messages_of(draft.id)] == [2]


async def test_a_challenge_that_went_to_the_old_address_proves_nothing_of_the_new(
    office: Office, receiver: Receiver, other: Receiver
) -> None:
    scene, _ = await scene_with_draft(office.database)
    by = administrator(scene, "home_administrator")
    endpoint_id, _ = await office.endpoint(scene, "home_administrator", receiver)
    await webhooks.test(office, by, endpoint_id)
    async with office.database.session() as session:  # it is under way when the address changes
        [taken] = await webhook_queue.take_up(session, 7, office.now + A_MOMENT, 10)
    other.answers_challenges = False
    view = await webhooks.change_webhook(office, by, endpoint_id, WebhookChange(url=other.url), None)
    assert view.state is EndpointState.UNVERIFIED
    await office.sender()._send(taken)
    assert (await webhooks.read_webhook(office, by, endpoint_id)).state is EndpointState.UNVERIFIED
    assert (len(receiver.calls), len(other.calls)) == (1, 0)


# What is told


async def test_every_row_of_the_timeline_is_told_with_its_place_and_thinly(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    endpoint_id, secret = await office.endpoint(scene, "home_administrator", receiver)
    story = usual_story(scene, draft)
    await office.record(story)
    await office.send()
    said = sorted((call.said for call in receiver.calls), key=lambda one: one["data"]["sequence"])  # two go at once
    assert [(one["data"]["sequence"], one["type"]) for one in said] == [
        (1, "teleconsultation.submitted"),
        (2, "teleconsultation.assigned"),
        (3, "teleconsultation.accepted"),
        (4, "teleconsultation.information_requested"),
        (5, "teleconsultation.information_answered"),
        (6, "teleconsultation.updated"),
        (7, "teleconsultation.reported"),
        (7, "report.document_ready"),
        (8, "teleconsultation.acknowledged"),
    ]
    assert {frozenset(one["data"]) for one in said if one["type"] != "report.document_ready"} == {
        frozenset(
            {"request_id", "number", "sequence", "version", "event", "status", "offering", "href"}
            | {"requester_clinic_id", "dispatch_clinic_id"}
        )
    }
    report = said[7]["data"]
    assert report["href"] == f"https://relais.test/api/v1/requests/{draft.id}/reports/{report['report_id']}.pdf"
    assert said[0]["data"]["status"] == "awaiting_dispatch"
    assert said[0]["timestamp"] == story.steps[0][0].at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for call in receiver.calls:
        assert len(call.body) < 1_000
        assert not any(word in call.body.decode() for word in ("Tremblay", "Depuis quand", "semaines", "lésion"))
        Webhook(secret).verify(call.body, dict(call.headers))
    assert len({call.id for call in receiver.calls}) == len(said)
    assert set(await office.states(endpoint_id)) == {DeliveryState.DELIVERED}


async def test_nothing_is_written_for_nobody(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    only_reports, _ = await office.endpoint(scene, "administrator", receiver, WebhookType.REPORTED)
    story = usual_story(scene, draft)
    await office.record(story)
    # the far clinic answers: when the report is there, the request is not in its hands any more
    assert await office.messages_of(draft.id) == []
    assert await office.states(only_reports) == []


async def test_who_is_told_is_decided_when_it_goes(office: Office, receiver: Receiver, other: Receiver) -> None:
    """A request that was handed on is not told to the clinic that had it, whatever waited for that clinic."""
    scene, draft = await scene_with_draft(office.database)
    far, _ = await office.endpoint(scene, "administrator", receiver)
    home, _ = await office.endpoint(scene, "home_administrator", other)
    story = usual_story(scene, draft)
    await office.record(story, slice(0, 3))
    assert await office.states(far) == [DeliveryState.PENDING] * 2  # offered, accepted
    left = Story(story.steps[2][1], story.now)
    left.give(c.ReturnToDispatch(id="back", actor=scene.actor("provider"), comment="Hors de mon domaine."))
    await office.record(left)
    await office.send()
    assert await office.states(far) == [DeliveryState.DROPPED] * 2
    assert receiver.connections == 1  # its test
    assert await office.states(home) == [DeliveryState.DELIVERED] * 4


async def test_what_is_shut_to_administrators_is_not_told_to_their_systems(
    office: Office, receiver: Receiver, other: Receiver
) -> None:
    """Whatever waited for their clinic; another clinic is told as before."""
    await hears_nothing(office, receiver, other, lambda scene: (None, (scene.far.id, Role.CLINIC_ADMINISTRATOR)))


async def test_what_is_shut_to_who_said_where_webhooks_go_is_not_told_there(
    office: Office, receiver: Receiver, other: Receiver
) -> None:
    """By name: they chose who listens there. Another clinic is told as before."""
    await hears_nothing(office, receiver, other, lambda scene: (scene.accounts["administrator"].id, None))


async def hears_nothing(
    office: Office,
    receiver: Receiver,
    other: Receiver,
    whom: Callable[[Scene], tuple[UUID | None, tuple[UUID, Role] | None]],
) -> None:
    """Once the request is shut to them: what waits for the webhook of the far clinic is dropped, that of the own is told."""
    scene, draft = await scene_with_draft(office.database)
    far, _ = await office.endpoint(scene, "administrator", receiver)
    home, _ = await office.endpoint(scene, "home_administrator", other)
    await office.record(usual_story(scene, draft), slice(0, 3))
    by = scene.accounts["home_administrator"].id
    async with office.database.session() as session:
        await restrictions.add(session, draft.id, *whom(scene), reason="Parenté.", set_by=by, now=office.now)
    await office.send()
    assert await office.states(far) == [DeliveryState.DROPPED] * 2
    assert receiver.connections == 1  # its test
    assert await office.states(home) == [DeliveryState.DELIVERED] * 3


async def test_it_is_told_again_where_somebody_else_has_said_the_address(
    office: Office, receiver: Receiver, other: Receiver
) -> None:
    """Only who said the present one counts; and what is shut to another webhook of the clinic is told to this one."""
    scene, draft = await scene_with_draft(office.database)
    id_, _ = await office.endpoint(scene, "home_administrator", receiver)
    by, named = scene.accounts["requester"], scene.accounts["home_administrator"]
    async with office.database.session() as session:
        await restrictions.add(session, draft.id, named.id, None, reason="Parenté.", set_by=by.id, now=office.now)
    story = usual_story(scene, draft)
    await office.record(story, slice(0, 1))
    await office.send()
    assert await office.states(id_) == [DeliveryState.DROPPED]
    somebody = replace(administrator(scene, "everything"), clinic_id=scene.home.id)
    await webhooks.change_webhook(office, somebody, id_, WebhookChange(url=other.url), None)
    office.catch_up()
    await office.send()
    await office.record(story, slice(1, 3))
    await office.send()
    assert await office.states(id_) == [DeliveryState.DROPPED, DeliveryState.DELIVERED, DeliveryState.DELIVERED]


async def test_what_is_shut_by_role_to_who_said_where_a_webhook_is_is_not_told_there(
    office: Office, receiver: Receiver
) -> None:
    scene, draft = await scene_with_draft(office.database)
    somebody = replace(administrator(scene, "everything"), clinic_id=scene.home.id)
    id_, _ = await office.endpoint(scene, "home_administrator", receiver)
    async with office.database.session() as session:
        await session.execute(
            update(WebhookEndpoint).where(WebhookEndpoint.id == id_).values(given_by=somebody.hand.account_id)
        )
        role = (scene.home.id, Role.PROVIDER)
        by = scene.accounts["home_administrator"].id
        await restrictions.add(session, draft.id, None, role, reason="Parenté.", set_by=by, now=office.now)
    await office.record(usual_story(scene, draft), slice(0, 1))
    await office.send()
    assert await office.states(id_) == [DeliveryState.DROPPED]


async def test_event_and_message_are_one_transaction(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    await office.endpoint(scene, "home_administrator", receiver)
    event, request = usual_story(scene, draft).steps[0]
    connection = await office.database.connection("relais tests")
    for end in ("rolled back", "killed", "committed", "once more"):
        try:
            async with office.database.session() as session:
                await record_event(session, event, request)
                if end == "rolled back":
                    raise KeyError(end)
                if end == "killed":
                    await connection.execute(
                        "SELECT pg_terminate_backend($1)", await session.scalar(select(func.pg_backend_pid()))
                    )
        except Exception:
            assert end in ("rolled back", "killed"), end
        async with office.database.session() as session:
            events = await session.scalar(
                select(func.count()).select_from(EventRecord).where(EventRecord.request_id == draft.id)
            )
        assert len(await office.messages_of(draft.id)) == events == (0 if end in ("rolled back", "killed") else 1), end
    await connection.close()


# When it is tried again


async def test_a_message_is_tried_for_three_days_under_one_id(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    by = administrator(scene, "home_administrator")
    endpoint_id, _ = await office.endpoint(scene, "home_administrator", receiver)
    await office.record(usual_story(scene, draft), slice(0, 1))
    receiver.status, receiver.headers = 301, "Location: http://127.0.0.1:1/\r\n"
    assert await office.send() == 1
    for pause in PAUSES:
        assert await office.send(pause - A_MOMENT) == 0
        assert await office.send(A_MOMENT) == 1
    assert await office.send(timedelta(days=1)) == 0
    assert await office.states(endpoint_id) == [DeliveryState.FAILED]
    assert len({call.id for call in receiver.calls}) == 1
    assert len({call.body for call in receiver.calls}) == 1
    times = [int(call.headers["webhook-timestamp"]) for call in receiver.calls]
    assert [timedelta(seconds=b - a) for a, b in pairwise(times)] == list(PAUSES)

    [message] = (await webhooks.list_messages(office, by, endpoint_id, state=DeliveryState.FAILED)).items[:1]
    attempts = await webhooks.list_attempts(office, by, endpoint_id, message.message_id)
    assert [(one.status, one.answer) for one in attempts] == [(301, None)] * (len(PAUSES) + 1)

    receiver.status, receiver.headers = 204, ""
    assert (await webhooks.replay_message(office, by, endpoint_id, message.message_id)).attempts == 0
    assert await office.send(A_MOMENT) == 1
    assert await office.states(endpoint_id) == [DeliveryState.DELIVERED]
    assert len({call.id for call in receiver.calls}) == 1
    assert (await webhooks.read_webhook(office, by, endpoint_id)).failing_since is None


async def test_who_fails_for_five_days_is_turned_off_and_the_clinic_is_told(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    by = administrator(scene, "home_administrator")
    endpoint_id, _ = await office.endpoint(scene, "home_administrator", receiver)
    since, story = office.now, usual_story(scene, draft)
    receiver.status = 500
    await office.record(story, slice(0, 1))
    await office.send()
    office.now += GIVEN_UP_AFTER - A_MOMENT
    await office.send()
    assert (await webhooks.read_webhook(office, by, endpoint_id)).state is EndpointState.ACTIVE
    await office.record(story, slice(1, 3))
    await office.send(A_MOMENT)
    view = await webhooks.read_webhook(office, by, endpoint_id)
    assert (view.state, view.disabled_reason) == (EndpointState.DISABLED, DisabledReason.FAILING)
    assert await office.states(endpoint_id) == [DeliveryState.FAILED] * 3
    assert await letters(office, scene.accounts["home_administrator"].id) == [LetterKind.WEBHOOK_DISABLED]
    assert await letters(office, scene.accounts["administrator"].id) == []
    await office.record(story, slice(3, 4))
    assert await office.send(timedelta(days=1)) == 0

    with pytest.raises(Problem) as error:
        await webhooks.replay_failed(office, by, endpoint_id, since - timedelta(days=30))
    assert error.value.code == "webhook_disabled"
    receiver.status = 200
    await webhooks.change_webhook(office, by, endpoint_id, WebhookChange(enabled=True), None)
    receiver.calls.clear()
    assert await office.send() == 1
    replayed = await webhooks.replay_failed(office, by, endpoint_id, story.steps[1][0].at)
    assert replayed.messages == 2
    assert await office.send(A_MOMENT) == 2
    assert sorted(call.said["data"]["sequence"] for call in receiver.calls if "sequence" in call.said["data"]) == [2, 3]
    kinds = {
        AccountEventKind.WEBHOOK_ADDED: 1,
        AccountEventKind.WEBHOOK_VERIFIED: 2,
        AccountEventKind.WEBHOOK_DISABLED: 1,
        AccountEventKind.WEBHOOK_CHANGED: 1,
        AccountEventKind.WEBHOOK_REPLAYED: 1,
    }
    async with office.database.session() as session:
        noted = await session.execute(
            select(AccountEvent.kind, func.count())
            .where(AccountEvent.clinic_id == scene.home.id)
            .group_by(AccountEvent.kind)
        )
        assert {kind: count for kind, count in noted} == kinds  # noqa: C416


async def test_who_says_gone_is_not_called_again(office: Office, receiver: Receiver, other: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    gone, _ = await office.endpoint(scene, "home_administrator", receiver)
    fine, _ = await office.endpoint(scene, "home_administrator", other)
    receiver.status = 410
    await office.record(usual_story(scene, draft), slice(0, 4))
    await office.send()
    assert len(receiver.calls) == 1
    assert await office.states(gone) == [DeliveryState.FAILED] * 4
    assert await office.states(fine) == [DeliveryState.DELIVERED] * 4
    view = await webhooks.read_webhook(office, administrator(scene, "home_administrator"), gone)
    assert view.disabled_reason is DisabledReason.GONE


async def test_who_is_busy_is_left_alone_and_nobody_else(office: Office, receiver: Receiver, other: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    busy, _ = await office.endpoint(scene, "home_administrator", receiver)
    await office.endpoint(scene, "home_administrator", other)
    story = usual_story(scene, draft)
    receiver.status, receiver.headers = 429, "Retry-After: 3600\r\n"
    await office.record(story, slice(0, 1))
    await office.send()
    await office.record(story, slice(1, 3))
    await office.send(timedelta(minutes=59))
    assert (len(receiver.calls), len(other.calls)) == (1, 3)
    receiver.status, receiver.headers = 200, ""
    await office.send(timedelta(minutes=1))
    assert await office.states(busy) == [DeliveryState.DELIVERED] * 3
    assert sorted(call.said["data"]["sequence"] for call in receiver.calls[1:]) == [1, 2, 3]  # two go at once


async def test_a_rotation_signs_with_both_for_a_day(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    by = administrator(scene, "home_administrator")
    endpoint_id, old = await office.endpoint(scene, "home_administrator", receiver)
    new = (await webhooks.rotate(office, by, endpoint_id)).secret
    assert new != old
    story = usual_story(scene, draft)
    await office.record(story, slice(0, 1))
    await office.send()
    [call] = receiver.calls
    assert len(call.headers["webhook-signature"].split()) == 2
    for secret in (old, new):
        Webhook(secret).verify(call.body, dict(call.headers))
    await office.record(story, slice(1, 2))
    await office.send(OLDER_SECRET_LASTS)
    assert len(receiver.calls[1].headers["webhook-signature"].split()) == 1
    with pytest.raises(WebhookVerificationError, match=r"No matching|too new"):
        Webhook(old).verify(receiver.calls[1].body, dict(receiver.calls[1].headers))


# Several senders


async def test_two_senders_have_no_more_than_two_calls_under_way(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    endpoint_id, _ = await office.endpoint(scene, "home_administrator", receiver)
    under_way, most, may_answer = 0, 0, asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        receiver.calls.append(await read_call(reader))
        under_way += 1
        most = max(most, under_way)
        await may_answer.wait()
        under_way -= 1
        writer.write(b"HTTP/1.1 204 Fine\r\n\r\n")

    receiver.talk = slow  # type: ignore[method-assign]
    await office.record(usual_story(scene, draft))
    await tell(office, endpoint_id, 20)
    async with office.sender(), office.sender():
        await eventually(lambda: under_way == MOST_AT_ONCE)
        may_answer.set()
        await eventually(lambda: _all_delivered(office, endpoint_id, 29))
    assert most == MOST_AT_ONCE
    assert len(receiver.calls) == len({call.id for call in receiver.calls}) == 29


async def test_what_a_dead_sender_had_in_hand_goes_at_once(office: Office, receiver: Receiver) -> None:
    """No time passes: the clock of who goes on stands still."""
    scene, _ = await scene_with_draft(office.database)
    endpoint_id, _ = await office.endpoint(scene, "home_administrator", receiver)
    await tell(office, endpoint_id, 5)
    connection = await office.database.connection("a sender that will be killed")
    assert await senders.hold_number(connection, 4_711)
    async with office.database.session() as session:
        taken = await webhook_queue.take_up(session, 4_711, office.now, 100)
        assert len(taken) == MOST_AT_ONCE
    async with office.database.session() as session:
        await senders.free_what_the_dead_held(session)
        assert await webhook_queue.take_up(session, 1, office.now, 100) == []  # it lives
    connection.terminate()
    async with office.sender():
        await eventually(lambda: _all_delivered(office, endpoint_id, 5))
    assert len(receiver.calls) == 5


async def _all_delivered(office: Office, endpoint_id: UUID, count: int) -> bool:
    states = await office.states(endpoint_id)
    return len(states) == count and set(states) == {DeliveryState.DELIVERED}


async def tell(office: Office, endpoint_id: UUID, count: int) -> None:
    """Messages for one endpoint, of nothing that happened to a request."""
    async with office.database.session() as session:
        endpoint = await outbox.load(session, endpoint_id)
        assert endpoint is not None
        for number in range(count):
            await outbox.queue(
                session,
                (WebhookType.ACCOUNT_LOCKED, {"number": number}),
                [endpoint_id],
                office.now,
                clinic_id=endpoint.clinic_id,
            )
    office.now += A_MOMENT


# Upkeep


async def test_what_was_said_is_kept_for_a_month(office: Office, receiver: Receiver) -> None:
    scene, draft = await scene_with_draft(office.database)
    by = administrator(scene, "home_administrator")
    endpoint_id, _ = await office.endpoint(scene, "home_administrator", receiver)
    await office.record(usual_story(scene, draft), slice(0, 1))
    await office.send()
    [told] = (await webhooks.list_messages(office, by, endpoint_id, limit=1)).items
    async with office.database.session() as session:
        event = await session.get_one(WebhookMessage, told.message_id)
        assert (await outbox.forget(session, event.at))["what old webhooks said"] == 0
        assert (await outbox.forget(session, office.now + KEPT_FOR))["what old webhooks said"] > 0
        assert (await outbox.forget(session, office.now + KEPT_FOR))["what old webhooks said"] == 0
        assert await session.scalar(select(func.count()).select_from(WebhookAttempt)) == 0
    view = await webhooks.read_message(office, by, endpoint_id, told.message_id)
    assert (view.state, view.last_status, view.can_be_replayed) == ("delivered", 200, False)
    with pytest.raises(Problem) as error:
        await webhooks.replay_message(office, by, endpoint_id, told.message_id)
    assert error.value.code == "webhook_not_replayable"


async def test_what_cant_be_written_fails_and_nobody_else_waits_for_it(
    office: Office, receiver: Receiver, other: Receiver
) -> None:
    """Its secret does not open: a key has left the ring too early, or the row was changed by hand."""
    scene, draft = await scene_with_draft(office.database)
    broken, _ = await office.endpoint(scene, "home_administrator", receiver)
    fine, _ = await office.endpoint(scene, "home_administrator", other)
    async with office.database.session() as session:
        away = update(WebhookEndpoint).where(WebhookEndpoint.id == broken).values(sealed_secret="gone:AAAA")
        await session.execute(away)
    await office.record(usual_story(scene, draft), slice(0, 2))
    async with office.sender():
        await eventually(lambda: _are(office, fine, [DeliveryState.DELIVERED] * 2))
        await eventually(lambda: _are(office, broken, [DeliveryState.FAILED] * 2))
    assert (len(receiver.calls), len(other.calls)) == (0, 2)
    by = administrator(scene, "home_administrator")
    messages = (await webhooks.list_messages(office, by, broken)).items[:2]
    assert [(one.last_status, one.last_error, one.can_be_replayed) for one in messages] == [
        (None, "not_written", True)
    ] * 2


async def _are(office: Office, endpoint_id: UUID, states: list[DeliveryState]) -> bool:
    return await office.states(endpoint_id) == states


async def letters(office: Office, account_id: UUID) -> list[LetterKind]:
    async with office.database.session() as session:
        return list(await session.scalars(select(AccountLetter.kind).where(AccountLetter.account_id == account_id)))
