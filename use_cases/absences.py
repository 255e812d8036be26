"""When people are away: one's own absences, and those of colleagues for who runs the clinic."""

from datetime import UTC, date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from domain.absences import MAX_NOTE, Absence
from domain.model import COMPOSED, ONE_LINE, Discreet
from records import absences
from records.absences import AbsenceRefusedError
from records.models import AbsenceRecord
from use_cases import policy
from use_cases.caller import Caller
from use_cases.patients import WrittenDate
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.views import View

Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_NOTE), COMPOSED, ONE_LINE]


class NewAbsence(Discreet):
    """Days away, both ends included, on the calendar of America/Toronto; at most a year."""

    model_config = ConfigDict(extra="forbid")

    starts_on: WrittenDate = Field(examples=["2026-12-21"])
    ends_on: WrittenDate = Field(examples=["2027-01-03"])
    note: Note | None = Field(
        None, description="For those who see the absence at the clinic.", examples=["Congé des fêtes"]
    )


class AbsenceView(View):
    """An absence."""

    id: UUID
    account_id: UUID
    starts_on: date
    ends_on: date
    note: str | None
    created_at: datetime


async def list_absences(services: Services, caller: Caller, account_id: UUID) -> list[AbsenceView]:
    """One's own absences, or those of somebody at the clinic for its administrators and dispatchers, by their first day.

    Raises Problem `not_found`.
    """
    async with services.database.session() as session:
        await policy.absences_to_see(session, caller, account_id)
        return [_view(row) for row in await absences.list_absences(session, account_id)]


async def add_absence(
    services: Services, caller: Caller, account_id: UUID, absence: NewAbsence, key: str | None
) -> AbsenceView:
    """Enter an absence of one's own, or of somebody at the clinic for its administrators. The same `key` enters one.

    Raises Problem `not_found`, `forbidden`, the fault of the absence (`domain.absences`), or `idempotency_key_reused`.
    """
    async with services.database.session() as session:
        await policy.absences_to_change(session, caller, account_id)
        days, note = Absence(starts_on=absence.starts_on, ends_on=absence.ends_on), absence.note or None
        try:
            row = await absences.add_absence(
                session,
                account_id,
                days,
                note=note,
                created_by=caller.id,
                now=datetime.now(UTC),
                creation_key=key,
            )
        except AbsenceRefusedError as error:
            raise Problem(error.fault) from None
        if (absences.absence_of(row), row.note) != (days, note):
            raise Problem("idempotency_key_reused")
        return _view(row)


async def remove_absence(services: Services, caller: Caller, account_id: UUID, absence_id: UUID) -> None:
    """Take an absence back. Raises Problem `not_found` or `forbidden`."""
    async with services.database.session() as session:
        await policy.absences_to_change(session, caller, account_id)
        if not await absences.remove_absence(session, account_id, absence_id):
            raise Problem("not_found")


def _view(row: AbsenceRecord) -> AbsenceView:
    return AbsenceView(
        id=row.id,
        account_id=row.account_id,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        note=row.note,
        created_at=row.created_at,
    )
