"""The workflow with one deliberate fault: it starts things in another order. For the test that such faults are noticed."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows.contract import TELECONSULTATION, Receipt, Start
from workflows.teleconsultation import TeleconsultationWorkflow


@workflow.defn(name=TELECONSULTATION)
class ChangedWorkflow(TeleconsultationWorkflow):
    """Arms the clock before it starts the effects."""

    @workflow.init
    def __init__(self, start: Start) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: Start) -> Receipt:
        return await super().run(start)

    def _follow_up(self) -> None:
        self._arm_timer()
        self._start_effects()
        self._show()
