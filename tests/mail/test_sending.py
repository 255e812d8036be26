"""Sending e-mails: through a real SMTP server, out of the real records, once and honestly."""

import asyncio
import dataclasses
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.contract import LONGEST_DIALOGUE
from activities.notifications import NotificationActivities
from domain.notices import Delivered, NoticeMode, SendResult
from records import notices, requests
from records.database import Database
from records.models import Account, Notice, NoticeStatus
from records.projection import record_event
from settings import Settings
from tests.eventually import eventually
from tests.mail.post_office import AnyAddress, PostOffice, open_post_office
from tests.records.scenes import Scene, Story, make_draft, set_scene, usual_story
from tests.workflow.branch import Line

SENT, ALREADY_SENT = SendResult(status="sent"), SendResult(status="already_sent")


@dataclass
class Played:
    """The beginning of the usual story, recorded, with the ids of the notices that each event made."""

    database: Database
    scene: Scene
    story: Story
    queued: dict[int, list[UUID]]

    def address(self, name: str) -> str:
        return self.scene.accounts[name].email

    async def notice(self, version: int, name: str) -> Notice:
        """The row of the notice of that event to that person, as it is now."""
        query = select(Notice).where(
            Notice.request_id == self.story.request.id,
            Notice.version == version,
            Notice.account_id == self.scene.accounts[name].id,
            Notice.refused_notice_id.is_(None),
        )
        async with self.database.session() as session:
            return (await session.scalars(query)).one()


async def play(
    database: Database, steps: int = 2, modes: dict[str, NoticeMode] | None = None, gather: timedelta = timedelta()
) -> Played:
    """The beginning of the usual story; its e-mails wait for each other for `gather`."""
    async with database.session() as session:
        scene = await set_scene(session, modes)
        story = usual_story(scene, requests.process_of(await make_draft(session, scene)))
        queued = {
            event.version: list((await record_event(session, event, request, gather)).waiting)
            for event, request in story.steps[:steps]
        }
    return Played(database, scene, story, queued)


def environment(
    *, name: str = "one", attempt: int = 1, details: Sequence[Any] = (), beats: list[tuple[Any, ...]] | None = None
) -> ActivityEnvironment:
    """Where an activity of this name runs, with what its last try said in its heartbeats; its own go to `beats`."""
    made = ActivityEnvironment()
    info = made.default_info()
    made.info = dataclasses.replace(info, activity_id=name, attempt=attempt, heartbeat_details=details)
    if beats is not None:
        made.on_heartbeat = lambda *said: beats.append(said)
    return made


async def send(settings: Settings, database: Database, notice_id: UUID, attempt: int = 1) -> SendResult:
    activities = NotificationActivities(settings, database)
    return await environment(attempt=attempt).run(activities.send_notice, notice_id)


async def deliver(settings: Settings, database: Database, notice_ids: Sequence[UUID], **given: Any) -> Delivered:
    activities = NotificationActivities(settings, database)
    return await environment(**given).run(activities.deliver_notices, list(notice_ids))


async def send_digest(settings: Settings, database: Database, account_id: UUID, slot: str = "morning") -> SendResult:
    activities = NotificationActivities(settings, database)
    return await ActivityEnvironment().run(activities.send_digest, account_id, slot)


