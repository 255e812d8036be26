"""Receivers of webhooks on the loopback: one that does as it should, and others that do not."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Call:
    """A call as it came: its request line, headers in lower case, and body."""

    line: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def said(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


@dataclass
class Receiver:
    """Takes calls, and answers each with `answer`: its status, more headers, and body; a challenge comes back by itself."""

    port: int = 0
    calls: list[Call] = field(default_factory=list)
    status: int = 200
    headers: str = ""
    answers_challenges: bool = True
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/relais"

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        call = await read_call(reader)
        self.calls.append(call)
        challenge = call.said.get("data", {}).get("challenge") if self.answers_challenges else None
        body = json.dumps({"challenge": challenge} if challenge else {}).encode()
        head = f"HTTP/1.1 {self.status} Said\r\n{self.headers}Content-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()


async def read_call(reader: asyncio.StreamReader) -> Call:
    """One request, as it stands on the wire."""
    line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
    return Call(line, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


@asynccontextmanager
async def served(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port on which somebody behaves so."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await behaviour(reader, writer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def open_receiver() -> AsyncIterator[Receiver]:
    """A receiver that does as it should, until a test says otherwise."""
    receiver = Receiver()
    async with served(lambda reader, writer: receiver.talk(reader, writer)) as port:
        receiver.port = port
        yield receiver
