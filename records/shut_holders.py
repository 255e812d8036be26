"""Requests that wait for somebody to whom they are shut, or for nobody at all: found, and given back to dispatch by Relais.

Whatever made them the holder (a command, a Signal, a clock, a role that came later) is the same here: the state in the records
counts. The command names the version that was seen, so that it never takes from whoever got the request meanwhile; what that
makes of it is looked at again when it is recorded.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import lifecycle
from domain.audit import Act
from domain.commands import Reassign
from domain.refusals import Refusal
from domain.requests import SYSTEM, Holder, HolderKind, Role, Status
from records import audit, commands, partners, restrictions
from records.audit import By
from records.models import Account, GivenCommand, RequestRecord, Side
from records.requests import process_of
from records.visibility import Viewer, is_shut_to
from translations import gettext_for, language_named
from translations import gettext_noop as _

_WHY = _("At the wish of the clinic that asked for it.")
"""Why it goes back to dispatch: the timeline names nobody, and says nothing of a restriction."""

_WITH_PROVIDER = tuple(status for status in Status if status.is_with_provider)


async def take_away(
    session: AsyncSession, row: RequestRecord, now: datetime, *, let_go_by: Viewer | None = None
) -> GivenCommand | None:
    """Write down that the request, whose row is locked, goes back to dispatch, where its holder must not see it; or where they
    can't work on it any more and it is shut to `let_go_by`, who is to hand on what they hold: then nobody would.

    The command that is to be given now; None where there is nothing to take away, where that is under way, or where the request
    must be left alone as it is: while a document is made.
    """
    by = await _restricted_by(session, row)
    if by is None or not await _is_with_nobody(session, row, let_go_by):
        return None
    request = process_of(row)
    command_id = f"{commands.TAKEN_AWAY}{request.version}"
    before = await commands.find_given(session, row.id, command_id)
    if before is not None and before.settled_at is None:
        return None
    try:
        lifecycle.check_allowed(request, Reassign, SYSTEM)
    except Refusal:
        return None
    command = Reassign(
        id=command_id,
        actor=SYSTEM,
        sent_at=now,
        expected_version=request.version,
        to="dispatch",
        reason=gettext_for(language_named(by.language))(_WHY),
    )
    await commands.write_down(session, row, command, account_id=by.id, now=now, replaces=before)
    if before is None:  # tried again, it is the same command
        audit.add(
            *(session, Act.COMMAND, By(None, Side.SYSTEM), now),
            name="reassign",
            request_id=row.id,
            version=row.process_version,
            content={"command_id": command_id},
        )
    await session.flush()
    return await commands.find_given(session, row.id, command_id)


async def is_still_needed(session: AsyncSession, row: RequestRecord) -> bool:
    """Whether the request, whose row is locked, is still to be taken away as it was written down: a restriction of it holds, and
    its holder must not see it, or can't work on it any more.
    """
    if await _restricted_by(session, row) is None:
        return False
    holder = process_of(row).holder
    return (
        await restrictions.is_shut_to_holder(session, row.id, holder) or await _has_let_go(session, holder) is not None
    )


async def is_stuck(session: AsyncSession, row: RequestRecord) -> bool:
    """Whether the request waits for nobody who sees it: its holder, all who dispatch it, or all who answer about its report."""
    if row.status is Status.AWAITING_DISPATCH:
        return await restrictions.is_shut_to_all(session, row.id, row.dispatch_clinic_id, Role.DISPATCHER)
    if row.follow_up_signer_id is not None and row.follow_up_clinic_id is not None:
        is_shut = await restrictions.shuts_out(session, row.id, row.follow_up_signer_id)
        return is_shut and not await restrictions.is_open_to_one(
            session, row.id, row.follow_up_clinic_id, Role.PROVIDER
        )
    return await _is_with_nobody(session, row, None)


async def held_around(session: AsyncSession, account: Account) -> Sequence[uuid.UUID]:
    """The restricted requests that this person holds, or the pool of their clinic."""
    by_name = and_(RequestRecord.holder_kind == HolderKind.PROVIDER, RequestRecord.holder_id == account.id)
    of_pool = and_(RequestRecord.holder_kind == HolderKind.POOL, RequestRecord.holder_clinic_id == account.clinic_id)
    return await _restricted(session, RequestRecord.status.in_(_WITH_PROVIDER), or_(by_name, of_pool))


async def waiting(session: AsyncSession) -> Sequence[uuid.UUID]:
    """The restricted requests that wait for a provider, a pool, dispatch, or an answer about their report. They are few."""
    waits = RequestRecord.status.in_((*_WITH_PROVIDER, Status.AWAITING_DISPATCH))
    return await _restricted(session, or_(waits, RequestRecord.follow_up_signer_id.is_not(None)))


async def _restricted(session: AsyncSession, *which: ColumnElement[bool]) -> Sequence[uuid.UUID]:
    query = select(RequestRecord.id).where(RequestRecord.id.in_(restrictions.restricted_ids()), *which)
    return (await session.scalars(query.order_by(RequestRecord.id))).all()


async def _restricted_by(session: AsyncSession, row: RequestRecord) -> Account | None:
    """Who set the newest restriction of the request that holds, if there is one."""
    if row.status not in _WITH_PROVIDER or not await restrictions.are_there(session, row.id):
        return None
    newest = (await restrictions.holding(session, row.id))[0]
    return await session.get(Account, newest.set_by)


async def _is_with_nobody(session: AsyncSession, row: RequestRecord, let_go_by: Viewer | None) -> bool:
    """Whether its holder must not see it; or can't work on it any more, and it is shut to whoever let them go. A later look does
    not know who that was: then it is enough that one of those who might hand it on does not see it.
    """
    holder = process_of(row).holder
    if await restrictions.is_shut_to_holder(session, row.id, holder):
        return True
    account = await _has_let_go(session, holder)
    if account is None:
        return False
    at_clinic = (session, row.id, account.clinic_id, Role.CLINIC_ADMINISTRATOR)
    if let_go_by is None:
        return await restrictions.is_shut_to_one(*at_clinic)
    return await is_shut_to(session, let_go_by, row) or await restrictions.is_shut_to_all(*at_clinic)


async def _has_let_go(session: AsyncSession, holder: Holder) -> Account | None:
    """The provider who holds it, if they can't work on it any more."""
    account = await session.get(Account, holder.id) if holder.kind is HolderKind.PROVIDER and holder.id else None
    return None if account is None or await _can_work(session, account) else account


async def _can_work(session: AsyncSession, account: Account) -> bool:
    """Whether a holder can go on with what they hold. A partner's system that answers for its clinic is no provider by roles."""
    if not account.active:
        return False
    return Role.PROVIDER in account.roles or await partners.that_performs(session, account.clinic_id) == account.id
