"""Several requests assigned at once by a dispatcher, to one provider or to one clinic's pool; and taken back at once."""

from collections.abc import Sequence
from uuid import UUID

from pydantic import Field

from domain.model import Frozen
from domain.requests import Role
from translations import Language
from use_cases import policy
from use_cases.caller import Caller
from use_cases.orders import AssignBody, SomeProvider, TakeBack
from use_cases.services import Services
from use_cases.several import MOST_AT_ONCE, PartReceipt, Seen, order_each


class ChosenRequest(Frozen):
    """A request, and the version of it that was seen: it is left alone when it has changed since. Without one, it is assigned."""

    id: UUID
    version: int | None = Field(None, ge=0, le=2**31 - 1, examples=[3])


class Assignments(SomeProvider):
    """Which requests, to whom, with which comment for the provider."""

    requests: list[ChosenRequest] = Field(min_length=1, max_length=MOST_AT_ONCE)


async def assign_several(
    services: Services, caller: Caller, wanted: Assignments, key: str | None, language: Language
) -> list[PartReceipt]:
    """Assign each of these requests; what became of each, in the order given. With the same `key` each acts once.

    Raises Problem `forbidden` to who dispatches nothing.
    """
    policy.must_have_role(caller, Role.DISPATCHER)
    order = AssignBody(**wanted.model_dump(exclude={"requests"}))
    return await order_each(services, caller, _seen(wanted.requests), order, key, language)


async def take_back_several(
    services: Services, caller: Caller, chosen: Sequence[ChosenRequest], key: str | None, language: Language
) -> list[PartReceipt]:
    """Take back what the caller has just done to each of these requests; otherwise as `assign_several`."""
    return await order_each(services, caller, _seen(chosen), TakeBack(), key, language)


def _seen(chosen: Sequence[ChosenRequest]) -> dict[UUID, Seen]:
    return {request.id: Seen(version=request.version) for request in chosen}
