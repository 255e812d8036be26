"""What is sealed in the records: read as it was written, unreadable to who has the database alone, and bound to its place."""

import io
import itertools
import uuid
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from pydantic import SecretStr
from sqlalchemy import ARRAY, Text, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.event import listen
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from activities import notifications
from domain import commands as c
from domain.access_review import Rule, Verdict
from domain.notices import Importance, Recipient
from domain.photos import Description
from domain.priority import Priority
from domain.requests import DocumentKind, EventName, Request, Role, Status
from domain.same_patient import words_in_common
from domain.scans import ScanRule
from key_ring import EncryptionError, KeyRing
from media.kinds import Media
from records import (
    attachments,
    commands,
    communications,
    data_keys,
    emergencies,
    forms,
    incidents,
    marks,
    partners,
    references,
    renewals,
    reports,
    requests,
    restrictions,
    retention,
    saved_filters,
    sealing,
    subscriptions,
    unread_reports,
    upkeep,
    uploads,
)
from records.clear_columns import CLEAR, LISTS
from records.data_keys import DataKeys
from records.database import Database
from records.errors import (
    ContentConflictError,
    ContentDiffersError,
    KeyGoneError,
    NotFoundError,
    NotOpenError,
    StaleVersionError,
)
from records.glimpses import glimpses_of
from records.ids import new_id
from records.migrate import bring_up_to_date
from records.models import (
    SEALED_MODELS,
    AccessFinding,
    AccessReview,
    AccessVerdict,
    Attachment,
    Base,
    DataKey,
    EmergencyOpening,
    EventRecord,
    FrozenForm,
    FrozenReport,
    Mark,
    Notice,
    PartnerMessage,
    PatientWord,
    RequestRecord,
    RestrictionEnd,
    RetentionHold,
    Upload,
    table_of,
)
from records.patient_words import SearchKeys, fill_words
from records.projection import record_event
from records.sealed import SealedJson, sealed_columns
from records.search import find_patient
from records.store import DocumentStore, attachment_key
from records.visibility import Viewer
from records.worklist import WorklistFilter, worklist
from settings import Settings
from tests.conftest import MakeDatabase
from tests.records.scenes import NOW, SHA, Scene, Story, make_draft, set_scene
from tests.system import photo
from use_cases import earlier_reports, gate, renditions, repair, sweep
from use_cases import requests as request_pages
from use_cases import sealing as seal_command
from use_cases import uploads as receiving
from use_cases.caller import Caller
from use_cases.gate import GateError
from use_cases.marks import NewMark, add_mark
from use_cases.new_attachments import NewPlace, SentFile, keep_examined
from use_cases.offering_files import load_offerings, put_in_force
from use_cases.problems import Problem
from use_cases.services import Services

OLD, NEW = {"old": bytes(32)}, {"new": bytes(range(32))}
MARKED = "Thérèse-Marquée"
T = TypeVar("T")
WORDS = SearchKeys((b"a key",))


def opened(url: str, keys: dict[str, bytes] | None) -> Database:
    return Database(url, search_keys=WORDS, data_keys=DataKeys(KeyRing(keys) if keys else None))


@pytest.fixture
async def clear(make_database: MakeDatabase, migrated_template: str) -> AsyncIterator[Database]:
    """Records in which sealing has not begun."""
    database = opened(await make_database(migrated_template), OLD)
    yield database
    await database.close()


@pytest.fixture
async def sealed(clear: Database) -> Database:
    """Records in which everything is sealed from the first on."""
    async with clear.session() as session:
        await data_keys.begin(session)
    return clear


def services_of(database: Database, store: DocumentStore) -> Services:
    """Without an engine, and without offerings."""
    return Services(Settings(), database, cast(Any, None), store, cast(Any, None), {})


async def an_attachment(session: AsyncSession, scene: Scene, request_id: uuid.UUID, **more: Any) -> Attachment:
    """A photo of the requester's, unless `more` says otherwise."""
    told: dict[str, Any] = {
        "attachment_id": new_id(),
        "slot": "photos",
        "kind": "photo",
        "media_type": "image/jpeg",
        "size_bytes": 1,
        "sha256": SHA,
        "filename": "photo.jpg",
        "width": 1,
        "height": 1,
        "uploaded_by": scene.accounts["requester"].id,
        "now": NOW,
        "object_key": "attachments/x",
        "preview_key": None,
    }
    return await attachments.add_attachment(session, request_id=request_id, **{**told, **more})


