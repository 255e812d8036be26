"""What runs by the clock: the schedules that Temporal keeps for Relais. Not for use inside a workflow."""

from collections.abc import Mapping
from datetime import timedelta

from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
)

from domain.calendar import TIME_ZONE
from domain.notices import DIGEST_HOURS
from settings import Settings
from workflows.contract import (
    NOTICE_DIGEST,
    REPAIR_WORKFLOW,
    RETENTION_LISTS,
    SWEEP_WORKFLOW,
    UNREAD_REPORTS_WORKFLOW,
)

REPAIR_EVERY = timedelta(minutes=5)
"""How often it is looked for requests without a workflow: their deadlines are called later by that much."""

UNREAD_REPORTS_EVERY = timedelta(minutes=15)
"""How often it is looked for reports that lie unread: clinics are told of them later by that much, and see them at once."""

SWEEP_HOUR = 3
"""When the document store is swept, every night, in the time of the clinics."""

LISTS_DAY, LISTS_HOUR = 1, 4
"""When it is listed what is over its time, every month, in the time of the clinics."""


def schedules(settings: Settings) -> Mapping[str, Schedule]:
    """Every schedule of Relais, by its id.

    Their workflows take no arguments: those would be sealed for one workflow id (`engine.encryption`), and the server makes
    a new id for each run.
    """
    return {
        "repair": Schedule(
            action=ScheduleActionStartWorkflow(REPAIR_WORKFLOW, id="repair", task_queue=settings.task_queue),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=REPAIR_EVERY)]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=REPAIR_EVERY),
        ),
        "sweep": Schedule(
            action=ScheduleActionStartWorkflow(SWEEP_WORKFLOW, id="sweep", task_queue=settings.task_queue),
            spec=ScheduleSpec(
                calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(SWEEP_HOUR)])], time_zone_name=TIME_ZONE.key
            ),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(hours=12)),
        ),
        "unread-reports": Schedule(
            action=ScheduleActionStartWorkflow(
                UNREAD_REPORTS_WORKFLOW, id="unread-reports", task_queue=settings.task_queue
            ),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=UNREAD_REPORTS_EVERY)]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=UNREAD_REPORTS_EVERY),
        ),
        "retention-lists": Schedule(
            action=ScheduleActionStartWorkflow(RETENTION_LISTS, id="retention-lists", task_queue=settings.task_queue),
            spec=ScheduleSpec(
                calendars=[
                    ScheduleCalendarSpec(day_of_month=[ScheduleRange(LISTS_DAY)], hour=[ScheduleRange(LISTS_HOUR)])
                ],
                time_zone_name=TIME_ZONE.key,
            ),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(days=7)),
        ),
        "notice-digest": Schedule(
            action=ScheduleActionStartWorkflow(NOTICE_DIGEST, id="notice-digest", task_queue=settings.mail_task_queue),
            spec=ScheduleSpec(
                calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(hour) for hour in DIGEST_HOURS])],
                time_zone_name=TIME_ZONE.key,
            ),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(hours=1)),
        ),
    }
