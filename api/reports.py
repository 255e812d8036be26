"""The report: its draft, its signing, and the signed documents."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID, uuid5

import structlog
from fastapi import APIRouter, Query, Response
from fastapi import Request as HTTPRequest
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from api import problems
from api.commands import GivenBy
from api.parameters import ExpectedVersion, ReaderLanguage
from api.problems import field_errors
from confined import ConfinedError, NoVerdictError
from documents.bounded import draw_report
from documents.content import ReportContent
from documents.length import MAX_PAGES, pages_of
from domain import commands as c
from domain.drafts import unasked
from domain.model import COMPOSED, SAYS_SOMETHING, storable
from domain.offerings import FieldProblem, FormField, check_answers
from domain.refusals import Refusal, RefusalCode
from domain.requests import DocumentKind, Status
from records import commands, reports, requests
from records.errors import BeingSignedError, ContentConflictError, StaleVersionError
from records.models import AccessKind, FrozenReport, ReportDraft, RequestRecord, StoredDocument
from translations import Language, language_named
from use_cases import documents, policy
from use_cases.accesses import log_access
from use_cases.caller import Caller
from use_cases.commands import Call, CommandReceipt, Moment, Order, carry_out
from use_cases.documents import DocumentView, VerificationView, document_view
from use_cases.drafts import Answers
from use_cases.names import Names
from use_cases.paper import paper
from use_cases.printable import check_length, check_printable, check_texts, written
from use_cases.problems import Problem, field_faults
from use_cases.services import Services
from use_cases.sign_in import MAX_PASSWORD, password_fits
from use_cases.views import View
from web.connected import AttendedBy, while_connected
from web.files import content_disposition
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(prefix="/requests/{request_id}", tags=["reports"])

log = structlog.get_logger(__name__)


class ReportDraftView(View):
    """The report as it is being written. `missing` says what signing would still ask for."""

    revision: int
    answers: dict[str, Any]
    fields: list[FormField]
    missing: list[dict[str, Any]]
    pages: int = Field(description="How many pages the answers take when they are printed, roughly.")
    max_pages: int = Field(MAX_PAGES, description="With more pages it can't be signed.")
    updated_at: datetime | None


class ReportDraftBody(BaseModel):
    """The whole report so far; it need not be complete."""

    model_config = ConfigDict(extra="forbid")

    answers: Answers = Field(examples=[{"findings": "Nævus banal.", "recommendations": "Aucun suivi requis."}])


class Proof(BaseModel):
    """The second proof of identity: the signer's password, again."""

    model_config = ConfigDict(extra="forbid")

    password: Annotated[str, StringConstraints(min_length=1, max_length=MAX_PASSWORD)] = Field(
        examples=["correct horse battery staple"]
    )
    language: Language | None = Field(None, description="Language of the document; the signer's own if empty.")


class SignBody(Proof):
    """Sign the draft as it is saved."""

    kind: Literal[DocumentKind.PRELIMINARY, DocumentKind.FINAL] = Field(examples=["final"])
    revision: int | None = Field(
        None,
        description="The revision of the draft that was reviewed; 412 if another one was saved since.",
        examples=[4],
    )


class AddendumBody(Proof):
    """What is to be added to the final report."""

    text: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000),
        COMPOSED,
        AfterValidator(storable),
        SAYS_SOMETHING,
    ] = Field(examples=["La culture est négative."])


class SigningReceipt(CommandReceipt):
    """What became of a signature. The document is there when `state` is `done`."""

    document: DocumentView | None


_SIGNED = {202: {"model": SigningReceipt}, **problems.responses(429)}


@router.get("/report", summary="The draft of the report")
async def get_report_draft(
    request_id: UUID, caller: CallerOf, services: ServicesOf, language: ReaderLanguage
) -> ReportDraftView:
    """For the provider who has accepted the request."""
    async with services.database.session() as session:
        row = await _report_to_write(session, caller, request_id)
        await log_access(session, caller, row, AccessKind.REPORT_DRAFT)
        return await _draft_view(session, services, row, language)


