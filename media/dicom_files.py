"""What stands in a DICOM file: what it says of its picture, and the numbers of its pixels, decoded.

Of the header only what makes the picture is read (`_READ`): names, numbers, dates and overlays get no further.
"""

import io
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from PIL import Image
from pydicom import config, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    MPEGTransferSyntaxes,
    RLELossless,
)

from media.kinds import DamagedMediaError, NoPictureError, SeveralFramesError, TruncatedMediaError, UnknownEncodingError
from media.photos import MAX_PIXELS, bound

PALETTE = "PALETTE COLOR"
BANDS = ("Red", "Green", "Blue")
COLOURS = {"RGB", "YBR_ICT", "YBR_RCT", "YBR_FULL", "YBR_FULL_422"}
_GREY = {"MONOCHROME1", "MONOCHROME2"}
_YBR = {"YBR_FULL", "YBR_FULL_422"}

_NATIVE = {ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian}
_JPEG = {JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1}
_JPEG_2000 = {JPEG2000, JPEG2000Lossless}

_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_IN_GROUPS = ("FrameVOILUTSequence", "PixelValueTransformationSequence", "PixelMeasuresSequence")
"""Where files of the newer kind (“enhanced”) have what others have at the top."""

_PART_HEAD_BYTES = 8
_READ = [
    *("Rows", "Columns", "SamplesPerPixel", "PlanarConfiguration", "PhotometricInterpretation", "NumberOfFrames"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData", "FloatPixelData"),
    *("DoubleFloatPixelData", "PixelPaddingValue", "PixelPaddingRangeLimit", "PixelAspectRatio", "PixelSpacing"),
    *("ImagerPixelSpacing", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "WindowCenter", "WindowWidth"),
    *("VOILUTFunction", "VOILUTSequence", "ICCProfile", *_GROUPS),
    *(f"{band}PaletteColorLookupTable{part}" for band in BANDS for part in ("Descriptor", "Data")),
    *(f"Segmented{band}PaletteColorLookupTableData" for band in BANDS),
]


class Told:
    """What the file says of its picture. `size` is columns and rows.

    Raises SeveralFramesError, NoPictureError, UnknownEncodingError, TooManyPixelsError, TruncatedMediaError or DamagedMediaError;
    of damaged files, errors of every kind.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.header = _read(file)
        self.encoding = self.header.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian)
        if int(self.header.get("NumberOfFrames") or 1) > 1 or self.encoding in MPEGTransferSyntaxes:
            raise SeveralFramesError
        if "FloatPixelData" in self.header or "DoubleFloatPixelData" in self.header:
            raise UnknownEncodingError
        if "PixelData" not in self.header:
            raise TruncatedMediaError if ends_early(file) else NoPictureError
        self.size = int(self.header.Columns), int(self.header.Rows)
        self.photometric = str(self.header.PhotometricInterpretation)
        self.allocated = int(self.header.BitsAllocated)
        self.bits = int(self.header.get("BitsStored") or self.allocated)
        self.signed = bool(self.header.get("PixelRepresentation"))
        self._lowest = max(0, int(self.header.get("HighBit", self.bits - 1)) - self.bits + 1)
        if min(self.size) < 1 or not 1 <= self.bits <= self.allocated:
            raise DamagedMediaError
        self._check_readable()
        bound(*self.size, MAX_PIXELS)
        self._places = [self.header, *_groups(self.header)]

    def _check_readable(self) -> None:
        in_colour = self.photometric in COLOURS
        narrow = in_colour or self.encoding in _JPEG  # our decoders know 8 bits of these
        if (
            self.photometric not in {*COLOURS, *_GREY, PALETTE}
            or int(self.header.get("SamplesPerPixel") or 1) != (3 if in_colour else 1)
            or self.allocated not in ((8,) if narrow else (8, 16))
            or self.encoding not in _NATIVE | _JPEG | _JPEG_2000 | {RLELossless}
        ):
            raise UnknownEncodingError

    @property
    def is_big_endian(self) -> bool:
        """Whether its numbers begin with their highest byte."""
        return bool(self.encoding == ExplicitVRBigEndian)

    def first(self, keyword: str) -> Any:
        """What is said under this name, or the first of what is said; None for nothing."""
        value = self._said(keyword)
        if isinstance(value, str | bytes | int | float):
            return value
        return value[0] if value else None

    def numbers(self, keyword: str) -> list[float]:
        """All numbers under this name; none where one of them is no finite one."""
        value = self._said(keyword)
        if value is None:
            return []
        found = [float(one) for one in ([value] if isinstance(value, str | int | float) else value)]
        return found if all(map(math.isfinite, found)) else []

    def number(self, keyword: str) -> float | None:
        """The first number under this name."""
        return next(iter(self.numbers(keyword)), None)

    def _said(self, keyword: str) -> Any:
        return next((place[keyword].value for place in self._places if keyword in place), None)

    def meant(self, level: int) -> int:
        """What the bits that are used of a pixel mean: older files keep overlays in the others."""
        value = level >> self._lowest & (1 << self.bits) - 1
        return value - (1 << self.bits) if self.signed and value >> self.bits - 1 else value


def _read(file: BinaryIO) -> Dataset:
    config.settings.reading_validation_mode = config.IGNORE
    tags: list[Any] = [tag_for_keyword(name) for name in _READ]
    file.seek(0)
    return dcmread(file, specific_tags=tags)


def ends_early(file: BinaryIO) -> bool:
    """Whether the file ends within one of its parts: the reader gives what came before, and does not say so."""
    file.seek(0)
    watched = _Watched(file.read())
    with suppress(Exception):  # what is wrong besides, is said by who draws it
        dcmread(watched)
    return watched.has_ended


class _Watched(io.BytesIO):
    """Notes when more is asked for than is there; that there is no further part is found by asking for its head."""

    has_ended = False

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        if size and size > len(content) and (content or size != _PART_HEAD_BYTES):
            self.has_ended = True
        return content


def _groups(header: Dataset) -> list[Dataset]:
    """The parts of an “enhanced” file that say something of its only frame."""
    frames = [header[name].value[0] for name in _GROUPS if header.get(name)]
    return [frame[name].value[0] for frame in frames for name in _IN_GROUPS if frame.get(name)]


@dataclass(frozen=True)
class Stored:
    """The numbers of a picture's pixels, 8 bits (`L`) or 16 (`I`) of them as they came, and what each means."""

    pixels: Image.Image
    meaning: Callable[[int], int]

    def through(self, shown: Callable[[int], float]) -> Image.Image:
        """Grey, from 0 to 255, as `shown` makes it of what a pixel means."""
        count = 256 if self.pixels.mode == "L" else 65_536
        table = [min(255, max(0, round(shown(self.meaning(level))))) for level in range(count)]
        return self.pixels.point(table, "L")

    def ends(self, but: range) -> tuple[int, int]:
        """The least and the most that a pixel means, those that mean nothing (`but`) left out."""
        if self.pixels.mode == "L":
            found = {level for level, count in enumerate(self.pixels.histogram()) if count}
        else:
            found = set(memoryview(self.pixels.convert("I;16").tobytes()).cast("H"))
        meant = {self.meaning(level) for level in found}
        kept = {value for value in meant if value not in but} or meant
        return min(kept), max(kept)


def stored(told: Told) -> Stored:
    """The pixels of a picture in grey or by a palette. Raises as `Told` does."""
    if told.encoding in _JPEG_2000:
        return _from_jpeg_2000(told)
    if told.encoding in _JPEG:
        return Stored(_loaded(told, "JPEG", "L"), told.meant)
    content = _bytes(told, told.allocated // 8)
    if told.allocated == 8:
        return Stored(Image.frombytes("L", told.size, content), told.meant)
    mode = "I;16B" if told.is_big_endian else "I;16"
    return Stored(Image.frombytes("I", told.size, content, "raw", mode), told.meant)


def _from_jpeg_2000(told: Told) -> Stored:
    """The decoder shifts all numbers to the top of 8 or 16 bits, and signed ones up to where none is below zero: back again."""
    content = _encoded(told)
    precision_at = content.index(b"\xff\x4f\xff\x51") + 42
    precision, signed = (content[precision_at] & 0x7F) + 1, content[precision_at] >> 7
    image = _loaded(told, "JPEG2000", "L" if precision <= 8 else "I;16")
    shifted = (8 if precision <= 8 else 16) - precision

    def meaning(level: int) -> int:
        value = level >> shifted
        return value - (1 << precision - 1) if signed else told.meant(value)

    return Stored(image if image.mode == "L" else image.convert("I"), meaning)


def colours(told: Told) -> Image.Image:
    """A picture whose pixels are colours, as RGB. Raises as `Told` does."""
    if told.encoding in _JPEG:
        return _of_jpeg(told)
    if told.encoding in _JPEG_2000:
        image = _loaded(told, "JPEG2000", "RGB")
        return _from_ybr(image.split()) if told.photometric in _YBR else image
    if told.photometric == "YBR_FULL_422" and told.encoding in _NATIVE:
        return _from_422(told)
    content = _bytes(told, 3)
    if told.encoding == RLELossless or told.header.get("PlanarConfiguration"):
        length = told.size[0] * told.size[1]
        parts = [Image.frombytes("L", told.size, content[at * length : (at + 1) * length]) for at in range(3)]
    else:
        parts = list(Image.frombytes("RGB", told.size, content).split())
    return _from_ybr(parts) if told.photometric in _YBR else Image.merge("RGB", parts)


def _from_ybr(parts: Sequence[Image.Image]) -> Image.Image:
    return Image.merge("YCbCr", list(parts)).convert("RGB")


def _from_422(told: Told) -> Image.Image:
    """Two pixels' brightness, then one of each colour for both (PS3.3 C.7.6.3.1.2)."""
    width, height = told.size
    content = _bytes(told, 2)
    bright = bytearray(width * height)
    bright[0::2], bright[1::2] = content[0::4], content[1::4]
    halves = [Image.frombytes("L", (width // 2, height), content[at::4]).resize(told.size) for at in (2, 3)]
    return _from_ybr([Image.frombytes("L", told.size, bytes(bright)), *halves])


def _of_jpeg(told: Told) -> Image.Image:
    """A JPEG says by itself in which colours it is, else DICOM's header does."""
    image: Any = _opened(told, "JPEG")
    says_nothing = not {"adobe_transform", "jfif"} & set(image.info) and [part[0] for part in image.layer] != [*b"RGB"]
    if told.photometric == "RGB" and says_nothing:
        image.draft("YCbCr", image.size)  # as it stands, without a change
        return Image.merge("RGB", image.split())
    image.load()
    return Image.merge("RGB", image.convert("RGB").split())


def _loaded(told: Told, kind: str, mode: str) -> Image.Image:
    image = _opened(told, kind)
    if image.mode != mode:
        raise UnknownEncodingError
    image.load()
    image.info.clear()
    return image


def _opened(told: Told, kind: str) -> Image.Image:
    image = Image.open(io.BytesIO(_encoded(told)), formats=(kind,))
    if image.size != told.size:
        raise DamagedMediaError
    return image


def _encoded(told: Told) -> bytes:
    return get_frame(told.header.PixelData, 0, number_of_frames=1)


def _bytes(told: Told, each: int) -> bytes:
    """The pixels as they stand, `each` bytes for one, without what may follow. Raises TruncatedMediaError."""
    length = told.size[0] * told.size[1] * each
    if told.encoding == RLELossless:
        content = bytes(get_decoder(RLELossless).as_buffer(told.header, index=0, raw=True)[0])
    else:
        content = told.header.PixelData
        if told.is_big_endian and told.allocated == 8 and told.header["PixelData"].VR == "OW":
            content = _swapped(content)
    if len(content) < length:
        raise TruncatedMediaError
    return content[:length]


def _swapped(content: bytes) -> bytes:
    """Words with their two bytes the other way round."""
    turned = bytearray(len(content))
    turned[0::2], turned[1::2] = content[1::2], content[0::2]
    return bytes(turned)
