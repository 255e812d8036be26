"""Whether a certificate is revoked, asked as any program asks (OCSP): OpenSSL's, and by hand what it never would."""

import asyncio
import base64
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, ObjectIdentifier
from sqlalchemy import update

from documents.authority import Authority
from documents.key_folder import KeyFolder
from records.models import SigningRoot
from tests.api.answers import problem
from tests.api.test_verification import signed_document, stranger
from tests.system import System, hasty
from use_cases.signing_roots import publish_revocations, revoke_signer
from web.rates import Spent

QUESTION = {"Content-Type": "application/ocsp-request"}


def root_of(system: System) -> x509.Certificate:
    return x509.load_pem_x509_certificate(system.authority.root_certificate_pem)


def address_of(system: System) -> str:
    return f"/signing-roots/{system.authority.root_sha256}/ocsp"


async def certificate_of(system: System) -> x509.Certificate:
    """What the provider signs with now."""
    await signed_document(system)
    found = await asyncio.to_thread(system.authority.certificate_of, system.provider.account.id)
    assert found is not None
    return found


def question_about(
    serial_number: int,
    issuer: x509.Certificate,
    nonce: bytes | None = None,
    algorithm: hashes.HashAlgorithm | None = None,
) -> bytes:
    named = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        *_hashes(issuer, algorithm or hashes.SHA256()), serial_number, algorithm or hashes.SHA256()
    )
    if nonce is not None:
        named = named.add_extension(x509.OCSPNonce(nonce), critical=False)
    return named.build().public_bytes(Encoding.DER)


def _hashes(issuer: x509.Certificate, algorithm: hashes.HashAlgorithm) -> tuple[bytes, bytes]:
    asked = ocsp.OCSPRequestBuilder().add_certificate(issuer, issuer, algorithm).build()
    return asked.issuer_name_hash, asked.issuer_key_hash


async def told(http: httpx.AsyncClient, system: System, question: bytes) -> ocsp.OCSPResponse:
    answer = await http.post(address_of(system), content=question, headers=QUESTION)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/ocsp-response"
    return ocsp.load_der_ocsp_response(answer.content)


