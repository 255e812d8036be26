"""JPEGs whose end is missing: what every viewer shows of one, and how much of the picture that is; and how large a picture is."""

import re
from collections import defaultdict

from PIL import Image, ImageChops

END = b"\xff\xd9"
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_BARE = (0x01, 0xD8)
"""Markers with no segment behind them."""
_START_OF_SCAN, _PROGRESSIVE = 0xDA, (0xC2, 0xC6, 0xCA, 0xCE)
_NO_FRAMES = (0xC4, 0xC8, 0xCC)
"""Markers among those of frames that begin none."""
_COEFFICIENTS = frozenset(range(64))
_BLOCK = 8
"""Pixels along the edge of what is coded together."""

MOST_MISSING = 0.1
"""Up to this part of its rows, a photo without its end is taken, with a warning. What lacks more is to be sent again."""


def lacks_end(content: bytes) -> bool:
    """Whether it is a JPEG without its end marker. Segments are stepped over: a picture in them has an end of its own."""
    return content.startswith(b"\xff\xd8") and all(marker != END[1] for marker, _ in _segments(content))


def ended(content: bytes) -> bytes | None:
    """The file with an end, at which a decoder leaves what is missing grey; None when too little came to make a picture.

    Of a progressive JPEG, whose scans add detail to the whole picture, the last one must have begun.
    """
    components: set[int] = set()
    complete: defaultdict[int, set[int]] = defaultdict(set)  # by component, the coefficients that came in full
    is_progressive, scans = False, 0
    for marker, at in _segments(content):
        if marker in _PROGRESSIVE:
            is_progressive = True
        elif marker == _START_OF_SCAN:
            scans += 1
            count = content[at + 2] if at + 2 < len(content) else 0
            told = content[at + 3 : at + 3 + 2 * count]
            first, last, precision = (*content[at + 3 + 2 * count : at + 6 + 2 * count], 0, 0, 255)[:3]
            components.update(told[::2])
            for component in told[::2]:
                complete[component].update(range(first, last + 1) if precision & 15 == 0 else ())
    is_whole = all(complete[component] >= _COEFFICIENTS for component in components) if is_progressive else scans == 1
    return content + END if components and is_whole else None


def size_of(content: bytes) -> tuple[int, int]:
    """The width and height of one of our own JPEGs, in pixels. Raises ValueError for anything else."""
    for marker, at in _segments(content):
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES:
            height, width = content[at + 3 : at + 5], content[at + 5 : at + 7]
            return int.from_bytes(width), int.from_bytes(height)
    raise ValueError("no JPEG")


def missing_part(picture: Image.Image) -> float:
    """The part of a picture's rows, from below, that hold nothing: a decoder leaves them in the middle of every scale.

    0 when nothing is missing. `picture` is as it was decoded, not yet turned, its colours not yet changed. It is looked at as far
    as `MOST_MISSING`.
    """
    top = max(0, int(picture.height * (1 - MOST_MISSING)) - 1)
    lowest = picture.crop((0, top, picture.width, picture.height))
    at = lowest.getpixel((lowest.width - 1, lowest.height - 1))
    levels = at if isinstance(at, tuple) else (at,)
    if not all(level in (127, 128) for level in levels):
        return 0
    nothing = Image.new(lowest.mode, lowest.size, at)
    differing = ImageChops.difference(lowest, nothing)
    if differing.crop((max(0, lowest.width - _BLOCK), max(0, lowest.height - _BLOCK), *lowest.size)).getbbox():
        return 0
    seen = differing.getbbox()
    rows = lowest.height - seen[3] if seen else lowest.height
    return max(1, rows) / picture.height


def _segments(content: bytes) -> list[tuple[int, int]]:
    """The markers, each with where its segment begins (the two bytes of its length)."""
    found, at = [], 0
    while marker := _MARKER.search(content, at):
        code, at = content[marker.start() + 1], marker.end()
        found.append((code, at))
        if code == END[1]:
            break
        if code not in _BARE:
            at += max(2, int.from_bytes(content[at : at + 2], "big"))
    return found
