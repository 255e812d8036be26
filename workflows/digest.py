"""The digest: three times a day, everyone who wants their notices grouped gets those that wait, in one e-mail.

A schedule starts it (`workflows.schedules`), on the mail task queue, where its activities run as well. It takes no arguments and
holds no data: the records know whose notices wait. What one digest could not send, the next one takes over.
"""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.contract import (
        DUE_DIGESTS,
        HEARTBEAT_TIMEOUT,
        LONGEST_DIALOGUE,
        SEND_DIGEST,
        SEND_NOTICE,
        STRANDED_NOTICES,
    )
    from domain.notices import SendResult
    from workflows.contract import NOTICE_DIGEST, SINGLE_NOTICE, notice_workflow_id

GIVES_UP_AFTER = timedelta(hours=2)
"""How long a mail server that takes nothing is tried; well before the next digest."""

_SENT_AT_ONCE = 50
_RETRY = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(minutes=1))


@workflow.defn(name=NOTICE_DIGEST)
class NoticeDigestWorkflow:
    """One round of digests."""

    @workflow.run
    async def run(self) -> None:
        """Send everyone their digest; one that fails leaves the others alone."""
        give_up_at = workflow.now() + GIVES_UP_AFTER
        if workflow.patched("take-up-stranded-notices"):
            await self._take_up_stranded()
        accounts: list[UUID] = await workflow.execute_activity(
            DUE_DIGESTS,
            result_type=list[UUID],
            summary="who waits for a digest",
            start_to_close_timeout=timedelta(seconds=30),
            schedule_to_close_timeout=GIVES_UP_AFTER,
            retry_policy=_RETRY,
        )
        places = asyncio.Semaphore(_SENT_AT_ONCE)
        await asyncio.gather(*(self._send(account_id, places, give_up_at) for account_id in accounts))

    async def _take_up_stranded(self) -> None:
        """Whatever notice waits without a workflow (it was terminated, or its start was cut short) gets one."""
        stranded: list[UUID] = await workflow.execute_activity(
            STRANDED_NOTICES,
            result_type=list[UUID],
            summary="e-mails that nobody sends any more",
            start_to_close_timeout=timedelta(seconds=30),
            schedule_to_close_timeout=GIVES_UP_AFTER,
            retry_policy=_RETRY,
        )
        for notice_id in stranded:
            await _see_to(notice_id)

    async def _send(self, account_id: UUID, places: asyncio.Semaphore, give_up_at: datetime) -> None:
        async with places:
            time_left = give_up_at - workflow.now()
            if time_left <= timedelta():
                return
            try:
                result = await workflow.execute_activity(
                    SEND_DIGEST,
                    args=[account_id, workflow.info().workflow_id],
                    result_type=SendResult,
                    summary="the digest of one person",
                    start_to_close_timeout=LONGEST_DIALOGUE,
                    heartbeat_timeout=HEARTBEAT_TIMEOUT,
                    schedule_to_close_timeout=time_left,
                    retry_policy=_RETRY,
                )
            except ActivityError:
                workflow.logger.warning("a digest was not sent; the next one takes its notices over")
                return
            for notice_id in result.follow_up_notice_ids:
                await _see_to(notice_id)


@workflow.defn(name=SINGLE_NOTICE)
class SingleNoticeWorkflow:
    """Sends one notice for which no request's workflow waits: told by a digest, not taken at first, or to be sent again."""

    @workflow.run
    async def run(self, notice_id: UUID) -> None:
        """Try until the mail server takes it, its address can get no mail, or it has waited too long."""
        waiting = [notice_id]
        while waiting:
            result: SendResult = await workflow.execute_activity(
                SEND_NOTICE,
                waiting.pop(),
                result_type=SendResult,
                summary="one e-mail",
                start_to_close_timeout=LONGEST_DIALOGUE,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=_RETRY,
            )
            if result.follow_up_notice_ids and workflow.patched("each-follow-up-by-itself"):
                for follower in result.follow_up_notice_ids:
                    await _see_to(follower)
            else:
                waiting += result.follow_up_notice_ids


async def _see_to(notice_id: UUID) -> None:
    """Have a notice sent for as long as it takes, without anybody waiting for it."""
    with suppress(WorkflowAlreadyStartedError):  # a retried activity names the same notices again
        await workflow.start_child_workflow(
            SINGLE_NOTICE,
            notice_id,
            id=notice_workflow_id(notice_id),
            static_summary="an e-mail about one that reached nobody, or that nobody sent any more",
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
        )
