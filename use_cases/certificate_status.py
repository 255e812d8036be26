"""Whether a certificate that was issued here is revoked, told so that any program can check the answer (OCSP).

Answers are signed by a key for nothing else, with a certificate for some weeks, both made by a worker that has the authority. It
stands sealed in the records, so that each API answers at once and needs neither the authority's folder nor its token.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from sqlalchemy.ext.asyncio import AsyncSession

from documents.authority import RESPONDER_RENEWAL, Authority, Identity, Reason, Revocation
from documents.keys_thread import of_the_keys
from documents.ocsp import MALFORMED, TRY_LATER, UNAUTHORIZED, Question, UnreadableError, answered
from engine.client import key_ring
from key_ring import EncryptionError, open_sealed, seal, sealed_with
from records import signing_roots
from records.models import SigningCertificate, SigningRoot
from settings import Settings
from use_cases.problems import Problem
from use_cases.services import Services

LONGEST_QUESTION = 2048
"""Bytes; a question about one certificate has some hundred."""

HOLDS_FOR = timedelta(hours=1)
"""An answer is believed for so long, and may be kept by whoever passes it on."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class StatusAnswer:
    """An answer (DER); `holds_for` is how long others may give it too, None for one that is for whoever asked alone."""

    der: bytes
    holds_for: timedelta | None = None


async def certificate_status(services: Services, sha256: str, asked: bytes, now: datetime) -> StatusAnswer:
    """The answer to a question (DER) about a certificate of the root with that fingerprint. Raises Problem `not_found`."""
    try:
        question = Question.read(asked if len(asked) <= LONGEST_QUESTION else b"")
    except UnreadableError:
        return StatusAnswer(MALFORMED)
    async with services.database.statement() as session:
        root = await signing_roots.signing_root(session, sha256.lower())
        if root is None:
            raise Problem("not_found")
        issued = await signing_roots.issued_certificate(session, root.sha256, question.serial_number)
    if not question.is_about(x509.load_pem_x509_certificate(root.certificate.encode())):
        return StatusAnswer(UNAUTHORIZED)
    responder = _responder_of(services.settings, root)
    if responder is None or responder.certificate.not_valid_after_utc < now + HOLDS_FOR:
        return StatusAnswer(TRY_LATER)
    der = answered(
        question,
        responder,
        is_known=issued is not None,
        revoked=_revocation(issued),
        at=now,
        until=now + HOLDS_FOR,
    )
    return StatusAnswer(der, HOLDS_FOR if question.nonce is None else None)


async def renew_responder(settings: Settings, session: AsyncSession, authority: Authority) -> None:
    """Give who answers for that authority a new key and certificate, where the last ones end soon or do not open any more."""
    root = await signing_roots.signing_root(session, authority.root_sha256)
    if root is None or _is_fresh(settings, root, datetime.now(UTC)):
        return
    made = await of_the_keys(authority.responder)
    key = made.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    sealed = seal(key_ring(settings), key, _place_of(root.sha256))
    await signing_roots.note_responder(session, root.sha256, made.certificate.public_bytes(Encoding.DER), sealed)
    await session.refresh(root)


def _is_fresh(settings: Settings, root: SigningRoot, now: datetime) -> bool:
    """Whether it need not be renewed: also where its key is sealed with one that may go from the ring."""
    if root.sealed_responder is None or sealed_with(root.sealed_responder) != key_ring(settings).current:
        return False
    responder = _responder_of(settings, root)
    return responder is not None and responder.certificate.not_valid_after_utc - now > RESPONDER_RENEWAL


def _responder_of(settings: Settings, root: SigningRoot) -> Identity | None:
    if root.sealed_responder is None or root.responder_certificate is None:
        return None
    try:
        key = load_der_private_key(open_sealed(key_ring(settings), root.sealed_responder, _place_of(root.sha256)), None)
    except EncryptionError:
        log.error("the key that answers for certificates does not open")
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("a responder has an elliptic-curve key")
    return Identity(key, x509.load_der_x509_certificate(root.responder_certificate))


def _revocation(issued: SigningCertificate | None) -> Revocation | None:
    if issued is None or issued.revoked_at is None:
        return None
    return Revocation(int(issued.serial_number, 16), issued.revoked_at, cast(Reason, issued.revocation_reason))


def _place_of(root_sha256: str) -> str:
    return f"responder of {root_sha256}"
