"""The page of one request: what is asked, what was said, what can be done now."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import ceil
from typing import TypedDict
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response

from documents.content import Entry, ReportContent
from domain.offerings import AttachmentSlot, ServiceOffering
from domain.requests import DocumentKind
from portal import accesses, forms, history, pages
from portal.choices import offers, taking_back
from portal.forms import Differences, differences
from portal.guide import DEADLINES
from portal.pages import Visit, VisitOf
from translations import gettext_noop as _
from translations.words import message_part
from use_cases.answers import entries
from use_cases.attachments import AttachmentView
from use_cases.documents import DocumentView, read_content
from use_cases.problems import FieldFault, Problem
from use_cases.received import FileLeftOut
from use_cases.requests import ReadInEmergency, RequestView
from use_cases.restrictions import is_restricted

router = APIRouter(include_in_schema=False)


@router.get("/requests/{request_id}")
async def request_page(request_id: UUID, visit: VisitOf) -> Response:
    """Everything of the request that the person may see, and their choices."""
    visit = visit.also_in_emergency()
    view, timeline = await visit.look_at_all(request_id)
    response = visit.page(
        "request",
        view=view,
        history=history.folded(timeline),
        shows_accesses=accesses.may_be_shown(visit, view),
        is_restricted=await is_restricted(visit.services, visit.caller, view),
        sent=await _sent(visit, view),
        deadline_labels=DEADLINES,
        begins_again=view.offering in visit.services.offerings,
        offers=offers(view, is_requester=visit.is_requester_of(view)),
        notice=pages.done_notice(visit.request, visit.language),
        taking_back=taking_back(view, visit.caller.id, datetime.now(UTC)),
        **await chart(visit, view),
    )
    return closing(response, view)


def closing(response: Response, view: RequestView) -> Response:
    """The page, which a browser leaves when an access in an emergency is over: what is shown does not stay there."""
    if view.emergency is not None:
        seconds = max(0, ceil((view.emergency.ends_at - datetime.now(UTC)).total_seconds()))
        response.headers["Refresh"] = f"{seconds}; url={over_at(view.emergency)}"
    return response


def over_at(read: ReadInEmergency) -> str:
    """The page that says what became of it."""
    return f"/emergency?over={read.opening_id}"


async def _sent(visit: Visit, view: RequestView) -> list[tuple[DocumentView, ReportContent]]:
    """What the requester waited for, to be read on the page: the newest report, and what was added to it."""
    reads = visit.is_requester_of(view) or "read_for_requester" in view.allowed_commands
    if not reads or not view.documents:
        return []
    renews_itself = visit.request.headers.get("hx-request") == "true"
    newest = max(number for number, document in enumerate(view.documents) if document.kind != DocumentKind.ADDENDUM)
    return [
        (
            document,
            await read_content(visit.services, visit.caller, view.id, document.report_id, by_itself=renews_itself),
        )
        for document in view.documents[newest:]
    ]


Slots = list[tuple[AttachmentSlot, list[AttachmentView]]]
"""What an offering asks for, each with what is there."""


class Chart(TypedDict):
    """What a page needs to show the form: the offering, the answers as text, the attachments by what was asked for."""

    offering: ServiceOffering
    offerings: Mapping[str, ServiceOffering]
    entries: tuple[Entry, ...]
    changed: Differences
    slots: Slots
    others: list[AttachmentView]
    missing_labels: list[str]
    left_out_words: Callable[[FileLeftOut], str]
    message_part: Callable[[str], str]
    is_requester: bool


async def chart(visit: Visit, view: RequestView, offering: ServiceOffering | None = None) -> Chart:
    """What a page needs to show the form: the offering, the answers as text, the attachments by what was asked for.

    The offering is in the request's own version unless another is given: the one that a page was made with.
    """
    offering = offering or await visit.offering_of(view)
    asked = {slot.name for slot in offering.attachments}
    return Chart(
        offering=offering,
        offerings={view.offering: offering},
        entries=entries(
            offering.form,
            view.answers or {},
            visit.language,
            recorded_by=view.requester.name if view.requester else "",
        ),
        changed=differences(view.form_changes or (), offering, visit.language),
        slots=_slots(offering, view),
        others=[attachment for attachment in view.attachments or [] if attachment.slot not in asked],
        missing_labels=_missing(visit, view, offering),
        left_out_words=lambda file: Problem(file.code, (), **file.numbers).told(visit.language),
        message_part=lambda name: message_part(name, visit.language),
        is_requester=visit.is_requester_of(view),
    )


def _missing(visit: Visit, view: RequestView, offering: ServiceOffering) -> list[str]:
    """What a request that came as a message lacks, as the form calls it."""
    labels = []
    for part in view.received.missing if view.received else []:
        label = forms.label_of(FieldFault(part.field, part.code), offering, visit.language)
        is_begun = part.code == "too_few_attachments"
        labels.append(visit.say(_("%(name)s (more are needed)")) % {"name": label} if is_begun else label)
    return labels


def _slots(offering: ServiceOffering, view: RequestView) -> Slots:
    there = view.attachments or []
    return [(slot, [a for a in there if a.slot == slot.name]) for slot in offering.attachments]
