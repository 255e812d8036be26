"""What webhooks promise when processes die, and when an endpoint does not answer.

    .venv/bin/python -m benchmarks.webhooks kills [--messages 5000] [--kills 50] [--endpoints 1]
    .venv/bin/python -m benchmarks.webhooks subscription [--requests 100] [--kills 40]
    .venv/bin/python -m benchmarks.webhooks dead [--endpoints 100] [--rounds 30]

`kills` lets a sender work, a process of its own, and kills it (SIGKILL) again and again while it has calls under way: each
message must arrive, and few twice. `subscription` does so with a Subscription of FHIR, while its requests go on: its events must
come with numbers that have no gap, each the same event whenever it comes. `dead` has one of many endpoints never answer, and
prints how long after its commit a message is at the others. All start a PostgreSQL of their own in a temporary folder, and
receivers on the loopback. Nothing here is a test; `tests/webhooks` holds that what a dead sender had in hand goes on.
"""

import argparse
import asyncio
import os
import random
import secrets
import signal
import statistics
import sys
import tempfile
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from uuid import UUID

from benchmarks.worklist import running_database
from domain.subscriptions import SubscriptionStatus
from domain.webhooks import CHOSEN, EndpointState, WebhookType
from records import people, webhooks
from records.database import Database
from records.ids import new_id
from records.models import WebhookEndpoint
from records.requests import process_of
from settings import Settings
from tests.eventually import eventually
from tests.records.scenes import make_draft, set_scene, usual_story
from tests.webhooks.conftest import Office
from tests.webhooks.receiver import Receiver, read_call, served
from tests.webhooks.test_subscriptions import Reader, reader_of, told_events, wanted
from use_cases.subscriptions import create
from use_cases.webhooks import sealed_secret
from worker import webhook_sender

TYPE = WebhookType.ACCOUNT_LOCKED


async def send() -> None:
    """Be a sender, until somebody ends this process."""
    settings = Settings()
    async with Database.opened(settings) as database, webhook_sender(settings, database):
        await asyncio.Event().wait()


def environment(database: Database) -> dict[str, str]:
    """What a sender is told."""
    return {
        "RELAIS_DATABASE_URL": database.url,
        "RELAIS_ENCRYPTION_KEYS": f"bench:{b64encode(bytes(32)).decode()}",
        "RELAIS_WEBHOOKS_TO_THIS_MACHINE": "true",
        "RELAIS_LOG_LEVEL": "WARNING",
    }


