"""What somebody holds who is away, ill or gone, handed to somebody else at once: several requests with one reason."""

from uuid import UUID

from pydantic import Field

from domain.requests import Role
from translations import Language
from use_cases import policy
from use_cases.caller import Caller
from use_cases.commands import Order
from use_cases.orders import CommentBody, ReassignBody, SomebodyElse, TransferBody
from use_cases.services import Services
from use_cases.several import MOST_AT_ONCE, PartReceipt, Seen, order_each

MAY_HAND_OVER = frozenset({Role.DISPATCHER, Role.CLINIC_ADMINISTRATOR})
"""Who may hand over what others hold."""


class HandOver(SomebodyElse):
    """Which requests of that person, to whom, and why."""

    request_ids: list[UUID] = Field(min_length=1, max_length=MOST_AT_ONCE)


async def hand_over(
    services: Services, caller: Caller, holder_id: UUID, wanted: HandOver, key: str | None, language: Language
) -> list[PartReceipt]:
    """Hand each of these requests, which that person holds, to somebody else; what became of each, in the order given.

    Others' by `reassign`; one's own by `transfer` to a colleague, or `return_to_dispatch`. What somebody else has got meanwhile
    is left to them. With the same `key` each acts once.

    Raises Problem `forbidden` to who may do this with nothing.
    """
    if holder_id != caller.id:
        policy.must_have_role(caller, *MAY_HAND_OVER)
    order = _order(wanted, is_own=holder_id == caller.id)
    chosen = dict.fromkeys(wanted.request_ids, Seen(held_by=holder_id))
    return await order_each(services, caller, chosen, order, key, language)


def _order(wanted: HandOver, *, is_own: bool) -> Order:
    if is_own and wanted.dispatch:
        return CommentBody(comment=wanted.reason)
    if is_own and wanted.provider_id is not None:
        return TransferBody(provider_id=wanted.provider_id, comment=wanted.reason)
    return ReassignBody(**wanted.model_dump(exclude={"request_ids"}))
