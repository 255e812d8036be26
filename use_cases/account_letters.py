"""E-mails about accounts on their way: each has a workflow of its own, which tries until the mail server takes it."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from uuid import UUID

import structlog
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from use_cases.gate import Starting
from workflows.contract import ACCOUNT_LETTER, letter_workflow_id

log = structlog.get_logger(__name__)


async def send(services: Starting, letter_ids: Iterable[UUID]) -> None:
    """Have these letters sent, which are written down, each for itself and all at once: nobody waits for one after the other.
    While the engine is away they wait for the repair.
    """
    await send_after(services, dict.fromkeys(letter_ids, timedelta()))


async def send_after(services: Starting, waits: Mapping[UUID, timedelta]) -> None:
    """The same, each after its time, which the engine keeps; one that is left to the repair goes when that finds it."""
    await asyncio.gather(*(_start_or_leave(services, letter_id, wait) for letter_id, wait in waits.items()))


async def _start_or_leave(services: Starting, letter_id: UUID, wait: timedelta) -> None:
    try:
        await start(services, letter_id, wait)
    except RPCError as error:
        log.warning("an e-mail about an account waits for the engine", status=error.status.name)


async def start(services: Starting, letter_id: UUID, wait: timedelta = timedelta()) -> None:
    """Have one letter sent, after a while, unless that is under way. Raises RPCError."""
    await services.engine.start_workflow(
        ACCOUNT_LETTER,
        letter_id,
        id=letter_workflow_id(letter_id),
        task_queue=services.settings.mail_task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_delay=wait or None,
        rpc_timeout=timedelta(seconds=services.settings.command_timeout_seconds),
    )
