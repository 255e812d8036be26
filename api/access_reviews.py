"""The accesses of each month, for the administrators of the clinic: what was found, what they say of it, and their sign-off; and
those of a year, counted.
"""

from uuid import UUID

from fastapi import APIRouter, Response

from api.parameters import ReaderLanguage
from domain.access_review import Rule
from use_cases import access_reviews, access_years
from use_cases.access_reviews import NewSignOff, NewVerdict, ReviewView, WholeFinding, WholeReview
from use_cases.access_years import AccessYear
from web.files import csv_response
from web.rates import DOCUMENTS
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(tags=["access reviews"])


@router.get("/access-reviews", summary="The months whose accesses were analysed")
async def list_access_reviews(caller: CallerOf, services: ServicesOf) -> list[ReviewView]:
    """Of the caller's own clinic, the newest first. A month comes in the night after it is over."""
    return await access_reviews.list_reviews(services, caller)


@router.get("/access-reviews/{review_id}", summary="The accesses of one month")
async def get_access_review(
    review_id: UUID,
    caller: CallerOf,
    services: ServicesOf,
    rule: Rule | None = None,
    only_open: bool = False,
    after: UUID | None = None,
) -> WholeReview:
    """What is to be looked at, the gravest first, a page at a time; of one `rule`, or (`only_open`) without a verdict. `next` of
    a page is `after` of the following one.
    """
    return await access_reviews.read_review(services, caller, review_id, rule=rule, only_open=only_open, after=after)


@router.get("/access-reviews/{review_id}/findings/{finding_id}", summary="A finding with its acts")
async def get_access_finding(review_id: UUID, finding_id: UUID, caller: CallerOf, services: ServicesOf) -> WholeFinding:
    """The first of them, as the audit has them."""
    return await access_reviews.read_finding(services, caller, review_id, finding_id)


@router.post("/access-reviews/{review_id}/verdicts", summary="Say of findings what they are")
async def settle_findings(review_id: UUID, new: NewVerdict, caller: CallerOf, services: ServicesOf) -> WholeReview:
    """The same of each of them, with a note. Another verdict later is one more, and asks for the month to be signed off anew.

    Of a finding about oneself another administrator says it, where the clinic has one.
    """
    return await access_reviews.settle(services, caller, review_id, new)


@router.post("/access-reviews/{review_id}/sign-off", summary="Sign a month off")
async def sign_off_month(review_id: UUID, new: NewSignOff, caller: CallerOf, services: ServicesOf) -> WholeReview:
    """As it was seen (`version`), once each finding has a verdict. It stays on record; done again, it changes nothing."""
    return await access_reviews.sign_off(services, caller, review_id, new)


@router.get(
    "/access-years/{year}.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}, "description": "A line for each category"}},
    dependencies=[DOCUMENTS],
    summary="The accesses of a year, as a table",
)
async def get_access_year_csv(year: int, caller: CallerOf, services: ServicesOf, language: ReaderLanguage) -> Response:
    """For the report that a public body makes each year. No cell is a formula."""
    made = await access_years.year_as_csv(services, caller, year, language)
    return csv_response(made, f"accesses-{year}.csv")


@router.get("/access-years/{year}", dependencies=[DOCUMENTS], summary="The accesses of a year, counted")
async def get_access_year(year: int, caller: CallerOf, services: ServicesOf, language: ReaderLanguage) -> AccessYear:
    """By the people and systems of the caller's own clinic, by role and by what was shown; from the audit alone. The year that is
    not over is counted until now.
    """
    return await access_years.read_year(services, caller, year, language)
