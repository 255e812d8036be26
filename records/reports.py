"""Reports: the draft that a provider writes, what was frozen to be signed, and the signed documents."""

import uuid
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import DocumentKind
from records.canonical import content_sha256
from records.errors import BeingSignedError, ContentConflictError, NotFoundError, StaleVersionError
from records.models import FrozenReport, Json, ReportDraft, StoredDocument
from records.requests import lock_request, process_of

BY_MESSAGE = "message"
"""How it is proved that a partner has signed a report: its system has sent it, signed or not, and it is kept as it came."""


async def load_report_draft(session: AsyncSession, request_id: uuid.UUID) -> ReportDraft | None:
    """The report as it is being written; None when nobody has begun."""
    return await session.get(ReportDraft, request_id)


async def save_report_draft(
    session: AsyncSession,
    request_id: uuid.UUID,
    answers: Json,
    *,
    expected_revision: int | None,
    account_id: uuid.UUID,
    now: datetime,
) -> ReportDraft:
    """Replace the draft. `expected_revision` is the one it was read with, 0 where there was none.

    Raises NotFoundError, BeingSignedError, or StaleVersionError when somebody else has saved since.
    """
    row = await lock_request(session, request_id)
    if row.signature_id is not None or process_of(row).signing is not None:
        raise BeingSignedError
    draft = await session.get(ReportDraft, request_id, populate_existing=True)
    revision = draft.revision if draft else 0
    if expected_revision not in (None, revision):
        raise StaleVersionError(revision)
    if draft is None:
        draft = ReportDraft(request_id=request_id)
        session.add(draft)
    draft.answers = answers
    draft.revision = revision + 1
    draft.updated_by = account_id
    draft.updated_at = now
    await session.flush()
    return draft


async def freeze_report(
    session: AsyncSession,
    request_id: uuid.UUID,
    *,
    report_id: uuid.UUID,
    kind: DocumentKind,
    content: Json,
    signer_id: uuid.UUID,
    command_id: str,
    proof_at: datetime,
    proof_method: str,
    now: datetime,
    proof_evidence: Json | None = None,
) -> FrozenReport:
    """Freeze, under a new `report_id`, what the command of that id will sign, with the fresh proof of the signer's identity.

    `proof_at` is when the signer proved who they are for this very command, `proof_method` how (e.g. ``password``),
    `proof_evidence` what a provider of sign-ins said of it. A second call with the same command id gives the first one's report.
    Raises NotFoundError, or ContentConflictError when that command id froze another content, kind or signer.
    """
    await lock_request(session, request_id)
    sha256 = content_sha256(content)
    query = select(FrozenReport).where(FrozenReport.request_id == request_id, FrozenReport.command_id == command_id)
    if frozen := await session.scalar(query):
        if (frozen.content_sha256, frozen.kind, frozen.signer_id) != (sha256, kind, signer_id):
            raise ContentConflictError
        return frozen
    frozen = FrozenReport(
        id=report_id,
        request_id=request_id,
        kind=kind,
        content=content,
        content_sha256=sha256,
        signer_id=signer_id,
        command_id=command_id,
        proof_at=proof_at,
        proof_method=proof_method,
        proof_evidence=proof_evidence,
        created_at=now,
    )
    session.add(frozen)
    await session.flush()
    return frozen


async def load_frozen_report(session: AsyncSession, report_id: uuid.UUID) -> FrozenReport | None:
    return await session.get(FrozenReport, report_id)


async def is_by_message(session: AsyncSession, report_id: uuid.UUID) -> bool:
    """Whether a partner has sent that report. What it says stays sealed."""
    method = await session.scalar(select(FrozenReport.proof_method).where(FrozenReport.id == report_id))
    return method == BY_MESSAGE


async def record_document(
    session: AsyncSession,
    report_id: uuid.UUID,
    *,
    pdf_sha256: str,
    size_bytes: int,
    object_key: str,
    signed_at: datetime,
) -> StoredDocument:
    """Write down the signed document of a frozen report; a second time gives what was written at first.

    Raises NotFoundError when the report was never frozen, and ContentConflictError when it has another document already.
    """
    report = await load_frozen_report(session, report_id)
    if report is None:
        raise NotFoundError
    await lock_request(session, report.request_id)
    if written := await session.get(StoredDocument, report_id, populate_existing=True):
        if written.pdf_sha256 != pdf_sha256:
            raise ContentConflictError
        return written
    count = await session.scalar(
        select(func.count()).select_from(StoredDocument).where(StoredDocument.request_id == report.request_id)
    )
    document = StoredDocument(
        report_id=report_id,
        request_id=report.request_id,
        number=(count or 0) + 1,
        kind=report.kind,
        pdf_sha256=pdf_sha256,
        size_bytes=size_bytes,
        object_key=object_key,
        signer_id=report.signer_id,
        signed_at=signed_at,
    )
    session.add(document)
    await session.flush()
    return document


async def are_there_documents(session: AsyncSession) -> bool:
    """Whether anything was signed here yet."""
    return await session.scalar(select(StoredDocument.report_id).limit(1)) is not None


async def find_document(session: AsyncSession, report_id: uuid.UUID) -> StoredDocument | None:
    """The signed document of that report; None as long as it is not made."""
    return await session.get(StoredDocument, report_id)


async def documents_of(session: AsyncSession, request_id: uuid.UUID) -> list[StoredDocument]:
    """The signed documents of a request, in the order in which they were made."""
    query = select(StoredDocument).where(StoredDocument.request_id == request_id).order_by(StoredDocument.number)
    return list(await session.scalars(query))
