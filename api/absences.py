"""When people are away: one's own absences, and those of colleagues for who runs the clinic."""

from datetime import UTC, date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from api.parameters import IdempotencyKey
from domain.absences import MAX_NOTE, Absence
from domain.model import COMPOSED, ONE_LINE
from records import absences
from records.absences import AbsenceRefusedError
from records.models import AbsenceRecord
from use_cases import policy
from use_cases.caller import Caller
from use_cases.patients import WrittenDate
from use_cases.problems import Problem
from use_cases.views import View
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["absences"])


Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_NOTE), COMPOSED, ONE_LINE]


class NewAbsence(BaseModel):
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


@router.get("/me/absences", summary="When I am away")
async def get_my_absences(caller: CallerOf, services: ServicesOf) -> list[AbsenceView]:
    """One's own absences, past ones too, by their first day."""
    return await get_absences(caller.id, caller, services)


@router.post("/me/absences", status_code=201, summary="I will be away")
async def add_my_absence(
    absence: NewAbsence, caller: CallerOf, services: ServicesOf, key: IdempotencyKey
) -> AbsenceView:
    """Enter an absence of one's own. It may have begun, but not be over, and overlaps no other."""
    return await add_absence(caller.id, absence, caller, services, key)


@router.delete("/me/absences/{absence_id}", status_code=204, summary="I will not be away after all")
async def remove_my_absence(absence_id: UUID, caller: CallerOf, services: ServicesOf) -> None:
    """Take an absence of one's own back."""
    await remove_absence(caller.id, absence_id, caller, services)


@router.get("/accounts/{account_id}/absences", summary="When somebody is away")
async def get_absences(account_id: UUID, caller: CallerOf, services: ServicesOf) -> list[AbsenceView]:
    """The absences of somebody at the clinic, for its administrators and its dispatchers, past ones too, by their first day."""
    async with services.database.session() as session:
        return await absences_view(session, caller, account_id)


@router.post("/accounts/{account_id}/absences", status_code=201, summary="Somebody will be away")
async def add_absence(
    account_id: UUID, absence: NewAbsence, caller: CallerOf, services: ServicesOf, key: IdempotencyKey
) -> AbsenceView:
    """Enter an absence of somebody at the clinic, for its administrators. It may have begun, but not be over."""
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


@router.delete(
    "/accounts/{account_id}/absences/{absence_id}", status_code=204, summary="Somebody will not be away after all"
)
async def remove_absence(account_id: UUID, absence_id: UUID, caller: CallerOf, services: ServicesOf) -> None:
    """Take an absence of somebody at the clinic back, for its administrators."""
    async with services.database.session() as session:
        await policy.absences_to_change(session, caller, account_id)
        if not await absences.remove_absence(session, account_id, absence_id):
            raise Problem("not_found")


async def absences_view(session: AsyncSession, caller: Caller, account_id: UUID) -> list[AbsenceView]:
    """Somebody's absences, as far as the caller may see them. Raises Problem `not_found`."""
    await policy.absences_to_see(session, caller, account_id)
    return [_view(row) for row in await absences.list_absences(session, account_id)]


def _view(row: AbsenceRecord) -> AbsenceView:
    return AbsenceView(
        id=row.id,
        account_id=row.account_id,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        note=row.note,
        created_at=row.created_at,
    )
