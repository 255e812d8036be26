"""The rule of visibility says the same in SQL and in Python, for every role and every state of a request."""

import random
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import commands as c
from domain.priority import Priority
from domain.requests import FormVersion, Role
from records import requests, visibility
from records.database import Database
from records.models import Account, Participant, RequestRecord
from records.projection import record_event
from records.visibility import Viewer
from records.ways import Order, Sieve, first_of
from records.worklist import WorklistFilter, worklist
from tests.records.scenes import (
    SHA,
    Scene,
    Story,
    goes_away,
    make_draft,
    random_story,
    set_scene,
    usual_story,
    viewers,
)
from tests.rounds import some_of


async def test_sql_and_python_agree(database: Database) -> None:
    chance = random.Random(7)  # noqa: S311
    async with database.session() as session:
        scene = await set_scene(session)
        await goes_away(session, scene, "provider")
        for length in (0, 1, 2, 2, 3, 3, 4, 4, 5, 6, 8, 10, 12, 15):
            draft = requests.process_of(await make_draft(session, scene))
            for event, request in random_story(scene, draft, chance, length).steps:
                await record_event(session, event, request)
    seen = set()
    mine = RequestRecord.requester_clinic_id == scene.home.id
    async with database.session() as session:
        rows = list(await session.scalars(select(RequestRecord).where(mine)))
        looking = viewers(scene)
        pairs = some_of([viewer for viewer in looking if len(viewer.roles) == 2], 3)  # with `make whole`, all of them
        for viewer in (*(viewer for viewer in looking if len(viewer.roles) != 2), *pairs):
            by_sql = dict(
                (await session.execute(select(RequestRecord.id, visibility.access_of(viewer)).where(mine))).all()
            )
            by_python = {row.id: await visibility.access(session, viewer, row) for row in rows}
            assert by_sql == by_python
            listed = set(await session.scalars(select(RequestRecord.id).where(mine, visibility.listed_for(viewer))))
            operates = Role.OPERATOR in viewer.roles
            parts = visibility.parts_for(viewer)
            if not parts:
                assert not listed
                continue
            page = first_of(parts, Sieve(), Order("due"), None, 1000)
            led_to = await session.scalars(
                select(RequestRecord.id).join(page, page.c.id == RequestRecord.id).where(mine)
            )
            assert set(led_to) == listed
            assert listed == {i for i, a in by_python.items() if a == "chart" or (a == "process" and operates)}
            if len(viewer.roles) != 2:  # each role, and all together
                charts = {i for i, a in by_python.items() if a == "chart"}
                for q, expected in (("tremblay", charts), (scene.accounts["requester"].family_name, listed)):
                    found = await worklist(session, viewer, WorklistFilter(q=q, limit=200))
                    assert {row.request.id for row in found.rows} == expected, (q, viewer)
            if not operates and len(viewer.roles) != 2:  # operators see what other tests have made, too
                await check_lists(session, scene, viewer, [row for row in rows if row.id in listed])
            seen |= {(role, a) for role in viewer.roles if len(viewer.roles) == 1 for a in by_python.values()}
    assert {(role, "chart") for role in Role} - seen == {(Role.OPERATOR, "chart"), (Role.SYSTEM, "chart")}
    assert {role for role, a in seen if a == "process"} == {Role.PROVIDER, Role.OPERATOR}
    assert (Role.OPERATOR, None) in seen  # drafts


async def check_lists(session: AsyncSession, scene: Scene, viewer: Viewer, listed: Sequence[RequestRecord]) -> None:
    """What indexes tell of a clinic and of who is away is what the rows say."""
    away = scene.accounts["provider"].id
    for wanted, expected in (
        (WorklistFilter(clinic=viewer.clinic_id), [row for row in listed if viewer.clinic_id in clinics_of(row)]),
        (WorklistFilter(holder_absent=True), [row for row in listed if row.holder_id == away]),
        (WorklistFilter(holder_absent=False), [row for row in listed if row.holder_id != away]),
    ):
        page = await worklist(session, viewer, replace(wanted, limit=200))
        assert {row.request.id for row in page.rows} == {row.id for row in expected}, (viewer, wanted)
        assert {status: count.number for status, count in page.counts.items()} == dict(
            Counter(row.status for row in expected)
        )


def clinics_of(row: RequestRecord) -> set[uuid.UUID | None]:
    return {row.requester_clinic_id, row.dispatch_clinic_id, row.holder_clinic_id}


