"""What the tests of the durable process share: messages as the outside sends them, time, and looks at what came of them."""

import asyncio
import json
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.common import RawValue

from domain.requests import Request, Role
from records import failures, refusals, requests
from records.ids import new_id
from records.models import EventRecord, FailedEffect, Notice, NoticeStatus, RefusedCommand
from tests.eventually import eventually
from tests.system import Clinician, System
from workflows.contract import workflow_id


def said_by(who: Clinician, role: Role, **fields: Any) -> dict[str, Any]:
    """A command as JSON, by that person in that role; `fields` are its own, and may replace the others."""
    actor = {"id": who.id, "role": role.value, "clinic_id": str(who.account.clinic_id)}
    return {"id": str(new_id()), "actor": actor, **fields}


async def temporal(system: System, *arguments: str) -> str:
    """Run the real command line of Temporal against the system's server; what it printed. It must succeed."""
    binary = Path(sys.executable).with_name("temporal")
    process = await asyncio.create_subprocess_exec(
        str(binary),
        *arguments,
        *("--address", system.environment.client.service_client.config.target_host),
        *("--disable-config-file", "--disable-config-env"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def signal(system: System, request_id: str, name: str, *inputs: Any, more: tuple[str, ...] = ()) -> None:
    """Send a Signal by the command line, with each of `inputs` as JSON (a str goes as it is written)."""
    written = [text if isinstance(text, str) else json.dumps(text) for text in inputs]
    arguments = [part for text in written for part in ("--input", text)]
    identity = workflow_id(UUID(request_id))
    await temporal(system, "workflow", "signal", "--workflow-id", identity, "--name", name, *arguments, *more)


async def raw_signal(system: System, request_id: str, name: str, *payloads: Payload) -> None:
    """Send a Signal with payloads that are made by hand: nothing converts or seals them."""
    await system.workflow(request_id).signal(name, args=[RawValue(payload) for payload in payloads])


# Looks


async def recorded(system: System, request_id: str, version: int) -> Request:
    """Wait until the records show at least that version; the process's state in them."""

    async def there() -> bool:
        async with system.services.database.session() as session:
            row = await requests.load_request(session, UUID(request_id))
        return row is not None and row.process_version >= version

    await eventually(there)
    return await projected(system, request_id)


async def projected(system: System, request_id: str) -> Request:
    """The state of the process in the records."""
    async with system.services.database.session() as session:
        row = await requests.load_request(session, UUID(request_id))
    assert row is not None
    return requests.process_of(row)


async def quiet(system: System, request_id: str) -> None:
    """Wait until the workflow has seen every effect through."""

    async def nothing_to_do() -> bool:
        return not await system.workflow(request_id).query("outbox")

    await eventually(nothing_to_do)


async def timeline(system: System, request_id: str) -> list[EventRecord]:
    """The events in the records, oldest first."""
    async with system.services.database.session() as session:
        return await requests.timeline(session, UUID(request_id))


async def names(system: System, request_id: str) -> list[str]:
    """The names of the events in the records, oldest first."""
    return [str(event.name) for event in await timeline(system, request_id)]


async def refused(system: System, request_id: str) -> list[RefusedCommand]:
    """The refused commands in the records, oldest first."""
    async with system.services.database.session() as session:
        return await refusals.list_refusals(session, UUID(request_id))


async def failed(system: System, request_id: str) -> list[FailedEffect]:
    """The failed effects in the records, oldest first."""
    async with system.services.database.session() as session:
        return await failures.list_failures(session, request_id=UUID(request_id))


async def told(system: System, request_id: str, event: EventRecord | int) -> set[str]:
    """Wait until every e-mail about the event is sent; the names of those who got one, each just once."""
    version = event if isinstance(event, int) else event.version

    async def all_sent() -> bool:
        return all(notice.status is not NoticeStatus.QUEUED for notice in await notices(system, request_id, version))

    await eventually(all_sent)
    planned = await notices(system, request_id, version)
    mails = Counter((taken.address, taken.message_id) for taken in system.post_office.taken)
    for notice in planned:
        assert notice.status is NoticeStatus.SENT
        assert mails[(notice.address, notice.message_id)] == 1
    people = {clinician.account.id: name for name, clinician in system.people.items()}
    return {people[notice.account_id] for notice in planned}


async def notices(system: System, request_id: str, version: int | None = None) -> list[Notice]:
    """The notices of a request (of one event), whatever became of them."""
    query = select(Notice).where(Notice.request_id == UUID(request_id)).order_by(Notice.id)
    if version is not None:
        query = query.where(Notice.version == version)
    async with system.services.database.session() as session:
        return list(await session.scalars(query))


async def current_details(system: System, request_id: str) -> str:
    """What the Temporal UI shows of the workflow."""
    metadata = await system.workflow(request_id).query("__temporal_workflow_metadata")
    return str(metadata["currentDetails"] if isinstance(metadata, dict) else metadata.current_details)


async def history(system: System, request_id: str) -> list[HistoryEvent]:
    """The events of the newest run, payloads as the server stores them."""
    return [event async for event in system.workflow(request_id).fetch_history_events()]


def of_type(events: list[HistoryEvent], kind: "EventType.ValueType") -> list[HistoryEvent]:
    return [event for event in events if event.event_type == kind]


# Time


async def now(system: System, request_id: str) -> datetime:
    """What time it is for the request."""
    return await system.environment.get_current_time(system.workflow(request_id))


async def skip_to(system: System, request_id: str, moment: datetime) -> None:
    """Let time pass for the request until `moment`."""
    await system.skip(request_id, max(timedelta(seconds=1), moment - await now(system, request_id)))
