"""The keys with which charts are sealed: one for each request, kept beside it, each sealed with the key ring.

A request has a key of its own (`owner_id` is its id), so that the end of that key is the end of all that was written about it;
so has a file that still comes in parts. Some things belong to neither: they are sealed with the key of the house. As long as that
one is not there, nothing is sealed: `begin` makes it, when every process is known to read what is sealed. From then on whatever
is written is written sealed.

The ring's keys change, those here stay: `wrap_anew` seals them with the ring's present key, and no chart is touched.
"""

import os
import uuid
from collections import OrderedDict
from typing import Self, cast

import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Text,
    Uuid,
    bindparam,
    column,
    delete,
    event,
    exists,
    func,
    literal_column,
    select,
    table,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, Session

from key_ring import KEY_BYTES, EncryptionError, KeyRing, open_sealed, seal, sealed_with
from records.errors import KeyGoneError
from settings import Settings

HOUSE = uuid.UUID(int=0)
"""The owner of the key for what belongs to no request."""

DATA_KEYS = table("data_keys", column("owner_id", Uuid()), column("sealed_key", Text()))
"""`records.models.DataKey`, for those on whom the models build."""

MOST_OPEN = 2_000
"""So many keys one process keeps open in its memory."""

_PLACE = "relais: a data key"

log = structlog.get_logger(__name__)
_IN_TRANSACTION = "data_keys"

# Made once: every command needs them, and to build one costs as much as to send it.

_ITS_OWN = select(DATA_KEYS.c.sealed_key).where(DATA_KEYS.c.owner_id == bindparam("owner", type_=Uuid()))
_OF_HOUSE = select(DATA_KEYS.c.sealed_key).where(DATA_KEYS.c.owner_id == HOUSE)
_ITS_OWN_AND_OF_HOUSE = select(_ITS_OWN.scalar_subquery(), _OF_HOUSE.scalar_subquery())


class DataKeys:
    """What one process needs to use the keys of a database: its ring, and the keys that it has opened."""

    def __init__(self, ring: KeyRing | None = None) -> None:
        self._ring = ring
        self._opened: OrderedDict[str, bytes] = OrderedDict()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """With the ring of these settings. Raises EncryptionError when it can't be read."""
        ring = settings.encryption_keys
        return cls(KeyRing.parse(ring.get_secret_value()) if ring else None)

    @property
    def ring(self) -> KeyRing:
        """The key ring. Raises EncryptionError where there is none."""
        if self._ring is None:
            raise EncryptionError("the records are sealed, and RELAIS_ENCRYPTION_KEYS is not set")
        return self._ring

    def new(self) -> str:
        """A new key, sealed."""
        return seal(self.ring, os.urandom(KEY_BYTES), _PLACE)

    def open(self, sealed_key: str) -> bytes:
        """The key itself. Raises EncryptionError when the ring lacks what it was sealed with."""
        key = self._opened.get(sealed_key)
        if key is None:
            key = self._opened[sealed_key] = open_sealed(self.ring, sealed_key, _PLACE)
            if len(self._opened) > MOST_OPEN:
                self._opened.popitem(last=False)
        return key

    def to_write_with(self, session: Session, owner: uuid.UUID) -> bytes | None:
        """The key with which what is written about `owner` is sealed, made if there was none; None while nothing is sealed yet.

        It is looked up once in a transaction, and its sealed form is remembered nowhere else: one that is rolled back was never
        there.
        """
        known: dict[uuid.UUID, str] = session.info.setdefault(_IN_TRANSACTION, {})
        if owner not in known:
            sealed_key = self._find_or_make(session.connection(), owner)
            if sealed_key is None:
                return None
            known[owner] = sealed_key
        return self.open(known[owner])

    def _find_or_make(self, connection: Connection, owner: uuid.UUID) -> str | None:
        found: str | None
        found, house = connection.execute(_ITS_OWN_AND_OF_HOUSE, {"owner": owner}).one()
        if found is None and house is not None:
            self.open(house)  # whose ring lacks that, would make keys that nobody else opens
            found = self.new()
            made = insert(DATA_KEYS).values(owner_id=owner, sealed_key=found).on_conflict_do_nothing()
            if not connection.execute(made).rowcount:
                found = connection.scalar(_ITS_OWN, {"owner": owner})  # of who was quicker
            if found is None:
                raise KeyGoneError(
                    "a data key that was destroyed, or is another clinic's"
                )  # and nothing is written in clear
        return found


def sealed_key_of(owner: ColumnElement[uuid.UUID] | InstrumentedAttribute[uuid.UUID]) -> ColumnElement[str | None]:
    """In SQL: the key of that owner, for who reads something in order to write about it, see `keep_at_hand`."""
    its_own = select(DATA_KEYS.c.sealed_key).where(DATA_KEYS.c.owner_id == owner)
    return its_own.correlate_except(DATA_KEYS).scalar_subquery()


def keep_at_hand(session: AsyncSession, owner: uuid.UUID, sealed_key: str | None) -> None:
    """What was read in this transaction need not be asked for when it writes. One that is not there yet is still to be made."""
    if sealed_key is not None:
        session.info.setdefault(_IN_TRANSACTION, {})[owner] = sealed_key


