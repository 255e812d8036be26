"""What a command of Relais costs over a bare Temporal update with one activity, in one run on one machine.

    .venv/bin/python -m benchmarks.lifecycle [--rounds 200]

Starts `relais up` in a temporary folder and a worker with a workflow that does nothing (`benchmarks/bare.py`) on the same
Temporal server. Then, one after the other in turn, it measures the floor and Relais: a whole command over HTTP, with sign-in
checked, permission, rules, encryption, event and projection in PostgreSQL, until the records show it (its e-mails are on their
way in the background meanwhile, which is part of the price). Prints medians and the ratio of the medians; nothing here is a test.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import uuid4

import httpx
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table
from temporalio.client import Client

from benchmarks.bare import TASK_QUEUE, Bare

WARM_UP = 10


async def main(rounds: int) -> None:
    """Measure and print."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        async with running_system(Path(folder)) as (http, runtime):
            address = runtime["environment"]["TEMPORAL_ADDRESS"]
            floor_worker = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.bare", address)
            try:
                samples = await measure(http, Path(folder), await Client.connect(address), rounds)
            finally:
                floor_worker.terminate()
                await floor_worker.wait()
    report(console, samples)


async def measure(http: httpx.AsyncClient, folder: Path, engine: Client, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each, measured in turn."""
    bare = await engine.start_workflow(Bare.run, id=f"bare-{uuid4()}", task_queue=TASK_QUEUE)
    command = await accepted_request(http, folder)

    async def with_activity() -> None:
        await bare.execute_update(Bare.with_activity, "x")

    async def with_local_activity() -> None:
        await bare.execute_update(Bare.with_local_activity, "x")

    async def read() -> None:
        (await http.get("/api/v1/me", headers=command.headers)).raise_for_status()

    measured: dict[str, Callable[[], Awaitable[None]]] = {
        "bare update, one activity": with_activity,
        "bare update, one local activity": with_local_activity,
        "Relais: a command over HTTP": command.give,
        "Relais: GET /me": read,
    }
    samples: dict[str, list[float]] = {name: [] for name in measured}
    for number in track(range(rounds + WARM_UP), "measuring", transient=True):
        for name, call in measured.items():
            began = perf_counter()
            await call()
            if number >= WARM_UP:
                samples[name].append((perf_counter() - began) * 1000)
    return samples


class QuestionAndWithdrawal:
    """A provider asks a question and takes it back, over and over: commands with an e-mail each."""

    def __init__(self, http: httpx.AsyncClient, request_id: str, headers: dict[str, str]) -> None:
        self._http = http
        self._path = f"/api/v1/requests/{request_id}"
        self.headers = headers
        self._is_open = False

    async def give(self) -> None:
        """The next command."""
        name = "withdraw-information-request" if self._is_open else "request-information"
        body = {} if self._is_open else {"text": "Depuis quand ?"}
        answer = await self._http.post(f"{self._path}/{name}", json=body, headers=self.headers)
        if answer.status_code != 200:
            raise RuntimeError(f"{name}: {answer.status_code} {answer.text}")
        self._is_open = not self._is_open


async def accepted_request(http: httpx.AsyncClient, folder: Path) -> QuestionAndWithdrawal:
    """A request that a provider has accepted, ready for commands."""
    accounts = {a["username"]: a for a in json.loads((folder / "demo-accounts.json").read_text())}

    async def headers(username: str) -> dict[str, str]:
        who = {name: accounts[username][name] for name in ("username", "password")}
        return {"Authorization": f"Bearer {(await post('/tokens', who, {}))['access_token']}"}

    async def post(path: str, body: Any, who: dict[str, str], **more: Any) -> dict[str, Any]:
        answer = await http.post(f"/api/v1{path}", json=body, headers=who, **more)
        if not answer.is_success:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
        return dict(answer.json())

    requester, dispatcher = await headers("demandeur.fleuve"), await headers("repartiteur.fleuve")
    provider = await headers("fournisseur.fleuve")
    draft = {
        "offering": "wound_care",
        "patient": {"given_name": "Jeanne", "family_name": "Tremblay", "birth_date": "1958-03-14"},
        "answers": await required_answers(http, requester, "wound_care"),
    }
    request_id = (await post("/requests", draft, requester))["id"]
    photo = folder / "photo.jpg"
    Image.new("RGB", (640, 480), "#c68863").save(photo)
    for _ in range(3):
        with photo.open("rb") as file:
            await post(f"/requests/{request_id}/attachments", None, requester, files={"file": file})
    await post(f"/requests/{request_id}/submit", {}, requester)
    to = {"provider_id": accounts["fournisseur.fleuve"]["account_id"]}
    await post(f"/requests/{request_id}/assign", to, dispatcher)
    await post(f"/requests/{request_id}/accept", {}, provider)
    return QuestionAndWithdrawal(http, request_id, provider)


async def required_answers(http: httpx.AsyncClient, who: dict[str, str], offering: str) -> dict[str, Any]:
    """Something for every required field of an offering's form."""
    fields = (await http.get(f"/api/v1/offerings/{offering}", headers=who)).json()["form"]
    return {field["name"]: an_answer(field) for field in fields if field["required"]}


def an_answer(field: dict[str, Any]) -> Any:
    """Something that a field takes."""
    match field["kind"]:
        case "choice":
            return field["options"][0]["value"]
        case "choices":
            return [field["options"][0]["value"]]
        case "number":
            return field["minimum"] or 1
        case "date":
            return "2026-11-01"
        case "yes_no":
            return True
        case _:
            return "…"


@contextlib.asynccontextmanager
async def running_system(folder: Path) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, Any]]]:
    """`relais up` in `folder`, and an HTTP client for it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "RELAIS_DATA_DIR": str(folder), "RELAIS_PORT": str(port)}
    relais = Path(sys.executable).with_name("relais")
    system = await asyncio.create_subprocess_exec(relais, "up", env=environment, stdout=subprocess.DEVNULL)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as http:
            while not await is_ready(http):
                if system.returncode is not None:
                    raise RuntimeError("relais up has ended; run it by itself to see why")
                await asyncio.sleep(0.2)
            yield http, json.loads((folder / "runtime.json").read_text())
    finally:
        system.terminate()
        await system.wait()


async def is_ready(http: httpx.AsyncClient) -> bool:
    """Whether everything answers."""
    try:
        return (await http.get("/readyz")).is_success
    except httpx.TransportError:
        return False


def report(console: Console, samples: dict[str, list[float]]) -> None:
    """Medians, tails, and the ratios."""
    table = Table("", "median ms", "p90 ms", "p99 ms")
    for name, values in samples.items():
        cuts = statistics.quantiles(values, n=100)
        table.add_row(name, *(f"{value:.1f}" for value in (statistics.median(values), cuts[89], cuts[98])))
    console.print(table)
    floor, local, relais, _ = (statistics.median(values) for values in samples.values())
    console.print(
        f"A Relais command costs {relais / floor:.2f} times a bare update with one activity (aim: under 1.5),"
    )
    console.print(f"and {relais / local:.2f} times a bare update with one local activity.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=200)
    asyncio.run(main(parser.parse_args().rounds))
    gc.collect()
