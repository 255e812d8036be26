"""Restrictions of a request at the wish of the person whom it is about. For administrators of the clinic that asked for it."""

from uuid import UUID

from fastapi import APIRouter

from use_cases import restrictions
from use_cases.restrictions import EndedRestriction, NewRestriction, RequestRestrictions, RestrictionView
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(prefix="/requests/{request_id}/restrictions", tags=["restrictions"])


@router.get("", summary="To whom a request is shut")
async def get_restrictions(request_id: UUID, caller: CallerOf, services: ServicesOf) -> RequestRestrictions:
    """The restrictions that hold, the newest first. For administrators of the clinic that asked for it."""
    return await restrictions.read_restrictions(services, caller, request_id)


@router.post("", status_code=201, summary="Shut a request to somebody, at the person's wish")
async def restrict_request(
    request_id: UUID, new: NewRestriction, caller: CallerOf, services: ServicesOf
) -> RestrictionView:
    """To an account, or to everybody of a clinic in a role, whatever else they are: for them the request is not there any more.

    Who wrote it can't be shut out. Should whom it names hold the request, it goes back to dispatch. The same a second time is the
    restriction that there is.
    """
    return await restrictions.restrict(services, caller, request_id, new)


@router.post("/{restriction_id}/end", summary="End a restriction")
async def end_restriction(
    request_id: UUID, restriction_id: UUID, why: EndedRestriction, caller: CallerOf, services: ServicesOf
) -> RequestRestrictions:
    """Those that are left. What was shut, and why, stays on record; a second time changes nothing."""
    return await restrictions.end_restriction(services, caller, request_id, restriction_id, why)
