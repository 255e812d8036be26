"""The command table of docs/requirements.md, written down once more as plain data and tried out exhaustively.

Every command, in every status (and with a question open, in a pool, while a document is being made), by every person.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from pydantic import ValidationError

from domain import commands as c
from domain import lifecycle
from domain.commands import AnyCommand
from domain.lifecycle import allowed_commands, check_allowed, decide
from domain.offerings import DeadlineName
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
    Role,
    Status,
)
from domain.rules import CURRENT
from tests.unit.domain.scenes import (
    ADMINISTRATOR,
    COLLEAGUE,
    DERMATOLOGY,
    DISPATCHER,
    FAMILY_CLINIC,
    MONDAY,
    OPERATOR,
    OTHER_CLINIC,
    PEOPLE,
    PROVIDER,
    REQUESTER,
    SCENES,
    STRANGER,
    Story,
    a_command,
    accepted,
    answer,
    assigned,
    command_id,
    digest,
    form,
    in_pool,
    named,
    person,
    reported,
    returned,
    submitted,
    toronto,
    who,
)

BEFORE_REPORT = ("awaiting_dispatch", "awaiting_acceptance", "accepted")


@dataclass(frozen=True)
class Line:
    """One line of the table: who may give the command, and the status that follows from each status that allows it."""

    by: tuple[str, ...]
    leads_to: dict[str, str]


def same(*statuses: str) -> dict[str, str]:
    return {status: status for status in statuses}


def to(status: str, *allowed_in: str) -> dict[str, str]:
    return dict.fromkeys(allowed_in, status)


LINES = {
    "submit": Line(("requester",), to("awaiting_dispatch", "draft")),
    "assign": Line(("dispatcher",), to("awaiting_acceptance", "awaiting_dispatch", "awaiting_acceptance")),
    "reassign": Line(
        ("dispatcher", "administrator", "relais"), to("awaiting_acceptance", "awaiting_acceptance", "accepted")
    ),
    "accept": Line(("holder",), to("accepted", "awaiting_acceptance")),
    "take_back": Line(
        ("who assigned", "who accepted"),
        {"awaiting_acceptance": "awaiting_dispatch", "accepted": "awaiting_acceptance"},
    ),
    "transfer": Line(("holder",), to("awaiting_acceptance", "awaiting_acceptance", "accepted")),
    "request_information": Line(("holder",), same("awaiting_acceptance", "accepted")),
    "answer_information": Line(("requester",), same(*BEFORE_REPORT)),
    "add_information": Line(("requester",), same(*BEFORE_REPORT)),
    "withdraw_information_request": Line(("asker",), same(*BEFORE_REPORT)),
    "return_to_requester": Line(("dispatcher", "holder"), to("returned", "awaiting_dispatch", "awaiting_acceptance")),
    "return_to_dispatch": Line(("holder",), to("awaiting_dispatch", "awaiting_acceptance", "accepted")),
    "resubmit": Line(("requester",), to("awaiting_acceptance", "returned")),
    "cancel": Line(("requester", "operator"), to("cancelled", *BEFORE_REPORT, "returned")),
    "change_priority": Line(("dispatcher", "holder"), same(*BEFORE_REPORT)),
    "sign_report": Line(("holder",), same("accepted")),
    "add_addendum": Line(("signer",), same("reported", "closed")),
    "acknowledge": Line(("requester",), to("closed", "reported")),
    "confirm_reading": Line(
        ("requester", "dispatcher", "their administrator"), same(*BEFORE_REPORT, "returned", "reported")
    ),
    "read_for_requester": Line(
        ("other requester", "their administrator"), same(*BEFORE_REPORT, "returned", "reported", "closed")
    ),
    "ask_follow_up": Line(("requester",), same("reported", "closed")),
    "answer_follow_up": Line(("signer", "their colleague"), same("reported", "closed")),
    "withdraw_follow_up": Line(("requester",), same("reported", "closed")),
    "deadline_reached": Line(
        ("operator", "relais"),
        {
            "closed": "closed",
            "awaiting_dispatch": "awaiting_dispatch",
            "awaiting_acceptance": "awaiting_dispatch",
            "accepted": "accepted",
            "returned": "abandoned",
            "reported": "closed",
        },
    ),
}
"""docs/requirements.md, « Lifecycle ». An operator may cancel as well: a cancel in the Temporal UI arrives as this command."""

ROLE_OF_PARTY = {
    **dict.fromkeys(("administrator", "their administrator"), Role.CLINIC_ADMINISTRATOR),
    "holder": Role.PROVIDER,
    "asker": Role.PROVIDER,
    "signer": Role.PROVIDER,
    "their colleague": Role.PROVIDER,
    "relais": Role.SYSTEM,
    "other requester": Role.REQUESTER,
    "who assigned": Role.DISPATCHER,
    "who accepted": Role.PROVIDER,
}
SOMEBODY_ELSE = {
    "requester": RefusalCode.NOT_THE_REQUESTER,
    "other requester": RefusalCode.NOT_THE_REQUESTERS_COLLEAGUE,
    **dict.fromkeys(("who assigned", "who accepted"), RefusalCode.NOTHING_TO_TAKE_BACK),
    "dispatcher": RefusalCode.NOT_THE_DISPATCHER,
    **dict.fromkeys(("administrator", "their administrator"), RefusalCode.NOT_THE_ADMINISTRATOR),
    "holder": RefusalCode.NOT_THE_HOLDER,
    "asker": RefusalCode.NOT_THE_HOLDER,
    "signer": RefusalCode.NOT_THE_SIGNER,
    "their colleague": RefusalCode.NOT_THE_SIGNER,
}


def those_who_are(party: str, scene: str) -> set[str]:
    """The people of the scene whom the table means by `party`."""
    status = scene.partition(",")[0]
    holders = {"awaiting_acceptance", "accepted"} & {status} and {"provider"}
    if "in a pool" in scene or scene == "awaiting_acceptance, handed on":
        holders = {"provider", "colleague"}
    match party:
        case "holder":
            return set(holders)
        case "asker":
            return set(holders) | ({"provider"} if "asked" in scene else set())
        case "who assigned":
            return {"dispatcher"} if scene == "awaiting_acceptance, just assigned" else set()
        case "who accepted":
            return {"provider"} if scene == "accepted, just" else set()
        case "signer":
            return {"provider"} if status in ("reported", "closed") else set()
        case "their colleague":
            return {"colleague"}
    return {party}


WHILE_SIGNING = ("deadline_reached", "add_information", "confirm_reading", "read_for_requester", "ask_follow_up")


def is_open(scene: str) -> bool:
    """Whether a question about the report is open in the scene."""
    return "follow-up" in scene and "answered" not in scene and "spent" not in scene


def expected(command: str, scene: str, name: str) -> RefusalCode | str:
    """What the table says: the status that follows, or the code of the refusal."""
    status, line = scene.partition(",")[0], LINES[command]
    role = PEOPLE[name].role
    parties = [party for party in line.by if ROLE_OF_PARTY.get(party, party) == role]
    if not parties:
        return RefusalCode.ROLE_NOT_ALLOWED
    if status not in line.leads_to or (command == "deadline_reached" and status == "closed" and not is_open(scene)):
        if (command, status) == ("accept", "accepted"):
            return RefusalCode.ALREADY_ACCEPTED
        return RefusalCode.NOT_ALLOWED_IN_STATUS
    if name not in set().union(*(those_who_are(party, scene) for party in parties)):
        return SOMEBODY_ELSE[parties[0]]
    if "being signed" in scene and command not in WHILE_SIGNING:
        return RefusalCode.REPORT_BEING_SIGNED
    if command == "cancel" and "urgent, by newer rules" in scene:
        return RefusalCode.URGENT_REPORT_UNREAD
    return nothing_to(command, scene, name) or line.leads_to[status]


def nothing_to(command: str, scene: str, name: str) -> RefusalCode | None:
    """Why the command comes to nothing although the status allows it: there is nothing that it could be about."""
    if command in ("answer_information", "withdraw_information_request") and "asked" not in scene:
        return RefusalCode.NO_OPEN_QUESTION
    if command == "confirm_reading" and "urgent" not in scene:
        return RefusalCode.NOTHING_TO_CONFIRM
    if command == "read_for_requester" and not (scene.startswith(("reported", "closed")) or "urgent" in scene):
        return RefusalCode.NOTHING_UNREAD
    if command in ("answer_follow_up", "withdraw_follow_up") and not is_open(scene):
        return RefusalCode.NO_OPEN_FOLLOW_UP
    if command == "ask_follow_up" and is_open(scene):
        return RefusalCode.FOLLOW_UP_OPEN
    if command == "ask_follow_up" and "spent" in scene:
        return RefusalCode.TOO_MANY_FOLLOW_UPS
    if command == "deadline_reached" and "asked" in scene and not scene.startswith("awaiting_dispatch"):
        return RefusalCode.DEADLINE_STOPPED
    if command == "deadline_reached" and "by newer rules" in scene and not scene.startswith("accepted"):
        return RefusalCode.DEADLINE_STOPPED
    if command == "deadline_reached" and name == "relais":
        return RefusalCode.DEADLINE_NOT_DUE
    return None


def test_every_public_command_has_its_line() -> None:
    """In the order of the rules' own table, in which `allowed_commands` names them."""
    ruled = [row.command.model_fields["type"].default for row in lifecycle.table(CURRENT)]
    assert list(LINES) == [name for name in ruled if name in c.PUBLIC_COMMANDS], "LINES, in this file"


