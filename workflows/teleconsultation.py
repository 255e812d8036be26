"""One request, from submission to the end: it waits for people, keeps the deadlines, and sees every effect through.

Messages, timers and Relais's own findings all become commands, and every command goes one way: `_take`, which asks the rules
(`domain.lifecycle.decide`) and puts what must follow into the outbox. Handlers are synchronous and never fail unexpectedly, so
nothing interleaves and nothing is unfinished when the workflow continues as new.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.contract import (
        FINALIZE_REPORT,
        NOTE_FAILURE,
        NOTE_REFUSAL,
        RECORD_EVENT,
        SEND_NOTICE,
        FinalizedReport,
    )
    from domain import lifecycle
    from domain.commands import (
        PUBLIC_COMMAND,
        PUBLIC_COMMANDS,
        AnyCommand,
        Cancel,
        DeadlineReached,
        FailSigning,
        IssueDocument,
    )
    from domain.deadlines import Deadline
    from domain.lifecycle import AnyEffect, Effect, Finalize, NoteFailure, NoteRefusal, Notify, Record
    from domain.notices import SendResult
    from domain.refusals import Refusal, RefusalCode
    from domain.requests import SYSTEM, Actor, Failure, RefusedSignal, Request, Role, Source
    from workflows import visibility
    from workflows.contract import TELECONSULTATION, Receipt, Start

_QUICK_TRY = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=3)
_UNTIL_DONE = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))
_MAIL = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(minutes=1))

_SIGNING_GIVES_UP_AFTER = timedelta(days=1)
_LONGEST_HISTORY = 20_000
_REFUSALS_SHOWN = 10


@workflow.defn(name=TELECONSULTATION)
class TeleconsultationWorkflow:
    """The durable process of one request."""

    @workflow.init
    def __init__(self, start: Start) -> None:
        self._request = start.request
        self._mail_task_queue = start.mail_task_queue
        self._outbox: dict[str, AnyEffect] = {effect.id: effect for effect in start.outbox}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._failures = start.failures
        self._refused_signals = start.refused_signals
        self._timer: asyncio.Task[None] | None = None
        self._armed_for: tuple[datetime, Deadline] | None = None
        self._shown: set[Any] = set()
        for name in PUBLIC_COMMANDS:
            workflow.set_signal_handler(name, self._signal_handler(name))
            workflow.set_update_handler(name, self._update_handler(name), validator=self._update_validator(name))
        if start.command is not None:
            self._decide(start.command, Source.UPDATE)

    @workflow.run
    async def run(self, start: Start) -> Receipt:
        """Live until nobody has to act any more and every effect is done."""
        self._follow_up()
        while not self._is_over():
            try:
                await workflow.wait_condition(lambda: self._is_over() or self._should_continue_as_new())
            except asyncio.CancelledError:
                self._cancelled_from_outside()
            if self._should_continue_as_new():
                workflow.continue_as_new(self._everything())
        return self._receipt()

    @workflow.query
    def state(self) -> Request:
        """The request as the workflow holds it."""
        return self._request

    @workflow.query
    def outbox(self) -> list[AnyEffect]:
        """The effects that are not done yet."""
        return list(self._outbox.values())

    @workflow.signal(dynamic=True)
    def unknown_signal(self, name: str, args: Sequence[RawValue]) -> None:
        """A Signal of a name that Relais does not know is written down as refused."""
        self._note_refused(name, Refusal(RefusalCode.UNKNOWN_COMMAND, "there is no such command"), {})

    # How a command comes in

    def _update_validator(self, name: str) -> Callable[[Any], None]:
        """Refuses what is not legal before it enters the history."""

        def validate(payload: Any = None, *_more: Any) -> None:
            try:
                lifecycle.decide(self._request, _read(name, payload), workflow.now())
            except Refusal as refusal:
                raise _as_error(refusal) from None

        return validate

    def _update_handler(self, name: str) -> Callable[[Any], Receipt]:
        def handle(payload: Any = None, *_more: Any) -> Receipt:
            try:
                self._take(_read(name, payload), Source.UPDATE)
            except Refusal as refusal:
                raise _as_error(refusal) from None
            return self._receipt()

        return handle

    def _signal_handler(self, name: str) -> Callable[[Any], None]:
        def handle(payload: Any = None, *_more: Any) -> None:
            try:
                self._take(_read(name, payload), Source.SIGNAL)
            except Refusal as refusal:
                self._note_refused(name, refusal, payload)

        return handle

    def _cancelled_from_outside(self) -> None:
        """Someone pressed Cancel in the Temporal UI: for Relais that is the command `cancel`, by an operator."""
        reason = (workflow.cancellation_reason() or "").strip() or "Cancelled by an operator"
        try:
            self._take(
                Cancel(
                    id=f"engine-cancel:{workflow.info().run_id}", actor=Actor(role=Role.OPERATOR), reason=reason[:8000]
                ),
                Source.ENGINE,
            )
        except Refusal as refusal:
            self._note_refused("cancel", refusal, {})

    # The one way of every command

    def _take(self, command: AnyCommand, source: Source) -> None:
        """Change the request as `command` says and start what must follow. Raises Refusal; then nothing has changed."""
        self._decide(command, source)
        self._follow_up()

    def _decide(self, command: AnyCommand, source: Source) -> None:
        decision = lifecycle.decide(self._request, command, workflow.now(), source)
        self._request = decision.request
        self._outbox.update({effect.id: effect for effect in decision.effects})

    def _follow_up(self) -> None:
        self._start_effects()
        self._arm_timer()
        self._show()

    # Deadlines

    def _arm_timer(self) -> None:
        """Keep one timer, for the next moment at which a clock calls."""
        upcoming = self._request.next_deadline
        if upcoming == self._armed_for:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = upcoming
        self._timer = None if upcoming is None else asyncio.create_task(self._ring(*upcoming))

    async def _ring(self, moment: datetime, deadline: Deadline) -> None:
        wait = moment - workflow.now()
        if wait > timedelta():
            await workflow.sleep(wait, summary=f"{deadline.name} of {self._request.number}")
        self._timer = self._armed_for = None
        call = DeadlineReached(
            id=f"clock:{deadline.name}:{deadline.question_id or '-'}:{deadline.started_at.isoformat()}:{deadline.calls}",
            actor=SYSTEM,
            name=deadline.name,
            question_id=deadline.question_id,
        )
        try:
            self._take(call, Source.TIMER)
        except Refusal:  # what the clock was for has happened at this very moment
            self._follow_up()

    # Effects

    def _start_effects(self) -> None:
        """Start every effect of the outbox that is not under way. Records are written one after the other, in order."""
        first_record = next((effect for effect in self._outbox.values() if isinstance(effect, Record)), None)
        for effect in self._outbox.values():
            waits_its_turn = isinstance(effect, Record) and effect is not first_record
            if effect.id not in self._under_way and not waits_its_turn:
                self._under_way[effect.id] = asyncio.create_task(self._see_through(effect))

    async def _see_through(self, effect: AnyEffect) -> None:
        """Carry out one effect to its end; one that fails for good goes to the list that operators see."""
        try:
            await self._carry_out(effect)
        except ActivityError as error:
            self._note_failed(effect, error)
        del self._outbox[effect.id], self._under_way[effect.id]
        self._follow_up()

    async def _carry_out(self, effect: AnyEffect) -> None:
        match effect:
            case Record():
                self._notify(effect.event.version, await self._record(effect))
            case Finalize():
                await self._finalize(effect)
            case Notify():
                result = await workflow.execute_activity(
                    SEND_NOTICE,
                    effect.notice_id,
                    task_queue=self._mail_task_queue,
                    result_type=SendResult,
                    start_to_close_timeout=timedelta(minutes=2),
                    retry_policy=_MAIL,
                    summary=effect.id,
                )
                self._notify(self._request.version, result.follow_up_notice_ids)
            case NoteRefusal():
                await self._execute(NOTE_REFUSAL, effect)
            case NoteFailure():
                await self._execute(NOTE_FAILURE, effect)

    async def _record(self, effect: Record) -> list[UUID]:
        """Write to the records, usually within this very workflow task; when the database is away, for as long as it takes."""
        try:
            notices = await workflow.execute_local_activity(
                RECORD_EVENT,
                effect,
                result_type=list[UUID],
                start_to_close_timeout=timedelta(seconds=3),
                schedule_to_close_timeout=timedelta(seconds=5),
                retry_policy=_QUICK_TRY,
            )
        except ActivityError:
            notices = await self._execute(RECORD_EVENT, effect, result_type=list[UUID])
        return cast(list[UUID], notices)

    async def _finalize(self, effect: Finalize) -> None:
        """Make the signed document, then say so to the request; when it can't be made, the provider has it back."""
        report_id = effect.signing.report_id
        try:
            made = await workflow.execute_activity(
                FINALIZE_REPORT,
                effect,
                result_type=FinalizedReport,
                start_to_close_timeout=timedelta(minutes=1),
                schedule_to_close_timeout=_SIGNING_GIVES_UP_AFTER,
                retry_policy=_UNTIL_DONE,
                summary=effect.id,
            )
        except ActivityError as error:
            self._note_failed(effect, error)
            failed = FailSigning(id=effect.id, actor=SYSTEM, report_id=report_id, code=_code_of(error))
            self._take(failed, Source.ENGINE)
        else:
            issued = IssueDocument(id=effect.id, actor=SYSTEM, report_id=report_id, pdf_sha256=made.pdf_sha256)
            self._take(issued, Source.ENGINE)

    async def _execute(self, activity: str, effect: AnyEffect, result_type: Any = None) -> Any:
        return await workflow.execute_activity(
            activity,
            effect,
            result_type=result_type,
            start_to_close_timeout=timedelta(seconds=15),
            retry_policy=_UNTIL_DONE,
            summary=effect.id,
        )

    def _notify(self, version: int, notice_ids: Sequence[UUID]) -> None:
        for notice_id in notice_ids:
            effect = Notify(id=f"{self._request.id}:{version}:notify:{notice_id}", notice_id=notice_id)
            self._outbox[effect.id] = effect

    # What went wrong

    def _note_failed(self, effect: Effect, error: ActivityError) -> None:
        failure = Failure(effect_id=effect.id, code=_code_of(error), at=workflow.now())
        self._failures = (*self._failures, failure)
        if not isinstance(effect, NoteFailure | NoteRefusal):
            note = NoteFailure(id=f"{effect.id}:failure", request_id=self._request.id, failure=failure)
            self._outbox[note.id] = note

    def _note_refused(self, name: str, refusal: Refusal, payload: Any) -> None:
        refused = RefusedSignal(name=name[:100], code=refusal.code, at=workflow.now(), **_who(payload))
        self._refused_signals = (*self._refused_signals, refused)[-_REFUSALS_SHOWN:]
        note = NoteRefusal(
            id=f"{self._request.id}:{self._request.version}:refusal:{workflow.uuid4()}",
            request_id=self._request.id,
            refused=refused,
        )
        self._outbox[note.id] = note
        self._follow_up()

    # What others see

    def _show(self) -> None:
        """Keep search attributes and current details up to date; only what changed is written."""
        updates = visibility.search_attributes(self._request)
        changed = [update for update in updates if (update.key.name, update.value) not in self._shown]
        if changed:
            self._shown = {(update.key.name, update.value) for update in updates}
            workflow.upsert_search_attributes(changed)
        workflow.set_current_details(
            visibility.current_details(
                self._request, list(self._outbox.values()), self._failures, self._refused_signals
            )
        )

    def _receipt(self) -> Receipt:
        return Receipt(request_id=self._request.id, version=self._request.version, status=self._request.status)

    # The end of a run

    def _is_over(self) -> bool:
        return self._request.status.is_final and self._request.signing is None and not self._outbox

    def _should_continue_as_new(self) -> bool:
        """When the history grows long, at a quiet moment: no effect is under way (or the history is very long)."""
        info = workflow.info()
        quiet = not self._outbox or info.get_current_history_length() > _LONGEST_HISTORY
        return info.is_continue_as_new_suggested() and quiet and workflow.all_handlers_finished()

    def _everything(self) -> Start:
        return Start(
            request=self._request,
            mail_task_queue=self._mail_task_queue,
            outbox=tuple(self._outbox.values()),
            failures=self._failures,
            refused_signals=self._refused_signals,
        )


