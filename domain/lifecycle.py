"""The table of legal moves, and what each does.

`decide` is the one way in which a request changes: (request, command, now) -> a new request, the event that happened, and the
effects that must follow. It is pure: the same command on the same request at the same time always gives the same answer, so
folding the commands of a timeline rebuilds the state (`rebuild`).

Every request lives under one version of the rules (`Request.rules`). What differs between versions are values: the rows of the
table that count in each, and `domain.rules`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain import commands as c
from domain.deadlines import Deadline
from domain.effects import Finalize, Record
from domain.events import Event, question_id
from domain.fhir_task import LEGAL_STEPS, FhirTask, TaskStatus
from domain.offerings import DeadlineName
from domain.priority import Priority
from domain.refusals import Refusal, RefusalCode
from domain.requests import (
    Actor,
    Document,
    DocumentKind,
    EventName,
    FollowUp,
    Holder,
    Person,
    Question,
    Request,
    Role,
    Signing,
    Source,
    Status,
    Undo,
)
from domain.rules import RULES, rules_of

FOLLOW_UPS, ASKED_WITHIN = 2, timedelta(days=30)
"""So many questions about a report does a requester have, one after the other, and until so long after its signature."""

TAKEN_BACK_WITHIN = timedelta(seconds=15)
"""So long after it a command can be taken back: ten seconds to see it and press, and some for the way here."""

REMEMBERED, OWN_REMEMBERED = 1_000, 20
"""So many ids of commands that have acted does the state of a request hold: of people's commands, and of Relais's own."""


@dataclass(frozen=True)
class Decision:
    """The answer to a command that was taken. `event` is None when its id had acted before: nothing happened again."""

    request: Request
    event: Event | None
    effects: tuple[Record | Finalize, ...]


def decide(request: Request, command: c.AnyCommand, now: datetime, source: Source = Source.UPDATE) -> Decision:
    """Carry out `command` on `request` at `now`.

    Raises `Refusal` when it is not legal; then nothing has changed. A command whose id has acted before changes nothing. Raises
    UnknownRulesError when this code does not have the rules under which the request lives.
    """
    rules_of(request.rules)
    if command.id in request.commands_taken:
        return Decision(request, None, ())
    row = _row_of(request.rules, type(command))
    _check(row, request, command.actor)
    if command.expected_version not in (None, request.version):
        raise Refusal(RefusalCode.VERSION_CONFLICT, f"the request has version {request.version}")
    command = _filled_in(request, command, now)
    name, moved = row.move(request, command, now)
    moved = _with(
        moved,
        version=request.version + 1,
        commands_taken=_remembered((*request.commands_taken, command.id)),
        undo=_undo(request, command, moved, now),
    )
    event = Event(
        request_id=request.id,
        version=moved.version,
        name=name,
        at=now,
        source=source,
        command=command,
        status_before=request.status,
        status=moved.status,
        holder_before=request.holder,
        holder=moved.holder,
    )
    return Decision(moved, event, _effects(event, moved))


def _remembered(commands_taken: tuple[str, ...]) -> tuple[str, ...]:
    """The ids that the state keeps, oldest first: those of people for long, of Relais's own only the newest.

    A clock that calls every day for years would fill the state else. Relais never gives one of its own commands again: what a
    clock has said is in the clock, and what an effect found out ends with the effect.
    """
    theirs = [command_id for command_id in commands_taken if not command_id.startswith(c.OWN)][-REMEMBERED:]
    own = [command_id for command_id in commands_taken if command_id.startswith(c.OWN)][-OWN_REMEMBERED:]
    kept = {*theirs, *own}
    return tuple(command_id for command_id in commands_taken if command_id in kept)


def _undo(request: Request, command: c.AnyCommand, moved: Request, now: datetime) -> Undo | None:
    """What stood before, where `command` can be taken back."""
    own = _OWN_DEADLINE.get(request.status)
    clock = request.deadline(own) if own else None
    can_be = isinstance(command, c.Accept | c.Assign) and rules_of(request.rules).takes_back
    if not can_be or clock is None or command.actor.id is None:
        return None
    began = next((d.name for d in moved.deadlines if d not in request.deadlines), None)
    return Undo(
        by=command.actor.id,
        at=now,
        status=request.status,
        holder=request.holder,
        clock=clock,
        began=began,
        overdue=request.overdue,
    )


def check_allowed(request: Request, command: type[c.BaseCommand], actor: Actor) -> None:
    """Raise the `Refusal` that `decide` would raise for who and when, before a command of this kind is even made."""
    _check(_row_of(request.rules, command), request, actor)


def allowed_commands(request: Request, actor: Actor) -> tuple[str, ...]:
    """The names of the public commands that `actor` may give to `request` now, in the order of the table."""
    allowed = []
    for row in table(request.rules):
        try:
            _check(row, request, actor)
        except Refusal:
            continue
        allowed.append(row.command.model_fields["type"].default)
    return tuple(name for name in allowed if name in c.PUBLIC_COMMANDS)


def rebuild(draft: Request, events: Iterable[Event]) -> Request:
    """The state that `events`, in order, make of `draft`. Shows that nothing is in the state that is not in the timeline."""
    request = draft
    for event in events:
        request = decide(request, event.command, event.at, event.source).request
    return request


def _effects(event: Event, request: Request) -> tuple[Record | Finalize, ...]:
    record = Record.of(event, request)
    if event.name not in (EventName.REPORT_SIGNED, EventName.ADDENDUM_SIGNED) or request.signing is None:
        return (record,)
    return record, Finalize.of(event, request.signing)


# Who may act


@dataclass(frozen=True)
class Party:
    """One of those who may give a command: `role` alone decides what the API shows, `test` looks at the request as well."""

    role: Role
    test: Callable[[Request, Actor], bool]
    otherwise: RefusalCode = RefusalCode.ROLE_NOT_ALLOWED


THE_REQUESTER = Party(Role.REQUESTER, lambda r, a: a.id == r.requester.id, RefusalCode.NOT_THE_REQUESTER)
A_DISPATCHER = Party(Role.DISPATCHER, lambda r, a: a.clinic_id == r.dispatch_clinic_id, RefusalCode.NOT_THE_DISPATCHER)
THE_HOLDING_PROVIDER = Party(Role.PROVIDER, lambda r, a: r.holder.includes(a), RefusalCode.NOT_THE_HOLDER)
THE_HOLDERS_ADMINISTRATOR = Party(
    Role.CLINIC_ADMINISTRATOR, lambda r, a: r.holder.clinic_id == a.clinic_id, RefusalCode.NOT_THE_ADMINISTRATOR
)
THE_REQUESTERS_ADMINISTRATOR = Party(
    Role.CLINIC_ADMINISTRATOR, lambda r, a: r.requester.clinic_id == a.clinic_id, RefusalCode.NOT_THE_ADMINISTRATOR
)
A_COLLEAGUE_OF_THE_REQUESTER = Party(
    Role.REQUESTER,
    lambda r, a: a.clinic_id == r.requester.clinic_id and a.id != r.requester.id,
    RefusalCode.NOT_THE_REQUESTERS_COLLEAGUE,
)
THE_ASKING_PROVIDER = Party(
    Role.PROVIDER,
    lambda r, a: r.holder.includes(a) or any(q.asked_by.id == a.id for q in r.questions),
    RefusalCode.NOT_THE_HOLDER,
)
THE_SIGNER = Party(
    Role.PROVIDER,
    lambda r, a: r.final_report is not None and r.final_report.signer.id == a.id,
    RefusalCode.NOT_THE_SIGNER,
)
THE_ONE_WHO_ASSIGNED, THE_ONE_WHO_ACCEPTED = (
    Party(role, lambda r, a: r.undo is not None and r.undo.by == a.id, RefusalCode.NOTHING_TO_TAKE_BACK)
    for role in (Role.DISPATCHER, Role.PROVIDER)
)
THE_SIGNERS_COLLEAGUE = Party(
    Role.PROVIDER,
    lambda r, a: r.final_report is not None and r.final_report.signer.clinic_id == a.clinic_id,
    RefusalCode.NOT_THE_SIGNER,
)
AN_OPERATOR = Party(Role.OPERATOR, lambda r, a: True)
RELAIS = Party(Role.SYSTEM, lambda r, a: True)


# What each command does


def _submit(request: Request, command: c.Submit, now: datetime) -> tuple[EventName, Request]:
    _refuse_stat(command.priority)
    request = _with(request, form=command.form, priority=command.priority)
    task = request.task.then(TaskStatus.REQUESTED)
    if request.terms.dispatch == "automatic":
        pool = Holder.pool(request.dispatch_clinic_id)
        return EventName.SUBMITTED, _await_acceptance(request, pool, now, task.then(TaskStatus.RECEIVED))
    return EventName.SUBMITTED, _await_dispatch(request, now, task)


def _assign(request: Request, command: c.Assign, now: datetime) -> tuple[EventName, Request]:
    holder = _other_holder(request, command.to)
    if request.status is Status.AWAITING_DISPATCH:
        task = request.task.then(TaskStatus.RECEIVED)
    else:
        task = request.task.then(TaskStatus.CANCELLED).next_task(TaskStatus.REQUESTED, TaskStatus.RECEIVED)
    return EventName.ASSIGNED, _await_acceptance(request, holder, now, task)


def _reassign(request: Request, command: c.Reassign, now: datetime) -> tuple[EventName, Request]:
    task = request.task.then(TaskStatus.CANCELLED).next_task(TaskStatus.REQUESTED)
    if command.to == "dispatch":
        return EventName.REASSIGNED, _await_dispatch(request, now, task, keeps_its_promise=True)
    if command.actor.role is Role.CLINIC_ADMINISTRATOR and command.to.clinic_id != command.actor.clinic_id:
        raise Refusal(RefusalCode.NOT_A_COLLEAGUE, "an administrator hands on inside their clinic, or to dispatch")
    holder, task = _other_holder(request, command.to), task.then(TaskStatus.RECEIVED)
    if request.status is Status.AWAITING_ACCEPTANCE:  # its clock goes along
        return EventName.REASSIGNED, _with(request, holder=holder, task=task)
    return EventName.REASSIGNED, _await_acceptance(request, holder, now, task, keeps_its_promise=True)


def _accept(request: Request, command: c.Accept, now: datetime) -> tuple[EventName, Request]:
    holder = Holder.provider(_person(command.actor))
    task = request.task.then(TaskStatus.ACCEPTED)
    return EventName.ACCEPTED, _enter(request, Status.ACCEPTED, holder, now, task)


def _take_back(request: Request, command: c.TakeBack, now: datetime) -> tuple[EventName, Request]:
    undo = request.undo
    if undo is None:
        raise Refusal(RefusalCode.NOTHING_TO_TAKE_BACK, "something else has happened since")
    if not may_still_take_back(undo, now):
        raise Refusal(RefusalCode.TOO_LATE_TO_TAKE_BACK, f"more than {TAKEN_BACK_WITHIN.seconds} seconds ago")
    task = request.task.then(TaskStatus.CANCELLED).next_task(TaskStatus.REQUESTED)
    if undo.status is Status.AWAITING_ACCEPTANCE:
        task = task.then(TaskStatus.RECEIVED)
    stayed = tuple(d for d in request.deadlines if d.name is not undo.began)
    before = {"status": undo.status, "holder": undo.holder, "overdue": undo.overdue}
    return EventName.TAKEN_BACK, _with(request, **before, task=task, deadlines=(undo.clock, *stayed))


def _transfer(request: Request, command: c.Transfer, now: datetime) -> tuple[EventName, Request]:
    if command.to.clinic_id != command.actor.clinic_id:
        raise Refusal(RefusalCode.NOT_A_COLLEAGUE, "a transfer stays inside the clinic")
    if command.to.id == command.actor.id:
        raise Refusal(RefusalCode.TRANSFER_TO_SELF, "the provider would transfer to themselves")
    task = request.task.then(TaskStatus.CANCELLED).next_task(TaskStatus.REQUESTED, TaskStatus.RECEIVED)
    return EventName.TRANSFERRED, _await_acceptance(request, Holder.provider(command.to), now, task)


def _request_information(request: Request, command: c.RequestInformation, now: datetime) -> tuple[EventName, Request]:
    question = Question(id=question_id(request.id, command.id), asked_by=_person(command.actor), asked_at=now)
    deadline = _start_clock(request, DeadlineName.INFORMATION, now, question_id=question.id)
    stopped = tuple(d.stopped(now) if d.name in _STOPPED_BY_A_QUESTION else d for d in request.deadlines)
    return EventName.INFORMATION_REQUESTED, _with(
        request, questions=(*request.questions, question), deadlines=(*stopped, deadline)
    )


def _answer_information(request: Request, command: c.AnswerInformation, now: datetime) -> tuple[EventName, Request]:
    return EventName.INFORMATION_ANSWERED, _close_question(request, command, now)


def _add_information(request: Request, command: c.AddInformation, now: datetime) -> tuple[EventName, Request]:
    if command.worse:
        return EventName.WORSENING_REPORTED, _with(request, worsened=True)
    return EventName.INFORMATION_ADDED, request


def _withdraw_information_request(
    request: Request, command: c.WithdrawInformationRequest, now: datetime
) -> tuple[EventName, Request]:
    theirs = any(q.id == command.question_id and q.asked_by.id == command.actor.id for q in request.questions)
    if not theirs and not request.holder.includes(command.actor):
        raise Refusal(RefusalCode.NOT_THE_HOLDER, "only the holder takes back a question that somebody else asked")
    return EventName.INFORMATION_REQUEST_WITHDRAWN, _close_question(request, command, now)


def _return_to_requester(request: Request, command: c.ReturnToRequester, now: datetime) -> tuple[EventName, Request]:
    by_provider = command.actor.role is Role.PROVIDER
    request = _with(request, returned_by=_person(command.actor) if by_provider else None)
    holder = Holder.requester(request.requester)
    task = request.task.then(TaskStatus.REJECTED)
    return EventName.RETURNED_TO_REQUESTER, _enter(request, Status.RETURNED, holder, now, task)


def _return_to_dispatch(request: Request, command: c.ReturnToDispatch, now: datetime) -> tuple[EventName, Request]:
    ended = TaskStatus.REJECTED if request.status is Status.AWAITING_ACCEPTANCE else TaskStatus.CANCELLED
    task = request.task.then(ended).next_task(TaskStatus.REQUESTED)
    return EventName.RETURNED_TO_DISPATCH, _await_dispatch(request, now, task)


def _resubmit(request: Request, command: c.Resubmit, now: datetime) -> tuple[EventName, Request]:
    if request.form is not None and command.form.number <= request.form.number:
        raise Refusal(RefusalCode.FORM_NOT_NEWER, f"form version {request.form.number} stands already")
    priority = command.priority or request.priority
    _refuse_stat(priority)
    request = _with(request, form=command.form, priority=priority)
    task = request.task.next_task(TaskStatus.REQUESTED)
    if request.returned_by is None or command.provider_away:
        return EventName.RESUBMITTED, _await_dispatch(request, now, task)
    holder = Holder.provider(request.returned_by)
    return EventName.RESUBMITTED, _await_acceptance(request, holder, now, task.then(TaskStatus.RECEIVED))


def _cancel(request: Request, command: c.Cancel, now: datetime) -> tuple[EventName, Request]:
    task = request.task.then(TaskStatus.CANCELLED) if LEGAL_STEPS[request.task.status] else request.task
    return EventName.CANCELLED, _enter(request, Status.CANCELLED, Holder.nobody(), now, task)


def _change_priority(request: Request, command: c.ChangePriority, now: datetime) -> tuple[EventName, Request]:
    _refuse_stat(command.priority)
    if command.priority is request.priority:
        raise Refusal(RefusalCode.PRIORITY_UNCHANGED, f"the priority is {command.priority} already")
    request = _with(request, priority=command.priority, worsened=False)
    promised = None
    if request.status is not Status.ACCEPTED and _promised(request):
        promised = _start_clock(request, DeadlineName.REPORT, now, running=_runs(request, DeadlineName.REPORT))
    return EventName.PRIORITY_CHANGED, _with_own_deadline(request, now, promised)


def _sign_report(request: Request, command: c.SignReport, now: datetime) -> tuple[EventName, Request]:
    return EventName.REPORT_SIGNED, _with(request, signing=_signing(command, command.kind, now))


def _add_addendum(request: Request, command: c.AddAddendum, now: datetime) -> tuple[EventName, Request]:
    if command.follow_up_id is not None:
        _check_follow_up(request, command.follow_up_id)
    return EventName.ADDENDUM_SIGNED, _with(request, signing=_signing(command, DocumentKind.ADDENDUM, now))


def _issue_document(request: Request, command: c.IssueDocument, now: datetime) -> tuple[EventName, Request]:
    signing = _being_signed(request, command.report_id)
    document = Document(
        report_id=signing.report_id,
        kind=signing.kind,
        signer=signing.signer,
        signed_at=signing.signed_at,
        pdf_sha256=command.pdf_sha256,
        urgent=signing.urgent,
        new_photos=signing.new_photos,
    )
    request = _with(request, signing=None, documents=(*request.documents, document))
    if signing.follow_up_id is not None:
        request = _answered(request, signing.follow_up_id, now)
    if document.urgent:
        request = _with_urgent_clock(request, now)
    if signing.kind is DocumentKind.PRELIMINARY:
        return EventName.PRELIMINARY_REPORT_ISSUED, request
    if signing.kind is DocumentKind.ADDENDUM:
        return EventName.ADDENDUM_ISSUED, request
    task = request.task.then(TaskStatus.IN_PROGRESS, TaskStatus.COMPLETED)
    holder = Holder.requester(request.requester)
    return EventName.FINAL_REPORT_ISSUED, _enter(request, Status.REPORTED, holder, now, task)


def _fail_signing(request: Request, command: c.FailSigning, now: datetime) -> tuple[EventName, Request]:
    _being_signed(request, command.report_id)
    return EventName.SIGNING_FAILED, _with(request, signing=None)


def _acknowledge(request: Request, command: c.Acknowledge, now: datetime) -> tuple[EventName, Request]:
    return EventName.ACKNOWLEDGED, _enter(request, Status.CLOSED, Holder.nobody(), now, request.task)


def _confirm_reading(request: Request, command: c.ConfirmReading, now: datetime) -> tuple[EventName, Request]:
    return EventName.READING_CONFIRMED, _known_to_be_read(request, now)


def _read_for_requester(request: Request, command: c.ReadForRequester, now: datetime) -> tuple[EventName, Request]:
    return EventName.READ_FOR_REQUESTER, _known_to_be_read(request, now)


def _ask_follow_up(request: Request, command: c.AskFollowUp, now: datetime) -> tuple[EventName, Request]:
    if not may_still_ask(request, now):
        raise Refusal(RefusalCode.TOO_LATE_TO_ASK, f"more than {ASKED_WITHIN.days} days after the report")
    asked = FollowUp(id=question_id(request.id, command.id), asked_at=now)
    clock = _start_clock(request, DeadlineName.FOLLOW_UP, now)
    return EventName.FOLLOW_UP_ASKED, _with(
        request, follow_ups=(*request.follow_ups, asked), deadlines=(*request.deadlines, clock)
    )


def _answer_follow_up(request: Request, command: c.AnswerFollowUp, now: datetime) -> tuple[EventName, Request]:
    if not is_signer(request, command.actor) and not command.signer_away:
        raise Refusal(RefusalCode.SIGNER_IS_THERE, "a colleague answers only while who signed the report is away")
    asked = _check_follow_up(request, command.follow_up_id)
    return EventName.FOLLOW_UP_ANSWERED, _answered(request, asked.id, now)


def _withdraw_follow_up(request: Request, command: c.WithdrawFollowUp, now: datetime) -> tuple[EventName, Request]:
    asked = _check_follow_up(request, command.follow_up_id)
    request = _with(request, follow_ups=tuple(one for one in request.follow_ups if one.id != asked.id))
    return EventName.FOLLOW_UP_WITHDRAWN, _without(request, DeadlineName.FOLLOW_UP)


def _deadline_reached(request: Request, command: c.DeadlineReached, now: datetime) -> tuple[EventName, Request]:
    deadline = _armed_deadline(request, command)
    by_clock = command.actor.role is Role.SYSTEM
    if by_clock and (deadline.next_moment is None or deadline.next_moment > now):
        raise Refusal(RefusalCode.DEADLINE_NOT_DUE, f"the deadline '{deadline.name}' has no call now")
    if by_clock:
        deadline = deadline.caught_up(now)
    if by_clock and deadline.is_reminder_next:
        return _REMINDERS[deadline.name], _replace_deadline(request, deadline.called())
    match deadline.name:
        case DeadlineName.ACCEPTANCE:
            task = request.task.then(TaskStatus.CANCELLED).next_task(TaskStatus.REQUESTED)
            return EventName.ACCEPTANCE_EXPIRED, _await_dispatch(request, now, task)
        case DeadlineName.RESUBMISSION:
            ended = _enter(request, Status.ABANDONED, Holder.nobody(), now, request.task)
            return EventName.ABANDONED, ended
        case DeadlineName.ACKNOWLEDGEMENT:
            ended = _enter(request, Status.CLOSED, Holder.nobody(), now, request.task)
            return EventName.CLOSED_UNACKNOWLEDGED, _with(ended, unacknowledged=True)
        case (
            DeadlineName.DISPATCH
            | DeadlineName.REPORT
            | DeadlineName.INFORMATION
            | DeadlineName.URGENT_ACKNOWLEDGEMENT
            | DeadlineName.FOLLOW_UP
        ):
            late = _replace_deadline(request, deadline.called(at_limit=not by_clock))
            overdue = tuple(dict.fromkeys((*request.overdue, deadline.name)))
            return _OVERDUE[deadline.name], _with(late, overdue=overdue)


def _renew_rules(request: Request, command: c.RenewRules, now: datetime) -> tuple[EventName, Request]:
    return EventName.RULES_RENEWED, _renewed(request, command, now)


_REMINDERS = {
    DeadlineName.DISPATCH: EventName.DISPATCH_REMINDER,
    DeadlineName.ACCEPTANCE: EventName.ACCEPTANCE_REMINDER,
    DeadlineName.REPORT: EventName.REPORT_REMINDER,
    DeadlineName.INFORMATION: EventName.INFORMATION_REMINDER,
    DeadlineName.RESUBMISSION: EventName.RESUBMISSION_REMINDER,
    DeadlineName.ACKNOWLEDGEMENT: EventName.ACKNOWLEDGEMENT_REMINDER,
    DeadlineName.URGENT_ACKNOWLEDGEMENT: EventName.URGENT_REPORT_REMINDER,
    DeadlineName.FOLLOW_UP: EventName.FOLLOW_UP_REMINDER,
}
_OVERDUE = {
    DeadlineName.DISPATCH: EventName.DISPATCH_OVERDUE,
    DeadlineName.REPORT: EventName.REPORT_OVERDUE,
    DeadlineName.INFORMATION: EventName.INFORMATION_EXPIRED,
    DeadlineName.URGENT_ACKNOWLEDGEMENT: EventName.URGENT_REPORT_UNREAD,
    DeadlineName.FOLLOW_UP: EventName.FOLLOW_UP_OVERDUE,
}


# The table


@dataclass(frozen=True)
class Row:
    """One row of the table: which command, in which statuses, by whom, and the function that does it.

    `while_signing`: also while a document is being made. `once_read`: not while a report that must be read without delay
    is not known to be read. It counts in the versions of the rules from `since` to `until`, or in all later ones.
    """

    command: type[c.BaseCommand]
    allowed_in: frozenset[Status]
    by: tuple[Party, ...]
    move: Callable[[Request, Any, datetime], tuple[EventName, Request]]
    while_signing: bool = False
    once_read: bool = False
    since: int = 1
    until: int | None = None

    def counts_in(self, version: int) -> bool:
        """Whether it belongs to the table of that version."""
        return self.since <= version and (self.until is None or version <= self.until)


_DISPATCH = {Status.AWAITING_DISPATCH}
_ACCEPTANCE = {Status.AWAITING_ACCEPTANCE}
_WITH_PROVIDER = {status for status in Status if status.is_with_provider}
_BEFORE_REPORT = {status for status in Status if status.is_before_report}
_OPEN = {status for status in Status if status.is_open}
_AFTER_REPORT = {Status.REPORTED, Status.CLOSED}


def _row(
    command: type[c.BaseCommand],
    allowed_in: set[Status],
    by: tuple[Party, ...],
    move: Callable[[Request, Any, datetime], tuple[EventName, Request]],
    **special: Any,
) -> Row:
    return Row(command, frozenset(allowed_in), by, move, **special)


TABLE: tuple[Row, ...] = (
    _row(c.Submit, {Status.DRAFT}, (THE_REQUESTER,), _submit),
    _row(c.Assign, _DISPATCH | _ACCEPTANCE, (A_DISPATCHER,), _assign),
    _row(c.Reassign, _WITH_PROVIDER, (A_DISPATCHER, THE_HOLDERS_ADMINISTRATOR, RELAIS), _reassign),
    _row(c.Accept, _ACCEPTANCE, (THE_HOLDING_PROVIDER,), _accept),
    _row(c.TakeBack, _WITH_PROVIDER, (THE_ONE_WHO_ASSIGNED, THE_ONE_WHO_ACCEPTED), _take_back),
    _row(c.Transfer, _WITH_PROVIDER, (THE_HOLDING_PROVIDER,), _transfer),
    _row(c.RequestInformation, _WITH_PROVIDER, (THE_HOLDING_PROVIDER,), _request_information),
    _row(c.AnswerInformation, _BEFORE_REPORT, (THE_REQUESTER,), _answer_information),
    _row(c.AddInformation, _BEFORE_REPORT, (THE_REQUESTER,), _add_information, while_signing=True),
    _row(c.WithdrawInformationRequest, _BEFORE_REPORT, (THE_ASKING_PROVIDER,), _withdraw_information_request),
    _row(c.ReturnToRequester, _DISPATCH | _ACCEPTANCE, (A_DISPATCHER, THE_HOLDING_PROVIDER), _return_to_requester),
    _row(c.ReturnToDispatch, _WITH_PROVIDER, (THE_HOLDING_PROVIDER,), _return_to_dispatch),
    _row(c.Resubmit, {Status.RETURNED}, (THE_REQUESTER,), _resubmit),
    _row(c.Cancel, _BEFORE_REPORT | {Status.RETURNED}, (THE_REQUESTER, AN_OPERATOR), _cancel, until=4),
    _row(c.Cancel, _BEFORE_REPORT | {Status.RETURNED}, (THE_REQUESTER, AN_OPERATOR), _cancel, once_read=True, since=5),
    _row(c.ChangePriority, _BEFORE_REPORT, (A_DISPATCHER, THE_HOLDING_PROVIDER), _change_priority),
    _row(c.SignReport, {Status.ACCEPTED}, (THE_HOLDING_PROVIDER,), _sign_report),
    _row(c.AddAddendum, _AFTER_REPORT, (THE_SIGNER,), _add_addendum),
    _row(c.Acknowledge, {Status.REPORTED}, (THE_REQUESTER,), _acknowledge),
    _row(
        c.ConfirmReading,
        _OPEN,
        (THE_REQUESTER, A_DISPATCHER, THE_REQUESTERS_ADMINISTRATOR),
        _confirm_reading,
        while_signing=True,
    ),
    _row(
        c.ReadForRequester,
        _OPEN | _AFTER_REPORT,
        (A_COLLEAGUE_OF_THE_REQUESTER, THE_REQUESTERS_ADMINISTRATOR),
        _read_for_requester,
        while_signing=True,
    ),
    _row(c.AskFollowUp, _AFTER_REPORT, (THE_REQUESTER,), _ask_follow_up, while_signing=True),
    _row(c.AnswerFollowUp, _AFTER_REPORT, (THE_SIGNER, THE_SIGNERS_COLLEAGUE), _answer_follow_up),
    _row(c.WithdrawFollowUp, _AFTER_REPORT, (THE_REQUESTER,), _withdraw_follow_up),
    _row(c.DeadlineReached, _OPEN | _AFTER_REPORT, (RELAIS, AN_OPERATOR), _deadline_reached, while_signing=True),
    _row(c.IssueDocument, _OPEN | _AFTER_REPORT, (RELAIS,), _issue_document, while_signing=True),
    _row(c.FailSigning, _OPEN | _AFTER_REPORT, (RELAIS,), _fail_signing, while_signing=True),
    _row(c.RenewRules, _OPEN | _AFTER_REPORT, (RELAIS,), _renew_rules),
)

_ROWS = {(version, row.command): row for version in RULES for row in TABLE if row.counts_in(version)}


def table(version: int) -> tuple[Row, ...]:
    """The rows that count in that version of the rules. Raises UnknownRulesError."""
    return tuple(row for row in TABLE if row.counts_in(rules_of(version).version))


def roles_for(command: type[c.BaseCommand]) -> frozenset[Role]:
    """The roles that may ever give this command, under some version of the rules."""
    return frozenset(party.role for row in TABLE if row.command is command for party in row.by)


def counts_while_signing(command: type[c.BaseCommand]) -> bool:
    """Whether this command may be legal while a document is being made, under some version of the rules."""
    return any(row.while_signing for row in TABLE if row.command is command)


def _row_of(version: int, command: type[c.BaseCommand]) -> Row:
    row = _ROWS.get((rules_of(version).version, command))
    if row is None:
        raise Refusal(RefusalCode.NOT_ALLOWED_IN_STATUS, f"version {version} of the rules has no such command")
    return row


def _check(row: Row, request: Request, actor: Actor) -> None:
    """Role first, then status, then person: so that the one who came too late learns what happened."""
    parties = [party for party in row.by if party.role is actor.role]
    if not parties:
        raise Refusal(RefusalCode.ROLE_NOT_ALLOWED, f"the role {actor.role} does not give this command")
    if request.status not in row.allowed_in or (row.command in _OF_CLOCKS and _nothing_runs(request)):
        if row.command is c.Accept and request.status is Status.ACCEPTED:
            raise Refusal(RefusalCode.ALREADY_ACCEPTED, "a provider has accepted the request already")
        raise Refusal(RefusalCode.NOT_ALLOWED_IN_STATUS, f"not in the status {request.status}")
    if not any(party.test(request, actor) for party in parties):
        raise Refusal(parties[0].otherwise, f"the {actor.role} is not the one who may")
    if request.signing is not None and not row.while_signing:
        raise Refusal(RefusalCode.REPORT_BEING_SIGNED, "a document is being made; wait until it is there")
    if request.unread is not None and row.once_read:
        raise Refusal(
            RefusalCode.URGENT_REPORT_UNREAD, "a report must be read without delay; confirm the reading first"
        )
    if row.command in WAITED_FOR:
        code, is_there = WAITED_FOR[row.command]
        if not is_there(request):
            raise Refusal(code, "nothing waits for that")
    if row.command is c.AskFollowUp:
        check_may_ask(request)


WAITED_FOR: Mapping[type[c.BaseCommand], tuple[RefusalCode, Callable[[Request], bool]]] = {
    c.AnswerInformation: (RefusalCode.NO_OPEN_QUESTION, lambda r: bool(r.questions)),
    c.WithdrawInformationRequest: (RefusalCode.NO_OPEN_QUESTION, lambda r: bool(r.questions)),
    c.ConfirmReading: (RefusalCode.NOTHING_TO_CONFIRM, lambda r: r.unread is not None),
    c.ReadForRequester: (RefusalCode.NOTHING_UNREAD, lambda r: bool(r.documents)),
    c.WithdrawFollowUp: (RefusalCode.NO_OPEN_FOLLOW_UP, lambda r: r.open_follow_up is not None),
    c.AnswerFollowUp: (RefusalCode.NO_OPEN_FOLLOW_UP, lambda r: r.open_follow_up is not None),
}
"""What answers to something: the refusal where that is not there, and whether it is."""

_OF_CLOCKS = (c.DeadlineReached, c.RenewRules)


def _nothing_runs(request: Request) -> bool:
    """Whether no clock runs any more: a closed request has one for as long as a question about its report is open."""
    return request.status is Status.CLOSED and request.open_follow_up is None


def check_may_ask(request: Request) -> None:
    if request.open_follow_up is not None:
        raise Refusal(RefusalCode.FOLLOW_UP_OPEN, "a question about the report is open already")
    if len(request.follow_ups) >= FOLLOW_UPS:
        raise Refusal(RefusalCode.TOO_MANY_FOLLOW_UPS, f"{FOLLOW_UPS} questions about the report were asked already")


def may_still_ask(request: Request, now: datetime) -> bool:
    """Whether its report is young enough for a question about it."""
    return request.final_report is not None and now - request.final_report.signed_at <= ASKED_WITHIN


def may_still_take_back(undo: Undo | None, now: datetime) -> bool:
    """Whether the last command, before which `undo` stood, can be taken back by whoever gave it."""
    return undo is not None and now - undo.at <= TAKEN_BACK_WITHIN


def is_signer(request: Request, actor: Actor) -> bool:
    """Whether `actor` has signed the final report."""
    return THE_SIGNER.test(request, actor)


# Steps that moves have in common

_STOPPED_BY_A_QUESTION = {DeadlineName.ACCEPTANCE, DeadlineName.REPORT}

_ENDS_THE_REQUEST = {DeadlineName.RESUBMISSION, DeadlineName.ACKNOWLEDGEMENT}

_OWN_DEADLINE = {
    Status.AWAITING_DISPATCH: DeadlineName.DISPATCH,
    Status.AWAITING_ACCEPTANCE: DeadlineName.ACCEPTANCE,
    Status.ACCEPTED: DeadlineName.REPORT,
    Status.RETURNED: DeadlineName.RESUBMISSION,
    Status.REPORTED: DeadlineName.ACKNOWLEDGEMENT,
}


def _await_dispatch(request: Request, now: datetime, task: FhirTask, **how: bool) -> Request:
    holder = Holder.dispatch(request.dispatch_clinic_id)
    return _enter(request, Status.AWAITING_DISPATCH, holder, now, task, **how)


def _await_acceptance(request: Request, holder: Holder, now: datetime, task: FhirTask, **how: bool) -> Request:
    return _enter(request, Status.AWAITING_ACCEPTANCE, holder, now, task, **how)


def _other_holder(request: Request, to: Person | c.Pool) -> Holder:
    holder = Holder.pool(to.clinic_id) if isinstance(to, c.Pool) else Holder.provider(to)
    if holder == request.holder:
        raise Refusal(RefusalCode.ALREADY_ASSIGNED, "the request is there already")
    return holder


def _enter(
    request: Request, status: Status, holder: Holder, now: datetime, task: FhirTask, *, keeps_its_promise: bool = False
) -> Request:
    """Change the status: its own clock starts, and questions live on only while a provider may still need the answer.

    With `keeps_its_promise` the clock of the report goes along with a request that somebody had accepted, until it is reported.
    """
    promised = _promised(request) if request.status is not Status.ACCEPTED or keeps_its_promise else None
    request = _with(request, status=status, holder=holder, task=task)
    if status in _BEFORE_REPORT:
        return _with_own_deadline(request, now, promised)
    request = _with(request, worsened=False)
    questionless = tuple(d for d in request.deadlines if d.question_id is None)
    return _with_own_deadline(_with(request, questions=(), deadlines=questionless), now)


def _with_own_deadline(request: Request, now: datetime, promised: Deadline | None = None) -> Request:
    """Start the clock of the request's status anew, standing still where a question is open; what was `promised` runs on."""
    of_questions = tuple(d for d in request.deadlines if d.question_id is not None)
    name, asked = _OWN_DEADLINE.get(request.status), request.deadline(DeadlineName.FOLLOW_UP)
    beside = (promised, *of_questions, request.unread, asked) if name else (asked,)
    kept = tuple(d for d in beside if d is not None)
    still_overdue = tuple(name for name in request.overdue if any(d.name is name and d.is_over for d in kept))
    if name is None:
        return _with(request, deadlines=kept, overdue=still_overdue)
    if promised and promised.name is name:
        return _with(request, deadlines=kept, overdue=still_overdue)
    own = _start_clock(request, name, now, running=_runs(request, name))
    return _with(request, deadlines=(own, *kept), overdue=still_overdue)


