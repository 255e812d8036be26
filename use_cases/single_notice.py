"""An e-mail that goes by itself: no request's workflow waits for it, for it was not taken, belongs to none, or is sent again."""

from datetime import timedelta
from uuid import UUID

from temporalio.common import WorkflowIDConflictPolicy

from use_cases.gate import Starting
from workflows.contract import SINGLE_NOTICE, notice_workflow_id


async def send_by_itself(
    services: Starting, notice_id: UUID, *, again: int | None = None, patience: timedelta | None = None
) -> None:
    """Have a workflow of its own send the notice, unless one does already.

    `again` is a number that tells it from those that gave the notice up. Raises RPCError.
    """
    name = notice_workflow_id(notice_id)
    await services.engine.start_workflow(
        SINGLE_NOTICE,
        notice_id,
        id=name if again is None else f"{name}-{again}",
        task_queue=services.settings.mail_task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        rpc_timeout=patience,
    )
