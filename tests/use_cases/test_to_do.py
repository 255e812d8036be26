"""What somebody has to do says the same in SQL and in Python, for every role and every state of a request."""

import itertools
import random
from collections import Counter
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import commands as c
from domain.requests import FormVersion
from records import requests, visibility
from records.database import Database
from records.models import Account, RequestRecord
from records.projection import record_event
from records.visibility import Viewer
from records.worklist import Count, WorklistFilter, count_to_do, has_to_do, worklist
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
from use_cases.caller import Caller
from use_cases.to_do import ToDo, to_do_of


def callers(scene: Scene) -> list[Caller]:
    """Every person of the scene, and every set of roles: each person with every third set, each set with every third person.

    `make whole` has all with all.
    """
    return [
        Caller(Account(id=one.account_id, clinic_id=one.clinic_id, roles=[role.value for role in one.roles]), "")
        for one in some_of(viewers(scene), 3)
    ]


async def test_sql_and_python_agree(database: Database) -> None:
    chance = random.Random(11)  # noqa: S311
    async with database.session() as session:
        scene = await set_scene(session)
        await goes_away(session, scene, "provider")
        for usual, more in itertools.product(range(8), (0, 1, 1, 1, 2, 2, 3, 4, 6)):
            row = await make_draft(session, scene)
            begun = usual_story(scene, requests.process_of(row)).steps[:usual]
            now = begun[-1][1] if begun else requests.process_of(row)
            for event, request in (*begun, *random_story(scene, now, chance, more).steps):
                await record_event(session, event, request)
            row.submission_id = chance.choice([None, None, "s"]) if row.status.is_with_requester else None
            row.signature_id = chance.choice([None, None, "s"])
    seen: Counter[ToDo | None] = Counter()
    mine, away = RequestRecord.requester_clinic_id == scene.home.id, scene.accounts["provider"].id
    async with database.session() as session:
        rows = list(await session.scalars(select(RequestRecord).where(mine)))
        for caller in callers(scene):
            by_python = {row.id: await to_do_in(session, caller, row) for row in rows}
            by_sql = set(await session.scalars(select(RequestRecord.id).where(mine, has_to_do(caller.viewer))))
            assert by_sql == {id_ for id_, to_do in by_python.items() if to_do}, caller.roles
            seen.update(by_python.values())
            listed = set(
                await session.scalars(select(RequestRecord.id).where(mine, visibility.listed_for(caller.viewer)))
            )
            for wanted, is_wanted in (
                (WorklistFilter(to_do=True), lambda row, to_do: to_do),
                (WorklistFilter(to_do=False), lambda row, to_do: not to_do),
                (WorklistFilter(holder_absent=True), lambda row, to_do: row.holder_id == away),
                (WorklistFilter(holder_absent=False), lambda row, to_do: row.holder_id != away),
            ):
                page = await worklist(session, caller.viewer, replace(wanted, clinic=scene.home.id, limit=200))
                expected = {row.id for row in rows if row.id in listed and is_wanted(row, bool(by_python[row.id]))}
                assert {found.request.id for found in page.rows} == expected, (wanted, caller.roles)
    assert set(seen) == {None, *ToDo}


async def to_do_in(session: AsyncSession, caller: Caller, row: RequestRecord) -> ToDo | None:
    covers = await visibility.covers(session, caller.viewer, row)
    reads = await visibility.reads_for_requester(session, caller.viewer, row)
    return to_do_of(caller, row, requests.process_of(row), covers=covers, reads_for_requester=reads)


async def test_a_question_waits_for_the_requester_whoever_holds_the_request(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        draft = requests.process_of(await make_draft(session, scene))
        story, dispatcher, provider = Story(draft), scene.actor("dispatcher"), scene.actor("provider")
        form = FormVersion(number=1, sha256=SHA)
        asked = c.RequestInformation(id="4", actor=provider, text="Depuis quand?")
        answer = c.AnswerInformation(id="5", actor=scene.actor("requester"), text="Trois semaines.")
        expected: list[tuple[c.AnyCommand, dict[str, ToDo]]] = [
            (
                c.Submit(id="1", actor=scene.actor("requester"), form=form, priority=draft.priority),
                {"dispatcher": ToDo.DISPATCH, "second_dispatcher": ToDo.DISPATCH},
            ),
            (
                c.Assign(id="2", actor=dispatcher, to=c.Pool(clinic_id=scene.far.id)),
                {"provider": ToDo.ACCEPT, "colleague": ToDo.ACCEPT},
            ),
            (c.Accept(id="3", actor=provider), {"provider": ToDo.REPORT}),
            (asked, {"requester": ToDo.ANSWER}),
            (answer, {"provider": ToDo.REPORT}),
        ]
        names = ("requester", "dispatcher", "second_dispatcher", "provider", "colleague", "administrator", "operator")
        for command, to_do in expected:
            await record_event(session, story.give(command), story.request)
            row = await session.get_one(RequestRecord, draft.id)
            for name in names:
                caller = Caller(scene.accounts[name], "")
                assert to_do_of(caller, row, story.request) == to_do.get(name), (command.type, name)
                assert await count_to_do(session, caller.viewer) == Count(1 if name in to_do else 0)
                viewer: Viewer = caller.viewer
                page = await worklist(session, viewer, WorklistFilter(to_do=True))
                assert [bool(found.process) for found in page.rows] == [True] * (1 if name in to_do else 0)
                other = await worklist(session, viewer, WorklistFilter(to_do=False, q=draft.number))
                assert not (page.rows and other.rows)
