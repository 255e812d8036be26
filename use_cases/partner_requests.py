"""What a partner's message asks for, done: a new request, a change, a cancellation, something said.

Each step stands under an id that is made of the message's, so doing a message a second time does nothing anew. It is done by the
same ways as people's (`drafts`, `new_attachments`, `commands`), for the person whom the message is taken to be from.
"""

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError

from domain.calendar import day_of
from domain.commands import Outside
from domain.events import question_id
from domain.messages import MessageEvent
from domain.model import MAX_SHORT_TEXT
from domain.offerings import ServiceOffering
from domain.priority import Priority
from domain.refusals import Refusal, RefusalCode
from domain.requests import EventName, Status
from domain.same_patient import is_surely_another
from domain.told_partners import command_id_of, word_id
from records import attachments, partners, references, requests, restrictions
from records.models import Json, Partner, RequestRecord
from translations import Language, gettext_for, language_named
from translations import gettext_noop as _
from use_cases import completeness, drafts, new_attachments
from use_cases.answers import entries
from use_cases.attended import Attended
from use_cases.caller import Caller
from use_cases.commands import Call, CommandReceipt, Order, carry_out, must_be_allowed, see_through
from use_cases.drafts import DraftChanges, NewDraft
from use_cases.orders import AdditionBody, AnswerBody, FollowUpBody, ReasonBody, Resubmit, Submit
from use_cases.partner_messages import locked
from use_cases.partners import as_matched, asking, asking_again
from use_cases.places import NoVerdictProblem
from use_cases.problems import FieldFault, Problem, input_faults
from use_cases.received_forms import Fitted, changes, fitted, lines_told, merged
from use_cases.said import MOST_NAMES, InlineFile, Line, OrderName, Said
from use_cases.services import Services

M = TypeVar("M", bound=BaseModel)

MOST_FILES = 50
MOST_TRIES = 3
"""So often a file is tried whose examination ends without a verdict; then it is left out."""

_LOOKS_AT_MOST = 5
"""So often a request is looked at anew that moves on while it is being cancelled."""


@dataclass(frozen=True)
class Done:
    """What became of a message: the request that it is about, and who may see it."""

    request_id: UUID
    caller: Caller


FILES_NOT_TAKEN = frozenset(
    {
        *("unsupported_media", "too_large", "unknown_slot", "slot_of_another_kind", "damaged_media", "truncated_media"),
        *("document_too_long", "media_protected", "several_frames", "no_picture", "unknown_encoding"),
        *("too_many_pixels", "media_too_slow", "media_too_demanding", "videos_not_possible"),
    }
)
"""Why a file is left out of a request that is taken all the same; people are told so."""


@dataclass(frozen=True)
class LeftFile:
    """A file that was left out: its title, the code of why, and the numbers that belong to it."""

    title: str
    code: str
    numbers: Mapping[str, float]

    @property
    def kept(self) -> list[Any]:
        """As it is kept beside the form, see `use_cases.received`."""
        return [self.title, self.code, dict(self.numbers)]

    def is_among(self, kept: Sequence[Sequence[Any]]) -> bool:
        """Whether people have been told of it."""
        return any([self.title, self.code] == list(one[:2]) for one in kept)

    def told(self, language: Language) -> str:
        """The title, and why, in that language."""
        return f"{self.title} – {Problem(self.code, (), **self.numbers).told(language)}"


def command_id(partner: Partner, message_id: str) -> str:
    """The id of the command that a message gives: the message acts once."""
    return command_id_of(partner.account_id, message_id)


