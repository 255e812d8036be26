"""Places for work that takes a processor: nobody holds them all, everybody's turn comes, and who leaves takes nothing along."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest
from fastapi import Request
from starlette.requests import ClientDisconnect

from confined import NoVerdictError
from use_cases import places as module
from use_cases.places import NoVerdictProblem, Places, Queue
from use_cases.problems import Problem
from web.connected import while_connected
from web.problems import headers_of, status_of

ONE, OTHER, THIRD = (UUID(int=number) for number in (1, 2, 3))


class Worker:
    """Somebody who holds a place until told to leave it."""

    def __init__(self, places: Places, account: UUID) -> None:
        self.account = account
        self.has_place = False
        self.done = asyncio.Event()
        self.task = asyncio.create_task(self._work(places))

    async def _work(self, places: Places) -> None:
        async with places.place_for(self.account):
            self.has_place = True
            await self.done.wait()

    async def leave(self) -> None:
        self.done.set()
        await self.task


async def all_leave(*workers: Worker) -> None:
    for worker in workers:
        worker.done.set()
    await asyncio.gather(*(worker.task for worker in workers))


async def settled(*workers: Worker) -> list[bool]:
    """Who has a place, when all that can happen has happened."""
    for _ in range(20):
        await asyncio.sleep(0)
    return [worker.has_place for worker in workers]


async def test_an_account_waits_behind_itself() -> None:
    places = Places(3)
    greedy = [Worker(places, ONE) for _ in range(5)]
    assert await settled(*greedy) == [True, True, False, False, False]
    other = Worker(places, OTHER)
    assert await settled(other) == [True]
    await greedy[0].leave()
    assert await settled(*greedy[1:]) == [True, True, False, False]
    await all_leave(*greedy, other)


async def test_who_holds_least_is_next() -> None:
    places = Places(2)
    first, second = Worker(places, ONE), Worker(places, OTHER)
    waiting = [Worker(places, account) for account in (ONE, ONE, OTHER, THIRD)]
    assert await settled(first, second, *waiting) == [True, True, False, False, False, False]
    await first.leave()
    assert await settled(*waiting) == [True, False, False, False]  # `OTHER` holds one
    await second.leave()
    assert await settled(*waiting) == [True, False, True, False]
    await waiting[0].leave()
    assert await settled(*waiting) == [True, False, True, True]  # `ONE` had its turn
    await all_leave(*waiting)


async def test_one_place_is_everybodys() -> None:
    places = Places(1)
    first, second = Worker(places, ONE), Worker(places, OTHER)
    assert await settled(first, second) == [True, False]
    await first.leave()
    assert await settled(second) == [True]
    await second.leave()


async def test_too_many_wait() -> None:
    places = Places(2)
    mine = [Worker(places, ONE) for _ in range(1 + Queue.each)]
    await settled()
    with pytest.raises(Problem) as refused:
        await Worker(places, ONE).task
    assert (refused.value.code, status_of(refused.value)) == ("too_many_at_once", 429)

    assert int(headers_of(refused.value)["Retry-After"]) > 0
    others = [Worker(places, uuid4()) for _ in range(1 + Queue.all - Queue.each)]
    await settled()
    with pytest.raises(Problem) as refused:
        await Worker(places, THIRD).task
    assert (refused.value.code, status_of(refused.value)) == ("busy", 503)
    await all_leave(*mine, *others)
    last = Worker(places, THIRD)
    assert await settled(last) == [True]
    await last.leave()


async def test_who_finds_no_room_is_told_when_those_before_are_through() -> None:
    """Each later than the one before, so that not all come back at once; and nobody later than in a minute."""
    places = Places(2, Queue(all=4, usually_seconds=3.0), each=2)
    workers = [Worker(places, uuid4()) for _ in range(6)]
    assert await settled(*workers) == [True, True, False, False, False, False]
    told = []
    for _ in range(40):
        with pytest.raises(Problem) as refused:
            await Worker(places, THIRD).task
        told.append(int(headers_of(refused.value)["Retry-After"]))
    assert told[:3] == [9, 11, 12]  # 6 pieces of work of 3 seconds in 2 places, then each half a piece later
    assert told == sorted(told)
    assert told[-1] == 60
    await all_leave(*workers)


async def test_how_long_work_takes_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once when it takes longer than expected, slowly when it is quicker, and never less than usual."""
    places = Places(1, Queue(all=1, usually_seconds=4.0))
    now = 1_000.0
    monkeypatch.setattr(module, "monotonic", lambda: now)

    async def told() -> int:
        """When somebody may come back who finds one working, and one waiting."""
        nonlocal now
        now += 1_000
        held, waiting = Worker(places, ONE), Worker(places, OTHER)
        await settled()
        with pytest.raises(Problem) as refused:
            await Worker(places, THIRD).task
        await all_leave(held, waiting)
        return int(headers_of(refused.value)["Retry-After"])

    assert await told() == 8
    async with places.place_for(ONE):
        now += 20
    assert await told() == 40
    assert 30 < await told() < 40
    for _ in range(100):
        await told()
    assert await told() == 8


