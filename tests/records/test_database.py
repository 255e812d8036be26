"""The pool of connections: what the server has ended is not given out, and a statement of its own is a transaction of its own."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from records import database as pool
from records.database import Database
from tests.eventually import eventually

NAME = "relais-pool"


async def end_all_connections(other: Database) -> None:
    """As a server that is started anew."""
    async with other.session() as session:
        await session.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name"),
            {"name": NAME},
        )


async def backends(database: Database, count: int = 1) -> set[int]:
    """The connections of so many sessions at once."""
    together = asyncio.Barrier(count)

    async def one() -> int:
        async with database.session() as session:
            found = int(await session.scalar(text("SELECT pg_backend_pid()")) or 0)
            await together.wait()
            return found

    return set(await asyncio.gather(*(one() for _ in range(count))))


async def test_a_server_that_was_restarted_costs_no_failed_request(database: Database) -> None:
    mine = Database(database.url, pool_size=3, application_name=NAME)
    try:
        before = await backends(mine, 3)
        assert await backends(mine) < before, "a connection is kept"
        await end_all_connections(database)

        async def ended() -> bool:
            async with database.session() as session:
                query = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
                return bool(await session.scalar(query, {"name": NAME}) == 0)

        await eventually(ended)
        after = await backends(mine, 3)
        assert len(after) == 3
        assert not after & before
    finally:
        await mine.close()


async def test_a_connection_that_was_long_unused_is_asked_first(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Database(database.url, pool_size=1, application_name=NAME)
    asked: list[object] = []
    dialect = mine.engine.sync_engine.dialect
    ping = dialect.do_ping

    def note(connection: Any) -> bool:
        asked.append(connection)
        return bool(ping(connection))

    monkeypatch.setattr(dialect, "do_ping", note)
    try:
        first = await backends(mine)
        assert await backends(mine) == first
        assert asked == []
        monkeypatch.setattr(pool, "TRUSTED_FOR_SECONDS", -1.0)
        assert await backends(mine) == first
        assert len(asked) == 1

        def silent(_: object) -> bool:
            raise dialect.loaded_dbapi.OperationalError("nobody answers")

        monkeypatch.setattr(dialect, "do_ping", silent)
        assert await backends(mine) != first, "one that does not answer is replaced"
    finally:
        await mine.close()


async def test_a_statement_is_a_transaction_of_its_own(database: Database) -> None:
    mine = Database(database.url, pool_size=1, application_name=NAME)
    moment = text("SELECT now()")
    try:
        async with mine.statement() as session:
            first, second = await session.scalar(moment), await session.scalar(moment)
            assert first < second, "now() is the time at which the transaction began"
        async with mine.session() as session:
            first, second = await session.scalar(moment), await session.scalar(moment)
            assert first == second, "the next user of the connection has one transaction again"
    finally:
        await mine.close()
