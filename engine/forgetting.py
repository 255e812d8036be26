"""Has the engine forget what it still has of a workflow, before its own retention is over."""

from datetime import timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

ANSWER_WITHIN = timedelta(seconds=5)


async def forget(client: Client, workflow_id: str) -> None:
    """Delete every run that the server has under that id; one that still runs ends. Raises RPCError.

    The server does it in its own time, and what it has forgotten already is no error.
    """
    runs = client.list_workflows(f'WorkflowId = "{workflow_id}"', rpc_timeout=ANSWER_WITHIN)
    async for run in runs:
        request = DeleteWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=run.id, run_id=run.run_id),
        )
        try:
            await client.workflow_service.delete_workflow_execution(request, timeout=ANSWER_WITHIN)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
