"""The invariants of docs/requirements.md, kept whatever people do: random people give random commands at random times.

A `Life` is one request after the other. Its rules are the people, the clocks and Relais itself; its invariants are checked after
every step, by means that are not those of the rules.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain import commands as c
from domain.clinic_calendar import ClinicCalendar
from domain.commands import ANY_COMMAND, AnyCommand
from domain.effects import Effect, Finalize, Record
from domain.events import Event
from domain.fhir_course import tasks_of
from domain.lifecycle import TAKEN_BACK_WITHIN, Decision, allowed_commands, decide, rebuild
from domain.offerings import DeadlineName
from domain.priority import Priority
from domain.refusals import RefusalCode
from domain.requests import (
    SYSTEM,
    Actor,
    DocumentKind,
    EventName,
    Holder,
    HolderKind,
    Request,
    Role,
    Source,
    Status,
)
from domain.rules import CURRENT, RULES
from tests.rounds import LONGER
from tests.unit.domain.oracle import clocks_of, fhir_reaches, holder_after
from tests.unit.domain.scenes import (
    COLLEAGUE,
    DERMATOLOGY,
    DISPATCHER,
    OPERATOR,
    OTHER_CLINIC,
    PEOPLE,
    PROVIDER,
    REQUESTER,
    STRANGER,
    answer,
    digest,
    draft,
    form,
    named,
    toronto,
    who,
)

pytestmark = pytest.mark.long

T = TypeVar("T")

BEGINNINGS = [
    toronto("2026-02-02 09:00"),
    toronto("2026-03-06 16:45"),  # the clocks go forward on Sunday
    toronto("2026-06-23 11:30"),  # before 24 June and 1 July
    toronto("2026-10-30 22:10"),  # the clocks go back on Sunday
    toronto("2026-12-24 08:00"),
    toronto("2027-12-25 10:00"),  # a holiday that is also a Saturday
]
THE_END = toronto("2030-06-01 00:00")
"""The oracle knows the holidays for some months more."""

CALENDAR = ClinicCalendar().frozen_at(BEGINNINGS[0])
"""Of a clinic that has set nothing. What is written down ends before `THE_END`; the list that it chose goes on."""

PAUSES = [timedelta(minutes=7), timedelta(), timedelta(hours=5), timedelta(days=1, microseconds=1)]

CANDIDATES = [REQUESTER, DISPATCHER, PROVIDER, COLLEAGUE, STRANGER, *PEOPLE.values()]
PROVIDERS = [PROVIDER, COLLEAGUE, STRANGER]


class Choice:
    """A number from which one choice after the other is taken: it shrinks to the first of everything."""

    def __init__(self, number: int) -> None:
        self._number = number

    def of(self, options: Sequence[T]) -> T:
        self._number, position = divmod(self._number, len(options))
        return options[position]


choices = st.integers(0, 10**9).map(Choice)


class Life(RuleBasedStateMachine):
    """Requests, as people and clocks move them."""

    def __init__(self) -> None:
        super().__init__()
        self.commands_given = 0
        self._begin(BEGINNINGS[0], "manual", 1)

    def _begin(self, now: datetime, dispatch: Any, version: int) -> None:
        self.now = now
        beginning = draft(dispatch)
        if version > 1:
            beginning = beginning.model_copy(update={"rules": version, "terms": beginning.terms.on(CALENDAR)})
        self.beginning = self.before = self.request = beginning
        self.events: list[Event] = []
        self.happened: Decision | None = None

    # rules

    @initialize(
        now=st.sampled_from(BEGINNINGS),
        dispatch=st.sampled_from(["manual", "automatic"]),
        version=st.sampled_from([*RULES]),
    )
    def a_draft(self, now: datetime, dispatch: str, version: int) -> None:
        self._begin(now, dispatch, version)

    @precondition(lambda self: self.request.status.is_final)
    @rule(
        now=st.sampled_from(BEGINNINGS),
        dispatch=st.sampled_from(["manual", "automatic"]),
        version=st.sampled_from([*RULES]),
    )
    def the_next_draft(self, now: datetime, dispatch: str, version: int) -> None:
        self.it_can_be_rebuilt_from_its_events()
        self._begin(now, dispatch, version)

    @precondition(lambda self: self.request.rules < CURRENT)
    @rule(pause=st.sampled_from(PAUSES))
    def relais_is_upgraded(self, pause: timedelta) -> None:
        """Clocks keep what they promised; but none ends a request any more whose report must be read and was not."""
        self.now += pause
        before = self.request
        renewal = c.RenewRules(
            id=self._new_id(), actor=SYSTEM, rules=CURRENT, calendar=CALENDAR, reason="A new version."
        )
        taken = self._give(renewal, Source.ENGINE)
        lives = before.status.is_open or before.open_follow_up is not None
        assert taken == (lives and before.signing is None)
        still = {DeadlineName.RESUBMISSION, DeadlineName.ACKNOWLEDGEMENT} if taken and before.unread else set()
        promised = [(None, None) if d.name in still else (d.due_at, d.next_moment) for d in before.deadlines]
        assert [(d.due_at, d.next_moment) for d in self.request.deadlines] == promised

    @rule(name=st.sampled_from(list(c.PUBLIC_COMMANDS)), choice=choices)
    def somebody_tries_something(self, name: str, choice: Choice) -> None:
        actor = choice.of(CANDIDATES)
        self._give(self._command(name, actor, choice), choice.of([Source.UPDATE, Source.SIGNAL]))

    @rule(choice=choices)
    def somebody_does_what_they_may(self, choice: Choice) -> None:
        self._one_of(set(c.PUBLIC_COMMANDS) - {"cancel", "deadline_reached"}, choice)

    @rule(choice=choices)
    def somebody_brings_it_nearer_to_its_report(self, choice: Choice) -> None:
        self._one_of({"submit", "assign", "accept", "resubmit", "sign_report", "acknowledge", "add_addendum"}, choice)

    @precondition(lambda self: self.request.final_report is not None)
    @rule(choice=choices)
    def the_report_is_asked_about(self, choice: Choice) -> None:
        self._one_of({"ask_follow_up", "answer_follow_up", "withdraw_follow_up"}, choice)

    @precondition(lambda self: self.request.unread is not None)
    @rule(choice=choices)
    def an_urgent_report_is_to_be_got_rid_of(self, choice: Choice) -> None:
        name = choice.of(["cancel", "cancel", "deadline_reached", "acknowledge"])
        self._give(self._command(name, choice.of([REQUESTER, OPERATOR]), choice), Source.UPDATE)

    @rule(choice=choices)
    def providers_and_the_requester_talk(self, choice: Choice) -> None:
        talk = {"request_information", "answer_information", "add_information", "withdraw_information_request"}
        self._one_of({*talk, "transfer", "reassign", "accept"}, choice)

    @precondition(lambda self: self.request.signing is not None)
    @rule(report=st.sampled_from(["issued", "issued", "issued", "failed", "of another report"]))
    def relais_makes_the_document(self, report: str) -> None:
        assert self.request.signing is not None
        report_id = named("another report") if report == "of another report" else self.request.signing.report_id
        command: AnyCommand
        if report == "failed":
            signer = self.request.signing.signer
            command = c.FailSigning(
                id=self._new_id(), actor=SYSTEM, report_id=report_id, signer=signer, code="no_fresh_proof"
            )
        else:
            pdf = digest(f"{report_id}.pdf")
            command = c.IssueDocument(id=self._new_id(), actor=SYSTEM, report_id=report_id, pdf_sha256=pdf)
        taken = self._give(command, Source.ENGINE)
        assert taken == (report != "of another report")

    @precondition(lambda self: self.request.next_deadline is not None and self.now < THE_END)
    @rule(
        late=st.sampled_from(
            [timedelta(), timedelta(), timedelta(milliseconds=3), timedelta(hours=7), timedelta(days=9)]
        )
    )
    def the_clock_calls(self, late: timedelta) -> None:
        """The timer is never refused at its moment, or it would ring for ever."""
        assert self.request.next_deadline is not None
        moment, deadline = self.request.next_deadline
        self.now = max(self.now, moment + late)
        command = c.DeadlineReached(
            id=self._new_id(), actor=SYSTEM, name=deadline.name, question_id=deadline.question_id
        )
        assert self._give(command, Source.TIMER)
        assert self.request.next_deadline != (moment, deadline)

    @precondition(lambda self: self.request.deadlines)
    @rule(choice=choices)
    def an_outside_scheduler_calls(self, choice: Choice) -> None:
        deadline = choice.of(self.request.deadlines)
        which = choice.of([deadline.question_id, None])
        command = c.DeadlineReached(id=self._new_id(), actor=OPERATOR, name=deadline.name, question_id=which)
        taken = self._give(command, Source.SIGNAL)
        assert taken == (deadline.running_since is not None)

    @precondition(lambda self: self.now < THE_END)
    @rule(hours=st.floats(0, 100))
    def time_passes(self, hours: float) -> None:
        self.now += timedelta(hours=hours)
        self._nothing_happened()

    @precondition(lambda self: self.events)
    @rule(choice=choices)
    def a_command_comes_again(self, choice: Choice) -> None:
        """A repeated command changes nothing, whoever else it is said to come from and whatever else it asks for."""
        first = choice.of(self.events).command
        other = self._command(choice.of(list(c.PUBLIC_COMMANDS)), choice.of(CANDIDATES), choice)
        for again in (first, other.model_copy(update={"id": first.id})):
            decision = decide(self.request, again, self.now)
            assert (decision.request, decision.event, decision.effects) == (self.request, None, ())
        self._nothing_happened()

    def _one_of(self, names: set[str], choice: Choice) -> None:
        """One of the commands of these names that somebody may give now."""
        allowed = [(name, actor) for actor in PEOPLE.values() for name in allowed_commands(self.request, actor)]
        pairs = [(name, actor) for name, actor in allowed if name in names]
        if not pairs:
            return self._nothing_happened()
        name, actor = choice.of(pairs)
        self._give(self._command(name, actor, choice), Source.UPDATE)
        return None

    def _new_id(self) -> str:
        self.commands_given += 1
        return f"command-{self.commands_given}"

    def _nothing_happened(self) -> None:
        self.before, self.happened = self.request, None

    def _give(self, command: AnyCommand, source: Source) -> bool:
        """Give a command; whether it was taken. A refused command changes nothing."""
        assert ANY_COMMAND.validate_json(command.model_dump_json()) == command
        as_it_was = self.request.model_dump_json()
        answered = answer(self.request, command, self.now, source)
        assert self.request.model_dump_json() == as_it_was, "what was given to the rules stays as it is"
        self._nothing_happened()
        if isinstance(answered, RefusalCode):
            return False
        self.request, self.happened = answered.request, answered
        assert answered.event is not None
        self.events.append(answered.event)
        return True

    def _command(self, name: str, actor: Actor, choice: Choice) -> AnyCommand:
        """A command of that name, some time after the last one: mostly one that fits the request, sometimes one that does not."""
        self.now += choice.of(PAUSES)
        head: dict[str, Any] = {"id": self._new_id(), "actor": actor}
        if choice.of(range(20)) == 19:
            head["expected_version"] = choice.of([0, self.request.version])
        open_questions: list[UUID | None] = [question.id for question in self.request.questions]
        which = choice.of([*open_questions, None, named("no such question")])
        number = self.request.form.number if self.request.form else 0
        next_form = form(choice.of([number + 1, number + 1, number + 2, max(1, number)]))
        priority = choice.of([Priority.ROUTINE, Priority.URGENT, Priority.ASAP] * 3 + [Priority.STAT])
        report = {"report_id": named(head["id"]), "content_sha256": digest(head["id"])}
        places = [*map(who, PROVIDERS), c.Pool(clinic_id=DERMATOLOGY), c.Pool(clinic_id=OTHER_CLINIC)]
        match name:
            case "submit":
                return c.Submit(**head, form=form(1), priority=priority)
            case "assign":
                return c.Assign(**head, to=choice.of(places), comment=choice.of([None, "On leave."]))
            case "reassign":
                return c.Reassign(**head, to=choice.of([*places, "dispatch"]), reason="On sick leave.")
            case "accept":
                return c.Accept(**head)
            case "transfer":
                return c.Transfer(**head, to=who(choice.of(PROVIDERS)))
            case "request_information":
                return c.RequestInformation(**head, text="Since when?")
            case "answer_information":
                return c.AnswerInformation(**head, text="Since May.", question_id=which)
            case "add_information":
                return c.AddInformation(**head, text="It bleeds.", worse=choice.of([False, True]))
            case "withdraw_information_request":
                return c.WithdrawInformationRequest(**head, question_id=which)
            case "return_to_requester":
                return c.ReturnToRequester(**head, reason=choice.of(list(c.ReturnReason)), text="Blurred photos.")
            case "return_to_dispatch":
                return c.ReturnToDispatch(**head, comment="Not my field.")
            case "resubmit":
                return c.Resubmit(**head, form=next_form, priority=choice.of([None, None, priority]))
            case "cancel":
                return c.Cancel(**head, reason="Seen elsewhere.")
            case "change_priority":
                return c.ChangePriority(**head, priority=priority, reason="It grew.")
            case "sign_report":
                kinds: Any = [DocumentKind.FINAL, DocumentKind.FINAL, DocumentKind.PRELIMINARY]
                return c.SignReport(**head, kind=choice.of(kinds), urgent=choice.of([False, True]), **report)
            case "add_addendum":
                asked = [None, *(one.id for one in self.request.follow_ups), named("no such question")]
                return c.AddAddendum(**head, **report, follow_up_id=choice.of(asked))
            case "ask_follow_up":
                return c.AskFollowUp(**head, text="How often?")
            case "withdraw_follow_up":
                asked = [None, None, *(one.id for one in self.request.follow_ups), named("no such question")]
                return c.WithdrawFollowUp(**head, follow_up_id=choice.of(asked))
            case "answer_follow_up":
                return c.AnswerFollowUp(**head, text="Twice a day.", signer_away=choice.of([False, True]))
            case "acknowledge":
                outcome = choice.of([None, c.Outcome(advice_followed="yes", visit_avoided=True)])
                return c.Acknowledge(**head, outcome=outcome)
            case "confirm_reading":
                return c.ConfirmReading(**head)
            case "take_back":
                return c.TakeBack(**head)
            case "read_for_requester":
                return c.ReadForRequester(**head)
            case "deadline_reached":
                return c.DeadlineReached(
                    **head, name=choice.of(list(DeadlineName)), question_id=choice.of([None, which])
                )
        raise AssertionError(f"no way to give the command '{name}': Life._command in this file")

    # invariants: docs/requirements.md, « What always holds »

    @invariant()
    def an_open_request_has_exactly_one_holder(self) -> None:
        """« every open request has exactly one holder »: the one whom the table of statuses names."""
        kinds = {
            Status.DRAFT: {HolderKind.REQUESTER},
            Status.AWAITING_DISPATCH: {HolderKind.DISPATCH},
            Status.AWAITING_ACCEPTANCE: {HolderKind.PROVIDER, HolderKind.POOL},
            Status.ACCEPTED: {HolderKind.PROVIDER},
            Status.RETURNED: {HolderKind.REQUESTER},
            Status.REPORTED: {HolderKind.REQUESTER},
        }
        holder = self.request.holder
        assert holder.kind in kinds.get(self.request.status, {HolderKind.NOBODY})
        assert holder == holder_after(self.beginning, self.events)
        assert (holder.id is not None) == (holder.kind in (HolderKind.REQUESTER, HolderKind.PROVIDER))
        assert (holder.clinic_id is None) == (holder.kind is HolderKind.NOBODY)
        holding = [actor for actor in PEOPLE.values() if holder.includes(actor)]
        assert bool(holding) == (holder.kind is not HolderKind.NOBODY)

    @invariant()
    def an_open_request_has_an_armed_deadline(self) -> None:
        """« … and at least one armed deadline »; a request that is over has none, unless something is asked about its report."""
        moments = [deadline.next_moment for deadline in self.request.deadlines]
        asks = [one for one in self.request.follow_ups if one.answered_at is None]
        assert any(moments) == (self.request.status.is_open or bool(asks))
        assert bool(self.request.deadlines) == (self.request.status.is_open or bool(asks))
        assert (DeadlineName.FOLLOW_UP in {d.name for d in self.request.deadlines}) == bool(asks)
        assert len({(d.name, d.question_id) for d in self.request.deadlines}) == len(self.request.deadlines)
        assert {d.question_id for d in self.request.deadlines} - {None} == {q.id for q in self.request.questions}

    @invariant()
    def what_is_over_is_marked_overdue(self) -> None:
        """A deadline that is over and did not end the status is marked, once, for as long as it stands; nothing else is."""
        over = {deadline.name for deadline in self.request.deadlines if deadline.is_over}
        assert sorted(self.request.overdue) == sorted(over)

    @invariant()
    def nothing_changes_without_an_actor_and_a_time(self) -> None:
        """« nothing changes without an actor and a time »: a change is an event that says which command, whose, and when."""
        if self.happened is None:
            assert self.request == self.before
            return
        event = self.happened.event
        assert event is not None
        assert event.at == self.now
        assert event.command.actor.role is Role.SYSTEM or event.command.actor in PEOPLE.values()
        assert event.version == self.request.version == self.before.version + 1 == len(self.events)
        assert all(earlier.at <= later.at for earlier, later in pairwise(self.events))
        assert self.request.commands_taken[-1] == event.command.id
        assert _of_people(self.request.commands_taken) == _of_people(event.command.id for event in self.events)
        assert (event.status_before, event.status) == (self.before.status, self.request.status)
        assert (event.holder_before, event.holder) == (self.before.holder, self.request.holder)

    @invariant()
    def going_backwards_needs_a_reason(self) -> None:
        """« going backwards also needs a reason »: words of a person, a deadline reached, or a mistake of a moment ago."""
        if self.happened is None or self.happened.event is None:
            return
        event = self.happened.event
        forward = [Status.DRAFT, Status.RETURNED, Status.AWAITING_DISPATCH, Status.AWAITING_ACCEPTANCE, Status.ACCEPTED]
        forward += [Status.REPORTED, Status.CLOSED]
        gave_up = event.status in (Status.CANCELLED, Status.ABANDONED)
        sideways = event.name is EventName.TRANSFERRED
        if gave_up or (not sideways and forward.index(event.status) < forward.index(event.status_before)):
            match event.command:
                case c.ReturnToRequester(text=reason) | c.ReturnToDispatch(comment=reason) | c.Cancel(reason=reason):
                    assert reason.strip()
                case c.Reassign(reason=reason):
                    assert reason.strip()
                case c.TakeBack():
                    undo = self.before.undo
                    assert undo is not None
                    assert (undo.by, undo.status) == (event.command.actor.id, event.status)
                    assert event.at - undo.at <= TAKEN_BACK_WITHIN
                case _:
                    assert isinstance(event.command, c.DeadlineReached)

    @invariant()
    def signed_documents_never_change(self) -> None:
        """« signed bytes never change, a correction adds a document »."""
        documents = self.request.documents
        assert documents[: len(self.before.documents)] == self.before.documents
        issued = [event.command for event in self.events if isinstance(event.command, c.IssueDocument)]
        assert [(d.report_id, d.pdf_sha256) for d in documents] == [(i.report_id, i.pdf_sha256) for i in issued]
        assert len([d for d in documents if d.kind is DocumentKind.FINAL]) <= 1
        has_final = any(d.kind is DocumentKind.FINAL for d in documents)
        assert has_final == (self.request.status in (Status.REPORTED, Status.CLOSED))

    @invariant()
    def no_urgent_report_falls_silent(self) -> None:
        """« so long, nobody cancels the request »: whatever happens, it calls until somebody says that they have read it.

        Under older rules whoever cancels the request, and before the third the calendar, ends its calls.
        """
        if self.happened is None or self.happened.event is None or self.before.rules < 5:
            return
        if self.before.unread is not None and self.request.unread is None:
            assert isinstance(self.happened.event.command, c.ConfirmReading | c.ReadForRequester | c.Acknowledge)

    @invariant()
    def only_the_holder_signs(self) -> None:
        """« only the holder signs », and the provider who signed the report signs its addenda."""
        signatures = {}
        for event in self.events:
            actor = event.command.actor
            if isinstance(event.command, c.SignReport | c.AddAddendum):
                signatures[event.command.report_id] = (who(actor), event.at)
            if isinstance(event.command, c.SignReport):
                assert event.holder_before == Holder.provider(who(actor))
                assert event.status_before is Status.ACCEPTED
        for document in self.request.documents:
            assert signatures[document.report_id] == (document.signer, document.signed_at)
        if self.request.signing is not None:
            signing = self.request.signing
            assert signatures[signing.report_id] == (signing.signer, signing.signed_at)
        final = [d.signer.id for d in self.request.documents if d.kind is DocumentKind.FINAL]
        assert {d.signer.id for d in self.request.documents if d.kind is DocumentKind.ADDENDUM} <= set(final)

    @invariant()
    def nothing_moves_while_a_document_is_being_made(self) -> None:
        """What is signed is sent by the one who signed it: only clocks go on in between."""
        if self.before.signing is not None and self.happened is not None and self.happened.event is not None:
            assert isinstance(
                self.happened.event.command,
                c.IssueDocument
                | c.FailSigning
                | c.DeadlineReached
                | c.AddInformation
                | c.ConfirmReading
                | c.ReadForRequester
                | c.AskFollowUp,
            )
            assert self.request.holder == self.before.holder or isinstance(
                self.happened.event.command, c.IssueDocument | c.DeadlineReached
            )
        if self.request.signing is not None and self.request.signing.kind is not DocumentKind.ADDENDUM:
            assert self.request.holder == Holder.provider(self.request.signing.signer)

    @invariant()
    def questions_about_a_report_are_few_and_answered_by_who_may(self) -> None:
        """Two at most, one after the other, within 30 days; answered by who signed, or a colleague while they are away.

        What was taken back unanswered does not count, and nobody but its requester takes it back.
        """
        asked = self.request.follow_ups
        given = [event.command for event in self.events]
        taken_back = [command for command in given if isinstance(command, c.WithdrawFollowUp)]
        assert sum(isinstance(command, c.AskFollowUp) for command in given) - len(taken_back) == len(asked) <= 2
        assert all(command.actor.id == self.request.requester.id for command in taken_back)
        assert not {command.follow_up_id for command in taken_back} & {one.id for one in asked}
        assert all(one.answered_at is not None for one in asked[:-1])
        final = next((d for d in self.request.documents if d.kind is DocumentKind.FINAL), None)
        assert not asked or final is not None
        assert all(final is not None and one.asked_at - final.signed_at <= timedelta(days=30) for one in asked)
        if self.happened is None or self.happened.event is None or final is None:
            return
        command = self.happened.event.command
        if isinstance(command, c.AnswerFollowUp):
            assert command.actor.clinic_id == final.signer.clinic_id
            assert command.actor.id == final.signer.id or command.signer_away
            assert command.follow_up_id == asked[-1].id

    @invariant()
    def a_transfer_stays_inside_the_clinic(self) -> None:
        """« a transfer stays inside the clinic »."""
        if self.happened and self.happened.event and self.happened.event.name is EventName.TRANSFERRED:
            event = self.happened.event
            assert event.holder.clinic_id == event.command.actor.clinic_id == event.holder_before.clinic_id
            assert event.holder != event.holder_before

    @invariant()
    def the_clocks_follow_from_the_events_alone(self) -> None:
        """« clocks can be recomputed from the events alone », and the oracle has its own way to do so."""
        clocks = clocks_of(self.events, self.beginning.rules)
        deadlines = {(d.name.value, d.question_id): d for d in self.request.deadlines}
        assert deadlines.keys() == clocks.keys()
        for key, clock in clocks.items():
            deadline = deadlines[key]
            assert deadline.next_moment == clock.next_call
            assert deadline.spent_at(self.now) == clock.shows(self.now)

    @invariant()
    def deciding_again_gives_the_same(self) -> None:
        """One step of « rebuild(draft, events) is the state »; the whole of it is tried when a life ends."""
        if self.happened is not None and self.happened.event is not None:
            event = Event.model_validate_json(self.happened.event.model_dump_json())
            assert event == self.happened.event
            assert decide(self.before, event.command, event.at, event.source) == self.happened

    @invariant()
    def what_follows_has_ids_of_its_own(self) -> None:
        """Effects are data with the id `request:version:kind`: every event is recorded, every signature becomes a document."""
        if self.happened is None or self.happened.event is None:
            return
        event = self.happened.event
        head = f"{self.request.id}:{self.request.version}"
        kinds: dict[str, type[Effect]] = {f"{head}:record": Record}
        if isinstance(event.command, c.SignReport | c.AddAddendum):
            kinds[f"{head}:finalize"] = Finalize
        assert {effect.id: type(effect) for effect in self.happened.effects} == kinds

    @invariant()
    def the_fhir_task_is_legal(self) -> None:
        """« the FHIR Task status sequence that the outside sees is always a legal one »."""
        before, after = self.before.task, self.request.task
        if after.number == before.number:
            assert after.status in fhir_reaches(before.status)
        else:
            assert after.number == before.number + 1
            assert fhir_reaches(before.status) & {"cancelled", "rejected"}, "the Task before it has ended"
            assert after.status in fhir_reaches("draft")
        seen_as = {
            Status.DRAFT: {"draft"},
            Status.AWAITING_DISPATCH: {"requested"},
            Status.AWAITING_ACCEPTANCE: {"received"},
            Status.ACCEPTED: {"accepted"},
            Status.RETURNED: {"rejected"},
            Status.REPORTED: {"completed"},
            Status.CLOSED: {"completed"},
            Status.CANCELLED: {"cancelled", "rejected"},
            Status.ABANDONED: {"rejected"},
        }
        assert after.status in seen_as[self.request.status]

    @invariant()
    def what_fhir_is_told_is_the_same_with_more_in_it(self) -> None:
        """The Tasks as they are served, from the events alone: as many, and where the coarser one stands or beside it."""
        told, kept = tasks_of(self.events), self.request.task
        assert [task.number for task in told] == [*range(1, (kept.number if self.events else 0) + 1)]
        assert all(task.has_ended for task in told[:-1])
        if not told:
            return
        finer = {"accepted": {"accepted", "in-progress"}, "cancelled": {"cancelled", "failed"}}
        assert told[-1].status in finer.get(kept.status, {kept.status.value})
        before = tasks_of(self.events[:-1])
        for was, now in zip(before, told, strict=False):
            assert now == was or (now.status in fhir_reaches(was.status) and now.version == self.events[-1].version)

    @invariant()
    def the_state_survives_json(self) -> None:
        """The state goes through Temporal and through the database as JSON."""
        if self.happened is not None:
            assert Request.model_validate_json(self.request.model_dump_json()) == self.request

    def it_can_be_rebuilt_from_its_events(self) -> None:
        events = [Event.model_validate_json(event.model_dump_json()) for event in self.events]
        assert rebuild(self.beginning, events) == self.request

    def teardown(self) -> None:
        self.it_can_be_rebuilt_from_its_events()


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=50 * LONGER,
    stateful_step_count=100,
    deadline=None,
    print_blob=True,
    # one step is many checks, and a life is a hundred steps: what hypothesis takes for slow is the work itself
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def _of_people(command_ids: Iterable[str]) -> list[str]:
    return [command_id for command_id in command_ids if not command_id.startswith(c.OWN)]
