"""Clinics, people and stories for the tests of the records: every story is played by the real rules."""

import itertools
import random
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain import commands as c
from domain.absences import Absence
from domain.calendar import day_of
from domain.events import Event
from domain.lifecycle import allowed_commands, decide
from domain.notices import NoticeMode
from domain.offerings import DEFAULT_DEADLINES, Terms
from domain.priority import Priority
from domain.refusals import Refusal
from domain.requests import SYSTEM, Actor, DocumentKind, FormVersion, Person, Request, Role
from records import absences, people, requests
from records.database import Database
from records.ids import new_id
from records.models import Account, Clinic, RequestRecord
from records.visibility import Viewer

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
SHA = "0" * 64


def terms(dispatch: str = "manual") -> Terms:
    return Terms.model_validate(
        {"offering": "teledermatology", "offering_version": 1, "dispatch": dispatch, "deadlines": DEFAULT_DEADLINES}
    )


@dataclass
class Scene:
    """Two clinics with their people: `home` asks and dispatches, `far` answers."""

    home: Clinic
    far: Clinic
    accounts: dict[str, Account] = field(default_factory=dict)

    def person(self, name: str) -> Person:
        account = self.accounts[name]
        return Person(id=account.id, clinic_id=account.clinic_id)

    def actor(self, name: str, role: Role | None = None) -> Actor:
        account = self.accounts[name]
        return Actor(id=account.id, role=role or Role(account.roles[0]), clinic_id=account.clinic_id)

    @property
    def actors(self) -> list[Actor]:
        return [self.actor(name, Role(role)) for name, a in self.accounts.items() for role in a.roles]


def role_sets() -> list[frozenset[Role]]:
    """Every set of up to two roles of people, and all roles together."""
    roles = [role for role in Role if role is not Role.SYSTEM]
    small = [frozenset(some) for size in (0, 1, 2) for some in itertools.combinations(roles, size)]
    return [*small, frozenset(roles)]


def viewers(scene: Scene) -> list[Viewer]:
    """Every person of the scene with every set of roles."""
    return [
        Viewer(account.id, account.clinic_id, roles) for account in scene.accounts.values() for roles in role_sets()
    ]


async def set_scene(session: AsyncSession, modes: dict[str, NoticeMode] | None = None) -> Scene:
    mark = new_id().hex
    home = await people.add_clinic(session, code=f"home-{mark}", name="Clinique du Nord")
    far = await people.add_clinic(session, code=f"far-{mark}", name="Clinique du Sud")
    scene = Scene(home, far)
    for name, clinic, roles in (
        ("requester", home, {Role.REQUESTER}),
        ("dispatcher", home, {Role.DISPATCHER}),
        ("second_dispatcher", home, {Role.DISPATCHER}),
        ("provider", far, {Role.PROVIDER}),
        ("colleague", far, {Role.PROVIDER}),
        ("administrator", far, {Role.CLINIC_ADMINISTRATOR}),
        ("home_administrator", home, {Role.CLINIC_ADMINISTRATOR}),
        ("everything", home, {Role.REQUESTER, Role.DISPATCHER, Role.PROVIDER, Role.OPERATOR}),
        ("operator", far, {Role.OPERATOR}),
    ):
        scene.accounts[name] = await people.add_account(
            session,
            clinic_id=clinic.id,
            username=f"{name}-{mark}",
            password_hash="none",
            roles=roles,
            given_name=name,
            family_name=mark,
            email=f"{name}@{mark}.invalid",
            now=NOW,
            notice_mode=(modes or {}).get(name, NoticeMode.AT_ONCE),
        )
    return scene


async def goes_away(session: AsyncSession, scene: Scene, name: str) -> None:
    """That person is away from today on."""
    day = day_of(datetime.now(UTC))
    absence = Absence(starts_on=day, ends_on=day + timedelta(days=30))
    by = scene.accounts[name].id
    await absences.add_absence(session, by, absence, note=None, created_by=by, now=datetime.now(UTC))


async def make_draft(
    session: AsyncSession,
    scene: Scene,
    dispatch: str = "manual",
    request_id: uuid.UUID | None = None,
    now: datetime = NOW,
) -> RequestRecord:
    return await requests.create_draft(
        session,
        requester=scene.person("requester"),
        dispatch_clinic_id=scene.home.id,
        terms=terms(dispatch),
        priority=Priority.ROUTINE,
        patient={"family_name": "Tremblay"},
        answers={"reason": "lésion"},
        now=now,
        request_id=request_id,
    )


async def scene_with_draft(database: Database, dispatch: str = "manual") -> tuple[Scene, Request]:
    async with database.session() as session:
        scene = await set_scene(session)
        return scene, requests.process_of(await make_draft(session, scene, dispatch))


@dataclass
class Story:
    """What happened to one request: the steps of `decide`, with the time that passes between them."""

    request: Request
    now: datetime = NOW
    steps: list[tuple[Event, Request]] = field(default_factory=list)

    def give(self, command: c.AnyCommand) -> Event:
        self.now += timedelta(minutes=7)
        decision = decide(self.request, command, self.now)
        assert decision.event is not None
        self.request = decision.request
        self.steps.append((decision.event, decision.request))
        return decision.event


