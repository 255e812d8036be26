"""What becomes of a request that a partner was asked, done as its messages say: the partner's system speaks as a provider of
its clinic, under the name that the message gives.

Each step stands under an id that is made of the message's, and is taken by the request as it is by then: what has happened
already is not done once more.
"""

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from documents.verification import document_hash
from domain import commands as c
from domain.asked_partners import is_with
from domain.commands import ReturnReason
from domain.events import question_id
from domain.fhir_course import tasks_of
from domain.fhir_task import TaskStatus
from domain.messages import MessageEvent
from domain.model import Said
from domain.refusals import Refusal, RefusalCode
from domain.requests import DocumentKind, EventName, Request, Status
from domain.same_patient import is_surely_another
from domain.told_partners import id_in_messages, message_id, word_id
from outgoing.clamd import ScanFailedError, ScannerAwayError
from records import attachments, partner_outbox, reports, requests, restrictions
from records.models import Attachment, Partner, RequestRecord
from translations import gettext_for, language_named
from translations import gettext_noop as _
from use_cases import outside_reports
from use_cases.attended import Attended
from use_cases.caller import Caller
from use_cases.commands import Call, Moment, Order, carry_out, see_through
from use_cases.new_attachments import chunks, digest_of, examined_in_turn
from use_cases.orders import Accept, CommentBody, FollowUpAnswerBody
from use_cases.outside_reports import OutsideReport
from use_cases.partner_requests import Done, command_id, is_done, valid, whole
from use_cases.performed import Performed, Report, Step, Word
from use_cases.problems import FieldFault, Problem
from use_cases.said import OrderName
from use_cases.scanning import scanner_of
from use_cases.services import Services

_TAKEN_UP = frozenset({TaskStatus.ACCEPTED.value, TaskStatus.IN_PROGRESS.value, "on-hold"})
_GIVEN_UP = frozenset({TaskStatus.CANCELLED.value, TaskStatus.FAILED.value, "entered-in-error"})
_RETURN_REASON = "return-reason"
"""The kind of what Relais says with a return: its words come with the Task as well."""

_NO_REASON = _("No reason was given.")
_GIVEN_BACK = _("The partner does not do this any more.")
_LONGEST_NAME = 200


class _Question(Order, c.Question[Said]):
    """A partner's question."""

    command = c.RequestInformation


class _Answer(FollowUpAnswerBody):
    """The answer to one of the questions about the report."""

    follow_up_id: UUID

    async def made(self, at: Moment) -> c.AnswerFollowUp:
        return (await super().made(at)).model_copy(update={"follow_up_id": self.follow_up_id})


class _Return(Order, c.WhyReturned[Said]):
    """Why a partner sends a request back."""

    command = c.ReturnToRequester


async def act(
    services: Services, caller: Caller, partner: Partner, said: Performed, system: str, attended: Attended
) -> Done:
    """Do what a message says; `system` is that of the names that partners are given for what they are asked.

    Raises Problem or Refusal, as the ways do that people have: Problem `not_found` for a name under which the partner was asked
    nothing, `test_differs` and `other_patient` for what can't be of that request, Refusal `not_the_holder` for what is not with
    it (any more). What a restriction shuts to the partner is not there for it.
    """
    me = caller.performing()
    meant = await _request_meant(services, partner, said.names, system)
    row = meant.row
    async with services.database.session() as session:
        if await restrictions.shuts_out(session, row.id, partner.account_id):
            raise Problem("not_found")
    if said.is_test != row.is_test:
        raise Problem("test_differs")
    if any(is_surely_another(patient, [row.form["patient"]]) for patient in said.patients):
        raise Problem("other_patient")
    way = _Way(services, me, partner, said, row, attended, meant.is_over)
    if not await way.is_given():
        await way.go()
    return Done(row.id, me)


