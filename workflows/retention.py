"""What is over its time: the monthly lists, and the destruction of what somebody has approved. Payloads are ids of lists."""

from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.contract import (
        CERTIFY,
        DESTROY_LISTED,
        HEARTBEAT_TIMEOUT,
        LIST_OVER_TIME,
        WHEN_TO_DESTROY,
        DestructionDue,
    )
    from workflows.contract import DESTRUCTION, LOOK_AGAIN, RETENTION_LISTS

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=5))
_RETRY_PAPER = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(hours=1))
_LONGEST_TRY, _LOOK = timedelta(hours=6), timedelta(minutes=1)


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
    """Destroys what stands on one approved list, days after the approval, and certifies it.

    Whoever approves the list or takes it back tells it to look again.
    """

    def __init__(self) -> None:
        self._must_look = False

    @workflow.signal(name=LOOK_AGAIN)
    def look_again(self) -> None:
        """The list is not as it was."""
        self._must_look = True

    @workflow.run
    async def run(self, list_id: UUID) -> None:
        """Wait for the day, destroy what may go, however often that is broken off, then make the certificate."""
        if not await self._wait(list_id):
            return
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
            retry_policy=_RETRY_PAPER,
        )

    async def _wait(self, list_id: UUID) -> bool:
        """Whether the list is to be destroyed now; once its day has come, or it was taken back."""
        while True:
            self._must_look = False
            due: DestructionDue = await workflow.execute_activity(
                WHEN_TO_DESTROY,
                list_id,
                result_type=DestructionDue,
                summary="whether and when the list is destroyed",
                start_to_close_timeout=_LOOK,
                retry_policy=_RETRY,
            )
            if due.at is None:
                if self._must_look:  # approved anew since
                    continue
                return False
            if due.at <= workflow.now():
                return True
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self._must_look, timeout=due.at - workflow.now(), timeout_summary="until it is destroyed"
                )
