"""Messages on their way to partners: taken up by a sender, and what became of each call.

What a sender has claimed is nobody else's for as long as it lives (`records.senders`).
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from domain.asked_partners import ASKS, SENT, is_with
from domain.requests import Status
from domain.service_accounts import Scope
from domain.told_partners import MOST_AT_ONCE, MessageState, Outcome
from domain.webhooks import EndpointState, Tried
from records import partner_outbox, partners, requests, restrictions, service_accounts
from records.models import Partner, PartnerEndpoint, RequestRecord, ToldMessage
from records.service_accounts import Found

_DUE = """
    m.state = 'pending' AND m.claimed_by IS NULL AND m.next_attempt <= :now
    AND (e.paused_until IS NULL OR e.paused_until <= :now)
    AND NOT EXISTS (
        SELECT FROM told_messages earlier
        WHERE earlier.request_id = m.request_id AND earlier.partner_id = m.partner_id
          AND (earlier.state = 'pending' OR earlier.claimed_by IS NOT NULL)
          AND (earlier.sequence, earlier.part) < (m.sequence, m.part)
    )
    AND (e.verified_at IS NOT NULL AND e.state = 'active' OR m.request_id = coalesce((
        SELECT tried.request_id FROM told_messages tried
        WHERE tried.partner_id = m.partner_id AND tried.state = 'pending' AND tried.told_to IS NOT NULL
        ORDER BY tried.id LIMIT 1
    ), m.request_id))
"""
"""One at a time of each request and partner, in the order of its events; what is under way counts although nobody wants it any
more. Where nobody has answered yet, those of one request alone are tried:
to a wrong address, no second patient's goes. What could not be made, or had no token, has not left and holds up nobody."""

_READY = text(
    f"""
    SELECT e.account_id FROM partner_endpoints e
    WHERE e.state <> 'disabled'
      AND EXISTS (SELECT FROM told_messages m WHERE m.partner_id = e.account_id AND {_DUE})
    ORDER BY e.account_id LIMIT :most FOR NO KEY UPDATE OF e SKIP LOCKED
    """  # noqa: S608 - words of ours
)
"""Partners for whom something is due, kept from other senders: what these have claimed shows in the next statement."""

_CLAIM = text(
    f"""
    WITH due AS MATERIALIZED (
        SELECT first.id
        FROM partner_endpoints e CROSS JOIN LATERAL (
            SELECT m.id FROM told_messages m
            WHERE m.partner_id = e.account_id AND {_DUE}
            ORDER BY m.next_attempt, m.id
            LIMIT greatest(0, CASE WHEN e.state = 'active' AND e.failing_since IS NULL THEN {MOST_AT_ONCE} ELSE 1 END - (
                SELECT count(*) FROM told_messages busy
                WHERE busy.partner_id = e.account_id AND busy.claimed_by IS NOT NULL
            ))
            FOR UPDATE SKIP LOCKED
        ) AS first
        WHERE e.account_id = ANY(:ids)
    )
    UPDATE told_messages SET claimed_by = :number FROM due WHERE told_messages.id = due.id RETURNING told_messages.id
    """  # noqa: S608 - words and a number of ours
)
"""What is due is found once, before anything is claimed: found anew for each row, it would be others each time."""


@dataclass(frozen=True)
class Taken:
    """A message that the sender of that number has in hand."""

    id: uuid.UUID
    partner_id: uuid.UUID
    number: int


@dataclass(frozen=True)
class Told:
    """A message that may go now: to whom and where, of which request. `through` is the message up to whose event the partner
    knows that request then. `is_shut`: a restriction shuts the request to the partner, which is told that it is over, not by whom
    nor why.
    """

    message: ToldMessage
    through: ToldMessage
    partner: Partner
    system: Found
    endpoint: PartnerEndpoint
    row: RequestRecord
    is_shut: bool = False


async def take_up(session: AsyncSession, number: int, now: datetime, most: int) -> list[Taken]:
    """Messages that are due, for the sender `number`: at most so many partners' at once."""
    ready = list(await session.scalars(_READY, {"now": now, "most": most}))
    if not ready:
        return []
    claimed = list(await session.scalars(_CLAIM, {"ids": ready, "number": number, "now": now}))
    found = await session.execute(select(ToldMessage.id, ToldMessage.partner_id).where(ToldMessage.id.in_(claimed)))
    return sorted((Taken(id_, partner_id, number) for id_, partner_id in found), key=lambda one: one.id)


