"""What the requester tells after submission: the answer to a question, or more without being asked; text, photos and videos."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.refusals import Refusal
from domain.requests import EventName
from portal import pages
from portal.errors import NOT_TAKEN, as_problem, fields_of, summary
from portal.pages import Notice, Visit, VisitOf
from portal.requests import chart
from use_cases.attachments import AttachmentView
from use_cases.commands import Order, carry_out
from use_cases.orders import AdditionBody, AnswerBody
from use_cases.phone_links import living_link
from use_cases.problems import Problem
from use_cases.requests import RequestView

router = APIRouter(include_in_schema=False)


@router.get("/requests/{request_id}/answer")
async def answer_page(request_id: UUID, visit: VisitOf) -> Response:
    """The question that is asked, and room for the answer."""
    return await answer_page_with(visit, request_id, notice=pages.done_notice(visit.request, visit.language))


@router.get("/requests/{request_id}/answer/files")
async def files_offered(request_id: UUID, visit: VisitOf) -> Response:
    """The photos and videos that can go with the answer: the part of the page that a script renews after an upload."""
    return await _files(visit, request_id)


@router.post("/requests/{request_id}/answer")
async def answer(request_id: UUID, visit: VisitOf) -> Response:
    """Send the answer; or say why not, with everything that was written still there."""
    form = await visit.form()
    said = {**_told(form), "question_id": str(form.get("question_id", "")) or None}
    return await _send(visit, request_id, form, AnswerBody, said, answer_page_with)


@router.get("/requests/{request_id}/add-information")
async def addition_page(request_id: UUID, visit: VisitOf) -> Response:
    """Room to tell more without being asked."""
    return await addition_page_with(visit, request_id, notice=pages.done_notice(visit.request, visit.language))


@router.get("/requests/{request_id}/add-information/files")
async def files_to_add(request_id: UUID, visit: VisitOf) -> Response:
    """The same part of that page."""
    return await _files(visit, request_id)


@router.post("/requests/{request_id}/add-information")
async def add_information(request_id: UUID, visit: VisitOf) -> Response:
    """Send it; or say why not, with everything that was written still there."""
    form = await visit.form()
    said = {**_told(form), "worse": form.get("worse") == "yes"}
    return await _send(visit, request_id, form, AdditionBody, said, addition_page_with)


def _told(form: FormData) -> dict[str, object]:
    """What both forms hold."""
    ids = [str(id_) for id_ in form.getlist("attachment_ids")]
    return {
        "text": str(form.get("text", "")).replace("\r\n", "\n"),
        "attachment_ids": ids,
        "described": {id_: said for id_ in ids if (said := _description(form, id_))},
    }


def _description(form: FormData, id_: str) -> dict[str, str]:
    """What the form says of a photo or video, as far as it has the fields."""
    return {name: str(form[f"{name}.{id_}"]) for name in ("caption", "view") if f"{name}.{id_}" in form}


async def _send(
    visit: Visit,
    request_id: UUID,
    form: FormData,
    order: type[Order],
    said: Mapping[str, object],
    page: Callable[..., Awaitable[Response]],
) -> Response:
    try:
        receipt = await carry_out(visit.services, visit.call(request_id, form), order.model_validate(said))
    except NOT_TAKEN as error:
        return await page(visit, request_id, form=form, error=as_problem(error))
    return visit.on_to(f"/requests/{request_id}", "queued" if receipt.state == "queued" else order.command_name())


async def addition_page_with(
    visit: Visit,
    request_id: UUID,
    *,
    form: FormData | None = None,
    error: Problem | Refusal | None = None,
    notice: Notice | None = None,
    status: int = 200,
) -> Response:
    """The page, with what was written and what went wrong. Raises Problem `forbidden` for anybody but the requester."""
    view = await _own(visit, request_id)
    return await _page(
        visit,
        "add_information",
        view,
        form,
        error,
        notice,
        status,
        is_possible="add_information" in view.allowed_commands,
    )


async def answer_page_with(
    visit: Visit,
    request_id: UUID,
    *,
    form: FormData | None = None,
    error: Problem | Refusal | None = None,
    notice: Notice | None = None,
    status: int = 200,
) -> Response:
    """The page, with what was written and what went wrong. Raises Problem `forbidden` for anybody but the requester."""
    view = await _own(visit, request_id)
    wanted = str(form.get("question_id", "")) if form is not None else visit.request.query_params.get("question", "")
    still_open = [question for question in view.questions or [] if question.state == "open"]
    return await _page(
        visit,
        "answer",
        view,
        form,
        error,
        notice,
        status,
        still_open=still_open,
        question=next((q for q in still_open if str(q.id) == wanted), still_open[0] if len(still_open) == 1 else None),
        answer_by={deadline.question_id: deadline.due_at for deadline in view.deadlines if deadline.question_id},
    )


async def _page(
    visit: Visit,
    page: str,
    view: RequestView,
    form: FormData | None,
    error: Problem | Refusal | None,
    notice: Notice | None,
    status: int,
    **own: Any,
) -> Response:
    """One of the two pages, with what is its `own`."""
    wrong = fields_of(error, visit.language)
    if error is not None:
        notice = summary(error, wrong, visit.language)
    offered = await _offered(visit, view)
    return visit.page(
        page,
        status=status,
        because=error,
        view=view,
        offered=offered,
        ticked=_ticked(form, offered),
        form=pages.written(form),
        wrong=pages.written(wrong),
        notice=notice,
        phone_link=await living_link(visit.services, visit.caller, view.id),
        **await chart(visit, view),
        **own,
    )


async def _own(visit: Visit, request_id: UUID) -> RequestView:
    view = await visit.look_at(request_id)
    if not visit.is_requester_of(view):
        raise Problem("forbidden")
    return view


async def _files(visit: Visit, request_id: UUID) -> Response:
    view = await visit.look_at(request_id)
    offered = await _offered(visit, view)
    return visit.page(
        "answer_files",
        view=view,
        offered=offered,
        ticked=_ticked(None, offered),
        form=pages.written(),
        **await chart(visit, view),
    )


def _ticked(form: FormData | None, offered: Iterable[AttachmentView]) -> set[str]:
    """What goes along: what was ticked in the form, and everything before there is one."""
    if form is None:
        return {str(attachment.id) for attachment in offered}
    return {str(id_) for id_ in form.getlist("attachment_ids")}


async def _offered(visit: Visit, view: RequestView) -> list[AttachmentView]:
    """What came since the form was submitted and went with nothing yet."""
    timeline = await visit.timeline(view.id)
    submitted = max((e.at for e in timeline if e.name in (EventName.SUBMITTED, EventName.RESUBMITTED)), default=None)
    given = {id_ for told in (*(view.questions or ()), *(view.additions or ())) for id_ in told.attachment_ids}
    return [
        attachment
        for attachment in view.attachments or []
        if attachment.id not in given and (submitted is None or attachment.uploaded_at > submitted)
    ]
