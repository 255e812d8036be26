"""Calls to a provider: bounded in size and time, without following anywhere else."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx

from sign_on.refused import AwayError

MOST_BYTES = 256 * 1024
"""Of an answer. Entra's keys, with their certificates, are some 15 kB."""

PATIENCE_SECONDS = 8.0
"""For a whole call, however slowly its answer comes."""


@cache
def _usual_authorities() -> ssl.SSLContext:
    """Whom TLS believes. To read the list of them takes 30 ms of a processor: once for all providers of a process."""
    return httpx.create_ssl_context()


class Calls:
    """Calls of one process. Close it in the end."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = httpx.AsyncClient(
            transport=transport, verify=_usual_authorities(), timeout=PATIENCE_SECONDS, follow_redirects=False
        )

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    async def get(self, address: str) -> dict[str, Any]:
        """The JSON object there. Raises AwayError."""
        status, found = await self._call("GET", address)
        if status != 200:
            raise AwayError(f"status_{status}")
        return found

    async def post(
        self, address: str, form: Mapping[str, str], basic: tuple[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of the answer. Raises AwayError, also for a status from 500 on."""
        status, found = await self._call("POST", address, data=dict(form), auth=basic)
        if status >= 500:
            raise AwayError(f"status_{status}")
        return status, found

    async def _call(self, method: str, address: str, **what: Any) -> tuple[int, dict[str, Any]]:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                async with self._client.stream(
                    method, address, headers={"Accept": "application/json"}, **what
                ) as answer:
                    body = await _body(answer)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise AwayError(type(error).__name__) from error
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise AwayError(f"no_json_{answer.status_code}")
        return answer.status_code, found


async def _body(answer: httpx.Response) -> bytes:
    body = b""
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > MOST_BYTES:
            raise AwayError("answer_too_large")
    return body
