"""What the tests of the rules play with: people of three clinics, times in Toronto, and requests in every status."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any
from uuid import UUID, uuid5

from domain import commands as c
from domain.calendar import TIME_ZONE, Calendar
from domain.commands import AnyCommand
from domain.deadlines import Deadline
from domain.events import Event
from domain.lifecycle import Decision, decide
from domain.offerings import DEFAULT_DEADLINES, DeadlineName, DeadlineTerms, Terms
from domain.priority import Priority
from domain.refusals import Refusal, RefusalCode
from domain.requests import (
    SYSTEM,
    Actor,
    DocumentKind,
    EventName,
    FormVersion,
    Holder,
    Person,
    Request,
    Role,
    Source,
)
from domain.rules import CURRENT

_NAMES = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


def named(name: str) -> UUID:
    """An id that is always the same for a name."""
    return uuid5(_NAMES, name)


def digest(name: str) -> str:
    """A SHA-256 that stands for the content called `name`."""
    return (named(name).hex * 2)[:64]


def toronto(text: str) -> datetime:
    """The moment that a clock in Toronto shows as `text`, e.g. ``2026-02-02 09:00``, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=TIME_ZONE).astimezone(UTC)


FAMILY_CLINIC, DERMATOLOGY, OTHER_CLINIC = named("family clinic"), named("dermatology"), named("other clinic")


def person(name: str, role: Role, clinic_id: UUID) -> Actor:
    return Actor(id=named(name), role=role, clinic_id=clinic_id)


REQUESTER = person("requester", Role.REQUESTER, FAMILY_CLINIC)
OTHER_REQUESTER = person("other requester", Role.REQUESTER, FAMILY_CLINIC)
DISPATCHER = person("dispatcher", Role.DISPATCHER, DERMATOLOGY)
OTHER_DISPATCHER = person("other dispatcher", Role.DISPATCHER, OTHER_CLINIC)
PROVIDER = person("provider", Role.PROVIDER, DERMATOLOGY)
COLLEAGUE = person("colleague", Role.PROVIDER, DERMATOLOGY)
STRANGER = person("stranger", Role.PROVIDER, OTHER_CLINIC)
ADMINISTRATOR = person("administrator", Role.CLINIC_ADMINISTRATOR, DERMATOLOGY)
OPERATOR = Actor(role=Role.OPERATOR)

PEOPLE = {
    "requester": REQUESTER,
    "other requester": OTHER_REQUESTER,
    "dispatcher": DISPATCHER,
    "other dispatcher": OTHER_DISPATCHER,
    "provider": PROVIDER,
    "colleague": COLLEAGUE,
    "stranger": STRANGER,
    "administrator": ADMINISTRATOR,
    "operator": OPERATOR,
    "relais": SYSTEM,
}

MONDAY = toronto("2026-02-02 09:00")
"""A Monday morning with two weeks around it that have no holiday and no change of the clocks."""

_ids: Iterator[int] = count(1)


def command_id() -> str:
    """A command id that nobody has used."""
    return f"command-{next(_ids)}"


def who(actor: Actor) -> Person:
    """The person that `actor` is."""
    assert actor.id is not None
    assert actor.clinic_id is not None
    return Person(id=actor.id, clinic_id=actor.clinic_id)


def form(number: int) -> FormVersion:
    """The form version of that number."""
    return FormVersion(number=number, sha256=digest(f"form {number}"))


def draft(dispatch: Any = "manual", deadlines: dict[DeadlineName, DeadlineTerms] | None = None) -> Request:
    """A draft of `REQUESTER`, with the deadlines of docs/requirements.md unless others are given."""
    return Request(
        id=named("request"),
        number="TC-2026-000123",
        holder=Holder.requester(who(REQUESTER)),
        requester=who(REQUESTER),
        dispatch_clinic_id=DERMATOLOGY,
        terms=Terms(
            offering="teledermatology",
            offering_version=1,
            dispatch=dispatch,
            deadlines={**DEFAULT_DEADLINES, **(deadlines or {})},
        ),
        created_at=MONDAY,
    )