async def a_chart(database: Database) -> tuple[Scene, uuid.UUID]:
    """A submitted request with the mark in every place where there can be one."""
    async with database.session() as session:
        scene = await set_scene(session)
        requester, provider = scene.accounts["requester"], scene.accounts["provider"]
        row = await make_draft(session, scene)
        patient = {"family_name": MARKED, "given_name": "Anne", "birth_date": "1980-02-03"}
        await requests.edit_draft(
            session, row.id, now=NOW, expected_version=None, patient=patient, answers={"question": MARKED}
        )
        photo = await an_attachment(
            session, scene, row.id, filename=f"{MARKED}.jpg", description=Description(caption=MARKED)
        )
        await marks.add_mark(
            session,
            mark_id=new_id(),
            attachment_id=photo.id,
            account_id=requester.id,
            kind="arrow",
            page=1,
            drawn={},
            label=MARKED,
            length_mm=None,
            now=NOW,
        )
        await uploads.begin_upload(
            session,
            upload_id=new_id(),
            request_id=row.id,
            account_id=requester.id,
            length=3,
            description=MARKED,
            slot="photos",
            filename=MARKED,
            now=NOW,
        )
        await references.refer(session, row.id, scene.accounts["dispatcher"].id, MARKED)
        held = {"request_id": row.id, "clinic_id": scene.home.id, "set_by": requester.id, "set_at": NOW}
        session.add(RetentionHold(id=new_id(), whole_patient=False, reason=MARKED, **held))
        restriction = await restrictions.add(
            *(session, row.id, scene.accounts["operator"].id, None), reason=MARKED, set_by=requester.id, now=NOW
        )
        await restrictions.end(session, restriction, reason=MARKED, ended_by=requester.id, now=NOW)
        reader = Viewer(scene.accounts["dispatcher"].id, scene.home.id, frozenset({Role.PROVIDER}))
        await emergencies.add(
            *(session, row.id, reader, Role.PROVIDER),
            reason=MARKED,
            command_id=new_id(),
            told=0,
            begun_at=NOW,
            ends_at=NOW,
        )
        await _judged(session, scene, row.id)
        await saved_filters.save_filter(session, requester.id, "mine", {"q": MARKED}, now=NOW, at_most=5)
        await saved_filters.save_filter(session, requester.id, "mine", {"q": MARKED * 2}, now=NOW, at_most=5)
        message = PartnerMessage(
            id=new_id(),
            partner_id=requester.id,
            message_id="m",
            received_at=NOW,
            content_sha256="0",
            object_key="k",
            refused=False,
            tries=1,
            answer={"said": MARKED},
        )
        await partners.add_message(session, message)
        await partners.note_received(session, row.id, requester.id, {"author": MARKED})
        await incidents.record_incident(
            session, scene.home.id, {"circumstances": MARKED}, written_by=requester.id, now=NOW, creation_key=None
        )
        await communications.enter(
            session,
            scene.home.id,
            {"nature": MARKED},
            given_on=NOW.date(),
            request_id=row.id,
            replaces=None,
            written_by=requester.id,
            now=NOW,
            creation_key=None,
        )
    async with database.session() as session:
        form = await forms.freeze_form(session, row.id, command_id="s", frozen_by=requester.id, now=NOW)
    async with database.session() as session:
        locked = await requests.lock_request(session, row.id)
        story = Story(requests.process_of(locked))
        cancel = c.Cancel(id="c", actor=scene.actor("requester"), reason=MARKED)
        await commands.write_down(session, locked, cancel, account_id=requester.id, now=NOW)
        for command in (
            c.Submit(id="s", actor=scene.actor("requester"), form=form, priority=Priority.ROUTINE),
            c.Assign(id="a", actor=scene.actor("dispatcher"), to=scene.person("provider"), comment=MARKED),
        ):
            await record_event(session, story.give(command), story.request)
        answers = {"recommendations": MARKED}
        await reports.save_report_draft(
            session, row.id, answers, expected_revision=None, account_id=provider.id, now=NOW
        )
        await reports.freeze_report(
            session,
            row.id,
            report_id=new_id(),
            kind=DocumentKind.FINAL,
            content={"answer": MARKED},
            signer_id=provider.id,
            command_id="r",
            proof_at=NOW,
            proof_method="password",
            now=NOW,
        )
    return scene, row.id


async def _judged(session: AsyncSession, scene: Scene, request_id: uuid.UUID) -> None:
    """An administrator has said of a look at the request what it was."""
    review, finding, who = new_id(), new_id(), scene.accounts["home_administrator"].id
    session.add(
        AccessReview(
            id=review, clinic_id=scene.home.id, month=NOW.date().replace(day=1), made_at=NOW, accesses=1, left_out=0
        )
    )
    await session.flush()
    times = {"day": NOW.date(), "first_at": NOW, "last_at": NOW}
    session.add(
        AccessFinding(
            id=finding,
            review_id=review,
            rule=Rule.NO_PARTICIPANT,
            account_id=scene.accounts["requester"].id,
            request_id=request_id,
            number=1,
            entries=[],
            **times,
        )
    )
    await session.flush()
    given = {"verdict": Verdict.EXPLAINED, "about_self": False, "given_by": who, "given_at": NOW}
    ids = {"finding_id": finding, "number": 1, "review_id": review, "request_id": request_id}
    session.add(AccessVerdict(note={"said": MARKED}, **ids, **given))
    await session.flush()


async def everything_in(database: Database) -> str:
    """All rows of all tables, as text."""
    async with database.session() as session:
        tables = [f"SELECT to_jsonb(t)::text AS row FROM {table.name} AS t" for table in Base.metadata.sorted_tables]  # noqa: S608
        return "\n".join(await session.scalars(text(" UNION ALL ".join(tables))))


async def is_read_as_it_was_written(database: Database, scene: Scene, request_id: uuid.UUID) -> None:
    viewer = Viewer(scene.accounts["requester"].id, scene.home.id, frozenset({Role.REQUESTER}))
    async with database.session() as session:
        row = await requests.load_request(session, request_id)
        assert row is not None
        assert (row.form["patient"]["family_name"], row.form["answers"]) == (MARKED, {"question": MARKED})
        [photo] = await attachments.list_attachments(session, request_id)
        assert (photo.filename, photo.caption, photo.view) == (f"{MARKED}.jpg", MARKED, "")
        assert [mark.label for mark in await marks.list_marks(session, [photo.id])] == [MARKED]
        [_, assigned] = await requests.timeline(session, request_id)
        assert assigned.command["comment"] == MARKED
        [form] = await forms.submitted_forms(session, request_id)
        assert form.content["attachments"][0]["caption"] == MARKED
        draft = await reports.load_report_draft(session, request_id)
        assert draft is not None
        assert draft.answers == {"recommendations": MARKED}
        [given] = await commands.on_their_way(session, request_id)
        assert given.command["reason"] == MARKED
        [hold] = await retention.holds_on(session, request_id)
        assert await retention.reason_of(session, hold.id) == MARKED
        [end] = await session.scalars(select(RestrictionEnd).where(RestrictionEnd.request_id == request_id))
        assert end.reason == {"text": MARKED}
        assert await restrictions.reason_of(session, end.restriction_id) == MARKED
        [opening] = await session.scalars(select(EmergencyOpening.id).where(EmergencyOpening.request_id == request_id))
        assert await emergencies.reasons_of(session, [opening]) == {opening: MARKED}
        [verdict] = await session.scalars(select(AccessVerdict).where(AccessVerdict.request_id == request_id))
        assert verdict.note == {"said": MARKED}
        [kept] = await saved_filters.list_filters(session, viewer.account_id)
        assert kept.criteria == {"q": MARKED * 2}
        for wanted in (WorklistFilter(), WorklistFilter(q="Marquée")):
            patients = {line.request.id: line.patient for line in (await worklist(session, viewer, wanted)).rows}
            assert patients[request_id] == row.form["patient"]
        assert find_patient(session, viewer, words_in_common(row.form["patient"])).candidates is not None


