"""Signed reports: valid for three validators that share no code, and every change is found."""

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from asn1crypto import cms, x509  # type: ignore[import-untyped]
from asn1crypto.parser import peek  # type: ignore[import-untyped]
from cryptography import x509 as certificates
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers.pdf_signer import PdfSignatureMetadata, PdfSigner
from pyhanko_certvalidator.errors import InvalidCertificateError
from pypdf import PdfReader

from documents.authority import Authority, Revocation, SigningKeys
from documents.credentials import SignerCredentials
from documents.credentials import credentials as credentials_of
from documents.key_folder import KeyFolder
from documents.signature import sign_pdf, verify_pdf
from documents.verification import Verification, document_hash
from tests.unit.documents.conftest import SECRET, SIGNED_AT

needs_pdfsig = pytest.mark.skipif(shutil.which("pdfsig") is None, reason="pdfsig (poppler-utils) is not installed")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture
def verify(authority: Authority) -> Callable[..., Any]:
    async def verdict(pdf: bytes, at: datetime | None = None) -> Verification:
        return await verify_pdf(pdf, [authority.root_certificate_pem], at=at)

    return verdict


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def parts(pdf: bytes, number: int) -> tuple[bytes, bytes]:
    """The bytes that the signature of that number covers, and its CMS structure."""
    signature = PdfFileReader(BytesIO(pdf)).embedded_signatures[number]
    start, length, resume, rest = signature.byte_range
    contents = bytes(signature.sig_object.raw_get("/Contents"))
    return pdf[start : start + length] + pdf[resume : resume + rest], contents[: peek(contents)]


async def test_a_signed_report_is_valid(signed: bytes, verify: Callable[..., Any]) -> None:
    before = datetime.now(UTC) - timedelta(hours=1)
    verdict: Verification = await verify(signed)
    assert verdict.valid
    assert verdict.problems == ()
    assert verdict.intact
    assert verdict.trusted
    assert verdict.covers_whole_document
    assert not verdict.modified_after_signing
    assert verdict.signer_name == "Dr Étienne Gagnon"
    assert verdict.signer_licence == "98765"
    assert verdict.signed_at == SIGNED_AT
    assert verdict.stamped_at is not None
    assert before < verdict.stamped_at <= datetime.now(UTC) + timedelta(seconds=1)


def test_signing_appends_and_leaves_the_bytes_before_as_they_were(unsigned: bytes, signed: bytes) -> None:
    assert signed.startswith(unsigned)


def test_the_report_stays_pdf_a_and_the_field_is_invisible(unsigned: bytes, signed: bytes) -> None:
    before: Any = PdfReader(BytesIO(unsigned)).trailer["/Root"]
    after: Any = PdfReader(BytesIO(signed)).trailer["/Root"]
    metadata = after["/Metadata"].get_data().decode()
    for mark in ('pdfaid:part="3"', 'pdfaid:conformance="A"', 'pdfuaid:part="1"'):
        assert mark in metadata
    assert after.raw_get("/StructTreeRoot").idnum == before.raw_get("/StructTreeRoot").idnum
    assert after["/OutputIntents"][0].idnum == before["/OutputIntents"][0].idnum
    assert (after["/MarkInfo"], after["/Lang"]) == (before["/MarkInfo"], before["/Lang"])
    fields = [field.get_object() for field in after["/AcroForm"]["/Fields"]]
    assert [field["/T"] for field in fields] == ["Signature", "ArchiveTimeStamp"]
    assert all(list(field["/Rect"]) == [0, 0, 0, 0] and field["/TU"] for field in fields)
    assert fields[0]["/V"]["/SubFilter"] == "/ETSI.CAdES.detached"
    assert fields[0]["/V"]["/Reason"] == "Rapport final"


def test_everything_needed_to_check_it_is_inside(signed: bytes, authority: Authority) -> None:
    store: Any = PdfReader(BytesIO(signed)).trailer["/Root"]["/DSS"]  # type: ignore[index]
    inside = {
        x509.Certificate.load(entry.get_object().get_data()).subject.native["common_name"] for entry in store["/Certs"]
    }
    assert inside == {"Dr Étienne Gagnon", "Relais – horodatage", "Relais – autorité de signature"}
    assert len(store["/CRLs"]) == 1


