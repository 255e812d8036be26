"""Which authorities sign here, and how a process comes to the one that it signs with.

The first worker of an installation makes an authority. From then on its root certificate stands in the records, so the APIs
need no folder to check a document, and a worker on another host signs with the same authority or not at all: it makes none of
its own, which nobody would know.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy.ext.asyncio import AsyncSession

from documents.authority import ROOT_CERTIFICATE, Authority, NoAuthorityError
from records import signing_roots
from records.database import Database
from settings import Settings, SettingsError
from use_cases.problems import Problem
from use_cases.services import Services


class OtherAuthorityError(Exception):
    """The folder's authority is not one that this installation signs with. The text says what to do."""


@dataclass(frozen=True)
class Root:
    """A root certificate that documents of this installation are checked against. `sha256` is its fingerprint, in hexadecimal."""

    sha256: str
    name: str
    valid_from: datetime
    valid_until: datetime
    since: datetime
    pem: str

    @property
    def der(self) -> bytes:
        """The certificate in the form that most programs open with a double click."""
        return x509.load_pem_x509_certificate(self.pem.encode()).public_bytes(Encoding.DER)


async def authority_to_sign_with(settings: Settings, database: Database) -> Authority:
    """The authority of the settings' folder, if it is one of this installation's; the very first worker makes it.

    Raises OtherAuthorityError, WrongSecretError, and SettingsError when the settings do not say what locks the keys.
    """
    async with database.session() as session:
        await signing_roots.lock_signing_roots(session)
        known = {root.sha256 for root in await signing_roots.signing_roots(session)}
        try:
            authority = await asyncio.to_thread(_open, settings, may_make=not known)
        except NoAuthorityError:
            raise OtherAuthorityError(_NOT_HERE.format(folder=settings.authority_path, known=_named(known))) from None
        if known and fingerprint_of(authority.root_certificate_pem) not in known:
            raise OtherAuthorityError(_ANOTHER.format(folder=settings.authority_path, known=_named(known)))
        await _add(session, authority.root_certificate_pem)
    return authority


async def trust_own_authority(settings: Settings) -> str:
    """Let this installation sign with the authority of the settings' folder too, and make it if there is none; its fingerprint.

    Raises as `authority_to_sign_with` does, but for what this is for.
    """
    async with Database.opened(settings) as database, database.session() as session:
        await signing_roots.lock_signing_roots(session)
        authority = await asyncio.to_thread(_open, settings, may_make=True)
        return await _add(session, authority.root_certificate_pem)


async def known_roots(services: Services) -> list[Root]:
    """All that documents of this installation are checked against, the newest first.

    Before a worker of this version has been there, what lies in the folder of the settings, if anything does.
    """
    async with services.database.statement() as session:
        found = await signing_roots.signing_roots(session)
    if found:
        return [_root(root.certificate, root.since) for root in found]
    return await asyncio.to_thread(_in_the_folder, services.settings)


async def root_of(services: Services, sha256: str) -> Root:
    """The root certificate with that fingerprint. Raises Problem `not_found`."""
    for root in await known_roots(services):
        if root.sha256 == sha256.lower():
            return root
    raise Problem("not_found")


def fingerprint_of(pem: bytes) -> str:
    """The SHA-256 of a certificate, in lower-case hexadecimal."""
    return x509.load_pem_x509_certificate(pem).fingerprint(SHA256()).hex()


def _open(settings: Settings, *, may_make: bool) -> Authority:
    if settings.authority_secret is None:
        raise SettingsError(
            "RELAIS_AUTHORITY_SECRET is not set: choose a long random text and keep it as long as the keys"
        )
    secret = settings.authority_secret.get_secret_value().encode()
    return Authority.open(settings.authority_path, secret, may_make=may_make)


async def _add(session: AsyncSession, pem: bytes) -> str:
    sha256 = fingerprint_of(pem)
    await signing_roots.add_signing_root(session, sha256=sha256, certificate=pem.decode(), since=datetime.now(UTC))
    return sha256


def _in_the_folder(settings: Settings) -> list[Root]:
    try:
        pem = (settings.authority_path / ROOT_CERTIFICATE).read_text()
    except FileNotFoundError:
        return []
    return [_root(pem, x509.load_pem_x509_certificate(pem.encode()).not_valid_before_utc)]


def _root(pem: str, since: datetime) -> Root:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Root(
        sha256=certificate.fingerprint(SHA256()).hex(),
        name=str(names[0].value) if names else certificate.subject.rfc4514_string(),
        valid_from=certificate.not_valid_before_utc,
        valid_until=certificate.not_valid_after_utc,
        since=since,
        pem=pem,
    )


def _named(known: set[str]) -> str:
    return " or ".join(sorted(known))


_NOT_HERE = (
    "{folder} holds no signing authority, and this installation signs with the one of the fingerprint {known}: copy root.key.pem "
    "and root.cert.pem there from the host that has them (RELAIS_AUTHORITY_DIR). If its keys are lost, `relais "
    "trust-authority` makes another one; what was signed before can still be checked."
)
_ANOTHER = (
    "{folder} holds another signing authority than the one that this installation signs with, of the fingerprint {known}: put "
    "root.key.pem and root.cert.pem of that one there (RELAIS_AUTHORITY_DIR), or let this installation sign with both: "
    "`relais trust-authority`."
)
