"""Which authorities sign here, and how a process comes to the one that it signs with.

The first worker of an installation makes an authority. From then on its root certificate stands in the records, so the APIs
need no folder to check a document, and a worker on another host signs with the same authority or not at all: it makes none of
its own, which nobody would know.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy.ext.asyncio import AsyncSession

from activities.reports import revocations
from documents.authority import Authority, NoAuthorityError, Reason
from documents.bounded import check_pdf
from documents.key_folder import ROOT_CERTIFICATE, KeyFolder
from documents.key_places import key_place
from documents.keys import ROOT, KeysAwayError, WrongSecretError
from documents.keys_thread import of_the_keys
from documents.stamp_service import stamp_service
from documents.verification import Verification
from records import people, reports, signing_roots
from records.database import Database
from settings import Settings, SettingsError
from use_cases.certificate_status import renew_responder
from use_cases.problems import Problem
from use_cases.services import Services

log = structlog.get_logger(__name__)

LIST_HOLDS_FOR = timedelta(days=30)
"""A list of what is revoked is made anew each day, and believed for so long."""


class OtherAuthorityError(Exception):
    """The folder's authority is not one that this installation signs with. The text says what to do."""


class UnknownSignerError(Exception):
    """Nobody has that name."""


@dataclass(frozen=True)
class Revoked:
    """The serial numbers (hexadecimal) of certificates that were revoked, and the roots whose lists don't say so yet."""

    serial_numbers: tuple[str, ...]
    unpublished: tuple[str, ...]


@dataclass(frozen=True)
class Root:
    """A root certificate that documents of this installation are checked against. `sha256` is its fingerprint, in hexadecimal."""

    sha256: str
    name: str
    valid_from: datetime
    valid_until: datetime
    since: datetime
    pem: str
    revocation_list: bytes | None
    """The newest list (DER) of certificates that are revoked, where there is one."""

    @property
    def der(self) -> bytes:
        """The certificate in the form that most programs open with a double click."""
        return x509.load_pem_x509_certificate(self.pem.encode()).public_bytes(Encoding.DER)


async def authority_to_sign_with(settings: Settings, database: Database) -> Authority:
    """The authority of the settings' folder or token, if it is one of this installation's; the very first worker makes it.

    Raises OtherAuthorityError, WrongSecretError, KeysAwayError, NoAuthorityError when what lies there is but half a root, and
    SettingsError when the settings do not say what locks them.
    """
    await of_the_keys(partial(_look, settings))  # a token that hangs must not do so with the roots locked
    async with database.session() as session:
        await signing_roots.lock_signing_roots(session)
        known = {root.sha256 for root in await signing_roots.signing_roots(session)}
        may_make = not known and not await reports.are_there_documents(session)
        try:
            authority = await of_the_keys(partial(_open, settings, may_make=may_make))
        except NoAuthorityError:
            if may_make:
                raise
            raise OtherAuthorityError(_told(settings, _NOT_HERE if known else _LOST, known)) from None
        if known and authority.root_sha256 not in known:
            raise OtherAuthorityError(_told(settings, _ANOTHER, known))
        await _add(settings, session, authority)
    return authority


async def trust_own_authority(settings: Settings) -> str:
    """Let this installation sign with the authority of the settings' folder or token too, and make it if there is none; its
    fingerprint.

    Raises as `authority_to_sign_with` does, but for what this is for.
    """
    async with Database.opened(settings) as database, database.session() as session:
        await signing_roots.lock_signing_roots(session)
        authority = await of_the_keys(partial(_open, settings, may_make=True))
        await _add(settings, session, authority)
        return authority.root_sha256


async def publish_revocations(settings: Settings, database: Database, authority: Authority) -> None:
    """Make the list of what is revoked anew, and give who answers questions a new key, before the last ones are too old."""
    async with database.session() as session:
        await signing_roots.lock_signing_roots(session)
        await _note_stamps(session, authority)
        await _publish(session, authority)
        await renew_responder(settings, session, authority)


async def revoke_signer(settings: Settings, username: str, reason: Reason, *, since: datetime | None = None) -> Revoked:
    """Let no document hold that is stamped from now on, or from `since` on, with what this person has signed with until now;
    their next signature has another key. What they have signed before still holds.

    Our own checks know it at once, whatever becomes of the rest. The list for others is published here for the authority whose
    folder or token is here, and within the day by the workers that have the others'. Raises UnknownSignerError.
    """
    # Stamps tell whole seconds: what is stamped in this one was signed before.
    moment = since or datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    async with Database.opened(settings) as database:
        async with database.session() as session:
            await signing_roots.lock_signing_roots(session)
            account = await people.find_account(session, username)
            if account is None:
                raise UnknownSignerError(f"There is no account {username}.")
            revoke = partial(signing_roots.revoke_certificates, signer_id=account.id, reason=reason, since=moment)
            revoked = [*await revoke(session)]
        here = None
        try:
            authority = await of_the_keys(partial(_open, settings, may_make=False))
            async with database.session() as session:
                await signing_roots.lock_signing_roots(session)
                await _note_certificates(session, authority)
                only_now_known = await revoke(session)
                await _publish(session, authority)
            revoked.extend(only_now_known)
            here = authority.root_sha256
        except (NoAuthorityError, KeysAwayError, WrongSecretError, SettingsError) as error:
            log.warning("what is revoked is not published here: the keys can't be had", error=str(error))
    elsewhere = {one.root_sha256 for one in revoked} - {here}
    return Revoked(tuple(one.serial_number for one in revoked), tuple(sorted(elsewhere)))


