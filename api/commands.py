"""The commands of a request, one address each, and what became of each: see `use_cases.commands`."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response
from pydantic import Field

from api.parameters import ExpectedVersion, IdempotencyKey, ReaderLanguage
from api.problems import FieldError, field_errors
from domain.commands import WhichQuestion
from domain.health_insurance import HealthNumberWarning
from domain.model import Storable
from domain.offerings import DeadlineName
from domain.photos import PhotoWarning
from domain.sex import Sex
from translations import gettext_for
from translations.problems import PHOTO_WARNINGS, health_number_sentence
from use_cases import completeness, operations
from use_cases.commands import Call, CommandReceipt, Order, carry_out
from use_cases.given_commands import CommandView, read_command
from use_cases.orders import (
    Accept,
    AcknowledgeBody,
    AdditionBody,
    AnswerBody,
    AssignBody,
    CommentBody,
    ConfirmReading,
    EndDeadline,
    FollowUpAnswerBody,
    FollowUpBody,
    PriorityBody,
    QuestionBody,
    ReadForRequester,
    ReasonBody,
    ReassignBody,
    Resubmit,
    ReturnToRequesterBody,
    Submit,
    TakeBack,
    TransferBody,
    WithdrawBody,
    WithdrawFollowUpBody,
)
from use_cases.services import Services
from use_cases.views import View
from web.services import ServicesOf
from web.session import CallerOf, DraftWriter, Submitter

router = APIRouter(prefix="/requests/{request_id}", tags=["commands"])

R = TypeVar("R", bound=CommandReceipt)


class PhotoAdvice(View):
    """Why a photo is probably of no use. It stops nothing."""

    attachment_id: UUID
    slot: str
    code: PhotoWarning
    message: str


class TextAdvice(View):
    """What of a text the signed report can't print as it was written. It stops nothing: the patient comes first."""

    field: str = Field(examples=["patient.given_name"])
    code: Literal["not_printable"]
    characters: str = Field(examples=["🙂 (U+1F642)"])
    message: str


class PatientAdvice(View):
    """What of the health-insurance number does not fit the name, the birth date or the sex. It stops nothing."""

    field: Literal["patient.health_insurance_number"] = "patient.health_insurance_number"
    code: HealthNumberWarning
    message: str


class PatientSuggestion(View):
    """What the health-insurance number says of the patient and the form does not: to be sent with the patient, if it is right.

    What is empty, the number does not say anew. Of a patient who may be newly born or a hundred years old, there are two.
    """

    source: Literal["patient.health_insurance_number"] = "patient.health_insurance_number"
    birth_date: str | None = Field(examples=["1958-03-14"])
    sex: Sex | None


class OpenRequest(View):
    """A request that is open already about the same patient and offering."""

    id: UUID
    number: str = Field(examples=["TC-2026-000123"])


class Check(View):
    """What stands in the way of submitting the form as it is now (`errors`), and what is only worth a look (`advice`)."""

    errors: list[FieldError]
    advice: list[PhotoAdvice]
    text_advice: list[TextAdvice]
    patient_advice: list[PatientAdvice]
    patient_suggestions: list[PatientSuggestion]
    open_requests: list[OpenRequest] = Field(
        description="What is open already about probably the same patient, for the same offering, where the caller may see it."
    )
    unchanged: bool = Field(description="Of a returned request: it would be submitted just as it was the last time.")


class DeadlineBody(WhichQuestion):
    """Which question's deadline, for the deadline `information`; the oldest open one if empty."""


@dataclass(frozen=True)
class Given:
    """A call of a command's address, and the answer that it gets."""

    services: Services
    call: Call
    response: Response

    async def carry_out(self, order: Order) -> CommandReceipt:
        """Give the command: 200 with what came of it, or 202 when that comes later; where to ask is in Location."""
        return self.answer(await carry_out(self.services, self.call, order))

    def answer(self, receipt: R) -> R:
        """The answer's status and headers by the receipt."""
        self.response.headers["Location"] = f"/api/v1/requests/{receipt.request_id}/commands/{receipt.command_id}"
        self.response.headers["ETag"] = f'"{receipt.version}"'
        if receipt.state == "queued":
            self.response.status_code = 202
        return receipt


async def _given(
    request_id: UUID,
    services: ServicesOf,
    caller: CallerOf,
    key: IdempotencyKey,
    expected_version: ExpectedVersion,
    response: Response,
) -> Given:
    return Given(services, Call(caller, request_id, caller.command_id(key), expected_version), response)


GivenBy = Annotated[Given, Depends(_given)]


async def _submitted(
    request_id: UUID,
    services: ServicesOf,
    caller: Submitter,
    key: IdempotencyKey,
    expected_version: ExpectedVersion,
    response: Response,
) -> Given:
    return Given(services, Call(caller, request_id, caller.command_id(key), expected_version), response)


SubmittedBy = Annotated[Given, Depends(_submitted)]
"""The same for what a clinic's system may give for a person."""


