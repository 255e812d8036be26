"""For anybody who was given a signed document: is it what was signed here; and the certificates to check it with elsewhere."""

import base64
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from use_cases import signing_roots
from use_cases.certificate_status import LONGEST_QUESTION, StatusAnswer, certificate_status
from use_cases.problems import FieldFault, Problem
from use_cases.signing_roots import Root
from use_cases.verification import MAX_FILE_BYTES, FileVerification, received, verify_file
from use_cases.views import View
from web.connected import AttendedBy
from web.files import content_disposition
from web.origin import OriginOf
from web.rates import CHECKS, STATUSES
from web.services import ServicesOf

router = APIRouter(tags=["verification"])

_DOCUMENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"The file, of at most {MAX_FILE_BYTES // 1024**2} MiB.",
        "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class RootView(View):
    """A root certificate under which documents are signed here, or once were. `sha256` is its fingerprint."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    name: str
    valid_from: datetime
    valid_until: datetime
    since: datetime = Field(description="Since when documents are signed under it here.")

    @classmethod
    def of(cls, root: Root) -> "RootView":
        """What is told of it."""
        return cls(
            sha256=root.sha256,
            name=root.name,
            valid_from=root.valid_from,
            valid_until=root.valid_until,
            since=root.since,
        )


@router.post(
    "/verifications",
    dependencies=[CHECKS],
    openapi_extra=_DOCUMENT,
    summary="Check a signed document that you were given",
)
async def verify_given_document(
    request: Request, services: ServicesOf, origin: OriginOf, attended: AttendedBy
) -> FileVerification:
    """For anybody, without signing in. Nothing of the file is kept. `valid` is what counts; `problems` says what is wrong.

    Documents of this installation hold, those of its earlier authorities too; those of another one are `not_trusted` here.
    """
    pdf = await received(services, origin.network, request.body)
    if not pdf:
        raise Problem("invalid_input", [FieldFault("body", "required")])
    return await verify_file(services, origin.network, pdf, attended)


@router.get("/signing-roots", summary="The certificates under which documents are signed")
async def list_signing_roots(services: ServicesOf) -> list[RootView]:
    """For anybody: whoever checks a document elsewhere has to trust one of these. The newest comes first."""
    return [RootView.of(root) for root in await signing_roots.known_roots(services)]


@router.get(
    "/signing-roots/{sha256}.pem",
    response_class=Response,
    responses={200: {"content": {"application/x-pem-file": {}}, "description": "The certificate, in PEM"}},
    summary="One of these certificates, in PEM",
)
async def get_signing_root_pem(sha256: str, services: ServicesOf) -> Response:
    """For programs, and for `relais verify --root`."""
    root = await signing_roots.root_of(services, sha256)
    return _file(root.pem.encode(), "application/x-pem-file", f"relais-{root.sha256[:8]}.pem")


@router.get(
    "/signing-roots/{sha256}.cer",
    response_class=Response,
    responses={200: {"content": {"application/pkix-cert": {}}, "description": "The certificate, in DER"}},
    summary="One of these certificates, in DER",
)
async def get_signing_root_der(sha256: str, services: ServicesOf) -> Response:
    """For Acrobat and for operating systems, which open it with a double click."""
    root = await signing_roots.root_of(services, sha256)
    return _file(root.der, "application/pkix-cert", f"relais-{root.sha256[:8]}.cer")


@router.get(
    "/signing-roots/{sha256}.crl",
    response_class=Response,
    responses={200: {"content": {"application/pkix-crl": {}}, "description": "The list, in DER"}},
    summary="Which certificates of one of these roots are revoked",
)
async def get_revocation_list(sha256: str, services: ServicesOf) -> Response:
    """What was signed before a certificate was revoked still holds. Made anew each day; the certificates name this address."""
    root = await signing_roots.root_of(services, sha256)
    if root.revocation_list is None:
        raise Problem("not_found")
    return _file(root.revocation_list, "application/pkix-crl", f"relais-{root.sha256[:8]}.crl")


_QUESTION: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"The question (OCSPRequest, DER) about one certificate, of at most {LONGEST_QUESTION} bytes.",
        "content": {"application/ocsp-request": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/ocsp-response": {}},
        "description": "The answer (OCSPResponse, DER): good, revoked or unknown; or, unsigned, that there is none.",
    }
}


@router.get(
    "/signing-roots/{sha256}/ocsp/{question:path}",
    response_class=Response,
    responses=_ANSWER,
    dependencies=[STATUSES],
    summary="Whether a certificate of one of these roots is revoked (OCSP)",
)
async def ask_certificate_status(sha256: str, question: str, services: ServicesOf) -> Response:
    """RFC 6960, by GET: the question in Base64. What has no nonce may be kept by caches until it ends."""
    try:
        asked = base64.b64decode(question, validate=True)
    except ValueError:
        asked = b""
    return _status(await certificate_status(services, sha256, asked, datetime.now(UTC)))


@router.post(
    "/signing-roots/{sha256}/ocsp",
    response_class=Response,
    responses=_ANSWER,
    dependencies=[STATUSES],
    openapi_extra=_QUESTION,
    summary="Whether a certificate of one of these roots is revoked (OCSP)",
)
async def post_certificate_status(sha256: str, request: Request, services: ServicesOf) -> Response:
    """RFC 6960, by POST. The certificates name this address. Only what was issued here is known; anything else is `unknown`."""
    asked = await request.body()
    answer = await certificate_status(services, sha256, asked[: LONGEST_QUESTION + 1], datetime.now(UTC))
    return _status(answer, by_get=False)


def _status(answer: StatusAnswer, *, by_get: bool = True) -> Response:
    kept = answer.holds_for if by_get else None
    control = f"public, max-age={round(kept.total_seconds())}, no-transform" if kept else "no-store"
    return Response(answer.der, media_type="application/ocsp-response", headers={"Cache-Control": control})


def _file(content: bytes, media_type: str, filename: str) -> Response:
    headers = {"Content-Disposition": content_disposition("attachment", filename)}
    return Response(content, media_type=media_type, headers=headers)