def usual_story(scene: Scene, draft: Request) -> Story:
    """Submitted, offered to a pool, accepted, a question answered, reported and acknowledged."""
    story = Story(draft)
    requester, dispatcher = scene.actor("requester"), scene.actor("dispatcher")
    provider, report = scene.actor("provider"), new_id()
    for command in (
        c.Submit(id="1", actor=requester, form=FormVersion(number=1, sha256=SHA), priority=Priority.URGENT),
        c.Assign(id="2", actor=dispatcher, to=c.Pool(clinic_id=scene.far.id)),
        c.Accept(id="3", actor=provider),
        c.RequestInformation(id="4", actor=provider, text="Depuis quand?"),
        c.AnswerInformation(id="5", actor=requester, text="Deux semaines."),
        c.SignReport(id="6", actor=provider, kind=DocumentKind.FINAL, report_id=report, content_sha256=SHA),
        c.IssueDocument(id="7", actor=SYSTEM, report_id=report, pdf_sha256=SHA),
        c.Acknowledge(id="8", actor=requester),
    ):
        story.give(command)
    return story


def long_story(scene: Scene, draft: Request) -> Story:
    """Submitted, returned, reminded of, submitted again, reported, acknowledged; then a question about the report, answered."""
    story = Story(draft)
    requester, dispatcher = scene.actor("requester"), scene.actor("dispatcher")
    provider, report = scene.actor("provider"), new_id()
    first, second = (FormVersion(number=number, sha256=SHA) for number in (1, 2))
    for command in (
        c.Submit(id="1", actor=requester, form=first, priority=Priority.URGENT),
        c.ReturnToRequester(id="2", actor=dispatcher, reason=c.ReturnReason.INCOMPLETE_SUBMISSION, text="Floue."),
    ):
        story.give(command)
    (correcting,) = story.request.deadlines
    assert correcting.next_moment is not None
    story.now = correcting.next_moment
    for later in (
        c.DeadlineReached(id="3", actor=SYSTEM, name=correcting.name),
        c.Resubmit(id="4", actor=requester, form=second, priority=Priority.ASAP),
        c.Assign(id="5", actor=dispatcher, to=c.Pool(clinic_id=scene.far.id)),
        c.Accept(id="6", actor=provider),
        c.SignReport(id="7", actor=provider, kind=DocumentKind.FINAL, report_id=report, content_sha256=SHA),
        c.IssueDocument(id="8", actor=SYSTEM, report_id=report, pdf_sha256=SHA),
        c.Acknowledge(id="9", actor=requester),
        c.AskFollowUp(id="10", actor=requester, text="Et le soleil?"),
        c.AnswerFollowUp(id="11", actor=provider, text="À l’ombre."),
    ):
        story.give(later)
    return story


def random_story(scene: Scene, draft: Request, chance: random.Random, length: int) -> Story:
    """Up to `length` legal commands, chosen by chance among all that somebody may give."""
    story = Story(draft)
    for _ in range(length):
        options = [(name, a) for a in scene.actors for name in allowed_commands(story.request, a)]
        if story.request.signing is not None:
            story.give(
                c.IssueDocument(
                    id=f"issue-{len(story.steps)}",
                    actor=SYSTEM,
                    report_id=story.request.signing.report_id,
                    pdf_sha256=SHA,
                )
            )
            continue
        if not options:
            break
        name, actor = chance.choice(options)
        try:
            story.give(_command(name, actor, story, scene, chance))
        except Refusal:
            continue
    return story


def _command(name: str, actor: Actor, story: Story, scene: Scene, chance: random.Random) -> c.AnyCommand:
    request = story.request
    form = FormVersion(number=(request.form.number if request.form else 0) + 1, sha256=SHA)
    providers = [scene.person("provider"), scene.person("colleague"), scene.person("everything")]
    specifics: dict[str, object] = {
        "submit": {"form": form, "priority": Priority.ASAP},
        "resubmit": {"form": form, "priority": Priority.URGENT},
        "assign": {"to": chance.choice([*providers, c.Pool(clinic_id=chance.choice([scene.home, scene.far]).id)])},
        "reassign": {"to": chance.choice([*providers, "dispatch"]), "reason": "malade"},
        "transfer": {"to": chance.choice(providers)},
        "request_information": {"text": "?"},
        "answer_information": {"text": "!", "question_id": request.questions[0].id if request.questions else None},
        "add_information": {"text": "!", "worse": chance.choice([False, True])},
        "withdraw_information_request": {"question_id": request.questions[0].id if request.questions else None},
        "return_to_requester": {"reason": "not_eligible", "text": "non"},
        "return_to_dispatch": {"comment": "non"},
        "cancel": {"reason": "non"},
        "change_priority": {"priority": chance.choice([Priority.ROUTINE, Priority.URGENT]), "reason": "oui"},
        "sign_report": {
            "kind": chance.choice(["preliminary", "final"]),
            "report_id": new_id(),
            "content_sha256": SHA,
            "urgent": chance.choice([False, True]),
        },
        "add_addendum": {
            "report_id": new_id(),
            "content_sha256": SHA,
            "follow_up_id": request.open_follow_up.id if request.open_follow_up and chance.random() < 0.5 else None,
        },
        "ask_follow_up": {"text": "?"},
        "withdraw_follow_up": {},
        "answer_follow_up": {"text": "!", "signer_away": chance.choice([False, True])},
        "deadline_reached": {"name": chance.choice(request.deadlines).name if request.deadlines else "report"},
    }
    command: object = specifics.get(name, {})
    assert isinstance(command, dict)
    model = c.PUBLIC_COMMANDS[name]
    known = {key: value for key, value in command.items() if key in model.model_fields}
    return c.ANY_COMMAND.validate_python(
        {"type": name, "id": f"{len(story.steps)}-{uuid.uuid4()}", "actor": actor, **known}
    )
