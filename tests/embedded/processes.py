"""Real processes of a test, ended with it."""

import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from embedded.child import RunAs
from embedded.supervisor import spawn


@asynccontextmanager
async def running(command: Sequence[str], log: Path, run_as: RunAs = RunAs.SELF) -> AsyncIterator[Process]:
    """The process while the block lasts; then SIGINT, unless it has ended already."""
    process = await spawn(command, os.environ, log, run_as)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()
