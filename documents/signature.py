"""Signing a report, and checking a signed one.

A signature here is PAdES baseline B-LTA (ETSI EN 319 142-1): the signer's signature over the whole file, a time stamp on it,
then everything needed to check both (certificates and revocation list), and a last time stamp over all of that. So a report
stands on its own: it can be checked without asking anyone, long after the signer's certificate has expired.

The signature field is invisible, as PDF/A and PDF/UA ask; what the reader sees of the signature is drawn on the page. The
document is certified: any change after signing, even one that was appended in due form, makes it invalid.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from asn1crypto import cms, x509  # type: ignore[import-untyped]
from asn1crypto.parser import peek  # type: ignore[import-untyped]
from cryptography import x509 as certificates
from cryptography.exceptions import InvalidSignature
from cryptography.x509 import load_der_x509_certificate, load_der_x509_crl
from pyhanko.keys import load_certs_from_pemder_data
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.ades.report import AdESFailure, AdESIndeterminate, AdESPassed
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.fields import MDPPerm, SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.signers.pdf_signer import (
    DSSContentSettings,
    PdfSignatureMetadata,
    PdfSigner,
    PdfSigningSession,
    SigDSSPlacementPreference,
    TimestampDSSContentSettings,
)
from pyhanko.sign.validation.ades import AdESLTAValidationResult, ades_lta_validation
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.policy_decl import (
    PdfSignatureValidationSpec,
    RevinfoOnlineFetchingRule,
    RevocationInfoGatheringSpec,
    SignatureValidationSpec,
)
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.ltv.types import ValidationTimingInfo
from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy, RevocationCheckingPolicy
from pyhanko_certvalidator.registry import SimpleTrustManager

from documents.credentials import SignerCredentials
from documents.time_stamps import is_tight
from documents.verification import Certificate, Problem, Verification

SIGNATURE_FIELD = "Signature"
ARCHIVE_FIELD = "ArchiveTimeStamp"
# The time stamp comes last, after all that is needed to check it, so that no byte of the file is outside of it.
EVERYTHING_UNDER_THE_LAST_STAMP = DSSContentSettings(
    include_vri=False,
    placement=SigDSSPlacementPreference.TOGETHER_WITH_NEXT_TS,
    next_ts_settings=TimestampDSSContentSettings(include_vri=False, update_before_ts=True),
)
REVOCATION_IF_KNOWN = RevocationCheckingPolicy.from_legacy("soft-fail")
"""Of an outside service the file does not hold whether its certificate is revoked."""
UNCHANGED = (ModificationLevel.NONE, ModificationLevel.LTA_UPDATES)
REVOKED = (AdESFailure.REVOKED, AdESIndeterminate.REVOKED_NO_POE, AdESIndeterminate.REVOKED_CA_NO_POE)

# What the validator has to say is in the verdict. Its logs repeat it with the names of people, which do not belong there.
for _library in ("pyhanko", "pyhanko_certvalidator"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)


async def sign_pdf(pdf: bytes, credentials: SignerCredentials, *, reason: str, at: datetime) -> bytes:
    """The same PDF, signed; the given bytes stay as they are and the signature is appended.

    `at` is the time at which the person signed, as the file will state it; the time stamps say the time of the clock. Signing
    is not deterministic: two signatures of one file differ. Raises pyHanko's `SigningError` if the file is signed already or
    the credentials do not hold (expired, revoked, not issued by a trusted root), and its `InvalidCertificateError` if the
    certificate is not one for signing documents.
    """
    return await asyncio.to_thread(sign_now, pdf, credentials, reason, at)


async def verify_pdf(
    pdf: bytes,
    trust_roots: Sequence[bytes],
    *,
    at: datetime | None = None,
    revocation_lists: Sequence[bytes] = (),
    stamp_roots: Sequence[bytes] = (),
) -> Verification:
    """Checks a signed report against root certificates (PEM or DER), as of now or as of `at`.

    `revocation_lists` (DER) are newer ones than the report holds itself, where there are any. `stamp_roots` (PEM or DER) vouch
    for time stamps from outside, and for nothing else.

    Never raises for what is in the file: whatever is wrong with it ends up in `problems`. Asks nothing of the network.
    """
    return await asyncio.to_thread(verify_now, pdf, trust_roots, at or datetime.now(UTC), revocation_lists, stamp_roots)


def sign_now(pdf: bytes, credentials: SignerCredentials, reason: str, at: datetime) -> bytes:
    """`sign_pdf` in this thread."""
    metadata = PdfSignatureMetadata(
        field_name=SIGNATURE_FIELD,
        timestamp_field_name=ARCHIVE_FIELD,
        md_algorithm="sha256",
        reason=reason,
        subfilter=SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=MDPPerm.NO_CHANGES,
        embed_validation_info=True,
        use_pades_lta=True,
        dss_settings=EVERYTHING_UNDER_THE_LAST_STAMP,
        validation_context=ValidationContext(
            trust_roots=[x509.Certificate.load(root) for root in (*credentials.trust_roots, *credentials.stamp_roots)],
            crls=list(credentials.revocation_lists),
            # of an outside service's certificate nobody has told here whether it is revoked
            revocation_mode="soft-fail" if credentials.stamp_roots else "require",
            allow_fetching=False,
        ),
    )
    signer = _SignerAt(at, metadata, credentials)
    signed: BytesIO = signer.sign_pdf(IncrementalPdfFileWriter(BytesIO(pdf)))
    return signed.getvalue()


class _SignerAt(PdfSigner):
    """Writes a given time of signing into the file instead of the clock's."""

    def __init__(self, at: datetime, metadata: PdfSignatureMetadata, credentials: SignerCredentials) -> None:
        # The name for people (PDF/UA asks for one) is a word that French and English share.
        field = SigFieldSpec(SIGNATURE_FIELD, readable_field_name="Signature")
        super().__init__(metadata, credentials.signer, timestamper=credentials.time_stamper, new_field_spec=field)
        self._at = at

    def init_signing_session(self, *args: Any, **kwargs: Any) -> PdfSigningSession:
        session = super().init_signing_session(*args, **kwargs)
        session.system_time = self._at
        return session


