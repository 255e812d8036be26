"""What somebody asked for, and whether they can go on with it: who is no requester any more, or does not come in, can't."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import Role, Status
from records.models import Account, AccountKind, RequestRecord
from records.restrictions import is_shut_out
from records.visibility import Viewer, is_open_to

_IS_OPEN = RequestRecord.status.in_([status for status in Status if status.is_open])
_IS_UNREAD = RequestRecord.unread_colleagues_from.is_not(None)


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


def can_ask(account: Account) -> bool:
    """The same of an account that is there."""
    return account.active and Role.REQUESTER in account.roles


async def asked_for_by(session: AsyncSession, account_id: uuid.UUID, viewer: Viewer | None) -> AskedFor:
    """What somebody asked for, without what is shut to the viewer."""
    is_draft = RequestRecord.status == Status.DRAFT
    query = select(
        func.count().filter(_IS_OPEN),
        func.count().filter(_IS_OPEN, RequestRecord.awaits_requester),
        func.count().filter(_IS_UNREAD),
        func.count().filter(is_draft),
    ).where(RequestRecord.requester_id == account_id, or_(_IS_OPEN, _IS_UNREAD, is_draft), is_open_to(viewer))
    return AskedFor(*(await session.execute(query)).one())


async def who_leave_something(session: AsyncSession, account_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those of them who asked for something that is left to others where they can't go on with it."""
    theirs = exists().where(RequestRecord.requester_id == Account.id, or_(_IS_OPEN, _IS_UNREAD))
    return set(await session.scalars(select(Account.id).where(Account.id.in_(account_ids), theirs)))


async def administrators_who_see(session: AsyncSession, account: Account) -> Sequence[Account]:
    """Who administers its clinic, and may see anything of what is left to others of what the account asked for."""
    seen = exists().where(
        RequestRecord.requester_id == account.id, or_(_IS_OPEN, _IS_UNREAD), ~is_shut_out(RequestRecord.id)
    )
    administers = Account.roles.contains([Role.CLINIC_ADMINISTRATOR.value])
    is_active = Account.active, Account.kind == AccountKind.PERSON
    query = select(Account).where(Account.clinic_id == account.clinic_id, administers, *is_active, seen)
    return (await session.scalars(query.order_by(Account.username))).all()