async def test_openssl_is_told_whether_a_certificate_is_revoked(system: System, tmp_path: Path) -> None:
    """It checks the signature of each answer, and that whoever signed it was allowed to by the root."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificate = await certificate_of(system)
    assert "one.pem: good" in await asked_by_openssl(system, certificate, tmp_path)
    assert "one.pem: unknown" in await asked_by_openssl(system, root_of(system), tmp_path)
    await revoke_signer(system.settings, system.provider.account.username, "superseded")
    said = await asked_by_openssl(system, certificate, tmp_path)
    assert "one.pem: revoked" in said
    assert "Reason: superseded" in said


async def asked_by_openssl(system: System, certificate: x509.Certificate, folder: Path) -> str:
    """What OpenSSL says of the answer to its own question, with a nonce."""
    for name, one in (("one", certificate), ("root", root_of(system))):
        await asyncio.to_thread((folder / f"{name}.pem").write_bytes, one.public_bytes(Encoding.PEM))
    about = ("-issuer", "root.pem", "-cert", "one.pem")
    await openssl(folder, *about, "-reqout", "question.der", "-no_nonce")
    await openssl(folder, *about, "-reqout", "with_nonce.der")
    async with stranger(system) as http:
        for name in ("question", "with_nonce"):
            asked = await asyncio.to_thread((folder / f"{name}.der").read_bytes)
            answer = await http.post(address_of(system), content=asked, headers=QUESTION)
            await asyncio.to_thread((folder / f"answer_to_{name}.der").write_bytes, answer.content)
    answered = ("-respin", "answer_to_with_nonce.der", "-CAfile", "root.pem")
    said = await openssl(folder, "-reqin", "with_nonce.der", *answered)
    assert "Response verify OK" in said
    assert "onc" not in said  # neither a warning that there is no nonce, nor that it is another one
    said = await openssl(folder, *about, "-no_nonce", "-respin", "answer_to_question.der", "-CAfile", "root.pem")
    assert "Response verify OK" in said
    return said


async def openssl(folder: Path, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "openssl", "ocsp", *arguments, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    return (await process.communicate())[0].decode()


async def test_it_is_asked_where_the_certificate_says(system: System) -> None:
    """By GET too, and what has no nonce may be kept by whoever passes it on."""
    certificate = await certificate_of(system)
    access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    [address] = [one.access_location.value for one in access if one.access_method == AuthorityInformationAccessOID.OCSP]
    [issuer] = [
        one.access_location.value for one in access if one.access_method == AuthorityInformationAccessOID.CA_ISSUERS
    ]
    assert address == f"http://relais.test/api/v1{address_of(system)}"
    async with stranger(system) as http:
        assert x509.load_der_x509_certificate((await http.get(issuer)).content) == root_of(system)
        for algorithm in (hashes.SHA384(), hashes.SHA256()):
            question = base64.b64encode(
                question_about(certificate.serial_number, root_of(system), None, algorithm)
            ).decode()
            for written in (question, quote(question, safe="")):
                answer = await http.get(f"{address}/{written}")
                found = ocsp.load_der_ocsp_response(answer.content)
                assert found.certificate_status is ocsp.OCSPCertStatus.GOOD
                assert answer.headers["cache-control"] == "public, max-age=3600, no-transform"
        assert found.next_update_utc is not None
        assert found.next_update_utc - found.this_update_utc == timedelta(hours=1)
        with_nonce = base64.b64encode(question_about(certificate.serial_number, root_of(system), b"n" * 16)).decode()
        kept = await http.get(f"{address_of(system)}/{quote(with_nonce, safe='')}")
        assert kept.headers["cache-control"] == "no-store"


async def test_a_nonce_comes_back_and_everything_issued_is_known(system: System) -> None:
    certificate = await certificate_of(system)
    stamps = await asyncio.to_thread(system.authority.stamps_certificate)
    async with stranger(system) as http:
        for one in (certificate, stamps):
            nonce = bytes(range(32))
            found = await told(http, system, question_about(one.serial_number, root_of(system), nonce))
            assert found.certificate_status is ocsp.OCSPCertStatus.GOOD
            assert found.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce
        [responder] = found.certificates
        responder.verify_directly_issued_by(root_of(system))
        usage = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [ExtendedKeyUsageOID.OCSP_SIGNING]
        assert responder.extensions.get_extension_for_class(x509.OCSPNoCheck)
        assert responder.not_valid_after_utc - datetime.now(UTC) <= timedelta(days=30)
        unknown = await told(http, system, question_about(4711, root_of(system)))
        assert unknown.certificate_status is ocsp.OCSPCertStatus.UNKNOWN


async def test_what_can_t_be_answered_is_said(system: System, tmp_path: Path) -> None:
    other = Authority.open(KeyFolder(tmp_path, b"the secret of another authority"))
    elsewhere = x509.load_pem_x509_certificate(other.root_certificate_pem)
    about_two = b"\x30\x00"
    async with stranger(system) as http:
        for question, status in (
            (question_about(1, elsewhere), ocsp.OCSPResponseStatus.UNAUTHORIZED),
            (b"", ocsp.OCSPResponseStatus.MALFORMED_REQUEST),
            (b"no question", ocsp.OCSPResponseStatus.MALFORMED_REQUEST),
            (about_two, ocsp.OCSPResponseStatus.MALFORMED_REQUEST),
            (question_about(1, root_of(system), b"n" * 129), ocsp.OCSPResponseStatus.MALFORMED_REQUEST),
            (_with_an_unknown_hash(question_about(1, root_of(system))), ocsp.OCSPResponseStatus.MALFORMED_REQUEST),
            (_with_two_nonces(root_of(system)), ocsp.OCSPResponseStatus.MALFORMED_REQUEST),
            (_about_serial_number(0x00, root_of(system)), ocsp.OCSPResponseStatus.MALFORMED_REQUEST),
            (_about_serial_number(0xFF, root_of(system)), ocsp.OCSPResponseStatus.MALFORMED_REQUEST),
            (b"\x30" * 5000, ocsp.OCSPResponseStatus.MALFORMED_REQUEST),
        ):
            assert (await told(http, system, question)).response_status is status
        by_get = await http.get(f"{address_of(system)}/no+base64!")
        assert ocsp.load_der_ocsp_response(by_get.content).response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST
        nowhere = await http.post(
            f"/signing-roots/{'0' * 64}/ocsp", content=question_about(1, elsewhere), headers=QUESTION
        )
        problem(nowhere, 404, "not_found")


def _with_an_unknown_hash(question: bytes) -> bytes:
    sha256 = bytes.fromhex("608648016503040201")
    assert question.count(sha256) == 1
    return question.replace(sha256, sha256[:-1] + b"\x7f")


def _with_two_nonces(issuer: x509.Certificate) -> bytes:
    other, nonce = ObjectIdentifier("1.3.6.1.5.5.7.48.1.99"), bytes.fromhex("2b0601050507300102")
    built = (
        ocsp.OCSPRequestBuilder()
        .add_certificate_by_hash(*_hashes(issuer, hashes.SHA256()), 1, hashes.SHA256())
        .add_extension(x509.OCSPNonce(b"n" * 16), critical=False)
        .add_extension(x509.UnrecognizedExtension(other, b"\x04\x01n"), critical=False)
    )
    question = built.build().public_bytes(Encoding.DER)
    return question.replace(nonce[:-1] + b"\x63", nonce)


def _about_serial_number(last_byte: int, issuer: x509.Certificate) -> bytes:
    """That byte alone: 0xFF is -1."""
    question = question_about(1, issuer)
    assert question.endswith(b"\x02\x01\x01")
    return question[:-1] + bytes([last_byte])


async def test_nobody_floods_it(system: System) -> None:
    system.app.state.spent = Spent()
    async with stranger(system) as http:
        with hasty(system.app, statuses_per_minute=1):
            assert await told(http, system, question_about(1, root_of(system)))
            refused = await http.post(address_of(system), content=question_about(1, root_of(system)), headers=QUESTION)
            problem(refused, 429, "too_many_requests")
    system.app.state.spent = Spent()


async def test_who_answers_is_renewed_before_its_end_and_when_it_does_not_open(system: System) -> None:
    """Each night; until then, programs are told to come back."""
    sha256 = system.authority.root_sha256

    async def kept() -> tuple[bytes | None, str | None]:
        async with system.services.database.session() as session:
            root = await session.get_one(SigningRoot, sha256)
            return root.responder_certificate, root.sealed_responder

    async def renewed() -> tuple[bytes | None, str | None]:
        await publish_revocations(system.settings, system.services.database, system.authority)
        return await kept()

    before = await kept()
    assert await renewed() == before
    async with system.services.database.session() as session:
        await session.execute(
            update(SigningRoot).where(SigningRoot.sha256 == sha256).values(sealed_responder="test:AAAA")
        )
    async with stranger(system) as http:
        asked = question_about(1, root_of(system))
        assert (await told(http, system, asked)).response_status is ocsp.OCSPResponseStatus.TRY_LATER
        after = await renewed()
        assert after[0] != before[0]
        assert (await told(http, system, asked)).certificate_status is ocsp.OCSPCertStatus.UNKNOWN
