"""Messages between Relais and partners' systems that were lost."""

from fastapi import APIRouter

from use_cases import lost_messages
from use_cases.lost_messages import LostMessageView
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["operations"])


@router.get("/lost-messages", summary="Messages to and of partners that did not arrive")
async def list_lost_messages(caller: CallerOf, services: ServicesOf) -> list[LostMessageView]:
    """For requesters, and dispatchers and administrators of the clinic that dispatches: those of the last 30 days that did not
    arrive or were not done, and are not mended. What was sent again is not among them, unless that failed as well.
    """
    return await lost_messages.list_lost_messages(services, caller)
