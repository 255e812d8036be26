"""Where the tests' Chromium and Firefox are, and how they come onto a new machine: ``python -m tests.portal.browsers``.

The system's own are taken when they are there; of Chromium rather the build without windows, which asks less of the machine.
What is not there is installed: by the system's packages where this user may do so (root on Debian, as in continuous
integration), else as playwright's own builds, in the user's folder.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Playwright
from playwright.sync_api import sync_playwright

FIREFOX_FOR_PLAYWRIGHT = Path(__file__).with_name("firefox_for_playwright.py")


@dataclass(frozen=True)
class BrowserProgram:
    """A browser as playwright calls it, its program's names on a system, the best first, and Debian's packages with the best."""

    name: str
    programs: tuple[str, ...]
    packages: tuple[str, ...]

    def of_the_system(self) -> str | None:
        """The system's own; None when there is none."""
        return next((found for program in self.programs if (found := shutil.which(program))), None)

    def is_there(self) -> bool:
        """Whether the tests would find one."""
        if self.of_the_system():
            return True
        with sync_playwright() as play:
            return Path(getattr(play, self.name).executable_path).exists()

    def could_be_better(self) -> bool:
        """Whether this user may install packages, and its best program is not there."""
        return may_install_packages() and shutil.which(self.programs[0]) is None

    def install(self) -> bool:
        """Whether it could be had: as packages of the system, else, where there is none at all, as playwright's own build."""
        if may_install_packages() and install_packages(self.packages):
            return True
        return self.is_there() or _succeeds([sys.executable, "-m", "playwright", "install", self.name])


def _succeeds(command: list[str]) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, check=False, env=environment, stdout=subprocess.DEVNULL).returncode == 0


def install_packages(packages: Sequence[str]) -> bool:
    """Whether these could be had of the system, and what each needs at least."""
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    return _succeeds(["apt-get", "update", "-qq"]) and _succeeds(install)


def may_install_packages() -> bool:
    """Whether this is root on a Debian, or the like."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


CHROMIUM = BrowserProgram(
    "chromium",
    ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"),
    ("chromium-headless-shell", "fonts-dejavu-core"),
)

FIREFOX = BrowserProgram("firefox", ("firefox-esr", "firefox"), ("firefox-esr", "fonts-dejavu-core"))

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
"""No sandbox, for it looks at our own pages only, often as root; no calls of its own to the network; a camera that draws."""

FIREFOX_PREFERENCES: dict[str, str | float | bool] = {
    "app.normandy.enabled": False,
    "app.update.auto": False,
    "browser.safebrowsing.downloads.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.topsites.contile.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.ipc.processCount": 1,
    "dom.ipc.processPrelaunch.enabled": False,
    "dom.disable_beforeunload": False,  # as people have it
    "extensions.update.enabled": False,
    "fission.autostart": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "network.prefetch-next": False,
    "services.settings.server": "data:,",
}
"""Of a Firefox that makes no calls of its own to the network, and no process for pages that nobody has opened."""


async def launch_chromium(play: Playwright) -> Browser:
    """Without a window."""
    return await play.chromium.launch(executable_path=CHROMIUM.of_the_system(), args=CHROMIUM_ARGUMENTS)


async def launch_firefox(play: Playwright) -> Browser:
    """Without a window. A stock Firefox is spoken to over WebDriver BiDi, playwright's own build in its own way."""
    program = FIREFOX.of_the_system()
    if program is None:
        return await play.firefox.launch(firefox_user_prefs=FIREFOX_PREFERENCES)
    return await play.firefox.launch(
        channel="moz-firefox",
        executable_path=FIREFOX_FOR_PLAYWRIGHT,
        env={**os.environ, "FIREFOX": program, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        firefox_user_prefs=FIREFOX_PREFERENCES,
    )


if __name__ == "__main__":
    for browser in (CHROMIUM, FIREFOX):
        if browser.is_there() and not browser.could_be_better():
            continue
        print(f"Installing {browser.name} for the tests of the portal ...", flush=True)  # noqa: T201
        if not browser.install():
            sys.exit(f"There is no {browser.name} for the tests of the portal: install it, then try again.")
