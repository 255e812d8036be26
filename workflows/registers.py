"""One paper of a register."""

from temporalio import workflow

from workflows.papers import made

with workflow.unsafe.imports_passed_through():
    from activities.contract import MAKE_REGISTER, MadeRegister, RegisterOrder
    from workflows.contract import REGISTER


@workflow.defn(name=REGISTER)
class RegisterWorkflow:
    """Makes one paper of a register."""

    @workflow.run
    async def run(self, order: RegisterOrder) -> MadeRegister:
        """As `workflows.papers` says."""
        return await made(
            MAKE_REGISTER, order, MadeRegister, summary="a register of a clinic", never="register_not_made"
        )