async def known_roots(services: Services) -> list[Root]:
    """All that documents of this installation are checked against, the newest first.

    Before a worker of this version has been there, what lies in the folder of the settings, if anything does.
    """
    async with services.database.statement() as session:
        found = await signing_roots.signing_roots(session)
    if found:
        return [_root(root.certificate, root.since, root.revocation_list) for root in found]
    return await asyncio.to_thread(_in_the_folder, services.settings)


async def root_of(services: Services, sha256: str) -> Root:
    """The root certificate with that fingerprint. Raises Problem `not_found`."""
    for root in await known_roots(services):
        if root.sha256 == sha256.lower():
            return root
    raise Problem("not_found")


async def checked(services: Services, pdf: bytes, at: datetime) -> Verification:
    """The verdict on a file, with what is in it, the roots that are known here, and what is revoked of them.

    Raises NoVerdictError (`confined`), and Problem `no_authority_yet` while none is known.
    """
    roots = await known_roots(services)
    if not roots:
        raise Problem("no_authority_yet", retry_after=10)
    async with services.database.statement() as session:
        stamping = await signing_roots.stamping_roots(session)
    verdict = await check_pdf(
        pdf,
        [root.pem.encode() for root in roots],
        at=at,
        stamp_roots=[root.certificate.encode() for root in stamping],
    )
    if verdict.certificate is None or verdict.stamped_at is None or "revoked" in verdict.problems:
        return verdict
    async with services.database.statement() as session:
        if not await signing_roots.was_revoked(session, verdict.certificate.serial_number, verdict.stamped_at):
            return verdict
    return verdict.model_copy(update={"problems": (*verdict.problems, "revoked")})


def _look(settings: Settings) -> None:
    key_place(settings).keys().certificate(ROOT)


def _open(settings: Settings, *, may_make: bool) -> Authority:
    lists_at = f"{settings.public_url.rstrip('/')}/api/v1/signing-roots"
    return Authority.open(key_place(settings), may_make=may_make, lists_at=lists_at, stamped_by=stamp_service(settings))


async def _add(settings: Settings, session: AsyncSession, authority: Authority) -> None:
    await signing_roots.add_signing_root(
        session,
        sha256=authority.root_sha256,
        certificate=authority.root_certificate_pem.decode(),
        since=datetime.now(UTC),
    )
    for certificate in authority.stamped_by.certificates if authority.stamped_by else ():
        loaded = x509.load_der_x509_certificate(certificate)
        await signing_roots.add_stamping_root(
            session,
            sha256=loaded.fingerprint(SHA256()).hex(),
            certificate=loaded.public_bytes(Encoding.PEM).decode(),
            since=datetime.now(UTC),
        )
    await _note_certificates(session, authority)
    await _note_stamps(session, authority)
    await _publish(session, authority)
    await renew_responder(settings, session, authority)


async def _note_certificates(session: AsyncSession, authority: Authority) -> None:
    """The records know what people sign with and clinics seal with, also who has not since they know of certificates."""
    held = await of_the_keys(authority.certificates)
    accounts = await people.accounts_by_id(session, held)
    for signer_id, certificate in held.items():
        await _note(session, authority, certificate, signer_id if signer_id in accounts else None)


async def _note_stamps(session: AsyncSession, authority: Authority) -> None:
    await _note(session, authority, await of_the_keys(authority.stamps_certificate), None)


async def _note(
    session: AsyncSession, authority: Authority, certificate: x509.Certificate, signer_id: UUID | None
) -> None:
    await signing_roots.note_certificate(
        session,
        root_sha256=authority.root_sha256,
        serial_number=certificate.serial_number,
        signer_id=signer_id,
        now=datetime.now(UTC),
    )


async def _publish(session: AsyncSession, authority: Authority) -> None:
    """With the roots locked: an older list must not come after a newer one."""
    revoked = await revocations(session, authority)
    until = datetime.now(UTC) + LIST_HOLDS_FOR
    made = await of_the_keys(partial(authority.revocation_list, revoked, until=until))
    await signing_roots.note_revocation_list(session, authority.root_sha256, made)


def _in_the_folder(settings: Settings) -> list[Root]:
    try:
        pem = (settings.authority_path / ROOT_CERTIFICATE).read_text()
    except FileNotFoundError:
        return []
    return [_root(pem, x509.load_pem_x509_certificate(pem.encode()).not_valid_before_utc)]


def _root(pem: str, since: datetime, revocation_list: bytes | None = None) -> Root:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Root(
        sha256=certificate.fingerprint(SHA256()).hex(),
        name=str(names[0].value) if names else certificate.subject.rfc4514_string(),
        valid_from=certificate.not_valid_before_utc,
        valid_until=certificate.not_valid_after_utc,
        since=since,
        pem=pem,
        revocation_list=revocation_list,
    )


def _told(settings: Settings, sentence: str, known: set[str]) -> str:
    place = key_place(settings)
    what_to_do = _IN_A_FOLDER if isinstance(place, KeyFolder) else _IN_AN_HSM
    return f"{sentence.format(place=place, known=' or '.join(sorted(known)))}: {what_to_do}"


_NOT_HERE = "{place} holds no signing authority, and this installation signs with the one of the fingerprint {known}"
_LOST = "{place} holds no signing authority, and documents were signed here before"
_ANOTHER = (
    "{place} holds another signing authority than the one that this installation signs with, of the fingerprint {known}"
)
_IN_A_FOLDER = (
    "copy root.key.pem and root.cert.pem there from the host that has them (RELAIS_AUTHORITY_DIR). If its keys are lost, or to "
    "sign with this authority too: `relais trust-authority`; what was signed before can still be checked."
)
_IN_AN_HSM = (
    "name the token that has it (RELAIS_PKCS11_TOKEN, RELAIS_PKCS11_SERIAL), or begin to sign with an authority of this token: "
    "`relais trust-authority`; what was signed before can still be checked."
)
