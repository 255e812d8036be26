"""The signed documents of a request."""

from datetime import datetime
from uuid import UUID

from domain.requests import DocumentKind
from records.models import StoredDocument
from use_cases.names import Names, PersonView
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


def document_view(document: StoredDocument, names: Names) -> DocumentView:
    """What is known of a signed document."""
    return DocumentView(
        report_id=document.report_id,
        number=document.number,
        kind=document.kind,
        signer=names.person(document.signer_id),
        signed_at=document.signed_at,
        sha256=document.pdf_sha256,
        size_bytes=document.size_bytes,
    )