def test_the_scenes_have_every_status() -> None:
    for scene, story in SCENES.items():
        assert story().request.status == scene.partition(",")[0]
    assert SCENES.keys() >= {status.value for status in Status}


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("command", LINES)
def test_the_table(command: str, scene: str) -> None:
    request = SCENES[scene]().request
    before = request.model_dump_json()
    for name, actor in PEOPLE.items():
        given = a_command(command, actor, request)
        outcome = expected(command, scene, name)
        decision = answer(request, given, MONDAY)
        assert request.model_dump_json() == before, name
        if isinstance(decision, RefusalCode):
            assert decision == outcome, name
            continue
        check_allowed(request, type(given), actor)
        assert decision.request.status == outcome, name
        assert decision.request.version == request.version + 1
        assert decision.event is not None
        assert (decision.event.status_before, decision.event.status) == (request.status, outcome)
        again = decide(decision.request, given, MONDAY)
        assert (again.event, again.effects, again.request) == (None, (), decision.request)


@pytest.mark.parametrize("scene", SCENES)
def test_allowed_commands_are_those_of_the_table(scene: str) -> None:
    request = SCENES[scene]().request
    clock_says_no = {RefusalCode.DEADLINE_STOPPED, RefusalCode.DEADLINE_NOT_DUE}
    for name, actor in PEOPLE.items():
        outcomes = {command: expected(command, scene, name) for command in LINES}
        allowed = [
            command for command, outcome in outcomes.items() if outcome in set(Status) or outcome in clock_says_no
        ]
        assert list(allowed_commands(request, actor)) == allowed, name