async def test_what_stands_beside_a_participant_is_the_request_s(database: Database) -> None:
    chance = random.Random(11)  # noqa: S311
    async with database.session() as session:
        scene = await set_scene(session)
        for length in (1, 2, 3, 4, 6, 8, 12):
            draft = requests.process_of(await make_draft(session, scene))
            for event, request in random_story(scene, draft, chance, length).steps:
                await record_event(session, event, request)
    query = (
        select(Participant, Account, RequestRecord)
        .select_from(Participant)
        .join(RequestRecord)
        .join(Account, Account.id == Participant.account_id)
    )
    async with database.session() as session:
        found = (await session.execute(query)).all()
    for participant, account, row in found:
        assert (participant.holder_id, participant.ours) == (row.holder_id, account.clinic_id in clinics_of(row))
    assert {participant.ours for participant, _, _ in found} == {True, False}
    assert {participant.holder_id is None for participant, _, _ in found} == {True, False}


async def test_who_sees_what_in_the_usual_story(database: Database) -> None:
    """Written out by name, as the twins could be wrong together."""
    async with database.session() as session:
        scene = await set_scene(session)
        draft = requests.process_of(await make_draft(session, scene))
        story = usual_story(scene, draft)

    async def access(name: str) -> str | None:
        account = scene.accounts[name]
        viewer = Viewer(account.id, account.clinic_id, frozenset(Role(role) for role in account.roles))
        async with database.session() as session:
            return await visibility.access(session, viewer, await session.get_one(RequestRecord, draft.id))

    async def all_accesses() -> dict[str, str | None]:
        names = ("requester", "dispatcher", "provider", "colleague", "administrator", "home_administrator", "operator")
        return {name: await access(name) for name in names}

    nobody = dict.fromkeys(("dispatcher", "provider", "colleague", "administrator", "home_administrator", "operator"))
    assert await all_accesses() == {**nobody, "requester": "chart"}
    at_home = {"requester": "chart", "dispatcher": "chart", "home_administrator": "chart", "operator": "process"}
    in_the_pool = {"provider": "chart", "colleague": "chart", "administrator": "chart"}
    expected = {
        1: {**nobody, **at_home},
        2: {**nobody, **at_home, **in_the_pool},
        3: {**nobody, **at_home, **in_the_pool, "colleague": "process"},
        8: {**nobody, **at_home, "provider": "chart", "colleague": "process"},
    }
    for version, (event, request) in enumerate(story.steps, start=1):
        async with database.session() as session:
            await record_event(session, event, request)
        if version in expected:
            assert await all_accesses() == expected[version], version


async def test_whoever_was_assigned_and_did_nothing_keeps_the_process_only(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        draft = requests.process_of(await make_draft(session, scene))
        story = Story(draft)
        dispatcher, form = scene.actor("dispatcher"), FormVersion(number=1, sha256=SHA)
        story.give(c.Submit(id="1", actor=scene.actor("requester"), form=form, priority=Priority.URGENT))
        story.give(c.Assign(id="2", actor=dispatcher, to=scene.person("colleague")))
        story.give(c.RequestInformation(id="3", actor=scene.actor("colleague"), text="Depuis quand?"))
        story.give(c.Assign(id="4", actor=dispatcher, to=scene.person("everything")))
        story.give(c.Assign(id="5", actor=dispatcher, to=scene.person("provider")))
        for event, request in story.steps:
            await record_event(session, event, request)
        row = await session.get_one(RequestRecord, draft.id)
        found = {}
        for name in ("colleague", "everything", "provider"):
            account = scene.accounts[name]
            viewer = Viewer(account.id, account.clinic_id, frozenset({Role.PROVIDER}))
            by_sql = await session.scalar(select(visibility.access_of(viewer)).where(RequestRecord.id == row.id))
            found[name] = await visibility.access(session, viewer, row)
            assert by_sql == found[name]
    assert found == {"colleague": "chart", "everything": "process", "provider": "chart"}


async def test_the_worklist_shows_the_patient_only_with_the_chart(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        draft = requests.process_of(await make_draft(session, scene))
        for event, request in usual_story(scene, draft).steps[:3]:
            await record_event(session, event, request)
        shown = {}
        for name in ("requester", "provider", "colleague", "operator"):
            account = scene.accounts[name]
            viewer = Viewer(account.id, account.clinic_id, frozenset(Role(role) for role in account.roles))
            page = await worklist(session, viewer, WorklistFilter(q=draft.number))
            shown[name] = [(row.access, row.patient) for row in page.rows]
    chart = [("chart", {"family_name": "Tremblay"})]
    assert shown == {"requester": chart, "provider": chart, "colleague": [], "operator": [("process", None)]}
