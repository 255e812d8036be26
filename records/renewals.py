"""How many requests live under which version of the rules, and open ones that are to move to another, or to another calendar."""

import uuid
from collections.abc import Mapping

from sqlalchemy import ColumnElement, Integer, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import Request, Status
from records.models import RequestRecord
from records.requests import needs_workflow, process_of
from records.sealed import unread


def _rules() -> ColumnElement[int]:
    return func.coalesce(cast(RequestRecord.process["rules"].astext, Integer), 1)


async def count_by_rules(session: AsyncSession) -> Mapping[int, tuple[int, int]]:
    """Version of the rules to how many requests live under it: open ones, and ended ones. A draft lives under none yet."""
    rules = _rules().label("rules")
    is_open = needs_workflow()
    query = select(rules, func.count().filter(is_open), func.count().filter(~is_open)).group_by(rules)
    counted = await session.execute(query.where(RequestRecord.status != Status.DRAFT))
    return {version: (open_, ended) for version, open_, ended in counted}


async def open_requests(
    session: AsyncSession,
    *,
    after: uuid.UUID | None,
    below_rules: int | None = None,
    clinic_id: uuid.UUID | None = None,
    limit: int = 500,
) -> list[Request]:
    """A page of open requests in the order of their ids: under rules older than `below_rules`, dispatched by `clinic_id`."""
    query = select(RequestRecord).where(needs_workflow()).order_by(RequestRecord.id).limit(limit)
    if after is not None:
        query = query.where(RequestRecord.id > after)
    if below_rules is not None:
        query = query.where(_rules() < below_rules)
    if clinic_id is not None:
        query = query.where(RequestRecord.dispatch_clinic_id == clinic_id)
    return [process_of(row) for row in await session.scalars(query.options(*unread(RequestRecord)))]