async def act(
    services: Services, caller: Caller, partner: Partner, said: Said, attended: Attended, tries: int = 1
) -> Done:
    """Do what a message asks, at the try of that number. Raises Problem or Refusal, as the ways do that people have.

    It is `not_found` for a request that the partner's system has not sent, or that is shut to it, `several_requests` where more
    than one is meant,
    `other_patient` and `test_differs` where what is said can't be of that request.
    """
    if said.priority is Priority.STAT:
        raise Refusal(RefusalCode.STAT_REFUSED, "an emergency")
    if len(said.files) > MOST_FILES:
        excess = len(said.files) - MOST_FILES
        raise Problem("invalid_input", [FieldFault("payload", "too_many_attachments", limit=MOST_FILES, excess=excess)])
    at = Way(services, partner, said, attended, language_named(partner.language), tries)
    if said.event is MessageEvent.ADD_REQUEST:
        return await at.add(caller)
    row = await _request_meant(services, caller, said)
    async with services.database.session() as session:
        if await restrictions.shuts_out(session, row.id, caller.actual_id):
            raise Problem("not_found")
    mine = await asking_again(services, caller, row.requester_id)
    left: Sequence[LeftFile] = ()
    if not await at.is_given(mine, row.id):
        await _must_be_of(services, row, said)
        match said.event:
            case MessageEvent.UPDATE_REQUEST:
                left = await at.update(mine, row)
            case MessageEvent.REVOKE_REQUEST:
                await at.revoke(mine, row)
            case _:
                await at.tell(mine, row)
    if said.event is MessageEvent.UPDATE_REQUEST:
        await at.keep_said(row, left)
    return Done(row.id, mine)


async def request_spoken_of(services: Services, caller: Caller, said: Said) -> UUID | None:
    """The request that a message is about which is not done; None where it can't be told, or is none that the system has sent."""
    try:
        return (await _request_meant(services, caller, said)).id
    except (Problem, Refusal):
        return None


async def _request_meant(services: Services, caller: Caller, said: Said) -> RequestRecord:
    """The one request that all the names lead to, which the partner's system has sent.

    Raises Problem `not_found` where one of them leads nowhere, and `several_requests`.
    """
    found: dict[UUID, RequestRecord] = {}
    for name in said.names[: MOST_NAMES + 1]:
        row = await _own_request(services, caller, name)
        if row is None or row.status is Status.DRAFT:
            raise Problem("not_found")
        found[row.id] = row
    if not found:
        raise Problem("not_found")
    if len(found) > 1 or len(said.names) > MOST_NAMES:
        raise Problem("several_requests")
    return next(iter(found.values()))


async def _own_request(services: Services, caller: Caller, name: OrderName) -> RequestRecord | None:
    """The request that the calling system has made itself and calls so. A reference can be given to others' requests as well.

    Raises Problem `several_requests` for an id that two orders have had.
    """
    system = caller.actual_id
    async with services.database.session() as session:
        found = await session.scalar(references.referred_to(session, name.reference, caller.clinic_id, system))
        if found is None and name.order_id is not None:
            of_order = await partners.requests_of_order(session, system, name.order_id)
            if len(of_order) > 1:
                raise Problem("several_requests")
            found = next(iter(of_order), None)
        row = await requests.load_request(session, found) if found else None
    return row if row is not None and row.system_id == system else None


async def _must_be_of(services: Services, row: RequestRecord, said: Said) -> None:
    """What is said must be able to be of that request. Raises Problem `test_differs` or `other_patient`."""
    if said.is_test != row.is_test:
        raise Problem("test_differs")
    async with services.database.session() as session:
        received = await partners.received(session, row.id)
    known = [row.form["patient"], *([received.content["said"]["patient"]] if received else [])]
    if is_surely_another(said.patient, known):
        raise Problem("other_patient")


