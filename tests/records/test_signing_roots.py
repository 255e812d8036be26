"""Which authority a worker signs with: the installation's, on whichever host; none makes another that nobody would know."""

import asyncio
import shutil
from pathlib import Path

import pytest

from documents.authority import ROOT_CERTIFICATE, ROOT_KEY, Authority
from records.database import Database
from records.signing_roots import signing_roots
from settings import Settings
from tests.conftest import MakeDatabase
from use_cases.signing_roots import (
    OtherAuthorityError,
    authority_to_sign_with,
    fingerprint_of,
    trust_own_authority,
)

SECRET = "what locks the keys of all hosts"


@pytest.fixture
async def url(make_database: MakeDatabase, migrated_template: str) -> str:
    """An installation of its own."""
    return await make_database(migrated_template)


def host(url: str, folder: Path) -> Settings:
    """The settings of a worker on a host of its own."""
    return Settings(database_url=url, authority_dir=folder, authority_secret=SECRET)


async def authority_of(settings: Settings) -> Authority:
    async with Database.opened(settings) as database:
        return await authority_to_sign_with(settings, database)


async def known(settings: Settings) -> set[str]:
    async with Database.opened(settings) as database, database.session() as session:
        return {root.sha256 for root in await signing_roots(session)}


async def test_the_first_worker_makes_it_and_the_others_make_none(url: str, tmp_path: Path) -> None:
    first, second = host(url, tmp_path / "first"), host(url, tmp_path / "second")
    sha256 = fingerprint_of((await authority_of(first)).root_certificate_pem)
    assert await known(first) == {sha256}
    with pytest.raises(OtherAuthorityError, match=f"{sha256}.*copy root.key.pem"):
        await authority_of(second)
    assert not (tmp_path / "second").exists()

    (tmp_path / "second").mkdir()
    for name in (ROOT_KEY, ROOT_CERTIFICATE):
        shutil.copy(tmp_path / "first" / name, tmp_path / "second" / name)
    assert fingerprint_of((await authority_of(second)).root_certificate_pem) == sha256
    assert fingerprint_of((await authority_of(first)).root_certificate_pem) == sha256
    assert await known(first) == {sha256}


async def test_of_two_first_workers_one_makes_it(url: str, tmp_path: Path) -> None:
    hosts = [host(url, tmp_path / str(number)) for number in range(4)]
    found = await asyncio.gather(*map(authority_of, hosts), return_exceptions=True)
    made = [one for one in found if isinstance(one, Authority)]
    assert len(made) == 1
    assert sum(isinstance(one, OtherAuthorityError) for one in found) == 3
    assert await known(hosts[0]) == {fingerprint_of(made[0].root_certificate_pem)}


async def test_one_that_was_made_elsewhere_signs_only_when_somebody_says_so(url: str, tmp_path: Path) -> None:
    """So it was before the records knew of authorities: each host made one of its own."""
    first, second = host(url, tmp_path / "first"), host(url, tmp_path / "second")
    other = Authority.open(tmp_path / "second", SECRET.encode())
    own = await authority_of(first)
    with pytest.raises(OtherAuthorityError, match="trust-authority"):
        await authority_of(second)
    assert await trust_own_authority(second) == fingerprint_of(other.root_certificate_pem)
    assert (await authority_of(second)).root_certificate_pem == other.root_certificate_pem
    assert await known(first) == {fingerprint_of(one.root_certificate_pem) for one in (own, other)}
    assert (await authority_of(first)).root_certificate_pem == own.root_certificate_pem