def answer(
    request: Request, command: AnyCommand, now: datetime, source: Source = Source.UPDATE
) -> Decision | RefusalCode:
    """What the rules answer to `command`: a decision, or the code of the refusal."""
    try:
        return decide(request, command, now, source)
    except Refusal as refused:
        return _code_of(refused)


def _code_of(refused: Refusal) -> RefusalCode:
    """The code of a refusal, which must be one, and be explained."""
    assert refused.code in RefusalCode
    assert refused.explanation
    return refused.code


class Story:
    """A request and what happened to it so far, as one event after the other."""

    def __init__(self, beginning: Request, at: datetime = MONDAY) -> None:
        self.beginning = beginning
        self.request = beginning
        self.now = at
        self.events: list[Event] = []

    def take(self, command: AnyCommand, source: Source = Source.UPDATE) -> Event:
        """Give `command` now; it must be legal and new."""
        decision = decide(self.request, command, self.now, source)
        assert decision.event is not None
        self.request = decision.request
        self.events.append(decision.event)
        return decision.event

    def at(self, now: datetime) -> "Story":
        """The same story, going on at `now`."""
        self.now = now
        return self

    # one line per thing that people do, with what does not matter filled in

    def submit(self, priority: Priority = Priority.ROUTINE) -> Event:
        return self.take(c.Submit(id=command_id(), actor=REQUESTER, form=form(1), priority=priority))

    def assign(self, to: Person | c.Pool | None = None) -> Event:
        return self.take(c.Assign(id=command_id(), actor=DISPATCHER, to=to or who(PROVIDER)))

    def reassign(self, to: Any = COLLEAGUE, actor: Actor = DISPATCHER) -> Event:
        to = who(to) if isinstance(to, Actor) else to
        return self.take(c.Reassign(id=command_id(), actor=actor, to=to, reason="On sick leave."))

    def accept(self, actor: Actor = PROVIDER) -> Event:
        return self.take(c.Accept(id=command_id(), actor=actor))

    def take_back(self, actor: Actor = PROVIDER) -> Event:
        return self.take(c.TakeBack(id=command_id(), actor=actor))

    def transfer(self, to: Actor = COLLEAGUE, actor: Actor = PROVIDER) -> Event:
        return self.take(c.Transfer(id=command_id(), actor=actor, to=who(to)))

    def ask(self, actor: Actor = PROVIDER) -> UUID:
        """Ask a question; gives its id."""
        self.take(c.RequestInformation(id=command_id(), actor=actor, text="Since when?"))
        return self.request.questions[-1].id

    def answer(self, question_id: UUID | None = None) -> Event:
        return self.take(
            c.AnswerInformation(id=command_id(), actor=REQUESTER, question_id=question_id, text="Since May.")
        )

    def withdraw(self, question_id: UUID | None = None, actor: Actor = PROVIDER) -> Event:
        return self.take(c.WithdrawInformationRequest(id=command_id(), actor=actor, question_id=question_id))

    def return_to_requester(self, actor: Actor = PROVIDER) -> Event:
        reason = c.ReturnReason.INCOMPLETE_SUBMISSION
        return self.take(c.ReturnToRequester(id=command_id(), actor=actor, reason=reason, text="Blurred photos."))

    def return_to_dispatch(self, actor: Actor = PROVIDER) -> Event:
        return self.take(c.ReturnToDispatch(id=command_id(), actor=actor, comment="Not my field."))

    def resubmit(self, number: int = 2) -> Event:
        return self.take(c.Resubmit(id=command_id(), actor=REQUESTER, form=form(number)))

    def cancel(self, actor: Actor = REQUESTER) -> Event:
        return self.take(c.Cancel(id=command_id(), actor=actor, reason="The patient was seen elsewhere."))

    def change_priority(self, priority: Priority, actor: Actor = DISPATCHER) -> Event:
        return self.take(c.ChangePriority(id=command_id(), actor=actor, priority=priority, reason="It grew."))

    def sign(
        self,
        kind: Any = DocumentKind.FINAL,
        actor: Actor = PROVIDER,
        report: str = "report",
        *,
        urgent: bool = False,
        new_photos: bool = False,
    ) -> Event:
        content = {"report_id": named(report), "content_sha256": digest(report), "new_photos": new_photos}
        return self.take(c.SignReport(id=command_id(), actor=actor, kind=kind, urgent=urgent, **content))

    def confirm_reading(self, actor: Actor = REQUESTER) -> Event:
        return self.take(c.ConfirmReading(id=command_id(), actor=actor))

    def read_for_requester(self, actor: Actor = OTHER_REQUESTER) -> Event:
        return self.take(c.ReadForRequester(id=command_id(), actor=actor))

    def add_addendum(
        self, actor: Actor = PROVIDER, report: str = "addendum", *, follow_up_id: UUID | None = None
    ) -> Event:
        content = {"report_id": named(report), "content_sha256": digest(report), "follow_up_id": follow_up_id}
        return self.take(c.AddAddendum(id=command_id(), actor=actor, **content))

    def ask_about_the_report(self) -> UUID:
        """Ask a follow-up question; gives its id."""
        self.take(c.AskFollowUp(id=command_id(), actor=REQUESTER, text="How often?"))
        return self.request.follow_ups[-1].id

    def withdraw_follow_up(self) -> Event:
        return self.take(c.WithdrawFollowUp(id=command_id(), actor=REQUESTER))

    def answer_follow_up(self, actor: Actor = PROVIDER, *, signer_away: bool = False) -> Event:
        return self.take(c.AnswerFollowUp(id=command_id(), actor=actor, text="Twice a day.", signer_away=signer_away))

    def issue(self) -> Event:
        pdf = digest(f"{self.being_signed()}.pdf")
        return self.take(c.IssueDocument(id=command_id(), actor=SYSTEM, report_id=self.being_signed(), pdf_sha256=pdf))

    def fail_signing(self) -> Event:
        signing = self.request.signing
        assert signing is not None
        failed = {"report_id": signing.report_id, "signer": signing.signer, "code": "no_fresh_proof"}
        return self.take(c.FailSigning(id=command_id(), actor=SYSTEM, **failed))

    def renew(self, rules: int = CURRENT, calendar: Calendar | None = None, *, move_clocks: bool = False) -> Event:
        reason = "A new version of Relais."
        return self.take(
            c.RenewRules(
                id=command_id(), actor=SYSTEM, rules=rules, calendar=calendar, move_clocks=move_clocks, reason=reason
            ),
            Source.ENGINE,
        )

    def being_signed(self) -> UUID:
        assert self.request.signing is not None
        return self.request.signing.report_id

    def acknowledge(self) -> Event:
        return self.take(c.Acknowledge(id=command_id(), actor=REQUESTER))

    def clock_calls(self, name: DeadlineName, question_id: UUID | None = None, actor: Actor = SYSTEM) -> Event:
        return self.take(
            c.DeadlineReached(id=command_id(), actor=actor, name=name, question_id=question_id), Source.TIMER
        )

    def next_call(self) -> Event:
        """Let time pass until the next clock calls, and let it call."""
        moment, deadline = self.next_deadline()
        self.now = max(self.now, moment)
        return self.clock_calls(deadline.name, deadline.question_id)

    def next_deadline(self) -> tuple[datetime, Deadline]:
        """When the next clock calls, and which."""
        found = self.request.next_deadline
        assert found is not None
        return found

    def calls(self, number: int) -> list[tuple[datetime, EventName]]:
        """When the next `number` calls come, and what each makes happen."""
        events = [self.next_call() for _ in range(number)]
        return [(event.at, event.name) for event in events]


