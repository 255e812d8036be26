"""Photos and videos of a request: what is known of them, moving and removing.

`new_attachments` adds them, `renditions` gives them out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, cast
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act
from domain.events import TOLD_LATER
from domain.forms import WholeForm, descriptions
from domain.model import Discreet
from domain.offerings import AttachmentSlot, FileKind
from domain.photos import Caption, Description, PhotoView, PhotoWarning, repeated
from domain.scans import Hold, ScanState, WhyNotScanned
from records import attachments, requests
from records.errors import NotEditableError, NotFoundError
from records.models import Attachment, EventRecord, FrozenForm, MediaState, RequestRecord
from use_cases import policy
from use_cases.accesses import log_access
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.scans import Viewer
from use_cases.services import Services
from use_cases.submitted_forms import form_in_force
from use_cases.views import View


class AttachmentView(View):
    """A photo or a video. `media_type`, `size_bytes` and `sha256` are those of the file as it was uploaded."""

    id: UUID
    slot: str
    kind: FileKind
    media_type: str
    size_bytes: int
    width: int | None
    height: int | None
    filename: str
    sha256: str
    uploaded_at: datetime
    has_preview: bool = Field(description="Whether there is a picture of it that the reader gets.")
    captured_at: datetime | None = Field(description="When it was taken, by the clock of the camera.")
    duration_seconds: float | None = Field(description="The length of a video that is ready.")
    state: MediaState = Field(description="Whether the copy that others get is there; a video needs a moment.")
    scan: ScanState = Field(
        description="What the virus scanner said. `not_scanned`: there is none, or it does not take this file."
    )
    why_not_scanned: WhyNotScanned | None = Field(
        description="Why a scanner that is there could say nothing of it. None, too, where nobody asked it."
    )
    held: Hold | None = Field(
        description="Why the reader does not get the file: the code that its address answers. None where they do. Who sent "
        "it may get its pictures all the same."
    )
    warnings: list[PhotoWarning] = Field(description="Why the photo is probably of no use. Advice: nothing is refused.")
    caption: str = Field(description="What is seen, or where on the body, in one line; empty for nothing.")
    view: PhotoView = Field(description="Whether it is an overview or a close-up; empty where nobody has said so.")
    pages: int | None = Field(description="How many pages a document has, each of which can be looked at.")
    same_as: UUID | None = Field(
        description="An earlier photo of the slot that shows the same: pages count the two as one. Advice: nothing is refused."
    )


Descriptions = Mapping[str, Description]
"""What is said of attachments, by their ids."""


def attachment_views(
    there: Sequence[Attachment], viewer: Viewer, said: Descriptions | None = None
) -> list[AttachmentView]:
    """What is known of all attachments that somebody sees; with what was `said` of them instead of what is said now."""
    marked = [(a.id, [f"{a.slot} {mark}" for mark in (a.sha256, a.pixels_sha256) if mark]) for a in there]
    same, then = repeated(marked), said or {}
    return [attachment_view(a, viewer, then.get(str(a.id)), same.get(a.id)) for a in there]


def attachment_view(
    attachment: Attachment, viewer: Viewer, said: Description | None = None, same_as: UUID | None = None
) -> AttachmentView:
    """What is known of a photo or video: by itself, or among others, one of which may show the same."""
    said = said or attachments.description_of(attachment)
    return AttachmentView(
        id=attachment.id,
        slot=attachment.slot,
        kind=cast(FileKind, attachment.kind),
        media_type=attachment.media_type,
        size_bytes=attachment.size_bytes,
        width=attachment.width,
        height=attachment.height,
        filename=attachment.filename,
        sha256=attachment.sha256,
        uploaded_at=attachment.uploaded_at,
        has_preview=attachment.preview_key is not None and viewer.hold(attachment, picture=True) is None,
        captured_at=attachment.captured_at,
        duration_seconds=attachment.duration_seconds,
        state=attachment.state,
        scan=attachment.scan,
        why_not_scanned=why_not_scanned(attachment),
        held=viewer.hold(attachment),
        warnings=attachment.warnings,
        caption=said.caption,
        view=said.view,
        pages=len(attachment.page_keys) or None,
        same_as=same_as,
    )


def why_not_scanned(attachment: Attachment) -> WhyNotScanned | None:
    """Why a scanner that is there could say nothing of it; None where it did, or nobody asked it."""
    if attachment.scan is ScanState.NOT_SCANNED and attachment.scan_finding is not None:
        return WhyNotScanned(attachment.scan_finding)
    return None


async def list_attachments(services: Services, caller: Caller, request_id: UUID) -> list[AttachmentView]:
    """For the requester what is there now, for others what was submitted or given with an answer.

    Raises Problem `not_found`, `forbidden` or `not_yet`.
    """
    async with services.database.session() as session:
        row = await policy.chart_to_see(session, caller, request_id)
        await log_access(session, caller, row, Act.REQUEST)
        seen = await _read(session, row, caller)
        shown = await attachments_shown(session, row, caller, seen.frozen, seen.events)
        return views_shown(row, Viewer.of(services.settings, caller), seen.frozen, seen.events, shown)


async def visible_attachments(session: AsyncSession, row: RequestRecord, caller: Caller) -> list[Attachment]:
    """What `attachments_shown` gives, for who has not read the request's form and timeline."""
    seen = await _read(session, row, caller)
    return await attachments_shown(session, row, caller, seen.frozen, seen.events)


