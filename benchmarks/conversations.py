"""Whole conversations between two installations that ask each other, while parts of both are killed.

    .venv/bin/python -m benchmarks.conversations [--requests 12] [--kills 12]

Starts `relais up` twice, each in a temporary folder with its own Temporal, PostgreSQL, API and worker, and lets each register the
other: a clinic of the first stands for the second, which answers what that clinic is given. Then so many requests are asked,
taken, asked about, answered, reported and closed, by people who go on until what they do is done, while PostgreSQL, API and
worker of both are killed (SIGKILL) in turn. In the end each request must be there once on either side, in statuses that agree,
with the same document, and every message must have arrived. Nothing here is a test; `tests/partners/test_two_installations.py`
holds the same without kills.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import signal
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import func, select, update
from sqlalchemy.exc import SQLAlchemyError

from benchmarks.command import running_system
from benchmarks.people import People
from embedded.runtime import read_runtime
from records.database import Database
from records.models import PartnerEndpoint, RequestRecord, StoredDocument, ToldMessage

ASKING, ANSWERING = "capitale", "fleuve"
"""The clinic of the first that stands for the second, and that of the second where the first asks."""

PARTS = ("database", "api", "worker")
PATIENCE_SECONDS = 240.0


@dataclass
class House:
    """An installation, its people, and the system by which it knows the other one."""

    folder: Path
    people: People
    partner_id: str = ""
    tries: Counter[str] = field(default_factory=Counter)

    async def ask(self, who: str, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """What is answered in the end, however often parts of it are away; one key for all tries. Raises RuntimeError."""
        headers = {"Authorization": f"Bearer {self.people.tokens[who]}", "Idempotency-Key": str(uuid4())}
        ends = perf_counter() + PATIENCE_SECONDS
        while perf_counter() < ends:
            try:
                answer = await self.people.http.request(method, f"/api/v1{path}", json=body, headers=headers, **more)
            except httpx.TransportError:
                self.tries["none"] += 1
            else:
                self.tries[str(answer.status_code)] += 1
                if answer.is_success and answer.status_code != HTTPStatus.ACCEPTED:
                    return answer.json() if answer.content else None
                is_passing = answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status_code in _LATER
                if not is_passing:
                    raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
            await asyncio.sleep(0.3)
        raise RuntimeError(f"{method} {path}: nobody answers")

    async def post(self, who: str, path: str, body: Any = None) -> Any:
        return await self.ask(who, "POST", path, body if body is not None else {})

    async def until(self, who: str, request_id: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The request as somebody sees it once that holds. Raises RuntimeError."""
        ends = perf_counter() + PATIENCE_SECONDS
        while perf_counter() < ends:
            view: dict[str, Any] = await self.ask(who, "GET", f"/requests/{request_id}")
            if is_so(view):
                return view
            await asyncio.sleep(0.5)
        raise RuntimeError(f"{request_id} stays {view['status']}: {view.get('asked')}")

    async def found(self, query: Any) -> list[Any]:
        """Of the records, as their owner reads them."""
        runtime = read_runtime(self.folder)
        if runtime is None:
            raise RuntimeError("nothing runs")
        database = Database(runtime.settings["database_url"])
        try:
            async with database.session() as session:
                return list((await session.execute(query)).all())
        finally:
            await database.close()

    async def do(self, *statements: Any) -> None:
        """Change something of the records, as their owner."""
        runtime = read_runtime(self.folder)
        if runtime is None:
            raise RuntimeError("nothing runs")
        database = Database(runtime.settings["database_url"])
        try:
            async with database.session() as session:
                for statement in statements:
                    await session.execute(statement)
        finally:
            await database.close()


_LATER = (HTTPStatus.ACCEPTED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.CONFLICT)
"""On its way, too many, or something else is on its way."""


async def know(house: House, clinic: str) -> None:
    """A service account of that clinic, by its administrator, who signs in besides."""
    accounts = {one["username"]: one for one in json.loads((house.folder / "demo-accounts.json").read_text())}
    administrator = accounts[f"administrateur.{clinic}"]
    who = {"username": administrator["username"], "password": administrator["password"]}
    house.people.tokens["administrator"] = (await house.people.http.post("/api/v1/tokens", json=who)).json()[
        "access_token"
    ]
    house.people.ids["liaison"] = accounts[f"demandeur.{clinic}"]["account_id"]
    until = datetime.now(UTC).date() + timedelta(days=30)
    new = {"name": "Relais", "purpose": "Essai", "scopes": ["messages:send"], "expires_on": str(until)}
    given = await house.post("administrator", "/service-accounts", new)
    house.partner_id = given["service_account"]["id"]