def submitted(priority: Priority = Priority.ROUTINE, at: datetime = MONDAY, **draft_with: Any) -> Story:
    story = Story(draft(**draft_with), at)
    story.submit(priority)
    return story


def assigned(priority: Priority = Priority.ROUTINE, at: datetime = MONDAY) -> Story:
    story = submitted(priority, at)
    story.assign()
    return story


def in_pool() -> Story:
    return submitted(dispatch="automatic")


def accepted(priority: Priority = Priority.ROUTINE, at: datetime = MONDAY) -> Story:
    story = assigned(priority, at)
    story.accept()
    return story


def returned(at: datetime = MONDAY) -> Story:
    story = assigned(at=at)
    story.return_to_requester()
    return story


def newer(begin: Callable[[], Story]) -> Story:
    """The story under today's rules, some time later."""
    story = begin()
    story.renew()
    return story.at(MONDAY + timedelta(hours=5))


def reported(at: datetime = MONDAY, *, urgent: bool = False) -> Story:
    story = accepted(at=at)
    story.sign(urgent=urgent)
    story.issue()
    return story


def _and(begin: Callable[[], Story], *steps: Callable[[Story], object]) -> Callable[[], Story]:
    def story() -> Story:
        begun = begin()
        for step in steps:
            step(begun)
        return begun

    return story


