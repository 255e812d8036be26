"""Applications on real ports of this machine, for callers from outside: other clients, browsers, other installations."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from tests.eventually import eventually


def listen() -> socket.socket:
    """A free port of this machine, for what must know its own address before it is served."""
    return socket.create_server(("127.0.0.1", 0))


def address_of(listening: socket.socket) -> str:
    """Where it is called."""
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


def free_port() -> int:
    """A port that nothing listens on, for what opens it by itself."""
    with listen() as free:
        return int(free.getsockname()[1])


@asynccontextmanager
async def served(app: ASGIApp, listening: socket.socket | None = None) -> AsyncIterator[str]:
    """The whole application there, or at a free port, while the block lasts; its address."""
    there = listening or listen()
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve(sockets=[there]))
    try:
        await eventually(lambda: server.started or serving.done())
        assert server.started
        yield address_of(there)
    finally:
        server.should_exit = True
        await serving
