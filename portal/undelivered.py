"""E-mails that reached nobody: for dispatchers, administrators and operators, with a button to send each again."""

from collections.abc import Mapping
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response

from domain.notices import NEW_PHOTOS, URGENT_REPORT
from domain.requests import EventName
from portal import pages
from portal.pages import Visit, VisitOf
from translations import gettext_noop as _
from translations.words import EVENTS
from use_cases.mail import UndeliverableView, list_undeliverable, send_again

router = APIRouter(include_in_schema=False)

REASONS: Mapping[str, str] = {
    "refused": _("The address cannot receive it: have it corrected, then send it again."),
    "expired": _("No mail server took it in time; the address may be right. Tell the person in another way."),
    "failed": _("It was given up. Tell the person in another way."),
}
"""Why an e-mail reached nobody, by what became of it."""


@router.get("/undelivered")
async def undelivered_page(visit: VisitOf) -> Response:
    """The newest e-mails that reached nobody."""
    entries = await list_undeliverable(visit.services, visit.caller)
    return visit.page(
        "undelivered",
        entries=[(entry, _told(entry, visit)) for entry in entries],
        reasons=REASONS,
        notice=pages.done_notice(visit.request, visit.language),
    )


@router.post("/undelivered/{notice_id}")
async def send_one_again(notice_id: UUID, visit: VisitOf) -> Response:
    """Send one again; a form that is sent twice sends one e-mail."""
    await send_again(visit.services, visit.caller, notice_id)
    return visit.on_to("/undelivered", "sent_again")


def _told(entry: UndeliverableView, visit: Visit) -> str:
    """What the e-mail was to tell."""
    if entry.event == URGENT_REPORT:
        return visit.say(_("Report to be read without delay"))
    if entry.event == NEW_PHOTOS:
        return visit.say(_("Report that asks for new photos"))
    known = entry.event in set(EventName)
    return visit.say(EVENTS[EventName(entry.event)] if known else _("Another e-mail that was not delivered"))