URGENT_BEFORE_THE_END = (lambda s: s.sign(DocumentKind.PRELIMINARY, urgent=True), Story.issue)
"""A preliminary report that says “without delay” comes, and nobody says that they have read it."""

SCENES: dict[str, Callable[[], Story]] = {
    "draft": lambda: Story(draft()),
    "awaiting_dispatch": submitted,
    "awaiting_acceptance": assigned,
    "accepted": accepted,
    "returned": returned,
    "reported": reported,
    "closed": _and(reported, Story.acknowledge),
    "cancelled": _and(assigned, Story.cancel),
    "abandoned": _and(returned, lambda s: s.clock_calls(DeadlineName.RESUBMISSION, actor=OPERATOR)),
    # the same statuses with something beside them
    "awaiting_acceptance, in a pool": in_pool,
    "awaiting_acceptance, just assigned": _and(submitted, Story.renew, Story.assign),
    "accepted, just": _and(assigned, Story.renew, Story.accept),
    "awaiting_dispatch, asked": _and(assigned, Story.ask, Story.return_to_dispatch),
    "awaiting_acceptance, asked": _and(assigned, Story.ask),
    "accepted, asked": _and(accepted, Story.ask),
    "awaiting_acceptance, handed on": _and(accepted, lambda s: s.reassign(c.Pool(clinic_id=DERMATOLOGY))),
    "awaiting_dispatch, handed on, asked": _and(accepted, Story.ask, lambda s: s.reassign("dispatch")),
    "accepted, handed on": _and(
        accepted, Story.reassign, lambda s: s.accept(COLLEAGUE), lambda s: s.reassign(PROVIDER), Story.accept
    ),
    "accepted, being signed": _and(accepted, lambda s: s.sign(DocumentKind.PRELIMINARY)),
    "accepted, asked, being signed": _and(accepted, Story.ask, Story.sign),
    "reported, urgent": lambda: reported(urgent=True),
    "reported, urgent, by newer rules": _and(
        accepted, Story.renew, lambda s: s.sign(urgent=True), Story.issue, lambda s: s.at(MONDAY)
    ),
    "accepted, urgent": _and(accepted, *URGENT_BEFORE_THE_END),
    "accepted, urgent, by newer rules": _and(accepted, Story.renew, *URGENT_BEFORE_THE_END),
    "returned, urgent, by newer rules": _and(
        accepted, Story.renew, *URGENT_BEFORE_THE_END, Story.transfer, lambda s: s.return_to_requester(COLLEAGUE)
    ),
    "reported, being signed": _and(reported, Story.add_addendum),
    "closed, being signed": _and(reported, Story.acknowledge, Story.add_addendum),
    "reported, follow-up": _and(reported, Story.ask_about_the_report),
    "closed, follow-up": _and(reported, Story.ask_about_the_report, Story.acknowledge),
    "closed, follow-up answered": _and(reported, Story.acknowledge, Story.ask_about_the_report, Story.answer_follow_up),
    "closed, follow-up answered, withdrawn": _and(
        reported, *(Story.ask_about_the_report, Story.withdraw_follow_up) * 2, Story.acknowledge
    ),
    "closed, follow-up, being signed": _and(
        reported, Story.acknowledge, lambda s: s.add_addendum(follow_up_id=s.ask_about_the_report())
    ),
    "reported, follow-ups spent": _and(reported, *(Story.ask_about_the_report, Story.answer_follow_up) * 2),
}
"""A request in each of the nine statuses, and with the facts that may stand beside a status."""


