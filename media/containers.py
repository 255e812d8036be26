"""What a file says of itself, read without decoding it: whether its end is missing, and how large a WebP is."""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from media.jpegs import lacks_end

_BOXES = {
    *(b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"wide", b"uuid", b"idat", b"pdin", b"pnot", b"udta"),
    *(b"moof", b"mfra", b"sidx", b"ssix", b"styp", b"prft", b"emsg", b"mini"),
}
"""The outermost boxes of ISO base media files and of QuickTime."""
_MOST_BOXES = 10_000
"""How many of them are stepped over. A video in fragments has two for every few seconds."""
_PDF_END_WITHIN = 2_048
"""Bytes within which readers look for the end of a PDF."""
_TIFF_NUMBERS = {3: "H", 4: "I"}
_TIFF_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""How long a value is, by its kind; of all others, one byte."""


def is_cut_off(file: BinaryIO, media_type: str) -> bool:
    """Whether the file ends before its own structure does. Said only of what is a photo or video up to there."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    match media_type:
        case "image/jpeg":
            return lacks_end(file.read())
        case "image/png":
            return _png_is_cut_off(file, size)
        case "image/webp":
            head = file.read(8)
            return head[:4] == b"RIFF" and int.from_bytes(head[4:], "little") + 8 > size
        case "application/pdf":
            file.seek(max(0, size - _PDF_END_WITHIN))
            return b"%%EOF" not in file.read()
        case "image/tiff":
            return _tiff_is_cut_off(file, size)
        case "image/gif":
            file.seek(max(0, size - 1))
            return file.read() != b";"
        case "image/bmp":
            return int.from_bytes(file.read(6)[2:], "little") > size
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


def _tiff_is_cut_off(file: BinaryIO, size: int) -> bool:
    """Of a classic TIFF: whether its first directory, or the strips or tiles that it names, lie beyond the end."""
    head = file.read(8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None:
        return False
    at = struct.unpack(order + "I", head[4:])[0]
    if len(head) < 8 or at + 2 > size:
        return True
    file.seek(at)
    count = struct.unpack(order + "H", file.read(2))[0]
    directory = file.read(12 * count)
    if len(directory) < 12 * count:
        return True
    try:
        told = dict(_directory(file, order, directory))
    except EOFError:
        return True
    pieces = zip(told.get(273, told.get(324, ())), told.get(279, told.get(325, ())), strict=False)
    return any(begin + length > size for begin, length in pieces)


def _directory(file: BinaryIO, order: str, directory: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
    """The entries of a TIFF's directory that hold whole numbers. Raises EOFError when they lie beyond the end."""
    for tag, kind, count, value in struct.iter_unpack(order + "HHI4s", directory):
        length = count * _TIFF_BYTES.get(kind, 1)
        if length > len(value):
            file.seek(struct.unpack(order + "I", value)[0])
            value = file.read(length)
            if len(value) < length:
                raise EOFError
        if kind in _TIFF_NUMBERS:
            yield tag, struct.unpack(f"{order}{count}{_TIFF_NUMBERS[kind]}", value[:length])


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
