"""Having an e-mail sent again that reached nobody."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from records import notices
from records.models import Notice
from use_cases.gate import EngineUnreachableError, Starting
from workflows.contract import SINGLE_NOTICE, notice_workflow_id

log = structlog.get_logger(__name__)


async def send_again(services: Starting, notice_id: UUID, clinic_id: UUID | None) -> Notice | None:
    """Have a notice sent to its person's present address, unless it is on its way or sent; its row afterwards.

    `clinic_id` is the clinic whose list it must be on, or None for any. None when there is no such notice there. Raises
    EngineUnreachableError; then nothing has changed. The row is locked until the engine has the workflow, so that it is never
    waiting with nobody to send it.
    """
    async with services.database.session() as session:
        notice, is_queued = await notices.queue_again(session, notice_id, datetime.now(UTC), clinic_id)
        if notice is not None and is_queued:
            await _start(services, notice)
    return notice


async def _start(services: Starting, notice: Notice) -> None:
    try:
        await services.engine.start_workflow(
            SINGLE_NOTICE,
            notice.id,
            id=f"{notice_workflow_id(notice.id)}-{notice.attempts}",  # the one that gave it up may still be ending
            task_queue=services.settings.mail_task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            rpc_timeout=timedelta(seconds=services.settings.command_timeout_seconds),
        )
    except RPCError as error:
        log.warning("engine unreachable", status=error.status.name)
        raise EngineUnreachableError from error
