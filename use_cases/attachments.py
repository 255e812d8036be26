"""Photos and videos of a request: what is known of them, moving and removing.

`new_attachments` adds them, `renditions` gives them out.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.events import TOLD_LATER
from domain.offerings import AttachmentSlot
from domain.photos import PhotoWarning
from records import attachments, requests
from records.errors import NotEditableError, NotFoundError
from records.models import AccessKind, Attachment, EventRecord, FrozenForm, MediaState, RequestRecord
from use_cases import policy
from use_cases.accesses import log_access
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.submitted_forms import form_in_force
from use_cases.views import View


class AttachmentView(View):
    """A photo or a video. `media_type`, `size_bytes` and `sha256` are those of the file as it was uploaded."""

    id: UUID
    slot: str
    kind: Literal["photo", "video"]
    media_type: str
    size_bytes: int
    width: int | None
    height: int | None
    filename: str
    sha256: str
    uploaded_at: datetime
    has_preview: bool
    captured_at: datetime | None = Field(description="When it was taken, by the clock of the camera.")
    duration_seconds: float | None = Field(description="The length of a video that is ready.")
    state: MediaState = Field(description="Whether the copy that others get is there; a video needs a moment.")
    warnings: list[PhotoWarning] = Field(description="Why the photo is probably of no use. Advice: nothing is refused.")


def attachment_view(attachment: Attachment) -> AttachmentView:
    """What is known of a photo or video."""
    return AttachmentView(
        id=attachment.id,
        slot=attachment.slot,
        kind="video" if attachment.kind == "video" else "photo",
        media_type=attachment.media_type,
        size_bytes=attachment.size_bytes,
        width=attachment.width,
        height=attachment.height,
        filename=attachment.filename,
        sha256=attachment.sha256,
        uploaded_at=attachment.uploaded_at,
        has_preview=attachment.preview_key is not None,
        captured_at=attachment.captured_at,
        duration_seconds=attachment.duration_seconds,
        state=attachment.state,
        warnings=attachment.warnings,
    )


async def list_attachments(services: Services, caller: Caller, request_id: UUID) -> list[AttachmentView]:
    """For the requester what is there now, for others what was submitted or given with an answer.

    Raises Problem `not_found`, `forbidden` or `not_yet`.
    """
    async with services.database.session() as session:
        row = await policy.chart_to_see(session, caller, request_id)
        await log_access(session, caller, row, AccessKind.REQUEST)
        return [attachment_view(attachment) for attachment in await visible_attachments(session, row, caller)]


async def visible_attachments(session: AsyncSession, row: RequestRecord, caller: Caller) -> list[Attachment]:
    """What `attachments_shown` gives, for who has not read the request's form and timeline."""
    if row.requester_id == caller.id:
        return await attachments_shown(session, row, caller, None, ())
    frozen = await form_in_force(session, row, requests.process_of(row))
    return await attachments_shown(session, row, caller, frozen, await requests.timeline(session, row.id))


async def attachments_shown(
    session: AsyncSession, row: RequestRecord, caller: Caller, frozen: FrozenForm | None, events: Sequence[EventRecord]
) -> list[Attachment]:
    """For the requester all that are there now; for others those of the form in force (`frozen`), or given later."""
    if row.requester_id == caller.id:
        return await attachments.list_attachments(session, row.id)
    there = await attachments.list_attachments(session, row.id, with_removed=True)
    given = {a["id"] for a in frozen.content["attachments"]} if frozen else set()
    for event in events:
        if event.name in TOLD_LATER:
            given.update(event.command["attachment_ids"])
    return [a for a in there if str(a.id) in given]


async def remove(services: Services, caller: Caller, request_id: UUID, attachment_id: UUID) -> None:
    """While the request is a draft or returned. What was submitted before stays in the records.

    Raises what `policy.own_form_to_edit` does, and Problem `not_found` when there is no such attachment any more.
    """
    async with services.database.session() as session:
        await policy.own_form_to_edit(session, caller, request_id)
        try:
            unused = await attachments.remove_attachment(session, request_id, attachment_id, now=datetime.now(UTC))
        except NotFoundError:
            raise Problem("not_found") from None
        except NotEditableError as error:
            raise policy.closed(error) from None
    await services.store.delete(unused)


async def move(services: Services, caller: Caller, request_id: UUID, attachment_id: UUID, slot: str) -> AttachmentView:
    """Send it for something else. Raises as `remove` does, and Problem `unknown_slot`."""
    async with services.database.session() as session:
        row = await policy.own_form_to_edit(session, caller, request_id)
        there = await attachments.load_attachment(session, request_id, attachment_id)
    if there is None:
        raise Problem("not_found")
    chosen = await slot_for(services, row, slot, there.kind)
    async with services.database.session() as session:
        try:
            moved = await attachments.move_attachment(session, request_id, attachment_id, chosen.name)
        except NotFoundError:
            raise Problem("not_found") from None
        except NotEditableError as error:
            raise policy.closed(error) from None
    return attachment_view(moved)


async def slot_for(services: Services, row: RequestRecord, wanted: str, kind: str) -> AttachmentSlot:
    """For what the offering asks that such a file fits: `wanted`, or the first when that is empty.

    Raises Problem `unknown_slot`.
    """
    async with services.database.session() as session:
        offering = await services.versions.of(session, row)
    fitting = [s for s in offering.attachments if kind in s.accepts and wanted in ("", s.name)]
    if not fitting:
        raise Problem("unknown_slot", slots=[s.name for s in offering.attachments])
    return fitting[0]
