"""The worklist: what somebody may see, a page at a time, with its counts."""

from domain.requests import Status
from records import worklist
from records.errors import BadCursorError
from records.worklist import WorklistFilter
from translations import Language
from use_cases.caller import Caller
from use_cases.problems import FieldFault, Problem
from use_cases.requests import RequestSummary, summaries
from use_cases.services import Services
from use_cases.views import View


class Worklist(View):
    """A page of the worklist. `counts` are over all pages, by status, whatever status is asked for."""

    items: list[RequestSummary]
    counts: dict[Status, int]
    next_cursor: str | None


async def read_worklist(services: Services, caller: Caller, wanted: WorklistFilter, language: Language) -> Worklist:
    """A page of the requests that the caller may see. Raises Problem `invalid_input` for a cursor that no page gave."""
    async with services.database.session() as session:
        try:
            page = await worklist.worklist(session, caller.viewer, wanted)
        except BadCursorError:
            raise Problem("invalid_input", [FieldFault("cursor", "bad_cursor")]) from None
        items = await summaries(session, caller, page.rows, language)
    return Worklist(items=items, counts=dict(page.counts), next_cursor=page.next_cursor)