@router.put("/report", summary="Save the draft of the report")
async def put_report_draft(
    request_id: UUID,
    body: ReportDraftBody,
    caller: CallerOf,
    services: ServicesOf,
    expected_revision: ExpectedVersion,
    language: ReaderLanguage,
    response: Response,
) -> ReportDraftView:
    """Save as often as you like. With If-Match, a save that another one overtook answers 412."""
    async with services.database.session() as session:
        row = await _report_to_change(session, caller, request_id)
        template = await _template(session, services, row, await reports.load_report_draft(session, row.id))
        if problems := check_answers(template, body.answers, complete=False):
            raise Problem("report_invalid", field_faults(problems))
        try:
            await reports.save_report_draft(
                session,
                request_id,
                body.answers,
                expected_revision=expected_revision,
                account_id=caller.id,
                now=datetime.now(UTC),
            )
        except BeingSignedError:
            raise Refusal(RefusalCode.REPORT_BEING_SIGNED, "its signature is on its way") from None
        except StaleVersionError as error:
            raise Refusal(RefusalCode.VERSION_CONFLICT, str(error)) from None
        view = await _draft_view(session, services, row, language)
    response.headers["ETag"] = f'"{view.revision}"'
    return view


@router.get(
    "/report/preview.pdf",
    summary="The report as it would look signed",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}},
)
async def preview_report(
    request_id: UUID,
    call: HTTPRequest,
    caller: CallerOf,
    services: ServicesOf,
    language: Annotated[
        Language | None, Query(description="Language of the document; the signer's own if empty.")
    ] = None,
    kind: Literal[DocumentKind.PRELIMINARY, DocumentKind.FINAL] = DocumentKind.FINAL,
) -> Response:
    """The saved draft under a mark that it is not signed; nothing of it is kept. What is required and empty shows as such."""
    async with services.database.session() as session:
        row = await _report_to_write(session, caller, request_id)
        await log_access(session, caller, row, AccessKind.REPORT_DRAFT)
        draft = await reports.load_report_draft(session, row.id)
        offering = await services.versions.of(session, row)
        content = await paper(
            session,
            offering=offering,
            row=row,
            process=requests.process_of(row),
            signer=caller.account,
            document_id=row.id,
            kind=kind,
            template=await _template(session, services, row, draft),
            answers=draft.answers if draft else {},
            language=language or language_named(caller.account.language),
            with_missing=True,
        )
    page = ReportContent.model_validate({**content, "signed_at": datetime.now(UTC)})
    return Response(
        await while_connected(call, _render(services, caller, page)),
        media_type="application/pdf",
        headers={"Content-Disposition": content_disposition("inline", f"{row.number}-preview.pdf")},
    )


@router.post("/report/sign", summary="Sign and send the report", responses=_SIGNED)
async def sign_report(body: SignBody, given: GivenBy) -> SigningReceipt:
    """Sign the saved draft as a preliminary or final report. Needs the signer's password again.

    A required field that is empty is named in a 422 `report_incomplete`. On 200 the signed PDF can be fetched.
    """
    return given.answer(await sign(given.services, given.call, body))


class _Signature(Order):
    """The draft of the report is frozen and signed as it is saved."""

    command = c.SignReport
    freezes = True

    body: SignBody

    async def made(self, at: Moment) -> c.SignReport:
        if at.row.signature_id is not None:
            raise Refusal(RefusalCode.REPORT_BEING_SIGNED, "another signature is on its way")
        draft = await reports.load_report_draft(at.session, at.row.id)
        template = await _template(at.session, at.services, at.row, draft)
        if self.body.revision not in (None, draft.revision if draft else 0):
            raise Refusal(RefusalCode.VERSION_CONFLICT, "the draft was saved again since it was reviewed")
        answers = draft.answers if draft else {}
        if problems := _obstacles(template, answers):
            is_incomplete = any(problem.code == "required" for problem in problems)
            raise Problem("report_incomplete" if is_incomplete else "report_invalid", field_faults(problems))
        frozen = await _freeze(at, self.body, self.body.kind, template, answers)
        return c.SignReport(**at.head, kind=self.body.kind, report_id=frozen.id, content_sha256=frozen.content_sha256)

    def repeats(self, before: c.AnyCommand) -> bool:
        return isinstance(before, c.SignReport) and before.kind == self.body.kind


async def sign(services: Services, call: Call, body: SignBody) -> SigningReceipt:
    """Sign the saved draft, and wait a moment for its document. Raises Problem `wrong_password`, `report_incomplete`, …"""
    await _prove(services, call, body)
    return await _sign(services, call, _Signature(body=body))


@router.post("/report/addenda", summary="Add to a final report", responses=_SIGNED)
async def add_addendum(body: AddendumBody, given: GivenBy) -> SigningReceipt:
    """A new signed document beside the final report, which stays as it is. For the provider who signed that one."""
    return given.answer(await add(given.services, given.call, body))


