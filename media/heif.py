"""HEIF, the box in which HEIC and AVIF photos come: which of both it holds, whatever brands it bears."""

from typing import BinaryIO

HEIC, AVIF = "image/heic", "image/avif"

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
"""Eight bits, more, layered, scalable; and the same for sequences."""
_AVIF_BRANDS = {b"avif", b"avis", b"avio"}
_PICTURE_BRANDS = {b"mif1", b"mif2", b"mif3", b"msf1", b"miaf", b"MiHA", b"MiHB", b"MiHE", b"MA1A", b"MA1B", b"1pic"}
"""They say that it is a picture, and leave open how it is coded."""
_CODED_AS = {b"hvc1": HEIC, b"av01": AVIF}
"""Kinds of an item in a HEIF, as its entry (`infe`) says: a part of the picture, or the whole."""

_LEAST_HEAD = 16


def heif_type(head: bytes) -> str | None:
    """`image/heic` or `image/avif` by the first bytes of a file; None when it is no HEIF, or holds what is decoded by neither."""
    if head[4:8] != b"ftyp" or len(head) < _LEAST_HEAD:
        return None
    major, *others = _brands(head)
    if (
        major not in _HEIC_BRANDS | _AVIF_BRANDS | _PICTURE_BRANDS
    ):  # videos name the brands of pictures beside their own
        return None
    for brand in (major, *others):
        if brand in _HEIC_BRANDS:
            return HEIC
        if brand in _AVIF_BRANDS:
            return AVIF
    return next((kind for code, kind in _CODED_AS.items() if _has_item(head, code)), None)


def under_known_brands(file: BinaryIO, media_type: str) -> bytes:
    """The same file, whose first box names the brands that every decoder knows. Its length stays, for others point behind it."""
    file.seek(0)
    content = bytearray(file.read())
    if content[8:12] == b"avis" and b"moov" in content:  # a sequence, of which AVIF's decoder shows the first picture
        return bytes(content)
    end = min(int.from_bytes(content[:4], "big"), len(content))
    content[8:12] = b"avif" if media_type == AVIF else b"heic"
    for at in range(_LEAST_HEAD, end - 3, 4):
        content[at : at + 4] = b"mif1" if at == _LEAST_HEAD else content[8:12]
    return bytes(content)


def _brands(head: bytes) -> list[bytes]:
    """The major brand, then those with which the file says to be compatible."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return [head[8:12], *(head[at : at + 4] for at in range(_LEAST_HEAD, end - 3, 4))]


def _has_item(head: bytes, code: bytes) -> bool:
    """Whether an entry of the table of items has this kind: behind the name of the box come version, id and protection."""
    at = -1
    while (at := head.find(b"infe", at + 1)) >= 0:
        if code in head[at + 12 : at + 18]:
            return True
    return False