def plain(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\N{NO-BREAK SPACE}", " ")


# Taken


async def test_a_notice_is_sent_once(office: PostOffice, database: Database) -> None:
    played = await play(database)
    row = await played.notice(2, "provider")
    assert await send(office.settings(), database, row.id) == SENT
    assert await send(office.settings(), database, row.id) == ALREADY_SENT
    (message,) = office.kept_for(played.address("provider"))
    assert message["Message-ID"] == row.message_id
    assert message["Subject"].startswith(f"Relais – demande {played.story.request.number}")
    assert f"https://relais.example/requests/{played.story.request.id}" in plain(message)
    row = await played.notice(2, "provider")
    assert (row.status, row.attempts, row.last_error) == (NoticeStatus.SENT, 1, None)
    assert row.sent_at is not None


async def test_everyone_in_a_whole_story_is_told(office: PostOffice, database: Database) -> None:
    played = await play(database, steps=8)
    everything = [notice_id for ids in played.queued.values() for notice_id in ids]
    assert {(await send(office.settings(), database, notice_id)).status for notice_id in everything} == {"sent"}
    assert len(office.kept) == len(everything) > 10
    assert len({message["Message-ID"] for _, message in office.kept}) == len(everything)
    assert len({message["References"] for _, message in office.kept}) == 1
    assert not [message for _, message in office.kept if "semaines" in plain(message) or "lésion" in plain(message)]


async def test_what_was_to_do_and_is_done_by_now_is_told_as_information(office: PostOffice, database: Database) -> None:
    played = await play(database, steps=3)  # the provider has accepted; the colleague's mail was slow
    await send(office.settings(), database, (await played.notice(2, "colleague")).id)
    (message,) = office.kept_for(played.address("colleague"))
    assert "Pour information" in plain(message)
    assert "À faire" not in plain(message)


async def test_an_e_mail_whose_note_was_lost_is_sent_again_under_the_same_id(
    office: PostOffice, database: Database
) -> None:
    played = await play(database)
    row = await played.notice(2, "provider")
    await send(office.settings(), database, row.id)
    async with database.session() as session:
        await session.execute(update(Notice).where(Notice.id == row.id).values(status=NoticeStatus.QUEUED))
    assert await send(office.settings(), database, row.id) == SENT
    first, second = office.kept_for(played.address("provider"))
    assert first["Message-ID"] == second["Message-ID"]


async def test_what_is_grouped_or_suppressed_is_not_sent_alone(office: PostOffice, database: Database) -> None:
    modes = {"provider": NoticeMode.GROUPED, "requester": NoticeMode.ACTIONS_ONLY}
    played = await play(database, modes=modes)
    for name in modes:
        result = await send(office.settings(), database, (await played.notice(2, name)).id)
        assert result == SendResult(status="suppressed")
    assert office.kept == []


async def test_a_notice_that_nobody_knows_is_not_tried_again(office: PostOffice, database: Database) -> None:
    with pytest.raises(ApplicationError) as unknown:
        await send(office.settings(), database, UUID(int=0))
    assert (unknown.value.type, unknown.value.non_retryable) == ("notice_unknown", True)


# Not for now


async def not_taken(office: PostOffice, database: Database, **settings: Any) -> str:
    """Try to send a notice, which must fail for now; then calm down, and send it. Gives the code that was noted."""
    played = await play(database)
    row = await played.notice(2, "provider")
    with pytest.raises(ApplicationError) as error:
        await send(office.settings(**settings), database, row.id)
    assert (error.value.type, error.value.non_retryable) == ("mail_temporarily_refused", False)
    assert played.address("provider") not in str(error.value)
    assert error.value.__cause__ is None
    assert office.kept == []
    row = await played.notice(2, "provider")
    assert (row.status, row.attempts) == (NoticeStatus.QUEUED, 1)
    office.calm_down()
    assert await send(office.settings(), database, row.id) == SENT
    assert len(office.kept_for(played.address("provider"))) == 1
    assert (await played.notice(2, "provider")).last_error is None
    assert row.last_error is not None
    return row.last_error


async def test_a_recipient_that_is_busy_is_tried_again(office: PostOffice, database: Database) -> None:
    office.at_recipient = AnyAddress("451 4.3.2 Try again later")
    assert await not_taken(office, database) == "recipient_smtp_451_4.3.2"


async def test_a_message_that_is_greylisted_is_tried_again(office: PostOffice, database: Database) -> None:
    office.at_data = AnyAddress("450 4.7.1 Greylisted")
    assert await not_taken(office, database) == "message_smtp_450_4.7.1"


async def test_a_server_that_hangs_up_is_tried_again(office: PostOffice, database: Database) -> None:
    office.hangs_up = True
    assert await not_taken(office, database) == "connection_lost"


async def test_a_server_that_says_nothing_is_left_after_the_timeout(office: PostOffice, database: Database) -> None:
    office.says_nothing = True
    assert await not_taken(office, database, smtp_timeout_seconds=60.0, smtp_final_timeout_seconds=0.3) == "timeout"


async def test_no_server_at_all_is_tried_again(office: PostOffice, database: Database) -> None:
    async with open_post_office() as closed:
        port = closed.port
    assert await not_taken(office, database, smtp_port=port) == "no_connection"


async def test_a_sender_that_is_not_accepted_is_no_fault_of_the_recipient(
    office: PostOffice, database: Database
) -> None:
    office.at_sender = "550 5.7.1 Sender not allowed"
    assert await not_taken(office, database) == "sender_smtp_550_5.7.1"


async def test_nothing_goes_unencrypted_when_encryption_is_asked_for(office: PostOffice, database: Database) -> None:
    assert await not_taken(office, database, smtp_security="starttls") == "encryption_or_login_not_supported"


async def test_a_relay_that_wants_a_login_is_no_fault_of_the_recipient(office: PostOffice, database: Database) -> None:
    office.at_recipient = AnyAddress("530 5.7.0 Authentication required")
    assert await not_taken(office, database) == "recipient_smtp_530_5.7.0"


@pytest.mark.parametrize(
    "answer", ["550 5.4.5 Quota", "554 5.7.0 Reputation", "550 5.7.1 Relaying denied", "503 5.5.1 Out of order"]
)
async def test_what_is_our_own_fault_is_tried_again_and_told_to_nobody(
    office: PostOffice, database: Database, answer: str
) -> None:
    office.at_recipient = AnyAddress(answer)
    code, enhanced, _ = answer.split(" ", 2)
    assert await not_taken(office, database) == f"recipient_smtp_{code}_{enhanced}"
    assert not [mail for _, mail in office.kept if "non livré" in mail["Subject"]]


async def test_a_try_that_the_engine_takes_for_dead_comes_to_its_end(office: PostOffice, database: Database) -> None:
    """Its next try, in the same worker, waits for it: the mail server has the e-mail already."""
    played = await play(database)
    row = await played.notice(2, "provider")
    office.slow_for = {row.address}
    activities = NotificationActivities(office.settings(), database)
    first = asyncio.create_task(environment().run(activities.send_notice, row.id))
    await eventually(lambda: bool(office.kept_for(row.address)))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(environment(attempt=2).run(activities.send_notice, row.id))
    await asyncio.sleep(0)
    office.calm_down()
    assert await second == SENT
    assert len(office.kept_for(row.address)) == 1


def test_as_long_as_the_standard_asks_for() -> None:
    defaults = Settings()
    assert defaults.smtp_final_timeout_seconds >= 600  # RFC 5321, 4.5.3.2.6
    assert defaults.smtp_timeout_seconds >= 300
    assert LONGEST_DIALOGUE.total_seconds() > defaults.smtp_final_timeout_seconds + defaults.smtp_timeout_seconds


async def test_the_pauses_double_up_to_the_longest_one(office: PostOffice, database: Database) -> None:
    office.at_recipient = AnyAddress("451 4.3.2 Try again later")
    played = await play(database)
    row = await played.notice(2, "provider")
    pauses = []
    for attempt in (1, 2, 3, 4, 1_000_000):
        with pytest.raises(ApplicationError) as error:
            await send(office.settings(mail_retry_max_seconds=10), database, row.id, attempt)
        pauses.append(error.value.next_retry_delay)
    assert pauses == [timedelta(seconds=seconds) for seconds in (2, 4, 8, 10, 10)]


async def test_an_error_that_nobody_foresaw_is_ours(office: PostOffice, database: Database) -> None:
    assert await not_taken(office, database, smtp_host="mail..example") == "fault_UnicodeError"


async def test_a_notice_that_can_not_be_composed_ends_in_time(office: PostOffice, database: Database) -> None:
    played = await play(database)
    row = await played.notice(2, "provider")
    async with database.session() as session:
        await session.execute(update(Notice).where(Notice.id == row.id).values(message_id="none"))
    other = await played.notice(2, "colleague")
    result = await deliver(office.settings(), database, [row.id, other.id])
    assert result.waiting == (row.id,)
    assert (await played.notice(2, "colleague")).status is NoticeStatus.SENT
    await let_wait(database, row, hours=73)
    assert (await send(office.settings(), database, row.id)).status == "expired"
    row = await played.notice(2, "provider")
    assert (row.status, row.last_error) == (NoticeStatus.EXPIRED, "fault_ValidationError")


async def test_a_digest_that_can_not_be_composed_ends_in_time(office: PostOffice, database: Database) -> None:
    played = await grouped(database, steps=2)
    row = await played.notice(2, "provider")
    async with database.session() as session:
        await session.execute(update(Notice).where(Notice.id == row.id).values(message_id="none"))
    with pytest.raises(ApplicationError, match="fault_ValidationError"):
        await send_digest(office.settings(), database, row.account_id)
    await let_wait(database, row, hours=73)
    assert (await send_digest(office.settings(), database, row.account_id, "noon")).status == "expired"


# Who has left


async def leave(played: Played, name: str) -> None:
    async with played.database.session() as session:
        account = await session.get_one(Account, played.scene.accounts[name].id)
        account.active = False


async def test_who_has_left_gets_no_mail(office: PostOffice, database: Database) -> None:
    played = await play(database)
    row = await played.notice(2, "provider")
    office.at_recipient = AnyAddress("451 4.3.2 Try again later")
    with pytest.raises(ApplicationError):
        await send(office.settings(), database, row.id)
    office.calm_down()
    await leave(played, "provider")
    assert await send(office.settings(), database, row.id) == SendResult(status="suppressed")
    assert (await played.notice(2, "provider")).status is NoticeStatus.SUPPRESSED
    assert office.kept == []


async def test_who_has_left_gets_no_digest(office: PostOffice, database: Database) -> None:
    played = await grouped(database, steps=2)
    account_id = played.scene.accounts["provider"].id
    await leave(played, "provider")
    assert await send_digest(office.settings(), database, account_id) == SendResult(status="suppressed")
    assert (await played.notice(2, "provider")).status is NoticeStatus.SUPPRESSED
    assert account_id not in await ActivityEnvironment().run(
        NotificationActivities(office.settings(), database).due_digests
    )
    assert office.kept == []


# The records are away when it is taken


@dataclass
class Wire:
    """A database that is reached by a line which can be cut."""

    line: Line
    database: Database

    def cut(self) -> None:
        self.line.cut()


@pytest.fixture
async def wire(database: Database) -> AsyncIterator[Wire]:
    folder = Path(tempfile.mkdtemp(prefix="line"))  # short: the path of a socket may not be long
    line = Line(database.url, folder)
    await line.mend()
    over_it = Database(line.url)
    yield Wire(line, over_it)
    await over_it.close()
    line.cut()
    shutil.rmtree(folder)


async def test_what_was_taken_is_noted_as_soon_as_the_records_are_back(
    office: PostOffice, database: Database, wire: Wire
) -> None:
    played = await play(database)
    row = await played.notice(2, "provider")
    office.when_kept = wire.cut
    sending = asyncio.create_task(send(office.settings(), wire.database, row.id))
    await eventually(lambda: bool(office.kept_for(row.address)))
    assert (await played.notice(2, "provider")).status is NoticeStatus.QUEUED
    office.when_kept = None
    await wire.line.mend()
    assert await sending == SENT
    assert (await played.notice(2, "provider")).status is NoticeStatus.SENT
    assert len(office.kept_for(row.address)) == 1


async def test_the_next_try_only_notes_what_was_taken(
    office: PostOffice, database: Database, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The records stay away for longer than the activity lives: its heartbeat knows what was taken."""
    monkeypatch.setattr("activities.notifications.NOTES_FOR", timedelta())
    played = await play(database)
    ids = [(await played.notice(2, name)).id for name in ("provider", "colleague")]
    office.when_kept = wire.cut
    beats: list[tuple[Any, ...]] = []
    with pytest.raises((SQLAlchemyError, OSError)):
        await deliver(office.settings(), wire.database, ids, beats=beats)
    office.when_kept = None
    await wire.line.mend()
    assert await deliver(office.settings(), wire.database, ids, details=beats[-1]) == Delivered()
    for name in ("provider", "colleague"):
        assert (await played.notice(2, name)).status is NoticeStatus.SENT
        assert len(office.kept_for(played.address(name))) == 1


async def test_a_digest_that_was_taken_is_only_noted(
    office: PostOffice, database: Database, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.notifications.NOTES_FOR", timedelta())
    played = await grouped(database, steps=2)
    account_id = played.scene.accounts["provider"].id
    activities = NotificationActivities(office.settings(), wire.database)
    office.when_kept = wire.cut
    beats: list[tuple[Any, ...]] = []
    with pytest.raises((SQLAlchemyError, OSError)):
        await environment(beats=beats).run(activities.send_digest, account_id, "morning")
    office.when_kept = None
    await wire.line.mend()
    again = environment(details=beats[-1])
    assert await again.run(activities.send_digest, account_id, "morning") == SENT
    assert (await played.notice(2, "provider")).status is NoticeStatus.SENT
    assert len(office.kept_for(played.address("provider"))) == 1


async def test_a_notice_in_other_hands_is_left_to_them(office: PostOffice, database: Database) -> None:
    """Two activities for one notice, as after a workflow was lost: only one of them has it in hand."""
    played = await play(database)
    row = await played.notice(2, "provider")
    office.slow_for = {row.address}
    first = asyncio.create_task(send(office.settings(), database, row.id))
    await eventually(lambda: bool(office.kept_for(row.address)))
    second = await deliver(office.settings(), database, [row.id], name="another")
    assert second == Delivered(waiting=(row.id,))
    office.calm_down()
    assert await first == SENT
    assert await deliver(office.settings(), database, [row.id], name="another") == Delivered()
    assert len(office.kept_for(row.address)) == 1


# The e-mails of one event


async def test_the_e_mails_of_an_event_are_each_for_itself(office: PostOffice, database: Database) -> None:
    """One is taken, one is refused, one is for later, and one is not in the records."""
    played = await play(database)
    names = ("provider", "colleague", "requester")
    ids = [(await played.notice(2, name)).id for name in names]
    office.at_recipient = {
        played.address("provider"): "550 5.1.1 No such mailbox",
        played.address("colleague"): "554 5.7.1 Relay access denied",
    }
    result = await deliver(office.settings(), database, [*ids, UUID(int=0)])
    assert result.waiting == (ids[1],)
    assert len(result.follow_up_notice_ids) == 3  # about the provider's address; the colleague's is not to blame
    rows = [await played.notice(2, name) for name in names]
    assert [row.status for row in rows] == [NoticeStatus.REFUSED, NoticeStatus.QUEUED, NoticeStatus.SENT]
    assert rows[1].last_error == "recipient_smtp_554_5.7.1"
    office.calm_down()
    assert await deliver(office.settings(), database, ids) == result.model_copy(update={"waiting": ()})
    assert [len(office.kept_for(row.address)) for row in rows] == [0, 1, 1]


async def test_a_slow_recipient_holds_up_nobody(office: PostOffice, database: Database) -> None:
    played = await play(database)
    names = ("provider", "colleague", "requester")
    rows = [await played.notice(2, name) for name in names]
    office.slow_for = {rows[0].address}
    sending = asyncio.create_task(deliver(office.settings(), database, [row.id for row in rows]))

    async def others_are_noted() -> bool:
        return all([(await played.notice(2, name)).status is NoticeStatus.SENT for name in names[1:]])

    await eventually(others_are_noted)
    assert not sending.done()
    office.calm_down()
    assert await sending == Delivered()


# Given up


async def test_what_waited_too_long_ends_honestly(office: PostOffice, database: Database) -> None:
    played = await play(database)
    row = await played.notice(2, "provider")
    office.at_recipient = AnyAddress("554 5.7.0 Reputation")
    await let_wait(database, row, hours=73)
    result = await send(office.settings(), database, row.id)
    assert (result.status, len(result.follow_up_notice_ids)) == ("expired", 3)
    row = await played.notice(2, "provider")
    assert (row.status, row.last_error) == (NoticeStatus.EXPIRED, "recipient_smtp_554_5.7.0")
    other = await played.notice(2, "colleague")
    await let_wait(database, other, hours=73)
    told_already = await send(office.settings(), database, other.id)
    assert told_already == SendResult(status="expired")  # the dispatchers' notice about this request still waits
    async with database.session() as session:
        listed = {listed.id for listed in await notices.list_undeliverable(session, played.scene.home.id)}
    assert {row.id, other.id} <= listed
    office.calm_down()
    for notice_id in result.follow_up_notice_ids:
        assert await send(office.settings(), database, notice_id) == SENT
    (told,) = office.kept_for(played.address("dispatcher"))
    assert "Les adresses peuvent être exactes" in plain(told)
    assert await send(office.settings(), database, row.id) == SendResult(status="expired")


async def test_the_last_try_comes_before_the_end(office: PostOffice, database: Database) -> None:
    """The worker was away for days: what a mail server takes now is no old mail."""
    played = await play(database)
    row = await played.notice(2, "provider")
    await let_wait(database, row, hours=1000)
    assert await send(office.settings(), database, row.id) == SENT


async def test_a_dispatchers_notice_is_given_up_without_another(office: PostOffice, database: Database) -> None:
    played = await play(database)
    office.at_recipient[played.address("provider")] = "550 5.1.1 No such mailbox"
    first = await send(office.settings(), database, (await played.notice(2, "provider")).id)
    office.at_recipient = AnyAddress("550 5.7.1 Not from you")
    one, *_ = first.follow_up_notice_ids
    with pytest.raises(ApplicationError):  # not lost the way that the first one was
        await send(office.settings(), database, one)
    async with database.session() as session:
        await let_wait(database, await session.get_one(Notice, one), hours=73)
    assert await send(office.settings(), database, one) == SendResult(status="expired")


async def let_wait(database: Database, notice: Notice, hours: float) -> None:
    async with database.session() as session:
        since = datetime.now(UTC) - timedelta(hours=hours)
        await session.execute(update(Notice).where(Notice.id == notice.id).values(send_at=since))


async def test_a_grouped_notice_is_given_up_as_well(office: PostOffice, database: Database) -> None:
    played = await grouped(database, steps=2)
    account_id = played.scene.accounts["provider"].id
    office.at_recipient = AnyAddress("554 5.7.0 Reputation")
    with pytest.raises(ApplicationError):
        await send_digest(office.settings(), database, account_id)
    await let_wait(database, await played.notice(2, "provider"), hours=73)
    result = await send_digest(office.settings(), database, account_id, "noon")
    assert (result.status, len(result.follow_up_notice_ids)) == ("expired", 3)
    assert (await played.notice(2, "provider")).status is NoticeStatus.EXPIRED


async def test_where_we_are_refused_the_pauses_are_longer(office: PostOffice, database: Database) -> None:
    office.at_recipient = AnyAddress("550 5.7.1 Not from you")
    played = await play(database)
    row = await played.notice(2, "provider")
    with pytest.raises(ApplicationError) as error:
        await send(office.settings(mail_retry_max_seconds=10), database, row.id, 1_000_000)
    assert error.value.next_retry_delay == timedelta(seconds=100)


async def test_a_sender_that_the_relay_can_not_take_is_no_fault_of_the_recipient(
    office: PostOffice, database: Database
) -> None:
    sender = {"mail_from": "Relais <zoé@clinic.example.com>"}
    assert await not_taken(office, database, **sender) == "sender_not_supported"


async def test_letters_before_the_at_sign_go_where_the_relay_offers_it(database: Database) -> None:
    played = await play(database)
    row = await played.notice(2, "provider")
    address = f"zoé-{row.id}@clinique-santé.invalid"
    async with database.session() as session:
        await session.execute(update(Notice).where(Notice.id == row.id).values(address=address))
    async with open_post_office(enable_SMTPUTF8=True) as modern:
        assert await send(modern.settings(), database, row.id) == SENT
        [message] = modern.kept_for(f"zoé-{row.id}@xn--clinique-sant-nhb.invalid")
    assert "Attribuée à vous" in plain(message)


# Refused for good


async def test_a_refused_address_is_listed_and_the_dispatchers_are_told(office: PostOffice, database: Database) -> None:
    played = await play(database)
    office.at_recipient[played.address("provider")] = "550 5.1.1 No such mailbox"
    row = await played.notice(2, "provider")
    result = await send(office.settings(), database, row.id)
    assert result.status == "refused"
    assert len(result.follow_up_notice_ids) == 3  # both dispatchers, and the one who is everything
    assert await send(office.settings(), database, row.id) == result  # as after a crash before the answer
    row = await played.notice(2, "provider")
    assert (row.status, row.last_error) == (NoticeStatus.REFUSED, "recipient_smtp_550_5.1.1")
    async with database.session() as session:
        assert row.id in {listed.id for listed in await notices.list_undeliverable(session, played.scene.home.id)}
    for notice_id in result.follow_up_notice_ids:
        assert await send(office.settings(), database, notice_id) == SENT
    (told,) = office.kept_for(played.address("dispatcher"))
    assert "courriel non livré" in told["Subject"]
    assert played.address("provider") not in plain(told)
    assert await send(office.settings(), database, row.id) == SendResult(status="refused")


async def test_a_message_may_be_refused_for_good_as_well(office: PostOffice, database: Database) -> None:
    played = await play(database)
    office.at_data[played.address("provider")] = "550 5.1.1 No such mailbox after all"
    row = await played.notice(2, "provider")
    assert (await send(office.settings(), database, row.id)).status == "refused"
    assert (await played.notice(2, "provider")).last_error == "message_smtp_550_5.1.1"


@pytest.mark.parametrize("address", ["", "nobody", "a@b.invalid\r\nRCPT TO:<c@d.invalid>", "é@b.invalid"])
async def test_an_address_that_can_not_be_written_to_is_refused_as_well(
    office: PostOffice, database: Database, address: str
) -> None:
    played = await play(database)
    row = await played.notice(2, "provider")
    async with database.session() as session:
        await session.execute(update(Notice).where(Notice.id == row.id).values(address=address))
    result = await send(office.settings(), database, row.id)
    assert (result.status, len(result.follow_up_notice_ids)) == ("refused", 3)
    assert office.kept == []


async def test_a_refused_dispatcher_causes_no_further_notice(office: PostOffice, database: Database) -> None:
    played = await play(database)
    office.at_recipient = {played.address(name): "550 No such user" for name in ("provider", "dispatcher")}
    first = await send(office.settings(), database, (await played.notice(2, "provider")).id)
    results = [await send(office.settings(), database, notice_id) for notice_id in first.follow_up_notice_ids]
    assert sorted(result.status for result in results) == ["refused", "sent", "sent"]
    assert {result.follow_up_notice_ids for result in results} == {()}


# Digests


async def grouped(database: Database, steps: int = 5) -> Played:
    """A provider and a requester who want their notices grouped, in a story whose question was answered."""
    return await play(database, steps, {"provider": NoticeMode.GROUPED, "requester": NoticeMode.GROUPED})


async def test_a_digest_holds_everything_that_waits_and_is_sent_once(office: PostOffice, database: Database) -> None:
    played = await grouped(database)
    account_id = played.scene.accounts["provider"].id
    activities = NotificationActivities(office.settings(), database)
    assert account_id in await ActivityEnvironment().run(activities.due_digests)
    assert await send_digest(office.settings(), database, account_id) == SENT
    assert await send_digest(office.settings(), database, account_id) == ALREADY_SENT
    assert await send_digest(office.settings(), database, account_id, "noon") == SendResult(status="suppressed")
    assert account_id not in await ActivityEnvironment().run(activities.due_digests)
    (message,) = office.kept_for(played.address("provider"))
    text = plain(message)
    assert text.count("\nDemande TC-") == 1
    assert text.index("Informations supplémentaires reçues") < text.index("Attribuée à vous")  # what waits comes first
    assert "À faire : Poursuivez" in text
    assert "Acceptez la demande" not in text  # it is accepted
    assert (await played.notice(2, "provider")).status is NoticeStatus.SENT


async def test_a_digest_that_was_not_taken_says_the_same_later(office: PostOffice, database: Database) -> None:
    played = await grouped(database, steps=2)
    account_id = played.scene.accounts["provider"].id
    office.hangs_up = True
    with pytest.raises(ApplicationError) as error:
        await send_digest(office.settings(), database, account_id)
    assert error.value.type == "mail_temporarily_refused"
    office.calm_down()
    async with database.session() as session:  # more happens in the meantime
        for event, request in played.story.steps[2:5]:
            await record_event(session, event, request)
    assert await send_digest(office.settings(), database, account_id) == SENT
    assert await send_digest(office.settings(), database, account_id, "noon") == SENT
    first, second = map(plain, office.kept_for(played.address("provider")))
    assert "Attribuée à vous" in first
    assert "Informations supplémentaires reçues" not in first
    assert "Attribuée à vous" not in second
    assert "Informations supplémentaires reçues" in second


async def test_a_refused_digest_is_listed_and_the_dispatchers_are_told_once_a_request(
    office: PostOffice, database: Database
) -> None:
    played = await grouped(database)
    account_id = played.scene.accounts["provider"].id
    office.at_recipient[played.address("provider")] = "550 5.1.1 No such mailbox"
    result = await send_digest(office.settings(), database, account_id)
    assert (result.status, len(result.follow_up_notice_ids)) == ("refused", 3)
    assert await send_digest(office.settings(), database, account_id) == result
    assert {(await played.notice(version, "provider")).status for version in (2, 5)} == {NoticeStatus.REFUSED}
    assert {(await send(office.settings(), database, one)).status for one in result.follow_up_notice_ids} == {"sent"}


# Encryption and login


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for the loopback, and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "post office")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


def check_login(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: Any) -> AuthResult:
    right = isinstance(login, LoginPassword) and (login.login, login.password) == (b"relais", b"secret")
    return AuthResult(success=right, handled=False)


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate that this process trusts."""
    certificate_file, key_file = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate_file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_file, key_file)
    return context


@pytest.fixture
async def guarded_office(tls: ssl.SSLContext) -> AsyncIterator[PostOffice]:
    """A post office that takes mail only over TLS and after a login."""
    async with open_post_office(
        tls_context=tls, require_starttls=True, auth_required=True, authenticator=check_login
    ) as office:
        yield office


LOGIN = {"smtp_security": "starttls", "smtp_username": "relais", "smtp_password": "secret"}


async def test_encrypted_and_logged_in(guarded_office: PostOffice, database: Database) -> None:
    played = await play(database)
    row = await played.notice(2, "provider")
    assert await send(guarded_office.settings(**LOGIN), database, row.id) == SENT
    assert len(guarded_office.kept) == 1


async def test_encrypted_from_the_first_byte(tls: ssl.SSLContext, database: Database) -> None:
    played = await play(database)
    row = await played.notice(2, "provider")
    async with open_post_office(tls) as office:
        assert await send(office.settings(smtp_security="tls"), database, row.id) == SENT
        assert len(office.kept) == 1


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"smtp_password": "guess"}, "connection_smtp_535_5.7.8"),
        ({"smtp_username": None}, "sender_smtp_530_5.7.0"),
        ({"smtp_host": "localhost"}, "encryption_failed"),  # the certificate is for another name
    ],
)
async def test_a_wrong_setting_is_tried_again_until_it_is_right(
    guarded_office: PostOffice, database: Database, wrong: dict[str, Any], code: str
) -> None:
    played = await play(database)
    row = await played.notice(2, "provider")
    with pytest.raises(ApplicationError):
        await send(guarded_office.settings(**{**LOGIN, **wrong}), database, row.id)
    assert (await played.notice(2, "provider")).last_error == code
    assert guarded_office.kept == []
