"""A small system under the real supervisor, run as a program of its own by the tests: small_system.py DATA_DIR

Its parts are tiny programs that write down when they start and stop; `stubborn` does not stop when asked.
"""

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from embedded.data_folder import locked
from embedded.errors import StartError
from embedded.leftovers import end_leftovers
from embedded.runtime import PartStatus, Runtime, read_runtime
from embedded.supervisor import Part, Patience, Step, Supervisor, Watcher

PROGRAM = """
import pathlib, signal, sys, time
folder, name, stubborn = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[2] == "stubborn"
def note(what):
    with (folder / "events").open("a") as events:
        events.write(f"{name} {what}\\n")
def stop(*_):
    note("stopped")
    if not stubborn:
        sys.exit(0)
signal.signal(signal.SIGTERM, stop)
if (folder / f"{name}.broken").exists():
    sys.exit("no bolts left")
note("started")
if not (folder / f"{name}.waits").exists():
    (folder / f"{name}.ready").touch()
while True:
    (folder / f"{name}.alive").touch()
    time.sleep(0.05)
"""


def part(folder: Path, name: str) -> Part:
    async def ready(born: datetime) -> bool:
        return (folder / f"{name}.ready").stat().st_mtime >= born.timestamp()

    async def alive(_born: datetime) -> bool:
        return time.time() - (folder / f"{name}.alive").stat().st_mtime < 3

    command = [sys.executable, "-c", PROGRAM, str(folder), name]
    hurried = name == "stubborn" or (folder / "impatient").exists()
    grace = 1 if hurried else 60  # who stops when asked may take the time that a busy machine takes
    return Part(name, name, command, ready, dict(os.environ), alive=alive, address=f"at {name}", grace_seconds=grace)


def step(folder: Path) -> Step:
    program = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); (p / 'events').open('a').write('step done\\n'); "
    program += "sys.exit((p / 'step.broken').exists() and 'the step slipped')"
    command = [sys.executable, "-c", program, str(folder)]
    return Step("step", "first step", command, dict(os.environ), optional=(folder / "step.optional").exists())


async def run(folder: Path) -> None:
    before = read_runtime(folder)
    if before:
        await end_leftovers(before.parts)
    started_at = datetime.now(UTC)

    def remember(parts: Mapping[str, PartStatus]) -> None:
        Runtime(started_at=started_at, parts=parts).write(folder)

    remember({})
    names = ["database", "worker"]
    if (folder / "with-stubborn").exists():
        names.append("stubborn")
    stages: list[Part | Step] = [part(folder, name) for name in names]
    stages.insert(1, step(folder))
    watcher = Watcher(say=lambda line: print(line, flush=True), changed=remember)  # noqa: T201
    impatient = folder / "impatient"  # holds after how many seconds of silence a part is started again
    patience = (
        Patience(ask_every=0.1, noticed_after=1.0, restarted_after=float(impatient.read_text()), waits_after=0.5)
        if impatient.exists()
        else Patience()
    )
    supervisor = Supervisor(
        stages, logs=folder / "logs", control=folder / "control", watcher=watcher, patience=patience
    )
    await supervisor.run(lambda: print("all ready", flush=True))  # noqa: T201


def main() -> None:
    folder = Path(sys.argv[1])
    try:
        with locked(folder):
            asyncio.run(run(folder))
    except StartError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