async def may_speak(services: Services, partner: Partner) -> bool:
    """Whether it answers requests, or has ever been asked: what it says of those counts, though it is asked for no other."""
    if partner.performs:
        return True
    async with services.database.statement() as session:
        return await partner_outbox.was_asked(session, partner.account_id)


async def request_spoken_of(
    services: Services, partner: Partner, names: Sequence[OrderName], system: str
) -> UUID | None:
    """The request that a message is about which is not done; None where it can't be told, or may be none of the partner's."""
    try:
        return (await _request_meant(services, partner, names, system)).row.id
    except (Problem, Refusal):
        return None


@dataclass(frozen=True)
class _Meant:
    """The request that a message is about; `is_over` where it speaks of an order that the partner has not any more."""

    row: RequestRecord
    is_over: bool


async def _request_meant(services: Services, partner: Partner, names: Sequence[OrderName], system: str) -> _Meant:
    """The request that the partner was asked under that name. Raises Problem `not_found`, `several_requests`; Refusal
    `not_the_holder` for a name that was given to none of its orders.
    """
    if len(names) > 1:
        raise Problem("several_requests")
    name = next(iter(names), None)
    number, _dash, task = name.value.rpartition("-") if name is not None and name.system == system else ("", "", "")
    async with services.database.session() as session:
        id_ = await requests.id_of_number(session, number) if number and task.isdecimal() else None
        given = await partner_outbox.giving_of(session, partner.account_id, id_) if id_ else None
        row = await requests.load_request(session, id_) if id_ and given is not None else None
        if row is None or given is None:
            raise Problem("not_found")
        events = [event for event in await requests.timeline(session, row.id) if event.version <= given]
        is_over = await partner_outbox.is_order_over(session, partner.account_id, row.id, given)
    tasks = [str(one.number) for one in tasks_of(events)]
    if task not in tasks:
        raise Refusal(RefusalCode.NOT_THE_HOLDER, "the partner was given no such order")
    return _Meant(row, is_over or task != tasks[-1])


