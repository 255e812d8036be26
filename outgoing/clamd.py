"""A scanner that speaks as clamd does: the commands VERSION and INSTREAM of clamd(8), over TCP or a socket in the file system.

What is scanned goes as a stream of its bytes; nothing is written to a disk on this side.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

CONNECT_SECONDS = 3.0
"""For a connection, and for the answer to VERSION: a scanner that reads its database anew goes on answering."""

LONGEST_ANSWER = 4096

_PIECE_BYTES = 64 * 1024

_TOO_LARGE = "INSTREAM size limit exceeded."
_NOT_WHOLE = "Heuristics.Limits.Exceeded"
"""With this a signature's name begins where clamd did not look at all of a file (its option AlertExceedsMax)."""


class ScannerAwayError(Exception):
    """No scanner answers there now."""


class ScanFailedError(Exception):
    """It answers, and could not scan this."""


class TooLargeForScannerError(ScanFailedError):
    """It does not scan anything as large, or not whole."""


class Clamd:
    """The scanner at `url`: tcp://host:port or unix:///path. A scan may take as long as `patience`.

    Raises ValueError for another address.
    """

    def __init__(self, url: str, patience: timedelta) -> None:
        self._host, self._port, self._path = _address(url)
        self._patience = patience.total_seconds()

    async def version(self) -> str:
        """What it says of itself: engine, version and date of its database. Raises ScannerAwayError."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                with await self._connected() as connection:
                    await _send(connection, b"zVERSION\0")
                    return await _answer(connection)
        except (OSError, TimeoutError, EOFError, ValueError) as error:
            raise ScannerAwayError(type(error).__name__) from None

    async def scan(self, content: AsyncIterator[bytes]) -> str | None:
        """The name of what is found in these bytes; None for nothing.

        Raises ScannerAwayError before anything was sent, ScanFailedError, TooLargeForScannerError, and what `content` raises.
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await self._connected()
        except (OSError, TimeoutError) as error:
            raise ScannerAwayError(type(error).__name__) from None
        with connection:
            try:
                async with asyncio.timeout(self._patience) as patience:
                    is_whole = await _send_all(connection, content)
                    return _found(await _verdict(connection), is_whole=is_whole)
            except TimeoutError as error:
                if not patience.expired():  # that was the content's
                    raise
                raise ScanFailedError(type(error).__name__) from None

    async def _connected(self) -> socket.socket:
        """A bare socket: asyncio's streams lose an answer that is there already when the other end hangs up while they write."""
        if self._path is not None:
            return await _joined(socket.AF_UNIX, self._path)
        found = await asyncio.get_running_loop().getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        for family, _, _, _, address in found[:-1]:
            with suppress(OSError):
                return await _joined(family, address)
        return await _joined(found[-1][0], found[-1][4])


def database_made_at(version: str) -> datetime | None:
    """When the database was made of which a scanner speaks in its VERSION; None where it does not say."""
    parts = version.split("/", 2)
    if len(parts) < 3:
        return None
    with suppress(ValueError):
        return datetime.strptime(parts[2].strip(), "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    return None


def _address(url: str) -> tuple[str | None, int | None, str | None]:
    parts = urlsplit(url)
    if parts.scheme == "unix" and parts.path and not parts.netloc:
        return None, None, parts.path
    if parts.scheme == "tcp" and parts.hostname and parts.port:
        return parts.hostname, parts.port, None
    raise ValueError("tcp://host:port or unix:///path is expected")


async def _joined(family: int, address: tuple[Any, ...] | str) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


async def _send(connection: socket.socket, content: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(connection, content)


async def _send_all(connection: socket.socket, content: AsyncIterator[bytes]) -> bool:
    """Send it all, or up to where the scanner hangs up: it has said then why. Whether all went out."""
    async for part in _parts(content):
        try:
            await _send(connection, part)
        except OSError:
            return False
    return True


async def _parts(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What is sent for a scan."""
    yield b"zINSTREAM\0"
    async for chunk in content:
        for start in range(0, len(chunk), _PIECE_BYTES):
            piece = chunk[start : start + _PIECE_BYTES]
            yield struct.pack("!L", len(piece)) + piece
    yield struct.pack("!L", 0)


async def _verdict(connection: socket.socket) -> str:
    """The answer to a scan. Raises ScanFailedError without one."""
    try:
        return await _answer(connection)
    except (OSError, EOFError, ValueError) as error:
        raise ScanFailedError(type(error).__name__) from None


async def _answer(connection: socket.socket) -> str:
    """Raises EOFError or ConnectionError without one, ValueError for one that is too long."""
    told = b""
    while b"\0" not in told:
        came = await asyncio.get_running_loop().sock_recv(connection, LONGEST_ANSWER)
        if not came:
            raise EOFError
        told += came
        if len(told) > LONGEST_ANSWER:
            raise ValueError("the answer is too long")
    return told.partition(b"\0")[0].decode(errors="replace").strip()


def _found(answer: str, *, is_whole: bool) -> str | None:
    """Raises ScanFailedError for anything but a verdict, and where nothing is found in what was not sent as a whole."""
    said = answer.removeprefix("stream: ")
    if said == "OK":
        if not is_whole:
            raise ScanFailedError("a verdict before the end")
        return None
    if said.startswith(_TOO_LARGE):
        raise TooLargeForScannerError
    name, _, found = said.rpartition(" ")
    if found != "FOUND" or not name:
        raise ScanFailedError("no verdict")
    if name.startswith(_NOT_WHOLE):
        raise TooLargeForScannerError
    return name[:200]
