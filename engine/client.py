"""How Relais connects to Temporal: one client per process, with everything that enters Temporal encrypted."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Self

from temporalio.client import Client, ClientConfig, Plugin
from temporalio.envconfig import ClientConfig as ConnectSettings
from temporalio.service import ConnectConfig, RetryConfig, RPCError, RPCStatusCode, ServiceClient

from engine.converter import data_converter
from key_ring import NO_RING, EncryptionError, KeyRing
from settings import Settings
from waiting import until_there

CONNECT_WITHIN_SECONDS = 10.0
"""How long a server may take to answer that a connection has reached; one that is frozen never does."""


class EngineError(Exception):
    """Temporal can't be used as it is configured; the text says what to correct."""


def key_ring(settings: Settings) -> KeyRing:
    """The key ring of the settings; EncryptionError when there is none or it can't be read."""
    if settings.encryption_keys is None:
        raise EncryptionError(NO_RING)
    return KeyRing.parse(settings.encryption_keys.get_secret_value())


class EngineConnection:
    """The client of one process, there before its server is.

    ``async with EngineConnection(settings) as engine`` connects in the background, for as long as it takes. Until then every
    call of `engine.client` is answered as by a server that is away: RPCError, UNAVAILABLE. A client that was connected once
    finds its server again by itself.
    """

    client: Client

    def __init__(self, settings: Settings, *, gives_up_after: timedelta = timedelta(seconds=10)) -> None:
        """By Temporal's own environment configuration (``TEMPORAL_*``) and the key ring of the settings.

        A call that finds no server is tried again by the client itself, for as long as `gives_up_after`. Raises EngineError when
        the configuration can't be read, and EncryptionError when there is no key ring.
        """
        self._data_converter = data_converter(key_ring(settings))
        self._retries = RetryConfig(max_elapsed_time_millis=int(gives_up_after.total_seconds() * 1000))
        try:
            self._config = ConnectSettings.load_client_connect_config()
        except RuntimeError as error:
            raise EngineError(f"The TEMPORAL_… variables can't be used ({error}): correct them.") from error
        self._config.setdefault("target_host", "localhost:7233")
        self._connecting = asyncio.Future[None]()

    @property
    def address(self) -> str:
        """Where the server is looked for."""
        return self._config["target_host"]

    async def __aenter__(self) -> Self:
        opening = _Opening()
        self.client = await Client.connect(
            **self._config,
            data_converter=self._data_converter,
            plugins=[opening],
            retry_config=self._retries,
            lazy=True,
        )
        self._connecting = asyncio.create_task(self._connect(opening.service), name="engine connection")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._connecting.cancel()
        await asyncio.gather(self._connecting, return_exceptions=True)

    async def connected(self) -> Client:
        """The client, as soon as a server answers. Raises EngineError when none ever can, because the address is none."""
        await asyncio.shield(self._connecting)
        return self.client

    async def _connect(self, service: "_ServiceToCome") -> None:
        async def look() -> None:
            try:
                await service.open()
            except ValueError as error:
                raise EngineError(f"TEMPORAL_ADDRESS can't be used ({error}): correct it.") from error

        await until_there("engine", look, away=(RuntimeError,), within_seconds=CONNECT_WITHIN_SECONDS)


class _ServiceToCome(ServiceClient):
    """A service that is away until it was opened."""

    def __init__(self, config: ConnectConfig) -> None:
        super().__init__(config)
        self._service: ServiceClient | None = None

    async def open(self) -> None:
        """Raises RuntimeError when no server answers, and ValueError when the address is none."""
        self._service = await ServiceClient.connect(dataclasses.replace(self.config, lazy=False))

    @property
    def _opened(self) -> ServiceClient:
        if self._service is None:
            raise RPCError("no server has answered yet", RPCStatusCode.UNAVAILABLE, b"")
        return self._service

    @property
    def worker_service_client(self) -> Any:
        return self._opened.worker_service_client

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        self._opened.update_rpc_metadata(metadata)

    def update_api_key(self, api_key: str | None) -> None:
        self._opened.update_api_key(api_key)

    async def _rpc_call(self, *arguments: Any, **more: Any) -> Any:
        return await self._opened._rpc_call(*arguments, **more)


class _Opening(Plugin):
    """Gives a client the service that is to come. Not a `SimplePlugin`, with which the API would load all that a worker needs."""

    service: _ServiceToCome

    def configure_client(self, config: ClientConfig) -> ClientConfig:
        return config

    async def connect_service_client(
        self,
        config: ConnectConfig,
        next: Callable[[ConnectConfig], Awaitable[ServiceClient]],  # noqa: A002, ARG002 - Temporal's own signature
    ) -> ServiceClient:
        self.service = _ServiceToCome(config)
        return self.service
