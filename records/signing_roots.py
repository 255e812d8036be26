"""The root certificates of the authorities that sign, or once signed, the documents of this installation.

They stand in the records so that every process knows the same ones, wherever it runs and whatever its own folder holds.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from records.models import SigningRoot


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
