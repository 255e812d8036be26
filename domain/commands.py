"""Every command that people, timers and Relais itself can give to a request.

A command is a small frozen model with an id, an actor and a time. `AnyCommand` is the union of all of them, told apart by
`type`. Those in `PUBLIC_COMMANDS` are offered as a Signal and as an Update named like their `type`.

What somebody says with a command is typed once, for those who say it now and for what is on record: `Reason[Said]` is asked for,
`Reason[ShortText]` is part of `Cancel`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, Field, StrictBool, StrictInt, TypeAdapter

from domain.calendar import Calendar
from domain.model import DISCREET, Frozen, Sha256, ShortText, is_unset
from domain.offerings import DeadlineName
from domain.photos import Description
from domain.priority import Priority
from domain.requests import Actor, CommandId, DocumentKind, FormVersion, Person

OWN = "relais:"
"""So begin the ids of commands that Relais gives itself. Nobody else may use one: Relais's own command would then seem done."""


class Outside(Frozen):
    """Who says it at a partner, as its message names them; unchecked. `word` is the id there of what was said."""

    name: str = ""
    organization: str = ""
    word: UUID | None = None


class BaseCommand(Frozen):
    """What every command carries."""

    id: CommandId = Field(description="Idempotency key: the same id acts once.")
    actor: Actor
    sent_at: AwareDatetime | None = Field(None, description="When the actor gave it.")
    expected_version: Annotated[StrictInt, Field(ge=0)] | None = Field(
        None, description="Refuse the command unless the request still has this version."
    )
    outside: Outside | None = Field(
        None, exclude_if=is_unset, description="Who says it, where a partner's system gives it that answers requests."
    )


Text = TypeVar("Text", bound=str)
"""A free text: a `Said` of who says it now, a `ShortText` in what is on record."""


class Submit(BaseCommand):
    """Submit a draft: its form is frozen and the request goes to dispatch, or straight to the pool."""

    type: Literal["submit"] = "submit"
    form: FormVersion
    priority: Priority


class Pool(Frozen):
    """All the providers of a clinic."""

    clinic_id: UUID


class Assign(BaseCommand):
    """Route the request to one provider or to a clinic's pool."""

    type: Literal["assign"] = "assign"
    to: Person | Pool
    comment: ShortText | None = None


class Reassign(BaseCommand):
    """Take the request from whoever holds it, who is away, ill or gone: to another provider, to a clinic's pool, or to dispatch.

    An unsigned draft, open questions and clocks go along.
    """

    type: Literal["reassign"] = "reassign"
    to: Person | Pool | Literal["dispatch"]
    reason: ShortText


class Accept(BaseCommand):
    """Take the request over."""

    type: Literal["accept"] = "accept"


class TakeBack(BaseCommand):
    """Take back one's own `accept` or `assign` of a moment ago, while nothing else has happened: all is as it was before."""

    type: Literal["take_back"] = "take_back"


class Transfer(BaseCommand):
    """Hand the request to a colleague of the same clinic."""

    type: Literal["transfer"] = "transfer"
    to: Person
    comment: ShortText | None = None


class Question(Frozen, Generic[Text]):
    text: Text = Field(examples=["Depuis quand la lésion saigne-t-elle ?"])


class RequestInformation(Question[ShortText], BaseCommand):
    """Ask the requester a question. The question's id follows from the command's, see `domain.events.question_id`."""

    type: Literal["request_information"] = "request_information"


class Answer(Frozen, Generic[Text]):
    question_id: UUID | None = None
    text: Text = Field(examples=["Depuis trois semaines."])
    attachment_ids: tuple[UUID, ...] = Field((), max_length=50)
    described: dict[UUID, Description] = Field(
        {},
        max_length=50,
        exclude_if=is_unset,
        description="What is said of these attachments, by their ids; of those that are not named, what was said before stays.",
    )


class AnswerInformation(Answer[ShortText], BaseCommand):
    """Answer an open question. `question_id` may be left out while just one is open."""

    type: Literal["answer_information"] = "answer_information"


class Addition(Frozen, Generic[Text]):
    text: Text = Field(examples=["La lésion s’est mise à saigner."])
    attachment_ids: tuple[UUID, ...] = Field((), max_length=50)
    described: dict[UUID, Description] = Field(
        {},
        max_length=50,
        exclude_if=is_unset,
        description="What is said of these attachments, by their ids; of those that are not named, what was said before stays.",
    )
    worse: StrictBool = Field(
        False, description="It gets worse: whoever holds it is told so, and may raise the priority."
    )


