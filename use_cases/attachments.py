"""Photos and videos of a request."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from domain.photos import PhotoWarning
from records.models import Attachment, MediaState
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
