"""A paper that a clinic gives out is made once, on the task queue on which documents are made."""

from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.contract import HEARTBEAT_TIMEOUT
    from workflows.contract import signing_task_queue

Made = TypeVar("Made")


async def made(activity: str, order: object, result: type[Made], *, summary: str, never: str) -> Made:
    """Try for a day while something is away; then the paper has failed, and somebody asks for another.

    `never` is the type of the error by which the activity says that it can't be made at all.
    """
    paper: Made = await workflow.execute_activity(
        activity,
        order,
        result_type=result,
        task_queue=signing_task_queue(workflow.info().task_queue),
        summary=summary,
        start_to_close_timeout=timedelta(minutes=10),
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        schedule_to_close_timeout=timedelta(days=1),
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=2),
            maximum_interval=timedelta(minutes=5),
            non_retryable_error_types=[never],
        ),
    )
    return paper
