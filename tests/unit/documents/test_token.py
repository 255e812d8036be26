"""Keys in a token: a real SoftHSM, which is asked as an HSM would be."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from pkcs11 import Attribute, ObjectClass, TokenFlag

from confined import ConfinedError
from documents import token_keys
from documents.authority import Authority, NoAuthorityError, Revocation
from documents.bounded import sign_report
from documents.content import Practitioner
from documents.credentials import credentials
from documents.key_places import heard, told
from documents.key_token import KeyToken
from documents.keys import KeysAwayError, WrongSecretError
from documents.signature import sign_pdf, verify_pdf
from settings import PROJECT_ROOT, SettingsError
from tests import tokens
from tests.tokens import Shelf
from tests.unit.documents.conftest import SIGNED_AT

SOMEBODY = UUID("01936d3c-7b2a-7cc1-8a55-00000000000a")
SIGNER = Practitioner(name="Dr Étienne Gagnon", clinic="Clinique", licence_number="98765")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    module = tokens.module()
    if module is None:
        pytest.skip(tokens.NOT_THERE)
    return Shelf.made(tmp_path_factory.mktemp("shelf"), module)


@pytest.fixture
def token(shelf: Shelf) -> KeyToken:
    return shelf.token()


def certificate_of(authority: Authority) -> x509.Certificate:
    return authority.signer(SOMEBODY, "Dr Étienne Gagnon", "Clinique", "98765").signer.certificate


async def test_what_it_signs_holds(token: KeyToken, unsigned: bytes) -> None:
    authority = Authority.open(token)
    keys = authority.signer(SOMEBODY, SIGNER.name, "Clinique", "98765")
    signed = await sign_pdf(unsigned, credentials(keys), reason="Rapport final", at=SIGNED_AT)
    verdict = await verify_pdf(signed, [authority.root_certificate_pem])
    assert verdict.problems == ()
    assert (verdict.signer_name, verdict.signer_licence) == ("Dr Étienne Gagnon", "98765")
    assert (
        "altered"
        in (await verify_pdf(signed.replace(b"Rapport", b"Rapporz"), [authority.root_certificate_pem])).problems
    )


async def test_processes_that_sign_open_it_for_themselves(token: KeyToken, unsigned: bytes) -> None:
    authority = Authority.open(token)
    made = await sign_report(unsigned, authority, SOMEBODY, SIGNER, reason="TC-2026-000001", at=datetime.now(UTC))
    assert (await verify_pdf(made.pdf, [authority.root_certificate_pem])).problems == ()
    assert x509.load_der_x509_certificate(made.certificate) == certificate_of(authority)


def test_keys_are_made_in_it_and_stay_there(shelf: Shelf, token: KeyToken) -> None:
    certificate_of(Authority.open(token))
    told_of = shelf.look_at(token, "--list-objects", "--type", "privkey").stdout
    assert told_of.count("Private Key Object") == 3  # root, time stamps, one signer
    assert told_of.count("sensitive, always sensitive, never extractable, local") == 3
    keys = token.keys()
    assert isinstance(keys, token_keys.TokenKeys)
    with pytest.raises(KeysAwayError, match="AttributeSensitive"):
        keys._ask(
            lambda session: session.get_key(object_class=ObjectClass.PRIVATE_KEY, label="relais:root")[Attribute.VALUE]
        )
    public = shelf.look_at(token, "--list-objects", "--type", "cert").stdout
    assert {line.split(":", 1)[1].strip() for line in public.splitlines() if "label:" in line} == {
        "relais:root",
        "relais:stamps",
        f"relais:signers/{SOMEBODY}",
    }


def test_what_is_in_it_is_found_again(token: KeyToken) -> None:
    first = Authority.open(token)
    certificate = certificate_of(first)
    again = Authority.open(token, may_make=False)
    assert again.root_certificate_pem == first.root_certificate_pem
    assert certificate_of(again) == certificate
    assert again.certificates() == {SOMEBODY: certificate}
    by_serial = KeyToken(token.module, token.pin, None, _serial_of(token), token.environment)
    assert Authority.open(by_serial, may_make=False).root_sha256 == first.root_sha256


def _serial_of(token: KeyToken) -> str:
    keys = token.keys()
    assert isinstance(keys, token_keys.TokenKeys)
    return keys._ask(lambda session: session.token.serial.decode())


def test_none_is_made_where_none_may_be(token: KeyToken) -> None:
    with pytest.raises(NoAuthorityError, match=str(token.label)):
        Authority.open(token, may_make=False)
    assert Authority.open(token).root_sha256 == Authority.open(token, may_make=False).root_sha256


def test_a_certificate_is_renewed_and_the_key_stays(token: KeyToken) -> None:
    now = [datetime(2026, 11, 3, 19, 0, tzinfo=UTC)]
    authority = Authority.open(token, lambda: now[0])
    first = certificate_of(authority)
    now[0] = first.not_valid_after_utc - timedelta(days=29)
    second = certificate_of(authority)
    assert second.serial_number != first.serial_number
    assert second.public_key() == first.public_key()
    assert authority.certificates()[SOMEBODY] == second


def test_the_key_of_a_revoked_certificate_is_destroyed(shelf: Shelf, token: KeyToken) -> None:
    authority = Authority.open(token)
    lost = certificate_of(authority)
    revoked = [Revocation(lost.serial_number, datetime.now(UTC), "key_compromise")]
    keys = authority.signer(SOMEBODY, "Dr Étienne Gagnon", "Clinique", "98765", revoked)
    assert keys.signer.certificate.public_key() != lost.public_key()
    listed = x509.load_der_x509_crl(keys.revocation_list)
    assert [one.serial_number for one in listed] == [lost.serial_number]
    private = shelf.look_at(token, "--list-objects", "--type", "privkey").stdout
    assert private.count(f"signers/{SOMEBODY}") == 1


def test_a_token_that_goes_and_comes_back(shelf: Shelf, token: KeyToken) -> None:
    authority = Authority.open(token)
    before = certificate_of(authority)
    shelf.take_away()
    try:
        with pytest.raises(KeysAwayError, match=str(token.label)):
            certificate_of(authority)
        with pytest.raises(KeysAwayError, match=str(token.label)):
            Authority.open(token, may_make=False)
    finally:
        shelf.bring_back()
    assert certificate_of(authority) == before
    assert Authority.open(token, may_make=False).root_sha256 == authority.root_sha256


def test_a_session_that_sees_nothing_any_more_is_not_believed(shelf: Shelf, token: KeyToken) -> None:
    authority = Authority.open(token)
    lost = certificate_of(authority)
    shelf.take_away()
    try:
        with pytest.raises(KeysAwayError, match="is not there"):
            authority.look_for_its_keys()
        with pytest.raises(KeysAwayError, match="is not there"):
            Authority.open(token, may_make=False)
    finally:
        shelf.bring_back()
    authority.look_for_its_keys()
    revoked = [Revocation(lost.serial_number, datetime.now(UTC), "key_compromise")]
    keys = authority.signer(SOMEBODY, "Dr Étienne Gagnon", "Clinique", "98765", revoked)
    assert keys.signer.certificate.public_key() != lost.public_key()


async def test_while_it_is_away_nothing_is_signed(shelf: Shelf, token: KeyToken, unsigned: bytes) -> None:
    authority = Authority.open(token)
    shelf.take_away()
    try:
        with pytest.raises(ConfinedError, match="KeysAwayError"):
            await sign_report(unsigned, authority, SOMEBODY, SIGNER, reason="-", at=datetime.now(UTC))
    finally:
        shelf.bring_back()
    made = await sign_report(unsigned, authority, SOMEBODY, SIGNER, reason="-", at=datetime.now(UTC))
    assert (await verify_pdf(made.pdf, [authority.root_certificate_pem])).problems == ()


def test_a_wrong_pin_is_said_and_not_given_until_the_token_is_shut(
    token: KeyToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = KeyToken(token.module, "1111-2222", token.label, environment=token.environment)
    with pytest.raises(WrongSecretError, match="does not open with this PIN") as raised:
        Authority.open(wrong)
    assert wrong.pin not in str(raised.value)
    # SoftHSM never shuts: what it says after one wrong PIN stands for what others say before the last
    monkeypatch.setattr(token_keys, "_ONE_MORE_AND_IT_IS_SHUT", TokenFlag.USER_PIN_COUNT_LOW)
    with pytest.raises(WrongSecretError, match="too many wrong PINs"):
        Authority.open(wrong)
    with pytest.raises(WrongSecretError, match="too many wrong PINs"):
        Authority.open(token)
    monkeypatch.undo()
    assert Authority.open(token)


def test_what_is_not_there_is_said(token: KeyToken) -> None:
    with pytest.raises(KeysAwayError, match=r"the token nowhere of .* is not there"):
        Authority.open(KeyToken(token.module, token.pin, "nowhere", environment=token.environment))
    with pytest.raises(SettingsError, match="RELAIS_PKCS11_MODULE"):
        Authority.open(KeyToken(Path("/nowhere/module.so"), token.pin, token.label))


def test_the_pin_is_told_to_who_signs_and_to_nobody_else(token: KeyToken) -> None:
    assert heard(told(token)) == token
    assert token.pin not in repr(token)
    assert token.pin not in str(token)


def test_who_makes_a_key_at_the_same_moment_signs_under_its_own_certificate(
    token: KeyToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other host's key and certificate came between this one's look for a key and its look for a certificate."""
    authority = Authority.open(token)
    theirs = certificate_of(authority)
    monkeypatch.setattr(token_keys.TokenKeys, "key", lambda *_: None)
    ours = authority.signer(SOMEBODY, "Dr Étienne Gagnon", "Clinique", "98765").signer
    monkeypatch.undo()
    assert ours.certificate.public_key() == ours.key.public_key() != theirs.public_key()
    again = authority.signer(SOMEBODY, "Dr Étienne Gagnon", "Clinique", "98765").signer
    assert again.certificate.public_key() == again.key.public_key()
    assert again.certificate in (theirs, ours.certificate)


def test_processes_that_open_it_at_once_sign_with_the_same_root(token: KeyToken) -> None:
    """Keys of one name may be made twice, see `documents.token_keys`; the root is made under a lock of the records."""
    root = Authority.open(token).root_certificate_pem
    program = (
        "import sys; from uuid import UUID\n"
        "from documents.authority import Authority; from documents.key_places import heard\n"
        "authority = Authority.open(heard(sys.argv[1]))\n"
        "keys = authority.signer(UUID(sys.argv[2]), 'A. B.', 'Clinique', '1')\n"
        "keys.signer.certificate.verify_directly_issued_by(keys.root)\n"
        "print(authority.root_certificate_pem.decode())"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, told(token), str(uuid4())], cwd=PROJECT_ROOT, stdout=subprocess.PIPE
        )
        for _ in range(3)
    ]
    assert {process.communicate()[0].strip() for process in processes} == {root.strip()}
