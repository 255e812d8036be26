"""One video: make the copy of it that can be played, however often the worker is stopped meanwhile.

The API starts it when a video was uploaded. Its payload is two ids; everything else is in the records and the document store.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.contract import HEARTBEAT_TIMEOUT, MAKE_PLAYABLE, NOTE_UNPLAYABLE, VideoToPrepare
    from workflows.contract import PREPARE_VIDEO

GIVES_UP_AFTER = timedelta(days=1)
"""How long it is tried again while something is away: the records, the documents, the program."""

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(minutes=5))


@workflow.defn(name=PREPARE_VIDEO)
class PrepareVideoWorkflow:
    """Prepares one video."""

    @workflow.run
    async def run(self, video: VideoToPrepare) -> None:
        """Make the playable copy, or write down that there will be none."""
        try:
            await workflow.execute_activity(
                MAKE_PLAYABLE,
                video,
                summary="the playable copy of a video",
                start_to_close_timeout=timedelta(hours=3),
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                schedule_to_close_timeout=GIVES_UP_AFTER,
                retry_policy=_RETRY,
            )
        except ActivityError:
            workflow.logger.warning("the video could not be made playable")
            await workflow.execute_activity(
                NOTE_UNPLAYABLE,
                video,
                summary="note: the video can't be made playable",
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=_RETRY,
            )
