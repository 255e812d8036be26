"""A partner's report, kept as it came: frozen with what is known of it, and recorded by the worker as every report is.

It is theirs: nothing of it is drawn or signed here, and under it stands the name that the partner's message gives.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal
from uuid import UUID

from documents import content as printed
from domain import commands as c
from domain.model import Frozen
from domain.requests import DocumentKind
from records import reports
from records.errors import ContentConflictError
from records.models import FrozenReport
from records.reports import BY_MESSAGE
from records.store import document_key
from translations import Language, gettext_for
from translations import gettext_noop as _
from use_cases.commands import Call, CommandReceipt, Moment, Order, carry_out
from use_cases.names import full_name
from use_cases.paper import paper
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.signing import document_made, report_id_of

SEE_THE_DOCUMENT = _("This report came from outside, as a document of theirs. Open the document to read it.")
SEEN_IN_PERSON = _("The patient must be seen in person.")


class Came(Frozen):
    """What came: its digest and length; whether the patient must be seen, and it must be read without delay, as the message says;
    in whose language it is told.
    """

    document: printed.ReceivedDocument
    needs_visit: bool | None
    is_urgent: bool
    language: Language


@dataclass(frozen=True)
class OutsideReport:
    """A document of a partner: its bytes, and what is said with it; which question about the report it answers, if any."""

    pdf: bytes
    kind: DocumentKind
    needs_visit: bool | None
    is_urgent: bool
    language: Language
    follow_up_id: UUID | None = None


async def keep(services: Services, call: Call, report: OutsideReport) -> CommandReceipt:
    """Keep the document and give it to the request as its report; it is there when this is answered.

    Raises as `carry_out` does; Problem `signing_failed`, and StoreError.
    """
    digest = sha256(report.pdf).hexdigest()
    await services.store.put_new(document_key(call.request_id, report_id_of(call), digest), report.pdf)
    document = printed.ReceivedDocument(pdf_sha256=digest, size_bytes=len(report.pdf))
    came = Came(document=document, needs_visit=report.needs_visit, is_urgent=report.is_urgent, language=report.language)
    if report.kind is DocumentKind.ADDENDUM:
        order: Order = _Addition(came=came, follow_up_id=report.follow_up_id)
    else:
        order = _Report(came=came, kind=report.kind)
    receipt = await carry_out(services, call, order)
    if receipt.state == "done":
        await document_made(services, call)
    return receipt


class _Report(Order):
    """A preliminary or final report."""

    command = c.SignReport
    freezes = True

    came: Came
    kind: Literal[DocumentKind.PRELIMINARY, DocumentKind.FINAL]

    async def made(self, at: Moment) -> c.SignReport:
        frozen = await _freeze(at, self.came, self.kind)
        return c.SignReport(
            **at.head,
            kind=self.kind,
            report_id=frozen.id,
            content_sha256=frozen.content_sha256,
            urgent=self.came.is_urgent,
        )

    def repeats(self, before: c.AnyCommand) -> bool:
        return isinstance(before, c.SignReport) and before.kind == self.kind


class _Addition(Order):
    """Something added to the final report."""

    command = c.AddAddendum
    freezes = True

    came: Came
    follow_up_id: UUID | None

    async def made(self, at: Moment) -> c.AddAddendum:
        frozen = await _freeze(at, self.came, DocumentKind.ADDENDUM)
        return c.AddAddendum(
            **at.head,
            report_id=frozen.id,
            content_sha256=frozen.content_sha256,
            follow_up_id=self.follow_up_id,
        )

    def repeats(self, before: c.AnyCommand) -> bool:
        return isinstance(before, c.AddAddendum)


async def _freeze(at: Moment, came: Came, kind: DocumentKind) -> FrozenReport:
    now, call, signer = at.head["sent_at"], at.call, at.call.caller.account
    content = await paper(
        at.session,
        offering=await at.services.versions.of(at.session, at.row),
        row=at.row,
        signer=signer,
        document_id=report_id_of(call),
        kind=kind,
        template=(),
        answers={},
        language=came.language,
        at=now,
    )
    say, said_by = gettext_for(came.language), call.outside or c.Outside()
    told = [SEE_THE_DOCUMENT, *([SEEN_IN_PERSON] if came.needs_visit else [])]
    theirs = content.model_copy(
        update={
            "signer": printed.Practitioner(
                name=said_by.name or said_by.organization or full_name(signer), clinic=said_by.organization or None
            ),
            "answer": (printed.Entry(label=say("Report"), value="\n".join(map(say, told)), leads=True),),
        }
    )
    try:
        return await reports.freeze_report(
            at.session,
            at.row.id,
            report_id=report_id_of(call),
            kind=kind,
            content=theirs.model_dump(mode="json", exclude={"signed_at"}),
            signer_id=call.caller.id,
            command_id=call.command_id,
            proof_at=now,
            proof_method=BY_MESSAGE,
            proof_evidence=came.document.model_dump(),
            now=now,
        )
    except ContentConflictError:
        raise Problem("idempotency_key_reused") from None
