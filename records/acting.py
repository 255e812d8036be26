"""For which clinic a process works just now. PostgreSQL opens what is of that clinic, and nothing else.

Row-level security on `data_keys` binds the account by which the API comes to the database (docs/decisions/second-wall.md), not
the owner of the tables, as whom workers and the command line come. Whoever finds out who calls says it; it holds for that call
and what the call begins. No connection remembers it: it is said with the beginning of each transaction.
"""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_SAY = text("SELECT set_config('relais.clinic', :clinic, true)")

_clinic: ContextVar[uuid.UUID | None] = ContextVar("acting clinic", default=None)


def act_for(clinic_id: uuid.UUID | None) -> None:
    """From now on this call is one of that clinic; None: of nobody's."""
    _clinic.set(clinic_id)


async def act_from_here(session: AsyncSession, clinic_id: uuid.UUID) -> None:
    """The same where it is found out within a transaction: it holds for the rest of that, too."""
    act_for(clinic_id)
    await session.execute(_SAY, {"clinic": str(clinic_id)})


@contextmanager
def acting_for(clinic_id: uuid.UUID) -> Iterator[None]:
    """The same for a block, and the transactions that begin in it: for what Relais itself does while somebody calls."""
    before = _clinic.set(clinic_id)
    try:
        yield
    finally:
        _clinic.reset(before)


@asynccontextmanager
async def looking_for(session: AsyncSession, clinic_id: uuid.UUID) -> AsyncIterator[None]:
    """The same for a block alone: to find out for a caller what only that clinic's eyes tell.

    Where the block raises, the transaction must end.
    """
    before = acting_clinic()
    await session.execute(_SAY, {"clinic": str(clinic_id)})
    yield
    await session.execute(_SAY, {"clinic": str(before or "")})


def acting_clinic() -> uuid.UUID | None:
    """The clinic of this call; None while nobody has said whose it is."""
    return _clinic.get()


class ActingConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that says for which clinic it is used as it begins a transaction, in the same round trip."""

    __slots__ = ()

    async def execute(self, query: str, *args: Any, **kwargs: Any) -> str:
        """As asyncpg's own, by which every transaction begins."""
        clinic = acting_clinic()
        if clinic is not None and query.startswith("BEGIN"):
            query = f"{query} SET LOCAL relais.clinic = '{clinic}'"
        status: str = await super().execute(query, *args, **kwargs)
        return status
