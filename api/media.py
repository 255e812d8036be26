"""What an uploaded file really is: found from its bytes, then by decoding it. The file's name and declared type say nothing."""

import asyncio
import io
from dataclasses import dataclass
from typing import BinaryIO, Literal

import filetype
import pillow_heif
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

pillow_heif.register_heif_opener()

PHOTO_TYPES = {"image/jpeg", "image/png", "image/webp", "image/heic", "image/heif"}
VIDEO_TYPES = {"video/mp4", "video/quicktime", "video/x-m4v", "video/webm"}
MAX_JPEG_PIXELS = 120_000_000
"""A JPEG is decoded at a fraction of its size."""
MAX_PIXELS = 50_000_000
"""Anything else is decoded whole, whatever it weighs: up to 200 MB of memory."""
PREVIEW_EDGE = 1_200
"""Longest edge of a preview, in pixels."""

_SNIFFED_BYTES = 8_192
_decoding = asyncio.Semaphore(2)


class UnsupportedMediaError(Exception):
    """Neither a photo nor a video that Relais takes."""


class DamagedMediaError(Exception):
    """It says that it is a photo, but it can't be decoded (or is absurdly large)."""


@dataclass(frozen=True)
class Media:
    """What a file is. `preview` is a JPEG of a photo, turned upright and without any of its metadata; None for a video."""

    kind: Literal["photo", "video"]
    media_type: str
    width: int | None
    height: int | None
    preview: bytes | None


async def examine(file: BinaryIO) -> Media:
    """Find out what `file` (at its start, seekable) is; decoding runs in a thread. Raises the errors above."""
    media_type = await asyncio.to_thread(_sniff, file)
    if media_type in VIDEO_TYPES:
        return Media("video", media_type, None, None, None)
    if media_type not in PHOTO_TYPES:
        raise UnsupportedMediaError
    async with _decoding:
        return await asyncio.to_thread(_decode, file, media_type)


def _sniff(file: BinaryIO) -> str:
    head = file.read(_SNIFFED_BYTES)
    file.seek(0)
    guess = filetype.guess(head)
    return str(guess.mime) if guess else ""


def _decode(file: BinaryIO, media_type: str) -> Media:
    try:
        with Image.open(file) as image:
            limit = MAX_JPEG_PIXELS if isinstance(image, JpegImageFile) else MAX_PIXELS
            if image.width * image.height > limit:
                raise DamagedMediaError
            width, height = _upright_size(image)
            image.thumbnail((PREVIEW_EDGE, PREVIEW_EDGE))
            preview = io.BytesIO()
            _flat(ImageOps.exif_transpose(image)).save(preview, "JPEG", quality=82, optimize=True)
    except DamagedMediaError:
        raise
    except Exception as error:  # decoders meet damaged files with errors of every kind
        raise DamagedMediaError from error
    finally:
        file.seek(0)
    return Media("photo", media_type, width, height, preview.getvalue())


def _upright_size(image: Image.Image) -> tuple[int, int]:
    quarter_turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return (image.height, image.width) if quarter_turned else image.size


def _flat(image: Image.Image) -> Image.Image:
    """Without transparency and without the metadata that Pillow would carry over."""
    flat = Image.new("RGB", image.size, "white")
    rgba = image.convert("RGBA")
    flat.paste(rgba, mask=rgba.getchannel("A"))
    return flat
