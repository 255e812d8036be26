"""What partners are promised who send a message many times at once, or send it while processes die.

    .venv/bin/python -m benchmarks.partner_messages resends [--messages 100] [--copies 10]
    .venv/bin/python -m benchmarks.partner_messages kills [--messages 100] [--kills 12]

`resends` sends all copies of all messages at once. `kills` has each message sent by one sender, eight at a time, and kills
(SIGKILL) the API and the worker in turn meanwhile. Each sender goes on until its message is done, as a good one does. Both start
`relais up` in a temporary folder, and print how many requests there are in the end, and how many answers it took. Each message
must be one request that dispatch has. Nothing here is a test; `tests/api/test_messages.py` holds the same for a few messages.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
from domain.requests import Status
from embedded.runtime import read_runtime
from records.database import Database
from records.models import RequestRecord
from tests.fhir.messages import find, header_of, new_request

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


async def main() -> None:
    """Send, and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("resends", "kills"))
    parser.add_argument("--messages", type=int, default=100)
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--kills", type=int, default=12)
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with partner(folder) as sender:
            began = perf_counter()
            if said.what == "resends":
                numbers = await resends(sender, said.messages, said.copies)
            else:
                numbers = await kills(sender, folder, said.messages, said.kills)
            seconds = perf_counter() - began
            found = await statuses(folder, sender)
    print(
        f"{said.messages} messages, {len(numbers)} senders that were told that theirs is done, in {seconds:.0f} s: "
        f"{len(set(numbers))} requests told of, in the records {dict(found)}; answers: {dict(sender.answers)}"
    )
    if len(set(numbers)) != said.messages or found != {Status.AWAITING_DISPATCH: said.messages}:
        raise SystemExit("a message is not one request that dispatch has")


if __name__ == "__main__":
    asyncio.run(main())
