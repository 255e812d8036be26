"""What uses the versions of the service offerings: for `relais offerings`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, case, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.requests import Status
from records.models import OfferingVersion, RequestRecord

FINAL = [status for status in Status if status.is_final]


@dataclass(frozen=True)
class VersionUse:
    """How many requests have a version of an offering. `since` is None for one that the records do not know."""

    code: str
    version: int
    since: datetime | None
    drafts: int = 0
    open: int = 0
    ended: int = 0


async def offering_use(session: AsyncSession) -> list[VersionUse]:
    """Every version that the records know or a request has, by code and version."""
    terms = RequestRecord.process["terms"]
    code, version = terms["offering"].astext, cast(terms["offering_version"].astext, Integer)
    state = case(
        (RequestRecord.status == Status.DRAFT, "drafts"), (RequestRecord.status.in_(FINAL), "ended"), else_="open"
    )
    counted: dict[tuple[str, int], dict[str, int]] = {}
    query = select(code, version, state, func.count()).group_by(code, version, state)
    for code_, version_, state_, count in await session.execute(query):
        counted.setdefault((code_, version_), {})[state_] = count
    known: Mapping[tuple[str, int], datetime] = {
        (row.code, row.version): row.since for row in await session.scalars(select(OfferingVersion))
    }
    return [
        VersionUse(code_, version_, known.get((code_, version_)), **counted.get((code_, version_), {}))
        for code_, version_ in sorted(known.keys() | counted.keys())
    ]
