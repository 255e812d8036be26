"""What a partner's message asks for, done: a new request, a change, a cancellation, something said.

Each step stands under an id that is made of the message's, so doing a message a second time does nothing anew. It is done by the
same ways as people's (`drafts`, `new_attachments`, `commands`), for the person whom the message is taken to be from.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from domain.calendar import day_of
from domain.messages import MessageEvent
from domain.model import MAX_SHORT_TEXT
from domain.offerings import ServiceOffering, check_answers
from domain.priority import Priority
from domain.refusals import Refusal, RefusalCode
from domain.requests import Status
from records import partners, references, requests
from records.models import Json, Partner, RequestRecord
from translations import Language, gettext_for, language_named
from translations import gettext_noop as _
from use_cases import completeness, drafts, new_attachments
from use_cases.attended import Attended
from use_cases.caller import Caller
from use_cases.commands import Call, CommandReceipt, Order, carry_out, see_through
from use_cases.drafts import DraftChanges, NewDraft
from use_cases.orders import AdditionBody, AnswerBody, FollowUpBody, ReasonBody, Resubmit, Submit
from use_cases.partners import asking, asking_again
from use_cases.patients import Patient
from use_cases.problems import FieldFault, Problem
from use_cases.services import Services

MAX_REFERENCE = 100
MAX_LINE = 20_000
MOST_FILES = 50


@dataclass(frozen=True)
class Line:
    """Something that a message says and the form does not ask, under the name that it has there."""

    label: str
    text: str


@dataclass(frozen=True)
class InlineFile:
    """A file that lies in a message."""

    title: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Said:
    """What a message says, whatever its dialect.

    `known_as`: by what the partner knows the request, the first being its name. `services`: how it calls the service that it
    asks, by codes or names. `answers` are those to a form of ours, by `answers_to` (its code). `elsewhere` are files of which
    only an address is given.
    """

    event: MessageEvent
    message_id: str
    known_as: tuple[str, ...] = ()
    author: str = ""
    organization: str = ""
    licences: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    priority: Priority = Priority.ROUTINE
    patient: Mapping[str, Any] = field(default_factory=dict)
    question: str = ""
    answers: Mapping[str, Any] = field(default_factory=dict)
    answers_to: str = ""
    lines: tuple[Line, ...] = ()
    text: str = ""
    files: tuple[InlineFile, ...] = ()
    elsewhere: tuple[Line, ...] = ()
    is_test: bool = False


@dataclass(frozen=True)
class Done:
    """What became of a message: the request that it is about, and who may see it."""

    request_id: UUID
    caller: Caller


FILES_NOT_TAKEN = frozenset(
    {
        *("unsupported_media", "too_large", "unknown_slot", "slot_of_another_kind", "damaged_media", "truncated_media"),
        *(
            "document_too_long",
            "media_protected",
            "several_frames",
            "no_picture",
            "unknown_encoding",
            "too_many_pixels",
        ),
        *("media_too_slow", "media_too_demanding"),
    }
)
"""Why a file is left out of a request that is taken all the same; people are told so."""


def command_id(partner: Partner, message_id: str) -> str:
    """The id of the command that a message gives: the message acts once."""
    return f"fhir:{partner.account_id}:{message_id}"


async def act(services: Services, caller: Caller, partner: Partner, said: Said, attended: Attended) -> Done:
    """Do what a message asks. Raises Problem or Refusal, as the ways do that people have; `not_found` for a request that the
    partner has not sent.
    """
    if said.priority is Priority.STAT:
        raise Refusal(RefusalCode.STAT_REFUSED, "an emergency")
    at = _Way(services, partner, said, attended, language_named(partner.language))
    if said.event is MessageEvent.ADD_REQUEST:
        return await at.add(await asking(services, caller, partner, said.licences))
    row = await _request_meant(services, caller, said)
    mine = await asking_again(services, caller, row.requester_id)
    if await at.is_given(mine, row.id):
        return Done(row.id, mine)
    match said.event:
        case MessageEvent.UPDATE_REQUEST:
            await at.update(mine, row)
        case MessageEvent.REVOKE_REQUEST:
            await at.revoke(mine, row)
        case _:
            await at.tell(mine, row)
    return Done(row.id, mine)


async def _request_meant(services: Services, caller: Caller, said: Said) -> RequestRecord:
    """The request that the partner's system has sent under one of these names. Raises Problem `not_found`."""
    system = caller.actual_id
    async with services.database.session() as session:
        for name in said.known_as:
            found = await session.scalar(references.referred_to(session, name, caller.clinic_id, system))
            row = await requests.load_request(session, found) if found else None
            if row is not None and row.status is not Status.DRAFT:
                return row
    raise Problem("not_found")


