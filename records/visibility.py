"""Who may see which request, and how much of it. All is denied unless a line below allows it.

The rule stands here three times, for a worklist must be one database query: `charts_of` and `processes_of` are the conditions
in SQL, `parts_for` says where the indexes lead to what is listed, `may_see` is the same in plain Python. A test keeps them
the same.

| role | sees the chart | sees the process only |
| --- | --- | --- |
| requester | own requests, drafts too; (**) | |
| dispatcher | what their clinic dispatches | |
| provider | what they or their clinic's pool hold, what they ever acted on (*) | what was ever offered to them or the pool |
| clinic administrator | what their clinic asked for, dispatches or holds | |
| operator | | everything |

(*) And what a colleague of their clinic has signed who is away, while something is asked about its report.

(**) And of a colleague of their clinic, what they ever acted on, and what has a report that the colleague has not read in time.

Nobody but its requester sees a draft. The process is the status and the names of those who act, without anything of the patient.

Before all of this comes a restriction at the person's wish (`records.restrictions`): whom it names sees nothing, whatever else
they are. Parts lead to what is restricted as well, so lists leave it out by their sieve (`shut_to`).
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, Self

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Uuid,
    and_,
    any_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.requests import HolderKind, Role, Status
from records import restrictions, unread_reports
from records.absences import is_away_provider
from records.models import Account, EventRecord, OfferedPool, Participant, RequestParty, RequestRecord
from records.ways import ALL, CLINIC_WAYS, Part

Access = Literal["chart", "process"]
"""How much of a request somebody may see."""


@dataclass(frozen=True)
class Viewer:
    """Who looks: an account, its clinic and all its roles; and the clinic's system, where one looks, for them or for nobody.

    With `had_roles`, as it was while the account had these.
    """

    account_id: uuid.UUID
    clinic_id: uuid.UUID
    roles: frozenset[Role]
    had_roles: frozenset[Role] | None = None
    system_id: uuid.UUID | None = None

    @classmethod
    def of(cls, account: Account) -> Self:
        """The person of an account, in all its roles."""
        return cls(account.id, account.clinic_id, frozenset(map(Role, account.roles)))


async def access(session: AsyncSession, viewer: Viewer, row: RequestRecord) -> Access | None:
    """How much of this request the viewer may see; None for nothing, not even that it exists."""
    if await is_shut_to(session, viewer, row):
        return None
    if may_see(viewer, row, participants=(), pools=(), holders=(), is_shut=False) == "chart":
        return "chart"  # the request itself says so; the rest need not be asked
    if await covers(session, viewer, row) or await reads_for_requester(session, viewer, row):
        return "chart"
    participants = await session.scalars(select(Participant.account_id).where(Participant.request_id == row.id))
    pools = await session.scalars(select(OfferedPool.clinic_id).where(OfferedPool.request_id == row.id))
    holders = await session.scalars(
        select(EventRecord.holder["id"].astext).where(
            EventRecord.request_id == row.id, EventRecord.holder["kind"].astext == HolderKind.PROVIDER
        )
    )
    held = {uuid.UUID(id_) for id_ in holders}
    return may_see(viewer, row, participants=participants.all(), pools=pools.all(), holders=held, is_shut=False)


async def is_shut_to(session: AsyncSession, viewer: Viewer, row: RequestRecord) -> bool:
    """Whether a restriction shuts the request to the viewer."""
    if row.requester_id == viewer.account_id and viewer.system_id is None:
        return False  # and need not be asked
    return await restrictions.is_shut_to(
        session, viewer.account_id, viewer.clinic_id, viewer.roles, row.id, system_id=viewer.system_id
    )


def shut_to(viewer: Viewer) -> Select[uuid.UUID]:
    """The ids of the requests that restrictions shut to the viewer: few, and looked up once."""
    return restrictions.shut_to(
        viewer.account_id, viewer.clinic_id, viewer.roles, viewer.had_roles, system_id=viewer.system_id
    )


async def all_shut_to(session: AsyncSession, viewer: Viewer | None) -> set[uuid.UUID]:
    """The same, looked up; none for whoever is at the machine (None)."""
    return set(await session.scalars(shut_to(viewer))) if viewer is not None else set()


def is_open_to(viewer: Viewer | None) -> ColumnElement[bool]:
    """Of rows of `RequestRecord`: that no restriction shuts them to the viewer; none does to whoever is at the machine (None)."""
    return true() if viewer is None else RequestRecord.id.not_in(shut_to(viewer))


async def covers(session: AsyncSession, viewer: Viewer, row: RequestRecord) -> bool:
    """Whether the viewer answers what is asked about the report, for a colleague who has signed it and is away today, or to whom
    it is shut."""
    signer_id = row.follow_up_signer_id
    if signer_id is None or signer_id == viewer.account_id or row.follow_up_clinic_id != viewer.clinic_id:
        return False
    return Role.PROVIDER in viewer.roles and await restrictions.is_away(session, row.id, signer_id)


async def reads_for_requester(session: AsyncSession, viewer: Viewer, row: RequestRecord) -> bool:
    """Whether the viewer may read the report of a requester of their clinic, who has not in time."""
    if row.unread_colleagues_from is None or row.requester_clinic_id != viewer.clinic_id:
        return False
    query = select(RequestRecord.id).where(RequestRecord.id == row.id, read_for_others_by(viewer))
    return await session.scalar(query) is not None


async def has_to_do_with(session: AsyncSession, clinic_id: uuid.UUID, other_id: uuid.UUID) -> bool:
    """Whether one of the two asked for, dispatches or holds a request with which the other ever had to do."""
    one_way = select(RequestParty).where(RequestParty.clinic_id == clinic_id, RequestParty.party_id == other_id)
    other_way = select(RequestParty).where(RequestParty.clinic_id == other_id, RequestParty.party_id == clinic_id)
    return bool(await session.scalar(select(or_(one_way.exists(), other_way.exists()))))


async def acted_with(session: AsyncSession, clinic_id: uuid.UUID, account_id: uuid.UUID) -> bool:
    """Whether somebody acted on a request with which the clinic ever had to do."""
    ours = exists().where(RequestParty.request_id == Participant.request_id, RequestParty.clinic_id == clinic_id)
    query = select(Participant).where(Participant.account_id == account_id, ours)
    return bool(await session.scalar(select(query.exists())))


def may_see(
    viewer: Viewer,
    row: RequestRecord,
    *,
    participants: Collection[uuid.UUID],
    pools: Collection[uuid.UUID],
    holders: Collection[uuid.UUID],
    is_shut: bool,
) -> Access | None:
    """The rule in Python: who ever acted on the request, the clinics of its pools, the providers who ever held it, and whether a
    restriction shuts it to the viewer (`is_shut_to`).
    """
    if is_shut:
        return None
    if Role.REQUESTER in viewer.roles and row.requester_id == viewer.account_id:
        return "chart"
    if row.status is Status.DRAFT:
        return None
    if _chart_by_role(viewer, row, participants):
        return "chart"
    was_offered = viewer.clinic_id in pools or viewer.account_id in holders
    if Role.OPERATOR in viewer.roles or (Role.PROVIDER in viewer.roles and was_offered):
        return "process"
    return None


def _chart_by_role(viewer: Viewer, row: RequestRecord, participants: Collection[uuid.UUID]) -> bool:
    if Role.DISPATCHER in viewer.roles and row.dispatch_clinic_id == viewer.clinic_id:
        return True
    if Role.PROVIDER in viewer.roles and (
        (row.holder_kind is HolderKind.PROVIDER and row.holder_id == viewer.account_id)
        or (row.holder_kind is HolderKind.POOL and row.holder_clinic_id == viewer.clinic_id)
        or viewer.account_id in participants
    ):
        return True
    asked_for_by_ours = viewer.clinic_id == row.requester_clinic_id
    if Role.REQUESTER in viewer.roles and asked_for_by_ours and viewer.account_id in participants:
        return True
    return Role.CLINIC_ADMINISTRATOR in viewer.roles and viewer.clinic_id in (
        row.requester_clinic_id,
        row.dispatch_clinic_id,
        row.holder_clinic_id,
    )


def charts_of(viewer: Viewer) -> ColumnElement[bool]:
    """The rule in SQL: the requests whose chart the viewer may see."""
    own: ColumnElement[bool] = false()
    process: ColumnElement[bool] = false()
    acted = _acted_on_by(viewer)
    if Role.REQUESTER in viewer.roles:
        own = RequestRecord.requester_id == viewer.account_id
        ours = RequestRecord.requester_clinic_id == viewer.clinic_id
        process = or_(process, and_(ours, acted), read_for_others_by(viewer))
    if Role.DISPATCHER in viewer.roles:
        process = or_(process, RequestRecord.dispatch_clinic_id == viewer.clinic_id)
    if Role.PROVIDER in viewer.roles:
        process = or_(
            process,
            and_(RequestRecord.holder_kind == HolderKind.PROVIDER, RequestRecord.holder_id == viewer.account_id),
            and_(RequestRecord.holder_kind == HolderKind.POOL, RequestRecord.holder_clinic_id == viewer.clinic_id),
            acted,
            covered_by(viewer),
        )
    if Role.CLINIC_ADMINISTRATOR in viewer.roles:
        process = or_(
            process,
            RequestRecord.requester_clinic_id == viewer.clinic_id,
            RequestRecord.dispatch_clinic_id == viewer.clinic_id,
            RequestRecord.holder_clinic_id == viewer.clinic_id,
        )
    return and_(_is_open_to(viewer), or_(own, and_(RequestRecord.status != Status.DRAFT, process)))


def processes_of(viewer: Viewer) -> ColumnElement[bool]:
    """The rule in SQL: the requests of which the viewer may see the process, if not the chart."""
    process = _operates(viewer)
    if Role.PROVIDER in viewer.roles:
        process = or_(process, any_(_pools_of_request()) == viewer.clinic_id, _was_held_by(viewer))
    return and_(_is_open_to(viewer), RequestRecord.status != Status.DRAFT, process)


def listed_for(viewer: Viewer) -> ColumnElement[bool]:
    """The requests in the viewer's worklist: those whose chart they may see; for operators, all."""
    operated = and_(_is_open_to(viewer), RequestRecord.status != Status.DRAFT, _operates(viewer))
    return or_(charts_of(viewer), operated)


