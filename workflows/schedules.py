"""What runs by the clock: the schedules that Temporal keeps for Relais. Not for use inside a workflow."""

from collections.abc import Mapping
from datetime import timedelta

from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
)

from domain.calendar import TIME_ZONE
from domain.notices import DIGEST_HOURS
from settings import Settings
from workflows.contract import NOTICE_DIGEST


def schedules(settings: Settings) -> Mapping[str, Schedule]:
    """Every schedule of Relais, by its id.

    Their workflows take no arguments: those would be sealed for one workflow id (`engine.encryption`), and the server makes
    a new id for each run.
    """
    return {
        "notice-digest": Schedule(
            action=ScheduleActionStartWorkflow(NOTICE_DIGEST, id="notice-digest", task_queue=settings.mail_task_queue),
            spec=ScheduleSpec(
                calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(hour) for hour in DIGEST_HOURS])],
                time_zone_name=TIME_ZONE.key,
            ),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(hours=1)),
        ),
    }
