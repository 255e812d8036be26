"""Photos and videos of a request: what is known of them. Their bytes are in the document store."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.offerings import FileKind
from domain.photos import UNDESCRIBED, Description, PhotoView
from domain.scans import ScanState
from records.commands import expected_state, on_their_way
from records.errors import AnswerUnderWayError, NotEditableError, NotFoundError
from records.models import Attachment, EventRecord, FrozenForm, MediaState, RequestRecord
from records.requests import announce, check_editable, lock_request, process_of
from records.sealed import in_clear


async def add_attachment(
    session: AsyncSession,
    *,
    attachment_id: uuid.UUID,
    request_id: uuid.UUID,
    slot: str,
    kind: FileKind,
    media_type: str,
    size_bytes: int,
    sha256: str,
    filename: str,
    width: int | None,
    height: int | None,
    uploaded_by: uuid.UUID,
    now: datetime,
    object_key: str,
    preview_key: str | None,
    thumbnail_key: str | None = None,
    full_key: str | None = None,
    captured_at: datetime | None = None,
    sharpness: float | None = None,
    warnings: Sequence[str] = (),
    begun: datetime | None = None,
    description: Description = UNDESCRIBED,
    pixels_sha256: str | None = None,
    page_keys: Sequence[str] = (),
    phone_link_id: uuid.UUID | None = None,
    to_scan: bool = False,
) -> Attachment:
    """Write down an attachment whose bytes are stored. A video is still to be prepared.

    It stands behind those whose uploads had `begun` before its own. `to_scan`: the virus scanner is to see it.

    It may come while the form can be edited, and until the report with what the requester answers or adds. Raises NotFoundError,
    SubmissionUnderWayError, AnswerUnderWayError, or NotEditableError when the request waits for nothing from its requester.
    """
    row = await lock_request(session, request_id)
    await check_open(session, row, now)
    attachment = Attachment(
        id=attachment_id,
        request_id=request_id,
        slot=slot,
        kind=kind,
        media_type=media_type,
        size_bytes=size_bytes,
        sha256=sha256,
        filename=filename,
        width=width,
        height=height,
        uploaded_by=uploaded_by,
        uploaded_at=now,
        captured_at=captured_at,
        sharpness=sharpness,
        warnings=list(warnings),
        position=_microseconds(begun or now),
        caption=description.caption,
        view=description.view,
        pixels_sha256=pixels_sha256,
        page_keys=list(page_keys),
        phone_link_id=phone_link_id,
        state=MediaState.PREPARING if kind == "video" else MediaState.READY,
        object_key=object_key,
        preview_key=preview_key,
        thumbnail_key=thumbnail_key,
        full_key=full_key,
        scan=ScanState.PENDING if to_scan else ScanState.NOT_SCANNED,
        scan_due_at=now if to_scan else None,
    )
    session.add(attachment)
    await session.flush()
    return attachment


def _microseconds(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


async def check_open(session: AsyncSession, row: RequestRecord, now: datetime) -> None:
    """Raise what `add_attachment` raises unless something may be added to the request now."""
    if row.status.is_with_requester:
        check_editable(row)
    elif not row.status.is_before_report:
        raise NotEditableError
    elif process_of(row).questions:
        expected = await expected_state(session, row, now)
        if expected is not None and not expected.questions:
            raise AnswerUnderWayError


async def load_attachment(session: AsyncSession, request_id: uuid.UUID, attachment_id: uuid.UUID) -> Attachment | None:
    """The attachment, removed or not; None when that request has none of this id."""
    attachment = await session.get(Attachment, attachment_id)
    return attachment if attachment is not None and attachment.request_id == request_id else None


async def list_attachments(
    session: AsyncSession, request_id: uuid.UUID, *, with_removed: bool = False
) -> list[Attachment]:
    """The attachments of the request in their order; also those removed since, which older frozen forms name, if wanted."""
    query = select(Attachment).where(Attachment.request_id == request_id).order_by(Attachment.position, Attachment.id)
    if not with_removed:
        query = query.where(Attachment.removed_at.is_(None))
    return list(await session.scalars(query))


async def remove_attachment(
    session: AsyncSession, request_id: uuid.UUID, attachment_id: uuid.UUID, *, now: datetime
) -> list[str]:
    """Take an attachment out of the form. Returns the keys of stored objects that nothing needs any more.

    What a frozen form or an answer names is only left out from now on: its row and its bytes stay. Raises NotFoundError,
    SubmissionUnderWayError, AnswerUnderWayError when an answer that names it is on its way, or NotEditableError unless the
    request is a draft or returned.
    """
    row = await lock_request(session, request_id)
    attachment = await load_attachment(session, request_id, attachment_id)
    if attachment is None or attachment.removed_at is not None:
        raise NotFoundError
    await _check_changeable(session, row, attachment_id)
    row.draft_touched_at = now
    if await _is_frozen(session, attachment):
        attachment.removed_at = now
        await session.flush()
        return []
    await session.delete(attachment)
    await session.flush()
    return attachment.keys


async def change_attachment(
    session: AsyncSession,
    request_id: uuid.UUID,
    attachment_id: uuid.UUID,
    *,
    now: datetime,
    slot: str | None = None,
    caption: str | None = None,
    view: PhotoView | None = None,
) -> Attachment:
    """Let an attachment count for another slot, or say what it shows. What was submitted names what it had then.

    Raises NotFoundError, SubmissionUnderWayError, AnswerUnderWayError when an answer that names it is on its way, or
    NotEditableError unless the request is a draft or returned.
    """
    row = await lock_request(session, request_id)
    attachment = await load_attachment(session, request_id, attachment_id)
    if attachment is None or attachment.removed_at is not None:
        raise NotFoundError
    await _check_changeable(session, row, attachment_id)
    row.draft_touched_at = now
    attachment.slot = attachment.slot if slot is None else slot
    attachment.caption = attachment.caption if caption is None else caption
    attachment.view = attachment.view if view is None else view
    await session.flush()
    return attachment


def description_of(attachment: Attachment) -> Description:
    """What is said of it now."""
    return Description(caption=attachment.caption, view=cast(PhotoView, attachment.view))


def describe(attachment: Attachment, description: Description) -> None:
    """Say that of it from now on."""
    attachment.caption, attachment.view = description.caption, description.view


async def reorder(
    session: AsyncSession, request_id: uuid.UUID, ids: Sequence[uuid.UUID], *, now: datetime
) -> list[Attachment]:
    """Let these attachments stand in this order, on the places that they have among all; all of them, in their order then.

    Raises NotFoundError when one of them is not there, SubmissionUnderWayError, or NotEditableError unless the request is a draft
    or returned.
    """
    row = await lock_request(session, request_id)
    check_editable(row)
    row.draft_touched_at = now
    there = await list_attachments(session, request_id)
    by_id = {attachment.id: attachment for attachment in there}
    if not by_id.keys() >= set(ids):
        raise NotFoundError
    wanted = iter(ids)
    after = [by_id[next(wanted)] if attachment.id in ids else attachment for attachment in there]
    least = 0
    for attachment, position in zip(after, [attachment.position for attachment in there], strict=True):
        attachment.position = least = max(position, least + 1)
    await session.flush()
    return after


async def _check_changeable(session: AsyncSession, row: RequestRecord, attachment_id: uuid.UUID) -> None:
    check_editable(row)
    for given in await on_their_way(session, row.id):
        if str(attachment_id) in given.command.get("attachment_ids", ()):
            raise AnswerUnderWayError


async def note_playable(
    session: AsyncSession,
    request_id: uuid.UUID,
    attachment_id: uuid.UUID,
    *,
    uploaded_at: datetime,
    playable_key: str,
    duration_seconds: float,
) -> bool:
    """The playable copy of a video lies under that key. False when the video was removed or found infected
    meanwhile, or has another copy.

    So it is when another one was uploaded under its id since: what was made before was sealed with a key that is gone.
    """
    attachment = await _video_to_note(session, request_id, attachment_id)
    if attachment is None or attachment.uploaded_at != uploaded_at or attachment.scan is ScanState.INFECTED:
        return False
    if attachment.playable_key not in (None, playable_key):
        return False
    attachment.playable_key = playable_key
    attachment.duration_seconds = duration_seconds
    await _note_state(session, attachment, MediaState.READY)
    return True


async def note_unplayable(session: AsyncSession, request_id: uuid.UUID, attachment_id: uuid.UUID) -> None:
    """No playable copy of the video could be made. Changes nothing when there is one."""
    attachment = await _video_to_note(session, request_id, attachment_id)
    if attachment is not None and attachment.state is MediaState.PREPARING:
        await _note_state(session, attachment, MediaState.FAILED)


async def _video_to_note(session: AsyncSession, request_id: uuid.UUID, attachment_id: uuid.UUID) -> Attachment | None:
    await lock_request(session, request_id)
    return await load_attachment(session, request_id, attachment_id)


async def _note_state(session: AsyncSession, attachment: Attachment, state: MediaState) -> None:
    """Pages that show the request hear of it as of any change, with the version that the request has anyway."""
    attachment.state = state
    await session.flush()
    await announce(session, await lock_request(session, attachment.request_id))


async def _is_frozen(session: AsyncSession, attachment: Attachment) -> bool:
    in_form = select(FrozenForm.number).where(
        FrozenForm.request_id == attachment.request_id,
        in_clear(FrozenForm.content)["attachments"].contains([{"id": str(attachment.id)}]),
    )
    in_answer = select(EventRecord.version).where(
        EventRecord.request_id == attachment.request_id,
        in_clear(EventRecord.command)["attachment_ids"].contains([str(attachment.id)]),
    )
    return bool(await session.scalar(select(in_form.exists() | in_answer.exists())))