# Where a request goes


def test_automatic_dispatch_goes_to_the_pool() -> None:
    request = in_pool().request
    assert (request.status, request.holder) == (Status.AWAITING_ACCEPTANCE, Holder.pool(DERMATOLOGY))


@pytest.mark.parametrize("begin", [assigned, accepted, in_pool])
@pytest.mark.parametrize("actor", [DISPATCHER, ADMINISTRATOR])
def test_what_somebody_holds_who_is_away_is_handed_to_a_colleague_a_pool_or_dispatch(
    begin: Callable[[], Story], actor: Actor
) -> None:
    pool = Holder.pool(DERMATOLOGY)
    for to, holder, status in (
        (COLLEAGUE, Holder.provider(who(COLLEAGUE)), Status.AWAITING_ACCEPTANCE),
        (c.Pool(clinic_id=DERMATOLOGY), pool, Status.AWAITING_ACCEPTANCE),
        ("dispatch", Holder.dispatch(DERMATOLOGY), Status.AWAITING_DISPATCH),
    ):
        story = begin()
        if holder == story.request.holder:
            again = c.Reassign(id=command_id(), actor=actor, to=c.Pool(clinic_id=DERMATOLOGY), reason="Away.")
            assert refusal(story, again) is RefusalCode.ALREADY_ASSIGNED
            continue
        story.reassign(to, actor)
        assert (story.request.holder, story.request.status) == (holder, status)


