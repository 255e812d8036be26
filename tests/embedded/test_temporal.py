"""The Temporal server of the one-command mode: answers, keeps what it was given, and is set up for Relais."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from temporalio import workflow
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.worker import Worker

from embedded.ports import choose_ports
from embedded.temporal import RETENTION, TemporalServer, prepare
from tests.embedded.processes import running
from tests.eventually import eventually

NAMES = ("temporal", "temporal-ui", "temporal-http", "temporal-metrics")


@workflow.defn(sandboxed=False)
class DoesNothing:
    @workflow.run
    async def run(self) -> None:
        return


def prepared(tmp_path: Path) -> TemporalServer:
    ports = choose_ports({name: f"RELAIS_TEST_{name}" for name in NAMES}, {})
    return prepare(
        tmp_path,
        ports,
        codec_endpoint="http://127.0.0.1:8000/codec",
        search_attributes={"RequestStatus": "Keyword", "NextDeadline": "Datetime"},
    )


@asynccontextmanager
async def started(server: TemporalServer, log: Path) -> AsyncIterator[Client]:
    async with running(server.command, log):
        await eventually(lambda: server.ready(datetime.now(UTC)))
        yield await Client.connect(server.address)


async def test_keeps_a_workflow_over_a_restart(tmp_path: Path) -> None:
    server = prepared(tmp_path)
    async with started(server, tmp_path / "log") as client:
        await client.start_workflow("waits-for-a-worker", id="kept", task_queue="nobody-polls")
    async with started(server, tmp_path / "log") as client:
        description = await client.get_workflow_handle("kept").describe()
    assert description.status is WorkflowExecutionStatus.RUNNING


async def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    server = prepared(tmp_path)
    async with running(server.command, tmp_path / "log") as process:
        await eventually(lambda: server.ready(datetime.now(UTC)))
        client = await Client.connect(server.address)
        await client.start_workflow("waits-for-a-worker", id="kept", task_queue="nobody-polls")
        process.kill()
    async with started(server, tmp_path / "log") as client:
        description = await client.get_workflow_handle("kept").describe()
    assert description.status is WorkflowExecutionStatus.RUNNING


async def test_has_the_search_attributes_and_the_retention(tmp_path: Path) -> None:
    server = prepared(tmp_path)
    async with started(server, tmp_path / "log") as client:
        attributes = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace="default")
        )
        namespace = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
    assert set(server.search_attributes) <= set(attributes.custom_attributes)
    assert namespace.config.workflow_execution_retention_ttl.ToTimedelta() == RETENTION


async def test_sees_a_worker_only_while_there_was_one_since(tmp_path: Path) -> None:
    server = prepared(tmp_path)
    async with started(server, tmp_path / "log") as client:
        before = datetime.now(UTC)
        assert not await server.polled_since("requests", before)
        async with Worker(client, task_queue="requests", workflows=[DoesNothing]):
            await eventually(lambda: server.polled_since("requests", before))
        assert not await server.polled_since("requests", datetime.now(UTC))
