"""One journal of accesses: made once, on the task queue on which documents are made."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.contract import HEARTBEAT_TIMEOUT, MAKE_JOURNAL, JournalOrder, MadeJournal
    from workflows.contract import JOURNAL, signing_task_queue

_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=2),
    maximum_interval=timedelta(minutes=5),
    non_retryable_error_types=["journal_not_made"],
)


@workflow.defn(name=JOURNAL)
class JournalWorkflow:
    """Makes one journal."""

    @workflow.run
    async def run(self, order: JournalOrder) -> MadeJournal:
        """Try for a day while something is away; then the journal has failed, and somebody asks for another."""
        made: MadeJournal = await workflow.execute_activity(
            MAKE_JOURNAL,
            order,
            result_type=MadeJournal,
            task_queue=signing_task_queue(workflow.info().task_queue),
            summary="a journal of accesses",
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            schedule_to_close_timeout=timedelta(days=1),
            retry_policy=_RETRY,
        )
        return made