async def test_who_has_locked_a_request_need_not_ask_for_its_key(sealed: Database) -> None:
    async with sealed.session() as session:
        scene = await set_scene(session)
        draft = await make_draft(session, scene)
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("SELECT (SELECT data_keys"):
            asked.append(statement)

    listen(sealed.engine.sync_engine, "before_cursor_execute", note)
    cancel = c.Cancel(id="c", actor=scene.actor("requester"), reason=MARKED)
    async with sealed.session() as session:
        row = await requests.lock_request(session, draft.id)
        await commands.write_down(session, row, cancel, account_id=draft.requester_id, now=NOW)
    async with sealed.session() as session:
        given = await commands.load_command(session, draft.id, "c")
        assert given is not None
        assert given.command["reason"] == MARKED
    assert asked == []


async def test_what_is_written_is_sealed_and_read_as_before(sealed: Database) -> None:
    scene, request_id = await a_chart(sealed)
    await is_read_as_it_was_written(sealed, scene, request_id)
    assert "Marqu" not in await everything_in(sealed)


async def test_records_from_before_are_sealed_in_steps(clear: Database) -> None:
    """They are read before, meanwhile and afterwards; frozen rows let themselves be sealed once, and changed never."""
    scene, request_id = await a_chart(clear)
    assert (await everything_in(clear)).count("Marqu") > len(SEALED_MODELS) - 3
    async with clear.session() as session:
        await data_keys.begin(session)
    models = [of for of in SEALED_MODELS if of.__tablename__ not in ("sign_on_attempts", "signing_tickets")]
    for of in models:
        async with clear.session() as session:
            await sealing.make_keys(session, 10)
            assert await sealing.seal_rows(session, of, 10, set()) > 0, of
        await is_read_as_it_was_written(clear, scene, request_id)
    async with clear.session() as session:
        assert set((await sealing.count_clear(session)).values()) == {0}
    assert "Marqu" not in await everything_in(clear)
    for change in ("command = '{}'", "command_id = 'x'", """command = '{"relais:sealed": ""}'"""):
        async with clear.engine.connect() as connection:
            await connection.execute(text("SET LOCAL relais.sealing = 'on'"))
            with pytest.raises(DBAPIError, match="never change"):
                await connection.execute(text(f"UPDATE events SET {change}"))  # noqa: S608


async def test_what_is_sealed_opens_in_its_own_row_only(sealed: Database) -> None:
    scene, request_id = await a_chart(sealed)
    async with sealed.session() as session:
        other = (await make_draft(session, scene)).id
        await session.execute(
            text("UPDATE requests SET form = (SELECT form FROM requests WHERE id = :one) WHERE id = :other"),
            {"one": request_id, "other": other},
        )
    async with sealed.session() as session:
        with pytest.raises(EncryptionError):
            await requests.load_request(session, other)
        await session.execute(text("UPDATE marks SET label = (SELECT filename FROM attachments)"))
        with pytest.raises(EncryptionError):
            await session.scalar(select(Mark.label))


async def test_a_label_opens_with_the_key_of_its_request_where_it_is_named_and_else_with_that_of_the_house(
    sealed: Database,
) -> None:
    """What the next version writes is read by this one, and goes with its request; what stands there already opens as before."""
    scene, request_id = await a_chart(sealed)
    async with sealed.session() as session:
        before = (await session.scalars(select(Mark))).one()
        assert before.sealed_for is None
        own = Mark(
            id=new_id(),
            attachment_id=before.attachment_id,
            account_id=scene.accounts["requester"].id,
            kind="arrow",
            drawn={},
            label="Bord droit",
            sealed_for=request_id,
            created_at=NOW,
        )
        session.add(own)
    async with sealed.session() as session:
        assert await session.scalar(select(Mark.label).where(Mark.id == own.id)) == "Bord droit"
        await data_keys.destroy(session, request_id)
    async with sealed.session() as session:
        assert await session.scalar(select(Mark.label).where(Mark.id == before.id)) == MARKED
        with pytest.raises(KeyGoneError):
            await session.scalar(select(Mark.label).where(Mark.id == own.id))


async def test_with_its_key_a_request_is_gone_and_no_other(sealed: Database, tmp_path: Path) -> None:
    scene, request_id = await a_chart(sealed)
    file = attachment_key(request_id, new_id())
    await DocumentStore(tmp_path.as_uri(), sealed).put_new(file, b"a photo")
    async with sealed.session() as session:
        other = (await make_draft(session, scene)).id
        await data_keys.destroy(session, request_id)
    async with sealed.session() as session:
        assert await requests.load_request(session, other) is not None
        with pytest.raises(KeyGoneError):
            await requests.load_request(session, request_id)
    with pytest.raises(ContentDiffersError):
        await DocumentStore(tmp_path.as_uri(), sealed).get(file)


