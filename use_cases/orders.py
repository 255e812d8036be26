"""What people can order of a request: what they say with each command, and what is looked up and frozen for it.

Most say just what the command holds, see `commands.Order`; `domain.commands` has the words. To sign is in `use_cases.signing`.

Some are named `…Body`: so they are called where the API describes what is sent, and these names are part of it.
"""

from collections.abc import Collection, Mapping
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy.ext.asyncio import AsyncSession

from domain import commands as c
from domain.model import Frozen, Said
from domain.offerings import DeadlineName
from domain.photos import UNDESCRIBED, Description
from domain.priority import Priority
from domain.refusals import Refusal, RefusalCode
from domain.requests import FormVersion, Holder, HolderKind, Person, Role
from domain.texts import has_gap
from records import attachments, forms, partners, people, requests, restrictions, visibility
from records import commands as ledger
from records.drafts import is_withdrawn, open_form
from records.errors import NotEditableError
from records.models import RequestRecord
from translations.problems import FIELD_PROBLEMS, LEFT_GAP
from use_cases import policy
from use_cases.caller import Caller
from use_cases.commands import Moment, Order
from use_cases.completeness import check_complete
from use_cases.problems import Problem


class Submit(Order):
    """Submit a draft: its form is frozen as it stands.

    Raises Refusal `stat_refused`, and `version_conflict` where another version of the form was seen; Problem
    `offering_withdrawn`, `form_incomplete`, `submission_under_way`.
    """

    command = c.Submit
    freezes = True

    async def made(self, at: Moment) -> c.Submit:
        _check_open(at.row)
        if at.row.form_priority is Priority.STAT:
            raise Refusal(RefusalCode.STAT_REFUSED, "an emergency")
        had = at.request.terms.offering_version
        versions = at.services.versions
        offering = await open_form(at.session, versions, at.row)
        if is_withdrawn(versions, at.row):
            raise Problem("offering_withdrawn")
        if not at.call.as_received:
            await check_complete(at.session, versions, at.row)
        if at.call.expected_version is not None and offering.version != (at.call.seen_offering or had):
            raise Refusal(RefusalCode.VERSION_CONFLICT, "the offering's form has changed; look at it again")
        await requests.renew_terms(at.session, at.row, offering.terms)
        return c.Submit(**at.head, form=await _frozen(at), priority=at.row.form_priority)


class Resubmit(Order):
    """Submit a returned request again: its form is frozen as it stands.

    Raises Problem `form_incomplete`, `submission_under_way`.
    """

    command = c.Resubmit
    freezes = True
    hands_on = True

    async def made(self, at: Moment) -> c.Resubmit:
        _check_open(at.row)
        if not at.call.as_received:
            await check_complete(at.session, at.services.versions, at.row)
        provider = at.request.returned_by
        is_away = provider is not None and await restrictions.is_away(at.session, at.row.id, provider.id)
        return c.Resubmit(**at.head, form=await _frozen(at), priority=at.row.form_priority, provider_away=is_away)


class SomeProvider(Frozen):
    """Either a provider, or a clinic: then its whole pool; and what they should know."""

    provider_id: UUID | None = Field(None, examples=["01a20528-2326-771d-b244-f33a25c63e64"])
    clinic_id: UUID | None = Field(None, description="Assign to the pool of this clinic.")
    comment: Said | None = Field(None, examples=["Une collègue qui connaît ce patient."])

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.provider_id is None) == (self.clinic_id is None):
            raise PydanticCustomError("provider_or_clinic", FIELD_PROBLEMS["provider_or_clinic"])
        return self


class AssignBody(Order, SomeProvider):
    """Who gets the request."""

    command = c.Assign
    hands_on = True

    async def made(self, at: Moment) -> c.Assign:
        """Raises Problem `unknown_provider`, `unknown_clinic`, `clinic_not_routed`, or `restricted_for_them`."""
        to = await _destination(at.session, self.provider_id, self.clinic_id)
        await _check_route(at, to)
        await _check_is_open_to(at, to)
        return c.Assign(**at.head, to=to, comment=self.comment)

    def repeats(self, before: c.AnyCommand) -> bool:
        if not isinstance(before, c.Assign) or before.comment != self.comment:
            return False
        return _names(before.to, self.provider_id, self.clinic_id)