@router.get("/commands/{command_id}", summary="What became of a command")
async def get_command(
    request_id: UUID,
    command_id: Annotated[Storable, Path(max_length=120)],
    caller: Submitter,
    services: ServicesOf,
    language: ReaderLanguage,
) -> CommandView:
    """For the one who gave it, from the moment at which it was written down: queued, done, or refused and why.

    A signature is done when its document is there. A command that the engine never got (503) is not known.
    """
    return await read_command(services, caller, request_id, command_id, language)


@router.get("/check", summary="What is missing to submit")
async def check(request_id: UUID, caller: DraftWriter, services: ServicesOf, language: ReaderLanguage) -> Check:
    """For the requester, while the form can be changed: what `submit` or `resubmit` would refuse now, and advice about photos."""
    found = await completeness.check(services, caller, request_id)
    say = gettext_for(language)
    return Check(
        unchanged=found.unchanged,
        open_requests=[OpenRequest(id=id_, number=number) for id_, number in found.open_requests],
        patient_advice=[
            PatientAdvice(code=code, message=health_number_sentence(code, found.issuer, language))
            for code in found.patient_advice
        ],
        patient_suggestions=[PatientSuggestion(birth_date=one.birth_date, sex=one.sex) for one in found.suggestions],
        errors=field_errors(found.errors, language),
        advice=[
            PhotoAdvice(
                attachment_id=advice.photo.id,
                slot=advice.photo.slot,
                code=advice.warning,
                message=say(PHOTO_WARNINGS[advice.warning]),
            )
            for advice in found.advice
        ],
        text_advice=[
            TextAdvice(
                field=fault.field,
                code="not_printable",
                characters=fault.characters or "",
                message=fault.told(language),
            )
            for fault in found.text_advice
        ],
    )


@router.post("/submit", summary="Submit a draft", responses={202: {"model": CommandReceipt}})
async def submit(given: SubmittedBy) -> CommandReceipt:
    """Freeze the form and send the request to dispatch (or to the pool, where the offering dispatches automatically).

    What is missing is named, field by field, in a 422 `form_incomplete`. Where the offering has changed since the form was read,
    a submission with If-Match answers 412 `version_conflict`: look at the form again, then it can be sent.
    """
    return await given.carry_out(Submit())


@router.post("/assign", summary="Route to a provider or to a clinic's pool", responses={202: {"model": CommandReceipt}})
async def assign(body: AssignBody, given: GivenBy) -> CommandReceipt:
    """For dispatchers: to one provider, or to all providers of a clinic, of which the first who accepts gets it."""
    return await given.carry_out(body)


@router.post(
    "/reassign", summary="Take from the holder and hand to somebody else", responses={202: {"model": CommandReceipt}}
)
async def reassign(body: ReassignBody, given: GivenBy) -> CommandReceipt:
    """For dispatchers, and for administrators of the holder's clinic inside that clinic, where whoever holds the request is away.

    To a provider, to all providers of a clinic, or back to dispatch, with a reason. An unsigned report draft, open questions and
    clocks go along, also that of the report where somebody had accepted the request; the former holder is told.
    """
    return await given.carry_out(body)


@router.post("/accept", summary="Accept", responses={202: {"model": CommandReceipt}})
async def accept(given: GivenBy) -> CommandReceipt:
    """Take the request over. Of a pool, the first gets it; the others get a 409 `already_accepted`."""
    return await given.carry_out(Accept())


@router.post("/take-back", summary="Take back what one has just done", responses={202: {"model": CommandReceipt}})
async def take_back(given: GivenBy) -> CommandReceipt:
    """Within ten seconds, whoever has accepted or assigned the request takes it back: all is as it was before, also its clock.

    Only while nothing else has happened to it. Whose e-mail had gone is told; the others hear of neither. A question is taken
    back with `withdraw-information-request`, at any time.
    """
    return await given.carry_out(TakeBack())


@router.post("/transfer", summary="Transfer to a colleague", responses={202: {"model": CommandReceipt}})
async def transfer(body: TransferBody, given: GivenBy) -> CommandReceipt:
    """To another provider of the same clinic. An unsigned report draft goes along."""
    return await given.carry_out(body)


@router.post("/request-information", summary="Ask the requester", responses={202: {"model": CommandReceipt}})
async def request_information(body: QuestionBody, given: GivenBy) -> CommandReceipt:
    """Ask a question, before or after accepting. The clocks of acceptance and report stand still until it is answered."""
    return await given.carry_out(body)


@router.post("/answer-information", summary="Answer a question", responses={202: {"model": CommandReceipt}})
async def answer_information(body: AnswerBody, given: GivenBy) -> CommandReceipt:
    """Answer an open question, with more photos if need be (upload them first)."""
    return await given.carry_out(body)


@router.post("/add-information", summary="Tell more without being asked", responses={202: {"model": CommandReceipt}})
async def add_information(body: AdditionBody, given: GivenBy) -> CommandReceipt:
    """For the requester, while the request is with dispatch or a provider, who is told. With `worse` that it gets worse.

    More photos go with it as with an answer: upload them first.
    """
    return await given.carry_out(body)