async def test_a_key_that_is_rolled_back_seals_nothing(sealed: Database) -> None:
    async with sealed.session() as session:
        scene = await set_scene(session)
        id_ = new_id()
        nested = await session.begin_nested()
        await make_draft(session, scene, request_id=id_)
        await nested.rollback()
        row = await make_draft(session, scene, request_id=id_)
    async with sealed.session() as session:
        assert (await session.get_one(RequestRecord, id_)).form == row.form


async def test_a_key_that_is_destroyed_seals_nothing_in_the_same_transaction(sealed: Database) -> None:
    async with sealed.session() as session:
        scene = await set_scene(session)
        id_ = (await make_draft(session, scene)).id
        await requests.remove_draft(session, id_, expected_version=None)
        row = await make_draft(session, scene, request_id=id_)
    async with sealed.session() as session:
        assert (await session.get_one(RequestRecord, id_)).form == row.form


async def test_the_ring_changes_and_no_process_meets_a_key_that_it_lacks(sealed: Database) -> None:
    """Announced, used, wrapped anew, retired: processes of the step before read and write beside those of the next."""
    scene, request_id = await a_chart(sealed)
    steps = [OLD, OLD | NEW, NEW | OLD, NEW]
    for before, after in itertools.pairwise(steps):
        one, other = opened(sealed.url, before), opened(sealed.url, after)
        if after == NEW:
            async with one.session() as session:
                old = (await data_keys.count_by_key(session))["old"]
                assert [await data_keys.wrap_anew(session, old - 1, set()) for _ in range(3)] == [old - 1, 1, 0]
        for writes, reads in ((one, other), (other, one)):
            async with writes.session() as session:
                row = await make_draft(session, scene)
            async with reads.session() as session:
                assert (await session.get_one(RequestRecord, row.id)).form == row.form
        await is_read_as_it_was_written(other, scene, request_id)
        await one.close()
        await other.close()


async def test_without_the_ring_nothing_is_read_and_nothing_written_in_clear(sealed: Database) -> None:
    scene, request_id = await a_chart(sealed)
    without = opened(sealed.url, None)
    async with without.session() as session:
        with pytest.raises(EncryptionError):
            await requests.load_request(session, request_id)
    with pytest.raises(EncryptionError):
        async with without.session() as session:
            await make_draft(session, scene)
    await without.close()


@pytest.mark.parametrize("ring", [None, NEW, {"old": bytes([1] * 32)}])
async def test_with_another_ring_nothing_starts(sealed: Database, ring: dict[str, bytes] | None) -> None:
    other = opened(sealed.url, ring)
    with pytest.raises(EncryptionError):
        await other.open()
    with pytest.raises(NotOpenError):
        async with other.session():
            pass
    await other.close()


async def test_a_key_of_the_ring_that_still_seals_something_is_missed_at_the_start(sealed: Database) -> None:
    """However far sealing anew had come."""
    await a_chart(sealed)
    both, new = opened(sealed.url, NEW | OLD), opened(sealed.url, NEW)
    async with both.session() as session:
        number = (await data_keys.count_by_key(session))["old"]
    for left in range(number, -1, -1):
        async with new.session() as session:
            if left:
                with pytest.raises(EncryptionError, match="'old'"):
                    await data_keys.check_ring(session)
            else:
                await data_keys.check_ring(session)
        async with both.session() as session:
            assert await data_keys.wrap_anew(session, 1, set()) == (1 if left else 0)
    await both.close()
    await new.close()


async def test_no_key_of_the_ring_may_be_missing_that_has_sealed_anything(sealed: Database) -> None:
    """Also where the key of the house was wrapped anew, and that of a request was not."""
    _, request_id = await a_chart(sealed)
    both, new = opened(sealed.url, NEW | OLD), opened(sealed.url, NEW)
    async with both.session() as session:
        old = await session.scalar(select(DataKey.sealed_key).where(DataKey.owner_id == request_id))
        while await data_keys.wrap_anew(session, 10, set()):
            pass
        await session.execute(update(DataKey).where(DataKey.owner_id == request_id).values(sealed_key=old))
    with pytest.raises(EncryptionError, match="'old'"):
        await new.open()
    await both.open()
    await both.close()
    await new.close()


async def test_a_running_process_with_another_ring_makes_no_key(clear: Database) -> None:
    """It was there before sealing began: what it wrote, nobody else could read."""
    other = opened(clear.url, NEW)
    async with other.session() as session:
        scene = await set_scene(session)
        await make_draft(session, scene)
    async with clear.session() as session:
        await data_keys.begin(session)
    with pytest.raises(EncryptionError):
        async with other.session() as session:
            await make_draft(session, scene)
    async with clear.session() as session:
        assert await data_keys.count_by_key(session) == {"old": 1}
    await other.close()