@dataclass(frozen=True)
class _Seen:
    """What of a request says which attachments somebody else than its requester sees."""

    frozen: FrozenForm | None = None
    events: Sequence[EventRecord] = ()


async def _read(session: AsyncSession, row: RequestRecord, caller: Caller) -> _Seen:
    if row.requester_id == caller.id:
        return _Seen()
    frozen = await form_in_force(session, row, requests.process_of(row))
    return _Seen(frozen, await requests.timeline(session, row.id))


def views_shown(
    row: RequestRecord,
    viewer: Viewer,
    frozen: FrozenForm | None,
    events: Sequence[EventRecord],
    shown: Sequence[Attachment],
) -> list[AttachmentView]:
    """What is known of the attachments shown: for others than the requester with what was said of them as they were sent."""
    if frozen is None or row.requester_id == viewer.account_id:
        return attachment_views(shown, viewer)
    return attachment_views(shown, viewer, descriptions_sent(frozen, events))


def descriptions_sent(frozen: FrozenForm, events: Iterable[EventRecord]) -> dict[str, Description]:
    """What was said of attachments when they were sent: with an answer or what was added, or with the form in force."""
    later = [event.command.get("described") or {} for event in events if event.name in TOLD_LATER]
    said = {id_: Description.model_validate(words) for described in later for id_, words in described.items()}
    return said | descriptions(cast(WholeForm, frozen.content))


def attachments_sent(frozen: FrozenForm | None, events: Iterable[EventRecord]) -> list[str]:
    """The attachments that were sent, by their ids: those of the form, then those of what was told later. One may stand there
    several times.
    """
    of_form = [one["id"] for one in frozen.content["attachments"]] if frozen else []
    later = [event.command.get("attachment_ids") or () for event in events if event.name in TOLD_LATER]
    return [*of_form, *(id_ for ids in later for id_ in ids)]


async def attachments_shown(
    session: AsyncSession, row: RequestRecord, caller: Caller, frozen: FrozenForm | None, events: Sequence[EventRecord]
) -> list[Attachment]:
    """For the requester all that are there now; for others those of the form in force (`frozen`), or given later.

    They stand in the order that they have now; those of the form, for others, in the one that it was submitted with.
    """
    if row.requester_id == caller.id:
        return await attachments.list_attachments(session, row.id)
    there = await attachments.list_attachments(session, row.id, with_removed=True)
    sent = set(attachments_sent(frozen, events))
    shown = [a for a in there if str(a.id) in sent]
    if frozen and frozen.content.get("ordered"):
        places = {one["id"]: place for place, one in enumerate(frozen.content["attachments"])}
        shown.sort(key=lambda a: places.get(str(a.id), len(places)))
    return shown


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


