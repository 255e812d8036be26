"""What the errors of a database and of a disk mean: away for the moment, busy, full, or a fault of ours."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFreeError

from records.errors import DatabaseAwayError

DATABASE_ERRORS = (DBAPIError, NoConnectionFreeError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What the database raises; what goes wrong while a connection is being made comes from asyncpg as it is."""


class Trouble(StrEnum):
    """Why something that was right could not be done now."""

    AWAY = "away"
    """Gone, going, or coming."""

    BUSY = "busy"
    """There, but others were in the way for too long."""

    FULL = "full"
    """No room is left to write."""


_BUSY = (
    "40",  # rolled back for another's sake: serialization failures, deadlocks
    "55P03",  # a lock was not had in time
    "57014",  # a statement took too long
    "25P03",  # a transaction was left idle, or took too long
    "25P04",
    "53300",  # too many connections
)
_AWAY = (
    "08",  # the connection
    "25006",  # read-only: a standby that is about to take over
    "28",  # who we are, or the database's name: wrong for now, as while both are being set up
    "3D000",
    "53",  # memory and the like
    "57P",  # told to end, or starting
    "58",  # the system under the database
)

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_DISK = {errno.EROFS, errno.EIO}


def trouble_of(error: Exception) -> Trouble | None:
    """What `error`, of the database or of a disk, means; None when a second try would not help: the fault is ours."""
    if isinstance(error, NoConnectionFreeError):
        return Trouble.BUSY
    if isinstance(error, DBAPIError | asyncpg.PostgresError | asyncpg.InterfaceError):
        return _of_database(error)
    if isinstance(error, OSError):
        return Trouble.FULL if is_full(error) else Trouble.AWAY
    return None


@contextmanager
def away_named() -> Iterator[None]:
    """For commands that do not wait: a database that can't be reached is a DatabaseAwayError, with a sentence."""
    try:
        yield
    except (*DATABASE_ERRORS, OSError) as error:
        if trouble_of(error) is None:
            raise
        name = type(getattr(error, "orig", None) or error).__name__
        raise DatabaseAwayError(
            f"The database can't be reached ({name}): start it, or set RELAIS_DATABASE_URL."
        ) from error


def is_full(error: OSError) -> bool:
    """Whether a disk has no room, or no quota, for what was to be written."""
    return error.errno in _NO_ROOM


def is_of_a_disk(error: OSError) -> bool:
    """Whether a disk is full, broken or read-only, rather than a server away."""
    return error.errno in _NO_ROOM | _NO_DISK


def _of_database(error: DBAPIError | asyncpg.PostgresError | asyncpg.InterfaceError) -> Trouble | None:
    state = str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")
    if state == "53100":
        return Trouble.FULL
    if state.startswith(_BUSY):
        return Trouble.BUSY
    if state.startswith(_AWAY):
        return Trouble.AWAY
    gone = isinstance(error, OperationalError | InterfaceError | asyncpg.InterfaceError)
    return Trouble.AWAY if gone or getattr(error, "connection_invalidated", False) else None
