#!/usr/bin/env python
"""A stock Firefox, as playwright starts it: what that asks over WebDriver BiDi and this Firefox may not know is answered here.

Playwright sets the colour scheme of every context. A Firefox that lacks the command refuses it, and there would be no context.
The program of the Firefox stands in FIREFOX; the arguments are its own.
"""

import asyncio
import json
import os
import re
import sys

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

UNKNOWN_AND_NOT_NEEDED = {"emulation.setMediaFeaturesOverride"}

LISTENING = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")


async def main(firefox: str, *arguments: str) -> int:
    """Run it until it ends, and give its exit code."""
    process = await asyncio.create_subprocess_exec(firefox, *arguments, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    async for line in process.stderr:
        found = LISTENING.search(line)
        if found:
            break
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
    else:
        return await process.wait()

    async def relay(playwright: ServerConnection) -> None:
        address = found[1].decode() + "/session"
        async with (
            connect(address, max_size=None, compression=None, proxy=None) as browser,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(_to_the_browser(playwright, browser))
            group.create_task(_to_playwright(browser, playwright))

    async with serve(relay, "127.0.0.1", 0, max_size=None, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        sys.stderr.write(f"WebDriver BiDi listening on ws://127.0.0.1:{port}\n")
        sys.stderr.flush()
        while await process.stderr.read(65536):
            pass
        return await process.wait()


async def _to_the_browser(playwright: ServerConnection, browser: ClientConnection) -> None:
    async for said in playwright:
        asked = json.loads(said)
        if asked["method"] in UNKNOWN_AND_NOT_NEEDED:
            await playwright.send(json.dumps({"type": "success", "id": asked["id"], "result": {}}))
        else:
            await browser.send(said)
    await browser.close()


async def _to_playwright(browser: ClientConnection, playwright: ServerConnection) -> None:
    async for said in browser:
        await playwright.send(said)
    await playwright.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(os.environ["FIREFOX"], *sys.argv[1:])))