@dataclass(frozen=True)
class Way:
    """What does one message of a partner, in the partner's language."""

    services: Services
    partner: Partner
    said: Said
    attended: Attended
    language: Language
    tries: int

    def call(self, caller: Caller, request_id: UUID, expected_version: int | None = None) -> Call:
        id_ = command_id(self.partner, self.said.message_id)
        said = self.said
        outside = Outside(word=said.word) if said.word is not None else None
        return Call(caller, request_id, id_, expected_version, as_received=True, told_by=said.author, outside=outside)

    async def is_given(self, caller: Caller, request_id: UUID) -> bool:
        """Whether the message's command was given before, and is done. Raises as `give` does."""
        receipt = await see_through(self.services, self.call(caller, request_id))
        return receipt is not None and is_done(receipt)

    async def add(self, caller: Caller) -> Done:
        """A new request, submitted. A draft that an earlier message has left goes on instead of a second one.

        Raises Problem `reference_taken` for an order that was sent before, and `not_yet` while another message brings it.
        """
        if not self.said.names:
            raise Problem("invalid_input", [FieldFault("reference", "required")])
        async with locked(self.services, f"order:{caller.actual_id}:{self.said.names[0].reference}"):
            return await self._add(caller)

    async def _add(self, caller: Caller) -> Done:
        row = await _own_request(self.services, caller, self.said.names[0])
        mine = await self._writer(caller, row) if row is not None else None
        if row is None or mine is None:
            mine = await asking(self.services, caller, self.partner, self.said.author, self.said.licences)
            offering = self.services.offering(self._offering())
            id_ = await self._begin(mine, offering)
        else:
            id_ = row.id
            async with self.services.database.session() as session:
                offering = await self.services.versions.of(session, row)
        if not await self.is_given(mine, id_):
            if row is not None and row.status is not Status.DRAFT:
                raise Problem("reference_taken")
            form = self._fitted(offering)
            if row is not None and id_ == row.id:
                await self._fill_in(mine, row, form, offering)
            kept = await self._add_files(mine, id_)
            await self._note(mine, id_, form, kept.not_taken, is_new=True)
            await self.give(mine, id_, Submit())
        return Done(id_, mine)

    async def _writer(self, caller: Caller, row: RequestRecord) -> Caller | None:
        """Who goes on with a request that is there already: its requester. None for a draft whose requester can't any more.

        That draft loses its name to the one that is begun instead.
        """
        is_left = row.status is Status.DRAFT and row.submission_id is None
        if row.status is not Status.DRAFT and row.creation_key != command_id(self.partner, self.said.message_id):
            raise Problem("reference_taken")
        try:
            return await asking_again(self.services, caller, row.requester_id)
        except Problem:
            if not is_left:
                raise
        async with self.services.database.session() as session:
            await references.refer(session, row.id, caller.actual_id, None)
        return None

    async def _begin(self, caller: Caller, offering: ServiceOffering) -> UUID:
        form = self._fitted(offering)
        draft = valid(
            NewDraft,
            offering=offering.code,
            clinic=self.partner.dispatch_clinic_id,
            priority=self.said.priority or Priority.ROUTINE,
            patient=form.patient,
            answers=form.answers,
            reference=self.said.names[0].reference,
        )
        key = command_id(self.partner, self.said.message_id)
        made = (await drafts.create_draft(self.services, caller, draft, key, self.language)).id
        async with self.services.database.session() as session:
            await partners.note_request(session, self.partner.account_id, self.said.message_id, made)
        return made

    async def _fill_in(self, caller: Caller, row: RequestRecord, form: Fitted, offering: ServiceOffering) -> None:
        """Put what is said now into a form that is there. What the message does not say stays.

        Raises Refusal `version_conflict` when somebody has changed the form since it was read: then it is for the next try.
        """
        changed = valid(
            DraftChanges,
            priority=self.said.priority,
            patient=merged(row.form["patient"], form.given),
            answers={**row.form["answers"], **form.answers},
            offering_version=offering.version,
        )
        await drafts.change_draft(self.services, caller, row.id, changed, row.version, self.language)

    async def update(self, caller: Caller, row: RequestRecord) -> Sequence[LeftFile]:
        """A returned request is submitted again with what it says now; to one that is under way, what changed is added.

        Gives the files that could not be taken.
        """
        form, offering = await self._form_of(row)
        if row.status is not Status.RETURNED:
            return await self._tell_changes(caller, row, form, offering)
        await must_be_allowed(self.services, self.call(caller, row.id), Resubmit)
        await self._fill_in(caller, row, form, offering)
        kept = await self._add_files(caller, row.id)
        await self._note(caller, row.id, form, kept.not_taken)
        await self.give(caller, row.id, Resubmit())
        return kept.not_taken

    async def keep_said(self, row: RequestRecord, left: Sequence[LeftFile]) -> None:
        """Keep what the message says now beside the form, and the files that were `left` out: for who reads it, and to compare
        the next one with.
        """
        form, _offering = await self._form_of(row)
        async with self.services.database.session() as session:
            await requests.lock_request(session, row.id)
            received = await partners.received(session, row.id)
            if received is not None:
                before = received.content["not_taken"]
                files = [*before, *(file.kept for file in left if not file.is_among(before))]
                now = {**received.content, **self._content(form), "not_taken": files}
                await partners.note_received(session, row.id, self.partner.account_id, now, self.said.order_id)

    async def _form_of(self, row: RequestRecord) -> tuple[Fitted, ServiceOffering]:
        async with self.services.database.session() as session:
            offering = await self.services.versions.of(session, row)
        return self._fitted(offering), offering

    def _fitted(self, offering: ServiceOffering) -> Fitted:
        return fitted(self.said, offering, self.language, day_of(datetime.now(UTC)))

    async def _tell_changes(
        self, caller: Caller, row: RequestRecord, form: Fitted, offering: ServiceOffering
    ) -> Sequence[LeftFile]:
        """What a changed message says otherwise than the one before, as something added to the request."""
        await must_be_allowed(self.services, self.call(caller, row.id), AdditionBody)
        async with self.services.database.session() as session:
            received = await partners.received(session, row.id)
        before = received.content if received is not None else _as_filled_in(row)
        told = changes(before, form, self.said, offering, row.priority, self.language)
        whole(told)
        kept = await self._add_files(caller, row.id)
        left = [file for file in kept.not_taken if not file.is_among(before["not_taken"])]
        text = told or (self._say(_("See the attached files.")) if kept.ids else "")
        text = "\n".join(part for part in (text, *self._not_taken_told(left)) if part)
        if text:
            await self.give(caller, row.id, valid(AdditionBody, text=whole(text), attachment_ids=kept.ids))
        return left

    async def revoke(self, caller: Caller, row: RequestRecord) -> None:
        """Cancelled, while no provider has accepted it; after that, whoever has it is asked to end it.

        It is cancelled as it was seen: when somebody accepts it meanwhile, it is looked at anew.
        """
        reason = self.said.text or self._say(_("Revoked by the requester’s system."))
        for _look in range(_LOOKS_AT_MOST):
            if row.status is Status.ACCEPTED:
                wish = self._say(_("The requester asks to cancel this request."))
                await self.give(caller, row.id, valid(AdditionBody, text=whole(f"{wish}\n{reason}")))
                return
            try:
                await self.give(caller, row.id, valid(ReasonBody, reason=whole(reason)), row.version)
            except Refusal as refusal:
                if refusal.code is not RefusalCode.VERSION_CONFLICT:
                    raise
            else:
                return
            async with self.services.database.session() as session:
                row = await requests.load_request(session, row.id) or row
        raise Problem("not_yet")

    async def tell(self, caller: Caller, row: RequestRecord) -> None:
        """What the requester says: the answer to what is asked, a question about the report, or more about the patient."""
        if row.status in (Status.REPORTED, Status.CLOSED):
            if self.said.files:
                raise Problem("not_editable")  # nothing can be attached any more
            text = self._text_of(caller, _Kept())
            await self.give(caller, row.id, valid(FollowUpBody, text=text))
            return
        question = await self._question_meant(row)
        await must_be_allowed(self.services, self.call(caller, row.id), AnswerBody if question else AdditionBody)
        if self._told():
            self._text_of(caller, _Kept())  # too long, it is refused before anything is kept
        kept = await self._add_files(caller, row.id)
        text = self._text_of(caller, kept)
        if question is not None:
            order: Order = valid(AnswerBody, question_id=question, text=text, attachment_ids=kept.ids)
        else:
            order = valid(AdditionBody, text=text, attachment_ids=kept.ids)
        await self.give(caller, row.id, order)

    async def _question_meant(self, row: RequestRecord) -> UUID | None:
        """Which open question is answered: the one that is named, else the oldest; None where none is open.

        Raises Problem `several_requests` for a word of another request, and Refusal `no_such_question`.
        """
        is_open = [question.id for question in requests.process_of(row).questions]
        if not self.said.replies_to:
            return is_open[0] if is_open else None
        places = [place for place in self.said.replies_to if isinstance(place, tuple)]
        if any(place[0] != row.id for place in places):
            raise Problem("several_requests")
        versions = {place[1] for place in places}
        async with self.services.database.session() as session:
            events = await requests.timeline(session, row.id)
        asked = {
            question_id(row.id, event.command_id)
            for event in events
            if event.name is EventName.INFORMATION_REQUESTED
            and (event.version in versions or word_id(row.id, event.version) in self.said.replies_to)
        }
        meant = [question for question in is_open if question in asked]
        if is_open and len(meant) != 1:
            raise Refusal(RefusalCode.NO_SUCH_QUESTION, "the message replies to something else")
        return meant[0] if meant else None

    def _told(self) -> str:
        """All that the message says in words."""
        said = self.said
        answers = [Line(entry.label, entry.value) for entry in entries((), said.answers, self.language)]
        lines = lines_told([*answers, *said.lines, *said.elsewhere, *said.left_out], self.language)
        return "\n".join(part for part in (said.text, *lines) if part)

    def _text_of(self, caller: Caller, kept: "_Kept") -> str:
        """What is said; with who says it, where that is not the person for whom the system speaks.

        Raises Problem for what says nothing, and why the file was not taken where there was nothing but that.
        """
        text = self._told()
        if not text and not kept.is_anything:
            raise _says_nothing(kept)
        text = "\n".join((text or self._say(_("See the attached files.")), *self._not_taken_told(kept.not_taken)))
        name = " ".join((caller.account.given_name, caller.account.family_name))
        is_other = self.said.author and name.casefold() not in self.said.author.casefold()
        return whole(f"{self.said.author}: {text}" if is_other else text)

    def _not_taken_told(self, files: Iterable[LeftFile]) -> list[str]:
        return [f"{self._say(_('A file could not be taken:'))} {file.told(self.language)}" for file in files]

    def _say(self, text: str) -> str:
        return gettext_for(self.language)(text)

    async def give(self, caller: Caller, request_id: UUID, order: Order, expected_version: int | None = None) -> None:
        """Give the command. Raises Problem `engine_unreachable` where it waits for a worker: then it is not done yet."""
        is_done(await carry_out(self.services, self.call(caller, request_id, expected_version), order))

    def _offering(self) -> str:
        """Which offering is meant. Raises Problem `unknown_offering`."""
        known = {as_matched(name): code for name, code in self.partner.offerings.items()}
        for name in self.said.services:
            if code := known.get(as_matched(name)):
                return str(code)
        own = next(
            (code for name in self.said.services if (code := name.replace(".", "_")) in self.services.offerings), None
        )
        found = own or self.partner.default_offering
        if found is None:
            raise Problem("unknown_offering", offerings=sorted(self.services.offerings))
        return found

    async def _add_files(self, caller: Caller, request_id: UUID) -> "_Kept":
        """Keep the files of the message as uploads are kept, each once in a request; which could not be taken, and why."""
        if not self.said.files:
            return _Kept()
        async with self.services.database.session() as session:
            there = {one.sha256 for one in await attachments.list_attachments(session, request_id)}
        ids, refused, has_known = [], [], False
        for number, file in enumerate(self.said.files):
            key = f"{command_id(self.partner, self.said.message_id)}:{number}"
            place = await new_attachments.place_for(self.services, caller, request_id, key)
            digest = hashlib.sha256(file.content).hexdigest()
            if place.there is None and digest in there:
                has_known = True
                continue
            try:
                ids.append(await self._add_file(caller, place, file))
                there.add(digest)
            except NoVerdictProblem:
                if self.tries < MOST_TRIES:
                    raise
                refused.append(LeftFile(file.title, "media_too_demanding", {}))
            except Problem as problem:
                if problem.code not in FILES_NOT_TAKEN:
                    raise
                refused.append(LeftFile(file.title, problem.code, _numbers(problem.members)))
        return _Kept(tuple(ids), tuple(refused), has_known)

    async def _add_file(self, caller: Caller, place: new_attachments.NewPlace, file: InlineFile) -> UUID:
        sent = new_attachments.SentFile(io.BytesIO(file.content), file.title, "")
        return (await new_attachments.add(self.services, caller, place, sent, self.attended)).id

    async def _note(
        self, caller: Caller, request_id: UUID, form: Fitted, not_taken: Sequence[LeftFile], *, is_new: bool = False
    ) -> None:
        """Write down beside the form who wrote the message, what it says besides, and what the form lacks."""
        found = await completeness.check(self.services, caller, request_id)
        missing = [[fault.field, fault.code] for fault in found.errors]
        async with self.services.database.session() as session:
            row = await requests.lock_request(session, request_id)
            if not row.form["patient"].get("health_insurance_number"):
                missing.append(["patient.health_insurance_number", "required"])
            if is_new:
                row.is_test = self.said.is_test
            name = self.said.names[0]
            content: Json = {
                **self._content(form),
                "identifier": {"system": name.system, "value": name.value},
                "missing": missing,
                "not_taken": [file.kept for file in not_taken],
                "edits": row.edits,
            }
            await partners.note_received(session, request_id, self.partner.account_id, content, self.said.order_id)

    def _content(self, form: Fitted) -> Json:
        return {
            "author": self.said.author,
            "organization": self.said.organization,
            "lines": [[line.label, line.text] for line in form.lines],
            "elsewhere": [[line.label, line.text] for line in self.said.elsewhere],
            "said": form.kept(self.said),
        }


