"""Bring the database's schema to the version of this code. `records.schema` checks that it is there."""

import asyncio
import uuid
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, NullPool, exists, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from key_ring import NO_RING, EncryptionError
from records import data_keys, grants
from records.database import Database
from records.models import RequestRecord
from records.patient_words import fill_words
from records.references import Place, hash_anew
from records.trouble import away_named
from settings import Settings

NIL = uuid.UUID(int=0)
FILLED_AT_ONCE = 500
ASKED_AGAIN_SECONDS = 0.2

MIGRATION_LOCK = 0x52454C414953  # "RELAIS": the advisory lock that lets one migration run at a time


async def bring_up_to_date(settings: Settings) -> None:
    """Apply what is missing, and hash words of patients and references where the present key has not hashed them yet.

    An installation that has no request yet seals its records from the first on; so does the embedded mode, of which all processes
    are of this version.
    The keys of what is sealed are wrapped anew where the ring has another first key than they know.

    Raises DatabaseAwayError, SettingsError when the settings name no database, or for the API an account that won't do, and
    EncryptionError when there is no key ring, or not that with which the records are sealed.
    """
    if settings.encryption_keys is None:
        raise EncryptionError(NO_RING)
    async with Database.opened(settings, application_name="relais migrations") as database:
        await upgrade(database.url)
        async with database.session() as session:
            if settings.api_database_url is not None:
                await grants.let_in(session, settings.api_database_url.get_secret_value())
            await data_keys.check_ring(session)
            if settings.embedded or not await session.scalar(select(exists(RequestRecord))):
                await data_keys.begin(session)
            wraps_anew = await data_keys.has_begun(session)
        shut: set[uuid.UUID] = set()
        while wraps_anew:
            async with database.session() as session:
                wraps_anew = bool(await data_keys.wrap_anew(session, FILLED_AT_ONCE, shut))
        last: uuid.UUID | None = NIL
        while last is not None:
            async with database.session() as session:
                last = await fill_words(session, last, FILLED_AT_ONCE)
        place: Place | None = (NIL, NIL)
        while place is not None:
            async with database.session() as session:
                place = await hash_anew(session, place, FILLED_AT_ONCE)


async def upgrade(url: str) -> None:
    """Apply what is missing, each migration in a transaction of its own, but for large work that goes on beside others.

    Several processes may do so at once: all but the first wait and find it done.

    Raises DatabaseAwayError.
    """
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": 10})
    try:
        with away_named():
            async with engine.connect():
                pass
        async with engine.connect() as connection:
            await _be_alone(connection)
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def _be_alone(connection: AsyncConnection) -> None:
    """Until the connection ends. No statement waits for the lock: an index that is made beside others waits for every statement
    that began before it, and the two would wait for each other.
    """
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": MIGRATION_LOCK}):
        await connection.rollback()
        await asyncio.sleep(ASKED_AGAIN_SECONDS)
    await connection.commit()


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    return Config(Path(__file__).with_name("migrations") / "alembic.ini")