def _with_urgent_clock(request: Request, now: datetime) -> Request:
    """A report must be read within hours, whatever hours the clinic keeps: a clock beside the status's own calls until it was."""
    name = DeadlineName.URGENT_ACKNOWLEDGEMENT
    terms = request.terms.of_deadline(name)
    request = _read(request)  # the clock of an earlier report begins anew
    return _with(request, deadlines=(*request.deadlines, Deadline.start(name, terms, request.priority, now)))


def _read(request: Request) -> Request:
    """Nobody has to read a report without delay any more."""
    return _without(request, DeadlineName.URGENT_ACKNOWLEDGEMENT)


def _known_to_be_read(request: Request, now: datetime) -> Request:
    """The same, and the clocks that waited for the reading go on."""
    request = _read(request)
    going = tuple(d.resumed(now) if d.name in _ENDS_THE_REQUEST else d for d in request.deadlines)
    return _with(request, deadlines=going)


def _answered(request: Request, follow_up_id: UUID, now: datetime) -> Request:
    """That question about the report is answered."""
    follow_ups = tuple(
        asked.model_copy(update={"answered_at": now}) if asked.id == follow_up_id else asked
        for asked in request.follow_ups
    )
    return _without(_with(request, follow_ups=follow_ups), DeadlineName.FOLLOW_UP)