async def test_a_key_that_can_t_be_made_lets_nothing_be_written_in_clear(sealed: Database) -> None:
    async with sealed.session() as session:
        scene = await set_scene(session)
        await session.execute(
            text("CREATE FUNCTION pass_over() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        )
        await session.execute(
            text("CREATE TRIGGER none BEFORE INSERT ON data_keys FOR EACH ROW EXECUTE FUNCTION pass_over()")
        )
    with pytest.raises(KeyGoneError):
        async with sealed.session() as session:
            await make_draft(session, scene)


async def test_a_program_from_before_merges_nothing_into_what_is_sealed(sealed: Database) -> None:
    """It would write the new answers beside the sealed form, where nobody reads them."""
    _, request_id = await a_chart(sealed)
    merge = """UPDATE requests SET form = form || '{"answers": {"question": "new"}}' WHERE id = :id"""
    async with sealed.engine.connect() as connection:
        with pytest.raises(DBAPIError, match="ck_requests_form_sealed"):
            await connection.execute(text(merge), {"id": request_id})
    async with sealed.session() as session:
        checked = set(await session.scalars(text("SELECT conname FROM pg_constraint WHERE contype = 'c'")))
    objects = {
        f"ck_{kind.at.replace('.', '_')}_sealed"
        for of in SEALED_MODELS
        for kind in sealed_columns(of).values()
        if isinstance(kind, SealedJson)
    }
    assert objects <= checked


# From the command line


def settings_of(database: Database, **more: Any) -> Settings:
    return Settings(database_url=SecretStr(database.url), encryption_keys=SecretStr(f"old:{'A' * 43}="), **more)


async def test_a_new_installation_is_sealed_from_the_first_on_and_needs_its_ring(make_database: MakeDatabase) -> None:
    database = opened(await make_database(None), OLD)
    with pytest.raises(EncryptionError, match="RELAIS_ENCRYPTION_KEYS is not set"):
        await bring_up_to_date(settings_of(database).model_copy(update={"encryption_keys": None}))
    await bring_up_to_date(settings_of(database))
    async with database.session() as session:
        assert await data_keys.has_begun(session)
    await database.close()


async def test_a_new_installation_whose_first_migration_broke_off_is_sealed_all_the_same(clear: Database) -> None:
    """The schema is there, and nothing else yet."""
    await bring_up_to_date(settings_of(clear))
    async with clear.session() as session:
        assert await data_keys.has_begun(session)


async def test_an_older_one_is_sealed_when_it_is_asked_for_but_on_one_machine(clear: Database) -> None:
    async with clear.session() as session:
        await make_draft(session, await set_scene(session))
    for embedded in (False, True):
        await bring_up_to_date(settings_of(clear, embedded=embedded))
        async with clear.session() as session:
            assert await data_keys.has_begun(session) is embedded


async def test_all_that_is_there_is_sealed_by_one_command(clear: Database, tmp_path: Path) -> None:
    scene, request_id = await a_chart(clear)
    settings = settings_of(clear, document_store=tmp_path.as_uri())
    store = DocumentStore.from_settings(settings, clear)
    key = attachment_key(request_id, new_id())
    stored = await store.put_new(key, MARKED.encode())
    async with clear.session() as session:
        await session.execute(update(Attachment).values(object_key=key, sha256=SHA))

    before = await seal_command.left_in_clear(settings)
    assert (before.begun, before.files, before.nothing) == (False, 1, False)
    assert all(before.rows[table_of(of).name] for of in (RequestRecord, FrozenForm, EventRecord, FrozenReport))
    said: list[str] = []
    assert (await seal_command.seal_records(settings, said.append)).files == 1
    assert f"{key}: not what was stored, left as it is" in said
    async with clear.session() as session:
        await session.execute(update(Attachment).values(sha256=stored.sha256))
    for _ in range(2):
        assert (await seal_command.seal_records(settings, said.append)).nothing
    assert said.count("files: 1 sealed") == 1
    assert (await seal_command.left_in_clear(settings)).nothing
    await is_read_as_it_was_written(clear, scene, request_id)
    assert await store.get(key) == MARKED.encode()
    assert MARKED.encode() not in (tmp_path / key).read_bytes()
    assert "Marqu" not in await everything_in(clear)


# Files


@pytest.mark.parametrize("kind", ["folder", "memory"])
@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 300_000])
async def test_files_are_sealed_and_any_part_is_read(sealed: Database, tmp_path: Path, kind: str, size: int) -> None:
    store = DocumentStore(tmp_path.as_uri() if kind == "folder" else "memory:///", sealed)
    content = bytes(n * 7 % 251 for n in range(size))
    key = attachment_key(new_id(), new_id())

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 9_973):
            yield content[start : start + 9_973]

    stored = await store.put_new(key, pieces())
    assert (stored.size_bytes, await store.get(key)) == (size, content)
    assert await store.put_new(key, content) == stored, "the same bytes again are no conflict"
    assert await store.compare(key, stored.sha256) == size
    assert await store.is_sealed(key)
    for start, end in ((0, 1), (65_530, 65_540), (65_536, 65_537), (size - 1, size), (size - 10, size + 10)):
        if 0 <= start < size:
            assert b"".join([part async for part in store.stream(key, start=start, end=end)]) == content[start:end]
    if kind == "folder" and size > 40:
        assert content[:40] not in (tmp_path / key).read_bytes()


async def test_a_file_that_was_changed_cut_or_put_elsewhere_does_not_open(sealed: Database, tmp_path: Path) -> None:
    store, request_id = DocumentStore(tmp_path.as_uri(), sealed), new_id()
    one, other = (attachment_key(request_id, new_id()) for _ in range(2))
    for key in (one, other):
        await store.put_new(key, key.encode() * 3_000)
    right = (tmp_path / one).read_bytes()
    piece = 65_536 + 16
    for wrong in (
        right[:100] + bytes([right[100] ^ 1]) + right[101:],
        right[:-1],
        right[: 32 + piece],
        right[:32] + right[32 + piece : 32 + 2 * piece] + right[32 : 32 + piece] + right[32 + 2 * piece :],
        (tmp_path / other).read_bytes(),
    ):
        (tmp_path / one).write_bytes(wrong)
        with pytest.raises(ContentDiffersError):
            await store.get(one)


