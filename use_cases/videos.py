"""Having the playable copy of a video made."""

from datetime import timedelta

import structlog
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from activities.contract import VideoToPrepare
from records.models import Attachment
from use_cases.services import Services
from workflows.contract import PREPARE_VIDEO, video_workflow_id

log = structlog.get_logger(__name__)


async def prepare_video(services: Services, attachment: Attachment) -> None:
    """Once, however often it is asked for. If the engine does not answer: again when the video is asked for."""
    try:
        await services.engine.start_workflow(
            PREPARE_VIDEO,
            VideoToPrepare(request_id=attachment.request_id, attachment_id=attachment.id),
            id=video_workflow_id(attachment.id),
            task_queue=services.settings.media_task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            rpc_timeout=timedelta(seconds=services.settings.command_timeout_seconds),
        )
    except RPCError as error:
        log.warning("a video is not prepared yet", attachment_id=str(attachment.id), error=error.status.name)
