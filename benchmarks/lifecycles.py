"""Whole lifecycles over HTTP against the bare floor of the engine, some at once, in one run on one machine.

    .venv/bin/python -m benchmarks.lifecycles [--lives 24] [--at-once 1 8 32] [--rounds 2] [--sign]

Starts `relais up` in a temporary folder. A life is submit, assign, accept, ask, answer, cancel: six commands by three people,
with their e-mails. The floor is a workflow that takes six updates and runs one activity for each: no rules, no encryption, no
records, no mail. Both run in turn on the same Temporal server. Prints lives per second, the time of a command, and their ratios;
then what the commands cost in processor time (by part) and what they left in the histories: events, and actions as Temporal
Cloud counts them. Every e-mail of a round is waited for before the next begins.

With --sign a life ends with a report that is written and signed, in place of the cancellation, and its floor is the sum of the
bare life and of bare Argon2, typst and pyHanko on the same inputs, in as many processes as there are processors
(`benchmarks/bare_signature.py`). Then the commands of other people are measured, some at once, while a burst of signatures is
made and while none is.
"""

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.table import Table
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from benchmarks import bare_signature
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

    def quantiles(self) -> tuple[str, str]:
        """The median and p99, for people."""
        return f"{self.quantile(0.5):.0f}", f"{self.quantile(0.99):.0f}"