async def test_a_file_from_before_is_sealed_in_its_place(clear: Database, tmp_path: Path) -> None:
    store, key = DocumentStore(tmp_path.as_uri(), clear), attachment_key(new_id(), new_id())
    stored = await store.put_new(key, MARKED.encode() * 9_000)
    assert not await store.seal_object(key), "sealing has not begun"
    async with clear.session() as session:
        await data_keys.begin(session)
    beside = DocumentStore(tmp_path.as_uri(), clear)
    reading = beside.stream(key)
    begun = await anext(reading)
    assert await store.seal_object(key)
    assert begun + b"".join([part async for part in reading]) == MARKED.encode() * 9_000
    assert MARKED.encode() not in (tmp_path / key).read_bytes()
    for each in (store, beside):
        assert await each.get(key) == MARKED.encode() * 9_000
        assert await each.compare(key, stored.sha256) == stored.size_bytes
    assert not await store.seal_object(key)


@pytest.mark.parametrize("kind", ["folder", "memory"])
async def test_a_file_that_is_not_the_one_of_the_records_is_not_sealed_in_its_place(
    clear: Database, tmp_path: Path, kind: str
) -> None:
    """It is all that there is of it: a disk that gives less than it had, or something else, must not become the last word."""
    store = DocumentStore(tmp_path.as_uri() if kind == "folder" else "memory:///", clear)
    key = attachment_key(new_id(), new_id())
    stored = await store.put_new(key, MARKED.encode() * 9_000)
    async with clear.session() as session:
        await data_keys.begin(session)
    with pytest.raises(ContentDiffersError):
        await store.seal_object(key, SHA)
    whole = store.stream

    async def less(*args: Any, **more: Any) -> AsyncIterator[bytes]:
        async for chunk in whole(*args, **more):
            yield chunk[:-1]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, "stream", less)
        with pytest.raises(ContentDiffersError):
            await store.seal_object(key)
    assert not await store.is_sealed(key)
    assert await store.seal_object(key, stored.sha256)
    assert await store.get(key) == MARKED.encode() * 9_000


# One value that does not open


async def two_charts(database: Database) -> tuple[Scene, uuid.UUID, uuid.UUID]:
    """One of which nothing opens any more, and another."""
    scene, gone = await a_chart(database)
    async with database.session() as session:
        row = await make_draft(session, scene)
        await commands.write_down(
            session,
            row,
            c.Cancel(id="other", actor=scene.actor("requester"), reason=MARKED),
            account_id=scene.accounts["requester"].id,
            now=NOW,
        )
        await data_keys.destroy(session, gone)
    return scene, gone, row.id


