"""Bring the database's schema to the version of this code, and check that it is there."""

import asyncio
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from records.errors import OldSchemaError, SchemaError
from records.trouble import away_named

MIGRATION_LOCK = 0x52454C414953  # "RELAIS": the advisory lock that lets one migration run at a time


async def upgrade(url: str) -> None:
    """Apply what is missing, in one transaction. Several processes may do so at once: all but the first wait and find it done.

    Raises DatabaseAwayError.
    """
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": 10})
    try:
        with away_named():
            async with engine.connect():
                pass
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def check_schema(session: AsyncSession) -> None:
    """Raise SchemaError unless the schema is exactly the one that this code was made for; OldSchemaError if a migration helps."""
    known = await asyncio.to_thread(_known_revisions)
    try:
        async with session.begin_nested():
            found = await session.scalar(text("SELECT version_num FROM alembic_version"))
    except ProgrammingError as error:
        raise OldSchemaError("the database has no schema of Relais yet: run `relais migrate`") from error
    if found == known[0]:
        return
    if found in known:
        raise OldSchemaError(f"the schema is older than the code ({found}, not {known[0]}): run `relais migrate`")
    raise SchemaError(f"the schema is newer than the code ({found}, not {known[0]}): run the newer Relais")


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    return Config(Path(__file__).with_name("migrations") / "alembic.ini")


@cache
def _known_revisions() -> tuple[str, ...]:
    """All revisions, the newest first."""
    return tuple(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())
