"""The picture of a DICOM file as a viewer shows it first: one frame, through the window that the file names, upright pixels.

Numbers in docstrings are those of sections of part 3 of the DICOM standard.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Literal

from PIL import Image

from media.dicom_files import BANDS, COLOURS, PALETTE, Stored, Told, colours, stored
from media.kinds import DamagedMediaError, UnknownEncodingError
from media.photos import in_srgb, reduced

PICTURE_EDGE = 4_000
"""The longest edge of what is shown, in pixels: a radiograph is judged by finer lines than a letter."""

_STRETCHED = (0.1, 10.0)
"""How high a pixel may be for its width. What is beyond is a mistake, and counts for nothing."""

Shown = Callable[[float], float]
"""From what a pixel means to a grey from 0 to 255."""


def pictures(file: BinaryIO) -> list[Image.Image]:
    """The picture of the file, RGB in sRGB, at most `PICTURE_EDGE` pixels long.

    The file is a stranger's: call it in a process with limits. Raises what `dicom_files.Told` does.
    """
    told = Told(file)
    return [_square(reduced(_drawn(told), PICTURE_EDGE), told)]


def _drawn(told: Told) -> Image.Image:
    if told.photometric in COLOURS:
        profile = told.first("ICCProfile")
        return in_srgb(colours(told), profile if isinstance(profile, bytes) else None)
    found = stored(told)
    if told.photometric == PALETTE:
        return Image.merge("RGB", [found.through(_palette(told, band).at) for band in BANDS])
    return found.through(_window(told, found)).convert("RGB")


def _square(picture: Image.Image, told: Told) -> Image.Image:
    """The picture with pixels as high as they are wide (10.7.1, C.7.6.3.1.7)."""
    said = (told.numbers(keyword) for keyword in ("PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio"))
    height, width = next((edges for edges in said if len(edges) == 2 and min(edges) > 0), (1.0, 1.0))
    ratio = height / width
    if abs(ratio - 1) < 0.01 or not _STRETCHED[0] <= ratio <= _STRETCHED[1]:
        return picture
    size = (
        (picture.width, round(picture.height * ratio)) if ratio > 1 else (round(picture.width / ratio), picture.height)
    )
    return reduced(picture.resize(size, Image.Resampling.BICUBIC), PICTURE_EDGE)


def _window(told: Told, found: Stored) -> Shown:
    """As the file wants its grey to be seen, else all of its range."""
    real = _modality(told)
    shown = _interest(told) or _whole_range(told, found, real)
    if told.photometric == "MONOCHROME1":
        return lambda value: 255 - shown(real(value))
    return lambda value: shown(real(value))


def _modality(told: Told) -> Callable[[float], float]:
    """From what stands in a file to what was measured (C.11.1)."""
    if table := told.first("ModalityLUTSequence"):
        return _lut(table, told).at
    slope, intercept = told.number("RescaleSlope") or 1.0, told.number("RescaleIntercept") or 0.0
    return lambda value: value * slope + intercept


def _interest(told: Told) -> Shown | None:
    """What of the measured is of interest (C.11.2); None where the file says nothing of it."""
    if item := told.first("VOILUTSequence"):
        table = _lut(item, told)
        return lambda value: table.at(value) * 255 / table.most
    centre, width = told.number("WindowCenter"), told.number("WindowWidth")
    if centre is None or width is None or width <= 0:
        return None
    match str(told.first("VOILUTFunction") or "LINEAR"):
        case "SIGMOID":
            return lambda value: 255 / (1 + math.exp(max(-700.0, min(700.0, -4 * (value - centre) / width))))
        case "LINEAR_EXACT":
            return partial(_ramp, centre - width / 2, width)
        case _:
            return partial(_ramp, centre - 0.5 - (width - 1) / 2, width - 1)


def _whole_range(told: Told, found: Stored, real: Callable[[float], float]) -> Shown:
    """Of 8 bits all that there can be, of more what there is."""
    ends = (0, (1 << told.bits) - 1) if told.bits <= 8 and not told.signed else found.ends(_padding(told))
    low, high = sorted(map(real, ends))
    return partial(_ramp, low, high - low)


def _padding(told: Told) -> range:
    """What pixels hold that are not part of the picture (C.7.5.1.1.2)."""
    value = told.number("PixelPaddingValue")
    if value is None:
        return range(0)
    other = told.number("PixelPaddingRangeLimit")
    ends = sorted((int(value), int(value if other is None else other)))
    return range(ends[0], ends[1] + 1)


def _ramp(begin: float, length: float, value: float) -> float:
    """From black at `begin` to white after `length`."""
    if length <= 0:
        return 255.0 if value > begin else 0.0
    return min(1.0, max(0.0, (value - begin) / length)) * 255


@dataclass(frozen=True)
class _Table:
    """Numbers for those from `first` on. `most` is the highest that its bits allow."""

    first: int
    numbers: Sequence[int]
    most: int

    def at(self, value: float) -> float:
        """What stands for it; what is below or above gets the first or the last number."""
        return self.numbers[min(len(self.numbers) - 1, max(0, int(value) - self.first))]


def _lut(item: Any, told: Told) -> _Table:
    return _table(item.LUTDescriptor, item.LUTData, told)


def _palette(told: Told, band: str) -> _Table:
    """One of the three of a palette, from 0 to 255 (C.7.6.3.1.5)."""
    if f"Segmented{band}PaletteColorLookupTableData" in told.header:
        raise UnknownEncodingError
    name = f"{band}PaletteColorLookupTable"
    table = _table(told.header[f"{name}Descriptor"].value, told.header[f"{name}Data"].value, told)
    is_deep = table.most > 255 and max(table.numbers) > 255
    return _Table(table.first, [number >> 8 if is_deep else number for number in table.numbers], 255)


def _table(descriptor: Sequence[int], content: bytes | int | Sequence[int], told: Told) -> _Table:
    """A table and its descriptor: how many numbers (0 for 65,536), for those from which on, of how many bits (C.11.1.1)."""
    count, first, bits = (int(part) for part in descriptor)
    count = count or 65_536
    if first > 32_767 and told.signed:
        first -= 65_536
    if isinstance(content, bytes):
        step = 1 if bits <= 8 and len(content) < 2 * count else 2
        order: Literal["big", "little"] = "big" if told.is_big_endian else "little"
        numbers = [int.from_bytes(content[at : at + step], order) for at in range(0, len(content) - step + 1, step)]
    else:
        numbers = [content] if isinstance(content, int) else [int(number) for number in content]
    if not numbers or not 1 <= bits <= 16:
        raise DamagedMediaError
    return _Table(first, numbers[:count], (1 << bits) - 1)
