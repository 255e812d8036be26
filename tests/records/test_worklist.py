"""The worklist: pages that fit together while the world goes on, filters that agree with a plain reading of the rows."""

import random
import uuid
from collections import Counter
from datetime import timedelta
from typing import get_args

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.priority import Priority
from domain.requests import Role, Status
from records import requests
from records.database import Database
from records.errors import BadCursorError
from records.models import RequestRecord
from records.projection import record_event
from records.visibility import Viewer
from records.worklist import Count, Sort, WorklistFilter, worklist
from tests.records.scenes import NOW, Scene, make_draft, random_story, set_scene

SORTS: tuple[Sort, ...] = get_args(Sort)


async def fill(session: AsyncSession, scene: Scene, count: int, chance: random.Random) -> list[RequestRecord]:
    """Drafts made into rows of all sorts: many alike in their sort keys, a third without a deadline."""
    rows = []
    for _ in range(count):
        row = await make_draft(session, scene)
        row.status = chance.choice(list(Status))
        row.priority = chance.choice([Priority.ROUTINE, Priority.URGENT, Priority.ASAP])
        row.priority_rank = requests.RANKS[row.priority]
        row.due_at = chance.choice([None, NOW, NOW + timedelta(hours=chance.randrange(5))])
        row.updated_at = NOW + timedelta(hours=chance.randrange(4))
        row.overdue = chance.random() < 0.3
        row.offering = chance.choice(["teledermatology", "teleophthalmology"])
        rows.append(row)
    await session.flush()
    return rows


def requester(scene: Scene) -> Viewer:
    return Viewer(scene.accounts["requester"].id, scene.home.id, frozenset({Role.REQUESTER}))


@pytest.mark.parametrize("sort", SORTS)
async def test_pages_are_complete_and_without_doubles_while_rows_change(database: Database, sort: Sort) -> None:
    chance = random.Random(sort)  # noqa: S311
    async with database.session() as session:
        scene = await set_scene(session)
        known = {row.id for row in await fill(session, scene, 60, chance)}
    seen: list[uuid.UUID] = []
    cursor, pages = None, 0
    while cursor is not None or pages == 0:
        async with database.session() as session:
            page = await worklist(session, requester(scene), WorklistFilter(sort=sort, cursor=cursor, limit=7))
            seen += [row.request.id for row in page.rows]
            cursor, pages = page.next_cursor, pages + 1
        async with database.session() as session:  # the world goes on: new rows, and changes that move no row
            await fill(session, scene, 3, chance)
            changed = chance.choice(sorted(known))
            await session.execute(
                update(RequestRecord).where(RequestRecord.id == changed).values(status=Status.CLOSED, overdue=False)
            )
    assert pages >= 9
    assert max(Counter(seen).values()) == 1
    assert known <= set(seen)


@pytest.mark.parametrize("sort", SORTS)
async def test_order(database: Database, sort: Sort) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        rows = await fill(session, scene, 40, random.Random(sort))  # noqa: S311
        page = await worklist(session, requester(scene), WorklistFilter(sort=sort, limit=200))
        end_of_time = NOW + timedelta(days=365_000)
        due = {row.id: row.due_at or end_of_time for row in rows}
        keys = {
            "due": lambda r: (due[r.id], r.id),
            "-due": lambda r: (due[r.id], r.id),
            "priority": lambda r: (r.priority_rank, due[r.id], r.id),
            "updated": lambda r: (r.updated_at, r.id),
            "created": lambda r: (r.created_at, r.id),
        }
        expected = sorted(rows, key=keys[sort], reverse=sort in ("-due", "updated", "created"))
        assert [row.request.id for row in page.rows] == [row.id for row in expected]
        assert page.next_cursor is None


async def test_filters_and_counts_agree_with_the_rows(database: Database) -> None:
    chance = random.Random(3)  # noqa: S311
    async with database.session() as session:
        scene = await set_scene(session)
        rows = await fill(session, scene, 50, chance)
        for row in rows[:20]:
            row.holder_id = scene.accounts["provider"].id
            row.holder_clinic_id = scene.far.id
        await session.flush()
        number = rows[11].number
        for wanted, plain in (
            (WorklistFilter(), lambda r: True),
            (WorklistFilter(statuses=frozenset({Status.DRAFT, Status.CLOSED})), lambda r: True),
            (WorklistFilter(holder_is_me=True), lambda r: r.holder_id == r.requester_id),
            (WorklistFilter(clinic=scene.far.id), lambda r: r.holder_clinic_id == scene.far.id),
            (WorklistFilter(clinic=scene.home.id), lambda r: True),
            (WorklistFilter(overdue=True), lambda r: r.overdue),
            (WorklistFilter(overdue=False), lambda r: not r.overdue),
            (WorklistFilter(q=f" {number.lower()} "), lambda r: r.number == number),
            (WorklistFilter(q=number[-4:]), lambda r: number[-4:] in r.number),
            (WorklistFilter(q="%"), lambda r: False),
            (WorklistFilter(offering="teleophthalmology"), lambda r: r.offering == "teleophthalmology"),
            (WorklistFilter(priority=Priority.ASAP), lambda r: r.priority is Priority.ASAP),
        ):
            page = await worklist(session, requester(scene), wanted)
            matching = [row for row in rows if plain(row)]
            shown = [row for row in matching if not wanted.statuses or row.status in wanted.statuses]
            assert {row.request.id for row in page.rows} == {row.id for row in shown}
            assert page.counts == {s: Count(n) for s, n in Counter(row.status for row in matching).items()}


async def test_real_stories_are_listed(database: Database) -> None:
    chance = random.Random(5)  # noqa: S311
    async with database.session() as session:
        scene = await set_scene(session)
        draft = requests.process_of(await make_draft(session, scene))
        story = random_story(scene, draft, chance, 10)
        for event, request in story.steps:
            await record_event(session, event, request)
        page = await worklist(session, requester(scene), WorklistFilter(sort="updated"))
        row = page.rows[0].request
        assert (row.status, row.due_at, row.version) == (story.request.status, story.request.due_at, len(story.steps))
        stored = await session.scalar(select(RequestRecord.due_sort).where(RequestRecord.id == row.id))
        assert (stored == row.due_at) is (row.due_at is not None)


@pytest.mark.parametrize("cursor", ["", "x", "é", "W10", "bnVsbA", "WyJkdWUiXQ", "WyJ1cGRhdGVkIiwgMSwgMl0"])
async def test_a_strange_cursor_is_named(database: Database, cursor: str) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        with pytest.raises(BadCursorError):
            await worklist(session, requester(scene), WorklistFilter(cursor=cursor))


async def test_a_cursor_of_another_sort_is_refused(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        await fill(session, scene, 3, random.Random(1))  # noqa: S311
        page = await worklist(session, requester(scene), WorklistFilter(sort="created", limit=1))
        with pytest.raises(BadCursorError):
            await worklist(session, requester(scene), WorklistFilter(sort="updated", cursor=page.next_cursor))
