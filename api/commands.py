"""The commands of a request, one address each. All go the same way: see `carry_out`."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError, to_jsonable_python
from sqlalchemy.ext.asyncio import AsyncSession

from api.parameters import ExpectedVersion, IdempotencyKey, ReaderLanguage
from api.problems import FieldError, field_errors
from domain import commands as c
from domain import lifecycle
from domain.drafts import check_carried_over
from domain.model import Said, Storable
from domain.offerings import DeadlineName, FieldProblem, check_answers, check_attachments
from domain.photos import PhotoWarning
from domain.priority import Priority
from domain.refusals import Refusal, RefusalCode
from domain.requests import Actor, FormVersion, Person, Request, Role, Source, Status
from records import attachments, forms, people, refusals, requests
from records import commands as ledger
from records.drafts import is_withdrawn, open_form, outdated_answers
from records.errors import NotEditableError
from records.models import RequestRecord
from translations import Language, gettext_for
from translations import gettext_noop as _
from use_cases import commands as use_cases
from use_cases import gate, policy
from use_cases.caller import Caller
from use_cases.given_commands import CommandView, read_command
from use_cases.patients import RecordedPatient, check_patient
from use_cases.printable import check_printable, check_texts
from use_cases.problems import Problem, field_faults
from use_cases.services import Services
from use_cases.views import View
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(prefix="/requests/{request_id}", tags=["commands"])


class CommandReceipt(View):
    """What became of a command. `queued` (202): it is durable and acts as soon as a worker is back."""

    request_id: UUID
    command_id: str
    state: Literal["done", "queued"]
    status: Status
    version: int
    allowed_commands: list[str]


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


class Check(View):
    """What stands in the way of submitting the form as it is now (`errors`), and what is only worth a look (`advice`)."""

    errors: list[FieldError]
    advice: list[PhotoAdvice]
    text_advice: list[TextAdvice]


_PHOTO_WARNINGS: Mapping[str, str] = {
    "too_small": _("This photo is small: details can hardly be seen."),
    "blurred": _("This photo looks blurred."),
}


_PRINTED_AS_CODES = _(
    "The signed report can't print these signs: %(characters)s. Their codes will stand in their place; "
    "what you wrote stays in the attached data."
)


class Body(BaseModel):
    """What a command says besides who and when."""

    model_config = ConfigDict(extra="forbid")


class AssignBody(Body):
    """Either a provider, or a clinic: then its whole pool."""

    provider_id: UUID | None = Field(None, examples=["01a20528-2326-771d-b244-f33a25c63e64"])
    clinic_id: UUID | None = Field(None, description="Assign to the pool of this clinic.")
    comment: Said | None = Field(None, examples=["Une collègue qui connaît ce patient."])

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.provider_id is None) == (self.clinic_id is None):
            raise PydanticCustomError("provider_or_clinic", _("Name either provider_id or clinic_id."))
        return self


class TransferBody(Body):
    """A colleague of the same clinic."""

    provider_id: UUID = Field(examples=["01a20528-2326-771d-b244-f33a25c63e64"])
    comment: Said | None = Field(None, examples=["Je suis en congé demain."])


class QuestionBody(Body):
    """A question to the requester."""

    text: Said = Field(examples=["Depuis quand la lésion saigne-t-elle ?"])


class AnswerBody(Body):
    """The answer to an open question; `question_id` may be left out while just one is open."""

    question_id: UUID | None = None
    text: Said = Field(examples=["Depuis trois semaines."])
    attachment_ids: list[UUID] = Field([], max_length=50)


class WithdrawBody(Body):
    """The question to take back; may be left out while just one is open."""

    question_id: UUID | None = Field(None, examples=["01a20528-2326-771d-b244-f33a25c63e64"])


class ReturnToRequesterBody(Body):
    """One of the two reasons, and a text."""

    reason: c.ReturnReason = Field(examples=["incomplete_submission"])
    text: Said = Field(examples=["Les photos sont floues."])


class CommentBody(Body):
    """A comment for the dispatchers."""

    comment: Said = Field(examples=["Plutôt un chirurgien."])


class ReasonBody(Body):
    """Why."""

    reason: Said = Field(examples=["Le patient est guéri."])


class PriorityBody(Body):
    """The new priority, and why."""

    priority: Priority = Field(examples=["urgent"])
    reason: Said = Field(examples=["La lésion saigne."])


class OutcomeBody(Body):
    """What became of the patient; every answer is optional."""

    advice_followed: Literal["yes", "partly", "no"] | None = Field(None, examples=["yes"])
    visit_avoided: StrictBool | None = None
    comment: Said | None = None


class AcknowledgeBody(Body):
    """What the requester tells the provider at the end."""

    outcome: OutcomeBody | None = None


class DeadlineBody(Body):
    """Which question's deadline, for the deadline `information`; the oldest open one if empty."""

    question_id: UUID | None = Field(None, examples=["01a20528-2326-771d-b244-f33a25c63e64"])


