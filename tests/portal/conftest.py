"""The portal on a real port, and a real Chromium."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.async_api import async_playwright, expect

from server import create_app
from tests.eventually import PATIENCE_SECONDS, eventually
from tests.portal import chromium
from tests.portal.browsing import Portal
from tests.system import System


@pytest.fixture(scope="session")
def portal_app(system: System) -> FastAPI:
    """The API with the portal over it, as it is served."""
    return create_app(system.settings, system.services)


@pytest.fixture(scope="session")
async def portal(portal_app: FastAPI) -> AsyncIterator[Portal]:
    """The portal, served on a free port of this machine, and a Chromium to look at it."""
    config = uvicorn.Config(portal_app, host="127.0.0.1", port=0, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started or serving.done())
        assert server.started
        port = server.servers[0].sockets[0].getsockname()[1]
        expect.set_options(timeout=PATIENCE_SECONDS * 1000)  # a machine that is busy is no fault of a page
        async with async_playwright() as play:
            browser = await play.chromium.launch(executable_path=chromium.of_the_system(), args=chromium.ARGUMENTS)
            try:
                yield Portal(f"http://127.0.0.1:{port}", browser)
            finally:
                await browser.close()
    finally:
        portal_app.state.services.stopping.set()
        server.should_exit = True
        await serving
        portal_app.state.services.stopping.clear()
