"""The upkeep: short workflows that schedules start (`workflows.schedules`), each around one activity. They take no arguments."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.contract import HEARTBEAT_TIMEOUT, REPAIR, SWEEP, RepairReport, SweepReport
    from workflows.contract import REPAIR_WORKFLOW, SWEEP_WORKFLOW

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=1))
_LONGEST_TRY = timedelta(hours=1)


@workflow.defn(name=REPAIR_WORKFLOW)
class RepairWorkflow:
    """One round over all requests that should have a workflow."""

    @workflow.run
    async def run(self) -> RepairReport:
        """Try until one round is through; while it lasts, the schedule begins no other."""
        report: RepairReport = await workflow.execute_activity(
            REPAIR,
            result_type=RepairReport,
            summary="requests without a workflow are taken up",
            start_to_close_timeout=_LONGEST_TRY,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY,
        )
        return report


@workflow.defn(name=SWEEP_WORKFLOW)
class SweepWorkflow:
    """One round over the document store."""

    @workflow.run
    async def run(self) -> SweepReport:
        """Try until one round is through."""
        report: SweepReport = await workflow.execute_activity(
            SWEEP,
            result_type=SweepReport,
            summary="objects that no record names are removed",
            start_to_close_timeout=_LONGEST_TRY,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY,
        )
        return report
