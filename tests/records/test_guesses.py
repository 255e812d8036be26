"""Wrong passwords are counted by all processes together, and forgotten; devices are known for a while."""

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from domain.rates import Rate
from records import guesses
from records.database import Database
from records.ids import new_id
from records.models import Guesses, KnownDevice
from tests.records.scenes import set_scene

NOW = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
FEW = Rate(3, timedelta(seconds=10))
MANY = Rate(100, timedelta(seconds=10))


async def guess(database: Database, rates: dict[str, Rate], now: datetime = NOW) -> bool:
    async with database.session() as session:
        is_counted = await guesses.count(session, rates, now)
        if not is_counted:
            await session.rollback()
    return is_counted


async def test_as_many_as_allowed_are_let_through_however_many_come_at_once(database: Database) -> None:
    """What one counter refuses counts at no other."""
    name, address = new_id().hex, new_id().hex
    both = {name: FEW, address: MANY}
    assert sum(await asyncio.gather(*(guess(database, both) for _ in range(20)))) == 3
    async with database.session() as session:
        empty_at = await guesses.empty_at(session, [name, address, "never counted"])
        assert empty_at == {name: NOW + 3 * FEW.every, address: NOW + 3 * MANY.every}
    assert not await guess(database, both, NOW + timedelta(seconds=9))
    assert await guess(database, both, NOW + timedelta(seconds=10))
    async with database.session() as session:
        await guesses.take_back(session, both)
        assert (await guesses.empty_at(session, [name]))[name] == NOW + 3 * FEW.every
        await guesses.take_back(session, both, forgiven=[name])
        assert set(await guesses.empty_at(session, [name, address])) == {address}


async def test_what_counts_no_more_goes_with_the_guesses_that_come(database: Database) -> None:
    past = NOW - timedelta(days=3)
    for _ in range(5):
        assert await guess(database, {new_id().hex: FEW}, past)
    last = new_id().hex
    assert await guess(database, {last: FEW}, past + timedelta(hours=1))
    async with database.session() as session:
        old = await session.scalar(
            select(func.count()).select_from(Guesses).where(Guesses.empty_at < past + FEW.window)
        )
        assert old == 0
        assert await guesses.forget_guesses(session, past + timedelta(hours=2)) >= 1
        assert not await guesses.empty_at(session, [last])


async def test_devices_of_an_account(database: Database) -> None:
    async with database.session() as session:
        scene = await set_scene(session)
        one, other = scene.accounts["provider"], scene.accounts["requester"]
        devices = [new_id().hex for _ in range(guesses.MOST_DEVICES + 1)]
        for day, device in enumerate(devices):
            await guesses.note_device(session, device, one.id, NOW + timedelta(days=day))
        shared = devices[-1]
        assert await guesses.knows_device(session, shared, one.username)
        assert not await guesses.knows_device(session, shared, other.username)
        await guesses.note_device(session, shared, other.id, NOW)
        assert await guesses.knows_device(session, shared, other.username)
        assert not await guesses.is_anybodys(session, devices[0]), "the oldest made room"
        assert await guesses.is_anybodys(session, devices[1])
        await guesses.forget_devices(session, NOW + timedelta(days=1, seconds=1))
        left = await session.scalars(select(KnownDevice.sha256).where(KnownDevice.account_id == one.id))
        assert set(left) == set(devices[2:])
        assert not await guesses.knows_device(session, shared, other.username)
