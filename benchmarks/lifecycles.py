"""Whole lifecycles over HTTP against the bare floor of the engine, some at once, in one run on one machine.

    .venv/bin/python -m benchmarks.lifecycles [--lives 24] [--at-once 1 8 32] [--rounds 2]

Starts `relais up` in a temporary folder. A life is submit, assign, accept, ask, answer, cancel: six commands by three people,
with their e-mails. The floor is a workflow that takes six updates and runs one activity for each: no rules, no encryption, no
records, no mail. Both run in turn on the same Temporal server. Prints lives per second, the time of a command, and their ratios;
then what the commands cost in processor time (by part) and what they left in the histories: events, and actions as Temporal
Cloud counts them. Every e-mail of a round is waited for before the next begins.
"""

import argparse
import asyncio
import gc
import json
import os
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.table import Table
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from benchmarks.bare import TASK_QUEUE, BareLife
from benchmarks.command import running_system
from benchmarks.people import People

COMMANDS = 6

ACTIONS = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    EventType.EVENT_TYPE_TIMER_STARTED,
    EventType.EVENT_TYPE_MARKER_RECORDED,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
}
"""What Temporal Cloud charges for (docs.temporal.io/cloud/actions), as it shows in a history."""

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass
class Measured:
    """Lives per second of each round, and seconds of each command."""

    rates: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """The median round."""
        return statistics.median(self.rates)

    def quantile(self, part: float) -> float:
        """Milliseconds that so great a part of the commands took at the most."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))]


async def main(lives: int, at_once: Sequence[int], rounds: int) -> None:
    """Measure and print."""
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with running_system(folder) as (http, runtime):
            address = runtime["environment"]["TEMPORAL_ADDRESS"]
            engine = await Client.connect(address)
            floor_worker = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.bare", address)
            try:
                people = await People.sign_in(http, folder)
                await warm_up(engine, people)
                for count in at_once:
                    await compare(
                        console, engine, people, folder, max(count, lives if count > 1 else lives // 3), count, rounds
                    )
            finally:
                floor_worker.terminate()
                await floor_worker.wait()


async def warm_up(engine: Client, people: People) -> None:
    """Let every part have done everything once."""
    await run(lambda: bare_life(engine, []), 2, 2)
    await run_lives(people, [await people.draft() for _ in range(2)], 2, [])


async def compare(
    console: Console, engine: Client, people: People, folder: Path, lives: int, at_once: int, rounds: int
) -> None:
    """Floor and Relais in turn, so many rounds; print what came of it."""
    floor, relais, cost, ids = Measured(), Measured(), Counter[str](), []
    for _ in range(rounds):
        floor.rates.append(await run(lambda: bare_life(engine, floor.seconds), lives, at_once))
        drafts = [await people.draft() for _ in range(lives)]
        before = processor_seconds(folder)
        relais.rates.append(await run_lives(people, drafts, at_once, relais.seconds))
        await people.all_mail_is_handed_over()
        cost.update({part: spent - before[part] for part, spent in processor_seconds(folder).items()})
        ids += drafts
    table = Table("at once", "", "lives/s", "p50 ms", "p99 ms")
    for name, measured in (("bare engine", floor), ("Relais", relais)):
        table.add_row(
            str(at_once),
            name,
            f"{measured.rate:.2f}",
            f"{measured.quantile(0.5):.0f}",
            f"{measured.quantile(0.99):.0f}",
        )
    console.print(table)
    median, tail = (relais.quantile(part) / floor.quantile(part) for part in (0.5, 0.99))
    console.print(
        f"A life costs {floor.rate / relais.rate:.2f} times the floor; a command at p50 {median:.2f}, at p99 {tail:.2f}."
    )
    commands = rounds * lives * COMMANDS
    parts = ", ".join(f"{part} {1000 * spent / commands:.0f}" for part, spent in cost.most_common() if spent)
    console.print(f"Processor time a command: {1000 * cost.total() / commands:.0f} ms ({parts}).")
    events, actions = await in_the_histories(engine, ids)
    console.print(f"In the histories: {events / commands:.1f} events and {actions / commands:.1f} actions a command.\n")


async def run(life: Callable[[], Awaitable[None]], lives: int, at_once: int) -> float:
    """So many lives, so many at once; lives per second."""
    places = asyncio.Semaphore(at_once)

    async def one() -> None:
        async with places:
            await life()

    began = perf_counter()
    await asyncio.gather(*(one() for _ in range(lives)))
    return lives / (perf_counter() - began)


async def bare_life(engine: Client, seconds: list[float]) -> None:
    """One life on the floor."""
    handle = await engine.start_workflow(BareLife.run, COMMANDS, id=f"bare-{uuid4()}", task_queue=TASK_QUEUE)
    for number in range(COMMANDS):
        began = perf_counter()
        await handle.execute_update(BareLife.take, str(number))
        seconds.append(perf_counter() - began)
    await handle.result()


async def run_lives(people: People, drafts: Sequence[str], at_once: int, seconds: list[float]) -> float:
    """The life of each of these drafts, so many at once; lives per second."""
    left = list(drafts)

    async def life() -> None:
        path = f"/requests/{left.pop()}"
        to = {"provider_id": people.ids["provider"]}
        for who, name, body in (
            ("requester", "submit", {}),
            ("dispatcher", "assign", to),
            ("provider", "accept", {}),
            ("provider", "request-information", {"text": "Depuis quand ?"}),
            ("requester", "answer-information", {"text": "Hier."}),
            ("requester", "cancel", {"reason": "Essai."}),
        ):
            began = perf_counter()
            await people.post(who, f"{path}/{name}", body)
            seconds.append(perf_counter() - began)

    return await run(life, len(drafts), at_once)


async def in_the_histories(engine: Client, request_ids: Sequence[str]) -> tuple[int, int]:
    """How many events and how many actions the workflows of these requests have."""
    kinds: Counter[Any] = Counter()
    for request_id in request_ids:
        async for event in engine.get_workflow_handle(f"request-{request_id}").fetch_history_events():
            kinds[event.event_type] += 1
    return kinds.total(), sum(kinds[kind] for kind in ACTIONS)


def processor_seconds(folder: Path) -> dict[str, float]:
    """What each part of the system in that folder has spent until now, with the processes that it started. Linux only."""
    children: dict[int, list[int]] = {}
    spent: dict[int, float] = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and (said := _stat(process)):
            children.setdefault(int(said[1]), []).append(int(process.name))
            spent[int(process.name)] = sum(map(int, said[11:15])) / TICKS_PER_SECOND
    parts = json.loads((folder / "runtime.json").read_text())["parts"]

    def whole(pid: int) -> float:
        return spent.get(pid, 0.0) + sum(map(whole, children.get(pid, ())))

    return {name: whole(part["pid"]) for name, part in parts.items()}


def _stat(process: Path) -> list[str] | None:
    try:
        return (process / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:  # it has ended
        return None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--lives", type=int, default=24)
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    asyncio.run(main(given.lives, given.at_once, given.rounds))
    gc.collect()
