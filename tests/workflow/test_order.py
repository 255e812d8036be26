"""In order and by the newest: so the process's events reach the records, and so a process that was lost goes on."""

import asyncio
from uuid import UUID

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from activities.contract import RECORD_EVENT
from domain.commands import RequestInformation
from domain.requests import Role
from records.feed import Change
from tests.eventually import PATIENCE_SECONDS
from tests.journeys import accepted, ok
from tests.system import System
from tests.workflow.looks import history, names, projected, quiet, recorded, said_by, timeline
from use_cases import gate


async def test_records_are_written_one_after_the_other_in_the_order_of_events(system: System) -> None:
    """However many commands come at once: whoever follows the records sees each version, after the one that led to it."""
    request_id = await accepted(system)
    await quiet(system, request_id)
    seen: list[int] = []
    with system.services.feed.subscribe() as told:
        for number in range(20):
            asked = said_by(system.provider, Role.PROVIDER, text=f"Question {number} ?")
            await system.workflow(request_id).signal("request_information", asked)
        while 23 not in seen:
            for change in await asyncio.wait_for(anext(told), PATIENCE_SECONDS):
                assert isinstance(change, Change), "the feed heard every change"
                if change.request_id == UUID(request_id):
                    seen.append(change.version)
    assert seen == list(range(4, 24))
    await quiet(system, request_id)
    assert _most_at_once(await history(system, request_id), RECORD_EVENT) == 1


def _most_at_once(events: list[HistoryEvent], activity: str) -> int:
    """How many activities of that kind were under way at the same time at most."""
    under_way: set[int] = set()
    most = 0
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            if event.activity_task_scheduled_event_attributes.activity_type.name == activity:
                under_way.add(event.event_id)
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            under_way.discard(event.activity_task_completed_event_attributes.scheduled_event_id)
        most = max(most, len(under_way))
    return most


async def test_a_workflow_that_begins_anew_goes_on_from_the_newest_state(system: System) -> None:
    """Whoever gives a command has read the records some time before; another one may have acted since."""
    request_id = await accepted(system)
    read_before = await projected(system, request_id)
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand ?"}))
    await quiet(system, request_id)
    await system.workflow(request_id).terminate("lost")
    late = RequestInformation.model_validate(said_by(system.provider, Role.PROVIDER, text="Où ?"))
    await gate.give(system.services, read_before, late)
    await recorded(system, request_id, 5)
    await quiet(system, request_id)
    assert (await names(system, request_id))[3:] == ["information_requested"] * 2
    state = await system.state(request_id)
    assert await projected(system, request_id) == state
    assert [event.command_id for event in await timeline(system, request_id)] == list(state.commands_taken)
    assert len(state.questions) == 2


async def test_what_comes_once_more_to_a_lost_workflow_begins_none(system: System) -> None:
    """The newest state knows that this very command has acted; the one that was read before does not."""
    request_id = await accepted(system)
    read_before = await projected(system, request_id)
    command = RequestInformation.model_validate(said_by(system.provider, Role.PROVIDER, text="Où ?"))
    await gate.give(system.services, read_before, command)
    await recorded(system, request_id, 4)
    await quiet(system, request_id)
    lost = (await system.workflow(request_id).describe()).run_id
    await system.workflow(request_id).terminate("lost")
    shown = await gate.give(system.services, read_before, command)
    assert shown is not None
    assert shown.process_version == 4
    assert (await system.workflow(request_id).describe()).run_id == lost
    assert (await names(system, request_id))[3:] == ["information_requested"]