async def main(lives: int, at_once: Sequence[int], rounds: int, *, with_signature: bool) -> None:
    """Measure and print."""
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with running_system(folder) as (http, runtime), AsyncExitStack() as stack:
            address = runtime["environment"]["TEMPORAL_ADDRESS"]
            engine = await Client.connect(address)
            floor_worker = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.bare", address)
            try:
                people = await People.sign_in(http, folder)
                bench = Bench(console, engine, people, folder, floor_worker.pid, rounds)
                await bench.warm_up()
                if with_signature:
                    await bench.prepare_signatures(stack)
                for count in at_once:
                    await bench.compare(max(count, lives if count > 1 else lives // 3), count)
                if with_signature:
                    await bench.beside_signatures(lives)
            finally:
                floor_worker.terminate()
                await floor_worker.wait()


@dataclass
class Bench:
    """The running system, and how it is measured."""

    console: Console
    engine: Client
    people: People
    folder: Path
    floor_worker: int
    """The process of the floor's worker."""
    rounds: int
    signers: ProcessPoolExecutor | None = None
    """Where the bare signatures are made, when lives end with one."""
    signing: Measured = field(default_factory=Measured)
    """How long each signature took until its document was there."""

    async def warm_up(self) -> None:
        """Let every part have done everything once."""
        await run(lambda: self.bare_life([]), 2, 2)
        await self.lives([await self.people.draft() for _ in range(2)], 2, Measured())

    async def prepare_signatures(self, stack: AsyncExitStack) -> None:
        """From now on lives end with a signature; their floor signs what the first of them signed."""
        request_id = await self.people.draft()
        await self.lives([request_id], 1, Measured(), end=self.sign)
        await self.people.all_mail_is_handed_over()
        [document] = await self.people.get("provider", f"/requests/{request_id}/reports")
        path = f"/requests/{request_id}/reports/{document['report_id']}/content"
        content = await self.people.get("provider", path)
        processes = multiprocessing.get_context("spawn")
        self.signers = stack.enter_context(
            ProcessPoolExecutor(
                os.cpu_count(), processes, bare_signature.prepare, (content, self.folder / "authority-of-the-floor")
            )
        )
        await run(self.bare_signature, 2 * (os.cpu_count() or 1), os.cpu_count() or 1)

    async def compare(self, lives: int, at_once: int) -> None:
        """Floor and Relais in turn, so many rounds; print what came of it."""
        floor, signatures, relais, ids = Measured(), Measured(), Measured(), []
        cost, floor_cost = Counter[str](), Counter[str]()
        self.signing = Measured()
        for _ in range(self.rounds):
            before = self.spent_on_the_floor()
            floor.rates.append(await run(lambda: self.bare_life(floor.seconds), lives, at_once))
            floor_cost.update(since(before, self.spent_on_the_floor()))
            if self.signers:
                signatures.rates.append(await run(self.bare_signature, lives, at_once))
            drafts = [await self.people.draft() for _ in range(lives)]
            before = processor_seconds(self.folder)
            relais.rates.append(await self.lives(drafts, at_once, relais))
            await self.people.all_mail_is_handed_over()
            cost.update(since(before, processor_seconds(self.folder)))
            ids += drafts
        commands = self.rounds * lives * COMMANDS
        self.print_rates(at_once, floor, signatures, relais)
        for what, spent in (("on the floor", floor_cost), ("of Relais", cost)):
            self.console.print(f"Processor time a command {what}: {in_milliseconds(spent, commands)}.")
        self.console.print(f"A command costs {cost.total() / floor_cost.total():.2f} times the floor's processor time.")
        events, actions = await in_the_histories(self.engine, ids)
        self.console.print(
            f"In the histories: {events / commands:.1f} events and {actions / commands:.1f} actions a command.\n"
        )

    def spent_on_the_floor(self) -> dict[str, float]:
        """Seconds of processor that the floor’s worker and the engine have taken until now; its client is not counted."""
        return {
            "worker": seconds_of(self.floor_worker),
            "temporal": processor_seconds(self.folder)["temporal"],
        }

    def print_rates(self, at_once: int, floor: Measured, signatures: Measured, relais: Measured) -> None:
        """The table of one comparison, and its ratios."""
        table = Table("at once", "", "lives/s", "p50 ms", "p99 ms")
        table.add_row(str(at_once), "bare engine", f"{floor.rate:.2f}", *floor.quantiles())
        seconds = 1 / floor.rate
        if signatures.rates:
            table.add_row(str(at_once), "bare signature", f"{signatures.rate:.2f}")
            seconds += 1 / signatures.rate
        table.add_row(str(at_once), "Relais", f"{relais.rate:.2f}", *relais.quantiles())
        if self.signing.seconds:
            table.add_row("", "a signature, with its document", "", *self.signing.quantiles())
        self.console.print(table)
        median, tail = (relais.quantile(part) / floor.quantile(part) for part in (0.5, 0.99))
        self.console.print(
            f"A life costs {1 / relais.rate / seconds:.2f} times the floor; a command at p50 {median:.2f}, at p99 {tail:.2f}."
        )

    async def beside_signatures(self, signatures: int, at_once: int = 2) -> None:
        """Commands of others, so many lives at once, while nothing is signed and while a burst of signatures is made."""
        alone, beside = Measured(), Measured()
        for _ in range(self.rounds):
            to_sign = [await self.people.draft() for _ in range(signatures)]
            await self.lives(to_sign, at_once, Measured(), end=self.people.write_report)
            drafts = [await self.people.draft() for _ in range(4 * signatures)]
            await self.people.all_mail_is_handed_over()
            half = len(drafts) // 2
            await self.lives(drafts[:half], at_once, alone, end=partial(self.cancel, alone))
            burst = asyncio.gather(*(self.people.sign(request_id) for request_id in to_sign))
            await self.lives(drafts[half:], at_once, beside, end=partial(self.cancel, beside), until=burst)
            await burst
        table = Table("commands of others", "", "p50 ms", "p99 ms")
        for name, measured in (("nothing is signed", alone), (f"{signatures} signatures at once", beside)):
            table.add_row(name, str(len(measured.seconds)), *measured.quantiles())
        self.console.print(table)
        median, tail = (beside.quantile(part) / alone.quantile(part) for part in (0.5, 0.99))
        self.console.print(f"Beside signatures a command takes at p50 {median:.2f} times as long, at p99 {tail:.2f}.")

    async def bare_life(self, seconds: list[float]) -> None:
        """One life on the floor."""
        handle = await self.engine.start_workflow(BareLife.run, COMMANDS, id=f"bare-{uuid4()}", task_queue=TASK_QUEUE)
        for number in range(COMMANDS):
            began = perf_counter()
            await handle.execute_update(BareLife.take, str(number))
            seconds.append(perf_counter() - began)
        await handle.result()

    async def bare_signature(self) -> None:
        """One signature on the floor."""
        await asyncio.get_running_loop().run_in_executor(self.signers, bare_signature.sign, 0)

    async def lives(
        self,
        drafts: Sequence[str],
        at_once: int,
        measured: Measured,
        *,
        end: Callable[[str], Awaitable[None]] | None = None,
        until: asyncio.Future[Any] | None = None,
    ) -> float:
        """The life of each of these drafts, so many at once; lives per second. `end` is what comes after the answer.

        What begins after `until` is done is left undone.
        """
        left = list(drafts)
        last = end or (self.sign if self.signers else partial(self.cancel, measured))

        async def life() -> None:
            request_id = left.pop()
            path, to = f"/requests/{request_id}", {"provider_id": self.people.ids["provider"]}
            for who, name, body in (
                ("requester", "submit", {}),
                ("dispatcher", "assign", to),
                ("provider", "accept", {}),
                ("provider", "request-information", {"text": "Depuis quand ?"}),
                ("requester", "answer-information", {"text": "Hier."}),
            ):
                if until is not None and until.done():
                    return
                began = perf_counter()
                await self.people.post(who, f"{path}/{name}", body)
                measured.seconds.append(perf_counter() - began)
            await last(request_id)

        return await run(life, len(drafts), at_once)

    async def cancel(self, measured: Measured, request_id: str) -> None:
        """The end of a life without a signature."""
        began = perf_counter()
        await self.people.post("requester", f"/requests/{request_id}/cancel", {"reason": "Essai."})
        measured.seconds.append(perf_counter() - began)

    async def sign(self, request_id: str) -> None:
        """The end of a life with one."""
        await self.people.write_report(request_id)
        began = perf_counter()
        await self.people.sign(request_id)
        self.signing.seconds.append(perf_counter() - began)


async def run(life: Callable[[], Awaitable[None]], lives: int, at_once: int) -> float:
    """So many lives, so many at once; lives per second."""
    places = asyncio.Semaphore(at_once)

    async def one() -> None:
        async with places:
            await life()

    began = perf_counter()
    await asyncio.gather(*(one() for _ in range(lives)))
    return lives / (perf_counter() - began)


async def in_the_histories(engine: Client, request_ids: Sequence[str]) -> tuple[int, int]:
    """How many events and how many actions the workflows of these requests have."""
    kinds: Counter[Any] = Counter()
    for request_id in request_ids:
        async for event in engine.get_workflow_handle(f"request-{request_id}").fetch_history_events():
            kinds[event.event_type] += 1
    return kinds.total(), sum(kinds[kind] for kind in ACTIONS)


def since(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    """What each part has spent between two moments."""
    return {part: spent - before[part] for part, spent in now.items()}


def in_milliseconds(spent: Counter[str], commands: int) -> str:
    """What a command took of processor time, and which part how much of it."""
    parts = ", ".join(f"{part} {1000 * one / commands:.0f}" for part, one in spent.most_common() if one)
    return f"{1000 * spent.total() / commands:.0f} ms ({parts})"


def seconds_of(pid: int) -> float:
    """The processor time that a process has taken until now."""
    said = _stat(Path("/proc") / str(pid))
    return sum(map(int, said[11:13])) / TICKS_PER_SECOND if said else 0.0


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
    parser.add_argument("--sign", action="store_true")
    given = parser.parse_args()
    asyncio.run(main(given.lives, given.at_once, given.rounds, with_signature=given.sign))
    gc.collect()
