"""Pictures of DICOM files: shown as a viewer shows them first, with nothing of what the file says beside them."""

import io
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pydicom
import pypdfium2 as pdfium
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    JPEG2000,
    MPEG4HP41,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    RLELossless,
)

from media import dicom
from media.examine import examine
from media.kinds import (
    DamagedMediaError,
    LargeMediaError,
    Media,
    MediaError,
    NoPictureError,
    SeveralFramesError,
    TooManyPixelsError,
    TruncatedMediaError,
    UnknownEncodingError,
)
from tests.clips import encoded
from tests.radiographs import (
    EIGHT_BITS,
    IN_COLOUR,
    SECRETS,
    SIZE,
    item,
    numbers_table,
    painted,
    radiograph,
    wedge,
    words,
)

WIDTH, HEIGHT = SIZE
EXAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
"""Files of many makers that come with pydicom."""


async def examined(content: bytes) -> Media:
    return await examine(io.BytesIO(content))


def shown(content: bytes) -> Image.Image:
    return dicom.pictures(io.BytesIO(content))[0]


def greys(content: bytes) -> list[int]:
    """Of the leftmost pixel, of those at each quarter, and of the rightmost."""
    picture = shown(content)
    assert picture.mode == "RGB"
    row = [picture.getpixel((column, HEIGHT // 2)) for column in (0, 15, 30, 44, WIDTH - 1)]
    assert all(isinstance(pixel, tuple) and len(set(pixel)) == 1 for pixel in row), "grey"
    return [pixel[0] for pixel in row if isinstance(pixel, tuple)]


def about(found: Sequence[int], expected: Sequence[int], by: int = 3) -> bool:
    return all(abs(one - other) <= by for one, other in zip(found, expected, strict=True))


RISING = [0, 65, 130, 190, 255]
GREYS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "all of its range": ({}, RISING),
    "inverted": ({"PhotometricInterpretation": "MONOCHROME1"}, [255, 190, 125, 65, 0]),
    "a window": ({"WindowCenter": 500, "WindowWidth": 500}, [0, 2, 132, 252, 255]),
    "the first of several windows": ({"WindowCenter": [500, 40], "WindowWidth": [500, 80]}, [0, 2, 132, 252, 255]),
    "a window, exactly": (
        {"WindowCenter": 500, "WindowWidth": 1_000, "VOILUTFunction": "LINEAR_EXACT"},
        [0, 65, 129, 190, 255],
    ),
    "a curve": ({"WindowCenter": 500, "WindowWidth": 500, "VOILUTFunction": "SIGMOID"}, [5, 31, 132, 222, 250]),
    "a threshold": ({"WindowCenter": 500.5, "WindowWidth": 1}, [0, 0, 255, 255, 255]),
    "measured numbers": (
        {"RescaleSlope": 2, "RescaleIntercept": -1_000, "WindowCenter": 0, "WindowWidth": 1_000},
        [0, 2, 132, 252, 255],
    ),
    "a window over nothing": ({"WindowCenter": 500, "WindowWidth": 0}, RISING),
    "a table of interest": (
        {"VOILUTSequence": Items([numbers_table([4_095, 0], first=500, bits=12)])},
        [255, 255, 0, 0, 0],
    ),
    "a table of what was measured": (
        {
            "ModalityLUTSequence": Items([numbers_table([0, 1_000], first=500)]),
            "WindowCenter": 500,
            "WindowWidth": 1_000,
        },
        [0, 0, 255, 255, 255],
    ),
    "a table of nothing": ({"VOILUTSequence": Items([Dataset()])}, RISING),
    "an enhanced file": (
        {
            "NumberOfFrames": 1,
            "SharedFunctionalGroupsSequence": Items(
                [item(FrameVOILUTSequence=Items([item(WindowCenter=500, WindowWidth=500)]))]
            ),
        },
        [0, 2, 132, 252, 255],
    ),
    "12 of 16 bits": ({"BitsStored": 12, "HighBit": 11}, RISING),
    "implicit": ({"encoding": ImplicitVRLittleEndian}, RISING),
    "deflated": ({"encoding": DeflatedExplicitVRLittleEndian}, RISING),
    "big endian": ({"encoding": ExplicitVRBigEndian, "pixels": words(wedge(), order="big")}, RISING),
    "below zero": ({"PixelRepresentation": 1, "pixels": words([level - 700 for level in wedge()])}, RISING),
    "with an overlay in bits that are not used": (
        {"BitsStored": 12, "HighBit": 11, "pixels": words([level | 0x9000 for level in wedge()])},
        RISING,
    ),
    "bits that are not the lowest": (
        {"BitsStored": 12, "HighBit": 15, "pixels": words([level << 4 for level in wedge()])},
        RISING,
    ),
    "padded": (
        {
            "PixelPaddingValue": 0,
            "pixels": words([max(level, 500) if n % 60 else 0 for n, level in enumerate(wedge())]),
        },
        [0, 0, 4, 125, 255],
    ),
    "8 bits": ({**EIGHT_BITS, "pixels": words([level // 8 for level in wedge()], 1)}, [0, 31, 63, 93, 125]),
    "7 of 8 bits": (
        {**EIGHT_BITS, "BitsStored": 7, "HighBit": 6, "pixels": words([level // 8 for level in wedge()], 1)},
        [0, 62, 127, 186, 251],
    ),
}


@pytest.mark.parametrize("name", GREYS)
def test_grey_as_a_viewer_shows_it_first(name: str) -> None:
    said, expected = GREYS[name]
    found = greys(radiograph(**said))
    assert about(found, expected), found


def grey_picture(kind: str, mode: str, **more: Any) -> bytes:
    levels = wedge() if mode == "I;16" else [level * 255 // 1_000 for level in wedge()]
    content = words(levels) if mode == "I;16" else bytes(levels)
    return encoded(Image.frombytes(mode, SIZE, content), kind, **more)


def rle(content: bytes, segments: int) -> bytes:
    """Each byte of the numbers by itself, the highest first, in runs of single bytes."""
    parts = []
    for at in reversed(range(segments)):
        plane = content[at::segments]
        runs = b"".join(bytes([len(plane[n : n + 128]) - 1]) + plane[n : n + 128] for n in range(0, len(plane), 128))
        parts.append(runs + bytes(len(runs) % 2))
    starts, at = [], 64
    for part in parts:
        starts.append(at)
        at += len(part)
    return b"".join(n.to_bytes(4, "little") for n in [segments, *starts] + [0] * (15 - segments)) + b"".join(parts)


COMPRESSED: dict[str, dict[str, Any]] = {
    "JPEG": {"pixels": grey_picture("JPEG", "L", quality=95), "encoding": JPEGBaseline8Bit, **EIGHT_BITS},
    "JPEG, extended": {"pixels": grey_picture("JPEG", "L", quality=95), "encoding": JPEGExtended12Bit, **EIGHT_BITS},
    "JPEG 2000, 8 bits": {
        **{"pixels": grey_picture("JPEG2000", "L", no_jp2=True), "encoding": JPEG2000Lossless, **EIGHT_BITS},
    },
    "JPEG 2000, 16 bits": {"pixels": grey_picture("JPEG2000", "I;16", no_jp2=True), "encoding": JPEG2000},
    "RLE, 16 bits": {"pixels": rle(words(wedge()), 2), "encoding": RLELossless},
    "RLE, 8 bits": {
        **{"pixels": rle(words([level * 255 // 1_000 for level in wedge()], 1), 1), "encoding": RLELossless},
        **EIGHT_BITS,
    },
}


@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed_grey_is_the_same(name: str) -> None:
    found = greys(radiograph(**COMPRESSED[name]))
    assert about(found, RISING, 6), found


def planes() -> bytes:
    return b"".join(band.tobytes() for band in painted().split())


def halved() -> bytes:
    """Two of brightness, then one of each colour."""
    bright, blue, red = (band.tobytes() for band in painted().convert("YCbCr").split())
    pairs = range(0, WIDTH * HEIGHT, 2)
    return b"".join(bytes([bright[n], bright[n + 1], blue[n], red[n]]) for n in pairs)


def coloured(pixels: bytes, photometric: str = "RGB", **said: Any) -> bytes:
    return radiograph(pixels, **{**IN_COLOUR, "PhotometricInterpretation": photometric, **said})


def by_palette() -> bytes:
    tables: dict[str, Any] = {}
    for band, numbers in (("Red", [220, 20]), ("Green", [20, 20]), ("Blue", [20, 220])):
        tables[f"{band}PaletteColorLookupTableDescriptor"] = [2, 7, 16]
        tables[f"{band}PaletteColorLookupTableData"] = words([number * 257 for number in numbers])
    halves = bytes(7 if n % WIDTH < WIDTH // 2 else 8 for n in range(WIDTH * HEIGHT))
    return radiograph(halves, PhotometricInterpretation="PALETTE COLOR", **{**EIGHT_BITS, **tables})


def without_marks() -> bytes:
    """A JPEG of red, green and blue as they are, that says so nowhere."""
    content = encoded(Image.merge("YCbCr", painted().split()), quality=95, subsampling=0)
    return content[:2] + content[2 + 2 + int.from_bytes(content[4:6], "big") :]


COLOURED: dict[str, Callable[[], bytes]] = {
    "pixel by pixel": lambda: coloured(painted().tobytes()),
    "plane by plane": lambda: coloured(planes(), PlanarConfiguration=1),
    "brightness and colour": lambda: coloured(painted().convert("YCbCr").tobytes(), "YBR_FULL"),
    "half of the colour": lambda: coloured(halved(), "YBR_FULL_422"),
    "big endian": lambda: coloured(
        b"".join(painted().tobytes()[n : n + 2][::-1] for n in range(0, 3 * WIDTH * HEIGHT, 2)),
        encoding=ExplicitVRBigEndian,
    ),
    "JPEG": lambda: coloured(encoded(painted(), quality=95), "YBR_FULL_422", encoding=JPEGBaseline8Bit),
    "JPEG that does not say its colours": lambda: coloured(without_marks(), encoding=JPEGBaseline8Bit),
    "JPEG 2000": lambda: coloured(encoded(painted(), "JPEG2000", no_jp2=True), "YBR_RCT", encoding=JPEG2000),
    "palette": by_palette,
}


@pytest.mark.parametrize("name", COLOURED)
def test_colours_are_those_of_the_picture(name: str) -> None:
    picture = shown(COLOURED[name]())
    for column, colour in ((10, (220, 20, 20)), (50, (20, 20, 220))):
        pixel = picture.getpixel((column, 20))
        assert isinstance(pixel, tuple)
        assert about(pixel, colour, 12), pixel


def test_pixels_that_are_not_square_are_made_so() -> None:
    assert shown(radiograph(PixelSpacing=[0.5, 0.25])).size == (60, 80)
    assert shown(radiograph(PixelAspectRatio=[1, 2])).size == (120, 40)
    assert shown(radiograph(PixelSpacing=[1e9, 1e-9])).size == SIZE
    assert shown(radiograph(size=(5_000, 10))).size == (4_000, 8)


async def test_nothing_but_the_picture_gets_through() -> None:
    content = radiograph(size=(600, 400))
    assert all(word.encode() in content for word in SECRETS)
    found = await examined(content)
    assert (found.kind, found.media_type, found.width, found.height) == ("document", "application/dicom", 600, 400)
    assert (found.captured_at, len(found.pages)) == (None, 1)
    assert found.full is not None
    for copy in (found.full, found.preview, found.thumbnail, *found.pages):
        for word in SECRETS:
            assert word.encode() not in copy
            assert word.encode("utf-16-be") not in copy
    assert len(pdfium.PdfDocument(found.full)) == 1


async def test_in_the_clothes_of_another_kind() -> None:
    content = radiograph()
    for preamble in (b"II*\0\x08\0\0\0", b"%PDF-1.7\n", b"\xff\xd8\xff\xe0"):
        found = await examined(preamble.ljust(128, b"\0") + content[128:])
        assert found.media_type == "application/dicom"


def without(*names: str) -> bytes:
    header = pydicom.dcmread(io.BytesIO(radiograph()))
    for name in names:
        delattr(header, name)
    made = io.BytesIO()
    header.save_as(made)
    return made.getvalue()


def deep(levels: int = 3_000) -> bytes:
    """Sequences within sequences, whose lengths are left open."""
    content = radiograph()
    at = content.index(b"\x28\x00\x02\x00US")
    begin = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    return content[:at] + begin * levels + content[at:]


REFUSED: dict[str, tuple[Callable[[], bytes], type[MediaError]]] = {
    "several frames": (lambda: radiograph(words(wedge()) * 2, NumberOfFrames=2), SeveralFramesError),
    "a video": (lambda: radiograph(b"video", MPEG4HP41), SeveralFramesError),
    "a report": (lambda: without("PixelData", "Rows", "Columns"), NoPictureError),
    "JPEG-LS": (lambda: radiograph(b"\xff\xd8\xff\xf7", JPEGLSLossless), UnknownEncodingError),
    "JPEG of 12 bits": (lambda: radiograph(b"\xff\xd8", JPEGExtended12Bit, BitsStored=12), UnknownEncodingError),
    "unheard of": (lambda: radiograph(encoding=UID("1.2.840.10008.1.2.4.94")), UnknownEncodingError),
    "32 bits": (lambda: radiograph(bytes(9_600), BitsAllocated=32, BitsStored=32, HighBit=31), UnknownEncodingError),
    "one bit": (lambda: radiograph(bytes(300), BitsAllocated=1, BitsStored=1, HighBit=0), UnknownEncodingError),
    "other colours": (lambda: radiograph(PhotometricInterpretation="HSV"), UnknownEncodingError),
    "huge": (lambda: radiograph(Rows=65_535, Columns=65_535), TooManyPixelsError),
    "huge, with nothing in it": (
        lambda: radiograph(bytes(64), RLELossless, Rows=9_000, Columns=9_000),
        TooManyPixelsError,
    ),
    "no rows": (lambda: radiograph(Rows=0), DamagedMediaError),
    "no width": (lambda: without("Columns"), DamagedMediaError),
    "more bits than there are": (lambda: radiograph(BitsStored=40), DamagedMediaError),
    "fewer pixels than it says": (lambda: radiograph(Rows=41), TruncatedMediaError),
    "cut off": (lambda: radiograph()[:-1_000], TruncatedMediaError),
    "cut off before the picture": (lambda: radiograph()[:700], TruncatedMediaError),
    "a fragment cut off": (
        lambda: radiograph(grey_picture("JPEG", "L"), JPEGBaseline8Bit, **EIGHT_BITS)[:-200],
        TruncatedMediaError,
    ),
    "half a JPEG": (
        lambda: radiograph(grey_picture("JPEG", "L", quality=95)[:-300], JPEGBaseline8Bit, **EIGHT_BITS),
        DamagedMediaError,
    ),
    "a JPEG of another size": (
        lambda: radiograph(encoded(Image.new("L", (500, 500))), JPEGBaseline8Bit, **EIGHT_BITS),
        DamagedMediaError,
    ),
    "nonsense for runs": (lambda: radiograph(bytes(range(256)), RLELossless), DamagedMediaError),
    "no table in its palette": (
        lambda: radiograph(PhotometricInterpretation="PALETTE COLOR"),
        DamagedMediaError,
    ),
    "sequences without an end": (deep, DamagedMediaError),
    "head only": (lambda: bytes(128) + b"DICM", TruncatedMediaError),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_each_reason_is_told_apart(name: str) -> None:
    make, error = REFUSED[name]
    with pytest.raises(error):
        await examined(make())


async def test_a_file_that_unpacks_to_more_than_there_is_room_for() -> None:
    header = radiograph(b"", DeflatedExplicitVRLittleEndian)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    part = packer.compress(bytes(64 * 1024**2)) + packer.flush(zlib.Z_FULL_FLUSH)  # the next knows nothing of it
    bomb = 32 * part + packer.flush()
    start = 144 + int.from_bytes(header[140:144], "little")
    with pytest.raises((LargeMediaError, DamagedMediaError)):
        await examined(header[:start] + bomb)


OF_MANY_MAKERS: dict[str, type[MediaError] | tuple[int, int]] = {
    "CT_small.dcm": (128, 128),
    "MR_small_RLE.dcm": (64, 64),
    "693_J2KI.dcm": (512, 512),
    "J2K_pixelrep_mismatch.dcm": (512, 512),
    "examples_palette.dcm": (800, 350),
    "examples_overlay.dcm": (484, 300),
    "image_dfl.dcm": (512, 512),
    "SC_rgb_jpeg_gdcm.dcm": (100, 100),
    "SC_ybr_full_422_uncompressed.dcm": (100, 100),
    "SC_rgb_small_odd_big_endian.dcm": (3, 3),
    "examples_ybr_color.dcm": SeveralFramesError,
    "test-SR.dcm": NoPictureError,
    "JPGExtended.dcm": UnknownEncodingError,
    "MR_small_jpeg_ls_lossless.dcm": UnknownEncodingError,
    "rtdose_1frame.dcm": UnknownEncodingError,
    "MR_truncated.dcm": TruncatedMediaError,
    "badVR.dcm": DamagedMediaError,
}


async def test_files_of_many_makers() -> None:
    for name, expected in OF_MANY_MAKERS.items():
        content = (EXAMPLES / name).read_bytes()
        if isinstance(expected, tuple):
            found = await examined(content)
            assert (found.width, found.height) == expected, name
        else:
            with pytest.raises(expected):
                await examined(content)