def test_an_administrator_hands_on_what_their_clinic_has_and_only_inside_it() -> None:
    story = accepted()
    theirs = person("their administrator", Role.CLINIC_ADMINISTRATOR, OTHER_CLINIC)
    for to in (who(STRANGER), c.Pool(clinic_id=OTHER_CLINIC)):
        outside = c.Reassign(id=command_id(), actor=ADMINISTRATOR, to=to, reason="Away.")
        assert refusal(story, outside) is RefusalCode.NOT_A_COLLEAGUE
        foreign = c.Reassign(id=command_id(), actor=theirs, to=to, reason="Away.")
        assert refusal(story, foreign) is RefusalCode.NOT_THE_ADMINISTRATOR
    story.reassign(STRANGER, DISPATCHER)
    mine = c.Reassign(id=command_id(), actor=ADMINISTRATOR, to=who(PROVIDER), reason="Back.")
    assert refusal(story, mine) is RefusalCode.NOT_THE_ADMINISTRATOR
    assert story.reassign(c.Pool(clinic_id=OTHER_CLINIC), theirs).holder == Holder.pool(OTHER_CLINIC)


@pytest.mark.parametrize("kind", [DocumentKind.PRELIMINARY, DocumentKind.FINAL])
def test_a_report_that_says_without_delay_calls_until_somebody_has_read_it(kind: DocumentKind) -> None:
    """Source: docs/requirements.md, « urgent acknowledgement »: 4 h, then every hour, whatever day it is."""
    story = accepted(at=toronto("2026-02-06 17:00"))  # a Friday evening
    own = story.request.deadlines
    story.sign(kind, urgent=True)
    assert DeadlineName.URGENT_ACKNOWLEDGEMENT not in {d.name for d in story.request.deadlines}
    story.issue()
    assert [d.urgent for d in story.request.documents] == [True]
    assert story.calls(6) == [
        (toronto("2026-02-06 18:00"), EventName.URGENT_REPORT_REMINDER),
        (toronto("2026-02-06 19:00"), EventName.URGENT_REPORT_REMINDER),
        (toronto("2026-02-06 20:00"), EventName.URGENT_REPORT_REMINDER),
        (toronto("2026-02-06 21:00"), EventName.URGENT_REPORT_UNREAD),
        (toronto("2026-02-06 22:00"), EventName.URGENT_REPORT_UNREAD),
        (toronto("2026-02-06 23:00"), EventName.URGENT_REPORT_UNREAD),
    ]
    assert story.request.overdue == (DeadlineName.URGENT_ACKNOWLEDGEMENT,)
    is_final = kind is DocumentKind.FINAL
    due = toronto("2026-02-06 21:00") if is_final else own[0].due_at
    assert story.request.due_at == due, "what its holder must do"
    story.confirm_reading(person("administrator at home", Role.CLINIC_ADMINISTRATOR, FAMILY_CLINIC))
    assert not story.request.overdue
    assert [d.name for d in story.request.deadlines] == [
        DeadlineName.ACKNOWLEDGEMENT if is_final else DeadlineName.REPORT
    ]
    again = c.ConfirmReading(id=command_id(), actor=REQUESTER)
    assert refusal(story, again) is RefusalCode.NOTHING_TO_CONFIRM


def test_an_unread_urgent_report_goes_along_and_under_the_first_rules_ends_with_the_request() -> None:
    story = SCENES["accepted, urgent"]()
    steps: tuple[Callable[[], object], ...] = (
        story.transfer,
        lambda: story.reassign("dispatch"),
        lambda: story.return_to_requester(DISPATCHER),
    )
    for step in steps:
        step()
        assert story.request.deadline(DeadlineName.URGENT_ACKNOWLEDGEMENT) is not None
    story.cancel()
    assert story.request.deadlines == ()
    story = reported(urgent=True)
    story.acknowledge()
    assert story.request.deadlines == ()