class SomebodyElse(Frozen):
    """A provider, or a clinic: then its whole pool, or dispatch; and why it is taken from whoever holds it."""

    provider_id: UUID | None = Field(None, examples=["01a20528-2326-771d-b244-f33a25c63e64"])
    clinic_id: UUID | None = Field(None, description="Hand it to the pool of this clinic.")
    dispatch: bool = Field(False, description="Give it back to the dispatchers.")
    reason: Said = Field(examples=["La docteure Roy est en congé de maladie."])

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if [self.provider_id is not None, self.clinic_id is not None, self.dispatch].count(True) != 1:
            raise PydanticCustomError("one_place", FIELD_PROBLEMS["one_place"])
        return self


class ReassignBody(Order, SomebodyElse):
    """Who gets the request, and why it is taken from whoever holds it."""

    command = c.Reassign
    hands_on = True

    async def made(self, at: Moment) -> c.Reassign:
        """Raises Problem `unknown_provider`, `unknown_clinic`, `clinic_not_routed`, or `restricted_for_them`; Refusal
        `already_assigned` for the pool of a clinic whose system has taken the request over.
        """
        if self.dispatch:
            return c.Reassign(**at.head, to="dispatch", reason=self.reason)
        to = await _destination(at.session, self.provider_id, self.clinic_id)
        if at.head["actor"].role is Role.DISPATCHER:
            await _check_route(at, to)
        await _check_is_open_to(at, to)
        await _check_is_elsewhere(at, to)
        return c.Reassign(**at.head, to=to, reason=self.reason)

    def repeats(self, before: c.AnyCommand) -> bool:
        if not isinstance(before, c.Reassign) or before.reason != self.reason:
            return False
        return _names(before.to, self.provider_id, self.clinic_id)


class Accept(Order):
    """Take the request over."""

    command = c.Accept


class TakeBack(Order):
    """Take back one's own last command, of a moment ago."""

    command = c.TakeBack

    async def made(self, at: Moment) -> c.PublicCommand:
        """Raises Problem `restricted_for_them` where it was with somebody before to whom it is shut by now."""
        if at.request.undo is not None and await _is_shut_to_holder(at, at.request.undo.holder):
            raise Problem("restricted_for_them")
        return await super().made(at)


class TransferBody(Order):
    """A colleague of the same clinic."""

    command = c.Transfer
    hands_on = True

    provider_id: UUID = Field(examples=["01a20528-2326-771d-b244-f33a25c63e64"])
    comment: Said | None = Field(None, examples=["Je suis en congé demain."])

    async def made(self, at: Moment) -> c.Transfer:
        """Raises Problem `unknown_provider` or `restricted_for_them`."""
        to = await _provider(at.session, self.provider_id)
        await _check_is_open_to(at, to)
        return c.Transfer(**at.head, to=to, comment=self.comment)

    def repeats(self, before: c.AnyCommand) -> bool:
        return isinstance(before, c.Transfer) and before.to.id == self.provider_id and before.comment == self.comment


def _without_gap(text: str) -> str:
    if has_gap(text):
        raise PydanticCustomError("gap_left", LEFT_GAP)
    return text


Filled = Annotated[Said, AfterValidator(_without_gap)]
"""A text that may have been made of one that is used again: nothing is left open in it."""


class QuestionBody(Order, c.Question[Filled]):
    """A question to the requester."""

    command = c.RequestInformation


class AnswerBody(Order, c.Answer[Said]):
    """The answer to an open question; `question_id` may be left out while just one is open."""

    command = c.AnswerInformation

    async def made(self, at: Moment) -> c.PublicCommand:
        """Raises Problem `answer_under_way` or `unknown_attachment`."""
        expected = await ledger.expected_state(at.session, at.row, at.head["sent_at"])
        if expected and not any(self.question_id in (None, question.id) for question in expected.questions):
            raise Problem("answer_under_way")
        described = await _described(at, self.attachment_ids, self.described)
        return (await super().made(at)).model_copy(update={"described": described})


