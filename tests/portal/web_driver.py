"""A WebKit for the tests: WebKitGTK, from the system's packages, spoken to over WebDriver (https://www.w3.org/TR/webdriver2).

Playwright drives only builds of its own, which are no packages. Here is the little of the protocol that a story needs.
``python -m tests.portal.web_driver`` installs it.
"""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.eventually import PATIENCE_SECONDS, eventually
from tests.portal.browsers import install_packages, may_install_packages

PACKAGES = ("webkit2gtk-driver", "xvfb", "fonts-dejavu-core")
PROGRAMS = ("WebKitWebDriver", "Xvfb")

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The name under which WebDriver says which element it means."""

KEYS = {"Enter": "\ue007"}


class WebDriverError(Exception):
    """What the driver refused, by its name: `stale element reference`, `element not interactable`."""


@dataclass(frozen=True)
class WebDriver:
    """A window of a browser of its own."""

    session: httpx.AsyncClient

    async def ask(self, method: str, path: str, **said: Any) -> Any:
        """One command of the protocol. Raises WebDriverError."""
        answer = await self.session.request(
            method, f"{self.session.base_url}{path}", json=said if method == "POST" else None
        )
        value = answer.json()["value"]
        if answer.is_error:
            raise WebDriverError(f"{value['error']}: {value['message']}")
        return value

    async def run(self, script: str, *given: Any) -> Any:
        """What a function's body gives in the page."""
        return await self.ask("POST", "/execute/sync", script=script, args=list(given))


def is_there() -> bool:
    """Whether this machine has one."""
    return all(shutil.which(program) for program in PROGRAMS)


@asynccontextmanager
async def display() -> AsyncIterator[str]:
    """A screen that nobody sees, by its name: WebKitGTK has no mode without windows."""
    reads, writes = os.pipe()
    options = ("-screen", "0", "1400x1100x24", "-nolisten", "tcp", "-displayfd", str(writes))
    server = await asyncio.create_subprocess_exec(
        "Xvfb", *options, pass_fds=(writes,), stderr=asyncio.subprocess.DEVNULL
    )
    os.close(writes)
    try:
        with os.fdopen(reads) as told:
            number = await asyncio.to_thread(told.readline)
        yield f":{number.strip()}"
    finally:
        server.terminate()
        await server.wait()


@asynccontextmanager
async def window(screen: str, home: Path, *, width: int, height: int) -> AsyncIterator[WebDriver]:
    """A WebKit with nothing in its memory, on that screen; `home` is where it may write."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "DISPLAY": screen,
        "GDK_BACKEND": "x11",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "NO_AT_BRIDGE": "1",
        "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
        "XDG_RUNTIME_DIR": str(home),
    }
    driver = await asyncio.create_subprocess_exec(
        "WebKitWebDriver",
        *("--host=127.0.0.1", f"--port={port}"),
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, trust_env=False) as http:
            await eventually(lambda: _listens(http, port))
            begun = await http.post(f"http://127.0.0.1:{port}/session", json={"capabilities": {"alwaysMatch": {}}})
            begun.raise_for_status()
            http.base_url = httpx.URL(f"http://127.0.0.1:{port}/session/{begun.json()['value']['sessionId']}")
            there = WebDriver(http)
            await there.ask("POST", "/window/rect", width=width, height=height)
            try:
                yield there
            finally:
                await there.ask("DELETE", "")
    finally:
        driver.terminate()
        await driver.wait()


async def _listens(http: httpx.AsyncClient, port: int) -> bool:
    return (await http.get(f"http://127.0.0.1:{port}/status")).is_success


if __name__ == "__main__":
    if not is_there() and not (may_install_packages() and install_packages(PACKAGES)):
        sys.exit(f"There is no WebKit for the tests of the portal: install {', '.join(PACKAGES)}, then try again.")
