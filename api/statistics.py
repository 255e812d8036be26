"""How it goes, for administrators and operators."""

from typing import Annotated

from fastapi import APIRouter, Query

from use_cases import statistics
from use_cases.statistics import MOST_WEEKS, StatisticsView
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["operations"])


@router.get("/statistics", summary="How it goes, by week")
async def get_statistics(
    caller: CallerOf, services: ServicesOf, weeks: Annotated[int, Query(ge=1, le=MOST_WEEKS)] = 12
) -> StatisticsView:
    """What was asked and answered each week, how long answers took, and what is late now.

    For administrators, of their clinic; for operators, of all clinics together.
    """
    return await statistics.read_statistics(services, caller, weeks=weeks)
