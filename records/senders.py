"""Who sends what waits in the tables of messages: processes that each have a number.

A sender lives as long as it holds the lock of its number (`hold_number`), which ends with its connection. What it has claimed is
nobody else's for as long as it lives. So no time has to pass until another one goes on with what it left.
"""

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_LOCKS = 0x7765_6268  # "webh": the class of the locks of senders among all of the database

_FREE_WHAT_THE_DEAD_HELD = tuple(
    text(
        f"""
        UPDATE {table} SET claimed_by = NULL
        WHERE claimed_by IS NOT NULL AND claimed_by NOT IN (
            SELECT objid::bigint FROM pg_locks
            WHERE locktype = 'advisory' AND classid = :locks AND objsubid = 2 AND granted
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        )
        """  # noqa: S608 - tables of ours
    )
    for table in ("webhook_deliveries", "told_messages")
)


async def hold_number(connection: asyncpg.Connection, number: int) -> bool:
    """Live as the sender of that number until `connection` ends; False when another one does."""
    return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", _LOCKS, number))


async def free_what_the_dead_held(session: AsyncSession) -> None:
    """What senders had in hand that live no more may be taken up by others."""
    for statement in _FREE_WHAT_THE_DEAD_HELD:
        await session.execute(statement, {"locks": _LOCKS})