@pytest.mark.parametrize("scene", ["accepted, urgent, by newer rules", "returned, urgent, by newer rules"])
@pytest.mark.parametrize("actor", [REQUESTER, OPERATOR])
def test_nobody_cancels_a_request_whose_urgent_report_nobody_has_read(scene: str, actor: Actor) -> None:
    """It goes on calling; once somebody says that they have read it, the request can be cancelled."""
    story = SCENES[scene]()
    cancel = c.Cancel(id=command_id(), actor=actor, reason="Seen elsewhere.")
    assert refusal(story, cancel) is RefusalCode.URGENT_REPORT_UNREAD
    assert "cancel" not in allowed_commands(story.request, actor)
    assert story.calls(4)[-1][1] is EventName.URGENT_REPORT_UNREAD
    story.confirm_reading(person("administrator at home", Role.CLINIC_ADMINISTRATOR, FAMILY_CLINIC))
    assert "cancel" in allowed_commands(story.request, actor)
    story.cancel(actor)


@pytest.mark.parametrize("read", [lambda story: story.confirm_reading(DISPATCHER), Story.read_for_requester])
@pytest.mark.parametrize("renewed", [False, True])
def test_the_calendar_ends_no_request_whose_urgent_report_nobody_has_read(
    renewed: bool, read: Callable[[Story], object]
) -> None:
    """It calls every hour for as long as that takes; the 30 days pass from when somebody has read it."""
    story = accepted(at=toronto("2026-02-06 17:00"))
    if not renewed:
        story.renew()
    story.sign(urgent=True)
    story.issue()
    if renewed:
        story.at(toronto("2026-02-16 17:00")).renew()
    story.at(toronto("2026-03-20 17:30"))
    assert [name for _moment, name in story.calls(3)] == [EventName.URGENT_REPORT_UNREAD] * 3
    assert story.request.status is Status.REPORTED
    read(story.at(toronto("2026-03-21 12:00")))
    passed = timedelta(days=10 if renewed else 0)
    assert story.request.due_at == toronto("2026-04-20 12:00") - passed
    moment, name = story.calls(3 if renewed else 4)[-1]
    assert (moment, name) == (toronto("2026-04-20 12:00") - passed, EventName.CLOSED_UNACKNOWLEDGED)


def test_nor_one_that_was_returned_with_a_preliminary_one() -> None:
    story = SCENES["accepted, urgent"]()
    story.renew()
    story.reassign("dispatch")
    story.return_to_requester(DISPATCHER)
    end = c.DeadlineReached(id=command_id(), actor=OPERATOR, name=DeadlineName.RESUBMISSION)
    assert refusal(story, end) is RefusalCode.DEADLINE_STOPPED
    story.confirm_reading()
    assert [name for _moment, name in story.calls(3)][-1] is EventName.ABANDONED


def test_a_promise_that_begins_anew_with_the_priority_is_late_no_more() -> None:
    story = accepted()
    story.calls(2)
    assert story.request.overdue == (DeadlineName.REPORT,)
    story.reassign()
    assert story.request.overdue == (DeadlineName.REPORT,)
    story.change_priority(Priority.URGENT)
    assert not story.request.overdue
    assert {d.name for d in story.request.deadlines} == {DeadlineName.ACCEPTANCE, DeadlineName.REPORT}


def test_worse_stands_until_somebody_changes_the_priority_or_reports() -> None:
    def worse(story: Story, *, is_worse: bool = True) -> EventName:
        return story.take(c.AddInformation(id=command_id(), actor=REQUESTER, text="It bleeds.", worse=is_worse)).name

    story = accepted()
    before = story.request.deadlines
    assert (worse(story, is_worse=False), story.request.worsened) == (EventName.INFORMATION_ADDED, False)
    assert (worse(story), story.request.worsened) == (EventName.WORSENING_REPORTED, True)
    assert (worse(story, is_worse=False), story.request.worsened) == (EventName.INFORMATION_ADDED, True)
    assert story.request.deadlines == before
    story.transfer()
    assert story.request.worsened
    story.change_priority(Priority.ASAP)
    assert not story.request.worsened
    worse(story)
    story.accept(COLLEAGUE)
    story.sign(actor=COLLEAGUE)
    story.issue()
    assert not story.request.worsened


def test_the_first_of_the_pool_who_accepts_gets_it() -> None:
    story = in_pool()
    story.accept(COLLEAGUE)
    assert story.request.holder == Holder.provider(who(COLLEAGUE))
    assert refusal(story, c.Accept(id=command_id(), actor=PROVIDER)) is RefusalCode.ALREADY_ACCEPTED