OWN_DEADLINE = {
    "awaiting_acceptance": DeadlineName.ACCEPTANCE,
    "accepted": DeadlineName.REPORT,
    "returned": DeadlineName.RESUBMISSION,
    "reported": DeadlineName.ACKNOWLEDGEMENT,
    "closed": DeadlineName.FOLLOW_UP,
}


def a_command(name: str, actor: Actor, request: Request) -> AnyCommand:
    """A command of that name with nothing wrong in it."""
    head = {"id": command_id(), "actor": actor}
    bodies: dict[str, AnyCommand] = {
        "submit": c.Submit(**head, form=form(1), priority=Priority.ROUTINE),
        "assign": c.Assign(**head, to=who(COLLEAGUE)),
        "reassign": c.Reassign(**head, to=who(COLLEAGUE), reason="On sick leave."),
        "accept": c.Accept(**head),
        "transfer": c.Transfer(**head, to=who(COLLEAGUE if actor == PROVIDER else PROVIDER)),
        "request_information": c.RequestInformation(**head, text="Since when?"),
        "answer_information": c.AnswerInformation(**head, text="Since May."),
        "add_information": c.AddInformation(**head, text="It bleeds.", worse=bool(request.questions)),
        "withdraw_information_request": c.WithdrawInformationRequest(**head),
        "return_to_requester": c.ReturnToRequester(**head, reason=c.ReturnReason.NOT_ELIGIBLE, text="A matter for us?"),
        "return_to_dispatch": c.ReturnToDispatch(**head, comment="Not my field."),
        "resubmit": c.Resubmit(**head, form=form(2)),
        "cancel": c.Cancel(**head, reason="Seen elsewhere."),
        "change_priority": c.ChangePriority(**head, priority=Priority.URGENT, reason="It grew."),
        "sign_report": c.SignReport(
            **head, kind=DocumentKind.PRELIMINARY, report_id=named("new"), content_sha256=digest("new")
        ),
        "add_addendum": c.AddAddendum(**head, report_id=named("new"), content_sha256=digest("new")),
        "acknowledge": c.Acknowledge(**head),
        "take_back": c.TakeBack(**head),
        "confirm_reading": c.ConfirmReading(**head),
        "read_for_requester": c.ReadForRequester(**head),
        "ask_follow_up": c.AskFollowUp(**head, text="How often?"),
        "withdraw_follow_up": c.WithdrawFollowUp(**head),
        "answer_follow_up": c.AnswerFollowUp(**head, text="Twice a day.", signer_away=actor != PROVIDER),
        "deadline_reached": c.DeadlineReached(**head, name=OWN_DEADLINE.get(request.status, DeadlineName.DISPATCH)),
    }
    assert name in bodies, f"'{name}' needs an example: a_command in tests/unit/domain/scenes.py"
    return bodies[name]


@cache
def every_event() -> list[Event]:
    """What happens when everybody gives every command in every scene, and when every clock calls until it is silent."""
    events = []
    for begin in SCENES.values():
        request = begin().request
        commands = [a_command(name, actor, request) for name in c.PUBLIC_COMMANDS for actor in PEOPLE.values()]
        decisions = [answer(request, command, MONDAY) for command in commands]
        events += [d.event for d in decisions if not isinstance(d, RefusalCode) and d.event]
        if request.signing:
            for end in (Story.issue, Story.fail_signing):
                story = begin()
                end(story)
                events.append(story.events[-1])
        if request.status.is_open and not request.signing and request.rules < CURRENT:
            story = begin()
            events.append(story.renew())
        if request.next_deadline:
            story = begin()
            calls = 4 if request.deadline(DeadlineName.URGENT_ACKNOWLEDGEMENT) else 3
            story.calls(calls)
            events += story.events[-calls:]
    return events
