"""What is restricted is shut on every path that leads to it: to who looks, to who is told, and to the systems of a clinic."""

import random
import uuid
from collections.abc import Sequence

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.changes import ChangeKind
from domain.notices import NoticeMode
from domain.requests import Holder, Role
from records import cases, changes, notices, requests, restrictions, visibility, worklist
from records.cases import Window
from records.database import Database
from records.ids import new_id
from records.models import Account, Notice, NoticeStatus, RequestRecord
from records.projection import record_event
from records.same_patient import same_patient
from records.visibility import Viewer
from records.worklist import WorklistFilter, count_to_do, lines_of
from tests.records.scenes import (
    NOW,
    Scene,
    Story,
    make_draft,
    random_story,
    set_scene,
    usual_story,
    viewers,
)
from tests.rounds import some_of

FILTERS = (
    WorklistFilter(limit=200),
    WorklistFilter(limit=200, sort="created"),
    WorklistFilter(limit=200, to_do=True),
    WorklistFilter(limit=200, to_do=False),
    WorklistFilter(limit=200, holder_is_me=True),
    WorklistFilter(limit=200, q="tremblay"),
    WorklistFilter(limit=200, q="requester"),
)


async def shut(
    session: AsyncSession,
    row: RequestRecord,
    *,
    account: Account | None = None,
    category: tuple[uuid.UUID, Role] | None = None,
    by: Account,
) -> None:
    account_id = account.id if account else None
    await restrictions.add(session, row.id, account_id, category, reason="Parenté.", set_by=by.id, now=NOW)


async def lived(session: AsyncSession, scene: Scene, lengths: Sequence[int]) -> None:
    """Requests of the scene that have come so far, by chance."""
    chance = random.Random(11)  # noqa: S311
    for length in lengths:
        draft = requests.process_of(await make_draft(session, scene))
        for event, request in random_story(scene, draft, chance, length).steps:
            await record_event(session, event, request)


async def seen_on_paths(session: AsyncSession, viewer: Viewer, rows: Sequence[RequestRecord]) -> dict[str, set[object]]:
    """The ids that each path of the records gives somebody, of these requests."""
    ids = {row.id for row in rows}
    found: dict[str, set[object]] = {}
    for wanted in FILTERS:
        page = await worklist.worklist(session, viewer, wanted)
        name = f"worklist {wanted.sort} {wanted.to_do} {wanted.holder_is_me} {wanted.q}"
        found[name] = {row.request.id for row in page.rows}
    found["cases"] = {row.id for row in await cases.first_in(session, viewer, Window(), 200)}
    found["cases by id"] = {row.id for row in await cases.first_in(session, viewer, Window(ids=frozenset(ids)), 200)}
    found["lines"] = {row.request.id for row in await lines_of(session, viewer, ids)}
    same = await same_patient(session, viewer, {"family_name": "Tremblay"}, but=new_id())
    found["same patient"] = {row.request.id for row in same}
    found["single"] = {row.id for row in rows if await visibility.access(session, viewer, row)}
    in_sql = select(RequestRecord.id).where(visibility.access_of(viewer).is_not(None))
    found["in SQL"] = set(await session.scalars(in_sql))
    found["listed"] = set(await session.scalars(select(RequestRecord.id).where(visibility.listed_for(viewer))))
    return {name: some & ids for name, some in found.items()}


