"""What went to partners that answer a request, for who may see its chart: whether each message has arrived."""

from datetime import datetime

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.asked_partners import SENT, is_with
from domain.messages import MessageEvent
from domain.requests import Request
from domain.told_partners import MessageState
from records import partner_outbox
from use_cases.names import Names, PersonView
from use_cases.views import View


class AskedView(View):
    """A message to a partner that answers the request, or is to."""

    partner: PersonView | None = Field(description="The partner's system.")
    with_partner: bool = Field(
        description="Whether the request is with that partner now: it has it, gave it back to be submitted again, or has "
        "answered it. Whatever became of this message."
    )
    event: MessageEvent
    at: datetime = Field(description="When what it tells happened.")
    state: MessageState = Field(
        description="`refused`: by the partner's answer. `failed`: nobody answered for three days, or nothing goes there any "
        "more. `dropped`: when it was to go, the request was not with the partner any more."
    )
    attempts: int
    settled_at: datetime | None
    answered: str | None = Field(description="FHIR's code of why the partner did not take it.")


async def asked_view(session: AsyncSession, process: Request) -> list[AskedView]:
    """In the order of what they tell."""
    messages = await partner_outbox.sent_about(session, process.id, SENT)
    if not messages:
        return []
    partner_ids = {message.partner_id for message in messages}
    names = await Names.load(session, partner_ids, [])
    having = {id_ for id_ in partner_ids if (one := names.person(id_)) and is_with(process, one.clinic_id, id_)}
    return [
        AskedView(
            partner=names.person(message.partner_id),
            with_partner=message.partner_id in having,
            event=message.event,
            at=message.at,
            state=message.state,
            attempts=message.attempts,
            settled_at=message.settled_at,
            answered=message.answered,
        )
        for message in messages
    ]
