"""Notices: the right people once, in the way that each has chosen, and what becomes of them."""

from collections.abc import Iterable
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import commands as c
from domain.notices import MATRIX, Importance, NoticeMode, Recipient
from domain.priority import Priority
from domain.requests import EventName, FormVersion
from records import notices, requests
from records.database import Database
from records.ids import new_id
from records.models import GivenCommand, Notice, NoticeStatus
from records.projection import record_event
from tests.records.scenes import NOW, SHA, Scene, Story, make_draft, set_scene, usual_story


async def play(session: AsyncSession, scene: Scene, steps: int) -> Story:
    story = usual_story(scene, requests.process_of(await make_draft(session, scene)))
    for event, request in story.steps[:steps]:
        await record_event(session, event, request)
    return story


async def of(session: AsyncSession, story: Story, version: int) -> list[Notice]:
    query = select(Notice).where(Notice.request_id == story.request.id, Notice.version == version)
    return list(await session.scalars(query))


def names(scene: Scene, rows: Iterable[Notice]) -> dict[str, tuple[Recipient, Importance]]:
    by_id = {account.id: name for name, account in scene.accounts.items()}
    return {by_id[row.account_id]: (row.recipient, row.importance) for row in rows}


async def test_each_party_is_told_as_the_matrix_says(database: Database) -> None:
    action, information = Importance.ACTION, Importance.INFORMATION
    async with database.session() as session:
        scene = await set_scene(session)
        story = await play(session, scene, 8)
        by_version = {version: names(scene, await of(session, story, version)) for version in range(1, 9)}
    dispatch = dict.fromkeys(("dispatcher", "second_dispatcher", "everything"), (Recipient.HOLDER, action))
    assert by_version[1] == dispatch  # the requester submitted: nothing to tell them
    assert by_version[2] == {
        "provider": (Recipient.HOLDER, action),
        "colleague": (Recipient.HOLDER, action),
        "second_dispatcher": (Recipient.PREVIOUS_HOLDER, information),
        "everything": (Recipient.PREVIOUS_HOLDER, information),
        "requester": (Recipient.REQUESTER, information),
    }
    assert by_version[4] == {"requester": (Recipient.REQUESTER, action)}
    assert by_version[6] == {}
    assert by_version[7]["requester"] == (Recipient.REQUESTER, action)
    assert by_version[8] == {"provider": (Recipient.SIGNER, information)}


