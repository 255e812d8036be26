"""Which workflows of a type run, and which of them can't go on.

A workflow can't go on when its tasks fail again and again: code, keys or history do not fit together. The server marks such ones
itself (search attribute `TemporalReportedProblems`) after some failures in a row, and takes the mark away when a task succeeds.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

ANSWER_WITHIN = timedelta(seconds=5)
MARK = "TemporalReportedProblems"
PAGE = 500


@dataclass(frozen=True)
class Stuck:
    """One that can't go on. `problem` is the server's word for it, e.g. ``WorkflowTaskFailedCauseNonDeterministicError``."""

    workflow_id: str
    problem: str


async def count_running(client: Client, kind: str) -> int:
    """How many workflows of that type run, as the server's index has them: it may be seconds behind. Raises RPCError."""
    return (await client.count_workflows(query_of_running(kind), rpc_timeout=ANSWER_WITHIN)).count


async def count_stuck(client: Client, kind: str) -> int:
    """How many of them can't go on. Raises RPCError."""
    return (await client.count_workflows(query_of_stuck(kind), rpc_timeout=ANSWER_WITHIN)).count


async def list_stuck(client: Client, kind: str, limit: int) -> list[Stuck]:
    """Those that can't go on. Raises RPCError."""
    found = client.list_workflows(query_of_stuck(kind), limit=limit, rpc_timeout=ANSWER_WITHIN)
    return [Stuck(execution.id, _problem(execution.search_attributes.get(MARK, ()))) async for execution in found]


async def running_ids(client: Client, kind: str) -> AsyncIterator[str]:
    """The ids of those that run, as the index has them. Raises RPCError."""
    async for execution in client.list_workflows(query_of_running(kind), page_size=PAGE, rpc_timeout=ANSWER_WITHIN):
        yield execution.id


async def last_status(client: Client, workflow_id: str) -> WorkflowExecutionStatus | None:
    """How the workflow's newest run is, asked of the workflow itself; None when the server has none. Raises RPCError."""
    try:
        found = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=ANSWER_WITHIN)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return found.status


def query_of_running(kind: str) -> str:
    """What finds those that run in the server's index."""
    return f'WorkflowType = "{kind}" AND ExecutionStatus = "Running"'


def query_of_stuck(kind: str) -> str:
    """What finds those that can't go on."""
    return f"{query_of_running(kind)} AND {MARK} IS NOT NULL"


def _problem(said: object) -> str:
    causes = (
        [str(word).removeprefix("cause=") for word in said if str(word).startswith("cause=")]
        if isinstance(said, list)
        else []
    )
    return causes[0] if causes else "unknown"
