"""When people are away: one's own absences, and those of colleagues for who runs the clinic."""

from uuid import UUID

from fastapi import APIRouter

from api.parameters import IdempotencyKey
from use_cases import absences
from use_cases.absences import AbsenceView, NewAbsence
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["absences"])


@router.get("/me/absences", summary="When I am away")
async def get_my_absences(caller: CallerOf, services: ServicesOf) -> list[AbsenceView]:
    """One's own absences, past ones too, by their first day."""
    return await absences.list_absences(services, caller, caller.id)


@router.post("/me/absences", status_code=201, summary="I will be away")
async def add_my_absence(
    absence: NewAbsence, caller: CallerOf, services: ServicesOf, key: IdempotencyKey
) -> AbsenceView:
    """Enter an absence of one's own. It may have begun, but not be over, and overlaps no other."""
    return await absences.add_absence(services, caller, caller.id, absence, key)


@router.delete("/me/absences/{absence_id}", status_code=204, summary="I will not be away after all")
async def remove_my_absence(absence_id: UUID, caller: CallerOf, services: ServicesOf) -> None:
    """Take an absence of one's own back."""
    await absences.remove_absence(services, caller, caller.id, absence_id)


@router.get("/accounts/{account_id}/absences", summary="When somebody is away")
async def get_absences(account_id: UUID, caller: CallerOf, services: ServicesOf) -> list[AbsenceView]:
    """The absences of somebody at the clinic, for its administrators and its dispatchers, past ones too, by their first day."""
    return await absences.list_absences(services, caller, account_id)


@router.post("/accounts/{account_id}/absences", status_code=201, summary="Somebody will be away")
async def add_absence(
    account_id: UUID, absence: NewAbsence, caller: CallerOf, services: ServicesOf, key: IdempotencyKey
) -> AbsenceView:
    """Enter an absence of somebody at the clinic, for its administrators. It may have begun, but not be over."""
    return await absences.add_absence(services, caller, account_id, absence, key)


@router.delete(
    "/accounts/{account_id}/absences/{absence_id}", status_code=204, summary="Somebody will not be away after all"
)
async def remove_absence(account_id: UUID, absence_id: UUID, caller: CallerOf, services: ServicesOf) -> None:
    """Take an absence of somebody at the clinic back, for its administrators."""
    await absences.remove_absence(services, caller, account_id, absence_id)
