"""E-mails about accounts, on the mail task queue: each by itself, until the mail server takes it or its time is over."""

from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.contract import (
        HEARTBEAT_TIMEOUT,
        LONGEST_DIALOGUE,
        MAKE_PASSWORD_RESETS,
        SEND_ACCOUNT_LETTER,
    )
    from workflows.contract import ACCOUNT_LETTER, FORGOTTEN_PASSWORD, letter_workflow_id

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(minutes=1))


@workflow.defn(name=ACCOUNT_LETTER)
class AccountLetterWorkflow:
    """Sends one e-mail about an account."""

    @workflow.run
    async def run(self, letter_id: UUID) -> None:
        """Try until the mail server takes it, its address can get no mail, or it has waited too long."""
        await workflow.execute_activity(
            SEND_ACCOUNT_LETTER,
            letter_id,
            summary="one e-mail about an account",
            start_to_close_timeout=LONGEST_DIALOGUE,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY,
        )


@workflow.defn(name=FORGOTTEN_PASSWORD)
class ForgottenPasswordWorkflow:
    """Somebody says that they have forgotten their password. Whether there is such an account, only this workflow learns."""

    @workflow.run
    async def run(self, typed: str) -> None:
        """Find the accounts that are meant, and send each the link to a new password."""
        letters: list[UUID] = await workflow.execute_activity(
            MAKE_PASSWORD_RESETS,
            typed,
            result_type=list[UUID],
            summary="who has forgotten their password",
            start_to_close_timeout=timedelta(seconds=30),
            retry_policy=_RETRY,
        )
        for letter_id in letters:
            with suppress(WorkflowAlreadyStartedError):
                await workflow.start_child_workflow(
                    ACCOUNT_LETTER,
                    letter_id,
                    id=letter_workflow_id(letter_id),
                    static_summary="an e-mail about an account",
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                )
