"""Anybody checks a signed document that they were given, without an account; the certificates for it are served."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from pypdf import PdfWriter
from sqlalchemy import delete, select

from documents.authority import Authority
from documents.bounded import sign_report
from documents.content import Practitioner
from documents.credentials import credentials
from documents.key_folder import KeyFolder
from documents.signature import sign_pdf, verify_pdf
from records.models import SigningCertificate, SigningRoot
from records.signing_roots import add_signing_root, note_certificate, signing_roots
from tests.api.answers import problem
from tests.api.test_texts import printed
from tests.journeys import ok, reported
from tests.system import System, hasty
from use_cases.signing_roots import (
    UnknownSignerError,
    revoke_signer,
)
from use_cases.verification import MAX_FILE_BYTES
from web.rates import Spent

DOCUMENT = {"Content-Type": "application/pdf"}


@asynccontextmanager
async def stranger(system: System) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who has no account and no cookie."""
    transport = httpx.ASGITransport(app=system.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://relais.test/api/v1") as http:
        yield http


@contextmanager
def without_the_folder(system: System, folder: Path) -> Iterator[None]:
    """An API on a host that has never seen the authority's folder."""
    services = system.app.state.services
    system.app.state.services = replace(
        services, settings=services.settings.model_copy(update={"authority_dir": folder})
    )
    try:
        yield
    finally:
        system.app.state.services = services


async def signed_document(system: System) -> tuple[str, str, bytes]:
    """A request, its final report's id, and the file."""
    request_id = await reported(system)
    [document] = (await system.requester.get(f"/requests/{request_id}/reports")).json()
    answer = await system.requester.get(f"/requests/{request_id}/reports/{document['report_id']}.pdf")
    return request_id, document["report_id"], answer.content


def unsigned() -> bytes:
    """An empty page."""
    writer, made = PdfWriter(), BytesIO()
    writer.add_blank_page(100, 100)
    writer.write(made)
    return made.getvalue()


async def verdict(http: httpx.AsyncClient, pdf: bytes) -> Any:
    return ok(await http.post("/verifications", content=pdf, headers=DOCUMENT))


async def test_a_stranger_checks_a_document_on_a_host_without_the_keys(system: System, tmp_path: Path) -> None:
    request_id, report_id, pdf = await signed_document(system)
    own = ok(await system.requester.get(f"/requests/{request_id}/reports/{report_id}/verification"))
    with without_the_folder(system, tmp_path):
        async with stranger(system) as http:
            found = await verdict(http, pdf)
        again = ok(await system.requester.get(f"/requests/{request_id}/reports/{report_id}/verification"))
    assert (found["valid"], found["problems"]) == (True, [])
    assert {**own, "checked_at": ""} == {**again, "checked_at": ""}
    shared = found.keys() & own.keys() - {"checked_at"}
    assert {name: found[name] for name in shared} == {name: own[name] for name in shared}
    assert found.keys() - shared == {"checked_at", "destroyed_on"}


async def test_what_was_changed_does_not_hold(system: System) -> None:
    _, _, pdf = await signed_document(system)
    middle = len(pdf) // 3
    changed = pdf[:middle] + bytes([pdf[middle] ^ 1]) + pdf[middle + 1 :]
    appended = pdf + b"\n% more\n"
    async with stranger(system) as http:
        for sent, problems in (
            (changed, None),
            (appended, None),
            (pdf[: len(pdf) // 2], ["unreadable"]),
            (b"no PDF", ["unreadable"]),
            (unsigned(), ["not_signed"]),
        ):
            found = await verdict(http, sent)
            assert not found["valid"]
            assert found["problems"]
            assert problems is None or found["problems"] == problems


async def signed_elsewhere(folder: Path) -> tuple[Authority, bytes]:
    """A document signed in the name of somebody who is known here, under an authority that is not."""
    authority = Authority.open(KeyFolder(folder, b"the secret of another authority"))
    signer = Practitioner(name="Dre Isabelle Haddad", licence_number="98-3142")
    made = await sign_report(unsigned(), authority, UUID(int=7), signer, reason="TC-2026-000001", at=datetime.now(UTC))
    return authority, made.pdf


async def test_another_authority_is_trusted_only_once_it_signs_here(system: System, tmp_path: Path) -> None:
    """So what an earlier authority signed holds for ever, and what a stranger's signed never does."""
    _, _, pdf = await signed_document(system)
    authority, made = await signed_elsewhere(tmp_path)
    assert (await verify_pdf(made, [authority.root_certificate_pem])).valid
    pem = authority.root_certificate_pem
    sha256 = authority.root_sha256
    async with stranger(system) as http:
        assert "not_trusted" in (await verdict(http, made))["problems"]
        async with system.services.database.session() as session:
            since = datetime(2020, 1, 1, tzinfo=UTC)
            await add_signing_root(session, sha256=sha256, certificate=pem.decode(), since=since)
        try:
            assert (await verdict(http, made))["valid"]
            assert (await verdict(http, pdf))["valid"]
            roots = (await http.get("/signing-roots")).json()
            own = system.authority.root_sha256
            assert [root["sha256"] for root in roots] == [own, sha256]
        finally:
            async with system.services.database.session() as session:
                await session.execute(delete(SigningRoot).where(SigningRoot.sha256 == sha256))


async def test_the_certificates_are_served_to_anybody(system: System) -> None:
    pem = system.authority.root_certificate_pem
    expected = x509.load_pem_x509_certificate(pem)
    sha256 = expected.fingerprint(SHA256()).hex()
    async with stranger(system) as http:
        in_pem = await http.get(f"/signing-roots/{sha256}.pem")
        in_der = await http.get(f"/signing-roots/{sha256.upper()}.cer")
        problem(await http.get(f"/signing-roots/{'0' * 64}.pem"), 404, "not_found")
    assert x509.load_pem_x509_certificate(in_pem.content) == expected
    assert x509.load_der_x509_certificate(in_der.content) == expected
    assert in_der.headers["content-type"] == "application/pkix-cert"
    assert in_pem.headers["content-disposition"] == f'attachment; filename="relais-{sha256[:8]}.pem"'


async def test_the_document_says_where_to_check_it(system: System) -> None:
    request_id, report_id, _ = await signed_document(system)
    assert "http://relais.test/verify" in (await printed(system.requester, request_id, report_id))[0]
    content = ok(await system.requester.get(f"/requests/{request_id}/reports/{report_id}/content"))
    assert content["verified_at"] == "http://relais.test/verify"


async def test_nobody_floods_it(system: System) -> None:
    """A file has a limit, an address too, and strangers wait in a queue of their own."""
    _, _, pdf = await signed_document(system)
    system.app.state.spent = Spent()
    async with stranger(system) as http:
        problem(await http.post("/verifications", content=b"", headers=DOCUMENT), 422, "invalid_input")
        too_large = await http.post("/verifications", content=b"x" * (MAX_FILE_BYTES + 70_000), headers=DOCUMENT)
        problem(too_large, 413, "too_large")
        with hasty(system.app, checks_per_minute=1):
            system.app.state.spent = Spent()
            assert (await verdict(http, pdf))["valid"]
            refused = await http.post("/verifications", content=pdf, headers=DOCUMENT)
            problem(refused, 429, "too_many_requests")
            assert 0 < int(refused.headers["retry-after"]) <= 60
            assert (await system.requester.get("/me")).status_code == 200


async def test_a_file_that_does_not_come_is_not_waited_for(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few bodies of strangers are on their way at once, and none for long: each is held in memory."""
    monkeypatch.setattr("use_cases.verification.RECEIVED_WITHIN", timedelta(milliseconds=50))
    _, _, pdf = await signed_document(system)
    falls_silent = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield pdf[:1000]
        await falls_silent.wait()

    async with stranger(system) as http:
        problem(await http.post("/verifications", content=body(), headers=DOCUMENT), 408, "too_slow")
        files = system.app.state.services.strangers_files
        async with AsyncExitStack() as held:
            for _ in range(4):
                await held.enter_async_context(files.place_for("127.0.0.1"))
            sent = [asyncio.create_task(http.post("/verifications", content=pdf, headers=DOCUMENT)) for _ in range(5)]
            problem(await next(asyncio.as_completed(sent)), 429, "too_many_at_once")
        assert sorted([(await one).status_code for one in sent]) == [200] * 4 + [429]


async def test_nothing_is_judged_before_an_authority_is_known(system: System, tmp_path: Path) -> None:
    _, _, pdf = await signed_document(system)
    async with system.services.database.session() as session:
        kept = [(one.sha256, one.certificate, one.since) for one in await signing_roots(session)]
        held = (await session.execute(select(SigningCertificate))).scalars().all()
        rows = [(one.root_sha256, one.serial_number, one.signer_id) for one in held]
        await session.execute(delete(SigningCertificate))
        await session.execute(delete(SigningRoot))
    try:
        with without_the_folder(system, tmp_path):
            async with stranger(system) as http:
                problem(await http.post("/verifications", content=pdf, headers=DOCUMENT), 503, "no_authority_yet")
    finally:
        async with system.services.database.session() as session:
            for sha256, certificate, since in kept:
                await add_signing_root(session, sha256=sha256, certificate=certificate, since=since)
            for root, serial_number, signer_id in rows:
                await note_certificate(
                    session,
                    root_sha256=root,
                    serial_number=int(serial_number, 16),
                    signer_id=signer_id,
                    now=datetime.now(UTC),
                )


async def test_strangers_take_no_place_of_people(system: System) -> None:
    """While all who check without an account wait, somebody who is signed in does not; few may wait, the others come back."""
    request_id, report_id, pdf = await signed_document(system)
    async with stranger(system) as http:
        async with system.app.state.services.strangers.place_for("somebody else"):
            sent = [asyncio.create_task(http.post("/verifications", content=pdf, headers=DOCUMENT)) for _ in range(6)]
            done = asyncio.as_completed(sent)
            refused = [await next(done), await next(done)]
            own = await system.requester.get(f"/requests/{request_id}/reports/{report_id}/verification")
            assert ok(own)["valid"]
            assert sum(task.done() for task in sent) == 2
        answers = await asyncio.gather(*sent)
    for answer in refused:
        problem(answer, 429, "too_many_at_once")
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [429] * 2


async def test_a_lost_key_signs_nothing_more(system: System) -> None:
    """What its owner signed with it before still holds, and their next document has another key."""
    name, signer = system.provider.account.username, system.provider.account.id
    # All of it in the past: pyHanko takes nothing for stamped that its own clock has not come to yet.
    signed_at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)
    lost_at = signed_at + timedelta(seconds=1)

    async def stamped(moment: datetime) -> tuple[bytes, str]:
        """A document stamped at that moment with the key that is there, and the certificate's serial number."""
        authority = Authority.open(system.authority.place, lambda: moment)
        keys = authority.signer(signer, "Dre Anne Roy", "Clinique", "1")
        pdf = await sign_pdf(unsigned(), credentials(keys), reason="TC-2026-000001", at=moment)
        return pdf, f"{keys.signer.certificate.serial_number:x}"

    async with stranger(system) as http:
        (before, own), (forged, stolen) = await stamped(signed_at), await stamped(lost_at)
        assert own == stolen
        assert [(await verdict(http, pdf))["valid"] for pdf in (before, forged)] == [True, True]
        revoked = await revoke_signer(system.settings, name, "key_compromise", since=lost_at)
        assert stolen in revoked.serial_numbers
        assert revoked.unpublished == ()
        assert (await verdict(http, forged))["problems"] == ["revoked"]
        _, _, after = await signed_document(system)
        old, new = await verdict(http, before), await verdict(http, after)
        assert (old["valid"], new["valid"]) == (True, True)
        assert old["certificate"]["sha256"] != new["certificate"]["sha256"]
        listed = x509.load_der_x509_crl((await http.get(f"/signing-roots/{system.authority.root_sha256}.crl")).content)
    serial_numbers = {f"{one.serial_number:x}" for one in listed}
    assert set(revoked.serial_numbers) <= serial_numbers
    assert new["certificate"]["serial_number"] not in serial_numbers
    assert listed.next_update_utc is not None
    assert listed.next_update_utc - listed.last_update_utc < timedelta(days=31)
    again = await revoke_signer(system.settings, name, "superseded")
    assert again.serial_numbers == (new["certificate"]["serial_number"],)
    assert (await revoke_signer(system.settings, name, "superseded")).serial_numbers == ()
    earlier = await revoke_signer(system.settings, name, "key_compromise", since=lost_at - timedelta(days=1))
    assert set(earlier.serial_numbers) >= {*revoked.serial_numbers, *again.serial_numbers}
    async with stranger(system) as http:
        assert (await verdict(http, before))["problems"] == ["revoked"]
    with pytest.raises(UnknownSignerError, match="There is no account"):
        await revoke_signer(system.settings, "nobody.here", "superseded")
