"""Time stamps from outside: by OpenSSL's service; what is not what was asked for is refused."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import tsp  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.sign.timestamps.common_utils import get_nonce

from confined import ConfinedError
from documents import time_stamps
from documents.authority import Authority
from documents.bounded import check_pdf, sign_report
from documents.content import Practitioner
from documents.credentials import LocalSigner, LocalTimeStamper
from documents.key_folder import KeyFolder
from documents.signature import verify_pdf
from documents.stamp_service import service_heard, service_told, stamp_service
from documents.time_stamps import OutsideTimeStamper, StampRefusedError, StampsAwayError, checked_stamp
from settings import Settings, SettingsError
from tests.time_stamps import OpensslService, made, served
from tests.unit.documents.conftest import SECRET, SIGNER_ID

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

SIGNER = Practitioner(name="Dr Étienne Gagnon", clinic="Clinique", licence_number="98765")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="module")
def clock(folders: Path) -> Iterator[OpensslService]:
    with served(made(folders / "clock")) as running:
        yield running


@pytest.fixture
def service(clock: OpensslService) -> Iterator[OpensslService]:
    """The one of all tests, as it was."""
    clock.asked.clear()
    yield clock
    clock.status, clock.spoil = 200, None


def question(digest: bytes = b"\x01" * 32, nonce: int | None = None) -> Any:
    return tsp.TimeStampReq(
        {
            "version": 1,
            "message_imprint": {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": digest},
            "nonce": nonce or get_nonce(),  # type: ignore[no-untyped-call]
            "cert_req": True,
        }
    )


async def ask(service: OpensslService, *trusted: bytes, **more: Any) -> Any:
    return await OutsideTimeStamper(service.service(*trusted, **more)).async_request_tsa_response(question())


async def test_a_document_has_the_stamps_of_the_service(
    service: OpensslService, tmp_path: Path, unsigned: bytes
) -> None:
    """Who trusts the authority alone sees no stamp that counts; and who vouches for stamps vouches for no signature."""
    authority = Authority.open(
        KeyFolder(tmp_path, SECRET), stamped_by=service.service(user="relais", password="secret")
    )
    made_ = await sign_report(unsigned, authority, SIGNER_ID, SIGNER, reason="-", at=datetime.now(UTC))
    root = authority.root_certificate_pem
    stamp_root = x509.load_der_x509_certificate(service.root).public_bytes(Encoding.PEM)
    verdict = await check_pdf(made_.pdf, [root], at=datetime.now(UTC), stamp_roots=[stamp_root])
    assert verdict.problems == ()
    assert verdict.stamped_at is not None
    assert verdict.checkable_until is not None
    assert timedelta(days=29) < verdict.checkable_until - datetime.now(UTC) < timedelta(days=31)
    assert len(service.asked) == 3  # one to know how long a stamp is, one for the signature, one over all
    assert {authorization for _, authorization in service.asked} == {"Basic cmVsYWlzOnNlY3JldA=="}
    assert "time_stamp_missing" in (await verify_pdf(made_.pdf, [root])).problems
    assert "not_trusted" in (await verify_pdf(made_.pdf, [stamp_root], stamp_roots=[stamp_root])).problems
    for place in range(len(unsigned), len(made_.pdf), 997):
        changed = made_.pdf[:place] + bytes([made_.pdf[place] ^ 1]) + made_.pdf[place + 1 :]
        assert not (await verify_pdf(changed, [root], stamp_roots=[stamp_root])).valid


async def test_what_the_authority_stamped_holds_beside_it(
    service: OpensslService, signed: bytes, authority: Authority
) -> None:
    stamp_root = x509.load_der_x509_certificate(service.root).public_bytes(Encoding.PEM)
    assert (await verify_pdf(signed, [authority.root_certificate_pem], stamp_roots=[stamp_root])).valid


async def test_while_it_is_away_nothing_is_signed(service: OpensslService, tmp_path: Path, unsigned: bytes) -> None:
    authority = Authority.open(KeyFolder(tmp_path, SECRET), stamped_by=service.service())
    service.status = 503
    with pytest.raises(ConfinedError, match="StampsAwayError"):
        await sign_report(unsigned, authority, SIGNER_ID, SIGNER, reason="-", at=datetime.now(UTC))
    service.status = 200
    assert await sign_report(unsigned, authority, SIGNER_ID, SIGNER, reason="-", at=datetime.now(UTC))


async def test_it_takes_what_was_asked_for(service: OpensslService) -> None:
    response = await ask(service)
    assert response["status"]["status"].native == "granted"
    stamps = x509.load_pem_x509_certificate((service.folder / "stamps.pem").read_bytes())
    assert await ask(service, stamps.public_bytes(Encoding.DER))  # it may be named itself


async def test_the_answer_to_another_question_is_refused(service: OpensslService) -> None:
    asked = question()
    for other, why in (
        (question(digest=b"\x02" * 32, nonce=asked["nonce"].native), "something else"),
        (question(), "another question"),
    ):
        earlier = service.stamp(other.dump())
        service.spoil = lambda _, earlier=earlier: earlier
        with pytest.raises(StampRefusedError, match=why):
            await OutsideTimeStamper(service.service()).async_request_tsa_response(asked)


async def test_a_stamp_of_another_time_is_refused(service: OpensslService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_stamps, "CLOCKS_DIFFER", -timedelta(seconds=1))
    with pytest.raises(StampRefusedError, match="another time"):
        await ask(service)


async def test_what_was_changed_on_its_way_is_refused(service: OpensslService) -> None:
    """Or it is of no account: what surrounds the stamp, and the certificate of who is trusted anyway."""
    asked = question()
    honest = service.stamp(asked.dump())

    async def taken(answer: bytes) -> bytes:
        service.spoil = lambda _: answer
        response = await OutsideTimeStamper(service.service()).async_request_tsa_response(asked)
        return bytes(response["time_stamp_token"].dump())

    stamp = await taken(honest)
    refused = 0
    for place in range(9, len(honest), 23):
        try:
            same = await taken(honest[:place] + bytes([honest[place] ^ 1]) + honest[place + 1 :])
        except (StampRefusedError, StampsAwayError):
            refused += 1
        else:
            assert same == stamp, place
    assert refused > 20


@pytest.mark.parametrize("answer", [b"", b"no stamp", b"\x30\x03\x02\x01", b"x" * 100_000])
async def test_what_is_no_stamp_is_refused(service: OpensslService, answer: bytes) -> None:
    service.spoil = lambda _: answer
    with pytest.raises((StampRefusedError, StampsAwayError)):
        await ask(service)


async def test_nobody_else_vouches(service: OpensslService, folders: Path, authority: Authority) -> None:
    stranger = made(folders / "stranger")
    for other in (
        stranger.root,
        x509.load_pem_x509_certificate(authority.root_certificate_pem).public_bytes(Encoding.DER),
    ):
        with pytest.raises(StampRefusedError, match="nobody who is trusted"):
            await ask(service, other)


async def test_a_certificate_that_is_over_is_refused(folders: Path) -> None:
    over = made(folders / "over", life=-timedelta(days=1))
    with served(over) as running, pytest.raises(StampRefusedError, match="nobody who is trusted"):
        await ask(running)


async def test_a_certificate_for_something_else_stamps_nothing(authority: Authority) -> None:
    keys = authority.signer(SIGNER_ID, SIGNER.name, "Clinique", "98765")
    root = keys.root.public_bytes(Encoding.DER)
    asked = question()
    for identity, is_good in ((keys.stamps, True), (keys.signer, False)):
        stamper = LocalTimeStamper(LocalSigner(identity, keys.root, with_root=False), keys.clock)
        response = await stamper.async_request_tsa_response(asked)
        if is_good:
            await checked_stamp(asked, response, [root])
            continue
        with pytest.raises(StampRefusedError):
            await checked_stamp(asked, response, [root])


async def test_a_service_that_is_not_there_or_not_allowed_is_away(service: OpensslService) -> None:
    for url, code in (
        ("http://127.0.0.1:9/", "not_connected"),
        ("https://10.0.0.1/", "address_not_public"),
        ("http://tsa.example.org/", "not_https"),
    ):
        stamper = OutsideTimeStamper(replace(service.service(), url=url))
        with pytest.raises(StampsAwayError, match=code):
            await stamper.async_request_tsa_response(question())
    service.status = 302
    with pytest.raises(StampsAwayError, match="status 302"):
        await ask(service)


def test_the_settings_name_it(service: OpensslService, tmp_path: Path) -> None:
    certificates = service.folder / "root.pem"
    more: dict[str, Any] = {"time_stamps_url": service.url, "time_stamps_from_this_machine": True}
    named = stamp_service(Settings(time_stamps_certificates=certificates, time_stamps_password="secret", **more))
    assert named is not None
    assert named.certificates == (service.root,)
    assert service_heard(service_told(named)) == named
    assert "secret" not in repr(named)
    assert stamp_service(Settings()) is None
    for wrong, why in (
        ({**more}, "TIME_STAMPS_CERTIFICATES is not set"),
        ({**more, "time_stamps_certificates": tmp_path / "none"}, "can't be read"),
        ({**more, "time_stamps_certificates": certificates, "time_stamps_from_this_machine": False}, "public https"),
    ):
        with pytest.raises(SettingsError, match=why):
            stamp_service(Settings(**wrong))
