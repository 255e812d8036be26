"""Photos and videos: uploading, listing, removing. How they are looked at is in `api.renditions`."""

from typing import Annotated, get_args
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import AfterValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError
from starlette.datastructures import FormData, UploadFile

from api import renditions
from api.parameters import IdempotencyKey
from domain.model import Discreet
from domain.photos import MAX_CAPTION, Description, PhotoView
from translations.problems import FIELD_PROBLEMS
from use_cases import attachments, new_attachments
from use_cases.attachments import AttachmentChanges, AttachmentView
from use_cases.new_attachments import SentFile
from use_cases.problems import FieldFault, Problem, input_faults
from web.connected import AttendedBy
from web.rates import UPLOADS
from web.services import ServicesOf
from web.session import AttachmentReader, DraftWriter


def _each_once(ids: list[UUID]) -> list[UUID]:
    if len(set(ids)) < len(ids):
        raise PydanticCustomError("not_each_once", FIELD_PROBLEMS["not_each_once"])
    return ids


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
                        "caption": {
                            "type": "string",
                            "maxLength": MAX_CAPTION,
                            "description": "What is seen, or where on the body, in one line.",
                        },
                        "view": {
                            "type": "string",
                            "enum": get_args(PhotoView),
                            "description": "Whether it is an overview or a close-up; empty for neither.",
                        },
                    },
                }
            }
        },
    }
}


@router.post(
    "",
    dependencies=[UPLOADS],
    status_code=201,
    summary="Upload a photo or a video",
    openapi_extra=_UPLOAD,
)
async def upload(
    request_id: UUID,
    request: Request,
    caller: DraftWriter,
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
    async with request.form(max_files=1, max_fields=5) as form:
        file, slot = form.get("file"), form.get("slot", "")
        if not isinstance(file, UploadFile) or not isinstance(slot, str):
            raise Problem("invalid_input", [FieldFault("file", "required")])
        sent = SentFile(file.file, file.filename or "", slot, _description(form))
        return await new_attachments.add(services, caller, place, sent, attended)


def _description(form: FormData) -> Description:
    """Raises Problem `invalid_input`."""
    try:
        return Description.model_validate({name: form.get(name, "") for name in ("caption", "view")})
    except ValidationError as error:
        raise Problem("invalid_input", input_faults(error)) from None


@router.get("", summary="The photos and videos")
async def list_attachments(request_id: UUID, caller: AttachmentReader, services: ServicesOf) -> list[AttachmentView]:
    """For the requester what is there now, for others what was submitted or given with an answer."""
    return await attachments.list_attachments(services, caller.also_in_emergency(), request_id)


@router.delete("/{attachment_id}", status_code=204, summary="Remove a photo or a video")
async def remove(request_id: UUID, attachment_id: UUID, caller: DraftWriter, services: ServicesOf) -> None:
    """While the request is a draft or returned. What was submitted before stays in the records."""
    await attachments.remove(services, caller, request_id, attachment_id)


@router.patch("/{attachment_id}", summary="Change what a photo or a video is for, or what is said of it")
async def change(
    request_id: UUID, attachment_id: UUID, body: AttachmentChanges, caller: DraftWriter, services: ServicesOf
) -> AttachmentView:
    """While the request is a draft or returned. What was submitted before stays in the records as it was."""
    return await attachments.change(services, caller, request_id, attachment_id, body)


_IDS = ["01a20528-2326-771d-b244-f33a25c63e64", "01a20528-4d1c-7f02-a0b1-2c6f0d1f6a3e"]


class Order(Discreet):
    """The order in which photos and videos stand."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[list[UUID], Field(max_length=1_000, examples=[_IDS]), AfterValidator(_each_once)]


@router.put("/order", summary="Put photos and videos in order")
async def reorder(request_id: UUID, body: Order, caller: DraftWriter, services: ServicesOf) -> list[AttachmentView]:
    """While the request is a draft or returned. Those that are named take, in this order, the places that they have among all."""
    return await attachments.reorder(services, caller, request_id, body.ids)
