"""Where the tests' Chromium is, and how it comes onto a new machine: ``python -m tests.portal.chromium``.

The system's own is taken when there is one. Else it is installed: by the system's packages where this user may do so (root on
Debian or Ubuntu, as in continuous integration), else as playwright's own build, in the user's folder.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""No sandbox, for it looks at our own pages only, often as root; no calls of its own to the network."""

NAMES = ("chromium", "chromium-browser", "google-chrome")


def of_the_system() -> str | None:
    """The system's Chromium; None when there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def is_there() -> bool:
    """Whether the tests would find one."""
    if of_the_system():
        return True
    with sync_playwright() as play:
        return Path(play.chromium.executable_path).exists()


def install() -> None:
    """Raises CalledProcessError when it can't be had."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=True, env=environment)
        packages = ["chromium", "fonts-dejavu-core"]
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
            check=True,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
    else:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


if __name__ == "__main__":
    if not is_there():
        print("Installing Chromium for the tests of the portal ...", flush=True)  # noqa: T201
        try:
            install()
        except subprocess.CalledProcessError:
            sys.exit("There is no Chromium for the tests of the portal: install the package chromium, then try again.")