class AdditionBody(Order, c.Addition[Said]):
    """What the requester tells without being asked, with more photos if need be (upload them first)."""

    command = c.AddInformation

    async def made(self, at: Moment) -> c.PublicCommand:
        """Raises Problem `unknown_attachment`."""
        described = await _described(at, self.attachment_ids, self.described)
        return (await super().made(at)).model_copy(update={"described": described})


class WithdrawBody(Order, c.WhichQuestion):
    """The question to take back; may be left out while just one is open."""

    command = c.WithdrawInformationRequest


class ReturnToRequesterBody(Order, c.WhyReturned[Filled]):
    """One of the two reasons, and a text."""

    command = c.ReturnToRequester


class CommentBody(Order, c.Comment[Said]):
    """A comment for the dispatchers."""

    command = c.ReturnToDispatch


class ReasonBody(Order, c.Reason[Said]):
    """Why."""

    command = c.Cancel


class PriorityBody(Order, c.AnotherPriority[Said]):
    """The new priority, and why."""

    command = c.ChangePriority


class OutcomeBody(c.AnyOutcome[Said]):
    """What became of the patient; every answer is optional."""


class AcknowledgeBody(Order):
    """What the requester tells the provider at the end."""

    command = c.Acknowledge

    outcome: OutcomeBody | None = None


class ConfirmReading(Order):
    """A report that must be read without delay was read, and is acted on."""

    command = c.ConfirmReading


class ReadForRequester(Order):
    """A report that its requester has not read in time was read by somebody else of their clinic, who sees to it."""

    command = c.ReadForRequester

    async def made(self, at: Moment) -> c.PublicCommand:
        """Raises Refusal `nothing_unread` when there is none."""
        if not await visibility.reads_for_requester(at.session, at.call.caller.viewer, at.row):
            raise Refusal(RefusalCode.NOTHING_UNREAD, "its requester has read the report, or still has the time to")
        return await super().made(at)


class FollowUpBody(Order, c.Question[Said]):
    """What is to be asked about the final report."""

    command = c.AskFollowUp

    async def made(self, at: Moment) -> c.PublicCommand:
        """Raises Problem `restricted_for_them` where it is shut to who has signed the report, and to all who cover for them."""
        signer = at.request.final_report.signer if at.request.final_report else None
        is_shut = signer is not None and await restrictions.shuts_out(at.session, at.row.id, signer.id)
        if signer and is_shut and not await _is_covered(at, signer):
            raise Problem("restricted_for_them")
        return await super().made(at)


class FollowUpAnswerBody(Order, c.FollowUpAnswer[Said]):
    """The answer to what was asked about the report."""

    command = c.AnswerFollowUp

    async def made(self, at: Moment) -> c.AnswerFollowUp:
        """Raises Refusal `signer_is_there` for a colleague of who signed the report, is not away, and sees it."""
        signer = at.request.final_report.signer if at.request.final_report else None
        is_other = signer is not None and signer.id != at.call.caller.id
        is_away = signer is not None and is_other and await restrictions.is_away(at.session, at.row.id, signer.id)
        if is_other and not is_away:
            raise Refusal(RefusalCode.SIGNER_IS_THERE, "who signed the report answers themselves")
        return c.AnswerFollowUp(**at.head, text=self.text, signer_away=is_away)


class WithdrawFollowUpBody(Order, c.WhichFollowUp):
    """The question about the report to take back; may be left out, for only one is open at a time."""

    command = c.WithdrawFollowUp


class EndDeadline(Order, c.WhichQuestion):
    """End a running deadline now; of the deadline `information`, that of the question, or of the oldest open one."""

    command = c.DeadlineReached

    name: DeadlineName


def _check_open(row: RequestRecord) -> None:
    """Another submission must not be on its way. Raises Problem `submission_under_way`."""
    try:
        requests.check_editable(row)
    except NotEditableError as error:
        raise policy.closed(error) from None


async def _frozen(at: Moment) -> FormVersion:
    now, call = at.head["sent_at"], at.call
    return await forms.freeze_form(
        at.session, call.request_id, command_id=call.command_id, frozen_by=call.caller.id, now=now
    )


