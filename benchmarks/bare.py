"""The floor: a workflow that does nothing but take an update and run one activity for it. No encryption, no records, no mail."""

import asyncio
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

TASK_QUEUE = "bare"


@activity.defn
async def note(text: str) -> str:
    """Does nothing."""
    return text


@workflow.defn
class Bare:
    """Takes updates for ever."""

    @workflow.run
    async def run(self) -> None:
        """Wait until cancelled."""
        await workflow.wait_condition(lambda: False)

    @workflow.update
    async def with_activity(self, text: str) -> str:
        """One ordinary activity."""
        return await workflow.execute_activity(note, text, start_to_close_timeout=timedelta(seconds=10))

    @workflow.update
    async def with_local_activity(self, text: str) -> str:
        """One local activity."""
        return await workflow.execute_local_activity(note, text, start_to_close_timeout=timedelta(seconds=10))


@workflow.defn
class BareLife:
    """Takes so many updates, runs one activity for each, and ends."""

    def __init__(self) -> None:
        self._taken = 0

    @workflow.run
    async def run(self, updates: int) -> None:
        """Until they are taken."""
        await workflow.wait_condition(lambda: self._taken >= updates)
        await workflow.wait_condition(workflow.all_handlers_finished)

    @workflow.update
    async def take(self, text: str) -> str:
        """One ordinary activity."""
        answer = await workflow.execute_activity(note, text, start_to_close_timeout=timedelta(seconds=10))
        self._taken += 1
        return answer


async def main(address: str) -> None:
    """Work until ended."""
    client = await Client.connect(address)
    async with Worker(client, task_queue=TASK_QUEUE, workflows=[Bare, BareLife], activities=[note]):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
