"""kill -9 of the worker, the API and the Temporal server in the middle of the work: what was answered has happened, once."""

import asyncio
from typing import Any
from uuid import UUID

from domain.requests import Request, Status
from tests.end_to_end.running import DISPATCHER, PROVIDER, REQUESTER, RunningRelais
from tests.eventually import eventually
from tests.rounds import LONGER
from workflows.contract import workflow_id

REQUESTS = 6 * min(LONGER, 2)
Line = tuple[str, str, dict[str, Any] | None, str]

STORY: list[Line] = [
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
    stories = [STORY[: len(STORY) - number % 2] for number in range(REQUESTS)]  # every other one is left open
    progress = Progress()
    async with asyncio.TaskGroup() as together:
        for request, story in zip(requests, stories, strict=True):
            together.create_task(tell(relais, request, story, progress))
        for part, after in (("worker", 1), ("temporal", 2), ("api", 4)):
            await progress.reach(after * REQUESTS)
            await relais.kill(part)

    engine = await relais.engine()
    for request, story in zip(requests, stories, strict=True):
        assert await relais.events(request) == [event for *_, event in story]
        view = await relais.view(request)
        assert view["version"] == request["version"] + len(story)
        assert view["status"] == (Status.CANCELLED if story == STORY else Status.AWAITING_DISPATCH)
        workflow = engine.get_workflow_handle(workflow_id(UUID(request["id"])))
        state = await workflow.query("state", result_type=Request)
        assert (state.version, state.status) == (len(story), view["status"])


async def tell(relais: RunningRelais, request: dict[str, Any], story: list[Line], progress: Progress) -> None:
    """Gives the commands one after the other."""
    for who, command, said, _ in story:
        await relais.done(request, who, command, said)
        progress.answered += 1
