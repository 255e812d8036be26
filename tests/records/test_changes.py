"""The feed of changes misses nothing, whatever is committed in which order; what left a view is told to who had it, and to
nobody else."""

import asyncio
import random
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain import commands as c
from domain.changes import ChangeKind
from domain.events import Event
from domain.priority import Priority
from domain.requests import FormVersion, Request, Role
from records import changes, requests
from records.changes import Told
from records.database import Database
from records.errors import BadCursorError, CursorExpiredError
from records.models import Account, ChangeLog, RequestChange
from records.projection import record_event
from records.visibility import Viewer
from tests.eventually import eventually
from tests.records.scenes import SHA, Scene, Story, make_draft, random_story, scene_with_draft, usual_story

WRITERS = 3
STORIES_OF_EACH = 4


def viewer_of(scene: Scene, name: str, *roles: Role) -> Viewer:
    account = scene.accounts[name]
    return Viewer(account.id, account.clinic_id, frozenset(roles or (Role(role) for role in account.roles)))


async def nothing_under_way(database: Database) -> None:
    """All that was written is told by now: also the server itself has transactions, in which it counts the rows of a table."""

    async def is_told() -> bool:
        async with database.session() as session:
            oldest = text("pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
            held_back = select(RequestChange.id).where(RequestChange.horizon >= oldest)
            return not await session.scalar(select(held_back.exists()))

    await eventually(is_told)


async def now(database: Database) -> str:
    await nothing_under_way(database)
    async with database.session() as session:
        return await changes.begin(session)


async def read_on(
    database: Database, viewer: Viewer, cursor: str, *, limit: int = 200, all_is_there: bool = True
) -> tuple[list[Told], str]:
    """Everything up to the present, and the place behind it."""
    if all_is_there:
        await nothing_under_way(database)
    told: list[Told] = []
    more = True
    while more:
        async with database.session() as session:
            page = await changes.read(session, viewer, cursor, limit)
        assert len(page.items) <= limit
        told, cursor, more = [*told, *page.items], page.cursor, page.more
    return told, cursor


async def gets_its_number(session: AsyncSession) -> None:
    """The transaction begins to write, as far as others can tell."""
    await session.execute(select(func.pg_current_xact_id()))


@dataclass
class Reader:
    """Follows the feed; what it reads counts once it has kept the place behind it."""

    viewer: Viewer
    cursor: str
    told: list[Told]

    async def read(self, database: Database, chance: random.Random) -> None:
        async with database.session() as session:
            page = await changes.read(session, self.viewer, self.cursor, chance.randint(1, 9))
        if chance.random() < 0.3:
            return  # it is ended here, and begins again from the place that it had kept
        self.told += page.items
        self.cursor = page.cursor


async def test_nothing_is_missed_while_many_write(database: Database) -> None:
    """Of two transactions, the one that began first always commits last, while others do the same, and readers follow all."""
    chance = random.Random(20)  # noqa: S311
    scene, _ = await scene_with_draft(database)
    async with database.session() as session:
        drafts = [requests.process_of(await make_draft(session, scene)) for _ in range(WRITERS * STORIES_OF_EACH)]
    stories = [random_story(scene, draft, chance, 10) for draft in drafts]
    begun = await now(database)
    names = ("home_administrator", "operator", "requester")
    readers = [Reader(viewer_of(scene, name), begun, []) for name in names]
    writing = asyncio.gather(*(write(database, stories[at::WRITERS], chance) for at in range(WRITERS)))
    while not writing.done():
        await asyncio.gather(*(reader.read(database, chance) for reader in readers))
    await writing
    for reader in readers:
        rest, _ = await read_on(database, reader.viewer, reader.cursor, limit=7)
        found: dict[uuid.UUID, list[int | None]] = defaultdict(list)
        for told in (*reader.told, *rest):
            found[told.request_id].append(told.sequence)
        for story in stories:
            assert found[story.request.id] == list(range(1, len(story.steps) + 1))


async def write(database: Database, stories: Sequence[Story], chance: random.Random) -> None:
    """Record all of these stories, two steps at a time, of two requests or of one."""
    left = {story.request.id: list(story.steps) for story in stories}
    while any(left.values()):
        of_later, of_early = (chance.choice([id_ for id_, steps in left.items() if steps]) for _ in range(2))
        async with database.session() as early:
            await gets_its_number(early)
            async with database.session() as later:
                await gets_its_number(later)
                await record_event(later, *left[of_later].pop(0))
            if left[of_early]:
                await record_event(early, *left[of_early].pop(0))


async def test_a_transaction_that_commits_late_is_not_missed(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    (event, request), *_ = usual_story(scene, draft).steps
    viewer, cursor = viewer_of(scene, "home_administrator"), await now(database)
    async with database.session() as early:
        await gets_its_number(early)
        async with database.session() as later:
            await make_draft(later, scene)
        told, cursor = await read_on(database, viewer, cursor, all_is_there=False)
        assert told == []
        await record_event(early, event, request)
    told, _ = await read_on(database, viewer, cursor)
    assert [(one.request_id, one.sequence) for one in told] == [(draft.id, 1)]


async def test_a_request_s_changes_come_in_their_order_whichever_transaction_began_first(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    first, second, *_ = usual_story(scene, draft).steps
    viewer, cursor = viewer_of(scene, "home_administrator"), await now(database)
    async with database.session() as early:
        await gets_its_number(early)
        async with database.session() as later:
            await gets_its_number(later)
            await record_event(later, *first)
        await record_event(early, *second)
    told, _ = await read_on(database, viewer, cursor, limit=1)
    assert [one.sequence for one in told] == [1, 2]


async def told_to(database: Database, scene: Scene, cursor: str, request_id: uuid.UUID) -> dict[str, list[str]]:
    """What each of the scene's people is told of that request, and what of others."""
    found = {}
    for name in scene.accounts:
        told, _ = await read_on(database, viewer_of(scene, name), cursor)
        assert {one.request_id for one in told} <= {request_id}
        found[name] = [one.event.value if one.event else one.kind.value for one in told]
    return found


def submitted_to_far(scene: Scene, draft: Request) -> Story:
    story = Story(draft)
    story.give(
        c.Submit(
            id="1",
            actor=scene.actor("requester"),
            form=FormVersion(number=1, sha256=SHA),
            priority=Priority.ROUTINE,
        )
    )
    story.give(c.Assign(id="2", actor=scene.actor("dispatcher"), to=c.Pool(clinic_id=scene.far.id)))
    return story


async def record(database: Database, steps: Sequence[tuple[Event, Request]]) -> None:
    for event, request in steps:
        async with database.session() as session:
            await record_event(session, event, request)


async def test_what_left_somebody_s_view_is_gone_for_those_who_saw_it(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    story = submitted_to_far(scene, draft)
    begun = await now(database)
    await record(database, story.steps)
    _, cursor = await read_on(database, viewer_of(scene, "administrator"), begun)
    story.give(c.Reassign(id="3", actor=scene.actor("dispatcher"), to="dispatch", reason="Fermée."))
    story.give(c.Assign(id="4", actor=scene.actor("dispatcher"), to=scene.person("everything")))
    await record(database, story.steps[2:])
    seen = ["reassigned", "assigned"]
    assert await told_to(database, scene, cursor, draft.id) == {
        "requester": seen,
        "dispatcher": seen,
        "second_dispatcher": seen,
        "home_administrator": seen,
        "everything": seen,
        "operator": seen,
        "provider": seen,  # whose pool was asked once, sees the process
        "colleague": seen,
        "administrator": ["gone"],
    }
    whole, _ = await read_on(database, viewer_of(scene, "administrator"), begun)
    assert whole == [Told(ChangeKind.GONE, draft.id)], "nothing but the id, also of the time when they saw it"
    provider, _ = await read_on(database, viewer_of(scene, "provider"), begun)
    assert {one.access for one in provider} == {"process"}
    scene_of_others, _ = await scene_with_draft(database)
    stranger, _ = await read_on(database, viewer_of(scene_of_others, "administrator"), begun)
    assert stranger == []


async def test_of_a_draft_only_its_requester_hears(database: Database) -> None:
    scene, _ = await scene_with_draft(database)
    cursor = await now(database)
    async with database.session() as session:
        draft = await make_draft(session, scene)
    for name in ("Tremblay", "Gagnon", "Roy"):
        async with database.session() as session:
            patient = {"family_name": name}
            await requests.edit_draft(session, draft.id, now=datetime.now(UTC), expected_version=None, patient=patient)
    expected = {name: list[str]() for name in scene.accounts}
    found = await told_to(database, scene, cursor, draft.id)
    assert found == {**expected, "requester": ["begun", "edited"]}
    async with database.session() as session:
        await requests.remove_draft(session, draft.id, expected_version=None)
    assert await told_to(database, scene, cursor, draft.id) == {**expected, "requester": ["gone"]}


async def test_what_a_change_of_roles_takes_and_gives_is_told(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    stories = [submitted_to_far(scene, draft)]
    for _ in range(4):
        async with database.session() as session:
            stories.append(submitted_to_far(scene, requests.process_of(await make_draft(session, scene))))
    for story in stories:
        await record(database, story.steps)
    cursor = await now(database)
    ids = sorted(story.request.id for story in stories)
    stories[0].give(c.Accept(id="3", actor=scene.actor("provider")))
    await record(database, stories[0].steps[2:])
    await give_roles(database, scene, "second_dispatcher")
    without = viewer_of(scene, "second_dispatcher")
    without = Viewer(without.account_id, without.clinic_id, frozenset())
    told, after = await read_on(database, without, cursor, limit=2)
    assert told == [Told(ChangeKind.GONE, id_) for id_ in ids]
    await give_roles(database, scene, "second_dispatcher", Role.DISPATCHER)
    told, _ = await read_on(database, viewer_of(scene, "second_dispatcher"), after, limit=2)
    assert [(one.kind, one.request_id, one.access) for one in told] == [(ChangeKind.SEEN, id_, "chart") for id_ in ids]
    others, _ = await read_on(database, viewer_of(scene, "dispatcher"), cursor)
    assert [one.sequence for one in others] == [3]


async def give_roles(database: Database, scene: Scene, name: str, *roles: Role) -> None:
    async with database.session() as session:
        is_theirs = Account.id == scene.accounts[name].id
        await session.execute(update(Account).where(is_theirs).values(roles=[role.value for role in roles]))


async def test_who_comes_too_late_is_told_so(database: Database) -> None:
    scene, draft = await scene_with_draft(database)
    viewer, cursor = viewer_of(scene, "home_administrator"), await now(database)
    await record(database, submitted_to_far(scene, draft).steps)
    _, up_to_date = await read_on(database, viewer, cursor)
    async with database.session() as session:
        assert await changes.forget(session, datetime.now(UTC) - timedelta(days=1)) == 0
        assert await changes.forget(session, datetime.now(UTC) + timedelta(days=1)) > 0
    async with database.session() as session:
        with pytest.raises(CursorExpiredError):
            await changes.read(session, viewer, cursor, 10)
    assert (await read_on(database, viewer, up_to_date))[0] == []


async def test_on_a_copy_of_the_database_everybody_begins_anew(database: Database) -> None:
    """There, numbers of transactions mean something else."""
    scene, draft = await scene_with_draft(database)
    viewer, cursor = viewer_of(scene, "home_administrator"), await now(database)
    async with database.session() as session:
        await session.execute(update(ChangeLog).values(cluster="where it was copied from"))
    async with database.session() as session:
        with pytest.raises(CursorExpiredError):
            await changes.read(session, viewer, cursor, 10)
    anew = await asyncio.gather(*(now(database) for _ in range(3)))
    await record(database, submitted_to_far(scene, draft).steps)
    for place in anew:
        told, _ = await read_on(database, viewer, place)
        assert [one.sequence for one in told] == [1, 2]


@pytest.mark.parametrize("cursor", ["", "é", "AAAA", "\x00", "LjEuMi4", "A" * 200])
async def test_what_the_feed_never_gave_is_no_place(database: Database, cursor: str) -> None:
    scene, _ = await scene_with_draft(database)
    async with database.session() as session:
        with pytest.raises(BadCursorError):
            await changes.read(session, viewer_of(scene, "requester"), cursor, 10)


async def test_roles_of_others_are_nobody_s_place(database: Database) -> None:
    """A place that names the change of somebody else's roles, made up by who knows how places are written."""
    scene, _ = await scene_with_draft(database)
    place = changes._Place.read(await now(database))
    await give_roles(database, scene, "dispatcher")
    async with database.session() as session:
        is_theirs = RequestChange.account_id == scene.accounts["dispatcher"].id
        turn = (await session.scalars(select(RequestChange).where(is_theirs))).one()
        cursor = changes._Place(place.epoch, turn.horizon, turn.id, uuid.UUID(int=0)).written()
        with pytest.raises(BadCursorError):
            await changes.read(session, viewer_of(scene, "requester"), cursor, 10)
