"""Links by which a telephone, where nobody is signed in, sends photos to a request."""

from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from domain.model import Frozen
from use_cases import phone_links
from use_cases.phone_links import NewPhoneLink, PhoneLinkView
from web.services import ServicesOf
from web.session import CallerOf

router = APIRouter(prefix="/requests/{request_id}/phone-link", tags=["attachments"])


class PhoneLinkBody(Frozen):
    """For what the photos are."""

    slot: str = Field(
        "",
        max_length=100,
        examples=["photos"],
        description="What the offering asks for; the first that takes photos if empty.",
    )


@router.post("", status_code=201, summary="Make a link for a telephone")
async def make_phone_link(
    request_id: UUID, caller: CallerOf, services: ServicesOf, body: PhoneLinkBody | None = None
) -> NewPhoneLink:
    """A link for photos, for who may add files now. It lives for 15 minutes, and ends sooner when the caller signs out, submits
    or sends what the photos belong to, makes another one for this request, or ends it.

    The telephone that opens `address` first, and presses the button there, has it: the address leads no other one anywhere.
    """
    return await phone_links.make_link(services, caller, request_id, (body or PhoneLinkBody()).slot)


@router.get("", summary="What became of the link")
async def get_phone_link(request_id: UUID, caller: CallerOf, services: ServicesOf) -> PhoneLinkView:
    """The link that the caller made last for this request."""
    return await phone_links.read_link(services, caller, request_id)


@router.delete("", status_code=204, summary="End the link")
async def end_phone_link(request_id: UUID, caller: CallerOf, services: ServicesOf) -> None:
    """Nothing more comes by it; nothing happens where none lives."""
    await phone_links.end_link(services, caller, request_id)