@needs_pdfsig
def test_pdfsig_finds_it_valid(signed_file: Path) -> None:
    said = run("pdfsig", signed_file).stdout
    assert "Signature Validation: Signature is Valid." in said
    assert "Signer Certificate Common Name: Dr Étienne Gagnon" in said
    assert "Total document signed" in said


@needs_openssl
def test_openssl_finds_signature_and_time_stamps_valid(signed: bytes, root_file: Path, tmp_path: Path) -> None:
    content, structure = parts(signed, 0)
    whole, archive_stamp = parts(signed, 1)
    (signer_info,) = cms.ContentInfo.load(structure)["content"]["signer_infos"]
    (stamp,) = [item["values"][0].dump() for item in signer_info["unsigned_attrs"]]
    for name, data in {
        "content": content,
        "signature": structure,
        "signature_value": signer_info["signature"].native,
        "stamp": stamp,
        "whole": whole,
        "archive_stamp": archive_stamp,
    }.items():
        (tmp_path / name).write_bytes(data)

    def check(name: str) -> int:
        return run(
            "openssl", "cms", "-verify", "-inform", "DER", "-binary", "-purpose", "any", "-CAfile", root_file,
            "-in", tmp_path / "signature", "-content", tmp_path / name, "-out", tmp_path / "out",
        ).returncode  # fmt: skip

    def check_stamp(name: str, data: str) -> int:
        return run(
            "openssl", "ts", "-verify", "-token_in", "-CAfile", root_file,
            "-in", tmp_path / name, "-data", tmp_path / data,
        ).returncode  # fmt: skip

    assert check("content") == 0
    assert check_stamp("stamp", "signature_value") == 0
    assert check_stamp("archive_stamp", "whole") == 0
    (tmp_path / "content").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert check("content") != 0
    assert check_stamp("archive_stamp", "content") != 0


@pytest.mark.parametrize("part", range(40))
async def test_a_flipped_byte_is_found(part: int, signed: bytes, verify: Callable[..., Any]) -> None:
    position = part * (len(signed) - 1) // 39
    damaged = bytearray(signed)
    damaged[position] ^= 1
    assert not (await verify(bytes(damaged))).valid


def test_any_change_of_any_byte_is_found(signed: bytes, authority: Authority) -> None:
    @settings(max_examples=60, deadline=None)
    @given(position=st.integers(0, len(signed) - 1), change=st.integers(1, 255))
    def change_a_byte(position: int, change: int) -> None:
        damaged = bytearray(signed)
        damaged[position] ^= change
        verdict = asyncio.run(verify_pdf(bytes(damaged), [authority.root_certificate_pem]))
        assert not verdict.valid

    change_a_byte()


async def test_what_the_last_stamp_leaves_unsigned_cannot_be_changed(signed: bytes, verify: Callable[..., Any]) -> None:
    last = PdfFileReader(BytesIO(signed)).embedded_signatures[-1]
    first_digit, after = last.byte_range[1] + 1, last.byte_range[2] - 1
    _, token = parts(signed, 1)
    digest_algorithms = range(first_digit + 2 * 23, first_digit + 2 * 43)
    padding = range(first_digit + 2 * len(token), after, 97)
    for position in (first_digit + 5, *digest_algorithms, *padding):
        damaged = bytearray(signed)
        damaged[position] = ord("1" if signed[position] == ord("0") else "0")
        assert not (await verify(bytes(damaged))).valid
    lower_case = signed[:first_digit] + signed[first_digit:after].lower() + signed[after:]
    assert (await verify(lower_case)).problems == ("not_covered",)


def edited(pdf: bytes, edit: Callable[[IncrementalPdfFileWriter], None]) -> bytes:
    writer = IncrementalPdfFileWriter(BytesIO(pdf))
    edit(writer)
    output = BytesIO()
    writer.write(output)  # type: ignore[no-untyped-call]
    return output.getvalue()


def write_on_the_page(writer: IncrementalPdfFileWriter) -> None:
    page = writer.root["/Pages"]["/Kids"][0]
    content = generic.StreamObject(stream_data=b"BT /F1 12 Tf (Dose x 10) Tj ET")
    page["/Contents"] = generic.ArrayObject([page.raw_get("/Contents"), writer.add_object(content)])
    writer.update_container(page)


