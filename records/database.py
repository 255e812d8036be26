"""The connection to PostgreSQL (15 or newer): one `Database` per process, one session per transaction."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Self

from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from records.errors import NotOpenError, OldSchemaError
from records.migrate import check_schema
from records.trouble import DATABASE_ERRORS
from settings import Settings, SettingsError
from waiting import until_there

STATEMENT_TIMEOUT_SECONDS = 30
LOCK_TIMEOUT_SECONDS = 10
IDLE_TRANSACTION_TIMEOUT_SECONDS = 60
CONNECT_TIMEOUT_SECONDS = 10
POOL_TIMEOUT_SECONDS = 10


Prepare = Callable[[AsyncSession], Awaitable[None]]
"""What is done once with the records before anything else."""


class Database:
    """The pool of connections of one process. Make one inside the running event loop, and close it at the end."""

    def __init__(self, url: str, *, pool_size: int = 10, application_name: str = "relais") -> None:
        self.url = url
        self.engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_TIMEOUT_SECONDS,
            hide_parameters=True,  # an error's text must not carry the chart into a log
            pool_pre_ping=True,  # a server that was restarted costs one round trip and no failed request
            connect_args=connect_arguments(application_name),
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self._closed_because: str | None = None

    @classmethod
    def from_settings(cls, settings: Settings, *, application_name: str = "relais") -> Self:
        """The database that the settings name. Raises SettingsError when they name none."""
        if settings.database_url is None:
            raise SettingsError("RELAIS_DATABASE_URL is not set: start `relais up`, or name a PostgreSQL database")
        try:
            return cls(
                settings.database_url.get_secret_value(),
                pool_size=settings.database_pool_size,
                application_name=application_name,
            )
        except (ArgumentError, ModuleNotFoundError, ValueError):  # whose texts may hold the password
            raise SettingsError(
                "RELAIS_DATABASE_URL can't be used: it must read postgresql+asyncpg://user:password@host:port/database"
            ) from None

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Settings, *, application_name: str = "relais") -> AsyncIterator[Self]:
        """The database that the settings name, closed at the end of the block. Raises SettingsError when they name none."""
        database = cls.from_settings(settings, application_name=application_name)
        try:
            yield database
        finally:
            await database.close()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """One transaction: committed at the end of the block, rolled back when the block raises.

        Raises NotOpenError before the records are known to be ours, see `open`.
        """
        if self._closed_because is not None:
            raise NotOpenError(self._closed_because)
        async with self._sessions.begin() as session:
            yield session

    @property
    def closed_because(self) -> str | None:
        """Why nobody may use the records yet; None when they may."""
        return self._closed_because

    async def open(self, prepare: Prepare | None = None) -> None:
        """Wait until the server is there and has the schema of this code, then `prepare`; until then, every session is refused.

        Raises what `prepare` raises, and SchemaError when the schema is newer than the code: waiting would not help.
        """
        self._closed_because = "nobody has seen the database yet"
        await until_there(
            "database",
            partial(self._check, prepare),
            away=(*DATABASE_ERRORS, OSError, OldSchemaError),
            within_seconds=CONNECT_TIMEOUT_SECONDS + STATEMENT_TIMEOUT_SECONDS,
        )
        self._closed_because = None

    async def _check(self, prepare: Prepare | None) -> None:
        try:
            async with self._sessions.begin() as session:
                await check_schema(session)
                if prepare is not None:
                    await prepare(session)
        except OldSchemaError as error:
            self._closed_because = str(error)
            raise

    async def close(self) -> None:
        """Give all connections back."""
        await self.engine.dispose()


def connect_arguments(application_name: str) -> dict[str, Any]:
    """What every connection of Relais asks of asyncpg and of the server: limits on all that could wait for ever."""
    return {
        "timeout": CONNECT_TIMEOUT_SECONDS,
        "command_timeout": STATEMENT_TIMEOUT_SECONDS + 5,  # for a server that has gone without a word
        "server_settings": {
            "application_name": application_name,
            "timezone": "UTC",
            "statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s",
            "lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s",
            "idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_TIMEOUT_SECONDS}s",
            "jit": "off",  # worklist queries are short; compiling them costs more than it gains
        },
    }
