"""The worker's sign of life: a file that it renews, since it answers no calls. Who keeps it running looks at the file's age."""

import asyncio
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import structlog

RENEWED_EVERY_SECONDS = 2.0

SILENT_AFTER_SECONDS = 20.0
"""A sign that is older is none. Long enough for a machine that is busy."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sign:
    """What a worker said of itself last."""

    pid: int
    ready: bool
    """It has all that its work needs, and asks for work."""

    age_seconds: float
    trouble: str | None = None
    """What it can't do now while all else goes on."""

    @property
    def is_alive(self) -> bool:
        return 0 <= self.age_seconds < SILENT_AFTER_SECONDS


class SignOfLife:
    """Renewed as long as the event loop runs: ``async with SignOfLife(path) as life``. Without a path, nobody looks."""

    def __init__(self, path: Path | None) -> None:
        self.ready = False
        self.trouble: str | None = None
        self._path = path
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._path is not None:
            self._renewing = asyncio.create_task(self._renew(self._path), name="sign of life")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._renewing is not None and self._path is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
            self._path.unlink(missing_ok=True)

    async def _renew(self, path: Path) -> None:
        told = False
        while True:
            try:
                await asyncio.to_thread(_write, path, self.ready, self.trouble)
                told = False
            except OSError as error:  # a full disk: the work matters more than its sign
                if not told:
                    log.warning("no sign of life can be written", error=type(error).__name__)
                    told = True
            await asyncio.sleep(RENEWED_EVERY_SECONDS)


def read_sign(path: Path) -> Sign | None:
    """The last sign in the file; None when there is none that can be read."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads(path.read_text())
        age = time.monotonic() - float(said["at"])
        return Sign(int(said["pid"]), bool(said["ready"]), age, said.get("trouble"))
    return None


def _write(path: Path, ready: bool, trouble: str | None) -> None:
    """The clock is the machine's time since it was started: the same for all its processes, and nobody sets it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    said = {"pid": os.getpid(), "ready": ready, "at": time.monotonic(), "trouble": trouble}
    beside.write_text(json.dumps(said))
    beside.replace(path)
