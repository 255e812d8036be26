"""What is promised in an order comes in it, however the database has it lying and in whatever order it was written."""

import random
from datetime import timedelta

from sqlalchemy import update

from domain import commands as c
from domain.audit import Act
from domain.requests import Role, Source
from records import commands, failures, refusals, requests
from records.access import list_accesses, log_access
from records.audit import By
from records.database import Database
from records.ids import new_id
from records.models import FailedEffect, GivenCommand, Notice, RefusedCommand
from records.projection import record_event
from tests.records.scenes import NOW, scene_with_draft, usual_story

NUMBERS = range(6)


async def test_commands_on_their_way_come_in_the_order_in_which_they_were_given(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    account = scene.accounts["requester"].id
    async with database.session() as session:
        row = await requests.lock_request(session, draft.id)
        for number in NUMBERS:  # the later ones bear earlier times: what counts is the order in which they came
            command = c.Cancel(id=f"{9 - number}", actor=scene.actor("requester"), reason="non")
            await commands.write_down(session, row, command, account_id=account, now=NOW - timedelta(minutes=number))
    async with database.session() as session:
        await commands.note_queued(session, draft.id, "9", NOW)
    async with database.session() as session:
        given = [command.command_id for command in await commands.on_their_way(session, draft.id)]
        assert given == ["9", "8", "7", "6", "5", "4"]
        newest = await commands.newest_of(session, draft.id, account)
        assert newest is not None
        assert newest.command_id == "4"
        overdue = await commands.overdue(session, NOW + timedelta(days=1), limit=10_000)
        assert [command.command_id for command in overdue if command.request_id == draft.id] == given
        numbers = [command.number for command in overdue]
        assert numbers == sorted(numbers)
        page = await commands.overdue(session, NOW + timedelta(days=1), limit=10_000, after=numbers[-3])
        assert [command.number for command in page] == numbers[-2:]
        await session.execute(update(GivenCommand).values(settled_at=NOW).where(GivenCommand.request_id == draft.id))


async def test_refusals_and_failures_come_oldest_first(database: Database) -> None:
    _, draft = await scene_with_draft(database)
    async with database.session() as session:
        for number in NUMBERS:
            at = NOW - timedelta(minutes=number)
            await refusals.note_refusal(
                session,
                request_id=draft.id,
                command_id=f"command-{number}",
                name="cancel",
                code="not_the_requester",
                actor_id=None,
                source=Source.SIGNAL,
                at=at,
            )
            effect_id = f"{draft.id}:{number}:deliver"
            await failures.note_failure(
                session, effect_id=effect_id, request_id=draft.id, kind="deliver", code="timeout", at=at
            )
    async with database.session() as session:
        refused = await refusals.list_refusals(session, draft.id)
        failed = await failures.list_failures(session, request_id=draft.id)
        assert [refusal.command_id for refusal in refused] == [f"command-{number}" for number in reversed(NUMBERS)]
        assert [failure_.effect_id for failure_ in failed] == [
            f"{draft.id}:{number}:deliver" for number in reversed(NUMBERS)
        ]
        assert {type(row) for row in (*refused, *failed)} == {RefusedCommand, FailedEffect}


async def test_looks_come_newest_first_and_page_by_page(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    account = scene.accounts["requester"]
    objects = [new_id() for _ in NUMBERS]
    async with database.session() as session:
        for object_id in objects:
            await log_access(
                *(session, By(account.id), Act.ATTACHMENT, NOW),
                request_id=draft.id,
                role=Role.REQUESTER,
                object_id=object_id,
                version=0,
            )
    async with database.session() as session:
        looks = await list_accesses(session, draft.id)
        assert [look.object_id for look in looks] == objects[::-1]
        first, rest = await list_accesses(session, draft.id, limit=2), looks[2:]
        assert first == looks[:2]
        assert await list_accesses(session, draft.id, before=first[-1].id) == rest


async def test_the_timeline_and_an_events_notices_come_in_order_however_they_were_written(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    story = usual_story(scene, draft)
    steps = list(story.steps)
    random.Random(7).shuffle(steps)  # noqa: S311
    for event, request in steps:
        async with database.session() as session:
            await record_event(session, event, request)
    async with database.session() as session:
        timeline = await requests.timeline(session, draft.id)
        assert [event.version for event in timeline] == list(range(1, len(steps) + 1))
        assert [event.name for event in timeline] == [event.name for event, _ in story.steps]
    async with database.session() as session:
        told = (await record_event(session, *story.steps[0])).waiting
        rows = [await session.get_one(Notice, notice_id) for notice_id in told]
        await session.execute(update(Notice).values(status=Notice.status).where(Notice.id == min(told)))
    async with database.session() as session:
        again = (await record_event(session, *story.steps[0])).waiting
    assert again == told
    accounts = [notice.account_id for notice in rows]
    assert len(accounts) > 1
    assert accounts == sorted(accounts)
