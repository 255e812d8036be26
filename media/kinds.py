"""The kinds of files that Relais takes, what is known of one, and why one is refused."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

PHOTO_TYPES = {"image/jpeg", "image/png", "image/webp", "image/heic", "image/heif"}
VIDEO_TYPES = {"video/mp4", "video/quicktime", "video/x-m4v", "video/webm"}

JPEG = "image/jpeg"
"""What every clean copy of a photo, and the poster of a video, is."""
MP4 = "video/mp4"
"""What every clean copy of a video is."""


class UnsupportedMediaError(Exception):
    """Neither a photo nor a video that Relais takes."""


class DamagedMediaError(Exception):
    """It says that it is a photo or a video, but it can't be decoded (or is absurdly large)."""


class NoFfmpegError(Exception):
    """This machine has no ffmpeg, so nothing can be said about a video."""


@dataclass(frozen=True)
class Media:
    """What a file is, and its clean copies: JPEGs, upright, in sRGB, made anew from the pixels.

    `width` and `height` are those of the upright picture, in pixels. `full` is None for a video, whose `preview` and `thumbnail`
    show its first frame; `sharpness` is None as well (see `media.photos.sharpness_of`).
    """

    kind: Literal["photo", "video"]
    media_type: str
    width: int
    height: int
    preview: bytes
    thumbnail: bytes
    full: bytes | None
    captured_at: datetime | None
    sharpness: float | None


def plausible(moment: datetime) -> datetime | None:
    """The moment of capture; None before 1990: clocks that were never set begin in 1904, 1970 or 1980."""
    return moment if moment >= datetime(1990, 1, 1, tzinfo=UTC) else None
