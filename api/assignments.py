"""Several requests assigned at once."""

from fastapi import APIRouter

from api.parameters import IdempotencyKey, ReaderLanguage
from use_cases.assignments import Assignments, assign_several
from use_cases.several import PartReceipt
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["commands"])


@router.post("/assignments", summary="Assign several requests at once")
async def post_assignments(
    wanted: Assignments, caller: CallerOf, services: ServicesOf, language: ReaderLanguage, key: IdempotencyKey
) -> list[PartReceipt]:
    """For dispatchers: each of these requests goes to one provider, or to all providers of a clinic, as with `assign`.

    Each is answered for itself: one that is refused hinders no other. With its `version`, a request that has changed since it was
    seen is left alone (`version_conflict`).
    """
    return await assign_several(services, caller, wanted, key, language)
