"""The report: its draft, its signing, and the signed documents."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from api.commands import GivenBy
from api.parameters import ExpectedVersion, ReaderLanguage
from api.problems import field_errors
from documents.content import ReportContent
from documents.length import MAX_PAGES
from domain.offerings import CalledFor, FormField
from domain.requests import DocumentKind
from records.models import Json
from translations import Language
from use_cases import documents, report_drafts, signing
from use_cases.documents import DocumentView, VerificationView
from use_cases.report_drafts import ReportDraft, ReportDraftBody
from use_cases.signing import AddendumBody, SignBody, SigningReceipt
from use_cases.views import View
from web.connected import AttendedBy
from web.files import pdf_response
from web.rates import DOCUMENTS
from web.services import ServicesOf
from web.session import CallerOf, DocumentReader

router = APIRouter(prefix="/requests/{request_id}", tags=["reports"])


class ReportDraftView(View):
    """The report as it is being written. `missing` says what signing would still ask for."""

    revision: int
    answers: Json
    fields: list[FormField]
    missing: list[Json]
    calls_for: list[CalledFor] = Field(
        description="What the report as it stands would ask for: to be read without delay, or new photos. Of the latter, "
        "whoever writes may ask before signing (`request_information`)."
    )
    pages: int = Field(description="How many pages the answers take when they are printed, roughly.")
    max_pages: int = Field(MAX_PAGES, description="With more pages it can't be signed.")
    updated_at: datetime | None


_SIGNED: dict[int | str, Any] = {202: {"model": SigningReceipt}}


@router.get("/report", summary="The draft of the report")
async def get_report_draft(
    request_id: UUID, caller: CallerOf, services: ServicesOf, language: ReaderLanguage
) -> ReportDraftView:
    """For the provider who has accepted the request."""
    return _view(await report_drafts.read_draft(services, caller, request_id), language)


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
    draft = await report_drafts.save_draft(services, caller, request_id, body, expected_revision)
    response.headers["ETag"] = f'"{draft.revision}"'
    return _view(draft, language)


@router.get(
    "/report/preview.pdf",
    dependencies=[DOCUMENTS],
    summary="The report as it would look signed",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}},
)
async def preview_report(
    request_id: UUID,
    caller: CallerOf,
    services: ServicesOf,
    attended: AttendedBy,
    language: Annotated[
        Language | None, Query(description="Language of the document; the signer's own if empty.")
    ] = None,
    kind: Literal[DocumentKind.PRELIMINARY, DocumentKind.FINAL] = DocumentKind.FINAL,
) -> Response:
    """The saved draft under a mark that it is not signed; nothing of it is kept. What is required and empty shows as such."""
    preview = await report_drafts.preview(services, caller, request_id, attended, kind=kind, language=language)
    return pdf_response(preview.pdf, preview.filename)


@router.post("/report/sign", summary="Sign and send the report", responses=_SIGNED)
async def sign_report(body: SignBody, given: GivenBy) -> SigningReceipt:
    """Sign the saved draft as a preliminary or final report. Needs the signer's password again.

    A required field that is empty is named in a 422 `report_incomplete`. On 200 the signed PDF can be fetched.
    """
    return given.answer(await signing.sign(given.services, given.call, body))


@router.post("/report/addenda", summary="Add to a final report", responses=_SIGNED)
async def add_addendum(body: AddendumBody, given: GivenBy) -> SigningReceipt:
    """A new signed document beside the final report, which stays as it is. For the provider who signed that one."""
    return given.answer(await signing.add(given.services, given.call, body))


@router.get("/reports", summary="The signed documents")
async def list_documents(request_id: UUID, caller: DocumentReader, services: ServicesOf) -> list[DocumentView]:
    """In the order in which they were signed."""
    return await documents.list_documents(services, caller.also_in_emergency(), request_id)


@router.get(
    "/reports/{report_id}.pdf",
    dependencies=[DOCUMENTS],
    summary="A signed document",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/pdf": {}}}},
)
async def get_document(request_id: UUID, report_id: UUID, caller: DocumentReader, services: ServicesOf) -> Response:
    """The exact bytes that were signed: they are compared with their SHA-256 before. What came from outside is saved, not opened.

    If the stored file is another one or is gone, the answer is `stored_file_differs` or `stored_file_missing`.
    """
    document = await documents.read_document(services, caller.also_in_emergency(), request_id, report_id)
    response = pdf_response(document.pdf, document.filename, opens=not document.outside)
    response.headers["ETag"] = f'"{document.sha256}"'
    response.headers["Cache-Control"] = "private, no-store"
    return response


@router.get("/reports/{report_id}/content", summary="What a signed document says")
async def get_document_content(
    request_id: UUID, report_id: UUID, caller: DocumentReader, services: ServicesOf
) -> ReportContent:
    """What was signed, as text in the language of the document: the same that the PDF shows."""
    return await documents.read_content(services, caller.also_in_emergency(), request_id, report_id)


@router.get(
    "/reports/{report_id}/verification",
    dependencies=[DOCUMENTS],
    summary="Check the signature of a signed document",
)
async def verify_document(
    request_id: UUID, report_id: UUID, caller: DocumentReader, services: ServicesOf, attended: AttendedBy
) -> VerificationView:
    """Checks the stored bytes now, with nothing but what is in them and the root certificate of this system."""
    return await documents.verify(services, caller.also_in_emergency(), request_id, report_id, attended)


def _view(draft: ReportDraft, language: Language) -> ReportDraftView:
    return ReportDraftView(
        revision=draft.revision,
        answers=draft.answers,
        fields=list(draft.fields),
        missing=[error.model_dump() for error in field_errors(draft.missing, language)],
        calls_for=sorted(draft.calls_for),
        pages=draft.pages,
        updated_at=draft.updated_at,
    )
