"""Orders to a running ``relais up`` from another terminal: stop a part, start it again, see how all parts are."""

import time
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from embedded.data_folder import is_in_use
from embedded.errors import StartError
from embedded.runtime import PartState, PartStatus, Runtime, read_runtime

LOOK_EVERY_SECONDS = 0.2
PATIENCE_SECONDS = 120.0


def stop_part(data_dir: Path, name: str) -> None:
    """Stops one part and keeps it stopped until `start_part`. Returns when it has stopped; raises StartError when it cannot."""
    _part(data_dir, name)
    _order(data_dir, name).touch(mode=0o600)
    _wait_for(data_dir, name, PartState.STOPPED)


def start_part(data_dir: Path, name: str) -> PartState:
    """Starts one part that was stopped. Returns when it is ready or waits for another; raises StartError if it doesn't start."""
    _part(data_dir, name)
    _order(data_dir, name).unlink(missing_ok=True)
    return _wait_for(data_dir, name, PartState.RUNNING, PartState.WAITING)


def print_status(data_dir: Path, console: Console) -> None:
    """Prints a table of the parts. Raises StartError when nothing runs."""
    runtime = running(data_dir)
    table = Table("Part", "State", "Pid", Column("Address", overflow="fold"), "Restarts")
    for name, part in runtime.parts.items():
        table.add_row(name, part.state, str(part.pid or ""), part.address, str(part.restarts))
    console.print(table, markup=False)
    since = runtime.started_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    console.print(f"Data folder {data_dir}, started {since}", markup=False)


def running(data_dir: Path) -> Runtime:
    """What runs in the data folder. Raises StartError when nothing does."""
    runtime = read_runtime(data_dir) if is_in_use(data_dir) else None
    if runtime is None:
        raise StartError(f"Relais does not run in {data_dir}: start it with `relais up`.")
    return runtime


def _part(data_dir: Path, name: str) -> PartStatus:
    parts = running(data_dir).parts
    if name not in parts:
        raise StartError(f"There is no part {name!r}: choose among {', '.join(parts)}.")
    return parts[name]


def _order(data_dir: Path, name: str) -> Path:
    return data_dir / "control" / f"{name}.stop"


def _wait_for(data_dir: Path, name: str, *states: PartState) -> PartState:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (state := _part(data_dir, name).state) not in states:
        if time.monotonic() > deadline:
            raise StartError(f"The part {name} is not {states[0]} yet: see {data_dir / 'logs' / f'{name}.log'}.")
        time.sleep(LOOK_EVERY_SECONDS)
    return state