def parts_for(viewer: Viewer) -> list[Part]:
    """The same requests, as the parts of the records in which they are found; among them those that are `shut_to` the viewer."""
    parts = []
    if Role.REQUESTER in viewer.roles:
        own = frozenset({Status.DRAFT}) if Role.OPERATOR in viewer.roles else ALL
        parts.append(Part("requester", viewer.account_id, own, clinic=viewer.clinic_id))
    if Role.OPERATOR in viewer.roles:
        return [*parts, Part("all")]
    if Role.CLINIC_ADMINISTRATOR in viewer.roles:
        parts += [Part(way, viewer.clinic_id) for way in CLINIC_WAYS]
    elif Role.DISPATCHER in viewer.roles:
        parts.append(Part("dispatch_clinic", viewer.clinic_id))
    if Role.PROVIDER in viewer.roles:
        by_name = RequestRecord.holder_kind == HolderKind.PROVIDER
        parts.append(Part("holder", viewer.account_id, condition=by_name, clinic=viewer.clinic_id))
        parts += [Part("pool", viewer.clinic_id), Part("acted_on", viewer.account_id, home=viewer.clinic_id)]
        parts.append(Part("asked_clinic", viewer.clinic_id, condition=covered_by(viewer)))
    if Role.REQUESTER in viewer.roles:
        parts.append(Part("unread_clinic", viewer.clinic_id, condition=read_for_others_by(viewer)))
        if Role.PROVIDER not in viewer.roles:
            by_ours = _was_asked_for_in(viewer.clinic_id)
            parts.append(Part("acted_on", viewer.account_id, condition=by_ours, home=viewer.clinic_id))
    elif Role.PROVIDER in viewer.roles:  # what they asked for themselves, while they were a requester
        acted = _acted_on_by(viewer)
        parts.append(Part("requester", viewer.account_id, condition=acted, clinic=viewer.clinic_id))
    return parts