class _Addition(Order):
    """A text is frozen and signed as an addition to the final report."""

    command = c.AddAddendum
    freezes = True

    body: AddendumBody

    async def made(self, at: Moment) -> c.AddAddendum:
        frozen = await _freeze(at, self.body, DocumentKind.ADDENDUM, None, {"text": self.body.text})
        return c.AddAddendum(**at.head, report_id=frozen.id, content_sha256=frozen.content_sha256)

    def repeats(self, before: c.AnyCommand) -> bool:
        return isinstance(before, c.AddAddendum)


async def add(services: Services, call: Call, body: AddendumBody) -> SigningReceipt:
    """Sign an addition to the final report, and wait a moment for its document. Raises Problem `wrong_password`, …"""
    await _prove(services, call, body)
    text = {"text": body.text}
    if problems := (*check_texts(text), *check_length(text)):
        raise Problem("invalid_input", field_faults(problems))
    async with services.database.session() as session:
        before = await reports.load_frozen_report(session, report_id_of(call))
    if before is not None and [entry["value"] for entry in before.content["answer"]] != [body.text]:
        raise Problem("idempotency_key_reused")
    return await _sign(services, call, _Addition(body=body))


@router.get("/reports", summary="The signed documents")
async def list_documents(request_id: UUID, caller: CallerOf, services: ServicesOf) -> list[DocumentView]:
    """In the order in which they were signed."""
    return await documents.list_documents(services, caller, request_id)


@router.get(
    "/reports/{report_id}.pdf",
    summary="A signed document",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/pdf": {}}}},
)
async def get_document(request_id: UUID, report_id: UUID, caller: CallerOf, services: ServicesOf) -> Response:
    """The exact bytes that were signed: they are compared with their SHA-256 before.

    If the stored file is another one or is gone, the answer is `stored_file_differs` or `stored_file_missing`.
    """
    document = await documents.read_document(services, caller, request_id, report_id)
    return Response(
        document.pdf,
        media_type="application/pdf",
        headers={
            "Content-Disposition": content_disposition("inline", document.filename),
            "ETag": f'"{document.sha256}"',
            "Cache-Control": "private, no-store",
        },
    )


@router.get("/reports/{report_id}/content", summary="What a signed document says")
async def get_document_content(
    request_id: UUID, report_id: UUID, caller: CallerOf, services: ServicesOf
) -> ReportContent:
    """What was signed, as text in the language of the document: the same that the PDF shows."""
    return await documents.read_content(services, caller, request_id, report_id)


@router.get("/reports/{report_id}/verification", summary="Check the signature of a signed document")
async def verify_document(
    request_id: UUID, report_id: UUID, caller: CallerOf, services: ServicesOf, attended: AttendedBy
) -> VerificationView:
    """Checks the stored bytes now, with nothing but what is in them and the root certificate of this system."""
    return await documents.verify(services, caller, request_id, report_id, attended)


async def _sign(services: Services, call: Call, order: Order) -> SigningReceipt:
    """Give the command, then wait until its document is there (or could not be made)."""
    receipt = await carry_out(services, call, order)
    if receipt.state == "queued":
        return SigningReceipt(**receipt.model_dump(), document=None)
    try:
        async with asyncio.timeout(services.settings.document_timeout_seconds):
            row, document, names = await _document_made(services, call)
    except TimeoutError:  # it is signed, and its document will still be made
        return SigningReceipt(**{**receipt.model_dump(), "state": "queued"}, document=None)
    process = requests.process_of(row)
    return SigningReceipt(
        request_id=row.id,
        command_id=call.command_id,
        state="done",
        status=process.status,
        version=row.version,
        allowed_commands=policy.allowed_commands(call.caller, row, process),
        document=document_view(document, names),
    )


async def _document_made(services: Services, call: Call) -> tuple[RequestRecord, StoredDocument, Names]:
    """Wait for the document of this call. Raises Problem `signing_failed` when it could not be made."""
    report_id, patience = report_id_of(call), services.settings.document_timeout_seconds
    while True:
        async with services.database.session() as session:
            row = await requests.load_request(session, call.request_id)
            document = await reports.find_document(session, report_id)
            names = await Names.load(session, [call.caller.id], [])
        if row is None:
            raise Problem("not_found")
        process = requests.process_of(row)
        if document is not None and any(made.report_id == report_id for made in process.documents):
            return row, document, names
        if process.signing is None or process.signing.report_id != report_id:
            raise Problem("signing_failed")
        await services.feed.wait_for(call.request_id, process.version + 1, patience)


