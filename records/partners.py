"""Partners, whose systems send requests as messages; the messages that came; and what they say besides the form."""

import uuid
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, delete, exists, false, func, or_, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from domain.messages import MessageEvent
from domain.requests import HolderKind, Status
from domain.service_accounts import Scope
from domain.webhooks import EndpointState
from records import data_keys
from records.models import (
    Account,
    Clinic,
    Json,
    Partner,
    PartnerEndpoint,
    PartnerMessage,
    ReceivedRequest,
    RequestRecord,
    ServiceAccount,
    ToldMessage,
    table_of,
)

_PARTNERS = table_of(Partner)


async def load(session: AsyncSession, account_id: uuid.UUID) -> Partner | None:
    """The partner whose service account that is."""
    return await session.get(Partner, account_id, populate_existing=True)


async def keep(session: AsyncSession, partner: Partner) -> None:
    """Write a partner down, in the place of what was known of it."""
    known = {column.name: getattr(partner, column.name) for column in _PARTNERS.columns}
    written = insert(_PARTNERS).values(known)
    await session.execute(written.on_conflict_do_update(constraint=_PARTNERS.primary_key, set_=known))


def answers_now() -> ColumnElement[bool]:
    """Of rows of `Account`: whether it is the system of a partner that answers what its clinic is given, and can be asked: it may
    come in, and its terms say where.
    """
    query = (
        select(Partner.account_id)
        .join(ServiceAccount, ServiceAccount.account_id == Partner.account_id)
        .join(PartnerEndpoint, PartnerEndpoint.account_id == Partner.account_id)
        .where(
            Account.active,
            Partner.account_id == Account.id,
            Partner.performs,
            ServiceAccount.expires_at > func.now(),
            ServiceAccount.scopes.contains([Scope.MESSAGES_SEND.value]),
            PartnerEndpoint.state != EndpointState.DISABLED,
        )
    )
    return query.correlate(Account).exists()


def answers_or_did(account_id: ColumnElement[uuid.UUID] | InstrumentedAttribute[uuid.UUID]) -> ColumnElement[bool]:
    """Whether the system of that account answers what its clinic is given, or was ever asked for something: who performs no more
    still has what it was sent, adds to it, and is asked about it.
    """
    asked = exists().where(ToldMessage.partner_id == account_id, ToldMessage.event == MessageEvent.ADD_REQUEST)
    performs = exists().where(Partner.account_id == account_id, Partner.performs)
    return or_(performs.correlate_except(Partner), asked.correlate_except(ToldMessage))


async def clinics_outside(session: AsyncSession) -> dict[uuid.UUID, bool]:
    """The clinics for which a partner's system answers, each with whether it can be asked now."""
    query = select(Account.clinic_id, answers_now()).join(Partner, Partner.account_id == Account.id)
    return {row[0]: row[1] for row in await session.execute(query.where(Partner.performs))}


async def other_performs(session: AsyncSession, clinic_id: uuid.UUID, account_id: uuid.UUID) -> bool:
    """Whether another partner answers what that clinic is given. The clinic is kept from others who say so at the same time."""
    await session.execute(select(Clinic.id).where(Clinic.id == clinic_id).with_for_update(key_share=True))
    query = (
        select(Partner.account_id)
        .join(Account, Account.id == Partner.account_id)
        .where(Partner.performs, Account.clinic_id == clinic_id, Partner.account_id != account_id)
    )
    return await session.scalar(query.limit(1)) is not None


async def that_performs(session: AsyncSession, clinic_id: uuid.UUID) -> uuid.UUID | None:
    """The partner that answers what that clinic is given, whether it can be asked now or not."""
    return (await performing(session, [clinic_id])).get(clinic_id)


