"""What clinics' systems call requests by themselves: an order's number, or a chart's."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from domain import texts
from domain.model import COMPOSED, ONE_LINE, SAYS_SOMETHING, Discreet
from records import references
from records.errors import ReferenceTakenError
from records.models import RequestRecord, RequestReference
from use_cases import policy
from use_cases.caller import Caller
from use_cases.names import Names, PersonView
from use_cases.problems import FieldFault, Problem
from use_cases.services import Services
from use_cases.views import View

Reference = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100), COMPOSED, ONE_LINE, SAYS_SOMETHING]
"""What a system calls a request: one line, taken as it is."""


class ReferenceView(View):
    """What a system of the caller's clinic calls the request."""

    system: PersonView | None
    reference: str = Field(examples=["ORD-4711"])


class GivenReference(Discreet):
    """What the calling system calls a request from now on."""

    model_config = ConfigDict(extra="forbid")

    reference: Reference = Field(examples=["ORD-4711"])


async def refer(services: Services, caller: Caller, request_id: UUID, reference: str | None) -> Sequence[ReferenceView]:
    """From now on the calling system calls the request so; None for not any more.

    Raises Problem `not_found`, `forbidden` (for who is no system), `reference_taken` or `not_yet`.
    """
    async with services.database.session() as session:
        row = await policy.chart_to_see(session, caller, request_id)
        if caller.system is None:
            raise Problem("forbidden")
        await give(session, caller, row, reference)
        return await references_shown(session, caller, row)


async def give(session: AsyncSession, caller: Caller, row: RequestRecord, reference: str | None) -> None:
    """The same within a transaction, of a request that the caller may see. Raises Problem `invalid_input`, `reference_taken`."""
    if caller.system is None:
        raise Problem("invalid_input", [FieldFault("reference", "not_expected")])
    try:
        await references.refer(session, row.id, caller.system.account.id, reference)
    except ReferenceTakenError:
        raise Problem("reference_taken") from None


async def requests_referred_to(services: Services, caller: Caller, system_id: UUID, reference: str) -> frozenset[UUID]:
    """The requests that this system of the caller's clinic calls so, for who then asks whether the caller may see them.

    A system is told of its own references alone.
    """
    if caller.system is not None and caller.system.account.id != system_id:
        return frozenset()
    async with services.database.session() as session:
        query = references.referred_to(session, texts.composed(reference.strip()), caller.clinic_id, system_id)
        return frozenset(await session.scalars(query))


def is_shown_to(caller: Caller, reference: RequestReference) -> bool:
    """Of the references of the caller's clinic: to a system, its own."""
    return caller.system is None or caller.system.account.id == reference.system_id


async def references_shown(session: AsyncSession, caller: Caller, row: RequestRecord) -> list[ReferenceView]:
    """Those of the systems of the caller's clinic; to a system, its own."""
    found = await references.references_to(session, row.id, caller.clinic_id)
    found = [one for one in found if is_shown_to(caller, one)]
    if not found:
        return []
    names = await Names.load(session, [one.system_id for one in found], [])
    return [ReferenceView(system=names.person(one.system_id), reference=one.value) for one in found]
