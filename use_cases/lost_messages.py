"""Messages between Relais and partners' systems that were lost: people are told by e-mail, and see them until they are mended."""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from uuid import UUID

from pydantic import Field

from domain.messages import MessageEvent
from domain.requests import Role
from domain.told_partners import MessageState
from records import lost_messages, notices
from records.lost_messages import Lost
from use_cases import policy
from use_cases.caller import Caller
from use_cases.each import all_of_them
from use_cases.gate import Starting
from use_cases.names import Names, PersonView
from use_cases.partner_sender import NO_TOKEN, NOT_MADE
from use_cases.services import Services
from use_cases.single_notice import send_by_itself
from use_cases.views import View

PAGE = 100

OF_OURS = frozenset({NOT_MADE, NO_TOKEN})
"""The codes of what stood in the way on our side alone: nothing was sent."""

SEES_LOST = (Role.REQUESTER, Role.DISPATCHER, Role.CLINIC_ADMINISTRATOR)
"""The roles in which somebody sees such messages: of what they asked for, or their clinic dispatches."""


class LostMessageView(View):
    """A message about a request that did not arrive, or was not done. What it says is not shown."""

    id: UUID
    request_id: UUID
    number: str = Field(examples=["TC-2026-000123"])
    partner: PersonView | None = Field(description="The system of the other side.")
    event: MessageEvent
    sent_by_us: bool = Field(
        description="Whether Relais was to send it; else the other system sent it, and it was refused here."
    )
    state: MessageState = Field(
        description="`refused`: by the answer of whoever got it. `failed`: nobody answered for three days, or nothing goes there "
        "any more. `pending`: it was tried in vain, or kept waiting, for an hour or longer, and is tried again; what says that "
        "somebody is worse, is urgent, or takes a request back stands here from the first try on."
    )
    why: str | None = Field(
        description="The code of why: FHIR's, as the other system answered, or Relais's.", examples=["not-supported"]
    )
    at: datetime = Field(description="When that was known; of what is tried again, when what it tells happened.")


async def tell_of_lost_messages(services: Starting, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> int:
    """Plan an e-mail to each who is told, and have them sent; gives of how many requests something was told.

    A person gets one e-mail for each partner, however many requests are concerned: it leads to all of them. What was lost is
    marked in the transaction that plans its e-mails, so nobody is told twice of it; what nobody can be told of is left for when
    there is somebody. A request of which that fails is left for the next time, and the others are told of; the last failure is
    raised then.
    """
    count = 0
    last: UUID | None = None
    heard: set[notices.Heard] = set()
    with all_of_them("of a lost message nobody could be told") as each:
        while page := await _page(services, clock(), last):
            for request_id in page:
                with each(request_id):
                    told = await _plan(services, request_id, clock(), heard)
                    heard |= told.heard
                    count += bool(told.heard)
                    for notice_id in told.notice_ids:
                        await send_by_itself(services, notice_id)
            last = page[-1]
    return count


async def _page(services: Starting, now: datetime, after: UUID | None) -> Sequence[UUID]:
    async with services.database.session() as session:
        return await lost_messages.list_untold(session, PAGE, now, after)


async def _plan(
    services: Starting, request_id: UUID, now: datetime, heard: Collection[notices.Heard]
) -> notices.LostTold:
    async with services.database.session() as session:
        untold = await lost_messages.untold_of(session, request_id, now)
        if untold is None:
            return notices.LostTold(frozenset(), ())
        told = await notices.plan_lost_message_notices(session, untold, now, heard)
        if told.heard:
            await lost_messages.mark_told(session, untold, now)
        return told


async def list_lost_messages(services: Services, caller: Caller) -> list[LostMessageView]:
    """Those of the last 30 days that are not mended, the newest first, at most 500. Raises Problem `forbidden`."""
    policy.must_have_role(caller, *SEES_LOST)
    async with services.database.session() as session:
        found = await lost_messages.list_lost(session, caller.viewer, datetime.now(UTC))
        names = await Names.load(session, {one.partner_id for one in found}, [])
    return [_view(one, names) for one in found]


async def count_lost_messages(services: Services, caller: Caller) -> int:
    """How many the caller sees, 100 at most; none in other roles."""
    if caller.roles.isdisjoint(SEES_LOST):
        return 0
    async with services.database.session() as session:
        return await lost_messages.count_lost(session, caller.viewer, datetime.now(UTC))


def _view(lost: Lost, names: Names) -> LostMessageView:
    return LostMessageView(
        id=lost.id,
        request_id=lost.request_id,
        number=lost.number,
        partner=names.person(lost.partner_id),
        event=lost.event,
        sent_by_us=lost.is_ours,
        state=lost.state,
        why=lost.why,
        at=lost.at,
    )