async def to_tell(session: AsyncSession, taken: Taken, now: datetime) -> Told | None:
    """What may be told now, right before it goes. None for what may not: it is dropped, or does not wait any more.

    A partner is told of a request that its system has made and its clinic asked for, wherever that is now; while the service
    account lives and may send messages, and its terms say where. One that is asked hears nothing that a restriction shuts to it,
    since whenever, but that it is to do nothing more.
    """
    message = await session.get(ToldMessage, taken.id, populate_existing=True, with_for_update=True)
    if message is None or message.claimed_by != taken.number:
        return None  # whoever waited for long lost their number meanwhile, and another sender has it in hand
    endpoint = await partner_outbox.load(session, taken.partner_id)
    if message.state is not MessageState.PENDING or endpoint is None or endpoint.state is EndpointState.DISABLED:
        message.claimed_by = None
        return None
    partner = await partners.load(session, taken.partner_id)
    system = await service_accounts.load(session, taken.partner_id)
    row = await requests.load_request(session, message.request_id)
    if partner is None or system is None or row is None:
        _end(message, MessageState.DROPPED, now)
        return None
    is_over = message.event in ASKS and await partner_outbox.is_order_over(
        session, message.partner_id, message.request_id, message.sequence
    )
    is_shut = message.event in SENT and await restrictions.shuts_out(session, row.id, taken.partner_id)
    is_unwanted = is_over or (is_shut and message.event in ASKS)
    why_not = MessageState.DROPPED if is_unwanted else _why_not(message, partner, system, row, now)
    if why_not is not None:
        _end(message, why_not, now)
        return None
    through = await partner_outbox.told_through(session, message)
    return Told(message, through, partner, system, endpoint, row, is_shut)


def _end(message: ToldMessage, state: MessageState, now: datetime) -> None:
    message.state, message.settled_at, message.claimed_by = state, now, None


def _why_not(
    message: ToldMessage, partner: Partner, system: Found, row: RequestRecord, now: datetime
) -> MessageState | None:
    """What becomes of what a partner may not hear; None where it may.

    One that is asked hears nothing of the patient once the request is not with it, which nobody misses (`dropped`). Where it may
    not be asked any more, for its account or its terms, what it was to hear has failed: somebody must do something.
    """
    account = system.account
    is_open = system.may(Scope.MESSAGES_SEND, now)
    if message.event not in SENT:
        may = is_open and row.system_id == account.id and row.requester_clinic_id == account.clinic_id
        return None if may else MessageState.DROPPED
    if message.event not in ASKS:
        return None if is_open else MessageState.FAILED
    if not is_with(requests.process_of(row), account.clinic_id, account.id):
        return MessageState.DROPPED
    still = partner.performs or row.status in (Status.REPORTED, Status.CLOSED)  # its own report: it answers for that
    return None if is_open and still else MessageState.FAILED


async def note_told_to(session: AsyncSession, message: ToldMessage, host: str) -> bool:
    """It goes to that host now; whether that is the first time."""
    if message.told_to == host:
        return False
    message.told_to = host
    await session.flush()
    return True


# What became of it


async def put_off(session: AsyncSession, taken: Taken, until: datetime, why: str) -> None:
    """It waits until then, and that was no try."""
    message = await session.get(ToldMessage, taken.id, populate_existing=True, with_for_update=True)
    if message is not None and message.claimed_by == taken.number:
        message.claimed_by, message.next_attempt, message.last_error = None, until, why
        await session.flush()


async def settle(session: AsyncSession, taken: Taken, tried: Tried, why: str | None, outcome: Outcome) -> bool:
    """Write down what a call gave; whether the message was still wanted.

    It is not where the endpoint was turned off or removed meanwhile, or another sender has it in hand by now; that it arrived
    counts all the same. When nobody has
    answered for three days, what waits behind it has failed as well.
    """
    message = await session.get(ToldMessage, taken.id, populate_existing=True, with_for_update=True)
    if message is None:
        return False
    is_mine = message.claimed_by == taken.number
    message.claimed_by = None if is_mine else message.claimed_by  # another sender's by now, it stays theirs
    was_wanted = message.state is MessageState.PENDING
    if not (was_wanted and is_mine) and outcome.state is not MessageState.DELIVERED:
        return False
    is_pending = outcome.state is MessageState.PENDING
    message.state, message.attempts = outcome.state, message.attempts + 1
    message.next_attempt = outcome.next_attempt or message.next_attempt
    message.last_status, message.last_error, message.answered = tried.status, tried.error, why
    message.settled_at = None if is_pending else tried.at
    await session.flush()
    if outcome.state is MessageState.FAILED:
        behind = (
            ToldMessage.request_id == message.request_id,
            tuple_(ToldMessage.sequence, ToldMessage.part) > (message.sequence, message.part),
        )
        await partner_outbox.end_waiting(session, taken.partner_id, MessageState.FAILED, tried.at, *behind)
    return was_wanted