def _check_follow_up(request: Request, follow_up_id: UUID | None) -> FollowUp:
    """The open question about the report; where one is named, it must be that one."""
    asked = request.open_follow_up
    if asked is None or follow_up_id not in (None, asked.id):
        raise Refusal(RefusalCode.NO_OPEN_FOLLOW_UP, "this question about the report is not open")
    return asked


def _without(request: Request, name: DeadlineName) -> Request:
    """No clock of that name runs any more."""
    deadlines = tuple(d for d in request.deadlines if d.name is not name)
    return _with(request, deadlines=deadlines, overdue=tuple(late for late in request.overdue if late is not name))


def _promised(request: Request) -> Deadline | None:
    """The clock of the report, which runs already before whoever got the request by `reassign` accepts it."""
    return request.deadline(DeadlineName.REPORT)


def _runs(request: Request, name: DeadlineName) -> bool:
    if name in _ENDS_THE_REQUEST:
        return request.unread is None or not rules_of(request.rules).waits_for_reading
    return not (request.questions and name in _STOPPED_BY_A_QUESTION)


def _start_clock(request: Request, name: DeadlineName, now: datetime, **how: Any) -> Deadline:
    terms = request.terms.of_deadline(name)
    calendar = rules_of(request.rules).calendar(request.terms, terms.limit[request.priority])
    return Deadline.start(name, terms, request.priority, now, calendar=calendar, **how)


