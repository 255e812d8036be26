"""The page of one photo or video: large, with the way to the ones before and after it. It needs no script."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response

from portal.pages import VisitOf
from portal.requests import chart, closing
from use_cases.attachments import AttachmentView
from use_cases.problems import Problem

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class _Shown:
    """An attachment, `there` with others of the same slot. No slot: the offering does not ask for such a thing any more."""

    attachment: AttachmentView
    slot: object
    there: tuple[AttachmentView, ...]


@router.get("/requests/{request_id}/media/{attachment_id}")
async def media_page(request_id: UUID, attachment_id: UUID, visit: VisitOf) -> Response:
    """One photo or video of the request, what is known of it, and its download."""
    visit = visit.also_in_emergency()
    view = await visit.look_at(request_id)
    if view.access != "chart":
        raise Problem("forbidden")
    around = await chart(visit, view)
    shown = [
        _Shown(attachment, slot, tuple(there))
        for slot, there in [*around["slots"], (None, around["others"])]
        for attachment in there
    ]
    place = next((n for n, one in enumerate(shown) if one.attachment.id == attachment_id), None)
    if place is None:
        raise Problem("not_found")
    response = visit.page(
        "media",
        view=view,
        shown=shown[place],
        number=place + 1,
        count=len(shown),
        before=shown[place - 1].attachment if place else None,
        after=shown[place + 1].attachment if place + 1 < len(shown) else None,
        is_requester=around["is_requester"],
    )
    return closing(response, view)
