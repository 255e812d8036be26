"""What somebody asked for, and can't go on with any more: who took the role from them, or closed their account, is answered how
much that is, and the other administrators of their clinic are told.

What is asked of them later is told to the administrators as it comes (`Recipient.REQUESTER_COVER`).
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import structlog
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import LetterKind
from records import account_letters, asked_for
from records.models import Account
from records.visibility import Viewer
from use_cases.views import View

log = structlog.get_logger(__name__)

MOST_TOLD_OF = 50
"""Of so many people at the most it is told who lose the role at once, by a group of a directory: an e-mail each."""


class AskedForView(View):
    """Requests that somebody asked for, without what is shut to who looks."""

    open: int = Field(description="Submitted, and not over.")
    waiting: int = Field(description="Of these, those that wait for them: returned, with a question, or with a report.")
    unread: int = Field(description="With a report that they have not read; others of the clinic see it after a while.")
    drafts: int = Field(description="Not submitted yet; nobody else sees them.")
    stands_still: bool = Field(
        description="They are no requester any more, or do not come in, and something is open or unread: nobody else answers or "
        "submits again for them."
    )


async def view_of(session: AsyncSession, account: Account, viewer: Viewer | None) -> AskedForView:
    """What the account asked for, for who looks; None for whoever is at the machine."""
    found = await asked_for.asked_for_by(session, account.id, viewer)
    return AskedForView(
        open=found.open,
        waiting=found.waiting,
        unread=found.unread,
        drafts=found.drafts,
        stands_still=found.concerns_others and not asked_for.can_ask(account),
    )


async def tell_others(
    session: AsyncSession, accounts: Collection[Account], by: UUID | None, now: datetime
) -> list[UUID]:
    """The e-mails that tell the administrators of their clinic, but who did it, that the people of these accounts can't go on
    with what they asked for; to each who may see anything of it. Of no more than `MOST_TOLD_OF` at once.
    """
    leaving = await asked_for.who_leave_something(session, [one.id for one in accounts])
    of_whom = [one for one in accounts if one.id in leaving]
    if len(of_whom) > MOST_TOLD_OF:
        log.error("of some it is not told what they asked for", count=len(of_whom) - MOST_TOLD_OF)
    letters = list[UUID]()
    for account in of_whom[:MOST_TOLD_OF]:
        told = [one for one in await asked_for.administrators_who_see(session, account) if one.id != account.id]
        if not told:
            log.error("nobody can be told of what somebody asked for who is gone", account_id=str(account.id))
        letters += [
            await account_letters.write_about(session, LetterKind.ASKED_FOR, one, account.id, now)
            for one in told
            if one.id != by
        ]
    return letters
