"""Drafts that were never submitted: after a month that nobody touched them they go, a week after their writer was warned."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog

from domain.accounts import LetterKind
from domain.audit import Act
from domain.retention import DRAFTS_KEPT_FOR, DRAFTS_WARNED_BEFORE
from records import account_letters, audit, old_drafts, people, requests
from records.audit import By
from records.errors import NotEditableError, NotFoundError
from records.models import Side
from records.sealed import NOT_OPENED, tell_not_opened
from use_cases.account_letters import send
from use_cases.each import all_of_them
from use_cases.parts import PartsWithEngine

PAGE = 200

log = structlog.get_logger(__name__)


async def warn_and_remove(services: PartsWithEngine, now: datetime | None = None) -> int:
    """Warn the writers of drafts that go soon, one e-mail for all of somebody's, and remove those whose time is over; gives how
    many. A draft with which something is wrong keeps no other from its end: what it raises is raised when these are done, as is
    what the database or the store raises when it is away.
    """
    now = now or datetime.now(UTC)
    while await _warn(services, now) == PAGE:
        pass
    removed = 0
    last: UUID | None = None
    with all_of_them("a draft could not be removed") as each:
        while due := await _due(services, now, last):
            for request_id in due:
                with each(request_id):
                    removed += await _remove(services, request_id, now)
            last = due[-1]
    return removed


async def _warn(services: PartsWithEngine, now: datetime) -> int:
    """Warn of a page of drafts; gives how many drafts those were."""
    untouched_since = now - (DRAFTS_KEPT_FOR - DRAFTS_WARNED_BEFORE)
    async with services.database.session() as session:
        taken = await old_drafts.take_to_warn(
            session, untouched_since, now, again_after=DRAFTS_WARNED_BEFORE, limit=PAGE
        )
        writers = await people.accounts_by_id(session, set(taken))
        letters = [
            await account_letters.write_to(session, LetterKind.DRAFTS_END, account, now) for account in writers.values()
        ]
    await send(services, letters)
    return len(taken)


async def _due(services: PartsWithEngine, now: datetime, after: UUID | None) -> Sequence[UUID]:
    async with services.database.session() as session:
        return await old_drafts.to_remove(session, *_ends(now), limit=PAGE, after=after)


def _ends(now: datetime) -> tuple[datetime, datetime]:
    """Since when a draft lies untouched that is removed now, and before when its writer was told."""
    return now - DRAFTS_KEPT_FOR, now - DRAFTS_WARNED_BEFORE


async def _remove(services: PartsWithEngine, request_id: UUID, now: datetime) -> bool:
    """Remove one, unless somebody has just gone on with it."""
    async with services.database.session() as session:
        try:
            await requests.lock_request(session, request_id)
            if not await old_drafts.to_remove(session, *_ends(now), limit=1, only=request_id):
                return False
            unused = await requests.remove_draft(session, request_id, expected_version=None)
        except (NotFoundError, NotEditableError):
            return False
        except NOT_OPENED as error:
            tell_not_opened("requests.form", str(request_id), error)
            return False
        audit.add(session, Act.CHANGE, By(None, Side.SYSTEM), now, name="old_draft_removed", request_id=request_id)
    await services.store.delete(unused)
    log.info("a draft that nobody went on with was removed", request_id=str(request_id))
    return True