@dataclass(frozen=True)
class _Kept:
    """Files that were kept, and that were not; `has_known` where the request had one already."""

    ids: tuple[UUID, ...] = ()
    not_taken: tuple[LeftFile, ...] = ()
    has_known: bool = False

    @property
    def is_anything(self) -> bool:
        """Whether some file of the message is with the request now."""
        return bool(self.ids) or self.has_known


def _says_nothing(kept: _Kept) -> Problem:
    """Why nothing is said: of a message with files alone, why the first of them was not taken."""
    if not kept.not_taken:
        return Problem("invalid_input", [FieldFault("payload", "required")])
    first = kept.not_taken[0]
    if first.code == "videos_not_possible":  # it may be so for long, and the sender would try for ever
        return Problem("unsupported_media")
    return Problem(first.code, (), **first.numbers)


def _as_filled_in(row: RequestRecord) -> Json:
    """What a first message about a request is compared with that the system has begun in another way."""
    said = {"patient": row.form["patient"], "answers": row.form["answers"], "priority": None}
    return {"said": said, "lines": [], "elsewhere": [], "not_taken": []}


def _numbers(members: Mapping[str, object]) -> dict[str, float]:
    return {name: value for name, value in members.items() if isinstance(value, int | float)}


def valid(model: type[M], **parts: Any) -> M:
    """What is ordered, of what a stranger has written. Raises Problem `invalid_input`."""
    try:
        return model(**parts)
    except ValidationError as error:
        raise Problem("invalid_input", input_faults(error)) from None


def is_done(receipt: CommandReceipt) -> bool:
    """Raises Problem `engine_unreachable` for what waits for a worker."""
    if receipt.state == "queued":
        raise Problem("engine_unreachable")
    return True


def whole(text: str) -> str:
    """Raises Problem `invalid_input` for what is longer than what can be said at once: nothing is left out unseen."""
    if len(text) > MAX_SHORT_TEXT:
        excess = len(text) - MAX_SHORT_TEXT
        raise Problem("invalid_input", [FieldFault("payload", "too_long", limit=MAX_SHORT_TEXT, excess=excess)])
    return text