@dataclass(frozen=True)
class _Way:
    services: Services
    caller: Caller
    partner: Partner
    said: Performed
    row: RequestRecord
    attended: Attended
    is_over: bool

    @property
    def process(self) -> Request:
        return requests.process_of(self.row)

    def call(self, part: str = "", by: Report | None = None) -> Call:
        """The call by which a part of the message is done, under the name of whoever has written the document, or the message."""
        said, who = self.said, by or self.said
        name, organization = who.author[:_LONGEST_NAME], who.organization[:_LONGEST_NAME]
        outside = c.Outside(name=name, organization=organization, word=said.word)
        id_ = command_id(self.partner, said.message_id) + (f":{part}" if part else "")
        return Call(self.caller, self.row.id, id_, told_by=who.author, outside=outside)

    async def is_given(self) -> bool:
        """Whether all of the message was done before, or is now."""
        receipt = await see_through(self.services, self.call())
        return receipt is not None and is_done(receipt)

    async def go(self) -> None:
        """What the message says, done."""
        if self.said.event is MessageEvent.SAID_BY_PROVIDER:
            await self._hear()
        elif self.said.step is not None:
            await self._step(self.said.step)

    async def _hear(self) -> None:
        """A question, or the answer to what was asked about the report. Files have no place beside either."""
        if self.said.kind == _RETURN_REASON:
            return
        if self.said.has_files:
            raise Problem("unsupported_media")
        self._must_be_theirs()
        if self.row.status in (Status.REPORTED, Status.CLOSED):
            asked = await self._asked_about_report(self.said.replies_to)
            await self._give(valid(_Answer, text=self._whole(self.said.text), follow_up_id=asked))
        else:
            await self._give(valid(_Question, text=self._whole(self.said.text)))

    async def _step(self, step: Step) -> None:
        """What became of the Task. What ends one that is not with the partner any more, or ended what was submitted again since,
        has nothing to end.
        """
        ends = step.status in _GIVEN_UP or step.status == TaskStatus.REJECTED
        if ends and (self.is_over or not self.row.status.is_with_provider or await self._is_of_before()):
            return
        self._must_be_theirs()
        if step.status == TaskStatus.REJECTED and self.row.status is Status.AWAITING_ACCEPTANCE:
            reason = ReturnReason.NOT_ELIGIBLE if step.is_not_eligible else ReturnReason.INCOMPLETE_SUBMISSION
            await self._give(valid(_Return, reason=reason, text=self._whole(step.reason or self._say(_NO_REASON))))
        elif ends:
            await self._give(valid(CommentBody, comment=self._whole(step.reason or self._say(_GIVEN_BACK))))
        elif step.status in _TAKEN_UP:
            await self._take_up()
        elif step.status == TaskStatus.COMPLETED:
            await self._complete()
        elif self.said.documents:
            raise Problem("unsupported_media")

    async def _is_of_before(self) -> bool:
        """Whether it is of what was submitted again since: the partner has not heard of that yet. Its clock is not asked."""
        async with self.services.database.session() as session:
            events = await requests.timeline(session, self.row.id)
            again = max((event.version for event in events if event.name is EventName.RESUBMITTED), default=None)
            if again is None:
                return False
            return not await partner_outbox.has_heard_since(session, self.partner.account_id, self.row.id, again)

    async def _take_up(self) -> None:
        """What was taken up already, and is reported by now, changes nothing, unless there is a document that was not there."""
        if self.process.final_report is not None and not await self._new(DocumentKind.PRELIMINARY):
            return
        if not self.row.status.is_with_provider:
            raise Refusal(RefusalCode.NOT_ALLOWED_IN_STATUS, f"not in the status {self.row.status}")
        await self._keep(DocumentKind.PRELIMINARY)

    async def _complete(self) -> None:
        """The final report; after it, what is added to it. Nothing is reported without one."""
        is_there = self.process.final_report is not None
        await self._keep(DocumentKind.ADDENDUM if is_there else DocumentKind.FINAL)

    # Documents

    async def _new(self, kind: DocumentKind) -> list[Report]:
        """Those of the message that are to be kept as a document of that kind.

        What is there already is none, but as the final report what was a preliminary one before. What is ours comes back only.
        Raises Problem `several_documents` where more than one could be the report, and nothing says which.
        """
        async with self.services.database.session() as session:
            known = await reports.documents_of(session, self.row.id)
            ours = await attachments.list_attachments(session, self.row.id, with_removed=True)
        there = {one.pdf_sha256 for one in known}
        given = {one.pdf_sha256 for one in known if one.kind is not DocumentKind.PRELIMINARY}
        copies = await self._copies_of(ours)
        theirs = [one for one in self.said.documents if not _is_ours(one, ours, copies)]
        if kind is DocumentKind.FINAL:
            theirs = [one for one in theirs if not one.is_preliminary]
        new = [one for one in theirs if document_hash(one.content) not in there]
        if kind is DocumentKind.FINAL and not new:
            new = [one for one in theirs if document_hash(one.content) not in given]
        if len(new) > 1 and kind is not DocumentKind.ADDENDUM:
            raise Problem("several_documents")
        return new

    async def _copies_of(self, ours: Sequence[Attachment]) -> set[str]:
        """The fingerprints of our documents, each of which is read once; none where no document came."""
        if not self.said.documents:
            return set()
        keys = [one.full_key for one in ours if one.kind == "document" and one.full_key is not None]
        return {await digest_of(self.services.store.stream(key)) for key in keys}

    async def _keep(self, kind: DocumentKind) -> None:
        """The document that is new, as a report of that kind, of a request that is accepted by then; or its acceptance alone.

        What is not sound changes nothing. Raises Problem `invalid_input` where the final report lacks, and `not_yet` where more
        are added: each has its turn.
        """
        new = await self._new(kind)
        if kind is DocumentKind.FINAL and not new:
            raise Problem("invalid_input", [FieldFault("document", "required")])
        if new:
            await self._must_be_sound(new[0].content)
        asked = await self._asked_about_report(new[0].replies_to) if new and new[0].replies_to else None
        if self.row.status is Status.AWAITING_ACCEPTANCE:
            await self._give(Accept(), "accept")
        if not new:
            return
        language = language_named(self.partner.language)
        said = self.said
        report = OutsideReport(new[0].content, kind, said.needs_visit, said.is_urgent, language, follow_up_id=asked)
        call = self.call(document_hash(new[0].content)[:12], by=new[0])
        is_done(await outside_reports.keep(self.services, call, report))
        if len(new) > 1:
            raise Problem("not_yet")

    async def _must_be_sound(self, pdf: bytes) -> None:
        """A PDF that can be read, in which the scanner finds nothing.

        Raises Problem `unsupported_media` and what else is wrong with a file; `file_infected`, `file_not_scanned`, and
        `file_being_checked` while the scanner is away.
        """
        if not pdf.startswith(b"%PDF-"):
            raise Problem("unsupported_media")
        await self.attended(examined_in_turn(self.services, self.caller, io.BytesIO(pdf)))
        scanner = scanner_of(self.services.settings)
        if scanner is None:
            return
        try:
            found = await scanner.scan(chunks(io.BytesIO(pdf)))
        except ScannerAwayError:
            raise Problem("not_yet") from None
        except ScanFailedError:
            if self.services.settings.scan_required:
                raise Problem("file_not_scanned") from None
            return
        if found is not None:
            raise Problem("file_infected")

    # What all have in common

    async def _asked_about_report(self, named: tuple[Word, ...]) -> UUID:
        """Which question about the report is answered: the one that is named by the id under which it went there; where none is,
        the only one that was ever asked.

        Raises Refusal `no_such_question`.
        """
        async with self.services.database.session() as session:
            events = await requests.timeline(session, self.row.id)
        asked = [event for event in events if event.name is EventName.FOLLOW_UP_ASKED]
        meant = [event for event in asked if not named or not _names_of(self.row.id, event.version).isdisjoint(named)]
        if len(meant) != 1:
            raise Refusal(RefusalCode.NO_SUCH_QUESTION, "it answers none of what was asked, or nothing says which")
        return question_id(self.row.id, meant[0].command_id)

    def _must_be_theirs(self) -> None:
        """Raises Refusal `not_the_holder` for what the partner has not, or not any more, or has by another order."""
        if self.is_over or not is_with(self.process, self.caller.clinic_id, self.partner.account_id):
            raise Refusal(RefusalCode.NOT_THE_HOLDER, "the request is not with the partner")

    async def _give(self, order: Order, part: str = "") -> None:
        """Give the command. Raises Problem `engine_unreachable` where it waits for a worker: then it is not done yet."""
        is_done(await carry_out(self.services, self.call(part), order))

    def _say(self, text: str) -> str:
        return gettext_for(language_named(self.partner.language))(text)

    def _whole(self, text: str) -> str:
        """Raises Problem `invalid_input` for nothing, and for more than can be said at once."""
        if not text:
            raise Problem("invalid_input", [FieldFault("payload", "required")])
        return whole(text)


def _is_ours(report: Report, ours: Sequence[Attachment], copies: Collection[str]) -> bool:
    """Whether it is a file that went there with the request, by its id or its bytes."""
    ids = {name for one in ours for name in (one.id, id_in_messages("DocumentReference", str(one.id)))}
    return report.id in ids or document_hash(report.content) in copies


def _names_of(request_id: UUID, version: int) -> set[Word]:
    """By what an answer may name what was said with an event: its id here, the one in messages, and the message's own."""
    sent = message_id(request_id, version, MessageEvent.SAID_BY_REQUESTER)
    return {(request_id, version), word_id(request_id, version), sent}
