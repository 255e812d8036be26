"""The connection to PostgreSQL (15 or newer): one `Database` per process, one session per transaction."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any, Self

import asyncpg
from sqlalchemy import Engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from records.acting import ActingConnection
from records.data_keys import DataKeys, check_ring, use
from records.errors import NotOpenError, OldSchemaError
from records.patient_words import IN_SESSION, SearchKeys
from records.schema import check_schema
from records.trouble import DATABASE_ERRORS
from settings import Settings, SettingsError
from waiting import until_there

STATEMENT_TIMEOUT_SECONDS = 30
LOCK_TIMEOUT_SECONDS = 10
IDLE_TRANSACTION_TIMEOUT_SECONDS = 60
CONNECT_TIMEOUT_SECONDS = 10
POOL_TIMEOUT_SECONDS = 10

TRUSTED_FOR_SECONDS = 5.0
"""So long after its last use a connection is taken for one that lives, unless the server has ended it."""


WRITTEN_IN_AUDIT = "written in the audit"
"""The name in a session's info of all that is called when its transaction, which writes into the audit, was committed."""


Prepare = Callable[[AsyncSession], Awaitable[None]]
"""What is done once with the records before anything else."""


class Database:
    """The pool of connections of one process. Make one inside the running event loop, and close it at the end."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        application_name: str = "relais",
        search_keys: SearchKeys = SearchKeys(),  # noqa: B008 - it never changes
        data_keys: DataKeys | None = None,
    ) -> None:
        self.url = url
        self.engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_TIMEOUT_SECONDS,
            hide_parameters=True,  # an error's text must not carry the chart into a log
            connect_args=connect_arguments(application_name),
        )
        use(self.engine.dialect, data_keys or DataKeys())
        _give_out_what_lives(self.engine.sync_engine)
        info = {IN_SESSION: search_keys}
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False, info=info)
        self._statements = async_sessionmaker(
            self.engine.execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False, info=info
        )
        self._closed_because: str | None = None

    @classmethod
    def from_settings(cls, settings: Settings, *, application_name: str = "relais", as_api: bool = False) -> Self:
        """The database that the settings name, `as_api` by the account that they name for the API, if they do.

        Raises SettingsError when they name none.
        """
        url = settings.api_database_url if as_api and settings.api_database_url else settings.database_url
        if url is None:
            raise SettingsError("RELAIS_DATABASE_URL is not set: start `relais up`, or name a PostgreSQL database")
        try:
            return cls(
                url.get_secret_value(),
                pool_size=settings.database_pool_size,
                application_name=application_name,
                search_keys=SearchKeys.of(settings),
                data_keys=DataKeys.of(settings),
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
        self._check_open()
        async with self._sessions.begin() as session:
            yield session
        for note in session.info.get(WRITTEN_IN_AUDIT, ()):
            note()

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[AsyncSession]:
        """A session for one statement, which is a transaction of its own: a third of what a `session` costs.

        Nothing is written but by that statement: what is added to the session, or changed in an object of it, is lost. Raises
        as `session` does.
        """
        self._check_open()
        async with self._statements() as session:
            yield session

    async def connection(self, application_name: str) -> asyncpg.Connection:
        """A connection outside of the pool: to listen on, or to hold a lock for as long as one lives. The caller ends it."""
        _, arguments = self.engine.dialect.create_connect_args(make_url(self.url))
        settings = {"application_name": application_name}
        return await asyncpg.connect(**arguments, timeout=CONNECT_TIMEOUT_SECONDS, server_settings=settings)

    def _check_open(self) -> None:
        if self._closed_because is not None:
            raise NotOpenError(self._closed_because)

    @property
    def closed_because(self) -> str | None:
        """Why nobody may use the records yet; None when they may."""
        return self._closed_because

    async def open(self, prepare: Prepare | None = None) -> None:
        """Wait until the server is there and has the schema of this code, then `prepare`; until then, every session is refused.

        Raises what `prepare` raises, SchemaError when the schema is newer than the code, and EncryptionError when the records are
        sealed with a key that is not on the ring: waiting would not help.
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
                await check_ring(session)
                if prepare is not None:
                    await prepare(session)
        except OldSchemaError as error:
            self._closed_because = str(error)
            raise

    async def close(self) -> None:
        """Give all connections back."""
        await self.engine.dispose()


def _give_out_what_lives(engine: Engine) -> None:
    """A server that was restarted costs nobody a failed request but those whom it has just left: a connection that is known to
    have ended is not given out, and one that nobody has used for some time is asked first. SQLAlchemy's own `pool_pre_ping` asks
    each time, with three round trips.
    """

    @event.listens_for(engine, "checkin")
    def note(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["used_at"] = monotonic()

    @event.listens_for(engine, "checkout")
    def look(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        driver = connection.driver_connection
        if driver is None or driver.is_closed():
            raise InvalidatePoolError
        used_at = record.info.get("used_at")
        if used_at is not None and monotonic() - used_at > TRUSTED_FOR_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error:
                raise InvalidatePoolError from None


def connect_arguments(application_name: str) -> dict[str, Any]:
    """What every connection of Relais asks of asyncpg and of the server: limits on all that could wait for ever."""
    return {
        "timeout": CONNECT_TIMEOUT_SECONDS,
        "command_timeout": STATEMENT_TIMEOUT_SECONDS + 5,  # for a server that has gone without a word
        "connection_class": ActingConnection,
        "server_settings": {
            "application_name": application_name,
            "timezone": "UTC",
            "statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s",
            "lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s",
            "idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_TIMEOUT_SECONDS}s",
            "jit": "off",  # worklist queries are short; compiling them costs more than it gains
        },
    }


async def moment_of_database(session: AsyncSession) -> datetime:
    """The time by the clock of the database's machine, at the beginning of the transaction."""
    return (await session.execute(select(func.now()))).scalar_one()
