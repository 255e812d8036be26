"""The running one-command system, as these tests see it: its folder, its parts, its people, its e-mails."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from temporalio.client import Client

from embedded.cast import Cast
from embedded.control import start_part, stop_part
from embedded.runtime import PartState, PartStatus, Runtime, read_runtime
from engine.client import key_ring
from engine.converter import data_converter
from settings import Settings
from tests.eventually import PATIENCE_SECONDS, eventually
from tests.system import photo

REQUESTER = "demandeur.fleuve"
DISPATCHER = "repartiteur.fleuve"
PROVIDER = "fournisseur.fleuve"

WOUND = {
    "offering": "wound_care",
    "patient": {"given_name": "Rose", "family_name": "Essai", "birth_date": "1950-01-31"},
    "answers": {
        "question": "Pansement?",
        "wound_type": "venous",
        "body_sites": "Malléole",
        "duration": "under-1-week",
    },
}
"""A complete form for an offering that asks for two photos."""


class RunningRelais:
    """What `relais up` runs in `data_dir`."""

    def __init__(self, data_dir: Path, cast: Cast) -> None:
        self.data_dir = data_dir
        self.cast = cast

    @property
    def runtime(self) -> Runtime:
        runtime = read_runtime(self.data_dir)
        assert runtime is not None
        return runtime

    def part(self, name: str) -> PartStatus:
        return self.runtime.parts[name]

    async def kill(self, name: str) -> None:
        """kill -9, and wait until another process has taken the part over."""
        before = self.part(name)
        assert before.pid is not None
        os.kill(before.pid, signal.SIGKILL)
        await eventually(lambda: self.part(name).restarts > before.restarts and self.runs(name))

    def runs(self, name: str) -> bool:
        return self.part(name).state is PartState.RUNNING

    @asynccontextmanager
    async def without(self, name: str) -> AsyncIterator[None]:
        """That part is stopped while the block lasts."""
        await asyncio.to_thread(stop_part, self.data_dir, name)
        try:
            yield
        finally:
            await asyncio.to_thread(start_part, self.data_dir, name)

    async def engine(self) -> Client:
        """A client of the Temporal server that can read what is sealed in it."""
        keys = Settings(encryption_keys=self.runtime.settings["encryption_keys"])
        return await Client.connect(
            self.runtime.environment["TEMPORAL_ADDRESS"], data_converter=data_converter(key_ring(keys))
        )

    async def healthy(self) -> bool:
        """Whether the API says that work can be done."""
        async with self._http("api") as http:
            return (await http.get("/readyz")).is_success

    async def mails_about(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """The e-mails about a request, as the mail server lists them."""
        async with self._http("mail") as http:
            kept = (await http.get("/api/mails")).json()
        return [mail for mail in kept if request["number"] in mail["subject"]]

    # What people do

    async def draft(self) -> dict[str, Any]:
        """A complete draft of the requester."""
        created = await self.cast.send(REQUESTER, "POST", "/requests", json=WOUND, key=str(uuid4()))
        assert created.status_code == 201, created.text
        request: dict[str, Any] = created.json()
        for name in ("overview.jpg", "close.jpg"):
            uploaded = await self.cast.attach(REQUESTER, request["id"], name, photo(), key=str(uuid4()))
            assert uploaded.status_code == 201, uploaded.text
        return request

    async def assigned(self) -> dict[str, Any]:
        """A request that waits for its provider's acceptance."""
        request = await self.draft()
        await self.done(request, REQUESTER, "submit")
        await self.done(request, DISPATCHER, "assign", {"provider": PROVIDER})
        return request

    async def done(self, request: dict[str, Any], who: str, name: str, said: dict[str, Any] | None = None) -> None:
        """Gives a command as a good client does: with one key, again until the answer is neither missing nor a "not yet"."""
        key = str(uuid4())
        answers: list[httpx.Response] = []

        async def answered() -> bool:
            answers.append(await self.cast.command(who, request["id"], name, said, key=key))
            return answers[-1].status_code not in (202, 503)

        await eventually(answered)
        assert answers[-1].status_code == 200, answers[-1].text

    async def view(self, request: dict[str, Any], who: str = REQUESTER) -> dict[str, Any]:
        answer = await self.cast.send(who, "GET", f"/requests/{request['id']}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def events(self, request: dict[str, Any]) -> list[str]:
        """The names of what happened to the request, in order."""
        answer = await self.cast.send(REQUESTER, "GET", f"/requests/{request['id']}/timeline")
        assert answer.status_code == 200, answer.text
        return [entry["name"] for entry in answer.json()]

    def _http(self, part: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.part(part).address, trust_env=False, timeout=PATIENCE_SECONDS)
