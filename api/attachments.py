"""Photos and videos: uploading, listing, removing. How they are looked at is in `api.renditions`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.datastructures import UploadFile

from api import problems, renditions
from api.parameters import IdempotencyKey
from use_cases import attachments, new_attachments
from use_cases.attachments import AttachmentView
from use_cases.new_attachments import SentFile
from use_cases.problems import FieldFault, Problem
from web.connected import AttendedBy
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(prefix="/requests/{request_id}/attachments", tags=["attachments"])
router.include_router(renditions.router)

_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "The photo or video."},
                        "slot": {
                            "type": "string",
                            "maxLength": 64,
                            "description": "For what the offering asks; the first that fits if empty.",
                        },
                    },
                }
            }
        },
    }
}


@router.post(
    "", status_code=201, summary="Upload a photo or a video", openapi_extra=_UPLOAD, responses=problems.responses(415)
)
async def upload(
    request_id: UUID,
    request: Request,
    caller: CallerOf,
    services: ServicesOf,
    key: IdempotencyKey,
    attended: AttendedBy,
) -> AttachmentView:
    """Until the request is reported: with the form, and after it with an answer or what is added, which must then name it.

    What the file is, is found from its bytes. They are kept as they came, for you; others get clean copies that are made anew.
    The `warnings` say when a photo is probably of no use.
    """
    place = await new_attachments.place_for(services, caller, request_id, key)
    # The body is read only now: nobody fills the disk who may not add to this request.
    async with request.form(max_files=1, max_fields=4) as form:
        file, slot = form.get("file"), form.get("slot", "")
        if not isinstance(file, UploadFile) or not isinstance(slot, str):
            raise Problem("invalid_input", [FieldFault("file", "missing")])
        sent = SentFile(file.file, file.filename or "", slot)
        return await new_attachments.add(services, caller, place, sent, attended)


@router.get("", summary="The photos and videos")
async def list_attachments(request_id: UUID, caller: CallerOf, services: ServicesOf) -> list[AttachmentView]:
    """For the requester what is there now, for others what was submitted or given with an answer."""
    return await attachments.list_attachments(services, caller, request_id)


@router.delete("/{attachment_id}", status_code=204, summary="Remove a photo or a video")
async def remove(request_id: UUID, attachment_id: UUID, caller: CallerOf, services: ServicesOf) -> None:
    """While the request is a draft or returned. What was submitted before stays in the records."""
    await attachments.remove(services, caller, request_id, attachment_id)


class Move(BaseModel):
    """What a photo or video is sent for."""

    model_config = ConfigDict(extra="forbid")

    slot: Annotated[str, StringConstraints(max_length=100)] = Field(examples=["photos"])


@router.patch("/{attachment_id}", summary="Send a photo or a video for something else")
async def move(
    request_id: UUID, attachment_id: UUID, body: Move, caller: CallerOf, services: ServicesOf
) -> AttachmentView:
    """While the request is a draft or returned; for instance because its form does not ask for such files any more."""
    return await attachments.move(services, caller, request_id, attachment_id, body.slot)