def report_id_of(call: Call) -> UUID:
    """The id of the report that a call signs: it follows from the command's, so that a repetition means the same report."""
    return uuid5(call.request_id, call.command_id)


async def _render(services: Services, caller: Caller, page: ReportContent) -> bytes:
    async with services.places.place_for(caller.id):
        try:
            return await draw_report(page, preview=True)
        except NoVerdictError:
            raise
        except ConfinedError as error:
            log.error("a preview could not be drawn", fault=str(error))
            raise Problem("report_not_drawn") from None


async def _prove(services: Services, call: Call, proof: Proof) -> None:
    account = call.caller.account
    if not await password_fits(services, account.username, account.password_hash, proof.password):
        raise Problem("wrong_password")


async def _freeze(
    at: Moment,
    proof: Proof,
    kind: DocumentKind,
    template: Iterable[FormField] | None,
    answers: dict[str, Any],
) -> FrozenReport:
    now, call = at.head["sent_at"], at.call
    content = await paper(
        at.session,
        offering=await at.services.versions.of(at.session, at.row),
        row=at.row,
        process=at.request,
        signer=call.caller.account,
        document_id=report_id_of(call),
        kind=kind,
        template=template,
        answers=answers,
        language=proof.language or call.caller.language,
    )
    try:
        return await reports.freeze_report(
            at.session,
            at.row.id,
            report_id=report_id_of(call),
            kind=kind,
            content=content,
            signer_id=call.caller.id,
            command_id=call.command_id,
            proof_at=now,
            proof_method="password",
            now=now,
        )
    except ContentConflictError:  # the key was sent before, with another report
        raise Problem("idempotency_key_reused") from None


async def _report_to_write(session: AsyncSession, caller: Caller, request_id: UUID) -> RequestRecord:
    row = await policy.chart_to_see(session, caller, request_id)
    await _check_writer(session, caller, row)
    return row


async def _report_to_change(session: AsyncSession, caller: Caller, request_id: UUID) -> RequestRecord:
    """The same, with the row locked: nobody else becomes the writer before the change is saved."""
    row = await policy.chart_to_see(session, caller, request_id)
    row = await requests.lock_request(session, row.id)
    await _check_writer(session, caller, row)
    return row


async def _check_writer(session: AsyncSession, caller: Caller, row: RequestRecord) -> None:
    """Raises Refusal for who does not write the report, or Problem `not_yet` for who will by what is on its way."""
    if policy.may_write_report(caller, requests.process_of(row)):
        return
    expected = await commands.expected_state(session, row, datetime.now(UTC))
    if expected is not None and policy.may_write_report(caller, expected):
        raise policy.not_yet()
    if row.status is not Status.ACCEPTED:
        raise Refusal(RefusalCode.NOT_ALLOWED_IN_STATUS, f"not in the status {row.status}")
    raise Refusal(RefusalCode.NOT_THE_HOLDER, "only the provider who holds it")


async def _draft_view(
    session: AsyncSession, services: Services, row: RequestRecord, language: Language
) -> ReportDraftView:
    draft = await reports.load_report_draft(session, row.id)
    template = await _template(session, services, row, draft)
    answers = draft.answers if draft else {}
    return ReportDraftView(
        revision=draft.revision if draft else 0,
        answers=answers,
        fields=list(template),
        missing=[error.model_dump() for error in field_errors(field_faults(_obstacles(template, answers)), language)],
        pages=pages_of(written(template, answers).values()),
        updated_at=draft.updated_at if draft else None,
    )


def _obstacles(template: Iterable[FormField], answers: dict[str, Any]) -> tuple[FieldProblem, ...]:
    """What stands in the way of signing: what is missing or wrong, what can't be printed, and a length that nobody reads."""
    template = tuple(template)
    return (
        *check_answers(template, answers, complete=True),
        *check_printable(template, answers),
        *check_length(written(template, answers)),
    )


async def _template(
    session: AsyncSession, services: Services, row: RequestRecord, draft: ReportDraft | None
) -> tuple[FormField, ...]:
    """What the report is made of: the template of the request's own version, and what a draft holds beside it.

    A draft holds something beside it only where nobody kept that version, and another stands in for it.
    """
    asked = (await services.versions.of(session, row)).report
    return (*asked, *unasked(draft.answers if draft else {}, asked))