async def agree(here: House, there: House, **terms: Any) -> None:
    """`here` says where `there` hears messages; `there` registers the key with which `here` signs."""
    url = str(there.people.http.base_url).rstrip("/")
    endpoint = {
        "url": f"{url}/fhir/$process-message",
        "authorization": "client_assertion",
        "token_url": f"{url}/fhir/token",
        "client_id": there.partner_id,
        "token_scope": "system/Bundle.c",
    }
    said = {"liaison_id": here.people.ids["liaison"], **terms, "endpoint": endpoint}
    kept = await here.ask("administrator", "PUT", f"/service-accounts/{here.partner_id}/partner", said)
    key = {"jwk": kept["endpoint"]["public_key"]}
    await there.post("administrator", f"/service-accounts/{there.partner_id}/keys", key)


async def converse(asks: House, answers: House, here: str, clinic_id: str) -> tuple[str, str]:
    """One request from its submission to its end, by the people of both; its ids here and there."""
    path = f"/requests/{here}"
    await asks.post("requester", f"{path}/submit")
    await asks.post("dispatcher", f"{path}/assign", {"clinic_id": clinic_id})
    view = await asks.until("dispatcher", here, lambda v: [one["state"] for one in v["asked"]] == ["delivered"])
    there = await counterpart(answers, view["number"])
    path_there = f"/requests/{there}"
    await answers.post("dispatcher", f"{path_there}/assign", {"provider_id": answers.people.ids["provider"]})
    await answers.post("provider", f"{path_there}/accept")
    await answers.post("provider", f"{path_there}/request-information", {"text": "Depuis quand ?"})
    await asks.until("requester", here, lambda v: v["status"] == "accepted" and v["open_questions"] == 1)
    await asks.post("requester", f"{path}/add-information", {"text": "Elle saigne."})
    await asks.post("requester", f"{path}/answer-information", {"text": "Depuis mardi."})
    await answers.until("provider", there, lambda v: v["open_questions"] == 0 and len(v["additions"]) == 1)
    await answers.ask("provider", "PUT", f"{path_there}/report", {"answers": answers.people.report})
    body = {"kind": "final", "password": answers.people.passwords["provider"]}
    await answers.post("provider", f"{path_there}/report/sign", body)
    await asks.until("requester", here, lambda v: v["status"] == "reported")
    await asks.post("requester", f"{path}/ask-follow-up", {"text": "Combien de temps ?"})
    await answers.until("provider", there, lambda v: len(v["follow_ups"]) == 1)
    await answers.post("provider", f"{path_there}/answer-follow-up", {"text": "Dix jours."})
    await asks.until("requester", here, lambda v: v["follow_ups"][0]["state"] == "answered")
    await asks.post("requester", f"{path}/acknowledge")
    return here, there


async def counterpart(answers: House, number: str) -> str:
    """The request there that is the first of that number here. Raises RuntimeError."""
    wanted = f"{number}-1"
    for line in (await answers.ask("dispatcher", "GET", "/requests?limit=100"))["items"]:
        view = await answers.ask("dispatcher", "GET", f"/requests/{line['id']}")
        if view["received"] and view["received"]["number"] == wanted:
            return str(view["id"])
    raise RuntimeError(f"{wanted} is not there")


