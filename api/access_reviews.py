"""The accesses of each month, for the administrators of the clinic: what was found, what they say of it, and their sign-off."""

from uuid import UUID

from fastapi import APIRouter

from domain.access_review import Rule
from use_cases import access_reviews
from use_cases.access_reviews import NewSignOff, NewVerdict, ReviewView, WholeFinding, WholeReview
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(prefix="/access-reviews", tags=["access reviews"])


@router.get("", summary="The months whose accesses were analysed")
async def list_access_reviews(caller: CallerOf, services: ServicesOf) -> list[ReviewView]:
    """Of the caller's own clinic, the newest first. A month comes in the night after it is over."""
    return await access_reviews.list_reviews(services, caller)


@router.get("/{review_id}", summary="The accesses of one month")
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


@router.get("/{review_id}/findings/{finding_id}", summary="A finding with its acts")
async def get_access_finding(review_id: UUID, finding_id: UUID, caller: CallerOf, services: ServicesOf) -> WholeFinding:
    """The first of them, as the audit has them."""
    return await access_reviews.read_finding(services, caller, review_id, finding_id)


@router.post("/{review_id}/verdicts", summary="Say of findings what they are")
async def settle_findings(review_id: UUID, new: NewVerdict, caller: CallerOf, services: ServicesOf) -> WholeReview:
    """The same of each of them, with a note. Another verdict later is one more, and asks for the month to be signed off anew.

    Of a finding about oneself another administrator says it, where the clinic has one.
    """
    return await access_reviews.settle(services, caller, review_id, new)


@router.post("/{review_id}/sign-off", summary="Sign a month off")
async def sign_off_month(review_id: UUID, new: NewSignOff, caller: CallerOf, services: ServicesOf) -> WholeReview:
    """As it was seen (`version`), once each finding has a verdict. It stays on record; done again, it changes nothing."""
    return await access_reviews.sign_off(services, caller, review_id, new)
