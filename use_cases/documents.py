"""The signed documents of a request: which there are, what they say, their bytes, and whether they are what was signed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from documents.content import ReportContent
from documents.verification import Problem as SignatureProblem
from documents.verification import Verification, document_hash
from domain.audit import Act
from domain.requests import DocumentKind, EventName
from records import reports, requests, unread_reports
from records.errors import ContentDiffersError, NotFoundError
from records.models import EventRecord, FrozenReport, RequestRecord, StoredDocument
from use_cases import policy
from use_cases.accesses import log_access
from use_cases.attended import Attended
from use_cases.caller import Caller
from use_cases.names import Names, PersonView
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.signing_roots import checked
from use_cases.stored_files import fault
from use_cases.verification import Findings, found
from use_cases.views import View


class DocumentView(View):
    """A signed document. Its bytes are at ``/api/v1/requests/{id}/reports/{report_id}.pdf`` and never change."""

    report_id: UUID
    number: int
    kind: DocumentKind
    signer: PersonView | None
    signed_at: datetime
    sha256: str
    size_bytes: int
    outside: bool = Field(
        False, description="It came from a partner, as a document of theirs: nothing of it was made or signed here."
    )


class VerificationView(Findings):
    """The verdict on a stored document; `problems` says what is wrong with it.

    `unchanged` means that the bytes are those of the records (`sha256`); if not, `differs_from_records` is among the problems,
    for another document may well be signed validly. Of what came from `outside`, that is all that is said: it is never `valid`.
    """

    report_id: UUID
    unchanged: bool
    problems: list[SignatureProblem | Literal["differs_from_records"]]
    sha256: str = Field(description="Of the bytes as they are stored now.")
    outside: bool = Field(
        False,
        description="It came from a partner, and is compared with what came. Whether it is signed, Relais does not say.",
    )


NOT_OURS = Verification(problems=())
"""Of a document from outside: whoever has signed it, or not, was never asked for that here."""


@dataclass(frozen=True)
class SignedDocument:
    """The very bytes that were signed, their SHA-256, and a name for the file; whether they are a partner's, as they came."""

    pdf: bytes
    sha256: str
    filename: str
    outside: bool = False


async def list_documents(services: Services, caller: Caller, request_id: UUID) -> list[DocumentView]:
    """In the order in which they were signed. Raises Problem `not_found`, `forbidden` or `not_yet`."""
    async with services.database.session() as session:
        row = await policy.chart_to_see(session, caller, request_id)
        await log_access(session, caller, row, Act.REQUEST)
        documents = await reports.documents_of(session, row.id)
        names = await Names.load(session, [document.signer_id for document in documents], [])
        signed = signed_with(await requests.timeline(session, row.id)) if documents else {}
    return [document_view(document, names, signed) for document in documents]


_SIGNED = (EventName.REPORT_SIGNED, EventName.ADDENDUM_SIGNED)


def signed_with(events: Iterable[EventRecord]) -> dict[UUID, Mapping[str, Any]]:
    """The commands with which documents were signed, by their reports."""
    return {UUID(one.command["report_id"]): one.command for one in events if one.name in _SIGNED}


async def read_document(services: Services, caller: Caller, request_id: UUID, report_id: UUID) -> SignedDocument:
    """A signed document, compared with its SHA-256 before.

    Raises Problem `not_found`, `forbidden` or `not_yet`, and `stored_file_differs` or `stored_file_missing`.
    """
    async with services.database.session() as session:
        row, document = await _document_to_see(session, caller, request_id, report_id)
        await unread_reports.note_reading(session, row, caller.actual_id, report_id)
        outside = await reports.is_by_message(session, report_id)
    pdf = await _stored(services, document)
    if document_hash(pdf) != document.pdf_sha256:
        raise await fault(services, row.id, document.object_key, "differs")
    return SignedDocument(pdf, document.pdf_sha256, f"{row.number}-{document.number}-{document.kind}.pdf", outside)


