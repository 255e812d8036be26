"""The e-mails of an event go with its record, and a mail server that is slow, away or strict holds no record up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import cast

import pytest
from aiosmtpd.smtp import SMTP
from temporalio.api.enums.v1 import EventType

from activities.contract import Planned
from activities.delivery import Relay
from activities.messages import compose_notice
from activities.notifications import NotificationActivities
from activities.records import RecordActivities
from domain.effects import Record
from records.database import Database
from records.models import NoticeStatus
from records.projection import record_event
from settings import Settings
from tests.eventually import PATIENCE_SECONDS, eventually
from tests.journeys import accepted, ok
from tests.mail.post_office import AnyAddress, PostOffice, open_post_office
from tests.mail.test_sending import Played, deliver, environment, play
from tests.system import System
from tests.unit.test_messages import notice
from tests.workflow.branch import branch, workers
from tests.workflow.looks import history, notices, of_type, quiet


@asynccontextmanager
async def recorder(settings: Settings, database: Database) -> AsyncIterator[RecordActivities]:
    notifications = NotificationActivities(settings, database)
    yield RecordActivities(database, notifications)
    await notifications.close()


def next_record(played: Played, step: int = 2) -> Record:
    """The effect of the story's next step (the colleague has accepted) that is not in the records yet."""
    event, request = played.story.steps[step]
    return Record.of(event, request)


async def test_who_records_an_event_sends_its_e_mails(office: PostOffice, database: Database) -> None:
    played = await play(database)
    async with recorder(office.settings(), database) as activities:
        assert await environment().run(activities.record_event, next_record(played)) == Planned(
            notice_ids=(), wait=timedelta()
        )
    row = await played.notice(3, "requester")
    assert (row.status, row.attempts) == (NoticeStatus.SENT, 1)
    [message] = office.kept_for(row.address)
    assert message["Message-ID"] == row.message_id


async def test_one_that_is_refused_is_told_by_the_next_effect(office: PostOffice, database: Database) -> None:
    played = await play(database)
    office.at_recipient[played.address("requester")] = "550 5.1.1 No such mailbox"
    async with recorder(office.settings(), database) as activities:
        planned = await environment().run(activities.record_event, next_record(played))
    assert (await played.notice(3, "requester")).status is NoticeStatus.REFUSED
    office.calm_down()
    await deliver(office.settings(), database, planned.notice_ids)
    assert "courriel non livré" in office.kept_for(played.address("dispatcher"))[-1]["Subject"]


