"""Signing a report: proof of who signs, what is signed frozen under the id of the command, and its document awaited."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal
from uuid import UUID, uuid5

from pydantic import AfterValidator, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from domain import commands as c
from domain.model import COMPOSED, SAYS_SOMETHING, storable
from domain.offerings import CalledFor, FormField, calls_of
from domain.refusals import Refusal, RefusalCode
from domain.requests import DocumentKind
from records import reports, requests
from records.canonical import content_sha256
from records.errors import ContentConflictError
from records.models import FrozenReport, Json, RequestRecord, StoredDocument
from translations import Language
from use_cases import policy, step_up
from use_cases.attempts import Begun
from use_cases.commands import Call, CommandReceipt, Moment, Order, carry_out, must_be_allowed
from use_cases.documents import DocumentView, document_view
from use_cases.names import Names
from use_cases.paper import paper
from use_cases.printable import check_length, check_texts
from use_cases.problems import Problem, field_faults
from use_cases.proofs import Proof, Proved, proved_by
from use_cases.report_drafts import obstacles, template_of
from use_cases.services import Services
from use_cases.verification import VERIFICATION_PAGE


class SigningProof(Proof):
    """The second proof of identity of who signs, and in which language."""

    language: Language | None = Field(None, description="Language of the document; the signer's own if empty.")


class SignBody(SigningProof):
    """Sign the draft as it is saved."""

    kind: Literal[DocumentKind.PRELIMINARY, DocumentKind.FINAL] = Field(examples=["final"])
    revision: int | None = Field(
        None,
        description="The revision of the draft that was reviewed; 412 if another one was saved since.",
        examples=[4],
    )


class AddendumBody(SigningProof):
    """What is to be added to the final report; also as the answer to what was asked about it."""

    follow_up_id: UUID | None = Field(
        None, description="The open question about the report that it answers.", examples=[None]
    )

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


async def sign(services: Services, call: Call, body: SignBody) -> SigningReceipt:
    """Sign the saved draft, and wait a moment for its document. Raises Problem `wrong_password`, `report_incomplete`, …"""
    return await _sign(services, call, _Signature(body=body, proved=await _proved(services, call, body, _Signature)))


async def add(services: Services, call: Call, body: AddendumBody) -> SigningReceipt:
    """Sign an addition to the final report, and wait a moment for its document. Raises Problem `wrong_password`, …"""
    order = _Addition(body=body, proved=await _proved(services, call, body, _Addition))
    _check_text(body)
    async with services.database.session() as session:
        before = await reports.load_frozen_report(session, report_id_of(call))
    if before is not None and [entry["value"] for entry in before.content["answer"]] != [body.text]:
        raise Problem("idempotency_key_reused")
    return await _sign(services, call, order)


class _Signature(Order):
    """The draft of the report is frozen and signed as it is saved."""

    command = c.SignReport
    freezes = True

    body: SignBody
    proved: Proved

    async def made(self, at: Moment) -> c.SignReport:
        if at.row.signature_id is not None:
            raise Refusal(RefusalCode.REPORT_BEING_SIGNED, "another signature is on its way")
        template, answers = await _reviewed(at.session, at.services, at.row, self.body)
        self.proved.must_be_for(_matter_of_report(self.body, answers))
        frozen = await _freeze(at, self.body, self.proved, self.body.kind, template, answers)
        called_for = calls_of(template, answers)
        return c.SignReport(
            **at.head,
            kind=self.body.kind,
            report_id=frozen.id,
            content_sha256=frozen.content_sha256,
            urgent=CalledFor.READING_WITHOUT_DELAY in called_for,
            new_photos=CalledFor.NEW_PHOTOS in called_for,
        )

    def repeats(self, before: c.AnyCommand) -> bool:
        return isinstance(before, c.SignReport) and before.kind == self.body.kind


class _Addition(Order):
    """A text is frozen and signed as an addition to the final report."""

    command = c.AddAddendum
    freezes = True

    body: AddendumBody
    proved: Proved

    async def made(self, at: Moment) -> c.AddAddendum:
        self.proved.must_be_for(_matter_of_addition(self.body))
        frozen = await _freeze(at, self.body, self.proved, DocumentKind.ADDENDUM, None, {"text": self.body.text})
        return c.AddAddendum(
            **at.head,
            report_id=frozen.id,
            content_sha256=frozen.content_sha256,
            follow_up_id=self.body.follow_up_id,
        )

    def repeats(self, before: c.AnyCommand) -> bool:
        return isinstance(before, c.AddAddendum) and before.follow_up_id == self.body.follow_up_id


async def _sign(services: Services, call: Call, order: Order) -> SigningReceipt:
    """Give the command, then wait until its document is there (or could not be made)."""
    receipt = await carry_out(services, call, order)
    if receipt.state == "queued":
        return SigningReceipt(**receipt.model_dump(), document=None)
    try:
        async with asyncio.timeout(services.settings.document_timeout_seconds):
            row, document, names = await document_made(services, call)
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


async def document_made(services: Services, call: Call) -> tuple[RequestRecord, StoredDocument, Names]:
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


async def _proved(services: Services, call: Call, proof: Proof, order: type[Order]) -> Proved:
    """How the caller has proved who they are. Who may not sign is told so, and learns nothing about a password.

    A code, and what a provider confirmed, is for this signature alone, of this request by this command; sent again with it, it
    is good.
    """
    await must_be_allowed(services, call, order)
    used_for = str(report_id_of(call))
    return await proved_by(services, call.caller, proof, confirmed_for=used_for, answered_for=used_for)


async def confirm_report(
    services: Services, call: Call, body: SignBody, said: Mapping[str, str], cookie: str | None
) -> Begun:
    """On to the signer's provider, to confirm that it is they who sign the draft as it is saved.

    Raises as `sign` does, but for what concerns a password, and as `step_up.begin`.
    """
    await must_be_allowed(services, call, _Signature)
    async with services.database.session() as session:
        row, _ = await policy.request_to_see(session, call.caller, call.request_id)
        _, answers = await _reviewed(session, services, row, body)
    used_for, matter = str(report_id_of(call)), _matter_of_report(body, answers)
    return await step_up.begin(services, call.caller, used_for, matter, said, cookie)


async def confirm_addition(
    services: Services, call: Call, body: AddendumBody, said: Mapping[str, str], cookie: str | None
) -> Begun:
    """The same for an addition to the final report."""
    await must_be_allowed(services, call, _Addition)
    _check_text(body)
    used_for = str(report_id_of(call))
    return await step_up.begin(services, call.caller, used_for, _matter_of_addition(body), said, cookie)


async def _reviewed(
    session: AsyncSession, services: Services, row: RequestRecord, body: SignBody
) -> tuple[tuple[FormField, ...], Json]:
    """The template and what the draft says, if it is the one that was reviewed, and can be signed."""
    draft = await reports.load_report_draft(session, row.id)
    template = await template_of(session, services, row, draft)
    if body.revision not in (None, draft.revision if draft else 0):
        raise Refusal(RefusalCode.VERSION_CONFLICT, "the draft was saved again since it was reviewed")
    answers = draft.answers if draft else {}
    if problems := obstacles(template, answers):
        is_incomplete = any(problem.code == "required" for problem in problems)
        raise Problem("report_incomplete" if is_incomplete else "report_invalid", field_faults(problems))
    return template, answers


def _check_text(body: AddendumBody) -> None:
    text = {"text": body.text}
    if problems := (*check_texts(text), *check_length(text)):
        raise Problem("invalid_input", field_faults(problems))


def _matter_of_report(body: SignBody, answers: Json) -> str:
    return content_sha256({"kind": body.kind, "revision": body.revision, "answers": answers})


def _matter_of_addition(body: AddendumBody) -> str:
    return content_sha256({"text": body.text, "follow_up_id": str(body.follow_up_id or "")})


async def _freeze(
    at: Moment,
    proof: SigningProof,
    proved: Proved,
    kind: DocumentKind,
    template: Iterable[FormField] | None,
    answers: Json,
) -> FrozenReport:
    now, call = at.head["sent_at"], at.call
    content = await paper(
        at.session,
        offering=await at.services.versions.of(at.session, at.row),
        row=at.row,
        signer=call.caller.account,
        document_id=report_id_of(call),
        kind=kind,
        template=template,
        answers=answers,
        language=proof.language or call.caller.language,
        at=now,
        verified_at=at.services.settings.public_url.rstrip("/") + VERIFICATION_PAGE,
    )
    try:
        return await reports.freeze_report(
            at.session,
            at.row.id,
            report_id=report_id_of(call),
            kind=kind,
            content=content.model_dump(mode="json", exclude={"signed_at"}),  # which the workflow gives
            signer_id=call.caller.id,
            command_id=call.command_id,
            proof_at=now,
            proof_method=proved.method,
            proof_evidence=dict(proved.evidence) if proved.evidence else None,
            now=now,
        )
    except ContentConflictError:  # the key was sent before, with another report
        raise Problem("idempotency_key_reused") from None
