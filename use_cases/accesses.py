"""Who looked at a request, what they looked at, and when."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act, Purpose
from domain.requests import Role, Status
from records import access, audit
from records.audit import By
from records.models import AuditEntry, RequestRecord
from use_cases import policy
from use_cases.caller import Caller
from use_cases.names import Names, PersonView
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.views import View

ONE_LOOK = timedelta(minutes=15)
"""Looks at the same thing within this time are one."""

ONE_OPENING = timedelta(hours=12)
"""As long as a page stays open, what it has shown is not written down again when it renews itself."""


class AccessView(View):
    """One look at a request."""

    at: datetime
    by: PersonView | None
    role: Role
    what: Act
    object_id: UUID | None
    emergency: bool = Field(
        False, description="Whether they had opened it in an emergency, and would not see it otherwise."
    )
    system: bool = Field(False, description="Whether it was a system of that clinic, by its service account.")
    on_behalf_of: PersonView | None = Field(
        None, description="The person for whom the system looked, if it was for one."
    )


async def list_accesses(services: Services, caller: Caller, request_id: UUID) -> list[AccessView]:
    """The newest 200 looks, for the request's requester and for administrators of a clinic that has to do with it.

    Raises Problem `not_found`, `forbidden` or `not_yet`.
    """
    async with services.database.session() as session:
        await _must_be_shown_looks(session, caller, request_id)
        looks = await _looks(session, await access.list_accesses(session, request_id))
    names = looks.names
    return [
        AccessView(
            at=entry.at,
            by=names.person(entry.account_id),
            role=entry.role,
            what=entry.kind,
            object_id=entry.object_id,
            emergency=entry.purpose is Purpose.EMERGENCY,
            system=names.is_system(entry.account_id),
            on_behalf_of=names.person(entry.for_account_id),
        )
        for entry in looks.entries
    ]


@dataclass(frozen=True)
class Looks:
    """Looks at one request as the audit has them, the newest first, and whom they name."""

    entries: Sequence[AuditEntry]
    names: Names


async def read_looks(services: Services, caller: Caller, request_id: UUID, *, before: UUID | None, limit: int) -> Looks:
    """The newest looks, or those before that entry, for whom `list_accesses` names; that they were shown is written down.

    Raises Problem `not_found`, `forbidden` or `not_yet`.
    """
    async with services.database.session() as session:
        await _must_be_shown_looks(session, caller, request_id)
        _note_shown(session, caller, request_id)
        return await _looks(session, await access.list_accesses(session, request_id, before=before, limit=limit))


async def read_look(services: Services, caller: Caller, entry_id: UUID) -> Looks:
    """One of them alone. Raises as `read_looks` does."""
    async with services.database.session() as session:
        entry = await access.load_look(session, entry_id)
        if entry is None or entry.request_id is None:
            raise Problem("not_found")
        await _must_be_shown_looks(session, caller, entry.request_id)
        _note_shown(session, caller, entry.request_id)
        return await _looks(session, [entry])


async def _must_be_shown_looks(session: AsyncSession, caller: Caller, request_id: UUID) -> None:
    row = await policy.chart_to_see(session, caller, request_id)
    if row.requester_id != caller.id:
        policy.must_have_role(caller, Role.CLINIC_ADMINISTRATOR)


def _note_shown(session: AsyncSession, caller: Caller, request_id: UUID) -> None:
    audit.add(session, Act.LOOK, by(caller), datetime.now(UTC), name="accesses", request_id=request_id)


async def _looks(session: AsyncSession, entries: Sequence[AuditEntry]) -> Looks:
    named = [id_ for entry in entries for id_ in (entry.account_id, entry.for_account_id)]
    return Looks(entries, await Names.load(session, named, []))


def by(caller: Caller) -> By:
    """The caller, as the audit names who acts."""
    return By(caller.actual_id, caller.side, caller.address, caller.clinic_id, caller.acts_for)


async def log_lines(session: AsyncSession, caller: Caller, request_ids: Collection[UUID]) -> None:
    """Write down of which requests the caller was shown a line with its patient.

    A list that is open renews itself: that is written down only where it shows a request that the list before did not.
    """
    now = datetime.now(UTC)
    if caller.renews and await audit.last_shown(session, by(caller), since=now - ONE_OPENING) >= set(request_ids):
        audit.note_written(Act.LIST)
        return
    audit.add(session, Act.LIST, by(caller), now, shown=request_ids)


async def log_access(
    session: AsyncSession, caller: Caller, row: RequestRecord, kind: Act, object_id: UUID | None = None
) -> None:
    """Write down that the caller looked at something of a request. One's own draft is nobody else's business yet.

    A page that is open renews itself with all that happens, also when somebody else comes or goes: that is written down only
    where it shows more of the request than this person has seen.
    """
    if row.status is Status.DRAFT:
        return
    if caller.renews and await _was_logged(
        *(session, caller, row, kind, object_id), within=ONE_OPENING, version=row.process_version
    ):
        return
    await access.log_access(
        session,
        by(caller),
        kind,
        datetime.now(UTC),
        request_id=row.id,
        role=policy.role_before(caller, row),
        version=row.process_version,
        object_id=object_id,
        in_emergency=caller.opening is not None,
    )


async def log_unless_just_seen(
    session: AsyncSession, caller: Caller, row: RequestRecord, kind: Act, object_id: UUID
) -> None:
    """Write a look down at what a page shows besides, unless it was looked at a moment ago."""
    if not await was_just_seen(session, caller, row, kind, object_id):
        await log_access(session, caller, row, kind, object_id)


async def log_unless_opened(session: AsyncSession, caller: Caller, row: RequestRecord, attachment_id: UUID) -> None:
    """Write a look at what belongs to an attachment down, unless it or the request was opened a moment ago."""
    for kind, what in ((Act.REQUEST, None), (Act.PREVIEW, attachment_id)):
        if await was_just_seen(session, caller, row, kind, what):
            return
    await log_access(session, caller, row, Act.PREVIEW, attachment_id)


async def was_just_seen(
    session: AsyncSession, caller: Caller, row: RequestRecord, kind: Act, object_id: UUID | None
) -> bool:
    """Whether the same look of theirs was written down a moment ago, and stands for another."""
    return await _was_logged(session, caller, row, kind, object_id, within=ONE_LOOK)


async def _was_logged(
    session: AsyncSession,
    caller: Caller,
    row: RequestRecord,
    kind: Act,
    object_id: UUID | None,
    *,
    within: timedelta,
    version: int = 0,
) -> bool:
    return await access.was_logged(
        *(session, row.id, by(caller), kind, object_id),
        since=datetime.now(UTC) - within,
        version=version,
        in_emergency=caller.opening is not None,
    )
