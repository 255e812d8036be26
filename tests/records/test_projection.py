"""The projection: whatever the order, however often, at whatever number of writers, the records end in the same state."""

import asyncio
import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event as of_engine
from sqlalchemy import select

from domain import commands as c
from domain.events import Event
from domain.priority import Priority
from domain.requests import EventName, FormVersion, Request, Role, Status
from records import commands, requests, restrictions
from records.database import Database
from records.errors import ContentConflictError, NotFoundError
from records.ids import new_id
from records.models import EventRecord, Notice, OfferedPool, Participant, RequestRecord, WeeklyCount
from records.projection import record_event
from tests.records.scenes import NOW, SHA, Story, long_story, random_story, scene_with_draft, usual_story


async def record(database: Database, event: Event, request: Request) -> list[Any]:
    async with database.session() as session:
        return list((await record_event(session, event, request)).waiting)


async def picture(database: Database, story: Story) -> dict[str, Any]:
    """All that the records hold of the story's request, without ids made by chance."""
    of = story.request.id
    async with database.session() as session:
        row = await session.get_one(RequestRecord, of)
        columns = {column.key: getattr(row, column.key) for column in RequestRecord.__table__.columns}
        events = await session.execute(
            select(EventRecord.version, EventRecord.name, EventRecord.command_id, EventRecord.at, EventRecord.holder)
            .where(EventRecord.request_id == of)
            .order_by(EventRecord.version)
        )
        notices = await session.execute(
            select(Notice.version, Notice.account_id, Notice.importance, Notice.recipient, Notice.status)
            .where(Notice.request_id == of)
            .order_by(Notice.version, Notice.account_id)
        )
        participants = await session.scalars(select(Participant.account_id).where(Participant.request_id == of))
        pools = await session.scalars(select(OfferedPool.clinic_id).where(OfferedPool.request_id == of))
        counted = await session.execute(
            select(WeeklyCount.side, WeeklyCount.measure, WeeklyCount.number)
            .where(WeeklyCount.clinic_id == row.requester_clinic_id)
            .order_by(WeeklyCount.side, WeeklyCount.measure)
        )
        return {
            "row": columns,
            "events": [tuple(event) for event in events],
            "notices": [tuple(notice) for notice in notices],
            "participants": set(participants),
            "pools": set(pools),
            "counted": [tuple(one) for one in counted],
        }


