"""The same order for several requests at once: each is a command of its own, and what became of each is told."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from pydantic import Field

from domain.absences import Absence
from domain.refusals import Refusal
from translations import Language
from translations.problems import problem_sentence
from use_cases.caller import Caller
from use_cases.commands import Call, Order, carry_out
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.views import View

MOST_AT_ONCE = 200
"""Requests that are dealt with by one order."""

_SIDE_BY_SIDE = 4


class PartReceipt(View):
    """What became of one request of several. `refused` says why, in `code` and `detail`; nothing has changed then."""

    request_id: UUID
    state: Literal["done", "queued", "refused"]
    code: str | None = Field(None, examples=["version_conflict"])
    detail: str | None = None
    holder_absence: Absence | None = Field(None, description="As in the receipt of a single command.")
    offering_not_served: bool = Field(False, description="As in the receipt of a single command.")


@dataclass(frozen=True)
class Seen:
    """What somebody saw of a request when they chose it, where it counts: its version, or who held it."""

    version: int | None = None
    held_by: UUID | None = None


async def order_each(
    services: Services, caller: Caller, chosen: Mapping[UUID, Seen], order: Order, key: str | None, language: Language
) -> list[PartReceipt]:
    """Give the order for each of the chosen requests; what became of each, in their order.

    One that is refused hinders no other, and with the same `key` each acts once: its command's id follows from key and request.
    """
    turn = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def one(request_id: UUID, seen: Seen) -> PartReceipt:
        command_id = caller.command_id(f"{key}/{request_id}" if key else None)
        call = Call(caller, request_id, command_id, expected_version=seen.version, held_by=seen.held_by)
        async with turn:
            return await _given(services, call, order, language)

    each = [asyncio.ensure_future(one(request_id, seen)) for request_id, seen in chosen.items()]
    await asyncio.wait(each)  # a fault with one leaves none of the others half done
    return [came.result() for came in each]


async def _given(services: Services, call: Call, order: Order, language: Language) -> PartReceipt:
    try:
        receipt = await carry_out(services, call, order)
    except (Problem, Refusal) as error:
        if error.code == "engine_unreachable":  # it is written down, and is given again
            return PartReceipt(request_id=call.request_id, state="queued")
        told = error.told(language) if isinstance(error, Problem) else problem_sentence(error.code, language)
        return PartReceipt(request_id=call.request_id, state="refused", code=error.code, detail=told)
    return PartReceipt(
        request_id=call.request_id,
        state=receipt.state,
        holder_absence=receipt.holder_absence,
        offering_not_served=receipt.offering_not_served,
    )
