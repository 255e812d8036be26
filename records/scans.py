"""Files that are to be scanned for viruses: whose turn it is, and what the scanner said of each.

A process that has a file in hand says so by letting its turn come later, again and again (`keep`). When it dies, the file's turn
comes, and another one takes it.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.scans import ScanState
from records.attachments import load_attachment
from records.models import Attachment
from records.requests import announce, lock_request
from records.sealed import unread


@dataclass(frozen=True)
class Verdict:
    """What is known of a file: `finding` is what was found, or why it could not be scanned (`domain.scans.WhyNotScanned`)."""

    state: ScanState
    at: datetime
    engine: str | None = None
    finding: str | None = None


async def take(session: AsyncSession, now: datetime, until: datetime, most: int) -> Sequence[Attachment]:
    """Take at most so many files in hand whose turn it is, until that moment; the oldest first. Nobody waits for anybody."""
    due = (
        select(Attachment.id)
        .where(Attachment.scan == ScanState.PENDING, Attachment.scan_due_at <= now)
        .order_by(Attachment.scan_due_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    ids = (await session.scalars(due)).all()
    if not ids:
        return ()
    await keep(session, ids, until)
    found = select(Attachment).where(Attachment.id.in_(ids)).options(*unread(Attachment))
    return (await session.scalars(found)).all()


async def keep(session: AsyncSession, ids: Collection[uuid.UUID], until: datetime) -> None:
    """Have these in hand until then."""
    those = and_(Attachment.id.in_(ids), Attachment.scan == ScanState.PENDING)
    await session.execute(update(Attachment).where(those).values(scan_due_at=until))


async def let_go(session: AsyncSession, id_: uuid.UUID, due: datetime, *, failed: bool) -> None:
    """It is scanned again from that moment on. `failed`: its scan did, and not for want of a scanner."""
    tries = {"scan_tries": Attachment.scan_tries + 1} if failed else {}
    one = update(Attachment).where(Attachment.id == id_, Attachment.scan == ScanState.PENDING)
    await session.execute(one.values(scan_due_at=due, **tries))


async def note(session: AsyncSession, scanned: Attachment, verdict: Verdict) -> Sequence[str] | None:
    """Write down what became of a file; the keys of what is nobody's any more, which is all of an infected one.

    None when somebody else did, or it was removed, or is another one by now. Pages that show the request hear of it. Raises
    NotFoundError where the request is gone.
    """
    row = await lock_request(session, scanned.request_id)
    attachment = await load_attachment(session, scanned.request_id, scanned.id)
    if attachment is None or attachment.uploaded_at != scanned.uploaded_at or attachment.scan is not scanned.scan:
        return None
    unused = attachment.keys if verdict.state is ScanState.INFECTED else []
    attachment.scan, attachment.scan_due_at, attachment.scan_tries = verdict.state, None, 0
    attachment.scanned_at, attachment.scan_engine = verdict.at, verdict.engine
    attachment.scan_finding = verdict.finding
    if verdict.state is ScanState.INFECTED:
        attachment.preview_key = attachment.thumbnail_key = attachment.full_key = attachment.playable_key = None
        attachment.page_keys = []
    await session.flush()
    await announce(session, row)
    return unused


@dataclass(frozen=True)
class Standing:
    """How many files wait for the scanner and since when, and how many were infected."""

    waiting: int
    since: datetime | None
    infected: int


async def standing(session: AsyncSession) -> Standing:
    """How it stands now."""
    by_state = dict(
        (await session.execute(select(Attachment.scan, func.count()).where(_TOLD).group_by(Attachment.scan))).all()
    )
    since = await session.scalar(
        select(func.min(Attachment.uploaded_at)).where(_TOLD, Attachment.scan == ScanState.PENDING)
    )
    return Standing(by_state.get(ScanState.PENDING, 0), since, by_state.get(ScanState.INFECTED, 0))


async def not_scanned(
    session: AsyncSession, *, after: uuid.UUID | None, limit: int, again: bool
) -> Sequence[Attachment]:
    """A page of the files that nobody has scanned, in the order of their ids.

    With `again` also those of which the scanner could say nothing.
    """
    found = select(Attachment).where(Attachment.scan == ScanState.NOT_SCANNED).order_by(Attachment.id)
    if not again:
        found = found.where(Attachment.scan_finding.is_(None))
    if after is not None:
        found = found.where(Attachment.id > after)
    return (await session.scalars(found.limit(limit).options(*unread(Attachment)))).all()


_TOLD = Attachment.scan.in_((ScanState.PENDING, ScanState.INFECTED))
