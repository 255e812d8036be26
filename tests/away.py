"""A worker that is away: the shared system once more, over task queues of its own, on which a worker works only when told to."""

import secrets
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from server import create_app
from tests.api.answers import problem
from tests.eventually import eventually
from tests.system import Clinician, System, forget_what_is_on_its_way
from use_cases import gate
from worker import build_workers

IMPATIENCE_SECONDS = 0.2
"""How long a command waits for a worker of which is known that it is away."""


@dataclass
class Away:
    """The same people, records and engine as in `shared`; their requests belong to the worker of this one's task queues."""

    shared: System
    system: System

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """It works while the block lasts."""
        services = self.system.services
        self._be_patient(self.shared.settings.command_timeout_seconds)
        try:
            async with AsyncExitStack() as stack:
                authority = self.system.authority
                for worker in build_workers(
                    services.engine, self.system.settings, services.database, services.store, lambda: authority
                ):
                    await stack.enter_async_context(worker)
                yield
        finally:
            self._be_patient(IMPATIENCE_SECONDS)

    async def settled(self, who: Clinician, location: str) -> dict[str, str | int | None]:
        """What became of the command at that address, once it is known."""
        found: list[dict[str, str | int | None]] = []

        async def known() -> bool:
            found.append((await who.http.get(location)).json())
            return found[-1]["state"] != "queued"

        await eventually(known)
        return found[-1]

    def _be_patient(self, seconds: float) -> None:
        settings = self.system.settings.model_copy(update={"command_timeout_seconds": seconds})
        self.system.app.state.services = replace(self.system.of_api, settings=settings)


@asynccontextmanager
async def away_from(shared: System) -> AsyncIterator[Away]:
    """The shared system with its worker away."""
    name = f"away-{secrets.token_hex(4)}"
    queues = {"task_queue": name, "mail_task_queue": f"{name}-mail", "media_task_queue": f"{name}-media"}
    settings = shared.settings.model_copy(update=queues)
    services = replace(shared.services, settings=settings)
    app = create_app(settings, replace(shared.of_api, settings=settings))
    people = {
        name: Clinician(
            shared.people[name].account,
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app),
                base_url="http://relais.test",
                headers={"Authorization": shared.people[name].http.headers["Authorization"]},
            ),
        )
        for name in shared.first_people
    }
    away = Away(shared, replace(shared, settings=settings, services=services, app=app, people=people))
    away._be_patient(IMPATIENCE_SECONDS)
    yield away
    await forget_what_is_on_its_way(shared)
    for clinician in people.values():
        await clinician.http.aclose()


async def never_given(monkeypatch: pytest.MonkeyPatch, call: Awaitable[httpx.Response]) -> None:
    """A command of which nobody knows whether the engine has it; it hasn't."""

    async def breaks_off(*_: Any, **__: Any) -> None:
        raise gate.EngineUnreachableError

    with monkeypatch.context() as patched:
        patched.setattr(gate, "give", breaks_off)
        problem(await call, 503, "engine_unreachable")