async def test_what_is_shut_to_somebody_is_on_no_path(database: Database) -> None:
    """Every person, with every set of roles: what they see is what they saw, without what is shut to them; nobody else notices.

    With each set every other person looks, and each person with every other set; `make whole` has all with all.
    """
    async with database.session() as session:
        scene = await set_scene(session)
        await lived(session, scene, (0, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 12))
        mine = RequestRecord.requester_clinic_id == scene.home.id
        rows = list(await session.scalars(select(RequestRecord).where(mine)))
        few = [viewer for viewer in viewers(scene) if len(viewer.roles) != 2]  # each role, none, and all together
        looking = some_of(few, 2)
        before = [await seen_on_paths(session, viewer, rows) for viewer in looking]
        counted = [await count_to_do(session, viewer) for viewer in looking]
        by, named = scene.accounts["home_administrator"], scene.accounts["everything"]
        by_account, by_role, ended = rows[::3], rows[1::3], rows[2]
        for row in by_account:
            await shut(session, row, account=named, by=by)
        for row in by_role:
            await shut(session, row, category=(scene.far.id, Role.PROVIDER), by=by)
        await shut(session, ended, account=named, by=by)
        (restriction,) = await restrictions.holding(session, ended.id)
        await restrictions.end(session, restriction, reason="Fini.", ended_by=by.id, now=NOW)
        lost = 0
        for viewer, was, had in zip(looking, before, counted, strict=True):
            account = next(one for one in scene.accounts.values() if one.id == viewer.account_id)
            gone = {row.id for row in by_account if viewer.account_id == named.id}
            if viewer.clinic_id == scene.far.id and Role.PROVIDER in viewer.roles | set(account.roles):
                gone |= {row.id for row in by_role}
            now = await seen_on_paths(session, viewer, rows)
            assert now == {name: ids - gone for name, ids in was.items()}, (account.username, viewer.roles)
            to_do = next(ids for name, ids in was.items() if name.startswith("worklist due True"))
            assert (await count_to_do(session, viewer)).number == had.number - len(to_do & gone)
            lost += sum(len(ids & gone) for ids in was.values())
        assert lost > 100


