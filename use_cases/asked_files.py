"""The files that go with a request to a partner that performs: the clean copies that others are shown, not what was uploaded."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from domain.messages import MessageEvent
from domain.scans import Hold
from media.kinds import JPEG, MP4, PDF
from records.models import Attachment, EventRecord, FrozenForm, MediaState
from records.store import DocumentStore
from settings import Settings
from use_cases.attachments import attachments_sent
from use_cases.scans import scan_rule

MOST_BYTES = 18_000_000
"""Of all files of one message, before they are written in Base64: with that, receivers such as ours still take it."""


class NotReadyError(Exception):
    """A file is being scanned, or its copy made: the message waits for it."""


@dataclass(frozen=True)
class AskedFile:
    """A file that goes along; `content` is None of one that can't, of which only the address here is told."""

    id: UUID
    title: str
    media_type: str
    content: bytes | None = field(default=None, repr=False)


def files_named(
    message: MessageEvent, event: EventRecord, events: Iterable[EventRecord], form: FrozenForm
) -> set[UUID]:
    """Which files a message of that kind takes along that tells the event: all of the request, or those of what was said."""
    if message is MessageEvent.SAID_BY_REQUESTER:
        named = [*(event.command.get("attachment_ids") or ())]
    elif message is MessageEvent.REVOKE_REQUEST:
        named = []
    else:
        named = attachments_sent(form, events)
    return {UUID(id_) for id_ in named}


async def read_files(settings: Settings, store: DocumentStore, files: Collection[Attachment]) -> tuple[AskedFile, ...]:
    """The files with their bytes, as far as they may be given out and fit.

    Raises NotReadyError, NotFoundError, ContentDiffersError, StoreError.
    """
    read, room = [], MOST_BYTES
    for one in files:
        key, media_type = _copy_of(one)
        title = one.caption or one.slot
        content = None
        if key is not None and _is_given_out(settings, one):
            size = (await store.compare(key, None)) if room else 0
            content = await store.get(key) if 0 < size <= room else None
        room -= len(content or b"")
        read.append(AskedFile(one.id, title, media_type, content))
    return tuple(read)


def _is_given_out(settings: Settings, attachment: Attachment) -> bool:
    hold = scan_rule(settings).hold(attachment.scan)
    if hold is Hold.BEING_CHECKED:
        raise NotReadyError
    return hold is None


def _copy_of(attachment: Attachment) -> tuple[str | None, str]:
    """Where the copy lies that others are shown, and of which type it is; None where there is none."""
    match attachment.kind:
        case "document":
            return attachment.full_key, PDF
        case "photo":
            return attachment.full_key or attachment.preview_key, JPEG
        case _:
            if attachment.state is MediaState.PREPARING:
                raise NotReadyError
            return attachment.playable_key, MP4
