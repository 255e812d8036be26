"""Sealing the records, as an operator asks for it on the command line: all that stands in clear, and what is left of it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from records import data_keys, sealing
from records.database import Database
from records.errors import NotFoundError
from records.models import SEALED_MODELS, Attachment, StoredDocument
from records.schema import check_schema
from records.store import DocumentStore
from records.trouble import away_named
from settings import Settings

AT_ONCE = 200
"""Rows that are sealed in one transaction."""

BUSY_ROUNDS = 30
"""So often, a second apart, rows are asked for that somebody else had in hand."""

Say = Callable[[str], None]


@dataclass
class Left:
    """What stands in clear: rows by table, and files. Where sealing has not begun, whatever comes is in clear, too.

    `keys` are the data keys by the key of the ring that they are sealed with, `missing` the files that are not there.
    """

    begun: bool
    rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    keys: dict[str, int] = field(default_factory=dict)
    missing: int = 0

    @property
    def nothing(self) -> bool:
        """Whether all is sealed, and will be."""
        return self.begun and not any(self.rows.values()) and not self.files


async def seal_records(settings: Settings, say: Say) -> Left:
    """Begin to seal, then seal all that stands in clear; what is left then. Stopped and asked for again, it goes on.

    Every process that reads these records must be of a version that knows what is sealed. Raises DatabaseAwayError, SchemaError,
    SettingsError, and EncryptionError where there is no key ring, or another than that which sealed them.
    """
    async with _opened(settings) as database:
        async with database.session() as session:
            await data_keys.begin(session)
        await _until_none(database, lambda session: sealing.make_keys(session, AT_ONCE))
        for round_ in range(BUSY_ROUNDS):
            for of in SEALED_MODELS:
                done = await _until_none(database, lambda session, of=of: sealing.seal_rows(session, of, AT_ONCE))  # type: ignore[misc]
                if done:
                    say(f"{of.__tablename__}: {done} sealed")
            async with database.session() as session:
                left = sum((await sealing.count_clear(session)).values())
            if not left:
                break
            if round_ == 0:
                say(f"{left} rows are in use: they are asked for again")
            await asyncio.sleep(1)
        store, sealed = DocumentStore.from_settings(settings, database), 0
        async for key in _files(database):
            try:
                sealed += await store.seal_object(key)
            except NotFoundError:
                say(f"{key}: not there")
        if sealed:
            say(f"files: {sealed} sealed")
        return await _left(database, store)


async def left_in_clear(settings: Settings) -> Left:
    """What stands in clear. Raises DatabaseAwayError, SchemaError, SettingsError, or EncryptionError for another key ring."""
    async with _opened(settings) as database:
        return await _left(database, DocumentStore.from_settings(settings, database))


async def _left(database: Database, store: DocumentStore) -> Left:
    async with database.session() as session:
        left = Left(await data_keys.has_begun(session), await sealing.count_clear(session))
        left.keys = await data_keys.count_by_key(session)
    async for key in _files(database):
        try:
            left.files += not await store.is_sealed(key)
        except NotFoundError:
            left.missing += 1
    return left


async def _until_none(database: Database, step: Callable[[AsyncSession], Awaitable[int]]) -> int:
    """Take that step, each time in a transaction of its own, until it finds nothing; how much it found."""
    total, found = 0, 1
    while found:
        async with database.session() as session:
            found = await step(session)
        total += found
    return total


async def _files(database: Database) -> AsyncIterator[str]:
    """The keys of all files that the records name."""
    for of in (Attachment, StoredDocument):
        last = uuid.UUID(int=0)
        while True:
            async with database.session() as session:
                page = await sealing.files_after(session, of, last, AT_ONCE)
            if not page:
                break
            last = page[-1][0]
            for _, keys in page:
                for key in keys:
                    yield key


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Database]:
    async with Database.opened(settings, application_name="relais-sealing") as database:
        with away_named():
            async with database.session() as session:
                await check_schema(session)
                await data_keys.check_ring(session)
        yield database
