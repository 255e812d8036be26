"""kill -9 of the worker, the API and the Temporal server in the middle of the work: what was answered has happened, once."""

import asyncio
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx
from temporalio.client import Client, WorkflowExecutionStatus

from domain.requests import Status
from tests.end_to_end.running import DISPATCHER, PROVIDER, REQUESTER, RunningRelais
from tests.eventually import eventually
from workflows.contract import workflow_id

REQUESTS = 12
STORY: list[tuple[str, str, dict[str, Any] | None, str]] = [
    (REQUESTER, "submit", None, "submitted"),
    (DISPATCHER, "assign", {"provider": PROVIDER}, "assigned"),
    (PROVIDER, "accept", None, "accepted"),
    (PROVIDER, "request-information", {"text": "Depuis quand?"}, "information_requested"),
    (REQUESTER, "answer-information", {"text": "Un mois."}, "information_answered"),
    (PROVIDER, "return-to-dispatch", {"comment": "Hors de mon champ."}, "returned_to_dispatch"),
    (REQUESTER, "cancel", {"reason": "Rendez-vous obtenu."}, "cancelled"),
]
"""Who does what, with what, and how the timeline calls it."""


class Progress:
    """How many commands were answered; lets the killing wait for the middle of the work."""

    def __init__(self) -> None:
        self.answered = 0

    async def reach(self, count: int) -> None:
        await eventually(lambda: self.answered >= count)


async def test_everything_that_was_answered_happened_once(relais: RunningRelais) -> None:
    requests = [await relais.draft() for _ in range(REQUESTS)]
    progress = Progress()
    async with asyncio.TaskGroup() as together:
        for number, request in enumerate(requests):
            together.create_task(tell(relais, request, STORY[: len(STORY) - number % 2], progress))
        for part, after in (("worker", 6), ("temporal", 24), ("api", 42), ("worker", 60)):
            await progress.reach(after)
            await relais.kill(part)

    runtime = relais.runtime
    client = await Client.connect(runtime.environment["TEMPORAL_ADDRESS"])
    for number, request in enumerate(requests):
        told = STORY[: len(STORY) - number % 2]
        assert await relais.events(request) == [event for *_, event in told]
        view = await relais.view(request)
        assert view["version"] == request["version"] + len(told)
        assert view["status"] == (Status.CANCELLED if len(told) == len(STORY) else Status.AWAITING_DISPATCH)
        workflow = client.get_workflow_handle(workflow_id(UUID(request["id"])))
        ended = (
            WorkflowExecutionStatus.COMPLETED if view["status"] == Status.CANCELLED else WorkflowExecutionStatus.RUNNING
        )
        await eventually(partial(is_in, workflow, ended))


async def tell(
    relais: RunningRelais,
    request: dict[str, Any],
    story: list[tuple[str, str, dict[str, Any] | None, str]],
    progress: Progress,
) -> None:
    """Gives the commands one after the other, each with one key, again and again until it is answered as done."""
    for who, command, said, _ in story:
        key = str(uuid4())

        async def done(
            who: str = who, command: str = command, said: dict[str, Any] | None = said, key: str = key
        ) -> bool:
            try:
                answer = await relais.cast.command(who, request["id"], command, said, key=key)
            except httpx.TransportError:
                return False
            assert answer.status_code in (200, 202, 503), answer.text
            return answer.status_code == 200

        await eventually(done)
        progress.answered += 1


async def is_in(workflow: Any, status: WorkflowExecutionStatus) -> bool:
    return bool((await workflow.describe()).status is status)