def use(dialect: Dialect, keys: DataKeys) -> None:
    """Let these be the keys of the database whose engine has that dialect: it is all that a type knows when it reads a value."""
    dialect.data_keys = keys  # type: ignore[attr-defined]


def keys_of(dialect: Dialect) -> DataKeys:
    """The keys of the database that is read or written."""
    return cast(DataKeys, dialect.data_keys)  # type: ignore[attr-defined]


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, _previous: object) -> None:
    """A key that was made in what is rolled back is not there."""
    session.info.pop(_IN_TRANSACTION, None)


async def begin(session: AsyncSession) -> None:
    """From the end of this transaction on whatever is written is sealed: every process must be able to read that.

    Raises EncryptionError where there is no key ring.
    """
    keys = keys_of(session.get_bind().dialect)
    made = insert(DATA_KEYS).values(owner_id=HOUSE, sealed_key=keys.new())
    await session.execute(made.on_conflict_do_nothing())


async def check_ring(session: AsyncSession) -> None:
    """Raise EncryptionError where the records are sealed and the ring does not open them: another one must write nothing here.

    Every key that has sealed any data key must be on the ring, and the key of the house must open.
    """
    keys = keys_of(session.get_bind().dialect)
    missing = set(await session.scalars(select(func.ring_keys_in_use())))
    if not missing:
        return
    house = await session.scalar(_ITS_OWN, {"owner": HOUSE})
    try:
        missing -= keys.ring.keys.keys()
        if house is not None:
            keys.open(house)
    except EncryptionError:
        missing.add(sealed_with(house or ""))
    if missing:
        names = ", ".join(f"'{name}'" for name in sorted(missing))
        raise EncryptionError(
            f"the records are sealed with a key {names} that is not in RELAIS_ENCRYPTION_KEYS: put back the "
            "ring that was in use here (of `relais up`: the file secrets/encryption-keys of the data folder)"
        )


async def has_begun(session: AsyncSession) -> bool:
    """Whether what is written is sealed."""
    return bool(await session.scalar(select(_has_begun())))


async def key_of(session: AsyncSession, owner: uuid.UUID, *, to_write: bool = False) -> bytes | None:
    """The key of `owner`; None where it has none. One that is needed `to_write` is made, once sealing has begun."""
    keys = keys_of(session.get_bind().dialect)
    if to_write:
        return await session.run_sync(keys.to_write_with, owner)
    sealed_key = await session.scalar(_ITS_OWN, {"owner": owner})
    return keys.open(sealed_key) if sealed_key else None


async def destroy(session: AsyncSession, *owners: uuid.UUID) -> None:
    """Nothing that was sealed with their keys can be read any more, wherever copies of it are.

    While the rows of the owners still say whose they are: see `records.acting`.
    A backup that holds the key itself gives it to who has a key of the ring from before: see docs/operations.md.
    """
    await session.execute(delete(DATA_KEYS).where(DATA_KEYS.c.owner_id.in_(owners)))
    for owner in owners:
        session.info.get(_IN_TRANSACTION, {}).pop(owner, None)


async def wrap_anew(session: AsyncSession, limit: int, shut: set[uuid.UUID]) -> int:
    """Seal at most so many keys with the ring's present key that were sealed with another; gives how many were taken in hand.

    That of the house comes last. The owners of those that do not open are added to `shut`, and not asked for again.
    """
    keys = keys_of(session.get_bind().dialect)
    old = select(DATA_KEYS).where(_is_not_of(keys.ring.current), DATA_KEYS.c.owner_id.not_in(shut))
    old = old.order_by(DATA_KEYS.c.owner_id.desc()).limit(limit)
    rows = (await session.execute(old.with_for_update(skip_locked=True))).all()
    for owner_id, sealed_key in rows:
        try:
            anew = seal(keys.ring, open_sealed(keys.ring, sealed_key, _PLACE), _PLACE)
        except EncryptionError:
            log.error("a data key does not open", source="data_keys.sealed_key", request_id=str(owner_id))
            shut.add(owner_id)
            continue
        await session.execute(update(DATA_KEYS).where(DATA_KEYS.c.owner_id == owner_id).values(sealed_key=anew))
    return len(rows)


async def count_by_key(session: AsyncSession) -> dict[str, int]:
    """How many keys are sealed with each of the ring's, by its id."""
    counted = select(_RING_KEY, func.count()).group_by(_RING_KEY)
    return {key_id: number for key_id, number in await session.execute(counted)}  # noqa: C416


_RING_KEY: ColumnElement[str] = func.split_part(DATA_KEYS.c.sealed_key, literal_column("':'"), literal_column("1"))
"""In SQL: the id of the key of the ring that has sealed a data key."""


def _is_not_of(key_id: str) -> ColumnElement[bool]:
    return _RING_KEY.is_distinct_from(key_id)


def _has_begun() -> ColumnElement[bool]:
    return exists().where(DATA_KEYS.c.owner_id == HOUSE)
