"""What makes documents, but the first signature of an authority halts, so that a test may end its process."""

import os
import time
from pathlib import Path

from documents import tasks
from documents.key_folder import KeyFolder
from documents.key_places import heard
from documents.tasks import draw

__all__ = ["draw", "sign"]

HALTED = "halted"
"""File in the authority's folder with the id of the process that halted, and its environment and command line."""


def sign(folder: Path, keys_at: str, stamped_by: str) -> None:
    """As `documents.tasks.sign`, but for the first time."""
    place = heard(keys_at)
    assert isinstance(place, KeyFolder)
    halted = place.path / HALTED
    if not halted.exists():
        known = (Path("/proc/self/environ").read_bytes(), Path("/proc/self/cmdline").read_bytes())
        (folder / HALTED).write_bytes(b"\n".join((str(os.getpid()).encode(), *known)))
        (folder / HALTED).rename(halted)
        while True:
            time.sleep(1)
    tasks.sign(folder, keys_at, stamped_by)
