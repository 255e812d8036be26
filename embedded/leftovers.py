"""Ends what an earlier ``relais up`` left running, when it was killed with no time to stop its parts."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from embedded.runtime import PartStatus

GRACE_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.2


async def end_leftovers(parts: Mapping[str, PartStatus]) -> None:
    """Ends the processes of the given parts that are still ours, the last started first; others that have their ids by now are
    left alone."""
    for part in reversed(list(parts.values())):
        if part.pid is not None and await _is_ours(part):
            with suppress(ProcessLookupError):
                os.kill(part.pid, part.stop_signal)
            if not await _gone(part):
                with suppress(ProcessLookupError):
                    os.kill(part.pid, signal.SIGKILL)
                await _gone(part)


async def _gone(part: PartStatus) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(GRACE_SECONDS):
            while await _is_ours(part):  # noqa: ASYNC110, nothing tells us: it is not our child
                await asyncio.sleep(LOOK_EVERY_SECONDS)
            return True
    return False


async def _is_ours(part: PartStatus) -> bool:
    """Whether the process id still belongs to what we started: ids are given again, so the command line decides."""
    return part.pid is not None and await asyncio.to_thread(command_line, part.pid) == " ".join(part.command)


def command_line(pid: int) -> str:
    """The command line of a process; empty when it has ended."""
    if sys.platform == "linux":
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ""
        return os.fsdecode(arguments).rstrip("\0").replace("\0", " ")
    ps = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    return subprocess.run(ps, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
