"""Requests are found by their patient, their people and their clinics: by whoever sees that of them, and by nobody else."""

import uuid

import pytest
from asyncpg.pgproto.pgproto import UUID
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import commands as c
from domain.requests import FormVersion, Role, Status
from domain.texts import ONE_SIGN, SPELLED_OUT
from records import forms, requests, search
from records.database import Database
from records.models import PatientWord, RequestRecord
from records.patient_words import SearchKeys, fill_words
from records.projection import record_event
from records.visibility import Viewer
from records.worklist import Count, WorklistFilter, worklist
from tests.records.scenes import NOW, Scene, Story, make_draft, set_scene, usual_story

JEANNE = {"given_name": "Jéanne", "family_name": "Côté-Ouellet", "birth_date": "1958-03-14"}
OTHER = {"given_name": "Marguerite", "family_name": "Zwick", "birth_date": "1960-01-02"}


def viewer(scene: Scene, name: str) -> Viewer:
    """With ids as the driver gives them: their class is its own."""
    account = scene.accounts[name]
    own, clinic = UUID(str(account.id)), UUID(str(account.clinic_id))
    return Viewer(own, clinic, frozenset(Role(role) for role in account.roles))


async def found(session: AsyncSession, scene: Scene, name: str, q: str) -> list[uuid.UUID]:
    page = await worklist(session, viewer(scene, name), WorklistFilter(q=q))
    assert sum(page.counts.values(), Count()) == Count(len(page.rows))
    return [row.request.id for row in page.rows]


async def write(session: AsyncSession, request_id: uuid.UUID, patient: dict[str, str]) -> None:
    await requests.edit_draft(session, request_id, now=NOW, expected_version=None, patient=patient)


async def freeze(session: AsyncSession, scene: Scene, request_id: uuid.UUID, command_id: str) -> FormVersion:
    return await forms.freeze_form(
        session, request_id, command_id=command_id, frozen_by=scene.accounts["requester"].id, now=NOW
    )


