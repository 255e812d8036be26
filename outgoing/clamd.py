"""A scanner that speaks as clamd does: the commands VERSION and INSTREAM of clamd(8), over TCP or a socket in the file system.

What is scanned goes as a stream of its bytes; nothing is written to a disk on this side.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
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
            async with asyncio.timeout(CONNECT_SECONDS), self._connected() as (reader, writer):
                writer.write(b"zVERSION\0")
                return await _answer(reader)
        except (OSError, TimeoutError, EOFError, ValueError) as error:
            raise ScannerAwayError(type(error).__name__) from None

    async def scan(self, content: AsyncIterator[bytes]) -> str | None:
        """The name of what is found in these bytes; None for nothing.

        Raises ScannerAwayError before anything was sent, ScanFailedError, TooLargeForScannerError, and what `content` raises.
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await self._connect()
        except (OSError, TimeoutError) as error:
            raise ScannerAwayError(type(error).__name__) from None
        answer = asyncio.create_task(_answer(reader))  # it may come before all was sent, with the end of the connection
        try:
            async with asyncio.timeout(self._patience):
                await _send(writer, content, answer)
                return _found(await answer)
        except (TimeoutError, ConnectionError, EOFError, ValueError) as error:
            raise ScanFailedError(type(error).__name__) from None
        finally:
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)
            writer.transport.abort()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await self._connect()
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._path is not None:
            return await asyncio.open_unix_connection(self._path, limit=LONGEST_ANSWER)
        return await asyncio.open_connection(self._host, self._port, limit=LONGEST_ANSWER)


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


async def _send(writer: asyncio.StreamWriter, content: AsyncIterator[bytes], answer: "asyncio.Task[str]") -> None:
    """Send it all, or up to where the scanner has answered already."""
    with suppress(ConnectionError):  # what it said before it hung up is in the answer
        writer.write(b"zINSTREAM\0")
        async for chunk in content:
            for start in range(0, len(chunk), _PIECE_BYTES):
                if answer.done():
                    return
                piece = chunk[start : start + _PIECE_BYTES]
                writer.write(struct.pack("!L", len(piece)) + piece)
                await writer.drain()
        writer.write(struct.pack("!L", 0))
        await writer.drain()


async def _answer(reader: asyncio.StreamReader) -> str:
    """Raises EOFError (IncompleteReadError) or ConnectionError without one, ValueError for one that is too long."""
    try:
        told = await reader.readuntil(b"\0")
    except asyncio.LimitOverrunError:
        raise ValueError("the answer is too long") from None
    return told[:-1].decode(errors="replace").strip()


def _found(answer: str) -> str | None:
    """Raises ScanFailedError for anything but a verdict."""
    said = answer.removeprefix("stream: ")
    if said == "OK":
        return None
    if said.startswith(_TOO_LARGE):
        raise TooLargeForScannerError
    name, _, found = said.rpartition(" ")
    if found != "FOUND" or not name:
        raise ScanFailedError("no verdict")
    if name.startswith(_NOT_WHOLE):
        raise TooLargeForScannerError
    return name[:200]
