"""Photos that every viewer shows are taken, however they are coded and whatever they call themselves."""

import io
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms

from domain.calendar import TIME_ZONE
from media import examine as examining
from media import photos
from media.heif import heif_type
from media.kinds import DamagedMediaError, Media, TooManyPixelsError, TruncatedMediaError, UnsupportedMediaError
from tests.clips import arrow, encoded, telephone_exif

CORNERS = ("red", "green", "blue", "white")


def textured(mode: str = "RGB", size: tuple[int, int] = (640, 480)) -> Image.Image:
    """A picture with something in every block, and nowhere the grey that decoders leave."""
    # The same in every run: where its JPEG ends must not depend on luck.
    noise = Random(7).randbytes(size[0] * size[1])  # noqa: S311 - a picture
    grain = Image.frombytes("L", size, noise).point(lambda level: level // 6 + 40)
    return Image.merge("RGB", (grain, grain.rotate(180), grain)).convert(mode)


def taken(content: bytes) -> Media:
    """The photo by what its bytes say it is, decoded in this process."""
    found = examining._sniff(io.BytesIO(content))
    return photos.render(io.BytesIO(content), found, TIME_ZONE)


def full_of(found: Media) -> Image.Image:
    assert found.full is not None
    return Image.open(io.BytesIO(found.full))


JPEGS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "full colour": {"subsampling": 0},
    "restarts": {"restart_marker_rows": 1},
    "with EXIF": {"exif": telephone_exif(1)},
}


@pytest.mark.parametrize("name", JPEGS)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_without_its_last_bytes_is_the_same_photo(name: str, mode: str) -> None:
    whole = encoded(textured(mode), **JPEGS[name])
    found = taken(whole)
    assert not found.is_incomplete
    above = (0, 0, 640, 448)  # without the last blocks, of which a part may be lost
    for lost in (1, 2, 3):
        short = taken(whole[:-lost])
        assert (short.width, short.height) == (640, 480)
        differing = ImageChops.difference(full_of(short).crop(above), full_of(found).crop(above))
        assert differing.convert("L").point(lambda level: 255 * (level > 40)).getbbox() is None


