"""Texts that are used again: the page where they are written and removed."""

from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.refusals import Refusal
from domain.requests import Role
from portal import pages
from portal.errors import NOT_TAKEN, as_problem, fields_of, summary
from portal.pages import Visit, VisitOf
from translations import gettext_noop as _
from use_cases.catalogue import newest_offerings
from use_cases.documents import read_content
from use_cases.problems import Problem
from use_cases.snippets import NewSnippet, UsedFor, list_snippets, remove_snippet, save_snippet

router = APIRouter(include_in_schema=False)

_PLACES = {"too_many_snippets": "name"}

USES = {
    UsedFor.REPORT: _("Reports"),
    UsedFor.QUESTION: _("Questions to requesters"),
    UsedFor.RETURN: _("Returns to requesters"),
}


@router.get("/account/texts")
async def snippets_page(
    visit: VisitOf, request: UUID | None = None, report: UUID | None = None, entry: int = 0
) -> Response:
    """The texts that were kept, and room for another: where an entry of a signed report is named, with its text to begin with."""
    if request is None or report is None:
        return await _page(visit)
    content = await read_content(visit.services, visit.caller, request, report)
    written = [there.value for there in content.answer if not there.brief]
    text = written[entry] if 0 <= entry < len(written) else ""
    return await _page(visit, FormData({"text": text, "used_for": UsedFor.REPORT, "language": content.language}))


@router.post("/account/texts")
async def keep_snippet(visit: VisitOf) -> Response:
    """Keep a text; or say why not, with everything that was written still there."""
    form = await visit.form()
    said = pages.said_in(form, "name", "text", "used_for", "language", "offering")
    try:
        visit.check_is_sent()
        wanted = NewSnippet.model_validate({**said, "clinic": form.get("clinic") == "yes"})
        await save_snippet(visit.services, visit.caller, wanted)
    except NOT_TAKEN as error:
        return await _page(visit, form, as_problem(error))
    return visit.on_to("/account/texts", "snippet_kept")


@router.post("/account/texts/{snippet_id}/remove")
async def forget_snippet(snippet_id: UUID, visit: VisitOf) -> Response:
    """Forget a text."""
    await remove_snippet(visit.services, visit.caller, snippet_id)
    return visit.on_to("/account/texts", "snippet_removed")


async def _page(visit: Visit, form: FormData | None = None, error: Problem | Refusal | None = None) -> Response:
    wrong = fields_of(error, visit.language, _PLACES)
    runs_clinic = Role.CLINIC_ADMINISTRATOR in visit.caller.roles
    return visit.page(
        "snippets",
        because=error,
        kept=await list_snippets(visit.services, visit.caller),
        uses=USES,
        runs_clinic=runs_clinic,
        offerings=await newest_offerings(visit.services),
        form=pages.written(form),
        wrong=pages.written(wrong),
        notice=summary(error, wrong, visit.language) if error else pages.done_notice(visit.request, visit.language),
    )
