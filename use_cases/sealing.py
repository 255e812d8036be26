"""Sealing the records, as an operator asks for it on the command line: all that stands in clear, and what is left of it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from records import data_keys, sealing
from records.database import Database
from records.errors import ContentDiffersError, NotFoundError
from records.models import SEALED_MODELS, Attachment, Base, PartnerMessage, StoredDocument
from records.sealed import NOT_OPENED
from records.store import DocumentStore
from settings import Settings
from use_cases.by_hand import open_database

NAME = "relais-sealing"
"""How the database names who seals."""

AT_ONCE = 200
"""Rows that are sealed in one transaction."""

BUSY_ROUNDS = 30
"""So often, a second apart, rows are asked for that somebody else had in hand."""

Say = Callable[[str], None]


@dataclass
class Left:
    """What stands in clear: rows by table, and files. Where sealing has not begun, whatever comes is in clear, too.

    `keys` are the data keys by the key of the ring that they are sealed with, `missing` the files that are not there, `shut`
    those that nothing opens.
    """

    begun: bool
    rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    keys: dict[str, int] = field(default_factory=dict)
    missing: int = 0
    shut: int = 0

    @property
    def nothing(self) -> bool:
        """Whether all is sealed, and will be."""
        return self.begun and not any(self.rows.values()) and not self.files


async def seal_records(settings: Settings, say: Say) -> Left:
    """Begin to seal, then seal all that stands in clear; what is left then. Stopped and asked for again, it goes on.

    Every process that reads these records must be of a version that knows what is sealed. Raises DatabaseAwayError, SchemaError,
    SettingsError, and EncryptionError where there is no key ring, or another than that which sealed them.
    """
    async with open_database(settings, NAME) as database:
        async with database.session() as session:
            await data_keys.begin(session)
        await _until_none(database, lambda session: sealing.make_keys(session, AT_ONCE))
        await _seal_rows(database, say)
        store = DocumentStore.from_settings(settings, database)
        await _seal_files(database, store, say)
        return await _left(database, store)


async def left_in_clear(settings: Settings) -> Left:
    """What stands in clear. Raises DatabaseAwayError, SchemaError, SettingsError, or EncryptionError for another key ring."""
    async with open_database(settings, NAME) as database:
        return await _left(database, DocumentStore.from_settings(settings, database))


async def _seal_rows(database: Database, say: Say) -> None:
    shut: dict[type[Base], set[sealing.Row]] = {of: set() for of in SEALED_MODELS}
    for round_ in range(BUSY_ROUNDS):
        for of, of_it in shut.items():
            before = len(of_it)
            taken = await _until_none(database, partial(sealing.seal_rows, of=of, limit=AT_ONCE, shut=of_it))
            if done := taken - (len(of_it) - before):
                say(f"{of.__tablename__}: {done} sealed")
            if len(of_it) > before:
                say(f"{of.__tablename__}: {len(of_it) - before} passed over, for something in them does not open")
        async with database.session() as session:
            left = sum((await sealing.count_clear(session)).values()) - sum(map(len, shut.values()))
        if left <= 0:
            break
        if round_ == 0:
            say(f"{left} rows are in use: they are asked for again")
        await asyncio.sleep(1)


async def _seal_files(database: Database, store: DocumentStore, say: Say) -> None:
    sealed = 0
    async for key, sha256 in _files(database):
        try:
            sealed += await store.seal_object(key, sha256)
        except NotFoundError:
            say(f"{key}: not there")
        except (ContentDiffersError, *NOT_OPENED):
            say(f"{key}: not what was stored, left as it is")
    if sealed:
        say(f"files: {sealed} sealed")


async def _left(database: Database, store: DocumentStore) -> Left:
    async with database.session() as session:
        left = Left(await data_keys.has_begun(session), await sealing.count_clear(session))
        left.keys = await data_keys.count_by_key(session)
    async for key, _ in _files(database):
        try:
            left.files += not await store.is_sealed(key)
        except NotFoundError:
            left.missing += 1
        except (ContentDiffersError, *NOT_OPENED):
            left.shut += 1
    return left


async def _until_none(database: Database, step: Callable[[AsyncSession], Awaitable[int]]) -> int:
    """Take that step, each time in a transaction of its own, until it finds nothing; how much it found."""
    total, found = 0, 1
    while found:
        async with database.session() as session:
            found = await step(session)
        total += found
    return total


async def _files(database: Database) -> AsyncIterator[tuple[str, str | None]]:
    """The keys of all files that the records name, with their digests as far as they say it."""
    for of in (Attachment, StoredDocument, PartnerMessage):
        last = uuid.UUID(int=0)
        while True:
            async with database.session() as session:
                page = await sealing.files_after(session, of, last, AT_ONCE)
            if not page:
                break
            last = page[-1][0]
            for _, files in page:
                for file in files:
                    yield file
