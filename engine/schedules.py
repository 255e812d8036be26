"""Brings the Temporal server's schedules in line with those that Relais wants."""

import dataclasses
from collections.abc import Mapping

from temporalio.client import Client, Schedule, ScheduleAlreadyRunningError, ScheduleUpdate, ScheduleUpdateInput


async def ensure_schedules(client: Client, wanted: Mapping[str, Schedule]) -> None:
    """Create each of the `wanted` schedules (by id), or update it where it is there. Several workers may do so at once.

    Whether a schedule is paused is an operator's decision, and stays as it is.
    """
    for schedule_id, schedule in wanted.items():
        try:
            await client.create_schedule(schedule_id, schedule)
        except ScheduleAlreadyRunningError:
            await _update(client, schedule_id, schedule)


async def _update(client: Client, schedule_id: str, schedule: Schedule) -> None:
    def replace(present: ScheduleUpdateInput) -> ScheduleUpdate:
        return ScheduleUpdate(dataclasses.replace(schedule, state=present.description.schedule.state))

    await client.get_schedule_handle(schedule_id).update(replace)
