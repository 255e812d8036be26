"""The second wall: the account of the API opens what is of the clinic for which it works, whatever a query asks for."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextvars import copy_context
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from key_ring import KeyRing
from records import communications, data_keys, grants, incidents, partners, requests, uploads
from records.acting import act_for, acting_clinic
from records.data_keys import DATA_KEYS, HOUSE, DataKeys
from records.database import Database
from records.errors import ContentDiffersError, KeyGoneError
from records.ids import new_id
from records.models import FROZEN_TABLES, CommunicationRecord, IncidentVersion, PartnerMessage, RequestRecord
from records.store import DocumentStore, attachment_key, register_key
from settings import Settings, SettingsError
from tests.conftest import MakeDatabase
from tests.records.scenes import NOW, SHA, Scene, make_draft, set_scene
from tests.system import api_account

RING = {"only": bytes(32)}


@pytest.fixture(autouse=True)
def nobody_calls() -> None:
    """Tests before this one may have called in this very context."""
    act_for(None)


@pytest.fixture
async def owner(make_database: MakeDatabase, migrated_template: str) -> AsyncIterator[Database]:
    """The records as workers and the command line come to them."""
    database = Database(await make_database(migrated_template), data_keys=DataKeys(KeyRing(RING)))
    async with database.session() as session:
        await data_keys.begin(session)
    yield database
    await database.close()


@pytest.fixture
async def api(owner: Database) -> AsyncIterator[Database]:
    """The same records as the API comes to them, by one connection that everybody shares."""
    database = Database(api_account(owner.url), pool_size=1, data_keys=DataKeys(KeyRing(RING)))
    yield database
    await database.close()


@pytest.fixture
async def scene(owner: Database) -> Scene:
    async with owner.session() as session:
        return await set_scene(session)


@pytest.fixture
async def request_id(owner: Database, scene: Scene) -> uuid.UUID:
    async with owner.session() as session:
        return (await make_draft(session, scene)).id


async def form_of(session: AsyncSession, request_id: uuid.UUID) -> Any:
    return await session.scalar(select(RequestRecord.form).where(RequestRecord.id == request_id))


async def owners(session: AsyncSession) -> set[uuid.UUID]:
    return set(await session.scalars(select(DATA_KEYS.c.owner_id)))


async def test_nothing_is_opened_while_nobody_has_said_whose_call_it_is(api: Database, request_id: uuid.UUID) -> None:
    assert acting_clinic() is None
    async with api.session() as session:
        assert await owners(session) == {HOUSE}
        with pytest.raises(KeyGoneError):
            await form_of(session, request_id)


async def test_a_clinic_opens_what_it_has_to_do_with_and_nothing_else(
    api: Database, owner: Database, scene: Scene, request_id: uuid.UUID
) -> None:
    act_for(scene.home.id)
    async with api.session() as session:
        assert await owners(session) == {HOUSE, request_id}
        assert (await form_of(session, request_id))["patient"]["family_name"] == "Tremblay"
    act_for(scene.far.id)
    async with api.session() as session:
        assert await owners(session) == {HOUSE}
        with pytest.raises(KeyGoneError):
            await form_of(session, request_id)
    async with owner.session() as session:  # whoever comes as the owner works for nobody in particular
        assert await owners(session) == {HOUSE, request_id}
        assert (await form_of(session, request_id))["patient"]["family_name"] == "Tremblay"


async def test_a_connection_remembers_no_clinic_for_the_next_who_uses_it(
    api: Database, scene: Scene, request_id: uuid.UUID
) -> None:
    def seen_by(clinic_id: uuid.UUID) -> Any:
        async def seen() -> set[uuid.UUID]:
            act_for(clinic_id)
            async with api.session() as session:
                return await owners(session)

        return seen

    task = partial(asyncio.get_running_loop().create_task, context=copy_context())
    assert await task(seen_by(scene.home.id)()) == {HOUSE, request_id}
    assert acting_clinic() is None
    async with api.session() as session:  # the setting is '' here, which is no id, and no error either
        assert await session.scalar(text("SELECT current_setting('relais.clinic', true)")) == ""
        assert await owners(session) == {HOUSE}
    async with api.statement() as session:
        assert await owners(session) == {HOUSE}


async def test_a_call_that_another_begins_is_of_the_same_clinic(
    api: Database, scene: Scene, request_id: uuid.UUID
) -> None:
    async def later() -> set[uuid.UUID]:
        async with api.session() as session:
            return await owners(session)

    act_for(scene.home.id)
    assert await asyncio.create_task(later()) == {HOUSE, request_id}


async def test_keys_are_made_for_a_clinic_and_not_for_another(
    api: Database, owner: Database, scene: Scene, request_id: uuid.UUID
) -> None:
    async with api.session() as session:
        with pytest.raises(DBAPIError, match="row-level security"):
            await data_keys.key_of(session, new_id(), to_write=True)
        await session.rollback()
    act_for(scene.home.id)
    async with api.session() as session:
        made = await make_draft(session, scene)
    async with owner.session() as session:
        assert (await form_of(session, made.id))["patient"]["family_name"] == "Tremblay"
    act_for(scene.far.id)
    async with api.session() as session:
        with pytest.raises(KeyGoneError):
            await data_keys.key_of(session, request_id, to_write=True)


async def test_nobody_destroys_what_another_clinic_has(
    api: Database, owner: Database, scene: Scene, request_id: uuid.UUID
) -> None:
    for clinic, left in ((scene.far, {HOUSE, request_id}), (scene.home, {HOUSE})):
        act_for(clinic.id)
        async with api.session() as session:
            await data_keys.destroy(session, request_id)
        async with owner.session() as session:
            assert await owners(session) == left


async def test_a_draft_goes_with_its_keys(api: Database, owner: Database, scene: Scene, request_id: uuid.UUID) -> None:
    """They are destroyed while the rows still say whose they are."""
    act_for(scene.home.id)
    upload_id = new_id()
    async with api.session() as session:
        await uploads.begin_upload(
            session,
            upload_id=upload_id,
            request_id=request_id,
            slot="photos",
            filename="photo.jpg",
            description="",
            length=1,
            account_id=scene.accounts["requester"].id,
            now=NOW,
        )
        await data_keys.key_of(session, upload_id, to_write=True)
    async with owner.session() as session:
        assert await owners(session) == {HOUSE, request_id, upload_id}
    async with api.session() as session:
        await requests.remove_draft(session, request_id, expected_version=None)
    async with owner.session() as session:
        assert await owners(session) == {HOUSE}


async def test_a_file_is_opened_for_its_clinics_also_after_another_has_opened_it(
    api: Database, owner: Database, scene: Scene, request_id: uuid.UUID, tmp_path: Any
) -> None:
    store = DocumentStore.from_settings(Settings(document_store=tmp_path.as_uri()), api)
    key = attachment_key(request_id, new_id())
    act_for(scene.home.id)
    await store.put_new(key, b"a photo")
    assert b"".join([part async for part in store.stream(key)]) == b"a photo"
    act_for(scene.far.id)
    with pytest.raises(ContentDiffersError):
        [part async for part in store.stream(key)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE data_keys SET sealed_key = ''",
        "TRUNCATE data_keys",
        "ALTER TABLE data_keys DISABLE ROW LEVEL SECURITY",
        "DROP POLICY opened_by_its_clinics ON data_keys",
        "SET ROLE relais",
        "CREATE TABLE loot (x int)",
        "INSERT INTO audit_checkpoints DEFAULT VALUES",
        "UPDATE alembic_version SET version_num = '0001'",
        "ALTER TABLE audit_entries DISABLE TRIGGER frozen",
        *(f"DELETE FROM {table}" for table in FROZEN_TABLES),  # noqa: S608
    ],
)
async def test_the_account_of_the_api_changes_neither_walls_nor_what_is_frozen(api: Database, statement: str) -> None:
    async with api.session() as session:
        with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
            await session.execute(text(statement))
        await session.rollback()


async def test_no_function_and_no_view_is_a_way_around(owner: Database) -> None:
    async with owner.session() as session:
        lends = text("SELECT proname, proconfig FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace")
        assert [tuple(row) for row in await session.execute(lends)] == [
            ("ring_keys_in_use", ["search_path=public, pg_temp"])
        ]
        views = text(
            "SELECT relname FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace = 'public'::regnamespace "
            "AND NOT coalesce('security_invoker=true' = ANY (reloptions), false)"
        )
        assert list(await session.scalars(views)) == []


async def test_every_table_is_the_apis_as_the_list_says(api: Database) -> None:
    async with api.session() as session:
        rights = text(
            "SELECT c.relname, string_agg(p, ', ' ORDER BY n) FROM pg_class AS c, "
            "unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) WITH ORDINALITY AS p (p, n) "
            "WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND has_table_privilege(c.oid, p) GROUP BY 1"
        )
        assert {name: given for name, given in await session.execute(rights)} == grants.RIGHTS  # noqa: C416


async def test_an_account_that_would_see_all_is_refused(owner: Database) -> None:
    for name in ("relais", "nobody_we_know"):
        async with owner.session() as session:
            with pytest.raises(SettingsError, match="RELAIS_API_DATABASE_URL"):
                await grants.let_in(session, owner.url.replace("//relais@", f"//{name}@"))


async def test_what_a_partner_has_sent_is_opened_for_its_clinic(api: Database, owner: Database, scene: Scene) -> None:
    act_for(scene.home.id)
    message_id = new_id()
    async with api.session() as session:
        await data_keys.key_of(session, message_id, to_write=True)
        await partners.add_message(
            session,
            PartnerMessage(
                id=message_id,
                partner_id=scene.accounts["requester"].id,
                received_at=NOW,
                content_sha256=SHA,
                object_key="messages/m",
                refused=False,
                tries=0,
            ),
        )
    async with api.session() as session:
        assert message_id in await owners(session)
    act_for(scene.far.id)
    async with api.session() as session:
        assert message_id not in await owners(session)


async def test_registers_are_opened_for_the_clinic_whose_they_are(
    api: Database, owner: Database, scene: Scene, tmp_path: Any
) -> None:
    """An incident, what was entered by hand, and a paper, which is read where a worker has stored it."""
    act_for(scene.home.id)
    by = scene.accounts["dispatcher"].id
    async with api.session() as session:
        incident = await incidents.record_incident(
            session, scene.home.id, {"text": "télécopieur"}, written_by=by, now=NOW, creation_key=None
        )
        await incidents.add_version(session, incident.id, 2, {"text": "la suite"}, written_by=by, now=NOW)
        entry = await communications.enter(
            session,
            scene.home.id,
            {"text": "sur papier"},
            given_on=NOW.date(),
            request_id=None,
            replaces=None,
            written_by=by,
            now=NOW,
            creation_key=None,
        )
        mine = {incident.id, entry.id}
    paper = register_key(scene.home.id, new_id())
    settings = Settings(document_store=tmp_path.as_uri())
    await DocumentStore.from_settings(settings, owner).put_new(paper, b"a register")
    written = select(IncidentVersion.content).where(IncidentVersion.incident_id == incident.id)
    entered = select(CommunicationRecord.content).where(CommunicationRecord.id == entry.id)
    store = DocumentStore.from_settings(settings, api)
    async with api.session() as session:
        assert await owners(session) == {HOUSE, scene.home.id, *mine}
        assert [one["text"] for one in await session.scalars(written)] == ["télécopieur", "la suite"]
        assert await session.scalar(entered) == {"text": "sur papier"}
    assert await store.get(paper) == b"a register"
    act_for(scene.far.id)
    async with api.session() as session:
        assert await owners(session) == {HOUSE}
        for query in (written, entered):
            with pytest.raises(KeyGoneError):
                await session.scalar(query)
    with pytest.raises(ContentDiffersError):
        await store.get(paper)
    act_for(scene.home.id)
    async with api.session() as session:  # what a register has is destroyed by nobody who comes by the API
        await data_keys.destroy(session, scene.home.id, *mine)
    async with owner.session() as session:
        assert await owners(session) == {HOUSE, scene.home.id, *mine}