async def test_nobody_waits_for_ever() -> None:
    places = Places(1, Queue(patience_seconds=0.01))
    first = Worker(places, ONE)
    with pytest.raises(Problem) as refused:
        await Worker(places, OTHER).task
    assert refused.value.code == "busy"
    await first.leave()
    last = Worker(places, OTHER)
    assert await settled(last) == [True]
    await last.leave()


@pytest.mark.parametrize("how", ["waiting", "working", "at the same moment"])
async def test_who_leaves_takes_no_place_along(how: str) -> None:
    places = Places(1)
    first, second, third = (Worker(places, account) for account in (ONE, OTHER, THIRD))
    await settled()
    if how == "waiting":
        second.task.cancel()
        await first.leave()
    elif how == "working":
        first.task.cancel()
        await settled()
        second.task.cancel()
    else:
        first.done.set()
        await asyncio.sleep(0)  # the place is given to the second, which has not seen it yet
        second.task.cancel()
    assert await settled(third) == [True]
    await third.leave()


@pytest.mark.parametrize("others", [(), (OTHER,), (THIRD,)])
async def test_who_leaves_as_a_place_comes_free_leaves_quietly(others: tuple[UUID, ...]) -> None:
    places = Places(1)
    async with places.place_for(ONE):
        leaving, *rest = [Worker(places, account) for account in (OTHER, *others)]
        await settled()
        leaving.task.cancel()  # and the place is free before it hears of that
    with pytest.raises(asyncio.CancelledError):
        await leaving.task
    assert await settled(*rest) == [True for _ in rest]
    await all_leave(*rest)
    last = Worker(places, OTHER)
    assert await settled(last) == [True]
    await last.leave()


async def test_what_ends_without_a_verdict_may_be_tried_again() -> None:
    places = Places(1)
    for _ in range(2):
        with pytest.raises(Problem) as refused:
            async with places.place_for(ONE):
                raise NoVerdictError
        assert (refused.value.code, status_of(refused.value)) == ("busy", 503)
        assert isinstance(refused.value, NoVerdictProblem), "whoever gives up one day can tell it from a full house"


async def test_work_ends_with_the_connection() -> None:
    ended = asyncio.Event()

    async def work() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    with pytest.raises(ClientDisconnect):
        await while_connected(call(leaves), work())
    assert ended.is_set()


async def test_work_of_who_stays() -> None:
    async def work() -> str:
        return "done"

    async def wrong() -> str:
        raise Problem("not_found")

    assert await while_connected(call(stays), work()) == "done"
    with pytest.raises(Problem, match="not_found"):
        await while_connected(call(stays), wrong())


async def stays() -> dict[str, object]:
    await asyncio.Event().wait()
    return {}


async def leaves() -> dict[str, object]:
    await asyncio.sleep(0)
    return {"type": "http.disconnect"}


def call(receive: Callable[[], Awaitable[dict[str, object]]]) -> Request:
    return Request({"type": "http", "headers": []}, receive)