async def kill(houses: tuple[House, House], count: int, is_done: Callable[[], bool]) -> Counter[str]:
    """Kill parts of both in turn, so many at most; which were killed."""
    chance, killed = random.Random(11), Counter[str]()  # noqa: S311
    for number in range(count):
        await asyncio.sleep(4 + 4 * chance.random())
        if is_done():
            break
        house, part = houses[number % 2], PARTS[number // 2 % len(PARTS)]
        runtime = read_runtime(house.folder)
        if runtime and (pid := runtime.parts[part].pid):
            os.kill(pid, signal.SIGKILL)
            killed[part] += 1
    return killed


async def hurry(houses: tuple[House, House]) -> None:
    """Let what waits for a later try be due at once: the pauses between tries, of minutes and hours, would only be waited for."""
    due = update(ToldMessage).where(ToldMessage.state == "pending", ToldMessage.next_attempt > func.now())
    while True:
        await asyncio.sleep(2)
        for house in houses:
            with suppress(SQLAlchemyError, OSError, RuntimeError):  # it was killed just now
                await house.do(due.values(next_attempt=func.now()), update(PartnerEndpoint).values(paused_until=None))


async def ends(house: House, ids: list[str]) -> tuple[Counter[str], Counter[str], dict[UUID, list[str]]]:
    """Statuses, what became of the messages, and the digests of documents, of these requests."""
    wanted = [UUID(id_) for id_ in ids]
    statuses = await house.found(select(RequestRecord.status).where(RequestRecord.id.in_(wanted)))
    states = await house.found(select(ToldMessage.state).where(ToldMessage.request_id.in_(wanted)))
    query = select(StoredDocument.request_id, StoredDocument.pdf_sha256).where(StoredDocument.request_id.in_(wanted))
    digests: dict[UUID, list[str]] = {}
    for request_id, digest in await house.found(query):
        digests.setdefault(request_id, []).append(digest)
    return Counter(row[0].value for row in statuses), Counter(row[0].value for row in states), digests


async def main(requests: int, kills: int) -> None:
    """Let them talk, and print what came of it."""
    os.environ["RELAIS_WEBHOOKS_TO_THIS_MACHINE"] = "true"
    async with AsyncExitStack() as stack:
        houses = []
        for _ in range(2):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            http, _runtime = await stack.enter_async_context(running_system(folder))
            houses.append(House(folder, await People.sign_in(http, folder)))
        asks, answers = houses
        await know(asks, ASKING)
        await know(answers, ANSWERING)
        await agree(asks, answers, performs=True)
        await agree(answers, asks)
        clinics = await asks.ask("dispatcher", "GET", "/clinics")
        clinic_id = next(one["id"] for one in clinics if one["code"] == ASKING)
        drafts = [await asks.people.draft() for _ in range(requests)]
        began = perf_counter()
        talks = [asyncio.create_task(converse(asks, answers, draft, clinic_id)) for draft in drafts]
        killing = asyncio.create_task(kill((asks, answers), kills, lambda: all(talk.done() for talk in talks)))
        hurrying = asyncio.create_task(hurry((asks, answers)))
        pairs = await asyncio.gather(*talks)
        killed, seconds = await killing, perf_counter() - began
        await settled(asks, answers)
        hurrying.cancel()
        here, there = await ends(asks, [pair[0] for pair in pairs]), await ends(answers, [pair[1] for pair in pairs])
        begun = await answers.found(select(RequestRecord.id).where(RequestRecord.system_id == UUID(answers.partner_id)))
    same = all(here[2].get(UUID(a)) == there[2].get(UUID(b)) != [] for a, b in pairs)
    print(
        f"{requests} conversations in {seconds:.0f} s, killed {dict(killed)}: asked {dict(here[0])}, answered {dict(there[0])}, "
        f"{len(begun)} requests begun there; messages {dict(here[1])} and {dict(there[1])}; same documents: {same}; "
        f"answers to people {dict(asks.tries + answers.tries)}"
    )
    is_whole = here[0] == {"closed": requests} and there[0] == {"reported": requests} and len(begun) == requests
    if not (is_whole and same and set(here[1]) == set(there[1]) == {"delivered"}):
        raise SystemExit("something was lost, doubled, or both sides do not agree")


async def settled(*houses: House) -> None:
    """Until no message waits any more."""
    ends_at = perf_counter() + PATIENCE_SECONDS
    for house in houses:
        waiting = select(ToldMessage.id).where(ToldMessage.state == "pending")
        while await house.found(waiting) and perf_counter() < ends_at:  # noqa: ASYNC110 - it can only be asked
            await asyncio.sleep(0.5)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=12)
    parser.add_argument("--kills", type=int, default=12)
    said = parser.parse_args()
    asyncio.run(main(said.requests, said.kills))
    gc.collect()