class AddInformation(Addition[ShortText], BaseCommand):
    """Tell more without being asked, while the request is with dispatch or a provider."""

    type: Literal["add_information"] = "add_information"


class WhichQuestion(Frozen):
    question_id: UUID | None = Field(None, examples=["01a20528-2326-771d-b244-f33a25c63e64"])


class WithdrawInformationRequest(WhichQuestion, BaseCommand):
    """Take an open question back."""

    type: Literal["withdraw_information_request"] = "withdraw_information_request"


class ReturnReason(StrEnum):
    """The two predetermined reasons of the guide."""

    NOT_ELIGIBLE = "not_eligible"
    INCOMPLETE_SUBMISSION = "incomplete_submission"


class WhyReturned(Frozen, Generic[Text]):
    reason: ReturnReason = Field(examples=["incomplete_submission"])
    text: Text = Field(examples=["Les photos sont floues."])


class ReturnToRequester(WhyReturned[ShortText], BaseCommand):
    """Give the request back to its requester, with a reason."""

    type: Literal["return_to_requester"] = "return_to_requester"


class Comment(Frozen, Generic[Text]):
    comment: Text = Field(examples=["Plutôt un chirurgien."])


class ReturnToDispatch(Comment[ShortText], BaseCommand):
    """Give the request back to the dispatchers, with a comment for them."""

    type: Literal["return_to_dispatch"] = "return_to_dispatch"


class Resubmit(BaseCommand):
    """Submit a returned request again, with a new version of the form, and with another priority if it is given.

    It goes to the provider who returned it; to dispatch where a dispatcher did, or where that provider is away by then.
    """

    type: Literal["resubmit"] = "resubmit"
    form: FormVersion
    priority: Priority | None = None
    provider_away: StrictBool = Field(False, exclude_if=is_unset)


class Reason(Frozen, Generic[Text]):
    reason: Text = Field(examples=["Le patient est guéri."])


class Cancel(Reason[ShortText], BaseCommand):
    """End the request without a report."""

    type: Literal["cancel"] = "cancel"


class AnotherPriority(Frozen, Generic[Text]):
    priority: Priority = Field(examples=["urgent"])
    reason: Text = Field(examples=["La lésion saigne."])


class ChangePriority(AnotherPriority[ShortText], BaseCommand):
    """Change how soon an answer is needed. The running deadline starts anew with the new priority's limit."""

    type: Literal["change_priority"] = "change_priority"


class SignReport(BaseCommand):
    """Sign the report that is frozen in the records under `report_id`.

    The records must hold the signer's fresh proof of identity for this very command, or no document is made: a Signal
    alone can't sign.
    """

    type: Literal["sign_report"] = "sign_report"
    kind: Literal[DocumentKind.PRELIMINARY, DocumentKind.FINAL]
    report_id: UUID
    content_sha256: Sha256
    urgent: StrictBool = Field(
        False, exclude_if=is_unset, description="The report says that the patient must be sent without delay."
    )
    new_photos: StrictBool = Field(
        False, exclude_if=is_unset, description="The report says that the photos were not sufficient."
    )


class AddAddendum(BaseCommand):
    """Sign an addition to the final report. The same proof as for `sign_report`.

    With `follow_up_id` it is the answer to that question of the requester, from when its document is there.
    """

    type: Literal["add_addendum"] = "add_addendum"
    report_id: UUID
    content_sha256: Sha256
    follow_up_id: UUID | None = Field(None, exclude_if=is_unset)


class AnyOutcome(Frozen, Generic[Text]):
    advice_followed: Literal["yes", "partly", "no"] | None = Field(None, examples=["yes"])
    visit_avoided: StrictBool | None = None
    comment: Text | None = None


class Outcome(AnyOutcome[ShortText]):
    """What the requester tells the provider at the end; every answer is optional."""


class Acknowledge(BaseCommand):
    """Confirm that the final report was read, and close the request."""

    type: Literal["acknowledge"] = "acknowledge"
    outcome: Outcome | None = None


class ConfirmReading(BaseCommand):
    """Say that a report which must be read without delay was read, and that what it asks for is being done."""

    type: Literal["confirm_reading"] = "confirm_reading"


class ReadForRequester(BaseCommand):
    """Say that somebody of the requester's clinic has read, in their place, a report that they have not read, and sees to it."""

    type: Literal["read_for_requester"] = "read_for_requester"


