"""What a file says of itself, read without decoding it: whether its end is missing, and how large a WebP is."""

import os
import re
from typing import BinaryIO

_JPEG_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_JPEG_END = 0xD9
_JPEG_BARE = (0x01, 0xD8)
"""Markers with no segment behind them."""

_BOXES = {
    *(b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"wide", b"uuid", b"idat", b"pdin", b"pnot", b"udta"),
    *(b"moof", b"mfra", b"sidx", b"ssix", b"styp", b"prft", b"emsg", b"mini"),
}
"""The outermost boxes of ISO base media files and of QuickTime."""
_MOST_BOXES = 10_000
"""How many of them are stepped over. A video in fragments has two for every few seconds."""


def is_cut_off(file: BinaryIO, media_type: str) -> bool:
    """Whether the file ends before its own structure does. Said only of what is a photo or video up to there."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    match media_type:
        case "image/jpeg":
            return _jpeg_is_cut_off(file.read())
        case "image/png":
            return _png_is_cut_off(file, size)
        case "image/webp":
            head = file.read(8)
            return head[:4] == b"RIFF" and int.from_bytes(head[4:], "little") + 8 > size
        case "video/webm":
            return False  # its lengths may be left open
        case _:
            return _boxes_are_cut_off(file, size)


def webp_size(file: BinaryIO) -> tuple[int, int] | None:
    """Width and height that the head of a WebP tells, in pixels. Leaves the file at its start."""
    head = file.read(30)
    file.seek(0)
    match head[12:16]:
        case b"VP8X":
            return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
        case _:
            return None


def _jpeg_is_cut_off(content: bytes) -> bool:
    """Whether the end marker is missing. Segments are stepped over: a picture in them has an end of its own."""
    at = 0
    if not content.startswith(b"\xff\xd8"):
        return False
    while found := _JPEG_MARKER.search(content, at):
        marker, at = content[found.start() + 1], found.end()
        if marker == _JPEG_END:
            return False
        if marker not in _JPEG_BARE:
            at += max(2, int.from_bytes(content[at : at + 2], "big"))
    return True


def _png_is_cut_off(file: BinaryIO, size: int) -> bool:
    if file.read(8) != b"\x89PNG\r\n\x1a\n":
        return False
    at = 8
    while at + 8 <= size:
        file.seek(at)
        head = file.read(8)
        if head[4:] == b"IEND":
            return False
        at += 12 + int.from_bytes(head[:4], "big")
    return True


def _boxes_are_cut_off(file: BinaryIO, size: int) -> bool:
    """Of MP4, QuickTime and HEIF: whether the last of the outermost boxes is longer than what is there of it."""
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > size:
            return at > size
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if head[4:8] not in _BOXES or length < 8:  # something that was appended, or a box up to the end of the file
            return False
        at += length
    return False