def test_a_dispatcher_may_choose_a_pool_or_a_provider_anywhere() -> None:
    story = submitted()
    story.assign(c.Pool(clinic_id=OTHER_CLINIC))
    assert story.request.holder == Holder.pool(OTHER_CLINIC)
    story.assign(who(STRANGER))
    assert story.request.holder == Holder.provider(who(STRANGER))
    assert refusal(story, c.Assign(id=command_id(), actor=DISPATCHER, to=who(STRANGER))) is RefusalCode.ALREADY_ASSIGNED


@pytest.mark.parametrize("begin", [assigned, accepted, in_pool])
def test_a_transfer_goes_to_a_colleague_of_the_same_clinic_only(begin: Callable[[], Story]) -> None:
    story = begin()
    stranger, myself = (c.Transfer(id=command_id(), actor=PROVIDER, to=who(actor)) for actor in (STRANGER, PROVIDER))
    assert refusal(story, stranger) is RefusalCode.NOT_A_COLLEAGUE
    assert refusal(story, myself) is RefusalCode.TRANSFER_TO_SELF
    story.transfer(COLLEAGUE)
    assert story.request.holder == Holder.provider(who(COLLEAGUE))


def test_a_return_goes_to_the_requester_and_comes_back_to_the_provider_who_returned_it() -> None:
    story = in_pool()
    story.return_to_requester(COLLEAGUE)
    assert story.request.holder == Holder.requester(who(REQUESTER))
    story.resubmit()
    assert (story.request.status, story.request.holder) == (
        Status.AWAITING_ACCEPTANCE,
        Holder.provider(who(COLLEAGUE)),
    )
    assert story.request.form == form(2)


@pytest.mark.parametrize("begin", [submitted, assigned])
def test_what_a_dispatcher_returned_comes_back_to_dispatch(begin: Callable[[], Story]) -> None:
    story = begin()
    story.return_to_requester(DISPATCHER)
    story.resubmit()
    assert (story.request.status, story.request.holder) == (Status.AWAITING_DISPATCH, Holder.dispatch(DERMATOLOGY))


def test_only_the_last_return_counts() -> None:
    story = returned()
    story.resubmit()
    story.return_to_dispatch()
    story.return_to_requester(DISPATCHER)
    story.resubmit(3)
    assert story.request.status is Status.AWAITING_DISPATCH


def test_a_resubmission_needs_a_newer_form() -> None:
    story = returned()
    assert refusal(story, c.Resubmit(id=command_id(), actor=REQUESTER, form=form(1))) is RefusalCode.FORM_NOT_NEWER
    assert story.resubmit().status is Status.AWAITING_ACCEPTANCE


def test_a_final_report_goes_to_the_requester_when_its_document_is_there() -> None:
    story = accepted()
    story.sign()
    assert story.request.status is Status.ACCEPTED
    story.issue()
    assert (story.request.status, story.request.holder) == (Status.REPORTED, Holder.requester(who(REQUESTER)))


def test_a_preliminary_report_leaves_the_request_with_its_provider() -> None:
    story = accepted()
    story.sign(DocumentKind.PRELIMINARY)
    story.issue()
    assert (story.request.status, story.request.holder) == (Status.ACCEPTED, Holder.provider(who(PROVIDER)))
    story.transfer(COLLEAGUE)
    story.accept(COLLEAGUE)
    story.sign(actor=COLLEAGUE, report="final")
    story.issue()
    assert [(d.kind, d.signer) for d in story.request.documents] == [
        (DocumentKind.PRELIMINARY, who(PROVIDER)),
        (DocumentKind.FINAL, who(COLLEAGUE)),
    ]


@pytest.mark.parametrize("begin", [reported, SCENES["closed"]])
def test_an_addendum_is_added_and_the_report_stays(begin: Callable[[], Story]) -> None:
    story = begin()
    before = story.request
    story.add_addendum()
    story.issue()
    assert story.request.documents[:-1] == before.documents
    assert story.request.documents[-1].kind is DocumentKind.ADDENDUM
    assert (story.request.status, story.request.holder) == (before.status, before.holder)


