"""Statements that go straight to the driver do what they do in a session: in its transaction, with its errors."""

from datetime import timedelta

import pytest
from sqlalchemy import Interval, bindparam, func, insert, literal, select
from sqlalchemy.exc import DBAPIError

from records.database import Database
from records.models import NumberCounter, table_of
from records.straight import Straight

COUNTERS = table_of(NumberCounter)
COUNTED = Straight(insert(COUNTERS))
LAST = Straight(select(COUNTERS.c.last).where(COUNTERS.c.year == bindparam("year")))


async def test_it_is_of_the_session_s_transaction(database: Database) -> None:
    async with database.session() as session:
        await COUNTED.run(session, {"year": 1801, "last": 7})
        async with session.begin_nested() as tried:
            await COUNTED.run(session, {"year": 1802, "last": 8})
            assert await LAST.value(session, {"year": 1802}) == 8
            await tried.rollback()
        assert await LAST.value(session, {"year": 1802}) is None
    async with database.statement() as session:
        assert await LAST.value(session, {"year": 1801}) == 7


async def test_one_statement_is_a_transaction_of_its_own(database: Database) -> None:
    async with database.statement() as session:
        await COUNTED.run(session, {"year": 1803, "last": 9})
    async with database.statement() as session:
        assert await LAST.value(session, {"year": 1803}) == 9


async def test_many_go_together(database: Database) -> None:
    async with database.session() as session:
        await COUNTED.run_for_each(session, [])
        await COUNTED.run_for_each(session, [{"year": year, "last": year % 10} for year in (1811, 1812, 1813)])
        assert [await LAST.value(session, {"year": year}) for year in (1811, 1812, 1813)] == [1, 2, 3]


async def test_values_are_written_as_their_types_want_them(database: Database) -> None:
    later = Straight(select(func.now() + bindparam("wait", type_=Interval()) > func.now(), literal("as it stands")))
    async with database.session() as session:
        assert [*(await later.rows(session, {"wait": timedelta(hours=1)}))[0]] == [True, "as it stands"]
        assert await later.value(session, {"wait": timedelta(hours=-1)}) is False


async def test_its_errors_are_those_of_a_session_and_hold_no_value(database: Database) -> None:
    divided = Straight(select(literal(123_454_321) / bindparam("by", 0)))
    async with database.statement() as session:
        with pytest.raises(DBAPIError) as raised:
            await divided.value(session, {"by": 0})
    assert getattr(raised.value.orig, "sqlstate", None) == "22012"
    assert "123454321" not in str(raised.value)


def test_what_must_be_looked_at_each_time_can_t_go_straight() -> None:
    one_of = Straight(select(COUNTERS.c.last).where(COUNTERS.c.year.in_(bindparam("years", expanding=True))))
    database = Database("postgresql+asyncpg://nobody/nowhere")
    with pytest.raises(TypeError):
        one_of._for(database.engine.dialect, {"years": [1801]})