def stick_a_note_on_the_page(writer: IncrementalPdfFileWriter) -> None:
    page = writer.root["/Pages"]["/Kids"][0]
    note = generic.DictionaryObject(  # type: ignore[no-untyped-call]
        {
            generic.pdf_name("/Type"): generic.pdf_name("/Annot"),
            generic.pdf_name("/Subtype"): generic.pdf_name("/FreeText"),
            generic.pdf_name("/Rect"): generic.ArrayObject(map(generic.FloatObject, (100, 100, 300, 300))),
            generic.pdf_name("/Contents"): generic.pdf_string("Dose x 10"),
        }
    )
    page["/Annots"] = generic.ArrayObject([*page.get("/Annots", []), writer.add_object(note)])
    writer.update_container(page)


def change_the_title(writer: IncrementalPdfFileWriter) -> None:
    writer.set_info(generic.DictionaryObject({generic.pdf_name("/Title"): generic.pdf_string("Autre")}))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("edit", [write_on_the_page, stick_a_note_on_the_page, change_the_title])
async def test_an_incremental_edit_is_found(
    edit: Callable[[IncrementalPdfFileWriter], None], signed: bytes, verify: Callable[..., Any]
) -> None:
    verdict: Verification = await verify(edited(signed, edit))
    assert verdict.intact
    assert "not_covered" in verdict.problems
    if edit is not change_the_title:
        assert verdict.modified_after_signing
        assert "modified_after_signing" in verdict.problems


@pytest.mark.parametrize("appended", [b"\n", b"x", b"%%EOF\n"])
async def test_bytes_after_the_end_are_found(appended: bytes, signed: bytes, verify: Callable[..., Any]) -> None:
    assert not (await verify(signed + appended)).valid


async def test_a_signature_without_its_last_time_stamp_is_not_enough(signed: bytes, verify: Callable[..., Any]) -> None:
    first = PdfFileReader(BytesIO(signed)).embedded_signatures[0]
    cut = signed[: first.byte_range[2] + first.byte_range[3]]
    verdict: Verification = await verify(cut)
    assert verdict.intact
    assert {"time_stamp_missing", "not_covered"} <= set(verdict.problems)


async def test_another_root_is_not_trusted(signed: bytes, tmp_path: Path) -> None:
    stranger = Authority.open(KeyFolder(tmp_path / "authority", SECRET))
    verdict = await verify_pdf(signed, [stranger.root_certificate_pem])
    assert verdict.intact
    assert not verdict.trusted
    assert "not_trusted" in verdict.problems
    assert verdict.stamped_at is None


async def test_a_signature_of_another_authority_is_not_trusted(
    unsigned: bytes, tmp_path: Path, verify: Callable[..., Any]
) -> None:
    other = Authority.open(KeyFolder(tmp_path / "authority", SECRET))
    stranger = credentials_of(other.signer(uuid4(), "Dr Étienne Gagnon", "Clinique", "98765"))
    forged = await sign_pdf(unsigned, stranger, reason="Rapport final", at=SIGNED_AT)
    verdict: Verification = await verify(forged)
    assert verdict.intact
    assert "not_trusted" in verdict.problems


async def test_only_a_signer_s_certificate_signs_documents(
    unsigned: bytes, credentials: SignerCredentials, verify: Callable[..., Any]
) -> None:
    stamps = credentials.time_stamper._signer  # type: ignore[attr-defined]
    with pytest.raises(InvalidCertificateError, match="non repudiation"):
        await sign_pdf(unsigned, replace(credentials, signer=stamps), reason="Rapport final", at=SIGNED_AT)


@pytest.mark.parametrize(("file", "problem"), [("unsigned", "not_signed"), ("nothing", "unreadable")])
async def test_what_is_no_signed_document_is_said_to_be_none(
    file: str, problem: str, unsigned: bytes, verify: Callable[..., Any]
) -> None:
    verdict: Verification = await verify(unsigned if file == "unsigned" else b"")
    assert verdict.problems == (problem,)
    assert not verdict.intact
    assert not verdict.trusted


async def test_a_second_signer_is_found(
    unsigned: bytes, authority: Authority, credentials: SignerCredentials, verify: Callable[..., Any]
) -> None:
    pdf = BytesIO(unsigned)
    for field, signer in {
        "One": credentials,
        "Two": credentials_of(authority.signer(uuid4(), "Dre Anne Roy", "Clinique", "1")),
    }.items():
        metadata = PdfSignatureMetadata(field_name=field)
        pdf = await PdfSigner(metadata, signer.signer).async_sign_pdf(IncrementalPdfFileWriter(pdf))
    assert (await verify(pdf.getvalue())).problems == ("several_signatures",)


