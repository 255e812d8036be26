"""One request, from submission to the end: it waits for people, keeps the deadlines, and sees every effect through.

Messages, timers and Relais's own findings all become commands, and every command goes one way: `_take`, which asks the rules
(`domain.lifecycle.decide`) and puts what must follow into the outbox. Handlers are synchronous and never fail, whatever they
are given, so nothing interleaves and nothing is unfinished when the workflow continues as new.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    # not `from workflows import …`: the sandbox loads the package itself, and would load these two anew for every request
    import workflows.messages as messages
    import workflows.summaries as summaries
    import workflows.visibility as visibility
    from activities.contract import (
        DELIVER,
        FINALIZE_REPORT,
        HEARTBEAT_TIMEOUT,
        LONGEST_DIALOGUE,
        NOTE_FAILURE,
        NOTE_REFUSAL,
        RECORD_EVENT,
        SEND_NOTICE,
        FinalizedReport,
        Planned,
    )
    from domain import lifecycle
    from domain.commands import (
        OWN,
        PUBLIC_COMMANDS,
        AnyCommand,
        Cancel,
        DeadlineReached,
        FailSigning,
        IssueDocument,
        RenewRules,
    )
    from domain.deadlines import Deadline
    from domain.effects import AnyEffect, Deliver, Effect, Finalize, NoteFailure, NoteRefusal, Notify, Record
    from domain.events import Event
    from domain.model import MAX_SHORT_TEXT
    from domain.notices import Delivered, SendResult
    from domain.refusals import Refusal, RefusalCode
    from domain.requests import SYSTEM, Actor, Failure, Request, Role, Source
    from domain.rules import rules_of
    from workflows.contract import (
        FIRST_MANNER,
        MANNER,
        SECOND_MANNER,
        SINGLE_NOTICE,
        TELECONSULTATION,
        Receipt,
        Start,
        notice_workflow_id,
        signing_task_queue,
    )

_UNTIL_DONE = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=30))
_MAIL = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(minutes=1))

_SIGNING_GIVES_UP_AFTER = timedelta(days=1)
_LONGEST_HISTORY = 20_000
_REFUSALS_SHOWN = _FAILURES_SHOWN = 10


@workflow.defn(name=TELECONSULTATION)
class TeleconsultationWorkflow:
    """The durable process of one request."""

    @workflow.init
    def __init__(self, start: Start) -> None:
        rules_of(
            start.request.rules
        )  # an older worker than the request's rules decides nothing: its tasks fail, and wait
        self._request = start.request
        self._mail_task_queue = start.mail_task_queue
        self._manner = start.manner
        self._outbox: dict[str, AnyEffect] = {effect.id: effect for effect in start.outbox}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._failures = start.failures
        self._refused_signals = start.refused_signals
        self._renewals: tuple[RenewRules, ...] = ()
        self._timer: asyncio.Task[None] | None = None
        self._armed_for: tuple[datetime, Deadline] | None = None
        self._shown: set[Any] = set()
        self._fault: BaseException | None = None
        self._cancel_heard = False
        for name in PUBLIC_COMMANDS:
            workflow.set_update_handler(name, self._update_handler(name), validator=self._update_validator(name))
        if start.command is not None:
            self._begin_with(start.command, Source.UPDATE)
        if self._request.signing is not None:
            self._renewals = start.renewals
        else:
            for renewal in start.renewals:
                self._begin_with(renewal, Source.ENGINE)

    @workflow.run
    async def run(self, start: Start) -> Receipt:
        """Live until nobody has to act any more and every effect is done."""
        self._follow_up()
        while not self._is_over():
            try:
                await workflow.wait_condition(
                    lambda: bool(self._fault) or self._is_over() or self._should_continue_as_new()
                )
            except asyncio.CancelledError:
                if self._cancel_heard or workflow.cancellation_reason() is None:
                    raise  # nobody asks: the worker forgets the workflow, to rebuild it from its history when needed
                self._cancel_heard = True
                self._cancelled_from_outside()
            if self._fault is not None:
                raise RuntimeError("a timer or an effect broke off; this task is tried again") from self._fault
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

    # How a command comes in

    @workflow.signal(dynamic=True)
    def take_signal(self, name: str, arguments: Sequence[RawValue]) -> None:
        """Every Signal, whatever its name and whatever it carries: named handlers would drop what can't be decoded."""
        payload = messages.decoded(arguments)
        try:
            command = messages.read(name, payload)
            if isinstance(command, RenewRules):
                self._plan_renewal(command)
            else:
                self._take(command, Source.SIGNAL)
        except Refusal as refusal:
            self._note_refused(name, refusal, payload)

    def _update_validator(self, name: str) -> Callable[..., None]:
        """Refuses what is not legal before it enters the history."""

        def validate(*arguments: Any) -> None:
            try:
                lifecycle.decide(self._request, messages.read(name, messages.only(arguments)), workflow.now())
            except Refusal as refusal:
                raise messages.refusal_as_error(refusal) from None

        return validate

    def _update_handler(self, name: str) -> Callable[..., Receipt]:
        def handle(*arguments: Any) -> Receipt:
            try:
                self._take(messages.read(name, messages.only(arguments)), Source.UPDATE)
            except Refusal as refusal:
                raise messages.refusal_as_error(refusal) from None
            return self._receipt()

        return handle

    def _cancelled_from_outside(self) -> None:
        """Someone pressed Cancel in the Temporal UI: for Relais that is the command `cancel`, by an operator."""
        reason = (
            messages.printable(workflow.cancellation_reason() or "").strip()[:MAX_SHORT_TEXT]
            or "Cancelled by an operator"
        )
        cancel = Cancel(id=f"{OWN}cancel:{workflow.info().run_id}", actor=Actor(role=Role.OPERATOR), reason=reason)
        try:
            self._take(cancel, Source.ENGINE)
        except Refusal as refusal:
            self._note_refused(cancel.type, refusal, {})

    def _plan_renewal(self, renewal: RenewRules) -> None:
        """Keep a renewal for the next quiet moment, when this run ends and another begins under other rules."""
        try:
            changes = lifecycle.decide(self._request, renewal, workflow.now()).event is not None
        except Refusal as refusal:
            if refusal.code is not RefusalCode.REPORT_BEING_SIGNED:
                raise
            changes = True
        if changes and renewal.id not in {planned.id for planned in self._renewals}:
            self._renewals = (*self._renewals, renewal)

    def _begin_with(self, command: AnyCommand, source: Source) -> None:
        """Carry out what the run begins with; where the rules refuse it now, that is written down."""
        try:
            self._decide(command, source)
        except Refusal as refusal:
            self._put_refusal(command.type, refusal, command.model_dump(mode="json"))

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
        if upcoming == self._armed_for or (upcoming is not None and self._rings_by(upcoming[0])):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = upcoming
        self._timer = None if upcoming is None else self._in_background(self._ring(*upcoming))

    def _rings_by(self, moment: datetime) -> bool:
        """Whether the timer that runs rings no later than that: it is left then, so that to put a deadline off costs none."""
        return self._manner > FIRST_MANNER and self._armed_for is not None and self._armed_for[0] <= moment

    async def _ring(self, moment: datetime, deadline: Deadline) -> None:
        wait = moment - workflow.now()
        if wait > timedelta():
            await workflow.sleep(wait, summary=summaries.of_timer(deadline))
        self._timer = self._armed_for = None
        if self._manner > FIRST_MANNER:
            upcoming = self._request.next_deadline
            if upcoming is None or upcoming[0] > workflow.now():  # it was put off meanwhile
                self._arm_timer()
                return
            deadline = upcoming[1]
        call = DeadlineReached(
            id=f"{OWN}{deadline.name}:{deadline.question_id or '-'}:{deadline.started_at.isoformat()}:{deadline.calls}",
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
                self._under_way[effect.id] = self._in_background(self._see_through(effect))

    async def _see_through(self, effect: AnyEffect) -> None:
        """Carry out one effect to its end; one that fails for good goes to the list that operators see."""
        try:
            await self._carry_out(effect)
        except ActivityError as error:
            self._note_failed(effect, messages.failure_code(error))
        except Refusal as refusal:  # the request has moved on without what this effect found out
            self._note_failed(effect, refusal.code)
        del self._outbox[effect.id], self._under_way[effect.id]
        self._follow_up()

    async def _carry_out(self, effect: AnyEffect) -> None:
        match effect:
            case Record():
                self._plan_e_mails(effect.event, await self._record(effect))
            case Finalize():
                await self._finalize(effect)
            case Deliver():
                await self._deliver(effect)
            case Notify():
                await self._notify(effect)
            case NoteRefusal():
                told = await self._execute(NOTE_REFUSAL, effect, result_type=list[UUID] | None)
                for notice_id in told or ():  # the activity of older workers told nobody
                    await self._hand_on(notice_id)
            case NoteFailure():
                await self._execute(NOTE_FAILURE, effect)

    async def _record(self, effect: Record) -> list[UUID] | Planned:
        """Write to the records, for as long as it takes.

        Never as a local activity: that one runs before its workflow task is durable, and a server that dies in between would
        leave records of something that never happened.
        """
        answer = await self._execute(RECORD_EVENT, effect, result_type=list[UUID] | Planned)
        return cast(list[UUID] | Planned, answer)

    async def _finalize(self, effect: Finalize) -> None:
        """Make the signed document, then say so to the request; when it can't be made, the provider has it back."""
        report_id = effect.signing.report_id
        own_queue = workflow.info().task_queue
        try:
            made = await workflow.execute_activity(
                FINALIZE_REPORT,
                effect,
                task_queue=signing_task_queue(own_queue) if self._manner > SECOND_MANNER else own_queue,
                result_type=FinalizedReport,
                start_to_close_timeout=timedelta(minutes=1),
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                schedule_to_close_timeout=_SIGNING_GIVES_UP_AFTER,
                retry_policy=_UNTIL_DONE,
                summary=summaries.of(effect),
            )
        except ActivityError as error:
            code = messages.failure_code(error)
            self._note_failed(effect, code)
            failed = FailSigning(
                id=OWN + effect.id, actor=SYSTEM, report_id=report_id, signer=effect.signing.signer, code=code
            )
            self._take(failed, Source.ENGINE)
        else:
            issued = IssueDocument(id=OWN + effect.id, actor=SYSTEM, report_id=report_id, pdf_sha256=made.pdf_sha256)
            self._take(issued, Source.ENGINE)

    async def _execute(self, activity: str, effect: AnyEffect, result_type: Any = None) -> Any:
        return await workflow.execute_activity(
            activity,
            effect,
            result_type=result_type,
            start_to_close_timeout=timedelta(seconds=15),
            retry_policy=_UNTIL_DONE,
            summary=summaries.of(effect),
        )

    # E-mails

    def _plan_e_mails(self, event: Event, planned: list[UUID] | Planned) -> None:
        """Put what is left to be told into the outbox: one effect for the e-mails of one event."""
        notice_ids = planned if isinstance(planned, list) else planned.notice_ids
        if not notice_ids:
            return
        if self._manner == FIRST_MANNER and not workflow.patched("one-delivery-per-event"):
            self._plan_one_by_one(event.version, notice_ids)
            return
        wait = timedelta() if isinstance(planned, list) else planned.wait
        effect = Deliver.of(event, notice_ids, workflow.now() + wait)
        self._outbox[effect.id] = effect

    async def _deliver(self, effect: Deliver) -> None:
        """Send the e-mails of one event, each once. What the mail server does not take at once is no longer ours to wait for."""
        wait = effect.not_before - workflow.now()
        if wait > timedelta():
            await workflow.sleep(wait, summary="e-mails wait for those of further changes")
        result: Delivered = await self._execute_mail(DELIVER, effect, list(effect.notice_ids), Delivered)
        for notice_id in (*result.waiting, *result.follow_up_notice_ids):
            await self._hand_on(notice_id)

    async def _hand_on(self, notice_id: UUID) -> None:
        """Leave an e-mail to a workflow of its own, which tries for days: a request ends whether or not its mail goes."""
        with suppress(WorkflowAlreadyStartedError):  # it is looked after already
            await workflow.start_child_workflow(
                SINGLE_NOTICE,
                notice_id,
                id=notice_workflow_id(notice_id),
                task_queue=self._mail_task_queue,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                static_summary=summaries.of_single_notice(self._request.number),
            )

    def _plan_one_by_one(self, version: int, notice_ids: Sequence[UUID]) -> None:
        """As requests did that began when every e-mail was an effect of its own."""
        for notice_id in notice_ids:
            effect = Notify.of(self._request.id, version, notice_id)
            self._outbox[effect.id] = effect

    async def _notify(self, effect: Notify) -> None:
        result: SendResult = await self._execute_mail(SEND_NOTICE, effect, effect.notice_id, SendResult)
        self._plan_one_by_one(self._request.version, result.follow_up_notice_ids)

    async def _execute_mail(self, activity: str, effect: AnyEffect, which: UUID | list[UUID], result_type: Any) -> Any:
        return await workflow.execute_activity(
            activity,
            which,
            task_queue=self._mail_task_queue,
            result_type=result_type,
            start_to_close_timeout=LONGEST_DIALOGUE,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_MAIL,
            summary=summaries.of(effect),
        )

    # What went wrong

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start `work`. Should it break off, `run` must hear of it: a lost timer or effect would leave the request stuck."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._look_for_fault)
        return task

    def _look_for_fault(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self._fault = self._fault or task.exception()

    def _note_failed(self, effect: Effect, code: str) -> None:
        failure = Failure(effect_id=effect.id, code=code, at=workflow.now())
        self._failures = (*self._failures, failure)[-_FAILURES_SHOWN:]
        if not isinstance(effect, NoteFailure | NoteRefusal):
            note = NoteFailure.of(self._request.id, failure)
            self._outbox[note.id] = note

    def _note_refused(self, name: str, refusal: Refusal, payload: Any) -> None:
        self._put_refusal(name, refusal, payload)
        self._follow_up()

    def _put_refusal(self, name: str, refusal: Refusal, payload: Any) -> None:
        refused = messages.refused_signal(name, payload, refusal, workflow.now())
        self._refused_signals = (*self._refused_signals, refused)[-_REFUSALS_SHOWN:]
        note = NoteRefusal.of(self._request.id, self._request.version, refused, workflow.uuid4())
        self._outbox[note.id] = note

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
                self._request, list(self._outbox.values()), self._failures, self._refused_signals, self._renewals
            )
        )

    def _receipt(self) -> Receipt:
        return Receipt(request_id=self._request.id, version=self._request.version, status=self._request.status)

    # The end of a run

    def _is_over(self) -> bool:
        """Nobody has to act any more; or the submission that began it was refused, and it is still a draft."""
        return not self._request.needs_workflow and not self._outbox

    def _should_continue_as_new(self) -> bool:
        """At a quiet moment, when the history grows long or the request is to live under other rules.

        Quiet: no effect is under way. A very long history does not wait for that.
        """
        info = workflow.info()
        if info.is_continue_as_new_suggested():
            ready = not self._outbox or info.get_current_history_length() > _LONGEST_HISTORY
        else:
            ready = bool(self._renewals) and not self._outbox and self._request.signing is None
        return ready and workflow.all_handlers_finished()

    def _everything(self) -> Start:
        return Start(
            request=self._request,
            mail_task_queue=self._mail_task_queue,
            manner=MANNER,
            outbox=tuple(self._outbox.values()),
            failures=self._failures,
            refused_signals=self._refused_signals,
            renewals=self._renewals,
        )
