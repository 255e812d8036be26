"""The accesses of each month, for the clinic's administrators: the months, what is to be looked at of one, and its sign-off; and
those of a year, counted.
"""

from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.access_review import ReviewState, Rule, Verdict
from domain.audit import Act
from domain.refusals import Refusal
from portal import pages
from portal.errors import done, fields_of, summary
from portal.pages import Visit, VisitOf
from translations import gettext_for
from translations import gettext_noop as _
from translations.acts import act_words
from translations.registers import PURPOSES
from use_cases import access_reviews, access_years
from use_cases.access_reviews import ActView, NewSignOff, NewVerdict
from use_cases.problems import Problem
from web.files import csv_response
from web.rates import DOCUMENTS

router = APIRouter(include_in_schema=False)

STATES: Mapping[ReviewState, str] = {
    ReviewState.OPEN: _("Lines wait for a verdict"),
    ReviewState.TO_SIGN_OFF: _("Waits to be signed off"),
    ReviewState.SIGNED_OFF: _("Signed off"),
}

RULES: Mapping[Rule, str] = {
    Rule.EMERGENCY: _("Opened in an emergency"),
    Rule.EMERGENCY_ENDED: _("Ended what others had opened in an emergency"),
    Rule.OWN_RECORD: _("The patient bears the same name"),
    Rule.KIN_OF_A_STRANGER: _("The same family name as the patient, and had nothing to do with the request"),
    Rule.NO_PARTICIPANT: _("Had nothing to do with the request"),
    Rule.SAME_FAMILY_NAME: _("The same family name as the patient"),
    Rule.LONG_OVER: _("Request over for more than 90 days"),
    Rule.BURST: _("More than 20 reads within a minute"),
    Rule.MANY_PATIENTS: _("Many more patients on one day than usual for the role"),
    Rule.OFF_HOURS: _("Between 22 h and 6 h"),
    Rule.TAKEN_ALONG: _("Whole files or journals taken along"),
    Rule.WIDE_SEARCH: _("A search by name with more than 10 results"),
    Rule.FAILED_TRIES: _("Five or more failed tries on this account on one day"),
    Rule.AFTER_SILENCE: _("First use of the account for more than 90 days"),
    Rule.DESTROYED: _("A look at a request that was destroyed since"),
}

VERDICTS: Mapping[Verdict, str] = {
    Verdict.EXPLAINED: _("Explained"),
    Verdict.TO_FOLLOW_UP: _("To follow up"),
}

_BEFORE_ALL: Mapping[Act, str] = {
    Act.SIGN_IN: _("Sign-in"),
    Act.SIGN_IN_FAILED: _("Failed sign-in"),
    Act.SIGN_OUT: _("Sign-out"),
    Act.ACCOUNT: _("A change of an account or of the clinic"),
}
"""What is never of a request, and has no words in the person's journal."""

_SHOWN = ("rule", "open", "after")
"""What of a month a page shows: fields of its form, and of its address."""


@router.get("/access-reviews")
async def access_reviews_page(visit: VisitOf) -> Response:
    """The months."""
    found = await access_reviews.list_reviews(visit.services, visit.caller)
    year = await access_years.year_now(visit.services, visit.caller)
    return visit.page("access_reviews", found=found, states=STATES, year=year)


@router.get("/access-years/{year}.csv", dependencies=[DOCUMENTS])
async def access_year_file(year: int, visit: VisitOf) -> Response:
    """The year, as a table."""
    made = await access_years.year_as_csv(visit.services, visit.caller, year, visit.language)
    return csv_response(made, f"accesses-{year}.csv")


@router.get("/access-years/{year}", dependencies=[DOCUMENTS])
async def access_year_page(year: int, visit: VisitOf) -> Response:
    """The accesses of a year, counted."""
    found = await access_years.read_year(visit.services, visit.caller, year, visit.language)
    return visit.page(
        "access_year",
        found=found,
        rows=[(one, access_years.role_words(one, visit.language)) for one in found.categories],
        purposes=PURPOSES,
    )


@router.get("/access-reviews/{review_id}")
async def access_review_page(review_id: UUID, visit: VisitOf) -> Response:
    """One month: all lines, or those of one rule, or without a verdict."""
    return await _month(visit, review_id, _shown(visit.request.query_params))


@router.get("/access-reviews/{review_id}/findings/{finding_id}")
async def access_finding_page(review_id: UUID, finding_id: UUID, visit: VisitOf) -> Response:
    """A line with its acts, and all that was said of it."""
    found = await access_reviews.read_finding(visit.services, visit.caller, review_id, finding_id)
    return visit.page(
        "access_finding",
        found=found,
        rules=RULES,
        verdicts=VERDICTS,
        acts=[(one, _words(visit, one)) for one in found.entries],
    )


@router.post("/access-reviews/{review_id}/verdicts")
async def settle_lines(review_id: UUID, visit: VisitOf) -> Response:
    """Say of the chosen lines what they are; or why not, with everything that was chosen and written still there."""
    form = await visit.form()
    shown = _shown(form)

    async def do() -> None:
        new = NewVerdict.model_validate(
            {
                "finding_ids": form.getlist("finding_ids"),
                "verdict": form.get("verdict", ""),
                "note": form.get("note", ""),
            }
        )
        await access_reviews.settle(visit.services, visit.caller, review_id, new)

    async def again(error: Problem | Refusal) -> Response:
        return await _month(visit, review_id, shown, form, error)

    address = f"/access-reviews/{review_id}"
    return await done(visit, do, f"{address}?{urlencode(shown)}" if shown else address, "accesses_settled", again)


@router.post("/access-reviews/{review_id}/sign-off")
async def sign_month_off(review_id: UUID, visit: VisitOf) -> Response:
    """Sign it off as it was seen; or say why not."""
    form = await visit.form()

    async def do() -> None:
        new = NewSignOff(version=pages.number_in(form, "version") or 0)
        await access_reviews.sign_off(visit.services, visit.caller, review_id, new)

    async def again(error: Problem | Refusal) -> Response:
        return await _month(visit, review_id, {}, error=error)

    return await done(visit, do, f"/access-reviews/{review_id}", "accesses_signed_off", again)


def _words(visit: Visit, entry: ActView) -> str:
    if entry.what in _BEFORE_ALL:
        return gettext_for(visit.language)(_BEFORE_ALL[entry.what])
    return act_words(entry.what, entry.name, visit.language)


def _shown(said: Mapping[str, object]) -> dict[str, str]:
    return {name: str(said[name])[:100] for name in _SHOWN if said.get(name)}


async def _month(
    visit: Visit,
    review_id: UUID,
    shown: Mapping[str, str],
    form: FormData | None = None,
    error: Problem | Refusal | None = None,
) -> Response:
    rule, after = None, None
    with suppress(ValueError):  # an address that somebody has typed
        rule = Rule(shown["rule"]) if "rule" in shown else None
        after = UUID(shown["after"]) if "after" in shown else None
    found = await access_reviews.read_review(
        visit.services, visit.caller, review_id, rule=rule, only_open="open" in shown, after=after
    )
    wrong = fields_of(error, visit.language)
    return visit.page(
        "access_review",
        because=error,
        found=found,
        shown=shown,
        rule=rule,
        only_open="open" in shown,
        states=STATES,
        rules=RULES,
        verdicts=VERDICTS,
        chosen=set(form.getlist("finding_ids")) if form else set(),
        form=pages.written(form or {}),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else pages.done_notice(visit.request, visit.language),
    )
