"""What the tests of `confined` have run in its processes."""

import json
import os
import sys
import time
from pathlib import Path

SECRET = "Jeanne Tremblay"

prepared: list[int] = []


def prepare() -> None:
    """By the server, before all calls."""
    prepared.append(os.getpid())


def look(folder: Path, *words: str) -> None:
    """What such a process knows."""
    told = {
        "pid": os.getpid(),
        "words": words,
        "prepared": prepared,
        "nice": os.nice(0),
        "environment": dict(os.environ),
        "open": os.listdir("/dev/fd"),  # noqa: PTH208
        "folder": os.getcwd(),  # noqa: PTH109
    }
    (folder / "told.json").write_text(json.dumps(told))


def turn(folder: Path) -> None:
    """Takes a processor for ever."""
    while True:
        pass


def wait(folder: Path) -> None:
    """Takes no processor, for ever."""
    (folder / "pid").write_text(str(os.getpid()))
    while True:
        time.sleep(1)


def swell(folder: Path) -> None:
    """Takes memory without end."""
    kept = []
    while True:
        kept.append(bytearray(64 * 1024**2))


def write(folder: Path) -> None:
    """Takes a disk without end."""
    with (folder / "large").open("wb") as file:
        while True:
            file.write(bytes(1024**2))


def fail(folder: Path) -> None:
    raise ValueError(SECRET)


def crash(folder: Path) -> None:
    os.abort()


def quit(folder: Path) -> None:  # noqa: A001
    sys.exit("done with it")
