"""What signs a report: a signer, a time stamper, and what proves both.

`SignerCredentials` is all that `documents.signature` knows of keys: an outside certificate or an outside time-stamping service
takes the local authority's place by giving the same four things. Where the authority's keys are makes no difference here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asn1crypto import cms, core, tsp  # type: ignore[import-untyped]
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.sign.general import as_signing_certificate_v2, simple_cms_attribute
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes, Signer
from pyhanko.sign.timestamps import TimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore
from pyhanko_certvalidator.util import get_pyca_cryptography_hash

from documents.authority import Identity, SigningKeys
from documents.time_stamps import OutsideTimeStamper

# The policy under which the stamps are made: RFC 3161 wants one named. This arc is for identifiers made from a UUID (X.667).
STAMP_POLICY = "2.25.147266541374207613298462938170427415083"


@dataclass(frozen=True)
class SignerCredentials:
    """What it takes to sign one report so that it can still be checked years later.

    `trust_roots` and `revocation_lists` are DER; the lists say that neither the signer's nor the stamps' certificate is revoked.
    `stamp_roots` (DER) vouch for the stamps of an outside service.
    """

    signer: Signer
    time_stamper: TimeStamper
    trust_roots: tuple[bytes, ...]
    revocation_lists: tuple[bytes, ...]
    stamp_roots: tuple[bytes, ...] = ()


def credentials(keys: SigningKeys) -> SignerCredentials:
    """The credentials that keys of the local authority make."""
    return SignerCredentials(
        signer=LocalSigner(keys.signer, keys.root, with_root=True),
        time_stamper=(
            OutsideTimeStamper(keys.stamped_by)
            if keys.stamped_by
            else LocalTimeStamper(LocalSigner(keys.stamps, keys.root, with_root=False), keys.clock)
        ),
        trust_roots=(keys.root.public_bytes(Encoding.DER),),
        revocation_lists=(keys.revocation_list,),
        stamp_roots=keys.stamped_by.certificates if keys.stamped_by else (),
    )


LONGEST_SIGNATURE = 72  # bytes, of a signature with P-256 in DER


class LocalSigner(Signer):
    """Signs with a key of the authority, wherever it is, in a time that does not depend on luck.

    asn1crypto takes every length that ends in the byte 0x80 for an indefinite one (its issue 249) and then encodes the whole
    structure anew, several times over for each level that it holds to be changed: seconds instead of milliseconds, for one
    signature in three. What it holds to be changed is the certificate's hash where that is SHA-256, the default that DER
    leaves out. So the certificate is named by its SHA-512 here, and what was built is handed on as parsed from its bytes.
    """

    def __init__(self, identity: Identity, root: x509.Certificate, *, with_root: bool) -> None:
        super().__init__(
            signing_cert=_asn1(identity.certificate),
            cert_registry=SimpleCertificateStore.from_certs([_asn1(root)]),  # type: ignore[no-untyped-call]
            embed_roots=with_root,
        )
        self._key = identity.key
        self._certificate = identity.certificate

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        """The signature in DER. A dry run only asks how long one can be.

        Raises InvalidSignature when it is not one that the certificate vouches for: a token's word is not taken for it.
        """
        if dry_run:
            return bytes(LONGEST_SIGNATURE)
        algorithm = ec.ECDSA(get_pyca_cryptography_hash(digest_algorithm))
        signature = self._key.sign(data, algorithm)
        public_key = self._certificate.public_key()
        if not isinstance(public_key, ec.EllipticCurvePublicKey):
            raise TypeError("the authority signs with elliptic-curve keys only")
        public_key.verify(signature, data, algorithm)
        return signature

    async def signed_attrs(self, *args: Any, **kwargs: Any) -> cms.CMSAttributes:
        attributes = await super().signed_attrs(*args, **kwargs)
        named = simple_cms_attribute(  # type: ignore[no-untyped-call]
            "signing_certificate_v2", as_signing_certificate_v2(self.signing_cert, hash_algo="sha512")
        )
        others = [attribute for attribute in attributes if attribute["type"].native != "signing_certificate_v2"]
        return cms.CMSAttributes.load(cms.CMSAttributes([*others, named]).dump())


class LocalTimeStamper(TimeStamper):
    """A time-stamping authority inside the process (RFC 3161): it states the time of this machine's clock."""

    def __init__(self, signer: Signer, clock: Callable[[], datetime]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._signer = signer
        self._clock = clock

    async def async_request_tsa_response(self, req: tsp.TimeStampReq) -> tsp.TimeStampResp:
        imprint = req["message_imprint"]
        statement = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": STAMP_POLICY,
                "message_imprint": imprint,
                "serial_number": x509.random_serial_number(),
                "gen_time": self._clock().replace(microsecond=0),
                "nonce": req["nonce"],
            }
        )
        token = await self._signer.async_sign_general_data(
            cms.EncapsulatedContentInfo(
                {"content_type": "tst_info", "content": core.ParsableOctetString(statement.dump())}
            ),
            digest_algorithm=imprint["hash_algorithm"]["algorithm"].native,
            detached=False,
            signed_attr_settings=PdfCMSSignedAttributes(),
        )
        return tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token})


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
