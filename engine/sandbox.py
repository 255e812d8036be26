"""Temporal's sandbox of a workflow, which is not entered to ask for which workflow a payload is sealed.

The worker asks that three times for each payload that comes or goes, and the SDK's runner puts all of Python's imports under
guard for each question: an eighth of what a worker did for a command. The answer holds only names that the instance keeps.
Everything that a workflow runs stays in the sandbox.
"""

from typing import cast

from temporalio.converter import SerializationContext
from temporalio.converter._extstore import StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker._command_aware_visitor import CommandInfo
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox._in_sandbox import InSandbox
from temporalio.worker.workflow_sandbox._runner import _Instance


class Sandbox(SandboxedWorkflowRunner):
    """The SDK's runner, restrictions and all, with instances that answer from outside what needs no sandbox."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _Sandboxed(det, self.runner_class, self.restrictions)


class _Sandboxed(_Instance):
    def get_serialization_context(self, command_info: CommandInfo | None) -> SerializationContext | None:
        return self._inside.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: CommandInfo | None) -> StorageDriverStoreContext:
        return self._inside.get_external_store_context(command_info)

    @property
    def _inside(self) -> InSandbox:
        return cast(InSandbox, self.globals_and_locals["__temporal_in_sandbox"])
