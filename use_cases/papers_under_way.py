"""Papers that the engine makes for who asked: begun, and how far they are (`workflows.papers`)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol

import structlog
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from records.errors import NotFoundError
from use_cases.problems import Problem
from use_cases.services import Services

_ANSWERS_WITHIN = timedelta(seconds=5)

log = structlog.get_logger(__name__)


class Made(Protocol):
    """What a workflow says of the paper that it has made."""

    @property
    def lines(self) -> int: ...
    @property
    def too_long(self) -> bool: ...


@dataclass(frozen=True)
class Progress:
    """How far a paper is, and how many lines it has, once that is known.

    One that is `unknown` was never asked for, or failed so long ago that the engine has forgotten it.
    """

    state: Literal["making", "ready", "too_long", "failed", "unknown"]
    lines: int | None = None


async def begin(services: Services, workflow: str, order: object, workflow_id: str, *, what: str) -> None:
    """Have it made; `what` names it for the log. Raises Problem `engine_unreachable`."""
    try:
        await services.engine.start_workflow(
            workflow,
            order,
            id=workflow_id,
            task_queue=services.settings.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            rpc_timeout=timedelta(seconds=services.settings.command_timeout_seconds),
        )
    except RPCError as error:
        log.warning(f"{what} could not be begun", error=error.status.name)
        raise Problem("engine_unreachable") from None


async def progress_of(services: Services, workflow_id: str, key: str, result: type[Made]) -> Progress:
    """How far the paper is that is stored under that key. Raises Problem `engine_unreachable` where only the engine knows."""
    handle = services.engine.get_workflow_handle(workflow_id, result_type=result)
    made: Made | None = None
    missing: RPCStatusCode | None = None
    try:
        found = await handle.describe(rpc_timeout=_ANSWERS_WITHIN)
        if found.status is WorkflowExecutionStatus.RUNNING:
            return Progress("making")
        if found.status is WorkflowExecutionStatus.COMPLETED:
            made = await handle.result(rpc_timeout=_ANSWERS_WITHIN)
    except RPCError as error:
        missing = error.status
    if made is not None and made.too_long:
        return Progress("too_long", made.lines)
    try:
        await services.store.must_be_there(key)
    except NotFoundError:
        if missing not in (None, RPCStatusCode.NOT_FOUND):
            raise Problem("engine_unreachable") from None
        return Progress("failed" if missing is None else "unknown")
    return Progress("ready", made.lines if made else None)