@router.post(
    "/withdraw-information-request", summary="Take a question back", responses={202: {"model": CommandReceipt}}
)
async def withdraw_information_request(given: GivenBy, body: WithdrawBody | None = None) -> CommandReceipt:
    """The clocks go on when no question is open any more."""
    return await given.carry_out(body or WithdrawBody())


@router.post("/return-to-requester", summary="Return to the requester", responses={202: {"model": CommandReceipt}})
async def return_to_requester(body: ReturnToRequesterBody, given: GivenBy) -> CommandReceipt:
    """With one of the two reasons of the guide and a text. The requester cancels, or changes the form and resubmits."""
    return await given.carry_out(body)


@router.post("/return-to-dispatch", summary="Return to dispatch", responses={202: {"model": CommandReceipt}})
async def return_to_dispatch(body: CommentBody, given: GivenBy) -> CommandReceipt:
    """With a comment for the dispatchers."""
    return await given.carry_out(body)


@router.post("/resubmit", summary="Resubmit", responses={202: {"model": CommandReceipt}})
async def resubmit(given: SubmittedBy) -> CommandReceipt:
    """Freeze the form as it stands now and send it to the provider who returned it, or to dispatch."""
    return await given.carry_out(Resubmit())


@router.post("/cancel", summary="Cancel", responses={202: {"model": CommandReceipt}})
async def cancel(body: ReasonBody, given: GivenBy) -> CommandReceipt:
    """End the request without a report; whoever held it is told.

    Refused with `urgent_report_unread` until somebody has confirmed the reading of a report that says “send without delay”.
    """
    return await given.carry_out(body)


@router.post("/change-priority", summary="Change the priority", responses={202: {"model": CommandReceipt}})
async def change_priority(body: PriorityBody, given: GivenBy) -> CommandReceipt:
    """The running deadline starts anew with the new priority's limit."""
    return await given.carry_out(body)


@router.post("/acknowledge", summary="Acknowledge the report", responses={202: {"model": CommandReceipt}})
async def acknowledge(given: GivenBy, body: AcknowledgeBody | None = None) -> CommandReceipt:
    """The requester has read the final report: the request is closed. Outcome questions are optional."""
    return await given.carry_out(body or AcknowledgeBody())


@router.post("/confirm-reading", summary="An urgent report was read", responses={202: {"model": CommandReceipt}})
async def confirm_reading(given: GivenBy) -> CommandReceipt:
    """A report that says “send the patient without delay” was read, and is acted on: its clock, which calls every hour, ends.

    For the requester; for the dispatchers, and the administrators of the requester's clinic, who are told where it is not read in
    time. `acknowledge` by the requester says so as well, and closes the request.
    """
    return await given.carry_out(ConfirmReading())


@router.post(
    "/read-for-requester", summary="A report was read for its requester", responses={202: {"model": CommandReceipt}}
)
async def read_for_requester(given: GivenBy) -> CommandReceipt:
    """A report that its requester has not read was read in their place, and is seen to. The request stays as it is.

    For the other requesters and the administrators of their clinic, once `report_unread` is true: after 3 days, or after a
    business day while the requester is away. Its requester is told. Otherwise refused with `nothing_unread`.
    """
    return await given.carry_out(ReadForRequester())


@router.post("/ask-follow-up", summary="Ask about the report", responses={202: {"model": CommandReceipt}})
async def ask_follow_up(body: FollowUpBody, given: GivenBy) -> CommandReceipt:
    """A question of the requester about the final report, which stays as it is: two at most, one after the other, within 30 days.

    Also when the request is closed. Whoever signed the report has 3 business days to answer, by a text or by an addendum.
    """
    return await given.carry_out(body)


@router.post("/answer-follow-up", summary="Answer about the report", responses={202: {"model": CommandReceipt}})
async def answer_follow_up(body: FollowUpAnswerBody, given: GivenBy) -> CommandReceipt:
    """Answer the open question about the report. For who signed it; for a provider of their clinic while they are away.

    To answer by an addendum, sign one with the question's id as `follow_up_id`.
    """
    return await given.carry_out(body)


@router.post("/deadlines/{name}", summary="Trigger a time-out", responses={202: {"model": CommandReceipt}})
async def deadline(name: DeadlineName, given: GivenBy, body: DeadlineBody | None = None) -> CommandReceipt:
    """For operators and their schedulers: end a running deadline now. What its end brings is in the table of deadlines.

    Guard it with If-Match, so that a late trigger does not end a deadline that has begun anew.
    """
    order = EndDeadline(name=name, question_id=body.question_id if body else None)
    return given.answer(await operations.end_deadline(given.services, given.call, order))


@router.post(
    "/withdraw-follow-up", summary="Take back a question about the report", responses={202: {"model": CommandReceipt}}
)
async def withdraw_follow_up(given: GivenBy, body: WithdrawFollowUpBody | None = None) -> CommandReceipt:
    """While nobody has answered it. Whoever was asked is told; what was taken back does not count as asked."""
    return await given.carry_out(body or WithdrawFollowUpBody())