async def _described(
    at: Moment, attachment_ids: Collection[UUID], described: Mapping[UUID, Description]
) -> dict[UUID, Description]:
    """What is said of attachments that go along, now or before: it stays with what was sent. They must be of this request.

    Raises Problem `unknown_attachment`.
    """
    there = {attachment.id: attachment for attachment in await attachments.list_attachments(at.session, at.row.id)}
    if not there.keys() >= {*attachment_ids} or not {*attachment_ids} >= described.keys():
        raise Problem("unknown_attachment")
    for id_, description in described.items():
        attachments.describe(there[id_], description)
    said = {id_: attachments.description_of(there[id_]) for id_ in attachment_ids}
    return {id_: description for id_, description in said.items() if description != UNDESCRIBED}


async def check_takes_over(session: AsyncSession, wanted: SomebodyElse, caller: Caller, holder_id: UUID) -> None:
    """Check that what that person holds may go there, before anything is done for it.

    Raises Problem `unknown_provider`, also for the holder, `unknown_clinic`, or `clinic_not_routed` to who dispatches.
    """
    if wanted.dispatch:
        return
    to = await _destination(session, wanted.provider_id, wanted.clinic_id)
    if wanted.provider_id == holder_id:
        raise Problem("unknown_provider")
    own = await people.load_clinic(session, caller.clinic_id) if Role.DISPATCHER in caller.roles else None
    if own is not None and not policy.may_route_to(own, to.clinic_id):
        raise Problem("clinic_not_routed")


async def _destination(session: AsyncSession, provider_id: UUID | None, clinic_id: UUID | None) -> Person | c.Pool:
    if provider_id is not None:
        return await _provider(session, provider_id)
    if clinic_id is None or not await people.load_clinic(session, clinic_id):
        raise Problem("unknown_clinic")
    return c.Pool(clinic_id=clinic_id)


async def _check_route(at: Moment, to: Person | c.Pool) -> None:
    """The dispatchers of the request must route to that clinic. Raises Problem `clinic_not_routed`."""
    dispatching = await people.load_clinic(at.session, at.row.dispatch_clinic_id)
    if dispatching is None or not policy.may_route_to(dispatching, to.clinic_id):
        raise Problem("clinic_not_routed")


async def _check_is_elsewhere(at: Moment, to: Person | c.Pool) -> None:
    """The pool of a clinic for which a partner's system answers is that system: it must not have the request already, or would be
    asked nothing and wait for nothing. Raises Refusal `already_assigned`.
    """
    holder = at.request.holder
    if isinstance(to, Person) or holder.kind is not HolderKind.PROVIDER or holder.clinic_id != to.clinic_id:
        return
    if await partners.that_performs(at.session, to.clinic_id) == holder.id:
        raise Refusal(RefusalCode.ALREADY_ASSIGNED, "the clinic's system has it already")


async def _check_is_open_to(at: Moment, to: Person | c.Pool) -> None:
    """The request must not be shut to whom it is given; of a pool, not to all. Raises Problem `restricted_for_them`."""
    if await _is_shut_to_holder(at, Holder.provider(to) if isinstance(to, Person) else Holder.pool(to.clinic_id)):
        raise Problem("restricted_for_them")


async def _is_shut_to_holder(at: Moment, holder: Holder) -> bool:
    return await restrictions.is_shut_to_holder(at.session, at.row.id, holder)


async def _is_covered(at: Moment, signer: Person) -> bool:
    return await restrictions.is_open_to_one(at.session, at.row.id, signer.clinic_id, Role.PROVIDER)


def _names(to: Person | c.Pool | Literal["dispatch"], provider_id: UUID | None, clinic_id: UUID | None) -> bool:
    """Whether these are the ids of that destination."""
    if to == "dispatch":
        return provider_id is None and clinic_id is None
    return to.id == provider_id if isinstance(to, Person) else to.clinic_id == clinic_id


async def _provider(session: AsyncSession, account_id: UUID) -> Person:
    account = await people.load_account(session, account_id)
    if account is None or not account.active or Role.PROVIDER not in account.roles:
        raise Problem("unknown_provider")
    return Person(id=account.id, clinic_id=account.clinic_id)