async def read_content(
    services: Services, caller: Caller, request_id: UUID, report_id: UUID, *, by_itself: bool = False
) -> ReportContent:
    """What was signed, as text in the language of the document; its requester has read it then.

    Not where a page asks for it `by_itself`, to show what is new to whoever may sit before it. Raises Problem `not_found`,
    `forbidden` or `not_yet`.
    """
    async with services.database.session() as session:
        row, document = await _document_to_see(session, caller, request_id, report_id)
        if not by_itself:
            await unread_reports.note_reading(session, row, caller.actual_id, report_id)
        frozen = await reports.load_frozen_report(session, report_id)
    if frozen is None:
        raise Problem("not_found")
    return content_of(frozen, document.signed_at)


def content_of(frozen: FrozenReport, signed_at: datetime) -> ReportContent:
    """What was signed at that moment, as text in the language of the document."""
    return ReportContent.model_validate({**frozen.content, "signed_at": signed_at})


async def verify(
    services: Services, caller: Caller, request_id: UUID, report_id: UUID, attended: Attended
) -> VerificationView:
    """Checks the stored bytes now, with nothing but what is in them and the root certificates of this installation.

    What does not open is checked as it lies there. Raises Problem `not_found`, `forbidden`, `not_yet` or `stored_file_missing`,
    and what `services.places` does.
    """
    async with services.database.session() as session:
        row, document = await _document_to_see(session, caller, request_id, report_id)
        outside = await reports.is_by_message(session, report_id)
    pdf = await _stored(services, document, as_it_lies=True)
    now = datetime.now(UTC)
    verdict = NOT_OURS if outside else await attended(_verify(services, caller, pdf, now))
    sha256 = document_hash(pdf)
    unchanged = sha256 == document.pdf_sha256
    if not unchanged:
        await fault(services, row.id, document.object_key, "differs")
    return VerificationView(
        report_id=report_id,
        valid=verdict.valid and unchanged and not outside,
        problems=[*verdict.problems, *(() if unchanged else ("differs_from_records",))],
        unchanged=unchanged,
        sha256=sha256,
        outside=outside,
        checked_at=now,
        **found(verdict),
    )


async def _verify(services: Services, caller: Caller, pdf: bytes, now: datetime) -> Verification:
    async with services.places.place_for(caller.id):
        return await checked(services, pdf, now)


async def _stored(services: Services, document: StoredDocument, *, as_it_lies: bool = False) -> bytes:
    """The document; with `as_it_lies`, the bytes that lie there where it does not open."""
    key = document.object_key
    try:
        try:
            return await services.store.get(key)
        except ContentDiffersError:
            if as_it_lies:
                return await services.store.get_as_stored(key)
            raise await fault(services, document.request_id, key, "differs") from None
    except NotFoundError:
        raise await fault(services, document.request_id, key, "missing") from None


async def _document_to_see(
    session: AsyncSession, caller: Caller, request_id: UUID, report_id: UUID
) -> tuple[RequestRecord, StoredDocument]:
    """A signed document that the caller may see; the look is written down."""
    row = await policy.chart_to_see(session, caller, request_id)
    document = await reports.find_document(session, report_id)
    if document is None or document.request_id != row.id:
        raise Problem("not_found")
    await log_access(session, caller, row, Act.DOCUMENT, report_id)
    return row, document


def document_view(
    document: StoredDocument, names: Names, signed_with: Mapping[UUID, Mapping[str, Any]] = MappingProxyType({})
) -> DocumentView:
    """What is known of a signed document; `signed_with` are the commands of signatures, by their reports."""
    return DocumentView(
        report_id=document.report_id,
        number=document.number,
        kind=document.kind,
        outside=names.is_system(document.signer_id),
        signer=names.who(document.signer_id, signed_with.get(document.report_id, {})),
        signed_at=document.signed_at,
        sha256=document.pdf_sha256,
        size_bytes=document.size_bytes,
    )
