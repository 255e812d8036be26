"""Which authority a worker signs with: the installation's, on whichever host; none makes another that nobody would know."""

import asyncio
import base64
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from documents.authority import Authority
from documents.key_folder import ROOT_CERTIFICATE, ROOT_KEY, KeyFolder
from documents.keys import KeysAwayError
from domain.requests import DocumentKind, Role
from records import people, reports
from records.database import Database
from records.ids import new_id
from records.models import Account
from records.signing_roots import lock_signing_roots, signing_roots
from settings import Settings
from tests.conftest import MakeDatabase
from tests.records.scenes import make_draft, set_scene
from use_cases.signing_roots import (
    OtherAuthorityError,
    authority_to_sign_with,
    publish_revocations,
    revoke_signer,
    trust_own_authority,
)

SECRET = "what locks the keys of all hosts"
RING = f"test:{base64.b64encode(bytes(32)).decode()}"


@pytest.fixture
async def url(make_database: MakeDatabase, migrated_template: str) -> str:
    """An installation of its own."""
    return await make_database(migrated_template)


def host(url: str, folder: Path) -> Settings:
    """The settings of a worker on a host of its own."""
    return Settings(database_url=url, authority_dir=folder, authority_secret=SECRET, encryption_keys=RING)


async def authority_of(settings: Settings) -> Authority:
    async with Database.opened(settings) as database:
        return await authority_to_sign_with(settings, database)


async def somebody_in(session: AsyncSession) -> Account:
    clinic = await people.add_clinic(session, code="own", name="Clinique")
    return await people.add_account(
        session,
        clinic_id=clinic.id,
        username="anne.roy",
        password_hash="",
        roles=[Role.PROVIDER],
        given_name="Anne",
        family_name="Roy",
        email="anne.roy@relais.invalid",
        now=datetime.now(UTC),
    )


async def signed_document_in(session: AsyncSession) -> None:
    scene = await set_scene(session)
    row, now = await make_draft(session, scene), datetime.now(UTC)
    report = await reports.freeze_report(
        session,
        row.id,
        report_id=new_id(),
        kind=DocumentKind.FINAL,
        content={},
        signer_id=scene.person("provider").id,
        command_id="signed",
        proof_at=now,
        proof_method="password",
        now=now,
    )
    await reports.record_document(
        session, report.id, pdf_sha256="0" * 64, size_bytes=1, object_key="documents/one", signed_at=now
    )


async def known(settings: Settings) -> set[str]:
    async with Database.opened(settings) as database, database.session() as session:
        return {root.sha256 for root in await signing_roots(session)}


async def test_the_first_worker_makes_it_and_the_others_make_none(url: str, tmp_path: Path) -> None:
    first, second = host(url, tmp_path / "first"), host(url, tmp_path / "second")
    sha256 = (await authority_of(first)).root_sha256
    assert await known(first) == {sha256}
    with pytest.raises(OtherAuthorityError, match=f"{sha256}.*copy root.key.pem"):
        await authority_of(second)
    assert not (tmp_path / "second").exists()

    (tmp_path / "second").mkdir()
    for name in (ROOT_KEY, ROOT_CERTIFICATE):
        shutil.copy(tmp_path / "first" / name, tmp_path / "second" / name)
    assert (await authority_of(second)).root_sha256 == sha256
    assert (await authority_of(first)).root_sha256 == sha256
    assert await known(first) == {sha256}


async def test_of_two_first_workers_one_makes_it(url: str, tmp_path: Path) -> None:
    hosts = [host(url, tmp_path / str(number)) for number in range(4)]
    found = await asyncio.gather(*map(authority_of, hosts), return_exceptions=True)
    made = [one for one in found if isinstance(one, Authority)]
    assert len(made) == 1
    assert sum(isinstance(one, OtherAuthorityError) for one in found) == 3
    assert await known(hosts[0]) == {made[0].root_sha256}


async def test_one_that_was_made_elsewhere_signs_only_when_somebody_says_so(url: str, tmp_path: Path) -> None:
    """So it was before the records knew of authorities: each host made one of its own."""
    first, second = host(url, tmp_path / "first"), host(url, tmp_path / "second")
    other = Authority.open(KeyFolder(tmp_path / "second", SECRET.encode()))
    own = await authority_of(first)
    with pytest.raises(OtherAuthorityError, match="trust-authority"):
        await authority_of(second)
    assert await trust_own_authority(second) == other.root_sha256
    assert (await authority_of(second)).root_certificate_pem == other.root_certificate_pem
    assert await known(first) == {one.root_sha256 for one in (own, other)}
    assert (await authority_of(first)).root_certificate_pem == own.root_certificate_pem


