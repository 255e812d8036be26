"""Filters of the worklist that somebody keeps under a name: what they are called, and what they ask for."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from domain.model import Frozen, KeptName, Storable
from domain.priority import Priority
from domain.requests import Status
from records import saved_filters
from records.models import SavedFilter
from records.worklist import Sort
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.views import View

MOST_FILTERS = 50
"""So many a person can keep."""


class Criteria(Frozen):
    """What a worklist is to show: the parameters of `GET /requests`, by their names."""

    status: list[Status] = Field([], max_length=20)
    holder: Literal["me"] | UUID | None = None
    todo: bool | None = None
    clinic: UUID | None = None
    overdue: bool | None = None
    holder_absent: bool | None = None
    offering: Annotated[Storable, StringConstraints(max_length=64)] | None = None
    priority: Priority | None = None
    submitted_from: date | None = None
    submitted_until: date | None = None
    q: Annotated[Storable, StringConstraints(max_length=100)] | None = None
    sort: Sort = "due"


class NewFilter(Frozen):
    """A filter to keep. One of the same name is replaced."""

    name: KeptName = Field(examples=["En retard, dermatologie"])
    criteria: Criteria


class FilterView(View):
    """A filter that was kept."""

    id: UUID
    name: str
    criteria: Criteria


async def list_filters(services: Services, caller: Caller) -> list[FilterView]:
    """One's own, by name."""
    async with services.database.session() as session:
        return [_view(row) for row in await saved_filters.list_filters(session, caller.id)]


async def save_filter(services: Services, caller: Caller, wanted: NewFilter) -> FilterView:
    """Keep a filter. Raises Problem `too_many_filters`."""
    criteria = wanted.criteria.model_dump(mode="json", exclude_defaults=True)
    async with services.database.session() as session:
        row = await saved_filters.save_filter(
            session, caller.id, wanted.name, criteria, now=datetime.now(UTC), at_most=MOST_FILTERS
        )
        if row is None:
            raise Problem("too_many_filters", limit=MOST_FILTERS)
        return _view(row)


async def remove_filter(services: Services, caller: Caller, filter_id: UUID) -> None:
    """Forget one of one's own. Raises Problem `not_found`."""
    async with services.database.session() as session:
        if not await saved_filters.remove_filter(session, caller.id, filter_id):
            raise Problem("not_found")


def _view(row: SavedFilter) -> FilterView:
    return FilterView(id=row.id, name=row.name, criteria=Criteria.model_validate(row.criteria))