def test_a_document_that_can_not_be_made_leaves_the_request_as_it_was() -> None:
    story = accepted()
    before = story.request
    story.sign()
    story.fail_signing()
    after = story.request.model_copy(update={"version": before.version, "commands_taken": before.commands_taken})
    assert after == before


def test_of_the_commands_that_acted_the_newest_are_remembered_and_of_relaiss_own_fewer() -> None:
    story = accepted()
    theirs = [f"theirs-{number}" for number in range(lifecycle.REMEMBERED + 5)]
    own = [f"{c.OWN}own-{number}" for number in range(lifecycle.OWN_REMEMBERED + 5)]
    story.request = story.request.model_copy(update={"commands_taken": (*theirs[:50], *own, *theirs[50:])})
    story.ask()
    kept = story.request.commands_taken
    asked = kept[-1]
    assert [one for one in kept if one.startswith(c.OWN)] == own[5:]
    assert [one for one in kept if not one.startswith(c.OWN)] == [*theirs[6:], asked]
    assert kept[: 44 + lifecycle.OWN_REMEMBERED] == (*theirs[6:50], *own[5:])


@pytest.mark.parametrize("scene", SCENES)
def test_only_what_is_being_signed_is_issued(scene: str) -> None:
    story = SCENES[scene]()
    over = story.request.status in (Status.DRAFT, Status.CANCELLED, Status.ABANDONED)
    code = RefusalCode.NOT_ALLOWED_IN_STATUS if over else RefusalCode.NOTHING_BEING_SIGNED
    issue = c.IssueDocument(id=command_id(), actor=SYSTEM, report_id=named("no such"), pdf_sha256=digest("no such"))
    signer = Person(id=named("signer"), clinic_id=named("clinic"))
    fail = c.FailSigning(id=command_id(), actor=SYSTEM, report_id=named("no such"), signer=signer, code="failed")
    assert refusal(story, issue) is code
    assert refusal(story, fail) is code
    people = [PEOPLE[name] for name in PEOPLE if name != "relais"]
    for impostor in people:
        for command in (issue, fail):
            posed = command.model_copy(update={"actor": impostor})
            assert refusal(story, posed) is RefusalCode.ROLE_NOT_ALLOWED


# What a command holds


@pytest.mark.parametrize(
    ("name", "scene", "actor"),
    [
        ("submit", "draft", REQUESTER),
        ("resubmit", "returned", REQUESTER),
        ("change_priority", "accepted", DISPATCHER),
    ],
)
def test_stat_is_refused(name: str, scene: str, actor: Actor) -> None:
    story = SCENES[scene]()
    command = a_command(name, actor, story.request).model_copy(update={"priority": Priority.STAT})
    assert refusal(story, command) is RefusalCode.STAT_REFUSED


def test_a_resubmission_may_change_the_priority() -> None:
    story = returned()
    story.resubmit()
    assert story.request.priority is Priority.ROUTINE
    story = returned()
    story.take(c.Resubmit(id=command_id(), actor=REQUESTER, form=form(2), priority=Priority.ASAP))
    assert story.request.priority is Priority.ASAP
    assert story.request.due_at == MONDAY + timedelta(hours=4)


def test_the_same_priority_is_refused() -> None:
    command = c.ChangePriority(id=command_id(), actor=DISPATCHER, priority=Priority.ROUTINE, reason="No change.")
    assert refusal(assigned(), command) is RefusalCode.PRIORITY_UNCHANGED


def test_a_question_is_named_when_several_are_open() -> None:
    story = accepted()
    first, second = story.ask(), story.ask()
    assert refusal(story, c.AnswerInformation(id=command_id(), actor=REQUESTER, text="?")) is RefusalCode.WHICH_QUESTION
    unknown = c.AnswerInformation(id=command_id(), actor=REQUESTER, text="?", question_id=named("no such"))
    assert refusal(story, unknown) is RefusalCode.NO_SUCH_QUESTION
    story.answer(second)
    assert [question.id for question in story.request.questions] == [first]
    story.answer()
    assert story.request.questions == ()