@dataclass(frozen=True)
class _Way:
    services: Services
    partner: Partner
    said: Said
    attended: Attended
    language: Language

    def call(self, caller: Caller, request_id: UUID) -> Call:
        return Call(caller, request_id, command_id(self.partner, self.said.message_id), as_received=True)

    async def is_given(self, caller: Caller, request_id: UUID) -> bool:
        """Whether the message's command was given before, and is done. Raises as `give` does."""
        receipt = await see_through(self.services, self.call(caller, request_id))
        return receipt is not None and _is_done(receipt)

    async def add(self, caller: Caller) -> Done:
        """A new request, submitted."""
        offering = self.services.offering(self._offering())
        form = _fitted(self.said, offering)
        reference = next((name for name in self.said.known_as if len(name) <= MAX_REFERENCE), None)
        if reference is None:
            raise Problem("invalid_input", [FieldFault("reference", "required")])
        draft = NewDraft(
            offering=offering.code,
            clinic=self.partner.dispatch_clinic_id,
            priority=self.said.priority,
            patient=form.patient,
            answers=form.answers,
            reference=reference,
        )
        key = command_id(self.partner, self.said.message_id)
        made = (await drafts.create_draft(self.services, caller, draft, key, self.language)).id
        if not await self.is_given(caller, made):
            kept = await self._add_files(caller, made)
            await self._note(caller, made, form.lines, kept.not_taken)
            await self.give(caller, made, Submit())
        return Done(made, caller)

    async def update(self, caller: Caller, row: RequestRecord) -> None:
        """A returned request is submitted again with what it says now; to one that is under way, what changed is added."""
        async with self.services.database.session() as session:
            offering = await self.services.versions.of(session, row)
        form = _fitted(self.said, offering)
        if row.status is not Status.RETURNED:
            await self._tell_changes(caller, row, form)
            return
        patient = Patient.model_validate({**row.form["patient"], **form.given})
        answers = {**row.form["answers"], **form.answers}
        changes = DraftChanges(
            priority=self.said.priority, patient=patient, answers=answers, offering_version=offering.version
        )
        await drafts.change_draft(self.services, caller, row.id, changes, None, self.language)
        kept = await self._add_files(caller, row.id)
        await self._note(caller, row.id, form.lines, kept.not_taken)
        await self.give(caller, row.id, Resubmit())

    async def _tell_changes(self, caller: Caller, row: RequestRecord, form: "_Form") -> None:
        """What a changed message says otherwise than the form, as something added to the request."""
        before = row.form
        say = gettext_for(self.language)
        told = [
            f"{name.replace('_', ' ')}: {value}"
            for name, value in form.given.items()
            if value and before["patient"].get(name) != value
        ]
        told += [
            text for name, text in form.answers.items() if isinstance(text, str) and text != before["answers"].get(name)
        ]
        told += [f"{line.label}: {line.text}" for line in form.lines]
        if self.said.priority is not row.priority:
            asked = say(_("Priority asked for"))
            told.append(f"{asked}: {self.said.priority.value}")
        kept = await self._add_files(caller, row.id)
        if not told and not kept.ids:
            return
        text = "\n".join([say(_("The requester’s system has sent a change:")), *told])
        await self.give(caller, row.id, AdditionBody(text=_whole(text), attachment_ids=kept.ids))

    async def revoke(self, caller: Caller, row: RequestRecord) -> None:
        """Cancelled, while no provider has accepted it; after that, whoever has it is asked to end it."""
        say = gettext_for(self.language)
        reason = self.said.text or self.said.question or say(_("Revoked by the requester’s system."))
        order: Order = ReasonBody(reason=_whole(reason))
        if row.status is Status.ACCEPTED:
            wish = say(_("The requester asks to cancel this request."))
            order = AdditionBody(text=_whole(f"{wish}\n{reason}"))
        await self.give(caller, row.id, order)

    async def tell(self, caller: Caller, row: RequestRecord) -> None:
        """What the requester says: the answer to what is asked, a question about the report, or more about the patient."""
        process = requests.process_of(row)
        text = self._text_of(caller)
        if row.status in (Status.REPORTED, Status.CLOSED):
            await self.give(caller, row.id, FollowUpBody(text=text))
            return
        ids = (await self._add_files(caller, row.id)).ids
        if process.questions:
            oldest = process.questions[0].id
            await self.give(caller, row.id, AnswerBody(question_id=oldest, text=text, attachment_ids=ids))
        else:
            await self.give(caller, row.id, AdditionBody(text=text, attachment_ids=ids))

    def _text_of(self, caller: Caller) -> str:
        """What is said; with who says it, where that is not the person for whom the system speaks."""
        told = [self.said.text, *(f"{line.label}: {line.text}" for line in self.said.elsewhere)]
        text = "\n".join(part for part in told if part)
        if not text and not self.said.files:
            raise Problem("invalid_input", [FieldFault("payload", "required")])
        text = text or gettext_for(self.language)(_("See the attached files."))
        name = " ".join((caller.account.given_name, caller.account.family_name))
        is_other = self.said.author and name.casefold() not in self.said.author.casefold()
        return _whole(f"{self.said.author}: {text}" if is_other else text)

    async def give(self, caller: Caller, request_id: UUID, order: Order) -> None:
        """Give the command. Raises Problem `engine_unreachable` where it waits for a worker: then it is not done yet."""
        _is_done(await carry_out(self.services, self.call(caller, request_id), order))

    def _offering(self) -> str:
        """Which offering is meant. Raises Problem `unknown_offering`."""
        known = {name.casefold(): code for name, code in self.partner.offerings.items()}
        for name in self.said.services:
            if code := known.get(name.casefold()):
                return str(code)
        own = next(
            (code for name in self.said.services if (code := name.replace(".", "_")) in self.services.offerings), None
        )
        found = own or self.partner.default_offering
        if found is None:
            raise Problem("unknown_offering", offerings=sorted(self.services.offerings))
        return found

    async def _add_files(self, caller: Caller, request_id: UUID) -> "_Kept":
        """Keep the files of the message as uploads are kept; which could not be taken, and why."""
        ids, refused = [], []
        for number, file in enumerate(self.said.files[:MOST_FILES]):
            key = f"{command_id(self.partner, self.said.message_id)}:{number}"
            try:
                place = await new_attachments.place_for(self.services, caller, request_id, key)
                sent = new_attachments.SentFile(io.BytesIO(file.content), file.title, "")
                ids.append((await new_attachments.add(self.services, caller, place, sent, self.attended)).id)
            except Problem as problem:
                if problem.code not in FILES_NOT_TAKEN:
                    raise
                refused.append(Line(file.title, problem.code))
        return _Kept(tuple(ids), tuple(refused))

    async def _note(self, caller: Caller, request_id: UUID, lines: Sequence[Line], not_taken: Sequence[Line]) -> None:
        """Write down beside the form who wrote the message, what it says besides, and what the form lacks."""
        found = await completeness.check(self.services, caller, request_id)
        missing = [[fault.field, fault.code] for fault in found.errors]
        async with self.services.database.session() as session:
            row = await requests.lock_request(session, request_id)
            if not row.form["patient"].get("health_insurance_number"):
                missing.append(["patient.health_insurance_number", "required"])
            row.is_test = self.said.is_test
            content: Json = {
                "author": self.said.author,
                "organization": self.said.organization,
                "identifier": self.said.known_as[0] if self.said.known_as else "",
                "missing": missing,
                "lines": [[line.label, line.text] for line in lines],
                "elsewhere": [[line.label, line.text] for line in self.said.elsewhere],
                "not_taken": [[line.label, line.text] for line in not_taken],
                "edits": row.edits,
            }
            await partners.note_received(session, request_id, self.partner.account_id, content)


