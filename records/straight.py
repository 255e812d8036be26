"""Statements that every command needs, on the shortest way to the database.

SQLAlchemy makes their SQL once. From then on it goes to the driver with its values, over the connection and in the transaction of
the session: what the session does around a statement costs more than the statement itself. The session writes nothing before it,
and makes nothing of what comes back: they are for what is written, and for rows of ids, texts, numbers and lists.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ClauseElement, Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler

Values = Mapping[str, Any]


class Straight:
    """A statement that is made once. Raises what a session raises: DBAPIError, in which no value stands."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[frozenset[str], _Compiled] = {}

    async def rows(self, session: AsyncSession, values: Values) -> Sequence[Sequence[Any]]:
        """What the statement gives for these values."""
        return await session.run_sync(self._send, values)

    async def value(self, session: AsyncSession, values: Values) -> Any:
        """The first column of its first row; None where it gives none."""
        rows = await self.rows(session, values)
        return rows[0][0] if rows else None

    async def run(self, session: AsyncSession, values: Values) -> None:
        """For a statement that gives nothing."""
        await self.rows(session, values)

    async def run_for_each(self, session: AsyncSession, values: Sequence[Values]) -> None:
        """The same once for each of these, which all name the same, and all sent together."""
        if values:
            await session.run_sync(self._send_each, values)

    def _send(self, session: Session, values: Values) -> Sequence[Sequence[Any]]:
        connection = session.connection()
        compiled = self._for(connection.dialect, values)
        cursor = connection.connection.cursor()
        with _errors_of(connection, compiled.sql):
            cursor.execute(compiled.sql, compiled.parameters(values))
            return cursor.fetchall()

    def _send_each(self, session: Session, values: Sequence[Values]) -> None:
        connection = session.connection()
        compiled = self._for(connection.dialect, values[0])
        cursor = connection.connection.cursor()
        with _errors_of(connection, compiled.sql):
            cursor.executemany(compiled.sql, [compiled.parameters(each) for each in values])

    def _for(self, dialect: Dialect, values: Values) -> "_Compiled":
        """The statement for values of these names, as they are written in an `INSERT` and an `UPDATE`."""
        names = frozenset(values)
        compiled = self._compiled.get(names)
        if compiled is None:
            compiled = self._compiled[names] = _Compiled.of(self._statement, dialect, names)
        return compiled


@dataclass(frozen=True)
class _Compiled:
    """The SQL, and its parameters in their order: how the value of each is made ready, and what it is where none is given."""

    sql: str
    takes: tuple[tuple[str, Callable[[Any], Any] | None], ...]
    fixed: Mapping[str, Any]

    @classmethod
    def of(cls, statement: ClauseElement, dialect: Dialect, names: frozenset[str]) -> "_Compiled":
        compiled = statement.compile(dialect=dialect, column_keys=sorted(names))
        assert isinstance(compiled, SQLCompiler)  # noqa: S101
        assert compiled.positiontup is not None  # noqa: S101
        if compiled.insert_prefetch or compiled.update_prefetch or compiled.post_compile_params:
            raise TypeError("a statement that SQLAlchemy must look at each time can't go straight")
        ready = cast(Mapping[str, Callable[[Any], Any]], compiled._bind_processors)
        takes = tuple((name, ready.get(name)) for name in compiled.positiontup)
        fixed = {name: compiled.binds[name].effective_value for name, _ in takes if name not in names}
        return cls(compiled.string, takes, fixed)

    def parameters(self, values: Values) -> tuple[Any, ...]:
        every = {**self.fixed, **values}
        return tuple(every[name] if ready is None else ready(every[name]) for name, ready in self.takes)


@contextmanager
def _errors_of(connection: Connection, sql: str) -> Iterator[None]:
    """As SQLAlchemy raises them."""
    base = connection.dialect.loaded_dbapi.Error
    try:
        yield
    except base as error:
        raise DBAPIError.instance(sql, None, error, base, hide_parameters=True, dialect=connection.dialect) from error
