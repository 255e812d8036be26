"""Calls to a record system: to no address inside that the operator has not named, bounded in size and time, following nowhere."""

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from outgoing.calls import Answer, CallError, Calls
from outgoing.destinations import Walls
from sign_on.refused import AwayError

MOST_BYTES = 4 * 1024 * 1024
"""Of an answer: a patient may come with a portrait."""

PATIENCE = timedelta(seconds=8)
"""For a whole call, however slowly its answer comes."""


def calls_within(walls: Walls) -> Calls:
    """Calls as far as these walls let them."""
    return Calls(walls, patience=PATIENCE, most_read=MOST_BYTES + 1)


class WalledCalls:
    """Calls of one process to one record system."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def get(self, address: str) -> dict[str, Any]:
        """The JSON object there. Raises AwayError."""
        status, found = await self.read(address)
        if status != 200:
            raise AwayError(f"status_{status}")
        return found

    async def read(self, address: str, token: str | None = None) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of what is there for who has the token; empty where the answer is an error without one.

        Raises AwayError.
        """
        headers = {"Accept": "application/fhir+json" if token else "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            return _read(await self._calls.get(address, headers))
        except CallError as error:
            raise AwayError(error.code) from None

    async def post(
        self, address: str, form: Mapping[str, str], basic: tuple[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of the answer. Raises AwayError, also for a status from 500 on."""
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if basic is not None:
            headers["Authorization"] = f"Basic {base64.b64encode(':'.join(basic).encode()).decode()}"
        try:
            return _read(await self._calls.post(address, urlencode(form).encode(), headers))
        except CallError as error:
            raise AwayError(error.code) from None


def _read(answer: Answer) -> tuple[int, dict[str, Any]]:
    if answer.status >= 500:
        raise AwayError(f"status_{answer.status}")
    if len(answer.start) > MOST_BYTES:
        raise AwayError("answer_too_large")
    try:
        found = json.loads(answer.start)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return answer.status, found
    if answer.status >= 300:
        return answer.status, {}
    raise AwayError(f"no_json_{answer.status}")