@dataclass(frozen=True)
class Call:
    """One call of a command's address: who calls, on which request, with which command id, having seen which version.

    `seen_offering` is the version of the offering whose form the caller saw, where a page says so.
    """

    services: Services
    caller: Caller
    request_id: UUID
    command_id: str
    expected_version: int | None
    language: Language
    response: Response
    seen_offering: int | None = None


async def _call(
    request_id: UUID,
    services: ServicesOf,
    caller: CallerOf,
    key: IdempotencyKey,
    expected_version: ExpectedVersion,
    language: ReaderLanguage,
    response: Response,
) -> Call:
    return Call(services, caller, request_id, caller.command_id(key), expected_version, language, response)


CallOf = Annotated[Call, Depends(_call)]

Prepare = Callable[[AsyncSession, RequestRecord, Request, Actor], Awaitable[tuple[Request, dict[str, Any]]]]
"""Looks up and writes what a command needs beforehand: gives the state to start from, and the command's own fields."""

_Give = Callable[[], Awaitable[RequestRecord | None]]
"""Gives a command that is written down to its workflow: the row that shows what came of it, or None when that comes later."""


async def carry_out(
    call: Call,
    command: type[c.BaseCommand],
    said: dict[str, Any],
    prepare: Prepare | None = None,
    *,
    freezes: bool = False,
) -> CommandReceipt:
    """The way of every command: may the caller see the request, may they give the command, then to the workflow, and back.

    One transaction, with the request's row locked, checks all this, freezes what the command refers to and writes it down: from
    then on its end can be looked up. `said` is what the body says, under the names of the command's fields; without `prepare`
    these are the fields. The key makes a repetition harmless: it answers as the first time. A refusal is written down.

    A command that is legal only after others that are on their way stands behind them; not so one that `freezes` something, for
    that is in the records only when they have happened.
    """
    call.response.headers["Location"] = f"/api/v1/requests/{call.request_id}/commands/{call.command_id}"
    try:
        async with call.services.database.session() as session:
            row = await policy.request_to_command(session, call.caller, call.request_id)
            request = requests.process_of(row)
            if call.command_id in request.commands_taken:
                await _same_as_before(session, call, command, said)
                return _receipt(call, row, request)
            give = await _repeated(session, call, request, command, said)
            if give is None:
                give = await _write_down(session, call, row, command, said, prepare, freezes)
    except Refusal as refusal:
        await _note_refusal(call, command, refusal)
        raise
    try:
        shown = await give()
    except gate.EngineUnreachableError as error:
        raise Problem("engine_unreachable") from error
    except gate.NotYetError as error:
        raise policy.not_yet() from error
    except gate.EngineFaultError as error:
        raise Problem("internal_error") from error
    if shown is None:
        call.response.status_code = 202
        return _receipt(call, row, request, state="queued")
    return _receipt(call, shown, requests.process_of(shown))


def _receipt(
    call: Call, row: RequestRecord, request: Request, state: Literal["done", "queued"] = "done"
) -> CommandReceipt:
    call.response.headers["ETag"] = f'"{row.version}"'
    return CommandReceipt(
        request_id=row.id,
        command_id=call.command_id,
        state=state,
        status=request.status,
        version=row.version,
        allowed_commands=policy.allowed_commands(call.caller, row, request),
    )