def test_a_provider_who_gave_the_request_away_takes_back_only_their_own_question() -> None:
    story = accepted()
    mine = story.ask()
    story.transfer(COLLEAGUE)
    theirs = story.ask(COLLEAGUE)
    meddling = c.WithdrawInformationRequest(id=command_id(), actor=PROVIDER, question_id=theirs)
    assert refusal(story, meddling) is RefusalCode.NOT_THE_HOLDER
    story.withdraw(mine, PROVIDER)
    assert [question.id for question in story.request.questions] == [theirs]


def test_the_holder_takes_back_any_question() -> None:
    story = accepted()
    asked = story.ask()
    story.transfer(COLLEAGUE)
    story.withdraw(asked, COLLEAGUE)
    assert story.request.questions == ()


def test_questions_end_where_nobody_needs_the_answer() -> None:
    for end in (Story.return_to_requester, Story.cancel):
        story = assigned()
        story.ask()
        end(story)
        assert story.request.questions == ()
        assert not [deadline for deadline in story.request.deadlines if deadline.question_id]


def test_a_command_for_another_version_is_refused() -> None:
    story = assigned()
    stale = c.Accept(id=command_id(), actor=PROVIDER, expected_version=story.request.version - 1)
    assert refusal(story, stale) is RefusalCode.VERSION_CONFLICT
    fresh = c.Accept(id=command_id(), actor=PROVIDER, expected_version=story.request.version)
    assert story.take(fresh).status is Status.ACCEPTED


def test_a_command_that_a_version_of_the_rules_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    story = assigned()
    accept = c.Accept(id=command_id(), actor=PROVIDER)
    rows = {key: row for key, row in lifecycle._ROWS.items() if row.command is not c.Accept}
    with monkeypatch.context() as patched:
        patched.setattr(lifecycle, "_ROWS", rows)
        assert refusal(story, accept) is RefusalCode.NOT_ALLOWED_IN_STATUS
        with pytest.raises(Refusal):
            check_allowed(story.request, c.Accept, PROVIDER)
    accepted_ = decide(story.request, accept, story.now).request
    monkeypatch.setattr(lifecycle, "_ROWS", rows)
    assert decide(accepted_, accept, story.now).event is None  # it has acted


TEXTS = {
    "request_information": "text",
    "answer_information": "text",
    "return_to_requester": "text",
    "return_to_dispatch": "comment",
    "cancel": "reason",
    "change_priority": "reason",
    "ask_follow_up": "text",
    "answer_follow_up": "text",
}


@pytest.mark.parametrize(("name", "field"), TEXTS.items())
@pytest.mark.parametrize("text", [None, "", "  \n ", "x" * 8_001, "nul \x00", "half \ud800"])
def test_a_reason_is_a_text_that_says_something(name: str, field: str, text: str | None) -> None:
    good = a_command(name, REQUESTER, assigned().request).model_dump()
    with pytest.raises(ValidationError):
        c.PUBLIC_COMMANDS[name].model_validate({**good, field: text})
    c.PUBLIC_COMMANDS[name].model_validate({**good, field: "x" * 8_000})


@pytest.mark.parametrize("command_id", ["", "é", "two words", "x" * 121, "line\n"])
def test_a_command_id_is_short_and_printable(command_id: str) -> None:
    with pytest.raises(ValidationError):
        c.Accept(id=command_id, actor=PROVIDER)


@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.OPERATOR, Role.SYSTEM)])
def test_people_speak_with_their_name_and_clinic(role: Role) -> None:
    with pytest.raises(ValidationError):
        Actor(role=role)
    with pytest.raises(ValidationError):
        Actor(role=role, id=named("somebody"))
    assert Actor(role=role, id=named("somebody"), clinic_id=DERMATOLOGY).role is role
    assert OPERATOR.id is None


def test_a_form_version_is_a_number_and_a_digest() -> None:
    for number, sha256 in ((0, digest("x")), (1, "short"), (1, digest("x").upper())):
        with pytest.raises(ValidationError):
            FormVersion(number=number, sha256=sha256)


def refusal(story: Story, command: AnyCommand) -> RefusalCode:
    """The code with which `command` is refused now."""
    before = story.request.model_dump_json()
    answered = answer(story.request, command, story.now)
    assert isinstance(answered, RefusalCode)
    assert story.request.model_dump_json() == before
    return answered