async def test_who_wrote_it_is_never_shut_out(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        story = await played(session, scene, 3)
        row = await session.get_one(RequestRecord, story.request.id)
        requester, by = scene.accounts["requester"], scene.accounts["home_administrator"]
        viewer = Viewer(requester.id, scene.home.id, frozenset({Role.REQUESTER}))
        before = await seen_on_paths(session, viewer, [row])
        assert before["single"]
        await shut(session, row, account=requester, by=by)
        await shut(session, row, category=(scene.home.id, Role.REQUESTER), by=by)
        assert await seen_on_paths(session, viewer, [row]) == before
        assert not await restrictions.shuts_out(session, row.id, requester.id)


async def played(session: AsyncSession, scene: Scene, steps: int, *, after: Story | None = None) -> Story:
    """The usual story, so far; or that story, further."""
    story = after or usual_story(scene, requests.process_of(await make_draft(session, scene)))
    done = (await session.get_one(RequestRecord, story.request.id)).process_version
    for event, request in story.steps[done:steps]:
        await record_event(session, event, request)
    return story


async def told(session: AsyncSession, story: Story, version: int) -> dict[uuid.UUID, Notice]:
    query = select(Notice).where(Notice.request_id == story.request.id, Notice.version == version)
    return {notice.account_id: notice for notice in await session.scalars(query)}


async def test_nobody_is_told_of_what_is_shut_to_them(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        story = await played(session, scene, 1)
        row = await session.get_one(RequestRecord, story.request.id)
        by = scene.accounts["home_administrator"]
        provider, colleague = scene.accounts["provider"], scene.accounts["colleague"]
        second = scene.accounts["second_dispatcher"]
        await shut(session, row, account=colleague, by=by)
        await shut(session, row, account=second, by=by)
        await played(session, scene, 2, after=story)
        people = await told(session, story, 2)
        assert provider.id in people
        assert colleague.id not in people, "planned with the event"
        (notice,) = [one for one in people.values() if one.account_id == provider.id]
        await notices.mark_refused(session, notice.id, "550")
        await notices.plan_follow_up(session, notice, notices.NOTICE_REFUSED, NOW)
        followed = set(await session.scalars(select(Notice.account_id).where(Notice.refused_notice_id == notice.id)))
        assert scene.accounts["dispatcher"].id in followed
        assert second.id not in followed, "told of a notice that reached nobody"


async def test_an_unread_report_is_told_to_nobody_to_whom_it_is_shut(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        story = await played(session, scene, 7)
        row = await session.get_one(RequestRecord, story.request.id)
        everything, by = scene.accounts["everything"], scene.accounts["home_administrator"]
        await shut(session, row, account=everything, by=by)
        planned = await notices.plan_unread_report_notices(session, row)
        query = select(Notice.account_id).where(Notice.command_id == f"unread:{row.process_version}")
        accounts = set(await session.scalars(query.where(Notice.request_id == row.id)))
        assert planned
        assert by.id in accounts
        assert everything.id not in accounts


async def test_what_was_planned_before_is_not_sent(database: Database) -> None:
    """A restriction may come between: alone, in a digest, and tried again by hand."""
    async with database.session() as session:
        scene = await set_scene(session, {"colleague": NoticeMode.GROUPED})
        story = await played(session, scene, 2)
        other = await played(session, scene, 2)
        row = await session.get_one(RequestRecord, story.request.id)
        people, by = await told(session, story, 2), scene.accounts["home_administrator"]
        await session.refresh(people[scene.accounts["provider"].id])
        colleague = scene.accounts["colleague"].id
        for notice in people.values():
            if notice.account_id == colleague:
                notice.status = NoticeStatus.GROUPED
        (elsewhere,) = [one for one in (await told(session, other, 2)).values() if one.account_id == colleague]
        elsewhere.status = NoticeStatus.GROUPED
        await shut(session, row, category=(scene.far.id, Role.PROVIDER), by=by)
        single = people[scene.accounts["provider"].id]
        taken = await notices.take_up(session, single.id, "sender", NOW)
        assert taken is not None
        assert taken.status is NoticeStatus.SUPPRESSED
        digest = await notices.claim_digest(session, colleague, new_id())
        assert digest is not None
        assert [one.request_id for one in digest.notices] == [other.request.id]
        await notices.mark_expired(session, elsewhere.id, "timeout")
        await shut(session, await session.get_one(RequestRecord, other.request.id), account=digest.account, by=by)
        failed = await session.get_one(Notice, elsewhere.id)
        failed.status = NoticeStatus.EXPIRED
        await session.flush()
        assert await notices.queue_again(session, failed.id, NOW) == (failed, False)


async def test_who_saw_it_is_told_by_the_feed_that_it_is_gone_and_back(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        story = await played(session, scene, 2)
    provider, administrator = scene.accounts["provider"], scene.accounts["home_administrator"]
    async with database.session() as session:
        begun = await changes.begin(session)

    async def read(name: str) -> list[tuple[ChangeKind, uuid.UUID]]:
        account = scene.accounts[name]
        viewer = Viewer(account.id, account.clinic_id, frozenset(Role(role) for role in account.roles))
        async with database.session() as session:
            page = await changes.read(session, viewer, begun, 100)
        return [(one.kind, one.request_id) for one in page.items]

    async with database.session() as session:
        row = await session.get_one(RequestRecord, story.request.id)
        await shut(session, row, account=provider, by=administrator)
        await restrictions.tell(session, row, [provider.id], NOW, is_gone=True)
    assert await read("provider") == [(ChangeKind.GONE, row.id)]
    assert await read("colleague") == []
    assert await read("dispatcher") == []
    async with database.session() as session:
        (restriction,) = await restrictions.holding(session, row.id)
        await restrictions.end(session, restriction, reason="Fini.", ended_by=administrator.id, now=NOW)
        row = await session.get_one(RequestRecord, story.request.id)
        await restrictions.tell(session, row, [provider.id], NOW, is_gone=False)
    assert await read("provider") == [(ChangeKind.GONE, row.id), (ChangeKind.SEEN, row.id)]
    assert await read("colleague") == []


async def test_whether_a_holder_may_see_it(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        story = await played(session, scene, 2)
        row = await session.get_one(RequestRecord, story.request.id)
        by, pool = scene.accounts["home_administrator"], Holder.pool(scene.far.id)
        named = Holder.provider(scene.person("provider"))

        async def answers() -> tuple[bool, bool]:
            both = [await restrictions.is_shut_to_holder(session, row.id, holder) for holder in (named, pool)]
            return both[0], both[1]

        assert await answers() == (False, False)
        await shut(session, row, account=scene.accounts["provider"], by=by)
        assert await answers() == (True, False), "a colleague is left in the pool"
        await shut(session, row, account=scene.accounts["colleague"], by=by)
        assert await answers() == (True, True)


@pytest.mark.parametrize("change", ["DELETE FROM request_restrictions", "UPDATE request_restrictions SET role = NULL"])
async def test_what_was_restricted_stays_on_record(database: Database, change: str) -> None:
    async with database.engine.connect() as connection:
        with pytest.raises(DBAPIError, match="never change"):
            await connection.execute(text(change))


async def test_a_restriction_names_somebody_or_a_role(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        story = await played(session, scene, 1)
        row = await session.get_one(RequestRecord, story.request.id)
        by = scene.accounts["home_administrator"]
        for account, category in ((None, None), (by, (scene.far.id, Role.PROVIDER))):
            with pytest.raises(IntegrityError, match="ck_request_restrictions_whom"):
                async with session.begin_nested():
                    await shut(session, row, account=account, category=category, by=by)
