"""One call to an address that somebody typed.

No proxy, no cookies, no redirect is followed, nothing is unpacked. Each call has a connection of its own, to an address of the
network that was checked just before; its name stays in TLS and in the header Host.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from ipaddress import ip_address
from typing import Any

import httpcore

from outgoing.destinations import Destination, ForbiddenError, IPAddress, Walls, destination_of

Resolve = Callable[[str, int], Awaitable[Sequence[IPAddress]]]
"""The addresses of a name. Raises OSError when it has none."""

LOOKUPS_AT_ONCE = 64
"""A name whose server does not answer holds a thread for long: others must not wait for it."""

_lookups = ThreadPoolExecutor(LOOKUPS_AT_ONCE, "names")


@cache
def _usual_authorities() -> ssl.SSLContext:
    """Whom TLS believes without more ado. To read their list takes 30 ms of a processor: once for all calls of a process."""
    return httpcore.default_ssl_context()


class CallError(Exception):
    """There was no answer. `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Answer:
    """The answer to a call: its status, when it wants to be called again, and how its body begins."""

    status: int
    retry_after: str | None
    start: bytes


async def addresses_of(host: str, port: int) -> Sequence[IPAddress]:
    """What the system's resolver says. Raises OSError."""

    def look() -> list[IPAddress]:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [ip_address(address[0]) for *_, address in found]

    return await asyncio.get_running_loop().run_in_executor(_lookups, look)


class Calls:
    """Calls of one process. `resolve`, `trusted` (authorities that TLS believes) and `connect` are others in tests."""

    def __init__(
        self,
        walls: Walls,
        *,
        patience: timedelta,
        most_read: int,
        resolve: Resolve = addresses_of,
        trusted: ssl.SSLContext | None = None,
        connect: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._walls = walls
        self._patience = patience.total_seconds()
        self._most_read = most_read
        self._resolve = resolve
        self._trusted = trusted or _usual_authorities()
        self._connect = connect or httpcore.AnyIOBackend()

    async def get(self, url: str, headers: Mapping[str, str]) -> Answer:
        """What is there. Raises CallError."""
        return await self._call("GET", url, b"", headers, self._patience)

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], patience: timedelta | None = None
    ) -> Answer:
        """Send `body` there; with less `patience` than all calls have, where that is said. Raises CallError."""
        seconds = self._patience if patience is None else min(self._patience, patience.total_seconds())
        return await self._call("POST", url, body, {**headers, "Content-Length": str(len(body))}, seconds)

    async def _call(self, method: str, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Answer:
        try:
            async with asyncio.timeout(seconds):
                to = destination_of(url, self._walls)
                return await self._send(method, to, await self._checked(to), body, headers)
        except (TimeoutError, httpcore.TimeoutException):
            raise CallError("timeout") from None
        except ForbiddenError as error:
            raise CallError(error.code) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise CallError(_code_of(error)) from None

    async def _checked(self, to: Destination) -> Sequence[IPAddress]:
        """The addresses of the network that the name has, if a call may go to every one of them."""
        try:
            found = list(dict.fromkeys(await self._resolve(to.host, to.port)))
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise CallError("no_such_name")
        if not all(self._walls.allow(address) and (to.scheme == "https" or address.is_loopback) for address in found):
            raise ForbiddenError("address_not_public")
        return found

    async def _send(
        self, method: str, to: Destination, addresses: Sequence[IPAddress], body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        url = httpcore.URL(scheme=to.scheme, host=to.host, port=to.port, target=to.target)
        connection = httpcore.AsyncHTTPConnection(
            url.origin, self._trusted, network_backend=_ToChecked(self._connect, addresses)
        )
        own = {"Host": _host_header(to), "Connection": "close", "Accept-Encoding": "identity"}
        request = httpcore.Request(method, url, headers=list({**headers, **own}.items()), content=body)
        try:
            answer = await connection.handle_async_request(request)
            start = b""
            async for part in answer.aiter_stream():
                start = (start + part)[: self._most_read]
                if len(start) == self._most_read:
                    break
        finally:
            await connection.aclose()
        retry_after = next((value for name, value in answer.headers if name.lower() == b"retry-after"), None)
        return Answer(answer.status, retry_after.decode("latin-1") if retry_after is not None else None, start)


class _ToChecked(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that were checked, whatever the name says now."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend, addresses: Sequence[IPAddress]) -> None:
        self._inner = inner
        self._addresses = addresses

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the name is not looked up again
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the backend's own
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failed: Exception | None = None
        for address in self._addresses:
            try:
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore.ConnectError

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def _host_header(to: Destination) -> str:
    host = f"[{to.host}]" if ":" in to.host else to.host
    return host if to.port == (443 if to.scheme == "https" else 80) else f"{host}:{to.port}"


def _code_of(error: Exception) -> str:
    """What was wrong, without what the other side said."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "tls"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpcore.ConnectError):
        return "not_connected"
    return "broken_off" if isinstance(error, httpcore.NetworkError | OSError) else "not_http"