async def came_before(call: Call) -> bool:
    """Whether this very command was taken already, or is on its way: `carry_out` answers it as the first time."""
    async with call.services.database.session() as session:
        row = await requests.load_request(session, call.request_id)
        given = await ledger.load_command(session, call.request_id, call.command_id)
    is_on_its_way = given is not None and given.settled_at is None
    return is_on_its_way or (row is not None and call.command_id in requests.process_of(row).commands_taken)


async def _repeated(
    session: AsyncSession, call: Call, request: Request, command: type[c.BaseCommand], said: dict[str, Any]
) -> _Give | None:
    """Where the key came before and that command is on its way: gives the same one once more."""
    before = await ledger.load_command(session, request.id, call.command_id)
    if before is None or before.settled_at is not None:
        return None
    _must_be_the_same(before.command, command, said)
    before.given_at = datetime.now(UTC)  # from now on its end is what this try learns
    return partial(use_cases.repeat, call.services, request, before)


async def _write_down(
    session: AsyncSession,
    call: Call,
    row: RequestRecord,
    command: type[c.BaseCommand],
    said: dict[str, Any],
    prepare: Prepare | None,
    freezes: bool,
) -> _Give:
    """Check a new command, freeze what it refers to, and write it down. Raises Refusal or Problem; then nothing has changed."""
    request = requests.process_of(row)
    actor, state = await _place(session, call, row, request, command)
    is_behind = state is not request
    if is_behind and freezes:
        raise policy.not_yet()
    if call.expected_version not in (None, row.version):
        raise Refusal(RefusalCode.VERSION_CONFLICT, f"the request has version {row.version}")
    start, fields = await prepare(session, row, request, actor) if prepare else (request, said)
    if not lifecycle.counts_while_signing(command) and await ledger.is_being_signed(session, row.id):
        raise policy.not_yet()  # it would be refused, for a document is being made then
    now = datetime.now(UTC)
    given = c.PUBLIC_COMMAND.validate_python(
        {
            "type": command.model_fields["type"].default,
            "id": call.command_id,
            "actor": actor,
            "sent_at": now,
            "expected_version": state.version if call.expected_version is not None else None,
            **fields,
        }
    )
    await ledger.write_down(session, row, given, account_id=call.caller.id, now=now)
    return partial(use_cases.give, call.services, start, given, given_at=now, is_behind=is_behind)


async def _place(
    session: AsyncSession, call: Call, row: RequestRecord, request: Request, command: type[c.BaseCommand]
) -> tuple[Actor, Request]:
    """Who the caller is in this command, and the state in which it is legal: that of the records, or the one to be expected."""
    try:
        actor = policy.actor_for(call.caller, command, request)
        lifecycle.check_allowed(request, command, actor)
    except Refusal as refusal:
        expected = await ledger.expected_state(session, row, datetime.now(UTC))
        if expected is None:
            raise
        if actor_then := _may_give(call, command, expected):
            return actor_then, expected
        says_wait = refusal.code is RefusalCode.REPORT_BEING_SIGNED
        if not says_wait and _may_give(call, command, ledger.when_signed(expected, datetime.now(UTC))):
            raise policy.not_yet() from None  # it is signed, and its document takes its time
        raise refusal from None
    return actor, request


def _may_give(call: Call, command: type[c.BaseCommand], state: Request) -> Actor | None:
    with suppress(Refusal):
        actor = policy.actor_for(call.caller, command, state)
        lifecycle.check_allowed(state, command, actor)
        return actor
    return None


async def _same_as_before(
    session: AsyncSession, call: Call, command: type[c.BaseCommand], said: dict[str, Any]
) -> None:
    """The key came before: it must have been for the same command. Raises Problem `idempotency_key_reused`."""
    events = await requests.timeline(session, call.request_id)
    before = next((event.command for event in events if event.command_id == call.command_id), {})
    _must_be_the_same(before, command, said)


def _must_be_the_same(before: dict[str, Any], command: type[c.BaseCommand], said: dict[str, Any]) -> None:
    same_kind = before.get("type") == command.model_fields["type"].default
    if not same_kind or not _says(before, to_jsonable_python(said)):
        raise Problem("idempotency_key_reused")