class AskFollowUp(Question[ShortText], BaseCommand):
    """Ask something about the final report, which stays as it is. The question's id follows from the command's."""

    type: Literal["ask_follow_up"] = "ask_follow_up"


class FollowUpAnswer(Frozen, Generic[Text]):
    text: Text = Field(examples=["Deux fois par jour, pendant dix jours."])


class AnswerFollowUp(FollowUpAnswer[ShortText], BaseCommand):
    """Answer what the requester asked about the report: by who signed it, or a colleague while they are away.

    `signer_away` says so; it is looked up when the command is written down.
    """

    type: Literal["answer_follow_up"] = "answer_follow_up"
    signer_away: StrictBool = Field(False, exclude_if=is_unset)
    follow_up_id: UUID | None = Field(None, exclude_if=is_unset)


class WhichFollowUp(Frozen):
    follow_up_id: UUID | None = Field(None, exclude_if=is_unset, examples=["01a20528-2326-771d-b244-f33a25c63e64"])


class WithdrawFollowUp(WhichFollowUp, BaseCommand):
    """Take back what was asked about the report, while nobody has answered it: it does not count as asked."""

    type: Literal["withdraw_follow_up"] = "withdraw_follow_up"


class DeadlineReached(BaseCommand):
    """A clock calls. Relais's own timer gives it when the moment has come; an outside scheduler ends the deadline at once."""

    type: Literal["deadline_reached"] = "deadline_reached"
    name: DeadlineName
    question_id: UUID | None = None


class IssueDocument(BaseCommand):
    """Relais itself: the signed document is made and stored."""

    type: Literal["issue_document"] = "issue_document"
    report_id: UUID
    pdf_sha256: Sha256


class FailSigning(BaseCommand):
    """Relais itself: the document could not be made; `code` says why. The provider still holds the request."""

    type: Literal["fail_signing"] = "fail_signing"
    report_id: UUID
    signer: Person
    code: str = Field(pattern="^[a-z_]{1,64}$")


class RenewedClock(Frozen):
    """A deadline whose end a renewal moved; None while the clock stands still."""

    name: DeadlineName
    question_id: UUID | None = None
    due_before: AwareDatetime | None
    due_after: AwareDatetime | None


class RenewRules(BaseCommand):
    """Relais, asked by an operator: live under this version of the rules from now on, and with `calendar` if it is given.

    Running clocks keep the moments that were promised; with `move_clocks` they go on by the new rules and calendar. What it
    changes, `rules_before` and `clocks`, is filled in when it is carried out.
    """

    type: Literal["renew_rules"] = "renew_rules"
    rules: Annotated[StrictInt, Field(ge=1)]
    calendar: Calendar | None = None
    move_clocks: StrictBool = False
    reason: ShortText
    rules_before: int | None = None
    clocks: tuple[RenewedClock, ...] = ()


PublicCommand = (
    Submit
    | Assign
    | Reassign
    | Accept
    | TakeBack
    | Transfer
    | RequestInformation
    | AnswerInformation
    | AddInformation
    | WithdrawInformationRequest
    | ReturnToRequester
    | ReturnToDispatch
    | Resubmit
    | Cancel
    | ChangePriority
    | SignReport
    | AddAddendum
    | Acknowledge
    | ConfirmReading
    | ReadForRequester
    | AskFollowUp
    | AnswerFollowUp
    | WithdrawFollowUp
    | DeadlineReached
)
AnyCommand = Annotated[PublicCommand | IssueDocument | FailSigning | RenewRules, Field(discriminator="type")]

PUBLIC_COMMANDS: Mapping[str, type[BaseCommand]] = {
    command.model_fields["type"].default: command for command in PublicCommand.__args__
}
"""Name to model, for every command that may come from outside the workflow."""

SIGNALS = frozenset({*PUBLIC_COMMANDS, "renew_rules"})
"""The names of what may come as a Signal: every public command, and what Relais asks of workflows at an operator's wish."""

PUBLIC_COMMAND: TypeAdapter[PublicCommand] = TypeAdapter(
    Annotated[PublicCommand, Field(discriminator="type")], config=DISCREET
)
"""Reads a command that may come from outside from its JSON form."""

ANY_COMMAND: TypeAdapter[AnyCommand] = TypeAdapter(AnyCommand, config=DISCREET)
"""Reads any command from its JSON form."""
