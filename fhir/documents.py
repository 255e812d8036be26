"""The signed documents of a request: as DocumentReference, as DiagnosticReport, and who signed them as Provenance."""

from collections.abc import Iterator, Mapping
from uuid import UUID

from domain.requests import DocumentKind
from fhir.addresses import Server, part_of
from fhir.elements import Attachment, Coding, Identifier, Reference, Signature, concept, reference_to, some
from fhir.requests import (
    CONSULT_NOTE,
    is_from_outside,
    meta_of,
    patient_of,
    questions_of,
    request_of,
    role_of,
    signed_by,
    signing_of,
)
from fhir.resources import (
    Agent,
    DiagnosticReport,
    DocumentContent,
    DocumentContext,
    DocumentReference,
    Provenance,
    RelatesTo,
)
from records.models import StoredDocument
from translations import gettext_for
from translations import gettext_noop as _
from use_cases.cases import Case

PDF = "application/pdf"

_TITLES: Mapping[DocumentKind, str] = {
    DocumentKind.PRELIMINARY: _("Preliminary report"),
    DocumentKind.FINAL: _("Final report"),
    DocumentKind.ADDENDUM: _("Addendum"),
}
_REPORT_STATUSES: Mapping[DocumentKind, str] = {
    DocumentKind.PRELIMINARY: "preliminary",
    DocumentKind.FINAL: "final",
    DocumentKind.ADDENDUM: "appended",
}
_AUTHORS_SIGNATURE = Coding(
    system="urn:iso-astm:E1762-95:2013", code="1.2.840.10065.1.12.1.1", display="Author's Signature"
)


def document_references(case: Case, server: Server) -> Iterator[DocumentReference]:
    """One for each, in the order of signing. A final report replaces a preliminary one, an addendum adds to the final one."""
    for document in case.documents:
        yield DocumentReference(
            id=str(document.report_id),
            meta=meta_of(case),
            master_identifier=_identifier(document),
            status="superseded" if _is_replaced(case, document) else "current",
            doc_status="preliminary" if document.kind is DocumentKind.PRELIMINARY else "final",
            type=CONSULT_NOTE,
            subject=patient_of(case),
            date=document.signed_at,
            author=(signed_by(case, document.report_id, document.signer_id, server),),
            custodian=_clinic_of(case, document),
            relates_to=some([_relation(case, document)]),
            description=gettext_for(server.language)(_TITLES[document.kind]),
            content=(DocumentContent(attachment=_pdf(document, server)),),
            context=DocumentContext(related=(request_of(case, server), *_answered(case, document))),
        )


def diagnostic_reports(case: Case, server: Server) -> Iterator[DiagnosticReport]:
    """The same as reports. What they say stands in the signed document, and nowhere else."""
    for document in case.documents:
        yield DiagnosticReport(
            id=str(document.report_id),
            meta=meta_of(case),
            identifier=(_identifier(document),),
            based_on=(request_of(case, server),),
            status=_REPORT_STATUSES[document.kind],
            code=CONSULT_NOTE,
            subject=patient_of(case),
            effective_date_time=document.signed_at,
            issued=document.signed_at,
            performer=(_clinic_of(case, document),),
            results_interpreter=(signed_by(case, document.report_id, document.signer_id, server),),
            presented_form=(_pdf(document, server),),
        )


def provenances(case: Case, _server: Server) -> Iterator[Provenance]:
    """Who signed each document, and when. The signature itself is in the PDF (PAdES), where anybody can check it.

    What a partner has sent was signed by nobody here.
    """
    for document in case.documents:
        if is_from_outside(case, document.report_id):
            continue
        signer = role_of(document.signer_id)
        yield Provenance(
            id=str(document.report_id),
            meta=meta_of(case),
            target=(
                reference_to("DocumentReference", document.report_id),
                reference_to("DiagnosticReport", document.report_id),
                reference_to("Binary", document.report_id),
            ),
            occurred_date_time=document.signed_at,
            recorded=document.issued_at,
            activity=concept(
                "http://terminology.hl7.org/CodeSystem/v3-DocumentCompletion", "LA", "legally authenticated"
            ),
            agent=(
                Agent(
                    type=concept(
                        "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "author", "Author"
                    ),
                    who=signer,
                    on_behalf_of=_clinic_of(case, document),
                ),
            ),
            signature=(Signature(type=(_AUTHORS_SIGNATURE,), when=document.signed_at, who=signer, sig_format=PDF),),
        )


def _is_replaced(case: Case, document: StoredDocument) -> bool:
    """Whether another report has taken the place of a preliminary one."""
    later = (other.kind for other in case.documents if other.number > document.number)
    return document.kind is DocumentKind.PRELIMINARY and any(kind is not DocumentKind.ADDENDUM for kind in later)


def _relation(case: Case, document: StoredDocument) -> RelatesTo | None:
    earlier = [other for other in case.documents if other.number < document.number]
    if document.kind is DocumentKind.ADDENDUM:
        kind, code = DocumentKind.FINAL, "appends"
    else:
        kind, code = DocumentKind.PRELIMINARY, "replaces"
    target = next((other for other in reversed(earlier) if other.kind is kind), None)
    return RelatesTo(code=code, target=reference_to("DocumentReference", target.report_id)) if target else None


def _answered(case: Case, document: StoredDocument) -> Iterator[Reference]:
    """The question about the report to which an addendum is the answer."""
    signed = signing_of(case, document.report_id)
    named = signed.command.get("follow_up_id") if signed is not None else None
    asked = questions_of(case).get(UUID(named)) if named else None
    if asked is not None:
        yield reference_to("Communication", part_of(case.id, asked.version))


def _identifier(document: StoredDocument) -> Identifier:
    return Identifier(system="urn:ietf:rfc:3986", value=document.report_id.urn)


def _clinic_of(case: Case, document: StoredDocument) -> Reference:
    """The clinic for which it was signed."""
    signed = next(signed for signed in case.process.documents if signed.report_id == document.report_id)
    return reference_to("Organization", signed.signer.clinic_id)


def _pdf(document: StoredDocument, server: Server) -> Attachment:
    return Attachment(
        content_type=PDF,
        url=server.address("Binary", str(document.report_id)),
        size=document.size_bytes,
        title=gettext_for(server.language)(_TITLES[document.kind]),
        creation=document.signed_at,
    )
