"""What nobody needs any more is removed: what crashes left in the document store, and what is left of sessions that ended.

What no record names may hold patients' data: signed documents of a try that was not the one, photos whose upload broke off,
parts of uploads, files never whole. Nothing younger than `AGE` is touched: what is stored is named within seconds, or at most a
day later where signing is tried again. It is removed under the lock under which the records name it, so not even a process that
stood still for longer loses what it is about to record. Bearer tokens go when they have been of no effect for as long, counts of
wrong passwords when they count no more, access tokens of systems when they have ended, devices when nobody has signed in there
for longer than a browser remembers, links and e-mails about accounts once they are over, invitations and
what webhooks said and what the feed of changes tells a month later, messages of partners that became no request after three.
Journals of accesses and papers of registers are taken along as they are made: no record names one, so that they go as well.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from activities.contract import SweepReport
from domain import changes as feed
from domain import messages
from domain.accounts import INVITATIONS_SHOWN_FOR
from domain.webhooks import KEPT_FOR
from records import (
    account_letters,
    changes,
    guesses,
    one_time_links,
    partners,
    passkeys,
    people,
    phone_links,
    service_keys,
    sign_on,
    subscriptions,
    upkeep,
    uploads,
    used_keys,
    webhooks,
)
from records.database import Database
from records.errors import NotFoundError
from records.requests import lock_request
from records.sealed import NOT_OPENED
from records.store import DocumentStore
from use_cases.guessing import DEVICE_IS_KNOWN_FOR
from use_cases.used_keys import KEPT_FOR as KEYS_KEPT_FOR

AGE = timedelta(days=7)
"""Long enough, too, to notice that a database was restored from a backup that is older than the store."""

FOLDERS = ("documents", "attachments", "uploads", "messages", "journals", "registers")
PAGE = 500

log = structlog.get_logger(__name__)


class Services(Protocol):
    """What the sweep works with."""

    @property
    def database(self) -> Database: ...
    @property
    def store(self) -> DocumentStore: ...


async def sweep(
    services: Services, *, older_than: timedelta = AGE, dry_run: bool = False, now: datetime | None = None
) -> SweepReport:
    """Remove what nothing names any more. With `dry_run` nothing is removed, and what would be is counted; both as of `now`.

    Raises StoreError or what the database raises when either is away; what was removed until then was rightly so.
    """
    now = now or datetime.now(UTC)
    before = now - older_than
    swept: dict[str, int] = {}
    for folder in FOLDERS:
        swept[folder] = 0
        async for keys in services.store.list_older(folder, before, PAGE):
            swept[folder] += await _remove_unnamed(services, keys, dry_run)
    swept["incoming"] = await services.store.sweep_incoming(before, dry_run=dry_run)
    swept["expired uploads"] = await _expired(services, now, dry_run)
    swept |= await _ended_sessions(services, now, before, dry_run)
    if any(swept.values()):
        log.info("swept", count=sum(swept.values()), status="found" if dry_run else "removed")
    return SweepReport(removed=swept)


async def _remove_unnamed(services: Services, keys: Sequence[str], dry_run: bool) -> int:
    async with services.database.session() as session:
        unnamed = sorted(set(keys) - await upkeep.named_objects(session, keys))
    if dry_run:
        return len(unnamed)
    return sum([await _remove(services, key) for key in unnamed])


async def _remove(services: Services, key: str) -> bool:
    """Remove an object, unless it was named meanwhile; for as long as we look, nobody can name it."""
    async with services.database.session() as session:
        request_id = upkeep.request_of(key)
        if request_id is not None:
            await _lock_if_there(session, request_id)
        if await upkeep.named_objects(session, [key]):
            return False
        await services.store.delete([key])
    log.info("an object that no record names was removed", name=key)
    return True


async def _lock_if_there(session: AsyncSession, request_id: UUID) -> None:
    with suppress(NotFoundError, *NOT_OPENED):  # what does not open is locked all the same
        await lock_request(session, request_id)


async def _expired(services: Services, now: datetime, dry_run: bool) -> int:
    if dry_run:
        async with services.database.session() as session:
            return len(await uploads.expired_uploads(session, now, limit=PAGE))
    removed = count = await expire_uploads(services, PAGE, now)
    while count == PAGE:
        removed += (count := await expire_uploads(services, PAGE, now))
    return removed


async def _ended_sessions(services: Services, now: datetime, before: datetime, dry_run: bool) -> dict[str, int]:
    told = 0
    if not dry_run:
        await _removed_subscriptions(services)
        told = await _told(services, now - KEPT_FOR)
    async with services.database.session() as session:
        ended = {
            "expired tokens": await people.forget_expired_tokens(session, before),
            "old links of telephones": await phone_links.forget_links(session, before),
            "old failed logins": await people.forget_failed_logins(session, before),
            "wrong passwords": await guesses.forget_guesses(session, now),
            "tickets for signatures": await sign_on.forget_tickets(session, now),
            "unanswered sign-ins": await sign_on.forget_attempts(session, now),
            "ends of sessions elsewhere": await sign_on.forget_logouts(session, now),
            "unanswered challenges": await passkeys.forget_challenges(session, now),
            "unused devices": await guesses.forget_devices(session, now - DEVICE_IS_KNOWN_FOR),
            "ended tokens of systems": await service_keys.forget_ended(session, now),
            "old asks for a new password": await one_time_links.forget_asks(session, before),
            "old ways to a new password": await one_time_links.forget_resets(session, before),
            "old invitations": await one_time_links.forget_invitations(session, now - INVITATIONS_SHOWN_FOR),
            "old e-mails about accounts": await account_letters.forget_letters(session, before),
            "used idempotency keys": await used_keys.forget(session, now - KEYS_KEPT_FOR),
            "old changes of requests": await changes.forget(session, now - feed.KEPT_FOR),
            "old messages of partners": await partners.forget(session, now - messages.KEPT_FOR),
            **await webhooks.forget(session, now - KEPT_FOR),
        }
        if dry_run:
            await session.rollback()
    ended["what old webhooks said"] += told
    return ended


async def _removed_subscriptions(services: Services) -> None:
    """What is left of Subscriptions that their systems have removed, some at a time."""
    gone = 1
    while gone:
        async with services.database.session() as session:
            gone = await subscriptions.forget_removed(session, PAGE)


async def _told(services: Services, before: datetime) -> int:
    """What webhooks said, some at a time: in the first night after version 0067 all of it that was kept too long."""
    count, gone = 0, PAGE
    while gone == PAGE:
        async with services.database.session() as session:
            count += (gone := await webhooks.forget_told(session, before, PAGE))
    return count


async def expire_uploads(services: Services, limit: int, now: datetime | None = None) -> int:
    """Remove uploads that nobody had gone on with by `now`, with their parts; gives how many."""
    async with services.database.session() as session:
        expired = await uploads.expired_uploads(session, now or datetime.now(UTC), limit=limit)
    for upload_id in expired:
        await end_upload(services, upload_id)
    return len(expired)


async def end_upload(services: Services, upload_id: UUID) -> None:
    """End the upload first, then remove its parts, its row last: whatever dies in between, the next sweep goes on."""
    async with services.database.session() as session:
        await uploads.end_upload(session, upload_id, datetime.now(UTC))
    await services.store.delete_folder(uploads.parts_folder(upload_id))
    async with services.database.session() as session:
        await uploads.forget_upload(session, upload_id, datetime.now(UTC))
