"""What a stored history recorded, and what today's code computes when it replays it: every input of an activity, every timer.

Temporal itself compares the order of commands only. A clock that moved replays without a complaint, and the next command would
rewrite the records with another due time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.worker import (
    Interceptor,
    Replayer,
    StartActivityInput,
    UnsandboxedWorkflowRunner,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from domain.deadlines import Deadline
from domain.effects import Deliver, Finalize, NoteFailure, NoteRefusal, Record
from engine.converter import data_converter
from key_ring import KeyRing
from tests.histories import FOLDER, KEYS
from workflows.contract import TELECONSULTATION, Receipt, Start
from workflows.teleconsultation import TeleconsultationWorkflow

INPUTS: dict[str, Any] = {
    "record_event": Record,
    "finalize_report": Finalize,
    "note_refusal": NoteRefusal,
    "note_failure": NoteFailure,
}
"""The activities whose input tells of the request's state, and its type."""


@dataclass
class Trace:
    """What a workflow asked for, in order: effects, and how long each timer was to run."""

    effects: list[Any] = field(default_factory=list)
    timers: list[timedelta] = field(default_factory=list)


def stored(path: Path) -> WorkflowHistory:
    """A stored history, with the id of its workflow."""
    history = WorkflowHistory.from_json("", path.read_text())
    started = history.events[0].workflow_execution_started_event_attributes
    return WorkflowHistory(started.workflow_id, history.events)


STORED = sorted(FOLDER.glob("*.json"))


async def recorded(history: WorkflowHistory) -> Trace:
    """What stands in the history."""
    converter = data_converter(KeyRing.parse(KEYS))

    async def decoded(event: HistoryEvent) -> Iterable[Any]:
        scheduled = event.activity_task_scheduled_event_attributes
        kind = INPUTS.get(scheduled.activity_type.name)
        return await converter.decode(scheduled.input.payloads, [kind]) if kind else ()

    trace = Trace()
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            trace.effects += await decoded(event)
        elif event.event_type == EventType.EVENT_TYPE_TIMER_STARTED:
            trace.timers.append(event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta())
    return trace


async def computed(history: WorkflowHistory) -> Trace:
    """What today's code does with the history. Raises NondeterminismError when it does not even ask for the same things."""
    _Traced.trace = trace = Trace()
    replayer = Replayer(
        workflows=[_Traced],
        interceptors=[_Watching()],
        data_converter=data_converter(KeyRing.parse(KEYS)),
        workflow_runner=UnsandboxedWorkflowRunner(),  # so that it writes into the trace here
    )
    await replayer.replay_workflow(history)
    return trace


@workflow.defn(name=TELECONSULTATION)
class _Traced(TeleconsultationWorkflow):
    trace = Trace()

    @workflow.init
    def __init__(self, start: Start) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: Start) -> Receipt:
        return await super().run(start)

    async def _ring(self, moment: datetime, deadline: Deadline) -> None:
        self._note_timer(moment)
        await super()._ring(moment, deadline)

    async def _deliver(self, effect: Deliver) -> None:
        self._note_timer(effect.not_before)
        await super()._deliver(effect)

    def _note_timer(self, moment: datetime) -> None:
        wait = moment - workflow.now()
        if wait > timedelta():
            self.trace.timers.append(wait)


class _Outbound(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002 - Temporal's name
        if input.activity in INPUTS:
            _Traced.trace.effects += input.args
        return super().start_activity(input)


class _Inbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))


class _Watching(Interceptor):
    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002
        return _Inbound