async def test_a_signed_report_cannot_be_signed_again(signed: bytes, credentials: SignerCredentials) -> None:
    with pytest.raises(SigningError):
        await sign_pdf(signed, credentials, reason="Encore", at=SIGNED_AT)


async def test_can_be_checked_after_the_signer_s_certificate_has_expired(
    signed: bytes, verify: Callable[..., Any]
) -> None:
    now = datetime.now(UTC)
    assert (await verify(signed, at=now + timedelta(days=11 * 365))).valid
    assert (await verify(signed, at=now + timedelta(days=19 * 365))).valid
    assert "not_trusted" in (await verify(signed, at=now + timedelta(days=21 * 365))).problems


async def test_a_revoked_certificate_does_not_sign(unsigned: bytes, authority: Authority) -> None:
    credentials = credentials_of(authority.signer(uuid4(), "Dr Radié", "Clinique", "00000"))
    assert credentials.signer.signing_cert is not None
    now = datetime.now(UTC)
    root = authority._root
    entry = (
        certificates.RevokedCertificateBuilder()
        .serial_number(credentials.signer.signing_cert.serial_number)
        .revocation_date(now - timedelta(days=1))
        .build()
    )
    revoked = (
        certificates.CertificateRevocationListBuilder()
        .issuer_name(root.certificate.subject)
        .last_update(now - timedelta(minutes=1))
        .next_update(now + timedelta(days=1))
        .add_revoked_certificate(entry)
        .sign(root.key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    with pytest.raises(SigningError) as refusal:
        await sign_pdf(unsigned, replace(credentials, revocation_lists=(revoked,)), reason="Avis", at=SIGNED_AT)
    assert "revoked" in str(refusal.value.__cause__)


def test_a_file_is_referred_to_by_its_sha_256() -> None:
    assert document_hash(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


async def test_what_is_signed_after_a_revocation_does_not_hold_and_what_was_before_does(
    unsigned: bytes, tmp_path: Path
) -> None:
    """Whoever took the key has the list of its time too: a newer one, of the same root and no other, tells."""
    now = [SIGNED_AT]
    authority = Authority.open(
        KeyFolder(tmp_path / "own", SECRET), lambda: now[0], lists_at="https://relais.test/lists"
    )
    other = Authority.open(KeyFolder(tmp_path / "other", SECRET), lambda: now[0])  # its root has the same name
    roots = [other.root_certificate_pem, authority.root_certificate_pem]
    somebody = uuid4()

    async def signature(keys: SigningKeys) -> bytes:
        return await sign_pdf(unsigned, credentials_of(keys), reason="Avis", at=now[0])

    stolen = authority.signer(somebody, "Dre Anne Roy", "Clinique", "1")
    before = await signature(stolen)
    now[0] += timedelta(days=10)
    revoked = [Revocation(stolen.signer.certificate.serial_number, now[0] - timedelta(days=5), "key_compromise")]
    after = await signature(stolen)
    renewed = authority.signer(somebody, "Dre Anne Roy", "Clinique", "1", revoked)
    again = await signature(renewed)

    assert renewed.signer.certificate.public_key() != stolen.signer.certificate.public_key()
    assert authority.signer(somebody, "Dre Anne Roy", "Clinique", "1", revoked).signer.certificate == (
        renewed.signer.certificate
    )
    points = renewed.signer.certificate.extensions.get_extension_for_class(certificates.CRLDistributionPoints).value
    assert [name.value for point in points for name in point.full_name or ()] == [
        f"https://relais.test/lists/{authority.root_sha256}.crl"
    ]
    for later in (timedelta(days=1), timedelta(days=800), timedelta(days=15 * 365)):
        at = now[0] + later
        lists = [authority.revocation_list(revoked, until=at)]
        of_another = [other.revocation_list(revoked, until=at)]

        async def problems(document: bytes, lists: list[bytes], at: datetime = at) -> tuple[str, ...]:
            return (await verify_pdf(document, roots, at=at, revocation_lists=lists)).problems

        assert await problems(before, lists) == ()
        assert await problems(after, lists) == ("revoked",)
        assert await problems(again, lists) == ()
        assert await problems(after, of_another) == ()
