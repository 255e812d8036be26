"""The portal on a real port, and real browsers."""

import os
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from playwright.async_api import async_playwright, expect
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server import create_app
from tests.eventually import PATIENCE_SECONDS
from tests.portal import browsers
from tests.portal.browsing import Portal
from tests.serving import served
from tests.system import System

LOOKED_AT: list[Portal] = []
"""The portal of this test process with its Chromium, once a test has asked for it."""


@pytest.fixture(scope="session")
def portal_app(system: System) -> FastAPI:
    """The API with the portal over it, as it is served."""
    return create_app(system.settings, system.of_api)


@pytest.fixture(scope="session")
def pages_loaded() -> list[str]:
    """The addresses of the pages that browsers have loaded, one after the other."""
    return []


@pytest.fixture(scope="session")
async def portal_address(portal_app: FastAPI, pages_loaded: list[str]) -> AsyncIterator[str]:
    """Where the portal is served: a free port of this machine."""
    async with served(noting_pages(portal_app, pages_loaded)) as address:
        expect.set_options(timeout=PATIENCE_SECONDS * 1000)  # a machine that is busy is no fault of a page
        try:
            yield address
        finally:
            portal_app.state.services.stopping.set()
    portal_app.state.services.stopping.clear()


def noting_pages(app: ASGIApp, loaded: list[str]) -> ASGIApp:
    """The same, which notes each page that a browser shows in place of the one before; not what scripts ask for, no redirect."""

    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        async def on(message: Message) -> None:
            if message["type"] == "http.response.start" and not 300 <= message["status"] < 400:
                asked, given = Headers(scope=scope), Headers(raw=message["headers"])
                by_browser = asked.get("accept", "").startswith("text/html") and "hx-request" not in asked
                if by_browser and given.get("content-type", "").startswith("text/html"):
                    loaded.append(scope["path"])
            await send(message)

        await app(scope, receive, on)

    return noted


@pytest.fixture(scope="session")
async def portal(portal_address: str) -> AsyncIterator[Portal]:
    """The portal, and a Chromium to look at it; a Firefox where RELAIS_TEST_BROWSER says so."""
    launch = browsers.launch_firefox if os.environ.get("RELAIS_TEST_BROWSER") == "firefox" else browsers.launch_chromium
    async with async_playwright() as play:
        browser = await launch(play)
        portal = Portal(portal_address, browser)
        LOOKED_AT.append(portal)
        try:
            yield portal
        finally:
            LOOKED_AT.clear()
            await browser.close()


@pytest.fixture(scope="module", autouse=True)
async def nobody_looks() -> AsyncIterator[None]:
    """Pages that stayed open would renew themselves whenever a test of another file does something."""
    yield
    for portal in LOOKED_AT:
        await portal.look_away()


@pytest.fixture
def only_in_chromium(portal: Portal) -> None:
    """For what playwright can do with no stock Firefox: fingers, a dialog on leaving, a call with a body that it holds up."""
    if portal.browser.browser_type.name != "chromium":
        pytest.skip("playwright can't do this with a stock Firefox")


@pytest.fixture(scope="module")
async def portal_in_firefox(portal_address: str) -> AsyncIterator[Portal]:
    """The portal, and a Firefox to look at it, closed after the file: it takes a fifth of a processor while nobody looks."""
    async with async_playwright() as play:
        browser = await browsers.launch_firefox(play)
        try:
            yield Portal(portal_address, browser)
        finally:
            await browser.close()