def _renewed(request: Request, command: c.RenewRules, now: datetime) -> Request:
    """The request under other rules and terms: running clocks keep what they promised, unless they are to move as well.

    One that would end the request before a report is read, as these rules do not let it, stands still from now on.
    """
    terms = request.terms.on(command.calendar) if command.calendar else request.terms
    request = _with(request, rules=command.rules, terms=terms)
    still = tuple(d if _runs(request, d.name) else d.stopped(now) for d in request.deadlines)
    request = _with(request, deadlines=still)
    if not command.move_clocks:
        return request
    calendar = rules_of(command.rules).calendar
    moved = (
        d
        if d.name is DeadlineName.URGENT_ACKNOWLEDGEMENT
        else d.moved_to(calendar(terms, d.limit), terms.of_deadline(d.name), now)
        for d in request.deadlines
    )
    return _with(request, deadlines=tuple(moved))


def _filled_in(request: Request, command: c.AnyCommand, now: datetime) -> c.AnyCommand:
    """A command with what it may leave out, so that every event says it all.

    The question that it is about: the only open one, or for a time-out the one that was asked first. What a renewal changes.
    """
    match command:
        case c.RenewRules():
            return command.model_copy(update=_what_it_renews(request, command, now))
        case c.AnswerInformation(question_id=None) | c.WithdrawInformationRequest(question_id=None):
            if len(request.questions) != 1:
                raise Refusal(RefusalCode.WHICH_QUESTION, "several questions are open; name one")
            return command.model_copy(update={"question_id": request.questions[0].id})
        case c.AnswerFollowUp(follow_up_id=None) | c.WithdrawFollowUp(follow_up_id=None) if (
            request.open_follow_up is not None
        ):
            return command.model_copy(update={"follow_up_id": request.open_follow_up.id})
        case c.DeadlineReached(name=DeadlineName.INFORMATION, question_id=None) if request.questions:
            return command.model_copy(update={"question_id": request.questions[0].id})
        case _:
            return command


