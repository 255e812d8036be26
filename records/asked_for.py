"""What somebody asked for, and whether they can go on with it: who is no requester any more, or does not come in, can't."""

import uuid
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import Role, Status
from records.models import Account, RequestRecord
from records.visibility import Viewer, is_open_to

_OPEN = [status for status in Status if status.is_open]


@dataclass(frozen=True)
class AskedFor:
    """Requests of one requester: those under way, of these the ones that wait for them, those of which a report lies unread, and
    drafts.
    """

    open: int = 0
    waiting: int = 0
    unread: int = 0
    drafts: int = 0

    @property
    def concerns_others(self) -> bool:
        """Whether anything is left to others where its requester can't go on: a draft is nobody else's."""
        return bool(self.open or self.unread)


def may_ask(account: type[Account]) -> ColumnElement[bool]:
    """Of rows of accounts: whether they come in, and are requesters."""
    return and_(account.active, account.roles.contains([Role.REQUESTER.value]))


async def asked_for_by(session: AsyncSession, account_id: uuid.UUID, viewer: Viewer | None) -> AskedFor:
    """What somebody asked for, without what is shut to the viewer."""
    is_open, is_draft = RequestRecord.status.in_(_OPEN), RequestRecord.status == Status.DRAFT
    is_unread = RequestRecord.unread_colleagues_from.is_not(None)
    query = select(
        func.count().filter(is_open),
        func.count().filter(is_open, RequestRecord.awaits_requester),
        func.count().filter(is_unread),
        func.count().filter(is_draft),
    ).where(RequestRecord.requester_id == account_id, or_(is_open, is_unread, is_draft), is_open_to(viewer))
    return AskedFor(*(await session.execute(query)).one())
