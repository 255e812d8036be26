"""Filters of the worklist that one keeps."""

from uuid import UUID

from fastapi import APIRouter

from use_cases import saved_filters
from use_cases.saved_filters import FilterView, NewFilter
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["requests"])


@router.get("/me/filters", summary="My filters")
async def get_filters(caller: CallerOf, services: ServicesOf) -> list[FilterView]:
    """The filters of the worklist that one has kept, by name. Their criteria are the parameters of `GET /requests`."""
    return await saved_filters.list_filters(services, caller)


@router.put("/me/filters", summary="Keep a filter")
async def put_filter(wanted: NewFilter, caller: CallerOf, services: ServicesOf) -> FilterView:
    """Keep a filter under its name, instead of one that has this name already; 50 at most."""
    return await saved_filters.save_filter(services, caller, wanted)


@router.delete("/me/filters/{filter_id}", status_code=204, summary="Forget a filter")
async def delete_filter(filter_id: UUID, caller: CallerOf, services: ServicesOf) -> None:
    """Forget a filter of one's own."""
    await saved_filters.remove_filter(services, caller, filter_id)
