"""The activity that makes a signed document: checks the proof of identity, renders, seals, stores."""

import asyncio
import hashlib
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import cast

import structlog
from cryptography import x509
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.contract import FINALIZE_REPORT, FinalizedReport
from activities.heartbeat import alive
from confined import ConfinedError, NoVerdictError
from documents.authority import Authority, Reason, Revocation
from documents.bounded import SignedReport, draw_report, sign_report
from documents.content import ReceivedDocument, ReportContent
from domain.effects import Finalize
from domain.requests import Signing
from records import people, reports, signing_roots
from records.database import Database
from records.models import FrozenReport
from records.store import DocumentStore, document_key

TRIES = 3
"""How often drawing a report may fail."""

log = structlog.get_logger(__name__)


class ReportActivities:
    """Makes signed documents with the keys of one authority, so many `at_once`; the others wait for their turn.

    `authority` gives it, or raises KeysAwayError while its keys can't be had.
    """

    def __init__(
        self, database: Database, store: DocumentStore, authority: Callable[[], Authority], at_once: int
    ) -> None:
        self._database = database
        self._store = store
        self._authority = authority
        self._places = asyncio.Semaphore(at_once)

    @activity.defn(name=FINALIZE_REPORT)
    async def finalize_report(self, effect: Finalize) -> FinalizedReport:
        """Make the document that `effect.signing` asks for, once; later calls give the one that was made.

        Raises a non-retryable ApplicationError when the records hold no proof that the signer signed exactly this.
        """
        async with alive():
            return await self._finalize(effect)

    async def _finalize(self, effect: Finalize) -> FinalizedReport:
        signing, authority = effect.signing, self._authority()
        async with self._database.session() as session:
            made = await reports.find_document(session, signing.report_id)
            frozen = await reports.load_frozen_report(session, signing.report_id)
            account = await people.load_account(session, signing.signer.id)
            revoked = await revocations(session, authority)
        if frozen is None:
            raise _unsignable("report_not_frozen", "the records hold no such report")
        _check_proof(effect, frozen)
        if made is not None:
            return FinalizedReport(pdf_sha256=made.pdf_sha256)
        if frozen.proof_method == reports.BY_MESSAGE:
            return await self._keep_as_it_came(effect, frozen)
        if account is None or not account.active:
            raise _unsignable("signer_inactive", "the signer has no active account")
        content = ReportContent.model_validate({**frozen.content, "signed_at": signing.signed_at})
        async with self._places:
            signed = await self._make(content, signing, authority, revoked)
        document = signed.pdf
        sha256 = hashlib.sha256(document).hexdigest()
        # Two tries at the same time would make two documents, each under its own key; the records take one, and only that
        # one is ever served. The other try fails with a conflict, is tried again, and finds the first.
        key = document_key(effect.request_id, signing.report_id, sha256)
        await self._store.put_new(key, document)
        async with self._database.session() as session:
            used = await signing_roots.note_certificate(
                session,
                root_sha256=authority.root_sha256,
                serial_number=x509.load_der_x509_certificate(signed.certificate).serial_number,
                signer_id=signing.signer.id,
                now=datetime.now(UTC),
            )
            if used.revoked_at is not None:  # meanwhile; the next try has another key
                raise ApplicationError("the signer's certificate was revoked", type="report_not_signed")
            await reports.record_document(
                session,
                signing.report_id,
                pdf_sha256=sha256,
                size_bytes=len(document),
                object_key=key,
                signed_at=signing.signed_at,
            )
            # under the request's lock: what nobody named for days may have been swept meanwhile
            await self._store.must_be_there(key)
        log.info(
            "document signed", request_id=str(effect.request_id), report_id=str(signing.report_id), kind=signing.kind
        )
        return FinalizedReport(pdf_sha256=sha256)

    async def _keep_as_it_came(self, effect: Finalize, frozen: FrozenReport) -> FinalizedReport:
        """A partner's document is theirs, to the byte: nothing is drawn or signed here."""
        came = ReceivedDocument.model_validate(frozen.proof_evidence)
        key = document_key(effect.request_id, frozen.id, came.pdf_sha256)
        async with self._database.session() as session:
            await reports.record_document(
                session,
                frozen.id,
                pdf_sha256=came.pdf_sha256,
                size_bytes=came.size_bytes,
                object_key=key,
                signed_at=effect.signing.signed_at,
            )
            await self._store.must_be_there(key)
        return FinalizedReport(pdf_sha256=came.pdf_sha256)

    async def _make(
        self, content: ReportContent, signing: Signing, authority: Authority, revoked: Collection[Revocation]
    ) -> SignedReport:
        return await self._sign(await self._draw(content, signing), content, signing, authority, revoked)

    async def _draw(self, content: ReportContent, signing: Signing) -> bytes:
        try:
            return await draw_report(content)
        except NoVerdictError as error:
            log.warning("a report was not drawn", report_id=str(signing.report_id), error=type(error).__name__)
            raise ApplicationError(str(error), type="report_not_drawn") from None
        except ConfinedError as error:
            log.error("a report could not be drawn", report_id=str(signing.report_id), error=type(error).__name__)
            raise _not_drawn(str(error)) from None

    async def _sign(
        self,
        drawn: bytes,
        content: ReportContent,
        signing: Signing,
        authority: Authority,
        revoked: Collection[Revocation],
    ) -> SignedReport:
        """What fails here is of the keys or the machine, which can be put right: it is tried again for as long as signing is."""
        try:
            return await sign_report(
                drawn,
                authority,
                signing.signer.id,
                content.signer,
                reason=content.request_number,
                at=signing.signed_at,
                revoked=revoked,
            )
        except ConfinedError as error:
            log.error("a report could not be signed", report_id=str(signing.report_id), error=type(error).__name__)
            raise ApplicationError(str(error), type="report_not_signed") from None


async def revocations(session: AsyncSession, authority: Authority) -> list[Revocation]:
    """What is revoked of the certificates that this authority has issued."""
    return [
        Revocation(int(one.serial_number, 16), one.revoked_at, cast(Reason, one.revocation_reason))
        for one in await signing_roots.revoked_certificates(session, authority.root_sha256)
        if one.revoked_at is not None
    ]


def _check_proof(effect: Finalize, frozen: FrozenReport) -> None:
    """The records must hold this very content, frozen by the signer for this very command, with a fresh proof of identity."""
    signing = effect.signing
    proven = (frozen.request_id, frozen.signer_id, frozen.command_id, frozen.content_sha256, frozen.kind)
    if proven != (effect.request_id, signing.signer.id, effect.command_id, signing.content_sha256, signing.kind):
        raise _unsignable("signature_not_proven", "the proof of identity is not for this signature")


def _not_drawn(fault: str) -> ApplicationError:
    """It may have been for a reason of the machine's, so it is tried again, `TRIES` times in all."""
    return ApplicationError(fault, type="report_not_drawn", non_retryable=activity.info().attempt >= TRIES)


def _unsignable(code: str, explanation: str) -> ApplicationError:
    return ApplicationError(explanation, type=code, non_retryable=True)
