"""What partners are promised who send a message many times at once, or send it while processes die.

    .venv/bin/python -m benchmarks.partner_messages resends [--messages 100] [--copies 10]
    .venv/bin/python -m benchmarks.partner_messages kills [--messages 100] [--kills 12]
    .venv/bin/python -m benchmarks.partner_messages told [--messages 100] [--kills 50]

`resends` sends all copies of all messages at once. `kills` has each message sent by one sender, eight at a time, and kills
(SIGKILL) the API and the worker in turn meanwhile. Each sender goes on until its message is done, as a good one does. Both start
`relais up` in a temporary folder, and print how many requests there are in the end, and how many answers it took. Each message
must be one request that dispatch has. `told` is the other way: it lets what became of so many requests be told to a partner,
by a sender that is a process of its own, and kills that again and again while it has calls under way. Each message must arrive,
in the order of its request, and what comes twice must be the same under the same id. It starts a PostgreSQL of its own.

Nothing here is a test; `tests/api/test_messages.py` and `tests/partners` hold the same for a few messages.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from benchmarks.command import running_system
from benchmarks.people import People
from benchmarks.worklist import running_database
from domain.requests import Status
from embedded.runtime import read_runtime
from records import data_keys
from records.database import Database
from records.models import RequestRecord
from records.store import DocumentStore
from settings import Settings
from tests.eventually import eventually
from tests.fhir.messages import find, header_of, new_request
from tests.partners.office import Office, a_partner
from tests.partners.requester import Requester, open_requester
from tests.records.scenes import usual_story
from worker import partner_sender

ADMINISTRATOR = "administrateur.fleuve"
SENDERS = 8
LATER = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


@dataclass
class Sender:
    """A partner's system: it sends each message until it is done, and counts what it is answered."""

    http: httpx.AsyncClient
    account_id: UUID
    secret: str
    chance: random.Random = field(default_factory=lambda: random.Random(11))  # noqa: S311
    answers: Counter[str] = field(default_factory=Counter)

    async def bring(self, sent: dict[str, Any]) -> str:
        """The number of the request. Raises RuntimeError for a message that is refused."""
        body = json.dumps(sent)
        headers = {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/fhir+json"}
        while True:
            try:
                answer = await self.http.post("/fhir/$process-message", content=body, headers=headers)
            except httpx.TransportError:
                self.answers["none"] += 1
                await asyncio.sleep(self.chance.random())
                continue
            self.answers[str(answer.status_code)] += 1
            if answer.status_code == HTTPStatus.OK:
                return number_in(answer.json())
            if answer.status_code not in LATER:
                raise RuntimeError(f"{answer.status_code} {answer.text}")
            await asyncio.sleep(int(answer.headers.get("Retry-After", 1)) * (0.5 + self.chance.random()))


def number_in(answer: dict[str, Any]) -> str:
    """The number of the request that an answer tells of. Raises RuntimeError where it tells of none."""
    if header_of(answer)["response"]["code"] != "ok":
        raise RuntimeError(json.dumps(answer))
    return str(find(answer, "Task")["groupIdentifier"]["value"])


@asynccontextmanager
async def partner(folder: Path) -> AsyncIterator[Sender]:
    """A running system with a partner of the demonstration's first clinic."""
    async with running_system(folder) as (http, _runtime):
        people = await People.sign_in(http, folder)
        accounts = {one["username"]: one for one in json.loads((folder / "demo-accounts.json").read_text())}
        who = {"username": ADMINISTRATOR, "password": accounts[ADMINISTRATOR]["password"]}
        signed_in = await http.post("/api/v1/tokens", json=who)
        people.tokens["administrator"] = signed_in.json()["access_token"]
        until = datetime.now(UTC).date() + timedelta(days=30)
        account = {"name": "Dossier", "purpose": "Essai", "scopes": ["messages:send"], "expires_on": str(until)}
        given = await people.post("administrator", "/service-accounts", account)
        id_ = given["service_account"]["id"]
        terms = {"liaison_id": people.ids["requester"], "default_offering": "teledermatology"}
        as_administrator = {"Authorization": f"Bearer {people.tokens['administrator']}"}
        path = f"/api/v1/service-accounts/{id_}/partner"
        (await http.put(path, json=terms, headers=as_administrator)).raise_for_status()
        many = httpx.Limits(max_connections=None, max_keepalive_connections=200)
        async with httpx.AsyncClient(base_url=http.base_url, limits=many, timeout=120, trust_env=False) as all_at_once:
            yield Sender(all_at_once, UUID(id_), given["secret"])


async def resends(sender: Sender, messages: int, copies: int) -> list[str]:
    """The numbers that were answered, of every copy of every message."""
    sent = [new_request() for _ in range(messages)]
    return await asyncio.gather(*(sender.bring(one) for _ in range(copies) for one in sent))


async def kills(sender: Sender, folder: Path, messages: int, count: int) -> list[str]:
    """The numbers that were answered, of each message, while the API and the worker were killed so often."""
    waiting = [new_request() for _ in range(messages)]
    numbers: list[str] = []
    news = asyncio.Condition()

    async def send() -> None:
        while waiting:
            numbers.append(await sender.bring(waiting.pop()))
            async with news:
                news.notify_all()

    def enough(done: int) -> bool:
        return len(numbers) >= done

    async def kill() -> None:
        for number in range(count):
            done = partial(enough, messages * (number + 1) // (count + 1))
            async with news:
                await news.wait_for(done)
            await asyncio.sleep(sender.chance.random() / 2)  # at any moment of a message
            if (runtime := read_runtime(folder)) and (pid := runtime.parts[("api", "worker")[number % 2]].pid):
                os.kill(pid, signal.SIGKILL)

    await asyncio.gather(kill(), *(send() for _ in range(SENDERS)))
    return numbers


async def statuses(folder: Path, sender: Sender) -> Counter[Status]:
    """How many requests the partner has made, by their status."""
    runtime = read_runtime(folder)
    if runtime is None:
        raise RuntimeError("nothing runs")
    database = Database(runtime.settings["database_url"])
    try:
        async with database.session() as session:
            of_partner = select(RequestRecord.status).where(RequestRecord.system_id == sender.account_id)
            return Counter(await session.scalars(of_partner))
    finally:
        await database.close()


async def send() -> None:
    """Be a sender of messages to partners, until somebody ends this process."""
    settings = Settings()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database.opened(settings))
        store = DocumentStore.from_settings(settings, database)
        await stack.enter_async_context(partner_sender(settings, database, store))
        await asyncio.Event().wait()


def environment(database_url: str, folder: Path) -> dict[str, str]:
    """What a sender is told."""
    return {
        "RELAIS_DATABASE_URL": database_url,
        "RELAIS_DOCUMENT_STORE": folder.as_uri(),
        "RELAIS_ENCRYPTION_KEYS": f"bench:{b64encode(bytes(32)).decode()}",
        "RELAIS_PUBLIC_URL": "https://relais.test",
        "RELAIS_WEBHOOKS_TO_THIS_MACHINE": "true",
        "RELAIS_LOG_LEVEL": "WARNING",
    }


@asynccontextmanager
async def sending(told: Mapping[str, str]) -> AsyncIterator[None]:
    """A process that sends; it is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmarks.partner_messages", "send"),
        env={**os.environ, **told},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()


async def tell(requests: int, count: int) -> tuple[Requester, Counter[str]]:
    """Tell what became of so many requests, while the sender is killed so often; whoever was told, and what the outbox says."""
    chance = random.Random(11)  # noqa: S311
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        migrated = await stack.enter_async_context(running_database(folder / "database"))
        requester = await stack.enter_async_context(open_requester())
        told = environment(migrated.url, folder)
        said: dict[str, Any] = {name.removeprefix("RELAIS_").lower(): value for name, value in told.items()}
        settings = Settings(**said)
        database = await stack.enter_async_context(Database.opened(settings))
        async with database.session() as session:
            await data_keys.begin(session)
        office = Office(settings, database, DocumentStore.from_settings(settings, database))
        partner = await a_partner(office, requester)
        drafts = [partner.draft, *[await partner.another() for _ in range(requests - 1)]]
        for draft in drafts:
            await office.record(usual_story(partner.scene, draft))
        messages = MESSAGES_OF_A_STORY * requests
        for number in range(count):
            done = messages * (number + 1) // (count + 2)
            async with sending(told):
                await eventually(lambda done=done: len(requester.order) >= done)  # type: ignore[misc]
                await asyncio.sleep(chance.random() / 50)  # at any moment of a call
        async with sending(told):
            await eventually(lambda: len(requester.order) >= messages)
        states = Counter([state for draft in drafts for state in await office.states(draft.id)])
    return requester, states


MESSAGES_OF_A_STORY = 7


async def main() -> None:
    """Send, and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("resends", "kills", "told", "send"))
    parser.add_argument("--messages", type=int, default=100)
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--kills", type=int)
    said = parser.parse_args()
    if said.what == "send":
        await send()
    elif said.what == "told":
        await tell_and_print(said.messages, said.kills or 50)
    else:
        await bring_and_print(said.what, said.messages, said.copies, said.kills or 12)