@dataclass(frozen=True)
class _Kept:
    ids: tuple[UUID, ...]
    not_taken: tuple[Line, ...]


@dataclass(frozen=True)
class _Form:
    """A form as far as a message fills it in. `given`: what it says of the patient; `lines`: what has no place there."""

    patient: Patient
    given: Mapping[str, Any]
    answers: Mapping[str, Any]
    lines: tuple[Line, ...]


def _fitted(said: Said, offering: ServiceOffering) -> _Form:
    """What a message says, put into the form of an offering. What does not fit stands beside it: nothing is left out."""
    patient, lines = _patient(said)
    answers: dict[str, Any] = {}
    if said.answers_to == offering.code:
        names = {field_.name for field_ in offering.form}
        for name, answer in said.answers.items():
            wrong = check_answers(offering.form, {name: answer}, complete=False, today=day_of(datetime.now(UTC)))
            if name in names and not wrong:
                answers[name] = answer
            else:
                lines.append(Line(name, str(answer)))
    elif said.answers:
        lines += [Line(name, str(answer)) for name, answer in said.answers.items()]
    asked = next((one for one in offering.form if offering.question(one)), None)
    if said.question and asked is not None and asked.name not in answers and len(said.question) <= asked.max_length:
        answers[asked.name] = said.question
    elif said.question:
        lines.insert(0, Line("reasonCode", said.question))
    given = {name: value for name, value in patient.model_dump(mode="json").items() if value}
    whole = tuple(Line(line.label, line.text[:MAX_LINE]) for line in (*lines, *said.lines))
    return _Form(patient, given, answers, whole)


def _patient(said: Said) -> tuple[Patient, list[Line]]:
    """The patient as far as what is said can be taken, and what can't."""
    given = dict(said.patient)
    lines: list[Line] = []
    for _round in range(len(given)):
        try:
            return Patient.model_validate(given), lines
        except ValidationError as error:
            for name in {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}:
                lines.append(Line(name, str(given.pop(name, ""))))
    return Patient.model_validate(given), lines


def _is_done(receipt: CommandReceipt) -> bool:
    """Raises Problem `engine_unreachable` for what waits for a worker."""
    if receipt.state == "queued":
        raise Problem("engine_unreachable")
    return True


def _whole(text: str) -> str:
    """Raises Problem `invalid_input` for what is longer than what can be said at once: nothing is left out unseen."""
    if len(text) > MAX_SHORT_TEXT:
        excess = len(text) - MAX_SHORT_TEXT
        raise Problem("invalid_input", [FieldFault("payload", "too_long", limit=MAX_SHORT_TEXT, excess=excess)])
    return text