def _read(name: str, payload: Any) -> AnyCommand:
    """The command that a message carries; its `type` is the message's name. Raises Refusal when it can't be read."""
    if not isinstance(payload, dict) or payload.get("type", name) != name:
        raise Refusal(RefusalCode.MALFORMED, "the command is not a JSON object of this type")
    try:
        return PUBLIC_COMMAND.validate_python({**payload, "type": name})
    except ValidationError as error:
        places = ", ".join(".".join(map(str, problem["loc"][1:])) or "?" for problem in error.errors()[:5])
        raise Refusal(RefusalCode.MALFORMED, f"the command can't be read; look at: {places}") from None


def _who(payload: Any) -> dict[str, Any]:
    """The id and the actor of a command that was refused, as far as they can be read."""
    if not isinstance(payload, dict):
        return {}
    actor = payload.get("actor")
    try:
        actor_id = UUID(actor["id"]) if isinstance(actor, dict) else None
    except (KeyError, TypeError, ValueError, AttributeError):
        actor_id = None
    command_id = payload.get("id")
    return {"command_id": command_id[:120] if isinstance(command_id, str) else None, "actor_id": actor_id}


def _as_error(refusal: Refusal) -> ApplicationError:
    """A refusal as an Update's caller gets it: its type is the code."""
    return ApplicationError(refusal.explanation, type=refusal.code, non_retryable=True)


def _code_of(error: ActivityError) -> str:
    """The stable code of a failure: the type of the error that ended the activity."""
    cause = error.cause
    code = cause.type if isinstance(cause, ApplicationError) and cause.type else type(cause).__name__
    return "".join(c if c.islower() else f"_{c.lower()}" for c in code if c.isalpha() or c == "_").strip("_")[:64]