async def performing(session: AsyncSession, clinic_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    """The same of several clinics: by clinic, its partner, for those that have one."""
    query = select(Account.clinic_id, Partner.account_id).join(Account, Account.id == Partner.account_id)
    found = await session.execute(query.where(Partner.performs, Account.clinic_id.in_(clinic_ids)))
    return {row[0]: row[1] for row in found}


async def performs_from_now_on(session: AsyncSession, clinic_id: uuid.UUID) -> bool:
    """Whether a partner answers what that clinic is given; that no other transaction says so until this one ends."""
    await session.execute(select(Clinic.id).where(Clinic.id == clinic_id).with_for_update(read=True))
    return await that_performs(session, clinic_id) is not None


async def has_requests(session: AsyncSession, clinic_id: uuid.UUID, account_id: uuid.UUID | None) -> bool:
    """Whether a clinic has requests, or gave some back to be submitted again; of its pool, and that account or (None) anybody.
    Something that is asked about a report of the account's counts.
    """
    is_whose = RequestRecord.holder_id == account_id if account_id else true()
    in_pool = RequestRecord.holder_kind == HolderKind.POOL
    is_held = and_(
        RequestRecord.holder_clinic_id == clinic_id,
        or_(in_pool, and_(RequestRecord.holder_kind == HolderKind.PROVIDER, is_whose)),
    )
    by = RequestRecord.process["returned_by"]
    is_back = and_(
        RequestRecord.status == Status.RETURNED,
        by["clinic_id"].astext == str(clinic_id),
        by["id"].astext == str(account_id) if account_id else true(),
    )
    is_asked = RequestRecord.follow_up_signer_id == account_id if account_id else false()
    return await session.scalar(select(RequestRecord.id).where(or_(is_held, is_back, is_asked)).limit(1)) is not None


async def people_licensed(session: AsyncSession, clinic_id: uuid.UUID, licence: str) -> Sequence[Account]:
    """The people of a clinic with that licence number, however it is spaced."""
    plain = func.replace(func.upper(Account.licence_number), " ", "")
    wanted = licence.replace(" ", "").upper()
    query = select(Account).where(Account.clinic_id == clinic_id, Account.active, plain == wanted)
    return (await session.scalars(query.limit(2))).all()


async def taken_message(session: AsyncSession, partner_id: uuid.UUID, message_id: str) -> PartnerMessage | None:
    """The message of that id that was taken in hand."""
    query = select(PartnerMessage).where(
        PartnerMessage.partner_id == partner_id, PartnerMessage.message_id == message_id, ~PartnerMessage.refused
    )
    return await session.scalar(query)


def message_folder(message_id: uuid.UUID) -> str:
    """Where in the document store a message lies as it came."""
    return f"messages/{message_id}"


async def add_message(session: AsyncSession, message: PartnerMessage) -> None:
    """Write down that a message came."""
    session.add(message)
    await session.flush()


async def is_kept_refused(session: AsyncSession, partner_id: uuid.UUID, content_sha256: str) -> bool:
    """Whether what was refused is kept already, of that digest."""
    query = select(PartnerMessage.id).where(
        PartnerMessage.partner_id == partner_id, PartnerMessage.refused, PartnerMessage.content_sha256 == content_sha256
    )
    return await session.scalar(query.limit(1)) is not None


async def begin_try(session: AsyncSession, id_: uuid.UUID) -> int:
    """The message is taken in hand; gives for the how-manieth time."""
    message = await session.get_one(PartnerMessage, id_, populate_existing=True)
    message.tries += 1
    await session.flush()
    return message.tries


async def note_request(session: AsyncSession, partner_id: uuid.UUID, message_id: str, request_id: uuid.UUID) -> None:
    """The message has begun that request: what came goes with the draft, if that is removed."""
    message = await taken_message(session, partner_id, message_id)
    if message is not None:
        message.request_id = request_id
        await session.flush()


async def answer_message(
    session: AsyncSession,
    id_: uuid.UUID,
    answer: Json,
    request_id: uuid.UUID | None,
    problem: str | None,
    *,
    has_report: bool,
) -> None:
    """What was answered to a message that was taken in hand; `problem` is why it is not done."""
    message = await session.get_one(PartnerMessage, id_)
    message.answer, message.answered_at, message.problem = answer, datetime.now(UTC), problem
    message.request_id, message.has_report = request_id or message.request_id, has_report
    await session.flush()


async def forget(session: AsyncSession, before: datetime) -> int:
    """Forget the messages of before then that no request has, and their keys: nobody opens any more what came. How many."""
    old = select(PartnerMessage.id).where(PartnerMessage.request_id.is_(None), PartnerMessage.received_at < before)
    ids = (await session.scalars(old.with_for_update())).all()
    await data_keys.destroy(session, *ids)
    await session.execute(delete(PartnerMessage).where(PartnerMessage.id.in_(ids)))
    return len(ids)


async def count_refused(session: AsyncSession, partner_id: uuid.UUID, since: datetime) -> int:
    """How many messages that came since then were not done, whatever the reason."""
    is_refused = PartnerMessage.refused | PartnerMessage.problem.is_not(None)
    query = select(func.count()).where(
        PartnerMessage.partner_id == partner_id, PartnerMessage.received_at >= since, is_refused
    )
    return await session.scalar(query.select_from(PartnerMessage)) or 0


async def count_waiting(session: AsyncSession, partner_id: uuid.UUID) -> int:
    """How many messages were taken in hand and are not answered yet."""
    query = select(func.count()).where(
        PartnerMessage.partner_id == partner_id, ~PartnerMessage.refused, PartnerMessage.answered_at.is_(None)
    )
    return await session.scalar(query.select_from(PartnerMessage)) or 0


async def received(session: AsyncSession, request_id: uuid.UUID) -> ReceivedRequest | None:
    """What a request that came as a message says besides its form."""
    return await session.get(ReceivedRequest, request_id)


async def requests_of_order(session: AsyncSession, partner_id: uuid.UUID, order_id: uuid.UUID) -> Sequence[uuid.UUID]:
    """The requests that came from that partner with an order of that id; at most two."""
    query = select(ReceivedRequest.request_id).where(
        ReceivedRequest.partner_id == partner_id, ReceivedRequest.order_id == order_id
    )
    return (await session.scalars(query.limit(2))).all()


async def note_received(
    session: AsyncSession,
    request_id: uuid.UUID,
    partner_id: uuid.UUID,
    content: Json,
    order_id: uuid.UUID | None = None,
) -> None:
    """Write it down, in the place of what an earlier message said."""
    there = await received(session, request_id)
    if there is None:
        made = ReceivedRequest(request_id=request_id, partner_id=partner_id, order_id=order_id, content=content)
        session.add(made)
    else:
        there.content, there.order_id = content, order_id or there.order_id
    await session.flush()
