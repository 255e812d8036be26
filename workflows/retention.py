"""What is over its time: the monthly lists, and the destruction of what somebody has approved. Payloads are ids of lists."""

from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.contract import CERTIFY, DESTROY_LISTED, HEARTBEAT_TIMEOUT, LIST_OVER_TIME
    from workflows.contract import DESTRUCTION, RETENTION_LISTS

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=5))
_LONGEST_TRY = timedelta(hours=6)


@workflow.defn(name=RETENTION_LISTS)
class RetentionListsWorkflow:
    """Lists what is over its time, for each clinic. A schedule starts it; it takes no arguments."""

    @workflow.run
    async def run(self) -> None:
        """Try until the lists are written."""
        await workflow.execute_activity(
            LIST_OVER_TIME,
            summary="requests that are over their time are listed",
            start_to_close_timeout=_LONGEST_TRY,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY,
        )


@workflow.defn(name=DESTRUCTION)
class DestructionWorkflow:
    """Destroys what stands on one approved list, and certifies it."""

    @workflow.run
    async def run(self, list_id: UUID) -> None:
        """Destroy what may go, however often that is broken off, then make the certificate."""
        await workflow.execute_activity(
            DESTROY_LISTED,
            list_id,
            summary="the requests of a list are destroyed",
            start_to_close_timeout=_LONGEST_TRY,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY,
        )
        await workflow.execute_activity(
            CERTIFY,
            list_id,
            summary="the certificate of the destruction",
            start_to_close_timeout=_LONGEST_TRY,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY,
        )
