"""What somebody holds who is away, ill or gone, handed to somebody else at once: several requests with one reason."""

import asyncio
from typing import Literal
from uuid import UUID

from pydantic import Field

from domain.refusals import Refusal
from domain.requests import Role
from translations import Language
from translations.problems import problem_sentence
from use_cases import policy
from use_cases.caller import Caller
from use_cases.commands import Call, Order, carry_out
from use_cases.orders import CommentBody, ReassignBody, SomebodyElse, TransferBody
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.views import View

MOST_AT_ONCE = 200
"""Requests that are handed over with one order."""

MAY_HAND_OVER = frozenset({Role.DISPATCHER, Role.CLINIC_ADMINISTRATOR})
"""Who may hand over what others hold."""

_SIDE_BY_SIDE = 4


class HandOver(SomebodyElse):
    """Which requests of that person, to whom, and why."""

    request_ids: list[UUID] = Field(min_length=1, max_length=MOST_AT_ONCE)


class HandedOver(View):
    """What became of one request. `refused` says why, in `code` and `detail`; nothing has changed then."""

    request_id: UUID
    state: Literal["done", "queued", "refused"]
    code: str | None = Field(None, examples=["version_conflict"])
    detail: str | None = None


async def hand_over(
    services: Services, caller: Caller, holder_id: UUID, wanted: HandOver, key: str | None, language: Language
) -> list[HandedOver]:
    """Hand each of these requests, which that person holds, to somebody else; what became of each, in the order given.

    Others' by `reassign`; one's own by `transfer` to a colleague, or `return_to_dispatch`. Each is a command of its own: one that
    is refused hinders no other, and with the same `key` each acts once. What somebody else has got meanwhile is left to them.

    Raises Problem `forbidden` to who may do this with nothing.
    """
    if holder_id != caller.id:
        policy.must_have_role(caller, *MAY_HAND_OVER)
    order = _order(wanted, is_own=holder_id == caller.id)
    turn = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def one(request_id: UUID) -> HandedOver:
        command_id = caller.command_id(f"{key}/{request_id}" if key else None)
        async with turn:
            try:
                receipt = await carry_out(services, Call(caller, request_id, command_id, held_by=holder_id), order)
            except (Problem, Refusal) as error:
                if error.code == "engine_unreachable":  # it is written down, and is given again
                    return HandedOver(request_id=request_id, state="queued")
                told = error.told(language) if isinstance(error, Problem) else problem_sentence(error.code, language)
                return HandedOver(request_id=request_id, state="refused", code=error.code, detail=told)
        return HandedOver(request_id=request_id, state=receipt.state)

    each = [asyncio.ensure_future(one(request_id)) for request_id in dict.fromkeys(wanted.request_ids)]
    await asyncio.wait(each)  # a fault with one leaves none of the others half done
    return [came.result() for came in each]


def _order(wanted: HandOver, *, is_own: bool) -> Order:
    if is_own and wanted.dispatch:
        return CommentBody(comment=wanted.reason)
    if is_own and wanted.provider_id is not None:
        return TransferBody(provider_id=wanted.provider_id, comment=wanted.reason)
    return ReassignBody(**wanted.model_dump(exclude={"request_ids"}))
