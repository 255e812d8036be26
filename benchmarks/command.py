"""What a command of Relais costs over a bare Temporal update with one activity, in one run on one machine.

    .venv/bin/python -m benchmarks.command [--rounds 200]

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
from rich.console import Console
from rich.progress import track
from rich.table import Table
from temporalio.client import Client

from benchmarks.bare import TASK_QUEUE, Bare
from benchmarks.people import People

WARM_UP = 10


async def main(rounds: int) -> None:
    """Measure and print."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        async with running_system(Path(folder)) as (http, runtime):
            address = runtime["environment"]["TEMPORAL_ADDRESS"]
            floor_worker = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.bare", address)
            try:
                people = await People.sign_in(http, Path(folder))
                samples = await measure(people, await Client.connect(address), rounds)
            finally:
                floor_worker.terminate()
                await floor_worker.wait()
    report(console, samples)


async def measure(people: People, engine: Client, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each, measured in turn."""
    bare = await engine.start_workflow(Bare.run, id=f"bare-{uuid4()}", task_queue=TASK_QUEUE)
    command = await accepted_request(people)

    async def with_activity() -> None:
        await bare.execute_update(Bare.with_activity, "x")

    async def with_local_activity() -> None:
        await bare.execute_update(Bare.with_local_activity, "x")

    async def read() -> None:
        await people.get("provider", "/me")

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

    def __init__(self, people: People, path: str) -> None:
        self._people = people
        self._path = path
        self._is_open = False

    async def give(self) -> None:
        """The next command."""
        name = "withdraw-information-request" if self._is_open else "request-information"
        body = {} if self._is_open else {"text": "Depuis quand ?"}
        await self._people.post("provider", f"{self._path}/{name}", body)
        self._is_open = not self._is_open


async def accepted_request(people: People) -> QuestionAndWithdrawal:
    """A request that a provider has accepted, ready for commands."""
    request_id = await people.draft()
    path = f"/requests/{request_id}"
    await people.post("requester", f"{path}/submit", {})
    await people.post("dispatcher", f"{path}/assign", {"provider_id": people.ids["provider"]})
    await people.post("provider", f"{path}/accept", {})
    return QuestionAndWithdrawal(people, path)


NO_LIMITS = {f"RELAIS_{what}_PER_MINUTE": "0" for what in ("SEARCHES", "PICTURES", "DOCUMENTS", "UPLOADS", "STREAMS")}
"""A benchmark asks for more than a person may."""


@contextlib.asynccontextmanager
async def running_system(folder: Path) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, Any]]]:
    """`relais up` in `folder`, and an HTTP client for it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "RELAIS_DATA_DIR": str(folder), "RELAIS_PORT": str(port), **NO_LIMITS}
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