@pytest.mark.parametrize("ending", [b"\0" * 512, b"\xff", b"\xff\xff"])
def test_a_jpeg_whose_end_was_written_over(ending: bytes) -> None:
    for name in ("baseline", "progressive"):
        assert not taken(encoded(textured(), **JPEGS[name])[:-2] + ending).is_incomplete


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_what_is_missing_of_a_jpeg_is_said(mode: str) -> None:
    whole = encoded(textured(mode), quality=90)
    for lost in (400, len(whole) // 20):  # more than what is coded together
        assert taken(whole[:-lost]).is_incomplete
    for part in (5, 2):
        with pytest.raises(TruncatedMediaError):
            taken(whole[: -len(whole) // part])
    progressive = encoded(textured(mode), progressive=True)
    last = progressive.rfind(b"\xff\xda")
    assert taken(progressive[: (last + len(progressive)) // 2]).width == 640
    with pytest.raises(TruncatedMediaError):
        taken(progressive[:last])


def test_a_photo_that_is_grey_below_is_whole() -> None:
    """The decoder's own grey, in a file that has its end."""
    grey = textured()
    grey.paste((128, 128, 128), (0, 300, 640, 480))
    assert not taken(encoded(grey)).is_incomplete


def rebranded(content: bytes, major: bytes, *compatible: bytes) -> bytes:
    """A HEIF under other brands, of the same length."""
    room = (int.from_bytes(content[:4], "big") - 16) // 4
    brands = (*compatible, *(compatible[-1:] * room))[:room]
    return content[:8] + major + bytes(4) + b"".join(brands) + content[16 + 4 * room :]


BRANDS = (
    b"heic",
    b"heix",
    b"heim",
    b"heis",
    b"hevc",
    b"hevx",
    b"hevm",
    b"hevs",
    b"mif1",
    b"mif2",
    b"mif3",
    b"msf1",
    b"miaf",
    b"MiHB",
)


@pytest.mark.parametrize("major", BRANDS)
@pytest.mark.parametrize("also", [(b"mif1", b"heic"), (b"mif1", b"heix"), (), (b"mp42", b"isom")])
def test_a_heic_under_every_brand(major: bytes, also: tuple[bytes, ...]) -> None:
    content = rebranded(encoded(arrow((160, 120)), "HEIF"), major, *also, major)
    found = taken(content)
    assert (found.media_type, found.width, found.height) == ("image/heic", 160, 120)


@pytest.mark.parametrize("major", [b"avif", b"avis", b"mif1", b"mif2", b"msf1", b"miaf", b"MA1B"])
@pytest.mark.parametrize("also", [(b"mif1", b"avif"), ()])
def test_an_avif_under_every_brand(major: bytes, also: tuple[bytes, ...]) -> None:
    found = taken(rebranded(encoded(arrow((160, 120)), "AVIF"), major, *also, major))
    assert (found.media_type, found.width, found.height) == ("image/avif", 160, 120)


def test_what_is_no_picture_keeps_its_name() -> None:
    assert heif_type(b"\0\0\0\x18ftypmp42\0\0\0\0mif1heic") is None
    assert heif_type(b"\0\0\0\x18ftypmif1\0\0\0\0mif1mif1") is None
    assert heif_type(b"\0\0\0\x18ftyp") is None


def lab() -> Image.Image:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    made = ImageCms.applyTransform(arrow(), to_lab)
    assert made is not None
    return made


COLOURED: dict[str, Callable[[], bytes]] = {
    "TIFF": lambda: encoded(arrow(), "TIFF"),
    "TIFF, turned": lambda: encoded(arrow().transpose(Image.Transpose.ROTATE_90), "TIFF", exif=telephone_exif(6)),
    "TIFF, LZW": lambda: encoded(arrow(), "TIFF", compression="tiff_lzw"),
    "TIFF, JPEG": lambda: encoded(arrow(), "TIFF", compression="jpeg", quality=95),
    "TIFF, CMYK": lambda: encoded(arrow().convert("CMYK"), "TIFF"),
    "TIFF, LAB": lambda: encoded(lab(), "TIFF"),
    "TIFF, palette": lambda: encoded(arrow().convert("P"), "TIFF"),
    "TIFF, large offsets": lambda: encoded(arrow(), "TIFF", big_tiff=True),
    "AVIF": lambda: encoded(arrow(), "AVIF"),
    "AVIF, turned": lambda: encoded(arrow().transpose(Image.Transpose.ROTATE_90), "AVIF", exif=telephone_exif(6)),
    "AVIF, moving": lambda: encoded(arrow(), "AVIF", save_all=True, append_images=[arrow().rotate(180)]),
    "AVIF, transparent": lambda: encoded(arrow().convert("RGBA"), "AVIF"),
    "PNG, moving": lambda: encoded(arrow(), "PNG", save_all=True, append_images=[arrow().rotate(180)]),
    "PNG without its end": lambda: encoded(arrow(), "PNG")[:-12],
    "WebP, moving": lambda: encoded(arrow(), "WEBP", save_all=True, append_images=[arrow().rotate(180)]),
    "GIF, moving": lambda: encoded(arrow(), "GIF", save_all=True, append_images=[arrow().rotate(180)]),
    "GIF without its end": lambda: encoded(arrow(), "GIF")[:-1],
    "BMP": lambda: encoded(arrow(), "BMP"),
    "BMP, palette": lambda: encoded(arrow().convert("P"), "BMP"),
    "two pictures in one": lambda: encoded(arrow(), "MPO", save_all=True, append_images=[arrow().rotate(180)]),
    "two pictures, the second cut off": lambda: encoded(arrow(), "MPO", save_all=True, append_images=[arrow()])[:-900],
}


@pytest.mark.parametrize("name", COLOURED)
def test_it_is_upright_and_in_colour(name: str) -> None:
    found = taken(COLOURED[name]())
    assert (found.width, found.height) == (900, 700)
    shown = full_of(found)
    for at, expected in zip(((9, 9), (890, 9), (890, 690), (9, 690)), CORNERS, strict=True):
        seen: Any = shown.convert("RGB").getpixel(at)
        wanted: Any = Image.new("RGB", (1, 1), {"green": "lime"}.get(expected, expected)).getpixel((0, 0))
        assert max(abs(a - b) for a, b in zip(seen, wanted, strict=True)) < 60, (expected, seen)


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "I", "F"])
def test_grey_of_every_depth(mode: str) -> None:
    ramp = Image.linear_gradient("L").resize((300, 200))
    deep = ramp.convert("F").point(lambda level: level * 257) if mode in ("I;16", "I", "F") else ramp
    picture = deep.convert("I").convert("I;16") if mode == "I;16" else deep.convert(mode)
    shown = full_of(taken(encoded(picture, "TIFF"))).convert("L")
    top, bottom = shown.crop((0, 0, 300, 20)), shown.crop((0, 180, 300, 200))
    assert sum(top.tobytes()) / 6_000 < 60 < 190 < sum(bottom.tobytes()) / 6_000


def reduced_first() -> bytes:
    """As the files of camera sensors begin: with a small copy."""
    return encoded(arrow(), "TIFF", tiffinfo={254: 1})


def lossless() -> bytes:
    """Coded as no decoder here reads it, and as nobody finds its end: a JPEG-LS has other marks in its pixels."""
    whole = encoded(arrow().resize((64, 48))).replace(b"\xff\xc0", b"\xff\xf7", 1)
    scan = whole.index(b"\xff\xda") + 14
    return whole[:scan] + b"\xff\x51\xff\xff" + whole[scan:]


REFUSED: dict[str, tuple[Callable[[], bytes], type[Exception]]] = {
    "a sensor's file": (reduced_first, UnsupportedMediaError),
    "TIFF cut off": (lambda: encoded(arrow(), "TIFF")[:-1_000], TruncatedMediaError),
    "TIFF cut off in its directory": (lambda: encoded(arrow(), "TIFF", compression="jpeg")[:-100], TruncatedMediaError),
    "AVIF cut off": (lambda: encoded(arrow(), "AVIF")[:-60], TruncatedMediaError),
    "GIF cut off": (lambda: encoded(arrow(), "GIF")[:-1_000], TruncatedMediaError),
    "BMP cut off": (lambda: encoded(arrow(), "BMP")[:-1_000], TruncatedMediaError),
    "TIFF too large": (
        lambda: encoded(Image.new("1", (8_000, 8_000)), "TIFF", compression="group4"),
        TooManyPixelsError,
    ),
    "JPEG-LS": (lossless, DamagedMediaError),
    "TIFF damaged": (
        lambda: encoded(arrow(), "TIFF", compression="tiff_deflate").replace(b"x\x9c", b"zz"),
        DamagedMediaError,
    ),
}


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("name", REFUSED)
def test_each_reason_is_told_apart(name: str) -> None:
    make, error = REFUSED[name]
    with pytest.raises(error):
        taken(make())


@pytest.mark.parametrize("kind", ["TIFF", "AVIF", "GIF"])
def test_nothing_else_of_the_file_gets_through(kind: str) -> None:
    found = taken(encoded(arrow(), kind, exif=telephone_exif(1)))
    for copy in (found.full, found.preview, found.thumbnail):
        assert copy is not None
        assert b"Relais" not in copy
        assert b"XMP" not in copy.upper()
        exif = Image.open(io.BytesIO(copy)).getexif()
        assert not exif.get_ifd(0x8825)
        assert set(exif) <= {0x8769}