async def test_a_list_is_read_without_the_words_of_what_does_not_open(
    sealed: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, gone, other = await two_charts(sealed)
    viewer = Viewer(scene.accounts["requester"].id, scene.home.id, frozenset({Role.REQUESTER}))
    async with sealed.session() as session:
        lines = {line.request.id: line.patient for line in (await worklist(session, viewer, WorklistFilter())).rows}
        assert lines == {gone: None, other: {"family_name": "Tremblay"}}
        glimpses = await glimpses_of(
            session, viewer.account_id, ScanRule(has_scanner=False, is_required=True), [gone, other]
        )
        assert {id_: glimpse.answers for id_, glimpse in glimpses.items()} == {other: {"reason": "lésion"}}
    assert str(gone) in capsys.readouterr().out


async def test_commands_are_given_again_but_for_one_that_does_not_open(
    sealed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, other = await two_charts(sealed)
    services = services_of(sealed, cast(Any, None))
    given: list[uuid.UUID] = []

    async def hand_over(_services: Services, request: Request, *_: Any, **__: Any) -> Any:
        given.append(request.id)
        raise GateError

    monkeypatch.setattr(gate, "hand_over", hand_over)
    assert await repair._give_again(services, dry_run=False) == 2
    assert given == [other]


async def test_what_goes_through_many_reads_nothing_that_is_sealed(sealed: Database) -> None:
    """Sweep, renewal, webhooks; the page of a request that follows another, and e-mails that tell of several."""
    scene, gone, other = await two_charts(sealed)
    async with sealed.session() as session:
        await session.execute(update(RequestRecord).where(RequestRecord.id == other).values(earlier_id=gone))
        unread = {"unread_clinic_from": func.now(), "status": Status.REPORTED}
        await session.execute(update(RequestRecord).where(RequestRecord.id == gone).values(unread))
        key = attachment_key(gone, await session.scalar(select(Attachment.id)) or gone)
        await session.execute(update(Attachment).values(object_key=key))
    async with sealed.session() as session:
        assert [request.id for request in await renewals.open_requests(session, after=None)] == [gone]
        assert await upkeep.named_objects(session, [key]) == {key}
        assert (await subscriptions.requests_of(session, [gone, other])).rows.keys() == {gone, other}
        assert await unread_reports.lock_untold(session, gone, NOW) is not None
    async with sealed.session() as session:
        await sweep._lock_if_there(session, gone)
        row = await requests.load_request(session, other)
        assert row is not None
        requester = Caller(scene.accounts["requester"], "token")
        assert await request_pages._earlier(session, requester, row) is not None  # its number stands in clear
        assert [request.id async for request in earlier_reports._followed(session, requester, row)] == [other]
        account = scene.accounts["dispatcher"]
        notice = Notice(
            id=new_id(),
            message_id="<1@relais.test>",
            account_id=account.id,
            request_id=gone,
            version=1,
            event=EventName.SUBMITTED,
            recipient=Recipient.DISPATCHERS,
            importance=Importance.ACTION,
            address=account.email,
            language="fr",
            created_at=NOW,
        )
        assert (await notifications._outgoing(session, notice)).request_id == gone


async def test_a_data_key_that_does_not_open_keeps_nobody_from_starting_or_wrapping_anew(clear: Database) -> None:
    scene, gone = await a_chart(clear)
    async with clear.session() as session:
        await data_keys.begin(session)
        other = await make_draft(session, scene)
        await session.execute(insert(DataKey).values(owner_id=gone, sealed_key="old:AAAA"))
    settings = settings_of(clear).model_copy(update={"encryption_keys": SecretStr(f"new:{'B' * 43}=,old:{'A' * 43}=")})
    await bring_up_to_date(settings)
    async with Database.opened(settings) as database:
        await database.open()
        async with database.session() as session:
            assert await data_keys.count_by_key(session) == {"old": 1, "new": 2}
            assert (await session.get_one(RequestRecord, other.id)).form == other.form


async def test_words_are_kept_but_for_a_patient_who_does_not_open(sealed: Database) -> None:
    _, gone, other = await two_charts(sealed)
    anew = Database(sealed.url, search_keys=SearchKeys((b"another",)), data_keys=DataKeys(KeyRing(OLD)))
    async with anew.session() as session:
        last = await fill_words(session, uuid.UUID(int=0), 10)
        assert last == max(gone, other)
        assert await fill_words(session, last, 10) is None
        fresh = select(PatientWord.request_id).where(
            PatientWord.hash.in_(SearchKeys((b"another",)).looked_for(["kept 2"]))
        )
        assert set(await session.scalars(fresh)) == {other}
    await anew.close()


async def test_rows_are_sealed_but_for_those_of_which_something_does_not_open(clear: Database, tmp_path: Path) -> None:
    await a_chart(clear)
    settings = settings_of(clear, document_store=tmp_path.as_uri())
    async with clear.session() as session:
        await data_keys.begin(session)
        await session.execute(text("UPDATE attachments SET filename = E'\\x0e1:AAAA'"))
    said: list[str] = []
    left = await seal_command.seal_records(settings, said.append)
    assert {table: number for table, number in left.rows.items() if number} == {"attachments": 1}
    assert "attachments: 1 passed over, for something in them does not open" in said


async def test_a_page_that_is_drawn_on_is_read_with_no_connection_in_hand(sealed: Database, tmp_path: Path) -> None:
    """The document store asks for its key; and a page that does not open is a fault that operators hear of."""
    one = Database(sealed.url, pool_size=1, data_keys=DataKeys(KeyRing(OLD)))
    store = DocumentStore(tmp_path.as_uri(), one)
    services = services_of(one, store)
    async with one.session() as session:
        scene = await set_scene(session)
        row = await make_draft(session, scene)
        requester = scene.accounts["requester"]
        key = attachment_key(row.id, new_id(), "page", SHA)
        letter = await an_attachment(session, scene, row.id, kind="document", page_keys=[key])
    await DocumentStore(tmp_path.as_uri(), sealed).put_new(key, photo())
    arrow = NewMark.model_validate({"kind": "arrow", "start": {"x": 0, "y": 0}, "end": {"x": 0.5, "y": 0.5}})
    caller = Caller(requester, "token")
    assert (await add_mark(services, caller, row.id, letter.id, arrow, None)).page == 1
    (tmp_path / key).write_bytes((tmp_path / key).read_bytes()[:-1])
    with pytest.raises(Problem, match="stored_file_differs"):
        await add_mark(services, caller, row.id, letter.id, arrow, None)
    (tmp_path / key).unlink()
    with pytest.raises(Problem, match="stored_file_missing"):
        await add_mark(services, caller, row.id, letter.id, arrow, None)
    await one.close()


# An id that comes again


async def test_a_request_that_is_begun_again_under_its_id_has_another_key(sealed: Database, tmp_path: Path) -> None:
    """What a process that knew the first one stores for the second, everybody reads."""
    store = DocumentStore(tmp_path.as_uri(), sealed)
    async with sealed.session() as session:
        scene = await set_scene(session)
        request_id = (await make_draft(session, scene)).id
    before, again = attachment_key(request_id, new_id()), attachment_key(request_id, new_id())
    await store.put_new(before, b"a photo")
    async with sealed.session() as session:
        await requests.remove_draft(session, request_id, expected_version=None)
        await make_draft(session, scene, request_id=request_id)
    await store.put_new(again, b"another photo")
    for each in (store, DocumentStore(tmp_path.as_uri(), sealed)):
        assert await each.get(again) == b"another photo"
    with pytest.raises(ContentConflictError):
        await store.put_new(before, b"a photo")  # what lies there nobody can open


async def an_upload(database: Database, scene: Scene, request_id: uuid.UUID, upload_id: uuid.UUID) -> Upload:
    """Begun now."""
    async with database.session() as session:
        return await uploads.begin_upload(
            session,
            upload_id=upload_id,
            request_id=request_id,
            account_id=scene.accounts["requester"].id,
            length=6,
            description="",
            slot="photos",
            filename="photo.jpg",
            now=datetime.now(UTC),
        )


async def test_an_upload_that_is_begun_again_under_its_id_has_another_key(sealed: Database, tmp_path: Path) -> None:
    """A part that was stored for the first one is not counted for the second."""
    store, upload_id = DocumentStore(tmp_path.as_uri(), sealed), new_id()
    async with sealed.session() as session:
        scene = await set_scene(session)
        request_id = (await make_draft(session, scene)).id
    first = await an_upload(sealed, scene, request_id, upload_id)
    late = uploads.new_part_key(first)
    await store.put_new(late, b"abc")
    async with sealed.session() as session:
        await uploads.end_upload(session, upload_id, datetime.now(UTC))
        await uploads.forget_upload(session, upload_id, datetime.now(UTC))
    second = await an_upload(sealed, scene, request_id, upload_id)
    async with sealed.session() as session:
        with pytest.raises(StaleVersionError):
            await uploads.add_part(session, first, late, 3, datetime.now(UTC))
    part = uploads.new_part_key(second)
    await store.put_new(part, b"abc")
    async with sealed.session() as session:
        assert (await uploads.add_part(session, second, part, 3, datetime.now(UTC))).parts == [part]
    assert await DocumentStore(tmp_path.as_uri(), sealed).get(part) == b"abc"


async def test_a_file_for_a_draft_that_was_removed_is_none_of_the_next_under_its_id(
    sealed: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removed and begun again between the moment when it was stored and that when it is written down."""
    store = DocumentStore(tmp_path.as_uri(), sealed)
    offerings = load_offerings(Settings().offerings_dir)
    services = replace(services_of(sealed, store), offerings=offerings)
    async with sealed.session() as session:
        scene = await set_scene(session)
        row = await make_draft(session, scene)
        await put_in_force(session, Settings().offerings_dir, offerings, NOW)
    place = NewPlace(row, new_id(), None, NOW)
    sent = SentFile(io.BytesIO(b"a photo"), "photo.jpg", "")
    found = Media("photo", "image/jpeg", 9, 9, b"preview", b"thumbnail", None, None, None)
    lock = requests.lock_request

    async def after_it_came_again(session: AsyncSession, request_id: uuid.UUID) -> RequestRecord:
        monkeypatch.setattr(requests, "lock_request", lock)
        async with sealed.session() as other:
            await requests.remove_draft(other, request_id, expected_version=None)
            await make_draft(other, scene, request_id=request_id, now=NOW + timedelta(minutes=1))
        return await lock(session, request_id)

    monkeypatch.setattr(requests, "lock_request", after_it_came_again)
    with pytest.raises(NotFoundError):
        await keep_examined(services, Caller(scene.accounts["requester"], "token"), place, sent, found)
    async with sealed.session() as session:
        assert await attachments.list_attachments(session, row.id) == []


async def test_the_copy_of_a_video_is_none_of_the_next_under_its_id(sealed: Database) -> None:
    async with sealed.session() as session:
        scene = await set_scene(session)
        request_id = (await make_draft(session, scene)).id
        video = await an_attachment(session, scene, request_id, kind="video")
        for uploaded_at, is_its_own in ((NOW - timedelta(minutes=1), False), (NOW, True)):
            noted = await attachments.note_playable(
                session, request_id, video.id, uploaded_at=uploaded_at, playable_key="x", duration_seconds=1.0
            )
            assert noted is is_its_own


async def attended(work: Coroutine[Any, Any, T]) -> T:
    """Nobody goes away here."""
    return await work


async def test_what_is_read_while_its_draft_is_removed_is_not_found(
    sealed: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key goes a moment before its files: that is no fault of theirs."""
    store = DocumentStore(tmp_path.as_uri(), sealed)
    services = services_of(sealed, store)
    async with sealed.session() as session:
        scene = await set_scene(session)
        row = await make_draft(session, scene)
        key = attachment_key(row.id, new_id())
        there = await an_attachment(session, scene, row.id, object_key=key)
    await store.put_new(key, b"a photo")
    upload = await an_upload(sealed, scene, row.id, new_id())
    part = uploads.new_part_key(upload)
    await store.put_new(part, b"abcdef")
    async with sealed.session() as session:
        upload = await uploads.add_part(session, upload, part, 6, datetime.now(UTC))
    fresh = replace(services, store=DocumentStore(tmp_path.as_uri(), sealed))
    compare = fresh.store.compare

    async def removed_before(*args: Any, **more: Any) -> int:
        async with sealed.session() as session:
            await requests.remove_draft(session, row.id, expected_version=None)
        return await compare(*args, **more)

    monkeypatch.setattr(fresh.store, "compare", removed_before)
    caller = Caller(scene.accounts["requester"], "token")
    with pytest.raises(Problem, match="not_found"):
        await renditions.original(renditions.Look(fresh, caller, row.id, there.id, attended))
    with pytest.raises(Problem, match="not_found"):
        await receiving.progress(fresh, caller, receiving.OwnUpload(row, upload), attended)


async def test_with_a_draft_the_keys_of_its_uploads_go(sealed: Database, tmp_path: Path) -> None:
    async with sealed.session() as session:
        scene = await set_scene(session)
        request_id = (await make_draft(session, scene)).id
    upload = await an_upload(sealed, scene, request_id, new_id())
    await DocumentStore(tmp_path.as_uri(), sealed).put_new(uploads.new_part_key(upload), b"abc")
    async with sealed.session() as session:
        await requests.remove_draft(session, request_id, expected_version=None)
        assert list(await session.scalars(select(DataKey.owner_id))) == [data_keys.HOUSE]


# The inventory


def test_every_column_that_can_hold_words_is_sealed_or_says_why_not() -> None:
    """A new one is to be sealed (`records.sealed`), or listed with the reason (`records/clear_columns.py`)."""
    can_hold_words = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, Text | JSONB | ARRAY) or hasattr(column.type, "at")
    }
    sealed = {kind.at for of in SEALED_MODELS for kind in sealed_columns(of).values()}
    assert can_hold_words - sealed == set(CLEAR)
    assert not sealed & set(CLEAR)
    assert all(reason for reason in CLEAR.values())
    assert table_of(DataKey).name in {name.split(".")[0] for name in CLEAR}
    assert sum(len(names) for names in LISTS.values()) == len(CLEAR), "each stands once"


def test_sealed_columns_say_where_they_stand() -> None:
    for of in SEALED_MODELS:
        table = table_of(of)
        for name, kind in sealed_columns(of).items():
            assert kind.at == f"{table.name}.{name}"
            assert kind.row == tuple(column.name for column in table.primary_key)