def _says(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether a command said before what is said now. A question that is not named now is the one that was open."""
    return all(
        _says(before.get(name) or {}, value) if isinstance(value, dict) else before.get(name) == value
        for name, value in now.items()
        if (name, value) != ("question_id", None)
    )


async def _note_refusal(call: Call, command: type[c.BaseCommand], refusal: Refusal) -> None:
    async with call.services.database.session() as session:
        await refusals.note_refusal(
            session,
            request_id=call.request_id,
            command_id=call.command_id,
            name=command.model_fields["type"].default,
            code=refusal.code,
            actor_id=call.caller.id,
            source=Source.UPDATE,
            at=datetime.now(UTC),
        )


@router.get("/commands/{command_id}", summary="What became of a command")
async def get_command(
    request_id: UUID,
    command_id: Annotated[Storable, Path(max_length=120)],
    caller: CallerOf,
    services: ServicesOf,
    language: ReaderLanguage,
) -> CommandView:
    """For the one who gave it, from the moment at which it was written down: queued, done, or refused and why.

    A signature is done when its document is there. A command that the engine never got (503) is not known.
    """
    return await read_command(services, caller, request_id, command_id, language)


@router.get("/check", summary="What is missing to submit")
async def check(request_id: UUID, caller: CallerOf, services: ServicesOf, language: ReaderLanguage) -> Check:
    """For the requester, while the form can be changed: what `submit` or `resubmit` would refuse now, and advice about photos."""
    async with services.database.session() as session:
        row = await policy.own_form_to_edit(session, caller, request_id)
        if is_withdrawn(services.versions, row):
            return Check(errors=[_withdrawn(language)], advice=[], text_advice=[])
        problems = await _missing(session, services, row)
        unprintable = await _unprintable(session, services, row)
        there = await attachments.list_attachments(session, row.id)
    say = gettext_for(language)
    return Check(
        errors=field_errors(field_faults(problems), language),
        advice=[
            PhotoAdvice(attachment_id=photo.id, slot=photo.slot, code=code, message=say(_PHOTO_WARNINGS[code]))
            for photo in there
            for code in photo.warnings
        ],
        text_advice=[
            TextAdvice(
                field=problem.field,
                code="not_printable",
                characters=problem.characters,
                message=say(_PRINTED_AS_CODES) % {"characters": problem.characters},
            )
            for problem in unprintable
        ],
    )


@router.post("/submit", summary="Submit a draft", responses={202: {"model": CommandReceipt}})
async def submit(call: CallOf) -> CommandReceipt:
    """Freeze the form and send the request to dispatch (or to the pool, where the offering dispatches automatically).

    What is missing is named, field by field, in a 422 `form_incomplete`. Where the offering has changed since the form was read,
    a submission with If-Match answers 412 `version_conflict`: look at the form again, then it can be sent.
    """

    async def prepare(
        session: AsyncSession, row: RequestRecord, request: Request, actor: Actor
    ) -> tuple[Request, dict[str, Any]]:
        _check_open(row)
        if row.form_priority is Priority.STAT:
            raise Refusal(RefusalCode.STAT_REFUSED, "an emergency")
        had = request.terms.offering_version
        offering = await open_form(session, call.services.versions, row)
        if is_withdrawn(call.services.versions, row):
            raise Problem("offering_withdrawn")
        await _check_complete(session, call, row)
        if call.expected_version is not None and offering.version != (call.seen_offering or had):
            raise Refusal(RefusalCode.VERSION_CONFLICT, "the offering's form has changed; look at it again")
        request = await requests.renew_terms(session, row, offering.terms)
        return request, {"form": await _freeze(session, call), "priority": row.form_priority}

    return await carry_out(call, c.Submit, {}, prepare, freezes=True)


@router.post("/assign", summary="Route to a provider or to a clinic's pool", responses={202: {"model": CommandReceipt}})
async def assign(body: AssignBody, call: CallOf) -> CommandReceipt:
    """For dispatchers: to one provider, or to all providers of a clinic, of which the first who accepts gets it."""

    async def prepare(
        session: AsyncSession, row: RequestRecord, request: Request, actor: Actor
    ) -> tuple[Request, dict[str, Any]]:
        dispatching = await people.load_clinic(session, row.dispatch_clinic_id)
        to: Person | c.Pool
        if body.provider_id is not None:
            to = await _provider(session, body.provider_id)
        elif body.clinic_id is not None and await people.load_clinic(session, body.clinic_id):
            to = c.Pool(clinic_id=body.clinic_id)
        else:
            raise Problem("unknown_clinic")
        if dispatching is None or not policy.may_route_to(dispatching, to.clinic_id):
            raise Problem("clinic_not_routed")
        return request, {"to": to, "comment": body.comment}

    clinic = {"clinic_id": body.clinic_id} if body.clinic_id else {}
    said = {"to": {"id": body.provider_id, **clinic}, "comment": body.comment}
    return await carry_out(call, c.Assign, said, prepare)


@router.post("/accept", summary="Accept", responses={202: {"model": CommandReceipt}})
async def accept(call: CallOf) -> CommandReceipt:
    """Take the request over. Of a pool, the first gets it; the others get a 409 `already_accepted`."""
    return await carry_out(call, c.Accept, {})


@router.post("/transfer", summary="Transfer to a colleague", responses={202: {"model": CommandReceipt}})
async def transfer(body: TransferBody, call: CallOf) -> CommandReceipt:
    """To another provider of the same clinic. An unsigned report draft goes along."""

    async def prepare(
        session: AsyncSession, row: RequestRecord, request: Request, actor: Actor
    ) -> tuple[Request, dict[str, Any]]:
        return request, {"to": await _provider(session, body.provider_id), "comment": body.comment}

    said = {"to": {"id": body.provider_id}, "comment": body.comment}
    return await carry_out(call, c.Transfer, said, prepare)


@router.post("/request-information", summary="Ask the requester", responses={202: {"model": CommandReceipt}})
async def request_information(body: QuestionBody, call: CallOf) -> CommandReceipt:
    """Ask a question, before or after accepting. The clocks of acceptance and report stand still until it is answered."""
    return await carry_out(call, c.RequestInformation, {"text": body.text})


@router.post("/answer-information", summary="Answer a question", responses={202: {"model": CommandReceipt}})
async def answer_information(body: AnswerBody, call: CallOf) -> CommandReceipt:
    """Answer an open question, with more photos if need be (upload them first)."""

    async def prepare(
        session: AsyncSession, row: RequestRecord, request: Request, actor: Actor
    ) -> tuple[Request, dict[str, Any]]:
        expected = await ledger.expected_state(session, row, datetime.now(UTC))
        if expected and not any(body.question_id in (None, question.id) for question in expected.questions):
            raise Problem("answer_under_way")
        there = {attachment.id for attachment in await attachments.list_attachments(session, row.id)}
        if not there.issuperset(body.attachment_ids):
            raise Problem("unknown_attachment")
        return request, body.model_dump()

    return await carry_out(call, c.AnswerInformation, body.model_dump(), prepare)


@router.post(
    "/withdraw-information-request", summary="Take a question back", responses={202: {"model": CommandReceipt}}
)
async def withdraw_information_request(call: CallOf, body: WithdrawBody | None = None) -> CommandReceipt:
    """The clocks go on when no question is open any more."""
    return await carry_out(call, c.WithdrawInformationRequest, (body or WithdrawBody()).model_dump())


@router.post("/return-to-requester", summary="Return to the requester", responses={202: {"model": CommandReceipt}})
async def return_to_requester(body: ReturnToRequesterBody, call: CallOf) -> CommandReceipt:
    """With one of the two reasons of the guide and a text. The requester cancels, or changes the form and resubmits."""
    return await carry_out(call, c.ReturnToRequester, body.model_dump())


@router.post("/return-to-dispatch", summary="Return to dispatch", responses={202: {"model": CommandReceipt}})
async def return_to_dispatch(body: CommentBody, call: CallOf) -> CommandReceipt:
    """With a comment for the dispatchers."""
    return await carry_out(call, c.ReturnToDispatch, body.model_dump())


@router.post("/resubmit", summary="Resubmit", responses={202: {"model": CommandReceipt}})
async def resubmit(call: CallOf) -> CommandReceipt:
    """Freeze the form as it stands now and send it to the provider who returned it, or to dispatch."""

    async def prepare(
        session: AsyncSession, row: RequestRecord, request: Request, actor: Actor
    ) -> tuple[Request, dict[str, Any]]:
        _check_open(row)
        await _check_complete(session, call, row)
        return request, {"form": await _freeze(session, call), "priority": row.form_priority}

    return await carry_out(call, c.Resubmit, {}, prepare, freezes=True)


@router.post("/cancel", summary="Cancel", responses={202: {"model": CommandReceipt}})
async def cancel(body: ReasonBody, call: CallOf) -> CommandReceipt:
    """End the request without a report; whoever held it is told."""
    return await carry_out(call, c.Cancel, body.model_dump())


@router.post("/change-priority", summary="Change the priority", responses={202: {"model": CommandReceipt}})
async def change_priority(body: PriorityBody, call: CallOf) -> CommandReceipt:
    """The running deadline starts anew with the new priority's limit."""
    return await carry_out(call, c.ChangePriority, body.model_dump())


@router.post("/acknowledge", summary="Acknowledge the report", responses={202: {"model": CommandReceipt}})
async def acknowledge(call: CallOf, body: AcknowledgeBody | None = None) -> CommandReceipt:
    """The requester has read the final report: the request is closed. Outcome questions are optional."""
    return await carry_out(call, c.Acknowledge, (body or AcknowledgeBody()).model_dump())


@router.post("/deadlines/{name}", summary="Trigger a time-out", responses={202: {"model": CommandReceipt}})
async def deadline(name: DeadlineName, call: CallOf, body: DeadlineBody | None = None) -> CommandReceipt:
    """For operators and their schedulers: end a running deadline now. What its end brings is in the table of deadlines.

    Guard it with If-Match, so that a late trigger does not end a deadline that has begun anew.
    """
    policy.must_have_role(call.caller, Role.OPERATOR)
    return await carry_out(call, c.DeadlineReached, {"name": name, "question_id": body.question_id if body else None})


async def _check_complete(session: AsyncSession, call: Call, row: RequestRecord) -> None:
    if problems := await _missing(session, call.services, row):
        raise Problem("form_incomplete", field_faults(problems))


async def _missing(session: AsyncSession, services: Services, row: RequestRecord) -> tuple[FieldProblem, ...]:
    offering = await open_form(session, services.versions, row)
    counts = await attachments.count_by_slot(session, row.id)
    return (
        *check_patient(RecordedPatient.model_validate(row.form["patient"])),
        *check_answers(offering.form, row.form["answers"], complete=True),
        *check_attachments(offering, counts),
        *check_carried_over(outdated_answers(row), offering, counts if row.status is Status.DRAFT else {}),
    )


async def _unprintable(session: AsyncSession, services: Services, row: RequestRecord) -> tuple[FieldProblem, ...]:
    patient = RecordedPatient.model_validate(row.form["patient"])
    offering = await services.versions.of(session, row)
    names = {f"patient.{name}": text for name, text in patient.lines.items()}
    return (*check_texts(names), *check_printable(offering.form, row.form["answers"]))


def _withdrawn(language: Language) -> FieldError:
    problem = Problem("offering_withdrawn")
    return FieldError(field="offering", code=problem.code, message=problem.told(language))


def _check_open(row: RequestRecord) -> None:
    """Another submission must not be on its way. Raises Problem `submission_under_way`."""
    try:
        requests.check_editable(row)
    except NotEditableError as error:
        raise policy.closed(error) from None


async def _freeze(session: AsyncSession, call: Call) -> FormVersion:
    return await forms.freeze_form(
        session, call.request_id, command_id=call.command_id, frozen_by=call.caller.id, now=datetime.now(UTC)
    )


async def _provider(session: AsyncSession, account_id: UUID) -> Person:
    account = await people.load_account(session, account_id)
    if account is None or not account.active or Role.PROVIDER not in account.roles:
        raise Problem("unknown_provider")
    return Person(id=account.id, clinic_id=account.clinic_id)
