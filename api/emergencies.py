"""Access in an emergency: what somebody does not see otherwise, by the number of the request, with a reason and a proof."""

from uuid import UUID

from fastapi import APIRouter

from api.parameters import IdempotencyKey
from use_cases import emergencies
from use_cases.emergencies import NewOpening, OpeningView
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(prefix="/emergency-openings", tags=["emergencies"])


@router.get("", summary="What was opened in an emergency")
async def list_openings(caller: CallerOf, services: ServicesOf) -> list[OpeningView]:
    """What the caller opened; for administrators also what others of their clinic did, and others still of what it asked for.

    At most 200, the newest first.
    """
    return await emergencies.list_openings(services, caller)


@router.post("", status_code=201, summary="Open a request in an emergency")
async def open_in_emergency(
    new: NewOpening, caller: CallerOf, services: ServicesOf, key: IdempotencyKey
) -> OpeningView:
    """For providers and requesters of a clinic that ever had to do with it, where theirs and the clinic that asked have turned
    that on. From then on they read it, for four hours; the administrators of both clinics are told at once.

    Whether there is such a request, or no right to it, the answer is `nothing_to_open`. What is open already is what there is.
    """
    return await emergencies.open_in_emergency(services, caller, new, key)


@router.post("/{opening_id}/end", summary="End an access in an emergency")
async def end_opening(opening_id: UUID, caller: CallerOf, services: ServicesOf) -> OpeningView:
    """For who opened it, and for administrators of both clinics. A second time changes nothing."""
    return await emergencies.end(services, caller, opening_id)
