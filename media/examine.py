"""What an uploaded file really is: found from its bytes, then by decoding it. The file's name and declared type say nothing.

Decoding happens in processes of their own, with limits (`confined`): a file can cost no more than those, whatever it is, and what
takes over a decoder sees no other file.
"""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import filetype

from confined import ConfinedError, ForkServer, Limits, NoVerdictError, OutOfMemoryError, OutOfTimeError
from domain.calendar import TIME_ZONE
from media import videos
from media.heif import heif_type
from media.kinds import (
    DICOM,
    DOCUMENT_TYPES,
    PDF,
    PHOTO_TYPES,
    TAKEN_TYPES,
    DamagedMediaError,
    LargeMediaError,
    Media,
    MediaError,
    NoPictureError,
    ProtectedMediaError,
    SeveralFramesError,
    SlowMediaError,
    TooManyPagesError,
    TooManyPixelsError,
    TruncatedMediaError,
    UnknownEncodingError,
    UnsupportedMediaError,
)

LIMITS = Limits(cpu_seconds=15, seconds=60, memory_bytes=1_500 * 1024**2, file_bytes=512 * 1024**2)
"""What one photo may cost. The largest that is taken, 52 megapixels of WebP, takes 2.3 s and 1,080 MB on a slow core."""

_SNIFFED_BYTES = 8_192
_BIG_TIFF = (b"II+\0", b"MM\0+")
_PDF_WITHIN = 1_024
"""Bytes within which readers look for the beginning of a PDF."""
_DICOM_AT, _DICOM_MARK = 128, b"DICM"
"""Before it a file may hold anything, even the head of a TIFF."""
_SAME = {"image/apng": "image/png"}
"""A picture that moves is taken as the one that it begins with."""
SOURCE, TOLD = "source", "told.json"
"""The files of one task: the stranger's, and what is asked of it and was found in it."""

REFUSED: Mapping[type[MediaError], str] = {
    TruncatedMediaError: "truncated",
    UnsupportedMediaError: "unsupported",
    ProtectedMediaError: "protected",
    SeveralFramesError: "several_frames",
    NoPictureError: "no_picture",
    UnknownEncodingError: "unknown_encoding",
    DamagedMediaError: "damaged",
}
"""How a task tells why a file is not taken, where there is nothing more to say of it."""

_decoders = ForkServer("media.decoder", LIMITS)  # so that only its processes load Pillow


async def get_ready() -> None:
    """Begin to load what decodes, so that the first file need not wait for it."""
    await _decoders.start()


async def examine(file: BinaryIO, media_type: str | None = None) -> Media:
    """Decode `file` (seekable) and make the copies to show; `media_type` is what `sniff` found. Leaves it at its start.

    When this is cancelled, its process ends. Raises a MediaError that says why the file is not taken, or NoVerdictError
    (`confined`) when nothing can be said of it.
    """
    media_type = media_type or await sniff(file)
    with await asyncio.to_thread(_new_folder) as name:
        folder = Path(name)
        await asyncio.to_thread(_copy, file, folder / SOURCE)
        if media_type in PHOTO_TYPES | DOCUMENT_TYPES:
            return await _photo(folder, media_type)
        return await _video(folder, media_type)


async def sniff(file: BinaryIO) -> str:
    """The media type of `file`, one of those that are taken. Leaves it at its start. Raises UnsupportedMediaError."""
    media_type = await asyncio.to_thread(_sniff, file)
    if media_type not in TAKEN_TYPES:
        raise UnsupportedMediaError
    return media_type


def _sniff(file: BinaryIO) -> str:
    file.seek(0)
    head = file.read(_SNIFFED_BYTES)
    file.seek(0)
    if head[_DICOM_AT:].startswith(_DICOM_MARK):
        return DICOM
    if found := heif_type(head):
        return found
    if head.startswith(_BIG_TIFF):
        return "image/tiff"
    if b"%PDF-" in head[:_PDF_WITHIN]:
        return PDF
    guess = filetype.guess(head)
    return _SAME.get(str(guess.mime), str(guess.mime)) if guess else ""


def page_file(number: int) -> str:
    """The file with a page of a document, counted from 1."""
    return f"page-{number}"


def _new_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="relais-", ignore_cleanup_errors=True)


def _copy(file: BinaryIO, target: Path) -> None:
    file.seek(0)
    with target.open("wb") as copy:
        shutil.copyfileobj(file, copy, 1024**2)
    file.seek(0)


async def _photo(folder: Path, media_type: str) -> Media:
    await _decode("photo", folder, media_type=media_type, zone=TIME_ZONE.key)
    return await asyncio.to_thread(_made, folder, media_type)


async def _video(folder: Path, media_type: str) -> Media:
    """The first frame, as proof that it is a video."""
    frame = folder / "frame"
    await asyncio.to_thread(frame.mkdir)
    try:
        captured_at = await videos.take_frame(folder / SOURCE, media_type, frame / SOURCE)
    except DamagedMediaError as error:
        raise await _why_damaged(folder, media_type) from error
    await _decode("poster", frame)
    return await asyncio.to_thread(_made, frame, media_type, captured_at)


async def _why_damaged(folder: Path, media_type: str) -> MediaError:
    """Whether it is only that the end is missing of a video that ffmpeg gave up on."""
    await _decode("why_damaged", folder, media_type=media_type)
    told = json.loads(await asyncio.to_thread((folder / TOLD).read_text))
    return _refusal(told["refused"], told)


async def _decode(task: str, folder: Path, **asked: str) -> None:
    await asyncio.to_thread((folder / TOLD).write_text, json.dumps(asked))
    try:
        await _decoders.run(task, folder)
    except NoVerdictError:
        raise
    except OutOfTimeError as error:
        raise SlowMediaError from error
    except OutOfMemoryError as error:
        raise LargeMediaError from error
    except ConfinedError as error:  # a decoder that a file brings down
        raise DamagedMediaError from error


def _made(folder: Path, media_type: str, captured_at: datetime | None = None) -> Media:
    """What the decoder found and made. Raises what it found to be wrong."""
    told = json.loads((folder / TOLD).read_text())
    if refused := told.get("refused"):
        raise _refusal(refused, told)
    kind = told["kind"]
    if told.get("captured_at"):
        captured_at = datetime.fromisoformat(told["captured_at"])
    return Media(
        kind=kind,
        media_type=media_type,
        width=told["width"],
        height=told["height"],
        preview=(folder / "preview").read_bytes(),
        thumbnail=(folder / "thumbnail").read_bytes(),
        full=(folder / "full").read_bytes() if kind != "video" else None,
        captured_at=captured_at,
        sharpness=told.get("sharpness"),
        is_incomplete=told.get("is_incomplete", False),
        pixels_sha256=told.get("pixels_sha256"),
        pages=tuple((folder / page_file(number)).read_bytes() for number in range(1, told.get("pages", 0) + 1)),
    )


def _refusal(code: str, told: dict[str, Any]) -> MediaError:
    match code:
        case "too_many_pixels":
            return TooManyPixelsError(told["width"], told["height"], told["limit"])
        case "too_many_pages":
            return TooManyPagesError(told["pages"], told["limit"])
        case _:
            return next((refusal() for refusal, name in REFUSED.items() if name == code), DamagedMediaError())
