"""All providers and record systems as one process knows them."""

import time
from collections.abc import Callable, Mapping
from typing import Self
from urllib.parse import urlsplit

import httpx

from outgoing.destinations import Walls
from sign_on.calls import Calls
from sign_on.connection import Connection
from sign_on.launches import RecordConnection
from sign_on.providers import Providers, RecordSystem
from sign_on.walled import WalledCalls, calls_within


class SignOn:
    """Use it as ``async with SignOn(providers) as sign_on``. `near` allows providers on this very machine, without TLS."""

    def __init__(
        self,
        providers: Providers | None = None,
        *,
        near: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.providers = providers or Providers()
        self._calls = Calls(transport)
        self.connections: Mapping[str, Connection] = {
            code: Connection(provider, self._calls, near=near, clock=clock)
            for code, provider in self.providers.all.items()
        }

        self.record_systems: Mapping[str, RecordConnection] = {
            code: RecordConnection(
                system, WalledCalls(calls_within(walls_of(system, near=near))), near=near, clock=clock
            )
            for code, system in self.providers.record_systems.items()
        }

    def by_fhir(self, address: str) -> RecordConnection | None:
        """The record system that names itself so: to the letter, but for a slash at the end."""
        wanted = address.removesuffix("/")
        return next(
            (one for one in self.record_systems.values() if one.provider.fhir.removesuffix("/") == wanted), None
        )

    def by_issuer(self, issuer: str | None) -> Connection | None:
        """The one whose tokens say so of themselves."""
        return next((one for one in self.connections.values() if one.provider.issuer == issuer), None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._calls.close()


def walls_of(system: RecordSystem, *, near: bool) -> Walls:
    """Where calls to a record system may go: the public Internet, and the networks named with it; on the ports that it names."""
    ports = {port for address in (system.fhir, system.issuer) if (port := urlsplit(address).port) is not None}
    return Walls(ports=frozenset(ports), near=near, inside=frozenset(system.inside))