def _what_it_renews(request: Request, command: c.RenewRules, now: datetime) -> dict[str, Any]:
    if command.rules not in RULES:
        raise Refusal(RefusalCode.RULES_UNKNOWN, f"this code has no version {command.rules} of the rules")
    renewed = _renewed(request, command, now)
    if command.rules < request.rules or renewed == request:
        raise Refusal(RefusalCode.NOTHING_TO_RENEW, f"the request lives under version {request.rules} of the rules")
    pairs = zip(request.deadlines, renewed.deadlines, strict=True)
    clocks = tuple(
        c.RenewedClock(name=d.name, question_id=d.question_id, due_before=d.due_at, due_after=after.due_at)
        for d, after in pairs
        if d.due_at != after.due_at
    )
    return {"rules_before": request.rules, "clocks": clocks}


def _close_question(
    request: Request, command: c.AnswerInformation | c.WithdrawInformationRequest, now: datetime
) -> Request:
    question = next((q for q in request.questions if q.id == command.question_id), None)
    if question is None:
        raise Refusal(RefusalCode.NO_SUCH_QUESTION, "no open question has this id")
    questions = tuple(q for q in request.questions if q is not question)
    deadlines = tuple(d for d in request.deadlines if d.question_id != question.id)
    if not questions:
        deadlines = tuple(d.resumed(now) for d in deadlines)
    still_late = any(d.is_over for d in deadlines if d.name is DeadlineName.INFORMATION)
    overdue = tuple(name for name in request.overdue if name is not DeadlineName.INFORMATION or still_late)
    return _with(request, questions=questions, deadlines=deadlines, overdue=overdue)


