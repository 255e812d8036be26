"""What Alembic runs to apply migrations: on the connection it is given, or on the database of the settings."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from records.database import Database
from records.models import Base
from settings import get_settings


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


async def migrate_the_database_of_the_settings() -> None:
    async with (
        Database.opened(get_settings(), application_name="relais migrations") as database,
        database.engine.connect() as connection,
    ):
        await connection.run_sync(migrate)


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    asyncio.run(migrate_the_database_of_the_settings())
