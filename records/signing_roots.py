"""The root certificates of the authorities that sign, or once signed, the documents of this installation.

They stand in the records so that every process knows the same ones, wherever it runs and whatever its own folder holds. So do
the certificates that people have signed with, and which of them are revoked.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from records.models import SigningCertificate, SigningRoot, StampingRoot


async def lock_signing_roots(session: AsyncSession) -> None:
    """Let those who would make an authority pass one after the other, each until the end of its transaction."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("signing roots", 0))))


async def signing_roots(session: AsyncSession) -> Sequence[SigningRoot]:
    """All of them, the newest first."""
    return (await session.scalars(select(SigningRoot).order_by(SigningRoot.since.desc(), SigningRoot.sha256))).all()


async def add_signing_root(session: AsyncSession, *, sha256: str, certificate: str, since: datetime) -> None:
    """From now on documents are signed under this certificate (PEM), too. One that is known stays as it is."""
    values = {"sha256": sha256, "certificate": certificate, "since": since}
    await session.execute(insert(SigningRoot).values(values).on_conflict_do_nothing())


async def stamping_roots(session: AsyncSession) -> Sequence[StampingRoot]:
    """All that vouch for time stamps from outside, or once did."""
    return (await session.scalars(select(StampingRoot).order_by(StampingRoot.sha256))).all()


async def add_stamping_root(session: AsyncSession, *, sha256: str, certificate: str, since: datetime) -> None:
    """From now on documents have time stamps that this certificate (PEM) vouches for. One that is known stays as it is."""
    values = {"sha256": sha256, "certificate": certificate, "since": since}
    await session.execute(insert(StampingRoot).values(values).on_conflict_do_nothing())


async def note_revocation_list(session: AsyncSession, sha256: str, revocation_list: bytes) -> None:
    """The newest list (DER) of what is revoked of that root."""
    await session.execute(
        update(SigningRoot).where(SigningRoot.sha256 == sha256).values(revocation_list=revocation_list)
    )


async def signing_root(session: AsyncSession, sha256: str) -> SigningRoot | None:
    """The one of that fingerprint."""
    return await session.get(SigningRoot, sha256)


async def note_responder(session: AsyncSession, sha256: str, certificate: bytes, sealed_key: str) -> None:
    """Who answers questions about the certificates of that root: the certificate (DER), and its key, sealed."""
    values = {"responder_certificate": certificate, "sealed_responder": sealed_key}
    await session.execute(update(SigningRoot).where(SigningRoot.sha256 == sha256).values(values))


# The certificates of signers


async def issued_certificate(session: AsyncSession, root_sha256: str, serial_number: int) -> SigningCertificate | None:
    """What is known of the certificate of that root and serial number."""
    return await session.get(SigningCertificate, (root_sha256, f"{serial_number:x}"))


async def note_certificate(
    session: AsyncSession, *, root_sha256: str, serial_number: int, signer_id: uuid.UUID | None, now: datetime
) -> SigningCertificate:
    """That root has issued a certificate: somebody has signed with it, or a clinic, or it stamps the time (`signer_id` is None).
    What is known of it already stays: also that it is revoked.
    """
    values = {
        "root_sha256": root_sha256,
        "serial_number": f"{serial_number:x}",
        "signer_id": signer_id,
        "since": now,
    }
    await session.execute(insert(SigningCertificate).values(values).on_conflict_do_nothing())
    key = (root_sha256, values["serial_number"])
    return await session.get_one(SigningCertificate, key, populate_existing=True, with_for_update=True)


async def revoke_certificates(
    session: AsyncSession, signer_id: uuid.UUID, *, reason: str, since: datetime
) -> Sequence[SigningCertificate]:
    """Revoke all that this person has signed with, as of that moment; gives what was not revoked before that moment already."""
    revoked_at = SigningCertificate.revoked_at
    revoked = (
        update(SigningCertificate)
        .where(SigningCertificate.signer_id == signer_id, or_(revoked_at.is_(None), revoked_at > since))
        .values(revoked_at=since, revocation_reason=reason)
        .returning(SigningCertificate)
    )
    return (await session.scalars(revoked)).all()


async def revoked_certificates(session: AsyncSession, root_sha256: str) -> Sequence[SigningCertificate]:
    """All that are revoked of that root."""
    query = select(SigningCertificate).where(
        SigningCertificate.root_sha256 == root_sha256, SigningCertificate.revoked_at.is_not(None)
    )
    return (await session.scalars(query)).all()


async def was_revoked(session: AsyncSession, serial_number: str, by: datetime) -> bool:
    """Whether the certificate with that serial number (hexadecimal), which is random enough to be one, was revoked when that
    moment came."""
    query = select(SigningCertificate.serial_number).where(
        SigningCertificate.serial_number == serial_number, SigningCertificate.revoked_at <= by
    )
    return await session.scalar(query.limit(1)) is not None