async def tell_and_print(requests: int, count: int) -> None:
    """Tell, and print what came of it."""
    began = perf_counter()
    requester, states = await tell(requests, count)
    calls, ids = len(requester.calls), len(requester.order)
    print(
        f"{requests} requests, {count} kills, {perf_counter() - began:.0f} s: {ids} messages done, {calls} calls, "
        f"outbox {dict(states)}, at most {requester.most_under_way} of one request at once; wrong: {requester.wrong}"
    )
    if requester.wrong or ids != MESSAGES_OF_A_STORY * requests or requester.most_under_way != 1:
        raise SystemExit("a message was lost, told twice, or out of its order")


async def bring_and_print(what: str, messages: int, copies: int, count: int) -> None:
    """Send, and print what came of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with partner(folder) as sender:
            began = perf_counter()
            if what == "resends":
                numbers = await resends(sender, messages, copies)
            else:
                numbers = await kills(sender, folder, messages, count)
            seconds = perf_counter() - began
            found = await statuses(folder, sender)
    print(
        f"{messages} messages, {len(numbers)} senders that were told that theirs is done, in {seconds:.0f} s: "
        f"{len(set(numbers))} requests told of, in the records {dict(found)}; answers: {dict(sender.answers)}"
    )
    if len(set(numbers)) != messages or found != {Status.AWAITING_DISPATCH: messages}:
        raise SystemExit("a message is not one request that dispatch has")


if __name__ == "__main__":
    asyncio.run(main())
