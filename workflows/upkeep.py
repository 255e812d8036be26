"""The upkeep: short workflows that schedules start (`workflows.schedules`), each around one activity. They take no arguments."""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.contract import (
        HEARTBEAT_TIMEOUT,
        REPAIR,
        SWEEP,
        TELL_UNREAD_REPORTS,
        RepairReport,
        SweepReport,
        UnreadReport,
    )
    from workflows.contract import REPAIR_WORKFLOW, SWEEP_WORKFLOW, UNREAD_REPORTS_WORKFLOW

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=1))
_LONGEST_TRY = timedelta(hours=1)


@workflow.defn(name=REPAIR_WORKFLOW)
class RepairWorkflow:
    """One round over all requests that should have a workflow."""

    @workflow.run
    async def run(self) -> RepairReport:
        """Try until one round is through; while it lasts, the schedule begins no other."""
        report: RepairReport = await _round(REPAIR, RepairReport, "requests without a workflow are taken up")
        return report


@workflow.defn(name=SWEEP_WORKFLOW)
class SweepWorkflow:
    """One round over the document store."""

    @workflow.run
    async def run(self) -> SweepReport:
        """Try until one round is through."""
        report: SweepReport = await _round(SWEEP, SweepReport, "objects that no record names are removed")
        return report


@workflow.defn(name=UNREAD_REPORTS_WORKFLOW)
class UnreadReportsWorkflow:
    """One round over the reports that nobody reads."""

    @workflow.run
    async def run(self) -> UnreadReport:
        """Try until one round is through."""
        report: UnreadReport = await _round(TELL_UNREAD_REPORTS, UnreadReport, "clinics are told of unread reports")
        return report


async def _round(activity: str, result_type: Any, summary: str) -> Any:
    return await workflow.execute_activity(
        activity,
        result_type=result_type,
        summary=summary,
        start_to_close_timeout=_LONGEST_TRY,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=_RETRY,
    )
