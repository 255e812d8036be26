"""The local certificate authority: who may sign, with which key, and when it was.

Relais needs no outside service to sign. At first use the authority makes a root key and certificate, a key and certificate for
time stamps, and then one of each per signer. Keys are P-256 and never leave the place where they are (`documents.keys`): a
folder or a token. `documents.credentials` makes of them what signs.

Keys are read, made and asked to sign here: call these functions in a thread.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Self
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from documents.key_places import KeyPlace
from documents.keys import ROOT, KeysAwayError
from documents.stamp_service import StampService

ROOT_LIFE = timedelta(days=40 * 365)
# A report is kept for at least 10 years after the last entry in the record; its last time stamp must be checkable till then.
STAMP_LIFE = timedelta(days=20 * 365)
STAMP_RENEWAL = timedelta(days=15 * 365)
SIGNER_LIFE = timedelta(days=2 * 365)
SIGNER_RENEWAL = timedelta(days=30)
RESPONDER_LIFE = timedelta(days=30)
RESPONDER_RENEWAL = timedelta(days=20)
# Clocks of two machines are never quite the same.
CLOCK_DIFFERENCE = timedelta(hours=1)
LONGEST_NAME = 64  # bytes; RFC 5280, appendix A: ub-common-name, ub-organization-name, ub-serial-number

_STAMPS, _SIGNERS = "stamps", "signers/"
"""The names of keys, besides the root's."""


class NoAuthorityError(Exception):
    """There is no authority, or but a part of one, and none may be made. The text names the place."""


Reason = Literal["key_compromise", "affiliation_changed", "superseded", "cessation_of_operation"]
"""Why a certificate is revoked (RFC 5280, 5.3.1)."""


@dataclass(frozen=True)
class Revocation:
    """A certificate of this authority that counts no more for what is signed from that moment on."""

    serial_number: int
    at: datetime
    reason: Reason


