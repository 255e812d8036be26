"""Partners, whose systems send requests as messages; the messages that came; and what they say besides the form."""

import uuid
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from records.models import Account, Json, Partner, PartnerMessage, ReceivedRequest, table_of

_PARTNERS = table_of(Partner)


async def load(session: AsyncSession, account_id: uuid.UUID) -> Partner | None:
    """The partner whose service account that is."""
    return await session.get(Partner, account_id, populate_existing=True)


async def keep(session: AsyncSession, partner: Partner) -> None:
    """Write a partner down, in the place of what was known of it."""
    known = {column.name: getattr(partner, column.name) for column in _PARTNERS.columns}
    written = insert(_PARTNERS).values(known)
    await session.execute(written.on_conflict_do_update(constraint=_PARTNERS.primary_key, set_=known))


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


async def add_message(session: AsyncSession, message: PartnerMessage) -> None:
    """Write down that a message came."""
    session.add(message)
    await session.flush()


async def answer_message(session: AsyncSession, id_: uuid.UUID, answer: Json, request_id: uuid.UUID | None) -> None:
    """What was answered to a message that was taken in hand."""
    message = await session.get_one(PartnerMessage, id_)
    message.answer, message.request_id = answer, request_id
    await session.flush()


async def received(session: AsyncSession, request_id: uuid.UUID) -> ReceivedRequest | None:
    """What a request that came as a message says besides its form."""
    return await session.get(ReceivedRequest, request_id)


async def note_received(session: AsyncSession, request_id: uuid.UUID, partner_id: uuid.UUID, content: Json) -> None:
    """Write it down, in the place of what an earlier message said."""
    there = await received(session, request_id)
    if there is None:
        session.add(ReceivedRequest(request_id=request_id, partner_id=partner_id, content=content))
    else:
        there.content = content
    await session.flush()