class AttachmentChanges(Discreet):
    """What changes of a photo or video; what is not given stays."""

    model_config = ConfigDict(extra="forbid")

    slot: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        None, description="What it is sent for.", examples=["photos"]
    )
    caption: Caption | None = Field(None, examples=["Avant-bras gauche"])
    view: PhotoView | None = Field(None, description="An overview or a close-up; empty for neither.")


async def change(
    services: Services, caller: Caller, request_id: UUID, attachment_id: UUID, changes: AttachmentChanges
) -> AttachmentView:
    """Send it for something else, or say what it shows. Raises as `remove` does, and Problem `unknown_slot`."""
    async with services.database.session() as session:
        row = await policy.own_form_to_edit(session, caller, request_id)
        there = await attachments.load_attachment(session, request_id, attachment_id)
    if there is None:
        raise Problem("not_found")
    chosen = None if changes.slot is None else (await slot_for(services, row, changes.slot, there.kind)).name
    async with services.database.session() as session:
        try:
            await attachments.change_attachment(
                session,
                request_id,
                attachment_id,
                now=datetime.now(UTC),
                slot=chosen,
                caption=changes.caption,
                view=changes.view,
            )
        except NotFoundError:
            raise Problem("not_found") from None
        except NotEditableError as error:
            raise policy.closed(error) from None
        found = await attachments.list_attachments(session, request_id)
    viewer = Viewer.of(services.settings, caller)
    return next(view for view in attachment_views(found, viewer) if view.id == attachment_id)


async def reorder(services: Services, caller: Caller, request_id: UUID, ids: Sequence[UUID]) -> list[AttachmentView]:
    """Let photos and videos stand in this order, on the places that they have among all; all of them, as they stand then.

    Raises what `policy.own_form_to_edit` does, and Problem `unknown_attachment`.
    """
    async with services.database.session() as session:
        await policy.own_form_to_edit(session, caller, request_id)
        try:
            there = await attachments.reorder(session, request_id, ids, now=datetime.now(UTC))
        except NotFoundError:
            raise Problem("unknown_attachment") from None
        except NotEditableError as error:
            raise policy.closed(error) from None
        return attachment_views(there, Viewer.of(services.settings, caller))


async def step(services: Services, caller: Caller, request_id: UUID, attachment_id: UUID, by: Literal[-1, 1]) -> None:
    """Let it change places with the one before (-1) or after (1) it in its slot; at the end there is nothing to do.

    Raises as `reorder` does.
    """
    async with services.database.session() as session:
        await policy.own_form_to_edit(session, caller, request_id)
        there = await attachments.list_attachments(session, request_id)
    slot = next((a.slot for a in there if a.id == attachment_id), None)
    if slot is None:
        raise Problem("unknown_attachment")
    ids = [a.id for a in there if a.slot == slot]
    place = ids.index(attachment_id)
    if 0 <= place + by < len(ids):
        ids[place], ids[place + by] = ids[place + by], ids[place]
        await reorder(services, caller, request_id, ids)


async def slot_for(services: Services, row: RequestRecord, wanted: str, kind: str) -> AttachmentSlot:
    """For what the offering asks that such a file fits: `wanted`, or the first when that is empty.

    Raises Problem `unknown_slot`, or `slot_of_another_kind` where it asks for other kinds of files there.
    """
    async with services.database.session() as session:
        offering = await services.versions.of(session, row)
    asked = [slot for slot in offering.attachments if wanted in ("", slot.name)]
    fitting = [slot for slot in asked if kind in slot.accepts]
    if not fitting:
        code = "slot_of_another_kind" if wanted and asked else "unknown_slot"
        raise Problem(code, kind=kind, slots=[s.name for s in offering.attachments if kind in s.accepts or not asked])
    return fitting[0]
