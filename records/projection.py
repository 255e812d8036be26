"""The projection: what the workflows decided, written so that it may come twice, late or out of order."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Uuid, bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.events import Event
from domain.requests import EventName, HolderKind, Request, Role
from records import partner_outbox, phone_links, statistics, unread_reports, webhooks
from records.commands import settle_by_event
from records.errors import ContentConflictError
from records.models import (
    Account,
    Clinic,
    EventRecord,
    GivenCommand,
    OfferedPool,
    Participant,
    RequestRecord,
    table_of,
)
from records.notices import PlannedNotice, plan_notices, queued_notices, send_moment
from records.patient_words import keep_submitted
from records.requests import announce, lock_request, project
from records.sealed import to_write
from records.shut_holders import take_away
from records.straight import Straight

_EVENTS, _PARTICIPANTS, _POOLS = (table_of(kind) for kind in (EventRecord, Participant, OfferedPool))

# Made once, as in `records.requests`.

_OF_REQUEST = bindparam("of_request", type_=Uuid())
_ACTED = (
    insert(_PARTICIPANTS)
    .from_select(["request_id", "account_id"], select(_OF_REQUEST, Account.id).where(Account.id == bindparam("by")))
    .on_conflict_do_nothing()
)
_ADDED = Straight(insert(_EVENTS).on_conflict_do_nothing().returning(_EVENTS.c.version).add_cte(_ACTED.cte("acted")))
"""The event, and with it who acted. People whom the records don't know are passed over."""

_OFFERED = Straight(
    insert(_POOLS)
    .from_select(["request_id", "clinic_id"], select(_OF_REQUEST, Clinic.id).where(Clinic.id == bindparam("to")))
    .on_conflict_do_nothing()
)

_PROVIDERS = (HolderKind.PROVIDER, HolderKind.POOL)


@dataclass(frozen=True)
class Recorded:
    """Who is to be told of an event that is in the records: the notices that wait, in the order of their accounts, and since
    when the first of them may go; those `in_hand`, which whoever recorded it sends now; and the command by which the request is
    taken from a holder who must not see it, to be given now."""

    waiting: Sequence[uuid.UUID] = ()
    send_at: datetime | None = None
    in_hand: Sequence[PlannedNotice] = ()
    taken_away: GivenCommand | None = None


async def record_event(
    session: AsyncSession,
    event: Event,
    request: Request,
    mails_gather_for: timedelta = timedelta(),
    at_once: bool = False,
) -> Recorded:
    """Write the event and the state after it, and plan who is told; all or nothing, with the caller's transaction.

    The notices wait for `mails_gather_for` at the longest, see `records.notices`; where they need not wait, whoever records a new
    event may send them `at_once`. The row of the request only moves forward: a state that is older than the row's changes
    nothing. Raises NotFoundError when there is no such request, and ContentConflictError when another event has this version.
    """
    row = await lock_request(session, event.request_id)
    in_hand: list[PlannedNotice] | None = None
    if await _append(session, event):
        await _add_pool(session, event)
        at_once = at_once and not mails_gather_for and row.process_version < request.version
        with session.no_autoflush:  # the row is written once, with all that follows: it stands in some thirty indexes
            _note_milestones(row, event)
            await settle_by_event(session, row, event)
            await statistics.count(session, row, event, request)
            await webhooks.tell_event(session, row, event, request)
            await partner_outbox.tell_event(session, row, event)
            await partner_outbox.ask_event(session, row, event, request)
            planned = await plan_notices(session, event, request, mails_gather_for, at_once=at_once)
        in_hand = planned if at_once else None
    if row.process_version < request.version:
        unread_reports.follow(row, event, request)
        if row.status is not request.status:  # the editor opens with what counts now; while returned, edits stay
            row.form_priority = request.priority
        project(row, request, max(row.updated_at, event.at))
    await phone_links.follow(session, row, event)
    if event.name in (EventName.SUBMITTED, EventName.RESUBMITTED):
        await keep_submitted(session, row)
    await announce(session, row)
    is_newest = row.process_version == request.version and event.holder.kind in _PROVIDERS
    taken_away = await take_away(session, row, datetime.now(UTC)) if is_newest else None
    if in_hand is not None:
        return Recorded(in_hand=in_hand, taken_away=taken_away)
    waiting = await queued_notices(session, event.request_id, event.version)
    return Recorded(waiting, await send_moment(session, waiting) if waiting else None, taken_away=taken_away)


async def _append(session: AsyncSession, event: Event) -> bool:
    """Whether the event is new."""
    actor = event.command.actor
    values = {
        "request_id": event.request_id,
        "version": event.version,
        "name": event.name,
        "at": event.at,
        "source": event.source,
        "command_id": event.command.id,
        "actor_id": actor.id,
        "actor_role": actor.role,
        "actor_clinic_id": actor.clinic_id,
        "status_before": event.status_before,
        "status": event.status,
        "holder_before": event.holder_before.model_dump(mode="json"),
        "holder": event.holder.model_dump(mode="json"),
        "command": event.command.model_dump(mode="json"),
    }
    acted = None if actor.role in (Role.OPERATOR, Role.SYSTEM) else actor.id
    ready = await to_write(session, EventRecord, values)
    if await _ADDED.rows(session, {**ready, "of_request": event.request_id, "by": acted}):
        return True
    there = await session.get(EventRecord, (event.request_id, event.version))
    if there is None or there.command_id != event.command.id:
        raise ContentConflictError
    return False


def _note_milestones(row: RequestRecord, event: Event) -> None:
    """Each counts whenever its event comes: it happens once, or the latest is kept."""
    if event.name is EventName.SUBMITTED:
        row.submitted_at = event.at
    if event.status.is_final and not event.status_before.is_final:
        row.ended_at = event.at
    if event.holder != event.holder_before:
        row.waiting_since = max(row.waiting_since, event.at)


async def _add_pool(session: AsyncSession, event: Event) -> None:
    """Remember which pool it was offered to. Clinics that the records don't know are passed over."""
    if event.holder.kind is HolderKind.POOL:
        await _OFFERED.run(session, {"of_request": event.request_id, "to": event.holder.clinic_id})