async def test_who_has_signed_before_makes_no_new_authority(url: str, tmp_path: Path) -> None:
    """The first worker of a new version may come up beside an empty folder: then it is not where the keys are."""
    empty = host(url, tmp_path / "empty")
    async with Database.opened(empty) as database, database.session() as session:
        await signed_document_in(session)
    with pytest.raises(OtherAuthorityError, match="were signed here before"):
        await authority_of(empty)
    assert not (tmp_path / "empty").exists()
    assert await trust_own_authority(empty) in await known(empty)


async def test_what_people_signed_with_before_the_records_knew_is_revoked_too(url: str, tmp_path: Path) -> None:
    """And a list that was being made meanwhile does not come after the one that says so."""
    settings = host(url, tmp_path / "own")
    async with Database.opened(settings) as database, database.session() as session:
        signer = await somebody_in(session)
    held = Authority.open(KeyFolder(tmp_path / "own", SECRET.encode())).signer(
        signer.id, "Dre Anne Roy", "Clinique", "1"
    )
    Authority.open(KeyFolder(tmp_path / "own", SECRET.encode())).signer(new_id(), "Somebody else", "Clinique", "2")
    authority = await authority_of(settings)
    async with Database.opened(settings) as database:
        async with database.session() as session:
            await lock_signing_roots(session)
            listing = asyncio.create_task(publish_revocations(settings, database, authority))
            revoking = asyncio.create_task(revoke_signer(settings, signer.username, "key_compromise"))
        await asyncio.gather(listing, revoking)
        async with database.session() as session:
            [root] = await signing_roots(session)
    serial_number = held.signer.certificate.serial_number
    assert revoking.result().serial_numbers == (f"{serial_number:x}",)
    assert [one.serial_number for one in x509.load_der_x509_crl(root.revocation_list or b"")] == [serial_number]


async def test_revoking_holds_where_the_keys_do_not_open(url: str, tmp_path: Path) -> None:
    settings = host(url, tmp_path / "own")
    async with Database.opened(settings) as database, database.session() as session:
        signer = await somebody_in(session)
    Authority.open(KeyFolder(tmp_path / "own", SECRET.encode())).signer(signer.id, "Dre Anne Roy", "Clinique", "1")
    authority = await authority_of(settings)
    wrong = settings.model_copy(update={"authority_secret": SecretStr("another secret that is long enough")})
    revoked = await revoke_signer(wrong, signer.username, "key_compromise")
    assert (len(revoked.serial_numbers), revoked.unpublished) == (1, (authority.root_sha256,))
    again = await revoke_signer(wrong, signer.username, "key_compromise")
    assert again.serial_numbers == ()


async def test_revoking_holds_where_the_keys_go_meanwhile(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = host(url, tmp_path / "own")
    async with Database.opened(settings) as database, database.session() as session:
        signer = await somebody_in(session)
    Authority.open(KeyFolder(tmp_path / "own", SECRET.encode())).signer(signer.id, "Dre Anne Roy", "Clinique", "1")
    authority = await authority_of(settings)

    def gone(*_: object, **__: object) -> bytes:
        raise KeysAwayError("the token is not there")

    monkeypatch.setattr(Authority, "revocation_list", gone)
    revoked = await revoke_signer(settings, signer.username, "key_compromise")
    assert (len(revoked.serial_numbers), revoked.unpublished) == (1, (authority.root_sha256,))
    monkeypatch.undo()
    assert (await revoke_signer(settings, signer.username, "key_compromise")).serial_numbers == ()


async def test_without_the_folder_it_is_revoked_and_said_where_it_is_not_told_yet(url: str, tmp_path: Path) -> None:
    settings = host(url, tmp_path / "own")
    async with Database.opened(settings) as database, database.session() as session:
        signer = await somebody_in(session)
    Authority.open(KeyFolder(tmp_path / "own", SECRET.encode())).signer(signer.id, "Dre Anne Roy", "Clinique", "1")
    authority = await authority_of(settings)
    revoked = await revoke_signer(host(url, tmp_path / "elsewhere"), signer.username, "key_compromise")
    assert (len(revoked.serial_numbers), revoked.unpublished) == (1, (authority.root_sha256,))
