"""The migrations make exactly the tables of the models, at whatever number of processes, and once."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import AccountEventKind
from domain.messages import MessageEvent
from domain.told_partners import Authorization, Documents, MessageState
from domain.webhooks import EndpointState
from records import account_events, migrate, requests, schema, service_accounts, service_keys, webhooks
from records.account_events import Hand
from records.database import Database
from records.errors import SchemaError
from records.ids import new_id
from records.models import (
    FROZEN_TABLES,
    Base,
    Participant,
    PartnerEndpoint,
    PatientWord,
    ServiceKey,
    ServiceSecret,
    Side,
    ToldMessage,
    WebhookEndpoint,
)
from records.projection import record_event
from settings import Settings
from tests.conftest import MakeDatabase
from tests.eventually import eventually
from tests.records.scenes import make_draft, random_story, set_scene


@pytest.mark.filterwarnings(
    "ignore:Can't validate argument 'dialect_options'"
)  # a constraint that is read as NOT VALID
async def test_migrated_schema_is_that_of_the_models(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


def test_the_known_revisions_are_those_of_the_migrations_in_their_order() -> None:
    known = tuple(script.revision for script in ScriptDirectory.from_config(migrate._config()).walk_revisions())
    assert schema._known_revisions() == known


async def test_two_migrations_at_once(make_database: MakeDatabase) -> None:
    url = await make_database(None)
    await asyncio.gather(*(migrate.upgrade(url) for _ in range(3)))
    database = Database(url)
    async with database.session() as session:
        await schema.check_schema(session)
    await database.close()


THE_INDEXES = "0053"
SCANS = "0059"
BESIDE_PARTICIPANTS = "0065"
PARTNERS = "0071"


async def taken_back(database: Database, broken_off: str = THE_INDEXES) -> None:
    """The schema as it was when that migration had been broken off: nothing newer is there."""

    def downgrade(connection: Connection) -> None:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.downgrade(config, broken_off)

    before = ScriptDirectory.from_config(migrate._config()).get_revision(broken_off).down_revision
    async with database.engine.connect() as connection:
        await connection.run_sync(downgrade)
    async with database.session() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = :before"), {"before": before})


async def test_the_migration_of_scans_is_done_again_where_it_was_broken_off(
    make_database: MakeDatabase, migrated_template: str
) -> None:
    """Its columns are there then, and its index is not, or is not whole."""
    url = await make_database(migrated_template)
    database = Database(url)

    def indexes(connection: Connection) -> set[str | None]:
        return {index["name"] for index in inspect(connection).get_indexes("attachments")}

    await taken_back(database, SCANS)
    async with database.session() as session:
        await session.execute(text("DROP INDEX ix_attachments_scan"))
    await migrate.upgrade(url)
    async with database.engine.connect() as connection:
        assert "ix_attachments_scan" in await connection.run_sync(indexes)
    await database.close()


async def test_who_gave_what_lets_systems_in_is_taken_from_the_events(
    make_database: MakeDatabase, migrated_template: str
) -> None:
    """Of the same moment; of a webhook, who said the address that it has."""
    url = await make_database(migrated_template)
    database, now = Database(url), datetime.now(UTC)
    async with database.session() as session:
        scene = await set_scene(session)
        one, other = scene.accounts["administrator"], scene.accounts["colleague"]
        of_system: dict[str, Any] = {
            "purpose": "",
            "scopes": [],
            "language": "fr",
            "expires_at": now + timedelta(days=9),
        }
        system = await service_accounts.add(session, clinic_id=scene.far.id, name="S", now=now, **of_system)
        account_id = system.account.id
        for index, (hand, kind) in enumerate(((one, "secret_added"), (other, "key_added"))):
            at = now + timedelta(seconds=index)
            account_events.note(session, AccountEventKind(kind), system.account, Hand(hand.id, Side.API), at)
        secret: dict[str, Any] = {"sha256": "a", "ending": "a", "given_by": None}
        await service_accounts.add_secret(session, account_id, now=now, **secret)
        await service_accounts.add_secret(session, account_id, now=now + timedelta(days=1), **{**secret, "sha256": "b"})
        key: dict[str, Any] = {"kid": "k", "algorithm": "ES384", "public_key": {}, "given_by": None}
        await service_keys.add_key(session, account_id, now=now + timedelta(seconds=1), **key)
        for host, hands in (("one.test", [one]), ("two.test", [one, other]), ("three.test", [])):
            said: dict[str, Any] = {"types": [], "description": "", "sealed_secret": "", "given_by": None}
            of: dict[str, Any] = {"endpoint_id": new_id(), "clinic_id": scene.far.id}
            await webhooks.add(session, url=f"https://{host}/in", now=now, **of, **said)
            for index, hand in enumerate(hands):
                kind = AccountEventKind.WEBHOOK_CHANGED if index else AccountEventKind.WEBHOOK_ADDED
                changes = {"webhook": [None, host], **({"url": None} if index else {})}
                at = now + timedelta(seconds=index)
                account_events.note(session, kind, scene.far, Hand(hand.id, Side.API), at, changes)
        ids = one.id, other.id
    await taken_back(database, "0067")
    await migrate.upgrade(url)
    async with database.session() as session:
        secrets = await session.scalars(select(ServiceSecret.given_by).order_by(ServiceSecret.sha256))
        keys = await session.scalars(select(ServiceKey.given_by))
        endpoints = await session.scalars(select(WebhookEndpoint.given_by).order_by(WebhookEndpoint.id))
        assert (secrets.all(), keys.all()) == ([ids[0], None], [ids[1]])
        assert endpoints.all() == [*ids, None]
    await database.close()


async def test_what_failed_before_partners_were_asked_is_told_to_nobody(
    make_database: MakeDatabase, migrated_template: str
) -> None:
    """And who said where a partner is, is taken from the events; also where the migration was broken off."""
    url = await make_database(migrated_template)
    database, now = Database(url), datetime.now(UTC)
    async with database.session() as session:
        scene = await set_scene(session)
        one, other = scene.accounts["administrator"], scene.accounts["colleague"]
        of_system: dict[str, Any] = {"purpose": "", "scopes": [], "language": "fr", "expires_at": now}
        row = await make_draft(session, scene)
        for name, hands in (("A", [one, other]), ("B", [])):
            system = await service_accounts.add(session, clinic_id=scene.far.id, name=name, now=now, **of_system)
            for hand, terms in zip(hands, ("documents, url", "secret, token_url"), strict=False):
                changes = {"endpoint": [None, "p.test"], "endpoint_terms": [None, terms]}
                by = Hand(hand.id, Side.API)
                account_events.note(session, AccountEventKind.CHANGED, system.account, by, now, changes)
            endpoint = PartnerEndpoint(account_id=system.account.id, url="https://p.test/in", version=new_id())
            endpoint.documents, endpoint.authorization = Documents.INSIDE, Authorization.SIGNATURE
            endpoint.state, endpoint.sealed_secret = EndpointState.ACTIVE, ""
            session.add(endpoint)
            for part, state in enumerate((MessageState.FAILED, MessageState.PENDING)):
                message = ToldMessage(id=new_id(), partner_id=system.account.id, request_id=row.id, part=part)
                message.sequence, message.version, message.event = int(name, 16), 1, MessageEvent.UPDATE_PROCESS
                message.at, message.next_attempt, message.state = now, now, state
                session.add(message)
            await session.flush()
        id_ = one.id
    await taken_back(database, PARTNERS)
    await migrate.upgrade(url)
    async with database.session() as session:
        endpoints = await session.scalars(select(PartnerEndpoint.given_by).order_by(PartnerEndpoint.account_id))
        told = await session.execute(select(ToldMessage.state, ToldMessage.people_told_at.is_not(None)).distinct())
        assert (endpoints.all(), dict(told.tuples().all())) == (
            [id_, None],
            {MessageState.FAILED: True, MessageState.PENDING: False},
        )
    await database.close()


async def test_indexes_are_made_while_requests_are_written(make_database: MakeDatabase, migrated_template: str) -> None:
    """The migration waits for whoever began before it, and nobody waits for the migration."""
    url = await make_database(migrated_template)
    database = Database(url)
    async with database.session() as session:
        scene = await set_scene(session)
        one, other = [await make_draft(session, scene) for _ in range(2)]
        await session.execute(text("DROP INDEX ix_requests_by_submission"))
    await taken_back(database)
    write = text("UPDATE requests SET edits = edits + 1 WHERE id = :id")
    async with database.session() as earlier:
        await earlier.execute(write, {"id": one.id})
        migration = asyncio.create_task(migrate.upgrade(url))
        await eventually(lambda: _makes_an_index(database))
        async with database.session() as later:
            await later.execute(write, {"id": other.id})
        assert not migration.done()
    await migration
    async with database.session() as session:
        await schema.check_schema(session)
        assert await _is_valid(session)
    await database.close()


async def _makes_an_index(database: Database) -> bool:
    waits = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() "
        "AND query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock')"
    )
    async with database.session() as session:
        return bool(await session.scalar(text(waits)))


async def _is_valid(session: AsyncSession) -> bool:
    of_index = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_requests_by_submission'::regclass"
    return bool(await session.scalar(text(of_index)))


async def test_a_migration_that_was_broken_off_is_taken_up_again(
    make_database: MakeDatabase, migrated_template: str
) -> None:
    """An index that was not finished is made anew, and what is there is noted, whatever was done of it before."""
    url = await make_database(migrated_template)
    database = Database(url)
    chance = random.Random(7)  # noqa: S311
    async with database.session() as session:
        scene = await set_scene(session)
        story = random_story(scene, requests.process_of(await make_draft(session, scene)), chance, 6)
        for event, request in story.steps:
            await record_event(session, event, request)
        await session.execute(text("UPDATE request_participants SET asked = false"))
        await session.execute(
            text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_requests_by_submission'::regclass")
        )
    await taken_back(database)
    await migrate.upgrade(url)
    async with database.session() as session:
        assert await _is_valid(session)
        noted = await session.execute(select(Participant.account_id, Participant.asked))
        assert {account_id for account_id, asked in noted if asked} == {scene.accounts["requester"].id}
    await database.close()


async def test_what_stands_beside_participants_is_noted_however_far_a_try_had_come(
    make_database: MakeDatabase, migrated_template: str
) -> None:
    """Some rows were not noted, nor is it known of all yet; the new index has not taken the place of the old one."""
    index = "ix_request_participants_acted_on_by_due"
    url = await make_database(migrated_template)
    database = Database(url)
    chance = random.Random(11)  # noqa: S311
    there = select(Participant.holder_id, Participant.ours).order_by(Participant.request_id, Participant.account_id)
    async with database.session() as session:
        scene = await set_scene(session)
        for length in (1, 2, 3, 4, 6, 8, 12):
            draft = requests.process_of(await make_draft(session, scene))
            for event, request in random_story(scene, draft, chance, length).steps:
                await record_event(session, event, request)
        before = (await session.execute(there)).all()
        assert len(set(before)) > 2
    await taken_back(database, BESIDE_PARTICIPANTS)
    async with database.session() as session:
        for change in (
            "ALTER TABLE request_participants ALTER COLUMN ours DROP NOT NULL",
            "UPDATE request_participants SET ours = NULL, holder_id = NULL WHERE NOT asked",
            "ALTER TABLE request_participants ADD CONSTRAINT ck_request_participants_ours CHECK (ours IS NOT NULL) NOT VALID",
            f"ALTER INDEX {index} RENAME TO {index}_new",
        ):
            await session.execute(text(change))
    await migrate.upgrade(url)
    async with database.session() as session:
        assert (await session.execute(there)).all() == before
    async with database.engine.connect() as connection:
        found = await connection.run_sync(lambda of: inspect(of).get_indexes("request_participants"))
        assert [one["dialect_options"]["postgresql_include"] for one in found if one["name"] == index] == [
            ["ours", "holder_id"]
        ]
        assert f"{index}_new" not in {one["name"] for one in found}
    await database.close()


async def test_a_migration_keeps_the_words_of_the_requests_that_are_there(
    make_database: MakeDatabase, migrated_template: str
) -> None:
    url = await make_database(migrated_template)
    without = Database(url)
    async with without.session() as session:
        rows = [await make_draft(session, await set_scene(session)) for _ in range(3)]
    await without.close()
    settings = Settings(database_url=SecretStr(url), encryption_keys=SecretStr(f"new:{'A' * 43}=,old:{'B' * 43}="))
    for _ in range(2):
        await migrate.bring_up_to_date(settings)
    async with Database.opened(settings) as database, database.session() as session:
        kept = await session.scalars(select(PatientWord.request_id).where(PatientWord.written).distinct())
        assert set(kept) == {row.id for row in rows}


async def test_a_missing_or_unknown_schema_is_named(make_database: MakeDatabase, migrated_template: str) -> None:
    empty, newer = Database(await make_database(None)), Database(await make_database(migrated_template))
    async with empty.session() as session:
        with pytest.raises(SchemaError, match="no schema"):
            await schema.check_schema(session)
    async with newer.session() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = 'from the future'"))
        with pytest.raises(SchemaError, match="newer"):
            await schema.check_schema(session)
    await empty.close()
    await newer.close()


@pytest.mark.parametrize("table", FROZEN_TABLES)
@pytest.mark.parametrize("change", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "TRUNCATE {0} CASCADE"])
async def test_frozen_tables_refuse_every_change(database: Database, table: str, change: str) -> None:
    column = next(iter(Base.metadata.tables[table].primary_key)).name
    async with database.engine.connect() as connection:
        with pytest.raises(DBAPIError, match="never change"):
            await connection.execute(text(change.format(table, column)))