def verify_now(
    pdf: bytes,
    trust_roots: Sequence[bytes],
    at: datetime,
    revocation_lists: Sequence[bytes] = (),
    stamp_roots: Sequence[bytes] = (),
) -> Verification:
    """`verify_pdf` in this thread, for as long as the file may take (see `documents.tasks`)."""
    trusted = _Trusted(_loaded(trust_roots), _loaded(stamp_roots))
    try:
        reader = PdfFileReader(BytesIO(pdf))
        signatures = reader.embedded_regular_signatures
        if len(signatures) != 1:
            return Verification(problems=("several_signatures" if signatures else "not_signed",))
        return _verdict(pdf, reader, signatures[0], trusted, at, revocation_lists)
    except Exception:  # a damaged file can break its parsers in any way, and a verdict is still owed
        return Verification(problems=("unreadable",))


@dataclass(frozen=True)
class _Trusted:
    """Who is trusted: for signatures and time stamps, and for time stamps alone."""

    roots: list[x509.Certificate]
    stamp_roots: list[x509.Certificate]


def _loaded(certificates: Sequence[bytes]) -> list[x509.Certificate]:
    return [one for pem_or_der in certificates for one in load_certs_from_pemder_data(pem_or_der)]


def _verdict(
    pdf: bytes,
    reader: PdfFileReader,
    signature: EmbeddedPdfSignature,
    trusted_ones: _Trusted,
    at: datetime,
    revocation_lists: Sequence[bytes],
) -> Verification:
    signature.compute_integrity_info()  # type: ignore[no-untyped-call]
    result = _validated(signature, trusted_ones, at)
    status = result.api_status
    intact = bool(status and status.intact and status.valid)
    trusted = result.ades_subindic is AdESPassed.OK
    modified = not (status and status.docmdp_ok and status.modification_level in UNCHANGED)
    covered = _covered_to_the_end(pdf, reader)
    stamp = result.signature_timestamp_status
    stamped = stamp is not None and stamp.ades_subindic is AdESPassed.OK
    archived = result.oldest_evidence_record_timestamp is not None
    revoked = result.ades_subindic in REVOKED or (
        stamped
        and _revoked_before(result.best_signature_time, signature.signer_cert, trusted_ones.roots, revocation_lists)
    )

    found: dict[Problem, bool] = {
        "altered": not intact,
        "modified_after_signing": intact and modified,
        "not_covered": not covered,
        "time_stamp_missing": not (stamped and archived),
        "revoked": revoked,
        "not_trusted": not trusted and result.ades_subindic not in REVOKED,
    }
    subject = signature.signer_cert.subject.native
    return Verification(
        intact=intact,
        trusted=trusted,
        covers_whole_document=covered,
        modified_after_signing=modified,
        signer_name=subject.get("common_name"),
        signer_licence=subject.get("serial_number"),
        signed_at=signature.self_reported_timestamp,
        stamped_at=result.best_signature_time if stamped else None,
        checkable_until=reader.embedded_timestamp_signatures[-1].signer_cert.not_valid_after if archived else None,
        certificate=_certificate(signature.signer_cert),
        problems=tuple(problem for problem, is_there in found.items() if is_there),
    )