async def test_a_patient_is_found_by_those_who_see_the_chart(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        draft = requests.process_of(await make_draft(session, scene))
        await write(session, draft.id, JEANNE)
        for q in ("cote", "jea", "OUELLET jeanne", "14 mars 1958", "coteouellet"):
            assert await found(session, scene, "requester", q) == [draft.id]
            assert await found(session, scene, "dispatcher", q) == []  # a draft
        assert await found(session, scene, "requester", "tremblay") == []  # as it was called before
        for event, request in usual_story(scene, draft).steps[:3]:
            await record_event(session, event, request)
        for name, ids in (
            ("requester", [draft.id]),
            ("dispatcher", [draft.id]),
            ("provider", [draft.id]),
            ("colleague", []),  # it was offered to their pool: they see the process
            ("operator", []),
        ):
            assert await found(session, scene, name, "Côté") == ids, name
            assert await found(session, scene, name, "1958-03-14") == ids, name
        assert await found(session, scene, "operator", draft.number) == [draft.id]


async def test_what_is_written_on_a_returned_request_finds_nobody_else_until_it_is_submitted(
    database: Database,
) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        draft = requests.process_of(await make_draft(session, scene))
        await write(session, draft.id, JEANNE)
        story, requester, dispatcher = Story(draft), scene.actor("requester"), scene.actor("dispatcher")
        form = await freeze(session, scene, draft.id, "1")
        story.give(c.Submit(id="1", actor=requester, form=form, priority=draft.priority))
        story.give(c.ReturnToRequester(id="2", actor=dispatcher, reason="incomplete_submission", text="Qui?"))
        for step in story.steps:
            await record_event(session, *step)
        await write(session, draft.id, OTHER)
        assert await found(session, scene, "requester", "zwick") == [draft.id]
        assert await found(session, scene, "dispatcher", "zwick") == []
        assert await found(session, scene, "dispatcher", "jeanne") == [draft.id]
        form = await freeze(session, scene, draft.id, "3")
        story.give(c.Resubmit(id="3", actor=requester, form=form))
        await record_event(session, *story.steps[-1])
        await record_event(session, *story.steps[0])  # again, and late
        assert await found(session, scene, "dispatcher", "zwick") == [draft.id]
        assert await found(session, scene, "dispatcher", "jeanne") == []
        assert await found(session, scene, "requester", "jeanne") == []


async def test_what_was_written_and_never_submitted_shows_to_nobody_else(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        draft = requests.process_of(await make_draft(session, scene))
        await write(session, draft.id, JEANNE)
        story, requester = Story(draft), scene.actor("requester")
        form = await freeze(session, scene, draft.id, "1")
        story.give(c.Submit(id="1", actor=requester, form=form, priority=draft.priority))
        story.give(
            c.ReturnToRequester(id="2", actor=scene.actor("dispatcher"), reason="incomplete_submission", text="Qui?")
        )
        for step in story.steps:
            await record_event(session, *step)
        await write(session, draft.id, OTHER)
        story.give(c.Cancel(id="3", actor=requester, reason="Erreur."))
        await record_event(session, *story.steps[-1])
        (row,) = (await worklist(session, viewer(scene, "dispatcher"), WorklistFilter())).rows
        assert row.patient == JEANNE
        assert await found(session, scene, "dispatcher", "zwick") == []


async def test_what_is_submitted_again_is_found_in_every_clinic_that_had_it(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        draft = requests.process_of(await make_draft(session, scene))
        await write(session, draft.id, JEANNE)
        story, requester, provider = Story(draft), scene.actor("requester"), scene.actor("provider")
        form = await freeze(session, scene, draft.id, "1")
        story.give(c.Submit(id="1", actor=requester, form=form, priority=draft.priority))
        story.give(c.Assign(id="2", actor=scene.actor("dispatcher"), to=scene.person("provider")))
        story.give(c.ReturnToRequester(id="3", actor=provider, reason="incomplete_submission", text="Qui?"))
        for step in story.steps:
            await record_event(session, *step)
        for name in ("provider", "dispatcher"):
            assert await found(session, scene, name, "jeanne") == [draft.id]
        await write(session, draft.id, OTHER)
        for name in ("provider", "dispatcher"):
            assert await found(session, scene, name, "zwick") == []
        story.give(c.Resubmit(id="4", actor=requester, form=await freeze(session, scene, draft.id, "4")))
        await record_event(session, *story.steps[-1])
        for name in ("provider", "dispatcher"):
            assert await found(session, scene, name, "zwick") == [draft.id]
            assert await found(session, scene, name, "jeanne") == []


async def test_of_very_many_the_newest_are_looked_at(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST_FOUND", 3)
    async with database.session() as session:
        scene = await set_scene(session)
        made = [(await make_draft(session, scene)).id for _ in range(6)]
        for q in ("tremblay", "tremblay requester", "clinique tre"):
            page = await worklist(session, viewer(scene, "requester"), WorklistFilter(q=q, sort="created"))
            assert [row.request.id for row in page.rows] == made[:1:-1]
            assert page.counts == {Status.DRAFT: Count(4, at_least=True)}


async def test_people_and_clinics(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        scene.accounts["provider"].family_name = "Élémond-Gœtz"
        scene.far.name = "Clinique de l’Île-aux-Grues"
        await session.flush()
        draft = requests.process_of(await make_draft(session, scene))
        for event, request in usual_story(scene, draft).steps[:3]:
            await record_event(session, event, request)
        for q in ("elemond", "goe provider", "ÎLE grues", "clinique du nord", "requester tremblay"):
            assert await found(session, scene, "dispatcher", q) == [draft.id], q
        for q in ("lemond", "goetzz", "clinique du sud"):
            assert await found(session, scene, "dispatcher", q) == [], q
        assert await found(session, scene, "operator", "elemond") == [draft.id]


async def test_people_are_found_however_their_names_are_spelled(database: Database) -> None:
    """The database compares names as we do, whatever it takes for the small letter of a capital."""
    async with database.session() as session:
        scene = await set_scene(session)
        draft = requests.process_of(await make_draft(session, scene))
        for event, request in usual_story(scene, draft).steps[:3]:
            await record_event(session, event, request)
        for letter, letters in SPELLED_OUT.items():
            for written in {letter, letter.upper(), letter.title()}:
                scene.accounts["provider"].family_name = f"La{written}tek"
                await session.flush()
                for q in (f"La{written}tek", f"la{letter}te", f"LA{letters.upper()}TEK"):
                    assert await found(session, scene, "dispatcher", q) == [draft.id], (q, written)
        for sign, plain in ONE_SIGN.items():
            scene.accounts["provider"].family_name = f"La{sign}Ntek"
            await session.flush()
            for q in (f"la{sign}nte", f"LA{plain}NTEK", "ntek", *([] if plain == "-" else ["lantek"])):
                assert await found(session, scene, "dispatcher", q) == [draft.id], (q, sign)


async def test_a_removed_draft_leaves_no_word(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        draft = await make_draft(session, scene)
        count = select(func.count()).where(PatientWord.request_id == draft.id)
        assert await session.scalar(count)
        await requests.remove_draft(session, draft.id, expected_version=None)
        assert await session.scalar(count) == 0


@pytest.mark.parametrize("before", [SearchKeys(), SearchKeys((b"an older key",))])
async def test_words_are_filled_in_where_the_present_key_has_none(database: Database, before: SearchKeys) -> None:
    old = Database(database.url, search_keys=before)
    both = Database(database.url, search_keys=SearchKeys((b"a key", *before.keys)))
    async with old.session() as session:
        scene = await set_scene(session)
        draft = await make_draft(session, scene)
        await write(session, draft.id, JEANNE)
        sent = requests.process_of(await make_draft(session, scene))
        await write(session, sent.id, JEANNE)
        for event, request in usual_story(scene, sent).steps[:2]:
            await record_event(session, event, request)
        assert len(await found(session, scene, "requester", "jeanne")) == 2 * len(before.keys)
    async with both.session() as session:
        assert len(await found(session, scene, "requester", "jeanne")) == 2 * len(before.keys)
    async with database.session() as session:
        assert await found(session, scene, "requester", "jeanne") == []
    last: uuid.UUID | None = uuid.UUID(int=0)
    while last is not None:
        async with database.session() as session:
            last = await fill_words(session, last, 7)
    async with database.session() as session:
        assert set(await found(session, scene, "requester", "jeanne")) == {draft.id, sent.id}
        assert await found(session, scene, "dispatcher", "cote") == [sent.id]
        row = await session.get_one(RequestRecord, draft.id)
        assert not await session.scalar(
            select(PatientWord.hash).where(PatientWord.request_id == row.id, PatientWord.submitted).limit(1)
        )
    await old.close()
    await both.close()


def test_a_hash_needs_the_key() -> None:
    one, other = SearchKeys((b"one",)), SearchKeys((b"other",))
    assert one.written("name:cote") == one.written("name:cote") != other.written("name:cote")
    assert set(SearchKeys((b"one", b"other")).looked_for(["x"])) == {one.written("x"), other.written("x")}
    assert "one" not in repr(one)