@asynccontextmanager
async def sender(told: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that sends; it is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmarks.webhooks", "send"),
        env={**os.environ, **told},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()


async def endpoints_at(database: Database, settings: Settings, addresses: Sequence[str]) -> list[UUID]:
    """Active endpoints of one clinic."""
    made = []
    async with database.session() as session:
        clinic = await people.add_clinic(session, code=f"bench-{new_id().hex}", name="Bench")
        for url in addresses:
            id_, now = new_id(), datetime.now(UTC)
            endpoint = await webhooks.add(
                session,
                given_by=None,
                endpoint_id=id_,
                clinic_id=clinic.id,
                url=url,
                types=CHOSEN,
                description="",
                sealed_secret=sealed_secret(settings, id_, secrets.token_bytes(32)),
                now=now,
            )
            endpoint.state, endpoint.verified_at = EndpointState.ACTIVE, now
            made.append(id_)
    return made


async def tell(database: Database, endpoints: Sequence[UUID], number: int) -> None:
    """One message for all of them, which are of one clinic."""
    async with database.session() as session:
        first = await session.get_one(WebhookEndpoint, endpoints[0])
        said = TYPE, {"number": number}
        await webhooks.queue(session, said, endpoints, datetime.now(UTC), clinic_id=first.clinic_id)


class Arrivals:
    """What arrived where, and when first."""

    def __init__(self) -> None:
        self.times: Counter[tuple[str, str]] = Counter()
        self.first: dict[tuple[str, str], float] = {}
        self.news = asyncio.Condition()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = await read_call(reader)
        one = call.line, call.id
        self.times[one] += 1
        self.first.setdefault(one, perf_counter())
        writer.write(b"HTTP/1.1 204 Fine\r\n\r\n")
        await writer.drain()
        async with self.news:
            self.news.notify_all()

    async def wait_until(self, calls: int) -> None:
        """So many calls have come; of each message the first counts."""
        async with self.news:
            await self.news.wait_for(lambda: len(self.first) >= calls)


async def kills(messages: int, count: int, endpoints: int) -> tuple[int, int, int]:
    """How many messages arrived, how many of them more than once, and how many calls there were."""
    arrivals, chance = Arrivals(), random.Random(11)  # noqa: S311
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = await stack.enter_async_context(running_database(folder))
        port = await stack.enter_async_context(served(arrivals.take))
        told = environment(database)
        settings = Settings(encryption_keys=told["RELAIS_ENCRYPTION_KEYS"])
        addresses = [f"http://127.0.0.1:{port}/{number}" for number in range(endpoints)]
        ids = await endpoints_at(database, settings, addresses)
        for number in range(messages // endpoints):
            await tell(database, ids, number)
        for _ in range(count):
            async with sender(told):
                more = chance.randint(1, messages // (count + 5))
                await arrivals.wait_until(min(len(arrivals.first) + more, messages - 1))
                await asyncio.sleep(chance.random() / 100)  # at any moment of a call
        async with sender(told):
            await arrivals.wait_until(messages)
    return len(arrivals.times), sum(times > 1 for times in arrivals.times.values()), arrivals.times.total()


async def is_active(reader: Reader, id_: UUID) -> bool:
    """Whether its handshake was taken."""
    return (await reader.read(id_)).status is SubscriptionStatus.ACTIVE


async def subscription(requests: int, count: int) -> str:
    """What came of the events of so many requests (five each) while the sender was killed so often."""
    chance, arrived = random.Random(11), dict[int, set[str]]()  # noqa: S311
    calls: Counter[int] = Counter()
    news = asyncio.Condition()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = await read_call(reader)
        for event in told_events(call.said):
            calls[event[0]] += 1
            arrived.setdefault(event[0], set()).add(event[1])
        writer.write(b"HTTP/1.1 204 Fine\r\n\r\n")
        await writer.drain()
        async with news:
            news.notify_all()

    async def wait_until(events: int) -> None:
        async with news:
            await news.wait_for(lambda: len(arrived) >= events)

    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = await stack.enter_async_context(running_database(folder))
        port = await stack.enter_async_context(served(take))
        told = environment(database)
        settings = Settings(encryption_keys=told["RELAIS_ENCRYPTION_KEYS"], webhooks_to_this_machine=True)
        office = Office(settings, database)
        async with database.session() as session:
            scene = await set_scene(session)
            drafts = [process_of(await make_draft(session, scene)) for _ in range(requests)]
        reader = await reader_of(office, scene)
        made = await create(office, reader.caller, wanted(Receiver(port)))
        async with sender(told):
            await eventually(lambda: is_active(reader, made.id))
        stories, most = [usual_story(scene, draft) for draft in drafts], 5 * requests

        async def happen() -> None:
            for step in range(len(stories[0].steps)):
                for story in stories:
                    await office.record(story, slice(step, step + 1))

        happening = asyncio.create_task(happen())
        for kill in range(count):
            async with sender(told):
                goal = min(len(arrived) + chance.randint(1, 2 * most // count), most * (kill + 1) // count, most - 1)
                await wait_until(goal)
                await asyncio.sleep(chance.random() / 50)
        await happening
        async with sender(told):
            await wait_until(most)
        found = [one for first in range(1, most, 200) for one in await reader.events(made.id, first, first + 199)]
    is_whole = sorted(arrived) == list(range(1, most + 1)) == [number for number, _ in found]
    same = all(arrived[number] == {f"{settings.public_url}/fhir/{focus}"} for number, focus in found)
    twice = sum(times > 1 for times in calls.values())
    return (
        f"{most} events, {count} kills: numbers 1 to {max(arrived)} {'without a gap' if is_whole else 'WITH GAPS'}, "
        f"{'each one event' if same else 'SOME SEVERAL EVENTS'}, {twice} came more than once"
    )


async def dead(endpoints: int, rounds: int) -> list[float]:
    """The seconds from commit to arrival at those that answer, while one does not."""
    arrivals, delays = Arrivals(), list[float]()

    async def never(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = await stack.enter_async_context(running_database(folder))
        port = await stack.enter_async_context(served(arrivals.take))
        silent = await stack.enter_async_context(served(never))
        told = environment(database)
        settings = Settings(encryption_keys=told["RELAIS_ENCRYPTION_KEYS"])
        addresses = [f"http://127.0.0.1:{port}/{number}" for number in range(endpoints - 1)]
        ids = await endpoints_at(database, settings, [f"http://127.0.0.1:{silent}/", *addresses])
        await stack.enter_async_context(sender(told))
        for number in range(-1, rounds):  # the first until the sender is there
            await tell(database, ids, number)
            committed, known = perf_counter(), set(arrivals.first)
            await arrivals.wait_until((number + 2) * len(addresses))
            if number >= 0:
                delays += [at - committed for one, at in arrivals.first.items() if one not in known]
    return delays


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("send", "kills", "subscription", "dead"))
    parser.add_argument("--messages", type=int, default=5_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--endpoints", type=int)
    parser.add_argument("--rounds", type=int, default=30)
    said = parser.parse_args()
    if said.what == "send":
        await send()
    elif said.what == "kills":
        arrived, twice, calls = await kills(said.messages, said.kills, said.endpoints or 1)
        print(f"{said.messages} messages, {said.kills} kills: {arrived} arrived, {twice} more than once, {calls} calls")
    elif said.what == "subscription":
        print(await subscription(said.requests, said.kills))
    else:
        delays = sorted(await dead(said.endpoints or 100, said.rounds))
        p99 = delays[int(len(delays) * 0.99)]
        print(
            f"{len(delays)} deliveries beside a dead endpoint: median {statistics.median(delays) * 1000:.0f} ms, "
            f"p99 {p99 * 1000:.0f} ms, longest {delays[-1] * 1000:.0f} ms"
        )


if __name__ == "__main__":
    asyncio.run(main())
