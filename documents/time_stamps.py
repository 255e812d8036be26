"""Time stamps from an outside service (RFC 3161): asked for over HTTPS, and taken only when they are what was asked for."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from asn1crypto import cms, tsp, x509  # type: ignore[import-untyped]
from pyhanko.sign.timestamps import TimeStamper
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.generic_cms import validate_tst_signed_data
from pyhanko_certvalidator import ValidationContext

from documents.stamp_service import StampService
from outgoing.calls import CallError, Calls

MOST_READ = 64 * 1024
"""Bytes; a token with its certificates has some thousand."""

CLOCKS_DIFFER = timedelta(minutes=5)
"""A stamp that differs by more from this machine's clock is an old one, or one of the two clocks is wrong."""


class StampsAwayError(Exception):
    """The service gave no time stamp: it is not there, or has none to give. It may do so later."""


class StampRefusedError(Exception):
    """What the service gave is not a time stamp that was asked for, or not one that can be believed."""


class OutsideTimeStamper(TimeStamper):
    """Gets the time stamps of one signature from a service."""

    def __init__(self, service: StampService, calls: Calls | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._service = service
        self._calls = calls or Calls(service.walls, patience=timedelta(seconds=service.seconds), most_read=MOST_READ)

    async def async_request_tsa_response(self, req: tsp.TimeStampReq) -> tsp.TimeStampResp:
        """Raises StampsAwayError or StampRefusedError."""
        try:
            answer = await self._calls.post(self._service.url, req.dump(), self._service.headers)
        except CallError as error:
            raise StampsAwayError(error.code) from None
        if answer.status != 200:
            raise StampsAwayError(f"status {answer.status}")
        try:
            response = tsp.TimeStampResp.load(answer.start, strict=True)
            return await checked_stamp(req, response, self._service.certificates)
        except (ValueError, TypeError, KeyError) as error:
            raise StampRefusedError("it can't be read") from error


async def checked_stamp(
    req: tsp.TimeStampReq, response: tsp.TimeStampResp, trusted: Sequence[bytes]
) -> tsp.TimeStampResp:
    """The answer, if it is a time stamp for this question, of now, by a service that one of those certificates vouches for.

    Of the certificates that came with it, those are left out that nobody needs: nothing would notice a change of them.

    Raises StampsAwayError, StampRefusedError, and what a damaged structure raises.
    """
    if response["status"]["status"].native != "granted":
        raise StampsAwayError("not granted")
    token = response["time_stamp_token"]
    if token["content_type"].native != "signed_data" or not is_tight(token):
        raise StampRefusedError("it is not in the form that can be checked byte for byte")
    told = token["content"]["encap_content_info"]["content"].parsed
    imprint = told["message_imprint"]
    if imprint["hashed_message"].native != req["message_imprint"]["hashed_message"].native:
        raise StampRefusedError("it stamps something else")
    if imprint["hash_algorithm"]["algorithm"].native != req["message_imprint"]["hash_algorithm"]["algorithm"].native:
        raise StampRefusedError("it stamps another kind of digest")
    if told["nonce"].native != req["nonce"].native:
        raise StampRefusedError("it answers another question")
    if abs(told["gen_time"].native - datetime.now(UTC)) > CLOCKS_DIFFER:
        raise StampRefusedError("it tells another time")
    needed = await _needed_certificates(token["content"], imprint["hashed_message"].native, trusted)
    return _with(token, needed)


def _with(token: cms.ContentInfo, certificates: Sequence[x509.Certificate]) -> tsp.TimeStampResp:
    """The stamp with these certificates. Raises StampRefusedError where it has other parts that nothing would guard."""
    signed = token["content"]
    if signed["crls"].native or signed["signer_infos"][0]["unsigned_attrs"].native:
        raise StampRefusedError("it holds more than was asked for")
    signed["certificates"] = cms.CertificateSet([cms.CertificateChoices("certificate", one) for one in certificates])
    whole = cms.ContentInfo.load(cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump())
    if not is_tight(whole):
        raise StampRefusedError("it is not in the form that can be checked byte for byte")
    return tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": whole})


async def _needed_certificates(
    signed: cms.SignedData, digest: bytes, trusted: Sequence[bytes]
) -> list[x509.Certificate]:
    """Those on the way from who signed to who is trusted, without the latter. Raises StampRefusedError."""
    context = ValidationContext(
        trust_roots=[x509.Certificate.load(one) for one in trusted], allow_fetching=False, revocation_mode="soft-fail"
    )
    try:
        found = await validate_tst_signed_data(signed, context, lambda _: digest)
    except SignatureValidationError as error:
        raise StampRefusedError("its signature can't be checked") from error
    if not (found["intact"] and found["valid"]):
        raise StampRefusedError("its signature does not hold")
    if found.get("validation_path") is None or found.get("trust_problem_indic") is not None:
        raise StampRefusedError("nobody who is trusted vouches for it, or no more")
    own: x509.Certificate = found["signing_cert"]
    return [own, *(one for one in found["validation_path"].iter_certs(include_root=False) if one.dump() != own.dump())]


def is_tight(token: cms.ContentInfo) -> bool:
    """Whether the few fields of a time stamp that its own signature leaves out are what they must be (RFC 5652, 5.1 and 5.3)."""
    signed = token["content"]
    signer = signed["signer_infos"][0]
    by_issuer = signer["sid"].name == "issuer_and_serial_number"
    return bool(
        len(token["content_type"].dump()) + len(signed.dump()) == len(token.contents)
        and signed["version"].dump() == cms.CMSVersion("v3").dump()
        and signed["digest_algorithms"].contents == signer["digest_algorithm"].dump()
        and signer["version"].dump() == cms.CMSVersion("v1" if by_issuer else "v3").dump()
    )
