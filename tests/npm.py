"""Programs of others for node, installed from the locked files in their folder, once; skipped where node or npm are missing."""

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest


def install(folder: Path) -> None:
    """Raises `pytest.skip` where it can't be had."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip(f"node and npm are not installed: what is in {folder.name} can't run")
    with (folder / "package-lock.json").open() as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if (folder / "node_modules" / ".package-lock.json").exists():
            return
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"npm can't install what is in {folder.name}: {done.stderr[-300:]}")
