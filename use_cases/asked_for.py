"""What somebody asked for, and can't go on with any more: who took the role from them, or closed their account, is answered how
much that is, and the other administrators of their clinic are told.

What is asked of them later is told to the administrators as it comes (`Recipient.REQUESTER_COVER`).
"""

from datetime import datetime
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.accounts import LetterKind
from domain.requests import Role
from records import account_letters, asked_for, people
from records.models import Account
from records.visibility import Viewer
from use_cases.views import View


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
        stands_still=found.concerns_others and not can_ask(account),
    )


def can_ask(account: Account) -> bool:
    """Whether the account's person comes in, and is a requester."""
    return account.active and Role.REQUESTER in account.roles


async def tell_others(session: AsyncSession, account: Account, by: UUID | None, now: datetime) -> list[UUID]:
    """The e-mails that tell the administrators of its clinic, but who did it, that the account's person can't go on with what
    they asked for; to each who may see anything of it.
    """
    clinic_id, role, letters = account.clinic_id, Role.CLINIC_ADMINISTRATOR, list[UUID]()
    for one in await people.list_accounts(session, clinic_id=clinic_id, role=role):
        if one.id in (by, account.id):
            continue
        seen = await asked_for.asked_for_by(session, account.id, Viewer(one.id, clinic_id, frozenset({role})))
        if seen.concerns_others:
            letters.append(await account_letters.write_about(session, LetterKind.ASKED_FOR, one, account.id, now))
    return letters