def _armed_deadline(request: Request, command: c.DeadlineReached) -> Deadline:
    named = [d for d in request.deadlines if d.name is command.name and command.question_id in (None, d.question_id)]
    if not named:
        raise Refusal(RefusalCode.DEADLINE_NOT_ARMED, f"no deadline '{command.name}' is armed")
    if named[0].running_since is None:
        raise Refusal(RefusalCode.DEADLINE_STOPPED, f"the clock of '{command.name}' stands still")
    return named[0]


def _replace_deadline(request: Request, deadline: Deadline) -> Request:
    return _with(
        request,
        deadlines=tuple(
            deadline if (d.name, d.question_id) == (deadline.name, deadline.question_id) else d
            for d in request.deadlines
        ),
    )


def _signing(command: c.SignReport | c.AddAddendum, kind: DocumentKind, now: datetime) -> Signing:
    return Signing(
        report_id=command.report_id,
        kind=kind,
        content_sha256=command.content_sha256,
        signer=_person(command.actor),
        signed_at=now,
        urgent=isinstance(command, c.SignReport) and command.urgent,
        new_photos=isinstance(command, c.SignReport) and command.new_photos,
        follow_up_id=command.follow_up_id if isinstance(command, c.AddAddendum) else None,
    )


def _being_signed(request: Request, report_id: UUID) -> Signing:
    if request.signing is None or request.signing.report_id != report_id:
        raise Refusal(RefusalCode.NOTHING_BEING_SIGNED, "this report is not being signed")
    return request.signing


def _refuse_stat(priority: Priority) -> None:
    if priority is Priority.STAT:
        raise Refusal(RefusalCode.STAT_REFUSED, "emergencies have no place here: call, or send to the emergency room")


def _person(actor: Actor) -> Person:
    if actor.id is None or actor.clinic_id is None:
        raise Refusal(RefusalCode.MALFORMED, f"a {actor.role} speaks with an id and a clinic_id")
    return Person(id=actor.id, clinic_id=actor.clinic_id)


def _with(request: Request, **changes: Any) -> Request:
    return request.model_copy(update=changes)
