"""The wire between a browser and the portal, which a test can cut: in the middle of a file, at a byte that it names."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_PATCH = re.compile(rb"PATCH (\S+) HTTP/1\.1\r\n.*?upload-offset: (\d+)\r\n.*?\r\n\r\n", re.IGNORECASE | re.DOTALL)
"""How a part of a file begins. A browser sends it at the beginning of a packet: it has waited for the answer before."""


@dataclass
class Wire:
    """Carries bytes both ways. After `cut_after` or `silence_after` so many bytes of a file's parts go through, then no more."""

    server: tuple[str, int]
    address: str = ""
    parts: list[tuple[str, int]] = field(default_factory=list)
    """The parts that the server was sent: to which upload, from which byte."""
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when those bytes have gone through."""
    _room: int | None = None
    _is_cut_then: bool = False
    is_deaf: bool = False
    """Whether it carries what the browser sends, and breaks where an answer should come."""
    _is_down: bool = False
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut_after(self, size: int) -> None:
        """Carry these bytes (the wire is mended for them); then every connection breaks, and none can be made until `mend`."""
        self.stopped.clear()
        self._room, self._is_cut_then, self._is_down = size, True, False

    def silence_after(self, size: int) -> None:
        """Carry these bytes; then the connection that carried them takes no more, and nobody is told. Others are well."""
        self.stopped.clear()
        self._room, self._is_cut_then, self._is_down = size, False, False

    def cut(self) -> None:
        """Break every connection; none can be made until `mend`."""
        self._is_down = True
        for end in list(self._open):
            end.close()

    def mend(self) -> None:
        """Carry everything again that comes from now on."""
        self._room, self._is_down, self.is_deaf = None, False, False

    def offsets(self) -> list[int]:
        """From which byte each part began."""
        return [offset for _, offset in self.parts]

    async def carry(self, browser: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """One connection of the browser, until one of the two ends it."""
        if self._is_down:
            back.transport.abort()
            return
        server, on = await asyncio.open_connection(*self.server)
        self._open |= {back, on}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._up(browser, on))
                both.create_task(self._down(server, back))
        except* OSError:
            pass
        finally:
            self._open -= {back, on}
            for end in (back, on):
                end.close()

    async def _up(self, browser: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        is_part = False
        while data := await browser.read(16_384):
            if began := _PATCH.match(data):
                self.parts.append((began[1].decode(), int(began[2])))
                is_part = True
            elif re.match(rb"(GET|HEAD|POST|DELETE) /", data):
                is_part = False
            body = len(data) - began.end() if began else len(data)
            if is_part and self._room is not None:
                if body > self._room:
                    server.write(data[: len(data) - body + self._room])
                    await server.drain()
                    self._room = 0
                    await self._stop()
                self._room -= body
            server.write(data)
            await server.drain()
        if server.can_write_eof():
            server.write_eof()

    async def _down(self, server: asyncio.StreamReader, browser: asyncio.StreamWriter) -> None:
        while (data := await server.read(65_536)) and not self.is_deaf:
            browser.write(data)
            await browser.drain()
        browser.close()

    async def _stop(self) -> None:
        """Never returns: the connection is broken off, or falls silent."""
        if self._is_cut_then:
            self.cut()  # what was carried still arrives
        self.stopped.set()
        if self._is_cut_then:
            raise ConnectionAbortedError
        await asyncio.Event().wait()


@asynccontextmanager
async def wire_to(address: str) -> AsyncIterator[Wire]:
    """A wire to the portal at `address`; its own address is for a browser."""
    there = urlsplit(address)
    assert there.hostname is not None
    assert there.port is not None
    wire = Wire((there.hostname, there.port))
    carrying: set[asyncio.Task[None]] = set()

    def begin(browser: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(wire.carry(browser, back))
        carrying.add(task)
        task.add_done_callback(carrying.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    wire.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield wire
    finally:
        server.close()
        for task in list(carrying):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
