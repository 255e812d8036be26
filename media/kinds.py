"""The kinds of files that Relais takes, what is known of one, and why one is refused."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

HEIF_TYPES = {"image/heic", "image/heif"}
PHOTO_TYPES = {
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/avif",
    "image/tiff",
    "image/gif",
    "image/bmp",
} | HEIF_TYPES
PDF = "application/pdf"
DICOM = "application/dicom"
DOCUMENT_TYPES = {PDF, DICOM}
"""What is always a document; a TIFF is one when it has several pages."""
VIDEO_TYPES = {"video/mp4", "video/quicktime", "video/x-m4v", "video/webm"}
TAKEN_TYPES = PHOTO_TYPES | VIDEO_TYPES | DOCUMENT_TYPES

MAX_PAGES = 30
"""Of a document."""

MAX_EDGE = 65_500
"""The longest edge of a picture, in pixels: more a JPEG, and so a clean copy, can't have."""

JPEG = "image/jpeg"
"""What every clean copy of a photo, and the poster of a video, is."""
MP4 = "video/mp4"
"""What every clean copy of a video is."""


class MediaError(Exception):
    """Why a file is not taken."""


class UnsupportedMediaError(MediaError):
    """Neither a photo nor a video nor a document that Relais takes."""


class DamagedMediaError(MediaError):
    """It says that it is a photo or a video, but it can't be decoded."""


class TruncatedMediaError(MediaError):
    """The end of the file is missing."""


class TooManyPixelsError(MediaError):
    """The picture is larger than Relais decodes: `width` × `height` pixels, where `limit` in all are possible."""

    def __init__(self, width: int, height: int, limit: int) -> None:
        super().__init__(f"{width} × {height} pixels, of at most {limit}")
        self.width = width
        self.height = height
        self.limit = limit


class TooManyPagesError(MediaError):
    """The document has more `pages` than the `limit`."""

    def __init__(self, pages: int, limit: int) -> None:
        super().__init__(f"{pages} pages, of at most {limit}")
        self.pages = pages
        self.limit = limit


class ProtectedMediaError(MediaError):
    """The document opens with a password only."""


class SeveralFramesError(MediaError):
    """The DICOM file holds several pictures, or a video."""


class NoPictureError(MediaError):
    """The DICOM file holds no picture: a report, a plan, a list of other files."""


class UnknownEncodingError(MediaError):
    """The picture of a DICOM file is kept in a way that Relais can't read."""


class SlowMediaError(MediaError):
    """Decoding it takes more time than a file may take."""


class LargeMediaError(MediaError):
    """Decoding it takes more memory than a file may take."""


class NoFfmpegError(MediaError):
    """This machine has no ffmpeg, so nothing can be said about a video."""


@dataclass(frozen=True)
class Media:
    """What a file is, and its clean copies: JPEGs, upright, in sRGB, made anew from the pixels.

    `width` and `height` are those of the upright picture, in pixels. `full` is None for a video, whose `preview` and `thumbnail`
    show its first frame; `sharpness` is None as well (see `media.photos.sharpness_of`). `is_incomplete`: the lowest part of
    a photo was missing in the file, and is grey. `pixels_sha256` is that of a photo's size and pixels, in hexadecimal.

    Of a document, `pages` are its pages as JPEGs, `preview` and `thumbnail` show the first, and `full` is a PDF made of them.
    """

    kind: Literal["photo", "video", "document"]
    media_type: str
    width: int
    height: int
    preview: bytes
    thumbnail: bytes
    full: bytes | None
    captured_at: datetime | None
    sharpness: float | None
    is_incomplete: bool = False
    pixels_sha256: str | None = None
    pages: tuple[bytes, ...] = ()


def plausible(moment: datetime) -> datetime | None:
    """The moment of capture; None before 1990: clocks that were never set begin in 1904, 1970 or 1980."""
    return moment if moment >= datetime(1990, 1, 1, tzinfo=UTC) else None
