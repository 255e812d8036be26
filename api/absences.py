"""When people are away: one's own absences, those of colleagues for who runs the clinic, and what they leave behind."""

from uuid import UUID

from fastapi import APIRouter

from api.parameters import IdempotencyKey, ReaderLanguage
from use_cases import absences, hand_over
from use_cases.absences import AbsenceView, NewAbsence
from use_cases.hand_over import HandOver
from use_cases.several import PartReceipt
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


@router.post("/accounts/{account_id}/hand-over", summary="Hand what somebody holds to somebody else")
async def post_hand_over(
    account_id: UUID,
    wanted: HandOver,
    caller: CallerOf,
    services: ServicesOf,
    language: ReaderLanguage,
    key: IdempotencyKey,
) -> list[PartReceipt]:
    """Each of these requests, which that person holds, goes to a provider, to a clinic's providers, or to dispatch.

    For dispatchers, and for administrators of their clinic inside that clinic, as with `reassign`; one's own go to a colleague
    or to dispatch. `GET /requests?holder=` lists what somebody holds. Each is answered for itself: one that is refused hinders
    no other.
    """
    return await hand_over.hand_over(services, caller, account_id, wanted, key, language)


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