async def test_action_wins_over_information(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        draft = requests.process_of(await make_draft(session, scene))
        story = Story(draft)
        form = FormVersion(number=1, sha256=SHA)
        story.give(c.Submit(id="1", actor=scene.actor("requester"), form=form, priority=Priority.ROUTINE))
        to = scene.person("everything")  # dispatcher before, holder after
        story.give(c.Assign(id="2", actor=scene.actor("dispatcher"), to=to))
        for event, request in story.steps:
            await record_event(session, event, request)
        told = names(scene, await of(session, story, 2))
    assert told["everything"] == (Recipient.HOLDER, Importance.ACTION)


async def test_modes_and_inactive_accounts(database: Database) -> None:
    async with database.session() as session:
        modes = {
            "provider": NoticeMode.GROUPED,
            "requester": NoticeMode.ACTIONS_ONLY,
            "colleague": NoticeMode.ACTIONS_ONLY,
        }
        scene = await set_scene(session, modes)
        scene.accounts["everything"].active = False
        story = await play(session, scene, 2)
        rows = await of(session, story, 2)
        statuses = {name: row.status for row in rows for name in names(scene, [row])}
        assert statuses == {
            "provider": NoticeStatus.GROUPED,
            "colleague": NoticeStatus.QUEUED,
            "requester": NoticeStatus.SUPPRESSED,
            "second_dispatcher": NoticeStatus.QUEUED,
        }
        event, request = story.steps[1]
        to_send = (await record_event(session, event, request)).waiting
        assert to_send == [
            row.id for row in sorted(rows, key=lambda r: r.account_id) if row.status is NoticeStatus.QUEUED
        ]


async def test_what_becomes_of_a_notice(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        story = await play(session, scene, 4)
        (notice,) = await of(session, story, 4)
        await notices.note_attempt(session, notice.id, "connection_refused")
        await session.refresh(notice)
        assert (notice.status, notice.attempts, notice.last_error) == (NoticeStatus.QUEUED, 1, "connection_refused")
        await notices.mark_sent(session, [notice.id], NOW)
        await session.refresh(notice)
        assert (notice.status, notice.attempts, notice.last_error) == (NoticeStatus.SENT, 2, None)
        assert notice.message_id == f"<{notice.id}@relais>"


async def test_a_refused_address_is_told_to_the_dispatchers_and_no_further(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        story = await play(session, scene, 2)
        rows = await of(session, story, 2)
        refused = next(row for row in rows if row.account_id == scene.accounts["second_dispatcher"].id)
        await notices.mark_refused(session, refused.id, "smtp_550")
        first = await notices.plan_follow_up(session, refused, notices.NOTICE_REFUSED, NOW)
        assert await notices.plan_follow_up(session, refused, notices.NOTICE_REFUSED, NOW) == first
        told = [await session.get_one(Notice, notice_id) for notice_id in first]
        assert set(names(scene, told)) == {"dispatcher", "everything"}
        assert {row.event for row in told} == {notices.NOTICE_REFUSED}
        await notices.mark_refused(session, told[0].id, "smtp_550")
        await session.refresh(told[0])
        assert await notices.plan_follow_up(session, told[0], notices.NOTICE_REFUSED, NOW) == []
        await session.refresh(refused)
        for clinic in (scene.home, None):
            listed = await notices.list_undeliverable(session, clinic.id if clinic else None)
            assert {refused.id, told[0].id} <= {row.id for row in listed}
        assert await notices.list_undeliverable(session, scene.far.id) == []


@pytest.mark.parametrize(
    ("left", "status"), [(timedelta(days=2), NoticeStatus.GROUPED), (timedelta(minutes=1), NoticeStatus.QUEUED)]
)
async def test_what_can_not_wait_is_told_dispatchers_at_once(
    database: Database, left: timedelta, status: NoticeStatus
) -> None:
    """Whose address is wrong, while the request's own clock runs: of grouped dispatchers as of others."""
    async with database.session() as session:
        scene = await set_scene(session, {"dispatcher": NoticeMode.GROUPED})
        story = await play(session, scene, 2)
        row = (await of(session, story, 2))[0]
        await notices.mark_refused(session, row.id, "smtp_550")
        due_at = story.steps[1][1].due_at
        assert due_at is not None
        await notices.plan_follow_up(session, row, notices.NOTICE_REFUSED, due_at - left)
        query = select(Notice.status).where(
            Notice.refused_notice_id == row.id, Notice.account_id == scene.accounts["dispatcher"].id
        )
        assert await session.scalar(query) is status


async def test_a_refused_command_is_never_told_grouped(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session, {"requester": NoticeMode.GROUPED})
        draft = await make_draft(session, scene)
        given = GivenCommand(
            request_id=draft.id,
            command_id="1",
            name="submit",
            account_id=scene.accounts["requester"].id,
            command={"actor": {"role": "requester"}},
        )
        (planned,) = await notices.plan_refused_command_notices(session, given)
        assert (await session.get_one(Notice, planned)).status is NoticeStatus.QUEUED


async def test_a_notice_to_who_has_left_is_not_sent_again(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        story = await play(session, scene, 4)
        (notice,) = await of(session, story, 4)
        await notices.mark_expired(session, notice.id, "timeout")
        await session.refresh(notice)
        scene.accounts["requester"].active = False
        await session.flush()
        assert await notices.queue_again(session, notice.id, NOW) == (notice, False)
        assert notice.status is NoticeStatus.EXPIRED


async def test_a_digest_is_claimed_once_and_taken_over_when_unsent(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session, {"provider": NoticeMode.GROUPED})
        provider = scene.accounts["provider"].id
        first_story = await play(session, scene, 2)
        assert provider in await notices.accounts_awaiting_digest(session)
        first_id, second_id = new_id(), new_id()
        digest = await notices.claim_digest(session, provider, first_id)
        assert digest is not None
        assert [notice.request_id for notice in digest.notices] == [first_story.request.id]
        await play(session, scene, 2)
        assert await notices.claim_digest(session, provider, first_id) == digest
        taken_over = await notices.claim_digest(session, provider, second_id)
        assert taken_over is not None
        assert len(taken_over.notices) == 2
        await notices.mark_digested(session, second_id, NOW)
        assert provider not in await notices.accounts_awaiting_digest(session)
        assert await notices.claim_digest(session, provider, new_id()) is None


async def test_no_event_is_without_a_plan(database: Database) -> None:
    """Each event of the rules is planned; here nobody holds the request and its requester did it, so others are told."""
    async with database.session() as session:
        scene = await set_scene(session)
        draft = requests.process_of(await make_draft(session, scene))
        step = usual_story(scene, draft).steps[7]
        planned = set()
        for version, name in enumerate(EventName, start=100):
            event = step[0].model_copy(update={"name": name, "version": version})
            await record_event(session, event, step[1])
            planned |= {row.event for row in await of(session, Story(draft), version)}
    others = {Recipient.DISPATCHERS, Recipient.SIGNER, Recipient.REQUESTER_COLLEAGUES}
    nobody_had_heard = {EventName.TAKEN_BACK}
    assert planned == {name for name in EventName if others & MATRIX[name].keys()} - nobody_had_heard


async def test_what_is_taken_back_before_its_e_mail_has_gone_is_told_to_nobody(database: Database) -> None:
    """Those who have heard of it already hear that too; what went with it goes by itself."""
    gather = timedelta(seconds=90)
    async with database.session() as session:
        scene = await set_scene(session, {"second_dispatcher": NoticeMode.GROUPED})
        story = Story(requests.process_of(await make_draft(session, scene)))
        dispatcher, form = scene.actor("dispatcher"), FormVersion(number=1, sha256=SHA)
        story.give(c.Submit(id="1", actor=scene.actor("requester"), form=form, priority=Priority.ROUTINE))
        story.give(c.Assign(id="2", actor=dispatcher, to=scene.person("provider")))
        assigned = story.now
        for event, request in story.steps:
            await record_event(session, event, request, gather)
        (first,) = [n for n in await of(session, story, 2) if n.account_id == scene.accounts["provider"].id]
        await notices.mark_sent(session, [first.id], NOW)
        story.now = assigned - timedelta(minutes=7)
        event = story.give(c.TakeBack(id="3", actor=dispatcher))
        await record_event(session, event, story.request, gather)
        assert names(scene, await of(session, story, 3)) == {
            "provider": (Recipient.PREVIOUS_HOLDER, Importance.INFORMATION)
        }
        of_it = await of(session, story, 2)
        assert {n.status for n in of_it if n.id != first.id} == {NoticeStatus.SUPPRESSED}
        before = await of(session, story, 1)
        assert before
        assert {n.told_with for n in before} == {None}
        assert NoticeStatus.SUPPRESSED not in {n.status for n in before}
