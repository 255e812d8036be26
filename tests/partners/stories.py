"""Stories in which all happens of which partners are told, with every deadline: what those by chance seldom have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from domain import commands as c
from domain.priority import Priority
from domain.requests import SYSTEM, DocumentKind, FormVersion
from records.ids import new_id
from tests.records.scenes import SHA, Scene, Story


@dataclass(frozen=True)
class Acts:
    """What the people of a scene do."""

    scene: Scene

    def begun(self, story: Story, *more: c.AnyCommand) -> Story:
        """Submitted, and what comes after that."""
        form = FormVersion(number=1, sha256=SHA)
        requester = self.scene.actor("requester")
        story.give(c.Submit(id="1", actor=requester, form=form, priority=Priority.URGENT))
        for command in more:
            if isinstance(command, c.TakeBack):  # in a moment
                story.now -= timedelta(minutes=7) - timedelta(seconds=5)
            story.give(command)
        return story

    @property
    def assign(self) -> c.AnyCommand:
        return c.Assign(id="a", actor=self.scene.actor("dispatcher"), to=self.scene.person("provider"))

    @property
    def accept(self) -> c.AnyCommand:
        return c.Accept(id="b", actor=self.scene.actor("provider"))

    @property
    def ask(self) -> c.AnyCommand:
        return c.RequestInformation(id="q", actor=self.scene.actor("provider"), text="Depuis quand?")

    @property
    def cancel(self) -> c.AnyCommand:
        return c.Cancel(id="c", actor=self.scene.actor("requester"), reason="non")

    def over(self, name: str, number: int = 0) -> c.AnyCommand:
        """A deadline is over."""
        said = {"type": "deadline_reached", "id": f"over-{number}", "name": name}
        return c.ANY_COMMAND.validate_python({**said, "actor": self.scene.actor("operator")})

    def until_over(self, story: Story) -> Story:
        """Deadlines end until the request does."""
        for number in range(12):
            if story.request.deadlines and not story.request.status.is_final:
                story.give(self.over(story.request.deadlines[0].name, 100 + number))
        return story

    def signed(self, kind: DocumentKind) -> tuple[c.AnyCommand, ...]:
        """A document is signed and issued."""
        report, provider = new_id(), self.scene.actor("provider")
        sign: c.AnyCommand = c.AddAddendum(id=f"s{report}", actor=provider, report_id=report, content_sha256=SHA)
        if kind is not DocumentKind.ADDENDUM:
            said = {"type": "sign_report", "kind": kind, "report_id": report, "content_sha256": SHA}
            sign = c.ANY_COMMAND.validate_python({**said, "id": f"s{report}", "actor": provider})
        return sign, c.IssueDocument(id=f"i{report}", actor=SYSTEM, report_id=report, pdf_sha256=SHA)


def expired(acts: Acts, story: Story) -> Story:
    return acts.begun(story, acts.assign, acts.over("acceptance"))


def abandoned(acts: Acts, story: Story) -> Story:
    why = c.ReturnReason.INCOMPLETE_SUBMISSION
    provider = acts.scene.actor("provider")
    back = c.ReturnToRequester(id="r", actor=provider, reason=why, text="Les photos sont floues.")
    return acts.until_over(acts.begun(story, acts.assign, back))


def sent_again(acts: Acts, story: Story) -> Story:
    requester, dispatcher = acts.scene.actor("requester"), acts.scene.actor("dispatcher")
    back = c.ReturnToRequester(id="r", actor=dispatcher, reason=c.ReturnReason.NOT_ELIGIBLE, text="Hors du domaine.")
    form = FormVersion(number=2, sha256=SHA)
    anew = c.Resubmit(id="n", actor=requester, form=form, priority=Priority.ROUTINE)
    return acts.begun(story, back, anew, acts.assign)


def not_answered(acts: Acts, story: Story) -> Story:
    late = [acts.over("information", number) for number in range(4)]
    return acts.begun(story, acts.assign, acts.accept, acts.ask, *late)


def not_acknowledged(acts: Acts, story: Story) -> Story:
    return acts.until_over(acts.begun(story, acts.assign, acts.accept, *acts.signed(DocumentKind.FINAL)))


def taken_back(acts: Acts, story: Story) -> Story:
    back = c.TakeBack(id="t", actor=acts.scene.actor("dispatcher"))
    return acts.begun(story, acts.assign, back, acts.cancel)


def handed_round(acts: Acts, story: Story) -> Story:
    scene = acts.scene
    provider, dispatcher = scene.actor("provider"), scene.actor("dispatcher")
    return acts.begun(
        story,
        *(acts.assign, acts.accept, c.TakeBack(id="t", actor=provider), c.Accept(id="b2", actor=provider), acts.ask),
        c.WithdrawInformationRequest(id="w", actor=provider),
        c.ChangePriority(id="p", actor=provider, priority=Priority.ROUTINE, reason="mieux"),
        c.Transfer(id="m", actor=provider, to=scene.person("colleague"), comment="Merci"),
        c.ReturnToDispatch(id="d", actor=scene.actor("colleague"), comment="non"),
        c.Assign(id="a2", actor=dispatcher, to=c.Pool(clinic_id=scene.far.id)),
        c.Reassign(id="a3", actor=dispatcher, to="dispatch", reason="malade"),
    )


def asked_about(acts: Acts, story: Story) -> Story:
    requester, provider = acts.scene.actor("requester"), acts.scene.actor("provider")
    return acts.begun(
        story,
        *(acts.assign, acts.accept, *acts.signed(DocumentKind.PRELIMINARY), *acts.signed(DocumentKind.FINAL)),
        *(c.Acknowledge(id="k", actor=requester), *acts.signed(DocumentKind.ADDENDUM)),
        c.AskFollowUp(id="f", actor=requester, text="Combien de fois?"),
        c.AnswerFollowUp(id="g", actor=provider, text="Deux fois."),
    )


def cancelled_at_work(acts: Acts, story: Story) -> Story:
    preliminary = acts.signed(DocumentKind.PRELIMINARY)
    return acts.begun(story, acts.assign, acts.accept, acts.ask, *preliminary, acts.cancel)


TALES: Sequence[Callable[[Acts, Story], Story]] = (
    *(expired, abandoned, sent_again, not_answered, not_acknowledged, taken_back, handed_round, asked_about),
    cancelled_at_work,
)