async def test_a_whole_story(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    story = usual_story(scene, draft)
    for event, request in story.steps:
        await record(database, event, request)
    seen = await picture(database, story)
    row = seen["row"]
    assert requests.process_of(RequestRecord(process=row["process"])) == story.request
    assert (row["process_version"], row["status"], row["priority"]) == (8, Status.CLOSED, Priority.URGENT)
    assert row["submitted_at"] == story.steps[0][0].at
    assert row["ended_at"] == row["updated_at"] == story.steps[-1][0].at
    assert row["due_at"] is None
    assert seen["participants"] == {scene.accounts[name].id for name in ("requester", "dispatcher", "provider")}
    assert seen["pools"] == {scene.far.id}
    assert [event[0] for event in seen["events"]] == list(range(1, 9))


async def test_an_event_that_came_is_rebuilt_from_the_timeline(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    story = usual_story(scene, draft)
    for event, request in story.steps:
        await record(database, event, request)
    async with database.session() as session:
        timeline = await requests.timeline(session, draft.id)
    for row, (event, _) in zip(timeline, story.steps, strict=True):
        columns = {name: getattr(row, name) for name in Event.model_fields}
        assert Event.model_validate(columns) == event
        actor = event.command.actor
        assert (row.actor_id, row.actor_role, row.actor_clinic_id) == (actor.id, actor.role, actor.clinic_id)


async def test_an_event_writes_the_row_once(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    written: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("UPDATE requests "):
            written.append(statement)

    of_engine.listen(database.engine.sync_engine, "before_cursor_execute", note)
    for happened, request in usual_story(scene, draft).steps:
        await record(database, happened, request)
        assert len(written) == 1, happened.name
        written.clear()
    of_engine.remove(database.engine.sync_engine, "before_cursor_execute", note)


@pytest.mark.parametrize("seed", range(12))
async def test_shuffled_doubled_and_concurrent_events_end_the_same(database: Database, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    scene, draft = await scene_with_draft(database)
    story = random_story(scene, draft, chance, 25)
    assert len(story.steps) >= 2
    deliveries = [step for step in story.steps for _ in range(chance.choice((1, 1, 2, 3)))]
    chance.shuffle(deliveries)
    await asyncio.gather(*(record(database, event, request) for event, request in deliveries))
    disordered = await picture(database, story)

    for event, request in story.steps:  # once more, in order: nothing is left to change
        await record(database, event, request)
    assert await picture(database, story) == disordered
    row = disordered["row"]
    assert requests.process_of(RequestRecord(process=row["process"])) == story.request
    assert row["process_version"] == story.request.version
    assert (row["due_at"], row["overdue"]) == (story.request.due_at, bool(story.request.overdue))
    assert len(disordered["events"]) == len(story.steps)
    assert {name: row[name] for name in MILESTONES} == milestones(story)


MILESTONES = ("submitted_at", "ended_at", "waiting_since", "updated_at")


def milestones(story: Story) -> dict[str, datetime | None]:
    """When what the row remembers by itself happened, by the story as it was."""
    events = [event for event, _ in story.steps]
    return {
        "submitted_at": events[0].at,
        "ended_at": next((e.at for e in events if e.status.is_final and not e.status_before.is_final), None),
        "waiting_since": [e.at for e in events if e.holder != e.holder_before][-1],
        "updated_at": events[-1].at,
    }


async def test_what_comes_late_takes_nothing_back(database: Database) -> None:
    """The newest event comes first, then each that came before it: nothing of the row goes back by one of them."""
    scene, draft = await scene_with_draft(database)
    story = usual_story(scene, draft)
    await record(database, *story.steps[-1])
    newest = (await picture(database, story))["row"]
    for event, request in reversed(story.steps[:-1]):
        await record(database, event, request)
        row = (await picture(database, story))["row"]
        assert {**row, "submitted_at": None} == {**newest, "submitted_at": None}
    assert {name: row[name] for name in MILESTONES} == milestones(story)


@pytest.mark.parametrize("order", ["as it was", "backwards"])
async def test_what_comes_again_or_after_the_end_makes_no_milestone_anew(database: Database, order: str) -> None:
    scene, draft = await scene_with_draft(database)
    story = long_story(scene, draft)
    assert {event.name for event, _ in story.steps} >= {EventName.RESUBMITTED, EventName.FOLLOW_UP_ANSWERED}
    steps = story.steps if order == "as it was" else [*reversed(story.steps)]
    for event, request in steps:
        await record(database, event, request)
        if order == "as it was":
            so_far = Story(request, steps=[step for step in story.steps if step[0].version <= event.version])
            row = (await picture(database, so_far))["row"]
            assert {name: row[name] for name in MILESTONES} == milestones(so_far), event.name
    row = (await picture(database, story))["row"]
    assert {name: row[name] for name in MILESTONES} == milestones(story)


async def test_an_edit_that_is_newer_than_an_event_stays_the_newest_change(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    steps = long_story(scene, draft).steps
    for event, request in steps[:2]:
        await record(database, event, request)
    later = steps[2][0].at + timedelta(hours=1)
    async with database.session() as session:
        await requests.edit_draft(session, draft.id, now=later, expected_version=2, priority=Priority.ASAP)
    await record(database, *steps[2])
    async with database.session() as session:
        row = await session.get_one(RequestRecord, draft.id)
        assert row.updated_at == later
        assert row.form_priority is Priority.ASAP, "a reminder does not undo what is being corrected"


async def test_what_waits_waits_since_its_holder_changed(database: Database) -> None:
    """Neither a question nor an answer, nor another priority, makes that anew."""
    scene, draft = await scene_with_draft(database)
    story = usual_story(scene, draft)
    for event, request in story.steps:
        await record(database, event, request)
        so_far = Story(request, steps=[step for step in story.steps if step[0].version <= event.version])
        row = (await picture(database, so_far))["row"]
        assert {name: row[name] for name in MILESTONES} == milestones(so_far)


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_came_to_whom_it_is_shut_is_to_be_taken_away_now(database: Database, at_once: bool) -> None:
    """However its e-mails go; and by the newest event alone, for what was with somebody before is not with them any more."""
    scene, draft = await scene_with_draft(database)
    steps = usual_story(scene, draft).steps[:3]
    async with database.session() as session:
        set_by, shut = scene.accounts["administrator"].id, scene.accounts["provider"].id
        await restrictions.add(session, draft.id, shut, None, reason="Parenté.", set_by=set_by, now=NOW)
    taken = []
    for event, request in steps:
        async with database.session() as session:
            found = (await record_event(session, event, request, at_once=at_once)).taken_away
            taken.append(found and found.command_id)
    assert taken == [None, None, f"{commands.TAKEN_AWAY}3"]


async def test_a_repeated_event_gives_the_notices_that_are_still_unsent(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    story = usual_story(scene, draft)
    first = await record(database, *story.steps[0])
    assert first
    assert await record(database, *story.steps[0]) == first
    async with database.session() as session:
        row = await session.get_one(Notice, first[0])
        row.status = row.status.SENT
    assert await record(database, *story.steps[0]) == first[1:]


async def test_what_is_sent_at_once_is_in_the_hand_of_who_recorded_it_first(database: Database) -> None:
    """Recorded again, or come late, it is nobody's; where e-mails are gathered, it waits, and it is said how long."""
    scene, draft = await scene_with_draft(database)
    story = usual_story(scene, draft)
    async with database.session() as session:
        first = await record_event(session, *story.steps[0], at_once=True)
        assert first.in_hand
        assert (first.waiting, first.send_at) == ((), None)
    async with database.session() as session:
        again = await record_event(session, *story.steps[0], at_once=True)
        assert list(again.in_hand) == []
    async with database.session() as session:
        gathered = await record_event(session, *story.steps[2], mails_gather_for=timedelta(seconds=90), at_once=True)
        assert list(gathered.in_hand) == []
        assert gathered.waiting
        assert gathered.send_at is not None
    async with database.session() as session:
        late = await record_event(session, *story.steps[1], at_once=True)
        assert list(late.in_hand) == []


async def test_an_operator_who_acts_takes_no_part(database: Database) -> None:
    """What takes part may be seen; whoever runs Relais sees no chart by it."""
    scene, draft = await scene_with_draft(database)
    story = Story(draft)
    form = FormVersion(number=1, sha256=SHA)
    story.give(c.Submit(id="1", actor=scene.actor("requester"), form=form, priority=Priority.URGENT))
    story.give(c.Cancel(id="2", actor=scene.actor("dispatcher", Role.OPERATOR), reason="À la demande de la clinique."))
    for event, request in story.steps:
        await record(database, event, request)
    assert (await picture(database, story))["participants"] == {scene.accounts["requester"].id}


async def test_an_unknown_request_raises(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    event, request = usual_story(scene, draft.model_copy(update={"id": new_id()})).steps[0]
    with pytest.raises(NotFoundError):
        await record(database, event, request)


async def test_another_event_of_the_same_version_raises(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    event, request = usual_story(scene, draft).steps[0]
    await record(database, event, request)
    other = Story(draft).give(
        c.Submit(
            id="another",
            actor=scene.actor("requester"),
            form=FormVersion(number=1, sha256=SHA),
            priority=Priority.ASAP,
        )
    )
    with pytest.raises(ContentConflictError):
        await record(database, other, request)


async def test_people_the_records_do_not_know_stop_nothing(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    story = usual_story(scene, draft)
    submitted = story.steps[0]
    stranger = scene.actor("dispatcher").model_copy(update={"id": new_id()})
    later = Story(submitted[1])
    assigned = later.give(c.Assign(id="x", actor=stranger, to=c.Pool(clinic_id=new_id())))
    for event, request in (submitted, (assigned, later.request)):
        await record(database, event, request)
    seen = await picture(database, later)
    assert seen["row"]["process_version"] == 2
    assert stranger.id not in seen["participants"]
    assert seen["pools"] == set()


async def test_the_form_opens_with_the_priority_that_counts(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    dispatcher = scene.actor("dispatcher", Role.DISPATCHER)
    story = Story(draft)
    form = FormVersion(number=1, sha256=SHA)
    story.give(c.Submit(id="1", actor=scene.actor("requester"), form=form, priority=Priority.URGENT))
    story.give(c.ReturnToRequester(id="2", actor=dispatcher, reason=c.ReturnReason.NOT_ELIGIBLE, text="non"))
    for event, request in story.steps:
        await record(database, event, request)
    async with database.session() as session:
        row = await session.get_one(RequestRecord, draft.id)
        assert row.form_priority is Priority.URGENT
        await requests.edit_draft(session, draft.id, now=NOW, expected_version=2, priority=Priority.ASAP)
    async with database.session() as session:
        row = await session.get_one(RequestRecord, draft.id)
        assert (row.form_priority, row.priority, row.version) == (Priority.ASAP, Priority.URGENT, 3)