def access_of(viewer: Viewer) -> ColumnElement[Access | None]:
    """The rule in SQL as a column: ``chart``, ``process`` or NULL."""
    return case((charts_of(viewer), literal("chart")), (processes_of(viewer), literal("process")), else_=null())


def covered_by(viewer: Viewer) -> ColumnElement[bool]:
    """`covers` in SQL."""
    if Role.PROVIDER not in viewer.roles:
        return false()
    return and_(
        RequestRecord.follow_up_clinic_id == viewer.clinic_id,
        RequestRecord.follow_up_signer_id != viewer.account_id,
        or_(
            is_away_provider(RequestRecord.follow_up_signer_id),
            restrictions.is_shut_to_account(RequestRecord.follow_up_signer_id),
        ),
    )


def read_for_others_by(viewer: Viewer) -> ColumnElement[bool]:
    """`reads_for_requester` in SQL."""
    return unread_reports.reads_for(viewer.account_id, viewer.clinic_id, viewer.roles)


def _is_open_to(viewer: Viewer) -> ColumnElement[bool]:
    return RequestRecord.id.not_in(shut_to(viewer))


def _acted_on_by(viewer: Viewer) -> ColumnElement[bool]:
    return any_(_actors_of_request()) == viewer.account_id


def _was_asked_for_in(clinic_id: uuid.UUID) -> ColumnElement[bool]:
    """Of what somebody has acted on: whether that clinic asked for it."""
    asked = aliased(RequestRecord)
    by = select(asked.requester_clinic_id).where(asked.id == Participant.request_id)  # a look at one row
    return by.scalar_subquery() == clinic_id


def _operates(viewer: Viewer) -> ColumnElement[bool]:
    return true() if Role.OPERATOR in viewer.roles else false()


def _was_held_by(viewer: Viewer) -> ColumnElement[bool]:
    """By the timeline of the request at hand: asked of rows that were found otherwise, never to find them."""
    return exists().where(
        EventRecord.request_id == RequestRecord.id,
        EventRecord.holder["kind"].astext == HolderKind.PROVIDER,
        cast(EventRecord.holder["id"].astext, Uuid) == viewer.account_id,
    )


# Arrays of the request at hand: never those of all that somebody ever had to do with.


def _actors_of_request() -> ColumnElement[list[uuid.UUID]]:
    return func.array(
        select(Participant.account_id).where(Participant.request_id == RequestRecord.id).scalar_subquery(),
        type_=ARRAY(Uuid()),
    )


def _pools_of_request() -> ColumnElement[list[uuid.UUID]]:
    return func.array(
        select(OfferedPool.clinic_id).where(OfferedPool.request_id == RequestRecord.id).scalar_subquery(),
        type_=ARRAY(Uuid()),
    )
