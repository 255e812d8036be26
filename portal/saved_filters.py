"""Filters of the worklist that somebody keeps under a name: the page where they are kept and removed."""

from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.refusals import Refusal
from portal import pages
from portal.errors import NOT_TAKEN, as_problem, fields_of, summary
from portal.pages import Visit, VisitOf
from portal.worklist import Filter, filter_of
from use_cases.problems import Problem
from use_cases.saved_filters import NewFilter, list_filters, remove_filter, save_filter

router = APIRouter(include_in_schema=False)

_PLACES = {"too_many_filters": "name"}


@router.get("/worklist/filters")
async def filters_page(visit: VisitOf) -> Response:
    """The filter of the address, to be kept, and those that were kept."""
    return await _page(visit, filter_of(visit).address())


@router.post("/worklist/filters")
async def keep_filter(visit: VisitOf) -> Response:
    """Keep the filter under a name, and go back to the worklist with it."""
    form = await visit.form()
    query = dict(parse_qsl(urlsplit(str(form.get("address", ""))).query))
    wanted = Filter.of(query, visit.caller.account)
    try:
        visit.check_is_sent()
        new = NewFilter.model_validate({"name": form.get("name", ""), "criteria": wanted.criteria})
        await save_filter(visit.services, visit.caller, new)
    except NOT_TAKEN as error:
        return await _page(visit, wanted.address(), form, as_problem(error))
    return visit.on_to(wanted.address(), "filter_kept")


@router.post("/worklist/filters/{filter_id}/remove")
async def forget_filter(filter_id: UUID, visit: VisitOf) -> Response:
    """Forget a filter."""
    await remove_filter(visit.services, visit.caller, filter_id)
    return visit.on_to("/worklist/filters", "filter_removed")


async def _page(
    visit: Visit, address: str, form: FormData | None = None, error: Problem | Refusal | None = None
) -> Response:
    wrong = fields_of(error, visit.language, _PLACES)
    return visit.page(
        "saved_filters",
        because=error,
        address=address,
        saved=[
            (kept, Filter.kept(kept.criteria).address()) for kept in await list_filters(visit.services, visit.caller)
        ],
        form=pages.written(form),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else pages.done_notice(visit.request, visit.language),
    )