@dataclass(frozen=True)
class Identity:
    """A key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


@dataclass(frozen=True)
class SigningKeys:
    """What the authority gives for the signatures of one person: their key, the one of the time stamps, and what proves both;
    or, in the place of the latter, the outside service that stamps.

    `revocation_list` is DER: it tells which certificates are revoked, and neither of these two is. `clock` tells the time that is
    stamped.
    """

    root: x509.Certificate
    signer: Identity
    stamps: Identity
    revocation_list: bytes
    clock: Callable[[], datetime]
    stamped_by: StampService | None = None


class Authority:
    """The certificate authority of one place. `Authority.open` makes or opens it."""

    def __init__(
        self,
        place: KeyPlace,
        clock: Callable[[], datetime],
        lists_at: str | None = None,
        stamped_by: StampService | None = None,
        *,
        may_make: bool = True,
    ) -> None:
        self.place = place
        self.lists_at = lists_at
        self.stamped_by = stamped_by
        self._keys = place.keys()
        self._clock = clock
        self._root = self._made_root() if may_make else self._found_root()

    @classmethod
    def open(
        cls,
        place: KeyPlace,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        may_make: bool = True,
        lists_at: str | None = None,
        stamped_by: StampService | None = None,
    ) -> Self:
        """Opens the authority of `place`, and makes it if there is none; several processes may do so at once.

        Raises `NoAuthorityError` if there is none and it must not be made (`may_make`), or if the root's key and certificate do
        not belong together; and what `documents.keys` raises. New certificates say where to learn whether they are revoked:
        ``<lists_at>/<root_sha256>.crl``, and ``…/ocsp``. `stamped_by` is an outside service that stamps the time in the
        authority's place.
        """
        return cls(place, clock, lists_at, stamped_by, may_make=may_make)

    def look_for_its_keys(self) -> None:
        """Whether they can be had now, and are still its own. Raises KeysAwayError or WrongSecretError when not."""
        key = self._keys.key(ROOT)
        if key is None or not _belong_together(key, self._root.certificate):
            raise KeysAwayError(f"{self.place} holds the key of the authority no more")

    @property
    def root_sha256(self) -> str:
        """The fingerprint of its root certificate, in lower-case hexadecimal."""
        return self._root.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def root_certificate_pem(self) -> bytes:
        """The certificate that whoever checks a report has to trust."""
        return self._root.certificate.public_bytes(Encoding.PEM)

    def signer(
        self, signer_id: UUID, name: str, clinic: str, licence: str, revoked: Collection[Revocation] = ()
    ) -> SigningKeys:
        """What one person signs with: a key of their own, made at first use.

        The certificate is renewed when it nears its end, or when name, clinic or licence number have changed; the key stays. The
        key of a certificate that is revoked is removed for good, and another one made.
        """
        ended = {revocation.serial_number for revocation in revoked}
        subject = x509.Name(
            [
                x509.NameAttribute(attribute, _shortened(value))
                for attribute, value in (
                    (NameOID.ORGANIZATION_NAME, clinic),
                    (NameOID.COMMON_NAME, name),
                    (NameOID.SERIAL_NUMBER, licence),
                )
                if value
            ]
        )
        name = f"{_SIGNERS}{signer_id}"
        with self._keys.locked():
            if self._serial_number_of(signer_id) in ended:
                self._keys.remove_key(name)
            person = self._identity(
                name,
                lambda key: self._certificate(key, subject, SIGNER_LIFE, content_commitment=True),
                lambda certificate: (
                    certificate.serial_number not in ended
                    and certificate.subject == subject
                    and self._lives(certificate, SIGNER_RENEWAL)
                ),
            )
            stamps = self._stamps()
        # It names the end of the root as its next update, because nothing brings a newer one into the report.
        proof = self.revocation_list(revoked, until=self._root.certificate.not_valid_after_utc)
        return SigningKeys(self._root.certificate, person, stamps, proof, self._clock, self.stamped_by)

    def stamps_certificate(self) -> x509.Certificate:
        """The certificate of the time stamps, made where there is none."""
        with self._keys.locked():
            return self._stamps().certificate

    def responder(self) -> Identity:
        """A new key, in memory, and a certificate with which it may tell for some weeks which certificates are revoked (OCSP)."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _common_name("Relais – révocations")
        return Identity(key, self._certificate(key, name, RESPONDER_LIFE, responding=True))

    def certificate_of(self, signer_id: UUID) -> x509.Certificate | None:
        """The certificate that one person signs with now; None where they have not signed."""
        return self._keys.certificate(f"{_SIGNERS}{signer_id}")

    def certificates(self) -> dict[UUID, x509.Certificate]:
        """The certificates that people sign with now, by the ids of their accounts."""
        return {
            UUID(name.removeprefix(_SIGNERS)): certificate
            for name, certificate in self._keys.certificates()
            if name.startswith(_SIGNERS)
        }

    def _stamps(self) -> Identity:
        return self._identity(
            _STAMPS,
            lambda key: self._certificate(key, _common_name("Relais – horodatage"), STAMP_LIFE, time_stamping=True),
            lambda certificate: self._lives(certificate, STAMP_RENEWAL),
        )

    def _serial_number_of(self, signer_id: UUID) -> int | None:
        certificate = self.certificate_of(signer_id)
        return certificate.serial_number if certificate else None

    def _made_root(self) -> Identity:
        """The root that is there; a new one where there is none, or a certificate for a key that got none. A root certificate is
        never replaced: documents were signed under it.
        """
        with self._keys.locked():
            if self._keys.certificate(ROOT) is None:
                key = self._keys.key(ROOT) or self._keys.make_key(ROOT)
                self._keys.keep_certificate(ROOT, self._root_certificate(key))
            return self._found_root()

    def _found_root(self) -> Identity:
        """Makes nothing. Raises NoAuthorityError."""
        key, certificate = self._keys.key(ROOT), self._keys.certificate(ROOT)
        if key is None and certificate is None:
            raise NoAuthorityError(f"{self.place} holds no signing authority")
        if key is None or certificate is None:
            missing = "key" if key is None else "certificate"
            raise NoAuthorityError(f"{self.place} holds a signing authority whose root has no {missing}")
        if not _belong_together(key, certificate):
            raise NoAuthorityError(f"{self.place} holds a root certificate that is not of the root's key")
        return Identity(key, certificate)

    def _identity(
        self,
        name: str,
        issue: Callable[[ec.EllipticCurvePrivateKey], x509.Certificate],
        still_good: Callable[[x509.Certificate], bool],
    ) -> Identity:
        """The key and certificate of that name: read, or made. A certificate that is missing or no longer good is issued anew; so
        is one of another key, as it may be there when two hosts make keys of one name at once.
        """
        key = self._keys.key(name) or self._keys.make_key(name)
        certificate = self._keys.certificate(name)
        if certificate is None or not _belong_together(key, certificate) or not still_good(certificate):
            certificate = issue(key)
            self._keys.keep_certificate(name, certificate)
        return Identity(key, certificate)

    def _lives(self, certificate: x509.Certificate, at_least: timedelta) -> bool:
        return certificate.not_valid_after_utc - self._clock() > at_least

    def _root_certificate(self, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        name = _common_name("Relais – autorité de signature")
        return (
            self._builder(key, name, ROOT_LIFE)
            .issuer_name(name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .sign(key, hashes.SHA256())
        )

    def _certificate(
        self,
        key: ec.EllipticCurvePrivateKey,
        subject: x509.Name,
        life: timedelta,
        *,
        content_commitment: bool = False,
        time_stamping: bool = False,
        responding: bool = False,
    ) -> x509.Certificate:
        builder = (
            self._builder(key, subject, life)
            .issuer_name(self._root.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                _key_usage(digital_signature=True, content_commitment=content_commitment),
                critical=True,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._root.key.public_key()),
                critical=False,
            )
        )
        if self.lists_at is not None and not responding:  # nobody asks a responder about itself (RFC 6960, 4.2.2.2.1)
            builder = _with_addresses(builder, f"{self.lists_at}/{self.root_sha256}")
        if time_stamping:
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        if responding:
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=True)
            builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
        return builder.sign(self._root.key, hashes.SHA256())

    def _builder(self, key: ec.EllipticCurvePrivateKey, subject: x509.Name, life: timedelta) -> x509.CertificateBuilder:
        now = self._clock()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - CLOCK_DIFFERENCE)
            .not_valid_after(now + life)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )

    def revocation_list(self, revoked: Collection[Revocation], *, until: datetime) -> bytes:
        """The list of revoked certificates as of now, in DER; `until` is when whoever has it should look for a newer one."""
        now = self._clock()
        root = self._root.certificate
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(root.subject)
            .last_update(now - timedelta(minutes=1))
            .next_update(until)
            .add_extension(x509.CRLNumber(int(now.timestamp() * 1_000_000)), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._root.key.public_key()), critical=False
            )
        )
        for revocation in sorted(revoked, key=lambda one: one.serial_number):
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(revocation.serial_number)
                .revocation_date(revocation.at)
                .add_extension(x509.CRLReason(x509.ReasonFlags[revocation.reason]), critical=False)
                .build()
            )
        return builder.sign(self._root.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _with_addresses(builder: x509.CertificateBuilder, root: str) -> x509.CertificateBuilder:
    """Where to learn whether the certificate is revoked, by list and by question, and where its issuer's certificate is."""
    at = x509.UniformResourceIdentifier
    where = x509.DistributionPoint([at(f"{root}.crl")], None, None, None)
    access = [
        x509.AccessDescription(AuthorityInformationAccessOID.OCSP, at(f"{root}/ocsp")),
        x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, at(f"{root}.cer")),
    ]
    return builder.add_extension(x509.CRLDistributionPoints([where]), critical=False).add_extension(
        x509.AuthorityInformationAccess(access), critical=False
    )


def _belong_together(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> bool:
    return key.public_key() == certificate.public_key()


def _shortened(text: str) -> str:
    return text.encode()[:LONGEST_NAME].decode(errors="ignore")


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _key_usage(**uses: bool) -> x509.KeyUsage:
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{use: uses.get(use, False) for use in every})
