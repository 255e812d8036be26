"""Photos and videos: what is looked at and downloaded, and by whom.

Who uploaded a file gets it back byte for byte. Everybody else gets the clean copy that was made of it (`media`): position and
device of a telephone, and whatever hides in a file, end with the one who sent it. What the virus scanner has
not passed is given out as `use_cases.scans` says.
"""

from dataclasses import dataclass
from pathlib import PurePath
from uuid import UUID

from domain.audit import Act
from media.kinds import JPEG, MP4, PDF
from records.errors import ContentDiffersError, NotFoundError
from records.models import Attachment, MediaState, RequestRecord
from records.store import digest_in
from use_cases import policy
from use_cases.accesses import log_access, log_unless_opened, was_just_seen
from use_cases.attachments import visible_attachments
from use_cases.attended import Attended
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.scans import Viewer, check_given_out
from use_cases.services import Services
from use_cases.stored_files import StoredFile, why_not
from use_cases.videos import prepare_video


@dataclass(frozen=True)
class Look:
    """Somebody looks at a photo or video. `in_parts`: only a part of it is asked for, as players do dozens of times."""

    services: Services
    caller: Caller
    request_id: UUID
    attachment_id: UUID
    attended: Attended
    in_parts: bool = False


async def original(look: Look) -> StoredFile:
    """For who uploaded it, the very bytes; for others the clean copy, a JPEG, an MP4 or a PDF.

    Raises Problem `not_found`, `forbidden` or `not_yet`; `file_being_checked`, `file_not_scanned` or `file_infected`;
    `stored_file_missing` or `stored_file_differs`; of a video `video_preparing` while its copy is not there yet,
    `video_not_playable` when it could not be made.
    """
    row, attachment = await _to_see(look, picture=False)
    if attachment.uploaded_by == look.caller.id:
        found = _Kept(attachment.object_key, attachment.media_type, attachment.filename, attachment.sha256)
    elif attachment.kind == "document":
        found = _Kept(_first_of(attachment.full_key), PDF, _named(attachment, ".pdf"))
    elif attachment.kind == "photo":
        found = _Kept(_first_of(attachment.full_key, attachment.preview_key), JPEG, _named(attachment, ".jpg"))
    else:
        found = _Kept(await _playable_key(look.services, attachment), MP4, _named(attachment, ".mp4"))
    await _log(look, row, Act.ATTACHMENT)
    return await _given_out(look, attachment, found)


async def preview(look: Look) -> StoredFile:
    """A JPEG of at most 1,200 pixels; of a video, its first frame. Raises as `original` does."""
    row, attachment = await _to_see(look)
    key = _first_of(attachment.preview_key)
    await _log(look, row, Act.PREVIEW)
    return await _given_out(look, attachment, _Kept(key, JPEG))


async def thumbnail(look: Look) -> StoredFile:
    """A JPEG of at most 320 pixels. It belongs to the look at the request; alone, as in a list, it is a look of its own."""
    row, attachment = await _to_see(look)
    async with look.services.database.session() as session:
        await log_unless_opened(session, look.caller, row, look.attachment_id)
    key = _first_of(attachment.thumbnail_key, attachment.preview_key)
    return await _given_out(look, attachment, _Kept(key, JPEG))


async def full(look: Look) -> StoredFile:
    """A JPEG of a photo's full size. Raises as `original` does, and Problem `not_found` for a video."""
    row, attachment = await _to_see(look)
    if attachment.kind != "photo":
        raise Problem("not_found")
    key = _first_of(attachment.full_key, attachment.preview_key)
    await _log(look, row, Act.ATTACHMENT)
    return await _given_out(look, attachment, _Kept(key, JPEG))


async def page(look: Look, number: int) -> StoredFile:
    """A page of a document, counted from 1, as a JPEG. Raises as `original` does, and Problem `not_found` when there is none."""
    row, attachment = await _to_see(look)
    if not 1 <= number <= len(attachment.page_keys):
        raise Problem("not_found")
    await _log(look, row, Act.ATTACHMENT)
    return await _given_out(look, attachment, _Kept(attachment.page_keys[number - 1], JPEG))


async def video(look: Look) -> StoredFile:
    """The copy of a video that every browser plays. Raises as `original` does, and Problem `not_found` for a photo."""
    row, attachment = await _to_see(look, picture=False)
    if attachment.kind != "video":
        raise Problem("not_found")
    key = await _playable_key(look.services, attachment)
    await _log(look, row, Act.ATTACHMENT)
    return await _given_out(look, attachment, _Kept(key, MP4))


async def _to_see(look: Look, *, picture: bool = True) -> tuple[RequestRecord, Attachment]:
    """The attachment, which the caller may see: a `picture` that was made of it, or more than that.

    Raises Problem `not_found`, `forbidden` or `not_yet`; `file_being_checked`, `file_not_scanned` or `file_infected`.
    """
    async with look.services.database.session() as session:
        row = await policy.chart_to_see(session, look.caller, look.request_id)
        visible = await visible_attachments(session, row, look.caller)
    attachment = next((a for a in visible if a.id == look.attachment_id), None)
    if attachment is None:
        raise Problem("not_found")
    check_given_out(Viewer.of(look.services.settings, look.caller), attachment, picture=picture)
    return row, attachment


async def _log(look: Look, row: RequestRecord, kind: Act) -> None:
    """Write the look down. A player asks for a video in dozens of parts, which together are one look."""
    async with look.services.database.session() as session:
        if look.in_parts and await was_just_seen(session, look.caller, row, kind, look.attachment_id):
            return
        await log_access(session, look.caller, row, kind, look.attachment_id)


async def _playable_key(services: Services, attachment: Attachment) -> str:
    if attachment.playable_key is not None:
        return attachment.playable_key
    if attachment.state is MediaState.FAILED:
        raise Problem("video_not_playable")
    await prepare_video(services, attachment)
    raise Problem("video_preparing")


def _first_of(*keys: str | None) -> str:
    for key in keys:
        if key is not None:
            return key
    raise Problem("not_found")


@dataclass(frozen=True)
class _Kept:
    """An object of the document store that is to be given out."""

    key: str
    media_type: str
    filename: str = ""
    sha256: str | None = None
    """Of an original; the keys of copies name theirs."""


async def _given_out(look: Look, attachment: Attachment, kept: _Kept) -> StoredFile:
    store = look.services.store
    comparing = store.compare(kept.key, kept.sha256 or digest_in(kept.key), again=not look.in_parts)
    try:
        size = await look.attended(comparing)
    except (ContentDiffersError, NotFoundError) as error:
        raise await why_not(look.services, attachment, kept.key, error) from None
    return StoredFile(kept.key, size, kept.media_type, kept.filename, store)


def _named(attachment: Attachment, suffix: str) -> str:
    """The file's name with the suffix of its copy."""
    return f"{PurePath(attachment.filename).stem or attachment.kind}{suffix}"