def _revoked_before(
    moment: datetime, certificate: x509.Certificate, roots: list[x509.Certificate], revocation_lists: Sequence[bytes]
) -> bool:
    """Whether a list that one of the roots has signed says that the certificate was revoked when that moment came.

    The lists of the file are from the time of the signature, and pyHanko lets no later one speak about it.
    """
    signer = load_der_x509_certificate(certificate.dump())
    issuers = [load_der_x509_certificate(root.dump()) for root in roots]
    lists = [load_der_x509_crl(der) for der in revocation_lists]
    for issuer in issuers:
        for one in lists:
            if not (_issued(issuer, signer) and one.is_signature_valid(issuer.public_key())):  # type: ignore[arg-type]
                continue
            revoked = one.get_revoked_certificate_by_serial_number(signer.serial_number)
            if revoked is not None and revoked.revocation_date_utc <= moment:
                return True
    return False


def _issued(issuer: certificates.Certificate, certificate: certificates.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _certificate(certificate: x509.Certificate) -> Certificate:
    return Certificate(
        issuer=certificate.issuer.native.get("common_name", certificate.issuer.human_friendly),
        serial_number=f"{certificate.serial_number:x}",
        sha256=certificate.sha256.hex(),
        valid_from=certificate.not_valid_before,
        valid_until=certificate.not_valid_after,
    )


def _validated(signature: EmbeddedPdfSignature, trusted: _Trusted, at: datetime) -> AdESLTAValidationResult:
    """The validation of ETSI EN 319 102-1, 5.6.3, with nothing but what the file holds and the given roots."""
    of_stamps = CertValidationPolicySpec(
        trust_manager=SimpleTrustManager.build(trust_roots=[*trusted.roots, *trusted.stamp_roots]),
        revinfo_policy=CertRevTrustPolicy(REVOCATION_IF_KNOWN),
    )
    rules = SignatureValidationSpec(
        cert_validation_policy=CertValidationPolicySpec(
            trust_manager=SimpleTrustManager.build(trust_roots=trusted.roots),
            revinfo_policy=CertRevTrustPolicy(REQUIRE_REVINFO),
        ),
        ts_cert_validation_policy=of_stamps if trusted.stamp_roots else None,
        revinfo_gathering_policy=RevocationInfoGatheringSpec(RevinfoOnlineFetchingRule.LOCAL_ONLY),
        key_usage_settings=KeyUsageConstraints(key_usage={"non_repudiation"}),
    )
    now = ValidationTimingInfo(validation_time=at, best_signature_time=at, point_in_time_validation=False)
    return asyncio.run(ades_lta_validation(signature, PdfSignatureValidationSpec(rules), timing_info=now))


def _covered_to_the_end(pdf: bytes, reader: PdfFileReader) -> bool:
    """Whether the last thing in the file is a time stamp over all the rest, and its own place holds nothing else."""
    last = reader.embedded_signatures[-1]
    if last.sig_object_type != "/DocTimeStamp":
        return False
    last.compute_integrity_info(skip_diff=True)
    token = bytes(last.sig_object.raw_get("/Contents"))
    end_of_token = peek(token)
    start, end = last.byte_range[1], last.byte_range[2]
    return (
        last.coverage == SignatureCoverageLevel.ENTIRE_FILE
        and pdf[start:end] == b"<" + token.hex().upper().encode() + b">"
        and not any(token[end_of_token:])
        and is_tight(cms.ContentInfo.load(token[:end_of_token]))
    )
