"""The feed misses nothing: whoever waits for a version is told of it, also across a lost connection."""

import asyncio
import random

from sqlalchemy import text

from records.database import Database
from records.feed import BACKLOG, Change, ProjectionFeed, Told
from records.ids import new_id
from records.projection import record_event
from tests.eventually import PATIENCE_SECONDS
from tests.records.scenes import Story, scene_with_draft, usual_story


async def record_all(database: Database, story: Story, *, until: int = 100) -> None:
    for event, request in story.steps[:until]:
        async with database.session() as session:
            await record_event(session, event, request)


async def end_the_feeds_connections(database: Database) -> int:
    """Cut the listening connections of this database on the server's side; how many there were."""
    async with database.session() as session:
        ended = await session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'relais feed' AND datname = current_database()"
            )
        )
        return len(ended.all())


async def test_many_waiters_before_during_and_after(database: Database) -> None:
    stories = [usual_story(*await scene_with_draft(database)) for _ in range(4)]
    async with ProjectionFeed(database) as feed:
        early = [
            asyncio.create_task(feed.wait_for(story.request.id, version, PATIENCE_SECONDS))
            for story in stories
            for version in range(9)
            for _ in range(3)
        ]
        writers = [asyncio.create_task(record_all(database, story)) for story in stories]
        chance = random.Random(1)  # noqa: S311
        during = [
            asyncio.create_task(
                feed.wait_for(chance.choice(stories).request.id, chance.randint(1, 8), PATIENCE_SECONDS)
            )
            for _ in range(50)
        ]
        await asyncio.gather(*writers)
        after = [feed.wait_for(story.request.id, 8, PATIENCE_SECONDS) for story in stories]
        assert all(await asyncio.gather(*early, *during, *after))


async def test_waiting_ends_with_the_time(database: Database) -> None:
    story = usual_story(*await scene_with_draft(database))
    async with ProjectionFeed(database) as feed:
        assert not await feed.wait_for(story.request.id, 1, 0.05)
        assert not await feed.wait_for(new_id(), 0, 0.05)
        assert await feed.wait_for(story.request.id, 0, PATIENCE_SECONDS)


async def test_a_lost_connection_loses_no_change(database: Database) -> None:
    story = usual_story(*await scene_with_draft(database))
    async with ProjectionFeed(database) as feed:
        with feed.subscribe() as told:
            assert await anext(told) == [None]  # listening
            waiting = [
                asyncio.create_task(feed.wait_for(story.request.id, version, PATIENCE_SECONDS)) for version in (1, 4, 8)
            ]
            for until in (2, 5, 8):
                assert await end_the_feeds_connections(database) == 1
                await record_all(database, story, until=until)  # perhaps while nobody listens
                while None not in await anext(told):
                    pass  # listening again
            assert await asyncio.gather(*waiting) == [True, True, True]


async def test_subscribers_see_every_change(database: Database) -> None:
    story = usual_story(*await scene_with_draft(database))
    async with ProjectionFeed(database) as feed:
        with feed.subscribe() as told:
            assert await anext(told) == [None]
            await record_all(database, story)
            seen: list[Told] = []
            while Change(story.request.id, 8) not in seen:
                seen += await anext(told)
    mine = [change for change in seen if isinstance(change, Change) and change.request_id == story.request.id]
    assert mine == [Change(story.request.id, version) for version in range(1, 9)]


async def test_who_comes_later_hears_what_came_since_they_read(database: Database) -> None:
    """In this process exactly that; of a position it does not know (another process, too long ago) nobody can say."""
    story = usual_story(*await scene_with_draft(database))
    async with ProjectionFeed(database) as feed, ProjectionFeed(database) as other:
        with feed.subscribe() as told, other.subscribe() as told_elsewhere:
            assert await anext(told) == await anext(told_elsewhere) == [None]
            await record_all(database, story, until=3)
            while Change(story.request.id, 3) not in await anext(told):
                pass
        read_at = feed.position
        with feed.subscribe(read_at) as at_once:
            await record_all(database, story, until=5)
            while Change(story.request.id, 5) not in await anext(at_once):
                pass
        with feed.subscribe(read_at) as late:
            changes = [change for change in await anext(late) if isinstance(change, Change)]
            mine = [change.version for change in changes if change.request_id == story.request.id]
            assert mine == [3, 3, 3, 4, 5], (
                "the first three are recorded again, which changes nothing and is told all the same"
            )
        for unknown in (other.position, f"{feed.position}0", read_at.replace(".", ".x"), "é.²", f"{read_at[:-1]}²"):
            with feed.subscribe(unknown) as unsure:
                assert await anext(unsure) == [None], unknown
        for _ in range(BACKLOG):
            feed._on_notification(None, 0, "", f"{story.request.id}:5")
        with feed.subscribe(read_at) as too_late:
            assert await anext(too_late) == [None]


async def test_without_a_database_the_answer_is_no(database: Database) -> None:
    nowhere = Database("postgresql+asyncpg://nobody@/nowhere?host=/nonexistent")
    async with ProjectionFeed(nowhere) as feed:
        assert not await feed.wait_for(new_id(), 1, 0.2)
    await nowhere.close()
