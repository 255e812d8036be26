"""Several changes of one request within a short time make one e-mail to each person; nothing is lost, and the order is kept."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update

from domain import commands as c
from domain.notices import NoticeMode
from domain.priority import Priority
from domain.requests import FormVersion
from records import notices, requests
from records.database import Database
from records.models import Notice, NoticeStatus
from records.projection import record_event
from tests.eventually import eventually
from tests.journeys import assigned, ok
from tests.mail.post_office import PostOffice, open_post_office
from tests.mail.test_sending import SENT, deliver, plain, play, send
from tests.records.scenes import Story, make_draft, set_scene, usual_story
from tests.system import System
from tests.workflow.branch import branch, workers
from tests.workflow.looks import notices as notices_of

GATHER = timedelta(minutes=2)


async def test_changes_that_follow_each_other_are_told_in_one_e_mail(office: PostOffice, database: Database) -> None:
    played = await play(database, steps=4, gather=GATHER)  # the requester: assigned, accepted, and a question to answer
    told = [await played.notice(version, "requester") for version in (2, 3, 4)]
    assert [one.told_with for one in told] == [None, told[0].id, told[0].id]
    assert told[0].id in played.queued[2]
    assert not {told[1].id, told[2].id} & {one for ids in played.queued.values() for one in ids}
    assert timedelta() < told[0].send_at - datetime.now(UTC) <= GATHER
    assert await send(office.settings(), database, told[0].id) == SENT
    [message] = office.kept_for(played.address("requester"))
    assert message["Message-ID"] == told[0].message_id
    assert "informations supplémentaires demandées" in message["Subject"].lower()
    assert "(et 2 de plus)" in message["Subject"]
    text = plain(message)
    assert text.index("À faire :") < text.index("Aussi dans cette demande")  # what waits for the person comes first
    assert text.index("Aussi dans cette demande") < text.index("Attribuée") < text.index("Acceptée")
    for version in (2, 3, 4):
        assert (await played.notice(version, "requester")).status is NoticeStatus.SENT
    for one in told:
        assert (await send(office.settings(), database, one.id)).status == "already_sent"
    assert len(office.kept_for(played.address("requester"))) == 1


async def test_every_notice_of_a_story_is_told_once(office: PostOffice, database: Database) -> None:
    played = await play(database, steps=8, gather=GATHER)
    for ids in played.queued.values():
        await deliver(office.settings(), database, ids)
    async with database.session() as session:
        rows = list(await session.scalars(select(Notice).where(Notice.request_id == played.story.request.id)))
    assert {row.status for row in rows} == {NoticeStatus.SENT}
    people = {row.address for row in rows}
    assert [len(office.kept_for(address)) for address in people] == [1] * len(people)
    assert len(rows) > len(people)


async def test_what_is_being_sent_waits_for_nothing_more(office: PostOffice, database: Database) -> None:
    """What happens while an e-mail is in the mail server's hands has an e-mail of its own."""
    played = await play(database, steps=2, gather=GATHER)
    first = await played.notice(2, "requester")
    async with database.session() as session:
        await notices.take_up(session, first.id, "somebody", datetime.now(UTC))
        event, request = played.story.steps[2]
        queued = (await record_event(session, event, request, GATHER)).waiting
    second = await played.notice(3, "requester")
    assert second.told_with is None
    assert second.id in queued


async def test_what_waits_longer_goes_with_what_goes_sooner(office: PostOffice, database: Database) -> None:
    """A change with a near deadline does not wait for the one before it: it takes it along."""
    played = await play(database, steps=3, gather=GATHER)
    first = await played.notice(2, "requester")
    async with database.session() as session:
        later = datetime.now(UTC) + timedelta(hours=1)
        await session.execute(update(Notice).where(Notice.id == first.id).values(send_at=later))
        event, request = played.story.steps[3]
        queued = (await record_event(session, event, request, GATHER)).waiting
    sooner = await played.notice(4, "requester")
    assert queued == [sooner.id]
    assert [(await played.notice(version, "requester")).told_with for version in (2, 3)] == [sooner.id] * 2
    assert (await send(office.settings(), database, first.id)).status == "suppressed"
    assert await send(office.settings(), database, sooner.id) == SENT
    [message] = office.kept_for(played.address("requester"))
    assert "(et 2 de plus)" in message["Subject"]


async def test_an_address_that_is_refused_is_refused_for_all_that_goes_together(
    office: PostOffice, database: Database
) -> None:
    played = await play(database, steps=4, gather=GATHER)
    office.at_recipient[played.address("requester")] = "550 5.1.1 No such user"
    first = await played.notice(2, "requester")
    result = await send(office.settings(), database, first.id)
    assert (result.status, len(result.follow_up_notice_ids)) == ("refused", 3)
    for version in (2, 3, 4):
        assert (await played.notice(version, "requester")).status is NoticeStatus.REFUSED


async def test_without_a_time_to_gather_every_change_has_its_e_mail(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        story = usual_story(scene, requests.process_of(await make_draft(session, scene)))
        for event, request in story.steps[:4]:
            await record_event(session, event, request)
        rows = await session.scalars(select(Notice).where(Notice.request_id == story.request.id))
        assert {row.told_with for row in rows} == {None}


# What a digest would tell too late


async def test_a_grouped_notice_that_the_next_digest_would_tell_too_late_goes_at_once(database: Database) -> None:
    modes = {"provider": NoticeMode.GROUPED, "requester": NoticeMode.GROUPED}
    async with database.session() as session:
        scene = await set_scene(session, modes)
        story = Story(requests.process_of(await make_draft(session, scene)))
        evening = datetime(2026, 11, 25, 23, 0, tzinfo=UTC)  # 18:00 in Québec: the next digest comes at 7:00
        story.now = evening
        form = FormVersion(number=1, sha256="0" * 64)
        story.give(c.Submit(id="1", actor=scene.actor("requester"), form=form, priority=Priority.ASAP))
        story.give(c.Assign(id="2", actor=scene.actor("dispatcher"), to=scene.person("provider")))
        for event, request in story.steps:
            await record_event(session, event, request)
        due = story.request.due_at
        assert due is not None
        assert due < datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
        rows = list(await session.scalars(select(Notice).where(Notice.request_id == story.request.id)))
    by_person = {row.account_id: row.status for row in rows if row.version == 2}
    assert by_person[scene.accounts["provider"].id] is NoticeStatus.QUEUED
    assert by_person[scene.accounts["requester"].id] is NoticeStatus.GROUPED  # who has nothing to do can wait


# The whole way


async def test_a_request_that_changes_quickly_sends_one_e_mail_to_each(system: System) -> None:
    async with (
        open_post_office() as office,
        branch(system, smtp_port=office.port, mail_gather_seconds=3.0) as other,
        workers(other),
    ):
        request_id = await assigned(other)
        ok(await other.provider.post(f"/requests/{request_id}/accept"))
        body = {"priority": "urgent", "reason": "Douleur."}
        ok(await other.dispatcher.post(f"/requests/{request_id}/change-priority", body))

        async def all_told() -> bool:
            planned = await notices_of(other, request_id)
            return bool(planned) and all(notice.status is NoticeStatus.SENT for notice in planned)

        await eventually(all_told)
        planned = await notices_of(other, request_id)
        mails: dict[UUID, int] = {
            notice.account_id: len(office.kept_for(notice.address)) for notice in planned if notice.told_with is None
        }
        assert set(mails.values()) == {1}
        assert len(planned) > len(mails)
        text = plain(office.kept_for(other.requester.account.email)[0])
        assert text.count("\n* ") >= 2
