"""The keys: where they are, who can read them, and when they change."""

import shutil
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from confined import ConfinedError
from documents.authority import Authority, Identity, NoAuthorityError, SigningKeys
from documents.bounded import sign_report
from documents.content import Practitioner
from documents.credentials import LocalSigner, SignerCredentials
from documents.key_folder import ROOT_CERTIFICATE, ROOT_KEY, KeyFolder
from documents.keys import KeysAwayError, WrongSecretError
from settings import PROJECT_ROOT
from tests.unit.documents.conftest import SECRET

SOMEBODY = UUID("01936d3c-7b2a-7cc1-8a55-00000000000a")


class Clock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 3, 19, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "authority"


def certificate_of(keys: SigningKeys) -> x509.Certificate:
    return keys.signer.certificate


def sign_up(authority: Authority, name: str = "Dr Étienne Gagnon") -> SigningKeys:
    return authority.signer(SOMEBODY, name, "Clinique", "98765")


def test_files_are_for_their_owner_only_and_keys_are_encrypted(folder: Path) -> None:
    sign_up(Authority.open(KeyFolder(folder, SECRET)))
    assert {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()} == {
        "lock",
        "root.key.pem",
        "root.cert.pem",
        "stamps.key.pem",
        "stamps.cert.pem",
        f"signers/{SOMEBODY}.key.pem",
        f"signers/{SOMEBODY}.cert.pem",
    }
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "signers")] == [0o700, 0o700]
    for file in folder.rglob("*.pem"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for key in folder.rglob("*.key.pem"):
        assert key.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")


def test_a_folder_left_open_to_others_is_closed(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o755)
    Authority.open(KeyFolder(folder, SECRET))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_opens_what_it_made(folder: Path) -> None:
    first = Authority.open(KeyFolder(folder, SECRET))
    credentials = sign_up(first)
    second = Authority.open(KeyFolder(folder, SECRET))
    assert second.root_certificate_pem == first.root_certificate_pem
    assert certificate_of(sign_up(second)) == certificate_of(credentials)


def test_needs_the_secret_that_the_keys_were_made_with(folder: Path) -> None:
    Authority.open(KeyFolder(folder, SECRET))
    with pytest.raises(WrongSecretError):
        Authority.open(KeyFolder(folder, b"another secret that is long enough"))


def test_refuses_a_short_secret(folder: Path) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Authority.open(KeyFolder(folder, b"short"))
    assert not folder.exists()


def test_processes_that_open_it_at_once_get_the_same_keys(folder: Path) -> None:
    program = (
        "import sys, uuid; from pathlib import Path\n"
        "from documents.authority import Authority; from documents.key_folder import KeyFolder\n"
        "authority = Authority.open(KeyFolder(Path(sys.argv[1]), sys.argv[2].encode()))\n"
        "keys = authority.signer(uuid.UUID(sys.argv[3]), 'A. B.', 'Clinique', '1')\n"
        "print(authority.root_certificate_pem.decode(), keys.signer.certificate.serial_number)"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, folder, SECRET.decode(), str(SOMEBODY)],
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    answers = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert len(answers) == 1
    assert answers != {b""}


def test_a_key_whose_certificate_was_not_written_gets_one(folder: Path) -> None:
    credentials = sign_up(Authority.open(KeyFolder(folder, SECRET)))
    (folder / "signers" / f"{SOMEBODY}.cert.pem").unlink()
    again = sign_up(Authority.open(KeyFolder(folder, SECRET)))
    assert certificate_of(again).public_key() == certificate_of(credentials).public_key()


def test_a_certificate_of_another_key_is_issued_anew(folder: Path) -> None:
    place = KeyFolder(folder, SECRET)
    authority = Authority.open(place)
    before = certificate_of(sign_up(authority))
    place.remove_key(f"signers/{SOMEBODY}")
    made = place.make_key(f"signers/{SOMEBODY}")
    after = sign_up(authority).signer
    assert after.key.public_key() == after.certificate.public_key() == made.public_key()
    assert after.certificate.serial_number != before.serial_number


async def test_a_signature_that_its_certificate_does_not_vouch_for_is_none(authority: Authority) -> None:
    keys = authority.signer(uuid4(), "A. B.", "Clinique", "1")
    root = x509.load_pem_x509_certificate(authority.root_certificate_pem)
    good = LocalSigner(keys.signer, root, with_root=True)
    assert await good.async_sign_raw(b"what is signed", "sha256")
    mixed_up = LocalSigner(Identity(keys.stamps.key, keys.signer.certificate), root, with_root=True)
    with pytest.raises(InvalidSignature):
        await mixed_up.async_sign_raw(b"what is signed", "sha256")


@pytest.mark.parametrize("missing", [ROOT_KEY, ROOT_CERTIFICATE])
def test_half_a_root_is_none(folder: Path, missing: str) -> None:
    Authority.open(KeyFolder(folder, SECRET))
    (folder / missing).unlink()
    with pytest.raises(NoAuthorityError, match="whose root has no"):
        Authority.open(KeyFolder(folder, SECRET), may_make=False)
    assert not (folder / missing).exists()


@pytest.mark.parametrize("may_make", [True, False])
def test_a_root_certificate_is_never_replaced(folder: Path, may_make: bool) -> None:
    place = KeyFolder(folder, SECRET)
    certificate = Authority.open(place).root_certificate_pem
    place.remove_key("root")
    with pytest.raises(NoAuthorityError, match="whose root has no key"):
        Authority.open(place, may_make=may_make)
    assert not (folder / ROOT_KEY).exists()
    place.make_key("root")
    with pytest.raises(NoAuthorityError, match="not of the root's key"):
        Authority.open(place, may_make=may_make)
    assert (folder / ROOT_CERTIFICATE).read_bytes() == certificate


async def test_another_authority_does_not_sign_in_its_place(folder: Path, unsigned: bytes) -> None:
    """Where a folder is emptied, or holds another's keys, under a worker: none is made, and nothing signed, until it is back."""
    place = KeyFolder(folder, SECRET)
    authority = Authority.open(place)
    signer, now = Practitioner(name="A. B.", clinic="Clinique"), datetime.now(UTC)
    away = place.path.rename(place.path.with_name("away"))
    with pytest.raises(ConfinedError, match="NoAuthorityError"):
        await sign_report(unsigned, authority, SOMEBODY, signer, reason="-", at=now)
    assert not place.path.exists()
    Authority.open(place)
    with pytest.raises(ConfinedError, match="KeysAwayError"):
        await sign_report(unsigned, authority, SOMEBODY, signer, reason="-", at=now)
    assert list((place.path / "signers").iterdir()) == []
    with pytest.raises(KeysAwayError):
        authority.look_for_its_keys()
    shutil.rmtree(folder)
    away.rename(folder)
    authority.look_for_its_keys()
    assert await sign_report(unsigned, authority, SOMEBODY, signer, reason="-", at=now)


def test_a_certificate_says_who_signs_and_what_for(authority: Authority, credentials: SignerCredentials) -> None:
    assert credentials.signer.signing_cert is not None
    certificate = x509.load_der_x509_certificate(credentials.signer.signing_cert.dump())
    named = {attribute.oid: attribute.value for attribute in certificate.subject}
    assert named == {
        NameOID.COMMON_NAME: "Dr Étienne Gagnon",
        NameOID.ORGANIZATION_NAME: "Clinique de dermatologie du Saint-Laurent",
        NameOID.SERIAL_NUMBER: "98765",
    }
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert usage.value.content_commitment
    assert not usage.value.key_cert_sign
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.root_certificate_pem))