async def test_a_mail_server_that_says_nothing_is_not_waited_for(
    office: PostOffice, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record is there at once, its e-mail is left to the next effect, and goes just once; the next record tries nothing."""
    monkeypatch.setattr("activities.notifications.AT_ONCE_SECONDS", 0.1)
    played = await play(database)
    office.slow_for = {played.address("requester")}
    async with recorder(office.settings(), database) as activities:
        planned = await environment().run(activities.record_event, next_record(played))
        row = await played.notice(3, "requester")
        assert row.id in planned.notice_ids
        other = await deliver(office.settings(), database, planned.notice_ids, name="another")
        assert row.id in other.waiting  # the first one still hears from the mail server
        following = await environment().run(activities.record_event, next_record(played, 3))
        assert (await played.notice(4, "requester")).id in following.notice_ids
        office.calm_down()

        async def is_sent() -> bool:
            return (await played.notice(3, "requester")).status is NoticeStatus.SENT

        await eventually(is_sent)
    assert len(office.kept_for(row.address)) == 1


async def test_a_mail_server_that_is_away_is_left_alone_for_a_while(office: PostOffice, database: Database) -> None:
    async with open_post_office() as closed:
        port = closed.port
    played = await play(database)
    async with recorder(office.settings(smtp_port=port), database) as activities:
        planned = await environment().run(activities.record_event, next_record(played))
        first = await played.notice(3, "requester")
        assert (first.attempts, first.last_error) == (1, "no_connection")
        following = await environment().run(activities.record_event, next_record(played, 3))
    second = await played.notice(4, "requester")
    assert (second.attempts, second.status) == (0, NoticeStatus.QUEUED)
    for notice_ids in (planned.notice_ids, following.notice_ids):
        await deliver(office.settings(), database, notice_ids)
    for row in (first, second):
        assert [m["Message-ID"] for m in office.kept_for(row.address)].count(row.message_id) == 1


async def test_who_ends_between_record_and_e_mail_leaves_it_to_the_next_try(
    office: PostOffice, database: Database
) -> None:
    played = await play(database)
    effect = next_record(played)
    async with database.session() as session:
        await record_event(session, effect.event, effect.request, at_once=True)  # and no more is heard of it
    row = await played.notice(3, "requester")
    async with recorder(office.settings(), database) as activities:
        planned = await environment(attempt=2).run(activities.record_event, effect)
    assert row.id in planned.notice_ids
    assert office.kept_for(row.address) == []
    await deliver(office.settings(), database, planned.notice_ids)
    assert len(office.kept_for(row.address)) == 1


async def test_what_a_try_before_has_handed_over_is_only_noted(office: PostOffice, database: Database) -> None:
    played = await play(database)
    effect = next_record(played)
    async with database.session() as session:
        await record_event(session, effect.event, effect.request, at_once=True)
    row = await played.notice(3, "requester")
    async with recorder(office.settings(), database) as activities:
        planned = await environment(attempt=2, details=[str(row.id)]).run(activities.record_event, effect)
    assert row.id not in planned.notice_ids
    assert (await played.notice(3, "requester")).status is NoticeStatus.SENT
    assert office.kept_for(row.address) == []


# In the workflow's history


async def test_a_request_whose_mail_goes_costs_one_activity_a_command(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.notifications.AT_ONCE_SECONDS", PATIENCE_SECONDS)
    async with open_post_office() as office, branch(system, smtp_port=office.port) as other, workers(other):
        request_id = await accepted(other)
        ok(await other.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand ?"}))
        await quiet(other, request_id)
        events = await history(other, request_id)
        assert len(of_type(events, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)) == 4  # submit, assign, accept, ask
        told = {notice.status for notice in await notices(other, request_id)}
        assert told <= {NoticeStatus.SENT, NoticeStatus.GROUPED}


async def test_a_request_goes_on_while_the_mail_server_is_away_and_every_e_mail_comes_once(system: System) -> None:
    async with (
        open_post_office() as office,
        branch(system, smtp_port=office.port, mail_retry_max_seconds=0.2) as other,
        workers(other),
    ):
        office.at_recipient = AnyAddress("451 4.3.2 Try again later")
        request_id = await accepted(other)
        assert office.kept == []
        office.calm_down()

        async def all_sent() -> bool:
            return all(row.status is not NoticeStatus.QUEUED for row in await notices(other, request_id))

        await eventually(all_sent)
        for row in await notices(other, request_id):
            assert [m["Message-ID"] for m in office.kept_for(row.address)].count(row.message_id) == 1


# The connection that is kept


async def hand_over(relay: Relay, settings: Settings, *names: str) -> None:
    for name in names:
        await relay.deliver(compose_notice([notice(address=f"{name}@clinic.example")], settings))


async def test_one_connection_takes_e_mails_one_after_the_other(office: PostOffice) -> None:
    settings = office.settings()
    relay = Relay(settings)
    await hand_over(relay, settings, "a", "b", "c")
    assert (len(office.kept), office.conversations) == (3, 1)
    await relay.close()
    await hand_over(relay, settings, "d")
    assert (len(office.kept), office.conversations) == (4, 2)
    await relay.close()


async def test_e_mails_beside_each_other_have_a_connection_each(office: PostOffice) -> None:
    settings = office.settings()
    relay = Relay(settings)
    await asyncio.gather(*(hand_over(relay, settings, name) for name in "abcdef"))
    assert len(office.kept) == 6
    await relay.close()


@pytest.mark.parametrize("word", ["421 4.4.2 Too long idle", None])
async def test_a_server_that_left_a_kept_connection_gets_the_e_mail_over_a_new_one(
    office: PostOffice, word: str | None
) -> None:
    """With a word, or without one."""
    settings = office.settings()
    relay = Relay(settings)
    await hand_over(relay, settings, "a")

    def leave(server: SMTP) -> str:
        if word is None:
            cast(asyncio.Transport, server.transport).abort()
        return word or "250 OK"

    office.at_next_sender = leave
    await hand_over(relay, settings, "b")
    assert office.at_next_sender is None
    assert office.conversations == 2
    assert [address for address, _ in office.kept] == ["a@clinic.example", "b@clinic.example"]
    await relay.close()


async def test_an_e_mail_after_one_that_was_refused_goes(office: PostOffice) -> None:
    settings = office.settings()
    relay = Relay(settings)
    await hand_over(relay, settings, "a")
    office.at_recipient = {"b@clinic.example": "550 5.1.1 No such mailbox"}
    with pytest.raises(Exception, match="recipient_smtp_550"):
        await hand_over(relay, settings, "b")
    await hand_over(relay, settings, "c")
    assert [address for address, _ in office.kept] == ["a@clinic.example", "c@clinic.example"]
    await relay.close()
