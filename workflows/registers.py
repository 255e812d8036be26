"""One paper of a register: made once, on the task queue on which documents are made."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.contract import HEARTBEAT_TIMEOUT, MAKE_REGISTER, MadeRegister, RegisterOrder
    from workflows.contract import REGISTER, signing_task_queue

_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=2),
    maximum_interval=timedelta(minutes=5),
    non_retryable_error_types=["register_not_made"],
)


@workflow.defn(name=REGISTER)
class RegisterWorkflow:
    """Makes one paper of a register."""

    @workflow.run
    async def run(self, order: RegisterOrder) -> MadeRegister:
        """Try for a day while something is away; then the paper has failed, and somebody asks for another."""
        made: MadeRegister = await workflow.execute_activity(
            MAKE_REGISTER,
            order,
            result_type=MadeRegister,
            task_queue=signing_task_queue(workflow.info().task_queue),
            summary="a register of a clinic",
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            schedule_to_close_timeout=timedelta(days=1),
            retry_policy=_RETRY,
        )
        return made
