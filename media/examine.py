"""What an uploaded file really is: found from its bytes, then by decoding it. The file's name and declared type say nothing."""

import asyncio
from typing import BinaryIO

import filetype

from media import photos, videos
from media.kinds import PHOTO_TYPES, VIDEO_TYPES, Media, UnsupportedMediaError

_SNIFFED_BYTES = 8_192
_photos_at_once = asyncio.Semaphore(2)
_videos_at_once = asyncio.Semaphore(2)


async def examine(file: BinaryIO) -> Media:
    """Find out what `file` (seekable, at its start) is, and make the copies to show. Leaves it at its start.

    Raises UnsupportedMediaError, DamagedMediaError, or NoFfmpegError for a video on a machine that has none.
    """
    media_type = await asyncio.to_thread(_sniff, file)
    try:
        if media_type in PHOTO_TYPES:
            async with _photos_at_once:
                return await asyncio.to_thread(photos.render, file, media_type)
        if media_type in VIDEO_TYPES:
            async with _videos_at_once:
                return await videos.look_at(file, media_type)
    finally:
        await asyncio.to_thread(file.seek, 0)
    raise UnsupportedMediaError


def _sniff(file: BinaryIO) -> str:
    head = file.read(_SNIFFED_BYTES)
    file.seek(0)
    guess = filetype.guess(head)
    return str(guess.mime) if guess else ""
