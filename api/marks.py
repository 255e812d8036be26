"""Marks on photos and pages of documents: arrows, circles and measured lines, in a layer that never changes what is under it."""

from uuid import UUID

from fastapi import APIRouter

from api.parameters import IdempotencyKey
from use_cases import marks
from use_cases.marks import MarkView, NewMark
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(prefix="/requests/{request_id}/attachments/{attachment_id}/marks", tags=["attachments"])


@router.get("", summary="The marks on a photo or document")
async def list_marks(request_id: UUID, attachment_id: UUID, caller: CallerOf, services: ServicesOf) -> list[MarkView]:
    """Oldest first, of every page, for everybody who sees the photo or document."""
    return await marks.list_marks(services, caller, request_id, attachment_id)


@router.post("", status_code=201, summary="Mark a photo, or a page of a document")
async def add_mark(
    request_id: UUID, attachment_id: UUID, wanted: NewMark, caller: CallerOf, services: ServicesOf, key: IdempotencyKey
) -> MarkView:
    """For the requester, and the provider whom the request is with, until the request is over; 100 on a photo or document.

    Places are fractions, from 0 to 1, of the width and the height of the upright picture, or of the page. How long a measure is
    follows from its `calibration`, and is kept with it.
    """
    return await marks.add_mark(services, caller, request_id, attachment_id, wanted, key)


@router.delete("/{mark_id}", status_code=204, summary="Remove a mark")
async def remove_mark(
    request_id: UUID, attachment_id: UUID, mark_id: UUID, caller: CallerOf, services: ServicesOf
) -> None:
    """What one has drawn oneself, until the request is over."""
    await marks.remove_mark(services, caller, request_id, attachment_id, mark_id)
