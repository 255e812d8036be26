"""All providers as one process knows them."""

import time
from collections.abc import Callable, Mapping
from typing import Self

import httpx

from sign_on.calls import Calls
from sign_on.connection import Connection
from sign_on.providers import Providers


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

    def by_issuer(self, issuer: str | None) -> Connection | None:
        """The one whose tokens say so of themselves."""
        return next((one for one in self.connections.values() if one.provider.issuer == issuer), None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._calls.close()
