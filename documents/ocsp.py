"""Whether a certificate of the authority is revoked, as an answer that others can check (OCSP, RFC 6960)."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from documents.authority import Identity, Revocation

LONGEST_NONCE = 128
"""Bytes; more than the 32 that RFC 9654 asks for, and nothing to fill answers with."""


class UnreadableError(Exception):
    """It is no question about one certificate."""


_UNREADABLE = (
    ValueError,
    TypeError,
    NotImplementedError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What reading a question that is none raises."""


@dataclass(frozen=True)
class Question:
    """A question about one certificate."""

    serial_number: int
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    algorithm: hashes.HashAlgorithm
    nonce: bytes | None

    @classmethod
    def read(cls, der: bytes) -> "Question":
        """Raises UnreadableError; also for a question about several, which nobody asks and everybody would have to answer."""
        try:
            asked = ocsp.load_der_ocsp_request(der)
            found = [one.value for one in asked.extensions if isinstance(one.value, x509.OCSPNonce)]
            nonce = found[0].nonce if found else None
            question = cls(
                asked.serial_number, asked.issuer_name_hash, asked.issuer_key_hash, asked.hash_algorithm, nonce
            )
        except _UNREADABLE as error:
            raise UnreadableError from error
        if (
            question.serial_number <= 0
        ):  # no certificate has such a one (RFC 5280, 4.1.2.2), and no answer can be about it
            raise UnreadableError
        if nonce is not None and not 0 < len(nonce) <= LONGEST_NONCE:
            raise UnreadableError
        return question

    def is_about(self, root: x509.Certificate) -> bool:
        """Whether it is about a certificate that this root would have issued."""
        key = root.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        name = root.subject.public_bytes()
        return (self.issuer_name_hash, self.issuer_key_hash) == tuple(
            hashlib.new(self.algorithm.name, part, usedforsecurity=False).digest() for part in (name, key)
        )


MALFORMED, TRY_LATER, UNAUTHORIZED = (
    ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
    for status in (
        ocsp.OCSPResponseStatus.MALFORMED_REQUEST,
        ocsp.OCSPResponseStatus.TRY_LATER,
        ocsp.OCSPResponseStatus.UNAUTHORIZED,
    )
)
"""The answers that nobody signs."""


def answered(
    question: Question,
    responder: Identity,
    *,
    is_known: bool,
    revoked: Revocation | None,
    at: datetime,
    until: datetime,
) -> bytes:
    """The signed answer (DER), as of `at` and good until `until`: revoked, good, or unknown where nobody here knows of it."""
    state = ocsp.OCSPCertStatus.GOOD if is_known else ocsp.OCSPCertStatus.UNKNOWN
    if revoked is not None:
        state = ocsp.OCSPCertStatus.REVOKED
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response_by_hash(
            issuer_name_hash=question.issuer_name_hash,
            issuer_key_hash=question.issuer_key_hash,
            serial_number=question.serial_number,
            algorithm=question.algorithm,
            cert_status=state,
            this_update=_naive(at),
            next_update=_naive(until),
            revocation_time=_naive(revoked.at) if revoked else None,
            revocation_reason=x509.ReasonFlags[revoked.reason] if revoked else None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, responder.certificate)
        .certificates([responder.certificate])
    )
    if question.nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(question.nonce), critical=False)
    return builder.sign(responder.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _naive(moment: datetime) -> datetime:
    """In UTC, to the second, as the builder wants it."""
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0)