def test_the_revocation_list_is_signed_by_the_root(authority: Authority, credentials: SignerCredentials) -> None:
    root = x509.load_pem_x509_certificate(authority.root_certificate_pem)
    (encoded,) = credentials.revocation_lists
    revoked = x509.load_der_x509_crl(encoded)
    assert revoked.is_signature_valid(root.public_key())  # type: ignore[arg-type]
    assert list(revoked) == []


def test_everyone_has_a_key_of_their_own(authority: Authority) -> None:
    keys = [certificate_of(authority.signer(uuid4(), "A. B.", "Clinique", "1")).public_key() for _ in range(2)]
    assert keys[0] != keys[1]


def test_long_names_are_cut_to_what_a_certificate_holds(authority: Authority) -> None:
    certificate = certificate_of(authority.signer(uuid4(), "é" * 100, "c" * 100, "9" * 100))
    assert {attribute.value for attribute in certificate.subject} == {"é" * 32, "c" * 64, "9" * 64}


def test_what_is_not_known_is_left_out_of_the_certificate(authority: Authority) -> None:
    certificate = certificate_of(authority.signer(uuid4(), "A. B.", "", ""))
    assert [attribute.oid for attribute in certificate.subject] == [NameOID.COMMON_NAME]


def test_a_certificate_is_renewed_before_its_end_and_the_key_stays(folder: Path) -> None:
    clock = Clock()
    authority = Authority.open(KeyFolder(folder, SECRET), clock)
    first = certificate_of(sign_up(authority))
    clock.now = first.not_valid_after_utc - timedelta(days=31)
    assert certificate_of(sign_up(authority)) == first
    clock.now = first.not_valid_after_utc - timedelta(days=29)
    second = certificate_of(sign_up(authority))
    assert second.not_valid_after_utc > first.not_valid_after_utc
    assert second.public_key() == first.public_key()
    assert second.serial_number != first.serial_number


def test_a_new_name_gets_a_new_certificate(authority: Authority) -> None:
    before = certificate_of(sign_up(authority, "Dre Anne Roy"))
    after = certificate_of(sign_up(authority, "Dre Anne Roy-Caron"))
    assert after.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "Dre Anne Roy-Caron"
    assert after.public_key() == before.public_key()


def test_time_stamps_can_be_checked_for_as_long_as_a_record_is_kept(folder: Path) -> None:
    clock = Clock()
    authority = Authority.open(KeyFolder(folder, SECRET), clock)
    for _ in range(10):
        sign_up(authority)
        stamps = x509.load_pem_x509_certificate((folder / "stamps.cert.pem").read_bytes())
        assert stamps.not_valid_after_utc - clock.now > timedelta(days=15 * 365)
        clock.now += timedelta(days=365)
