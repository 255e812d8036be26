"""Requests with all that stands behind them, many at a time: for what gives them out to other systems, page by page.

A page is cut by key and not by number, as the worklist's are: by the moment of the latest change and the id.
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Select, and_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from domain.requests import Role, Status
from records.models import EventRecord, FrozenForm, Json, ReportDraft, RequestRecord, StoredDocument
from records.visibility import Viewer, charts_of, parts_for, shut_to
from records.ways import BEYOND_DRAFT, Order, Sieve, first_of, in_order, only_asked

_Of = TypeVar("_Of", EventRecord, FrozenForm, StoredDocument)

Key = tuple[datetime, uuid.UUID]
"""Where a request stands: the moment of its latest change, and its id."""


@dataclass(frozen=True)
class Window:
    """Which requests: of these `statuses`, and of these `ids` where they are said; that stand after the key `after` and before
    `before`. The latest change is the last, or the first where it is `descending`.
    """

    statuses: frozenset[Status] = BEYOND_DRAFT
    ids: frozenset[uuid.UUID] | None = None
    after: Key | None = None
    before: Key | None = None
    descending: bool = False


async def first_in(session: AsyncSession, viewer: Viewer, window: Window, limit: int) -> list[RequestRecord]:
    """The first requests in the window of which the viewer may see the chart. They come without their form as it is written."""
    statement = _among(viewer, window, limit) if window.ids is not None else _along(viewer, window, limit)
    if statement is None:
        return []
    return list(await session.scalars(statement.options(defer(RequestRecord.form, raiseload=True))))


def _among(viewer: Viewer, window: Window, limit: int) -> Select[RequestRecord]:
    key = tuple_(RequestRecord.updated_at, RequestRecord.id)
    order = key.desc() if window.descending else key.asc()
    query = select(RequestRecord).where(RequestRecord.id.in_(window.ids or ()), charts_of(viewer))
    query = query.where(RequestRecord.status.in_(window.statuses - {Status.DRAFT}))
    if window.after is not None:
        query = query.where(key > tuple_(*window.after))
    if window.before is not None:
        query = query.where(key < tuple_(*window.before))
    return query.order_by(order).limit(limit)


def _along(viewer: Viewer, window: Window, limit: int) -> Select[RequestRecord] | None:
    """By the ways of the worklist, on which the first of each stretch lie at one place of an index."""
    parts = parts_for(viewer)
    if not parts:
        return None
    key = tuple_(RequestRecord.updated_at, RequestRecord.id)
    far = window.after if window.descending else window.before
    near = window.before if window.descending else window.after
    beyond = [] if far is None else [key > tuple_(*far) if window.descending else key < tuple_(*far)]
    if Role.OPERATOR in viewer.roles:
        beyond.append(only_asked(charts_of(viewer)))  # their list has more than charts
    sieve = Sieve(window.statuses - {Status.DRAFT}, not_among=(shut_to(viewer),))
    if far is not None:  # an index ends there; the very place is asked beside
        end = far[0]
        sieve = replace(sieve, updated_since=end) if window.descending else replace(sieve, updated_until=end)
    if beyond:
        sieve = sieve.and_(and_(*beyond))
    order = Order("update", descending=window.descending)
    page = first_of(parts, sieve, order, near, limit)
    return select(RequestRecord).join(page, page.c.id == RequestRecord.id).order_by(*in_order(page, order))


async def events_of(session: AsyncSession, ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, list[EventRecord]]:
    """What happened to each of these requests, oldest first."""
    query = select(EventRecord).where(EventRecord.request_id.in_(ids)).order_by(EventRecord.version)
    return await _by_request(session, query, ids)


async def forms_of(session: AsyncSession, ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, list[FrozenForm]]:
    """The forms of each that were frozen, also those whose submission was refused, oldest first."""
    query = select(FrozenForm).where(FrozenForm.request_id.in_(ids)).order_by(FrozenForm.number)
    return await _by_request(session, query, ids)


async def documents_of(session: AsyncSession, ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, list[StoredDocument]]:
    """The signed documents of each, in the order in which they were made."""
    query = select(StoredDocument).where(StoredDocument.request_id.in_(ids)).order_by(StoredDocument.number)
    return await _by_request(session, query, ids)


async def report_answers_of(session: AsyncSession, ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Json]:
    """What stands in the fields of each report as it was written last: of one that is signed, what was signed."""
    if not ids:
        return {}
    drafts = await session.scalars(select(ReportDraft).where(ReportDraft.request_id.in_(ids)))
    return {draft.request_id: draft.answers for draft in drafts}


async def _by_request(
    session: AsyncSession, query: Select[Any], ids: Collection[uuid.UUID]
) -> Mapping[uuid.UUID, list[_Of]]:
    found: dict[uuid.UUID, list[_Of]] = {id_: [] for id_ in ids}
    for one in await session.scalars(query) if ids else ():
        found[one.request_id].append(one)
    return found
