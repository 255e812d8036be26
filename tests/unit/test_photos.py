"""Clean copies of photos: upright, in sRGB, without anything else of the file; and what makes a photo useless."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageFilter

from domain.calendar import TIME_ZONE
from domain.offerings import AttachmentSlot
from domain.photos import MIN_SHARPNESS, photo_warnings, repeated
from media import photos
from media.examine import examine
from media.kinds import PHOTO_TYPES, DamagedMediaError, Media, TooManyPixelsError, TruncatedMediaError
from media.photos import PREVIEW_EDGE, THUMBNAIL_EDGE, reduced, sharpness_of
from settings import PROJECT_ROOT
from tests.clips import MAKER, arrow, encoded, opened, telephone_exif, wide_gamut_profile
from tests.media import of_each_set

AS_PHONES_MAKE_THEM = (
    "DSCN0010.jpg",
    "DSCN0012.jpg",
    "DSCN0021.jpg",
    "IMG_5195.HEIC",
    "landscape_6.jpg",
    "portrait_3.jpg",
    "portrait_8.jpg",
)
FUNDUS = tuple(path.name for path in sorted((PROJECT_ROOT / "embedded" / "photos").glob("*.jpg")))

CORNERS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


async def render(content: bytes) -> Media:
    return await examine(io.BytesIO(content))


def rendered(content: bytes, media_type: str = "image/jpeg") -> Media:
    """As `render`, in this process."""
    return photos.render(io.BytesIO(content), media_type, TIME_ZONE)


def full_of(found: Media) -> Image.Image:
    assert found.full is not None
    return opened(found.full)


def corners_of(picture: Image.Image) -> list[str]:
    """The colours of the four corners, from the top left clockwise."""
    right, bottom = picture.width - 10, picture.height - 10
    return [_nearest(picture, at) for at in ((9, 9), (right, 9), (right, bottom), (9, bottom))]


def _nearest(picture: Image.Image, at: tuple[int, int]) -> str:
    seen: Any = picture.convert("RGB").getpixel(at)
    return min(CORNERS, key=lambda name: sum(abs(a - b) for a, b in zip(CORNERS[name], seen, strict=True)))


STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""EXIF orientation to how the camera laid the upright picture down (EXIF 2.32, tag 274)."""


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", STORED_AS)
async def test_every_copy_is_upright(kind: str, orientation: int) -> None:
    turn = STORED_AS[orientation]
    lying = arrow() if turn is None else arrow().transpose(turn)
    found = await render(encoded(lying, kind, exif=telephone_exif(orientation)))
    assert (found.width, found.height) == (900, 700)
    for copy in (full_of(found), opened(found.preview), opened(found.thumbnail)):
        assert corners_of(copy) == ["red", "green", "blue", "white"]
        assert copy.getexif().get(ExifTags.Base.Orientation) is None


async def test_a_heic_is_upright_and_in_full_size() -> None:
    found = await render(encoded(arrow((1_300, 1_000)), "HEIF", exif=telephone_exif()))
    assert (found.media_type, found.width, found.height) == ("image/heic", 1_300, 1_000)
    assert (full_of(found).size, opened(found.preview).size) == ((1_300, 1_000), (1_200, 923))
    assert corners_of(full_of(found)) == ["red", "green", "blue", "white"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
async def test_only_the_moment_of_capture_gets_through(kind: str) -> None:
    more = {"comment": MAKER.encode()} if kind == "JPEG" else {}
    xmp = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{MAKER}</x:xmpmeta>".encode()
    original = encoded(arrow(), kind, exif=telephone_exif(), **({} if kind == "PNG" else {"xmp": xmp}), **more)
    assert MAKER.encode() in original
    found = await render(original + b"<script>alert(1)</script>")
    assert found.captured_at == datetime(2026, 11, 20, 13, 15, 30, tzinfo=UTC)
    for copy in (found.full, found.preview, found.thumbnail):
        assert copy is not None
        assert MAKER.encode() not in copy
        assert b"<script" not in copy
        assert not opened(copy).getexif().get_ifd(ExifTags.IFD.GPSInfo)
        assert {"comment", "xmp", "icc_profile"}.isdisjoint(opened(copy).info)
    assert not opened(found.preview).getexif()
    exif = full_of(found).getexif()
    assert set(exif) == {ExifTags.IFD.Exif}
    assert exif.get_ifd(ExifTags.IFD.Exif) == {
        ExifTags.Base.DateTimeOriginal: "2026:11:20 08:15:30",
        ExifTags.Base.OffsetTimeOriginal: "-05:00",
    }


async def test_the_time_of_a_camera_without_a_zone_is_that_of_the_clinics() -> None:
    exif = telephone_exif()
    del exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.OffsetTimeOriginal]
    found = await render(encoded(arrow(), exif=exif))
    assert found.captured_at == datetime(2026, 11, 20, 8, 15, 30, tzinfo=TIME_ZONE)
    assert ExifTags.Base.OffsetTimeOriginal not in full_of(found).getexif().get_ifd(ExifTags.IFD.Exif)


@pytest.mark.parametrize(
    "taken",
    ["0000:00:00 00:00:00", "    :  :     :  :  ", "yesterday", "1970:01:01 00:00:00", "", "2026:13:45 99:99:99"],
)
async def test_a_clock_that_was_never_set(taken: str) -> None:
    exif = telephone_exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    found = await render(encoded(arrow(), exif=exif))
    assert found.captured_at is None
    assert not full_of(found).getexif()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
async def test_a_good_picture_with_broken_exif() -> None:
    whole = encoded(arrow(), exif=telephone_exif())
    start = whole.index(b"Exif\0\0") + 6
    for broken in (b"\xff" * 60, b"MM\0*" + b"\xff" * 56, b"II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\xff\xff" * 12):
        found = await render(whole[:start] + broken + whole[start + len(broken) :])
        assert (found.width, found.height, found.captured_at) == (900, 700, None)


async def test_colours_of_a_wide_gamut_are_shown_as_they_were() -> None:
    """Expected values by the matrix from Display P3 to sRGB (both D65, same curve)."""
    seen = (200, 120, 100)
    found = await render(encoded(Image.new("RGB", (64, 64), seen), "PNG", icc_profile=wide_gamut_profile()))
    for copy in (full_of(found), opened(found.preview)):
        shown: Any = copy.getpixel((32, 32))
        assert all(abs(a - b) <= 3 for a, b in zip(shown, _p3_to_srgb(seen), strict=True)), shown
        assert "icc_profile" not in copy.info


def _p3_to_srgb(colour: tuple[int, ...]) -> tuple[float, ...]:
    matrix = ((1.22494, -0.22494, 0.0), (-0.04206, 1.04206, 0.0), (-0.01964, -0.07864, 1.09828))
    light = [((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    turned = [sum(m * value for m, value in zip(row, light, strict=True)) for row in matrix]
    return tuple(255 * (1.055 * value ** (1 / 2.4) - 0.055) for value in turned)


async def test_a_profile_that_can_not_be_read_counts_for_nothing() -> None:
    found = await render(encoded(Image.new("RGB", (64, 64), "#c86464"), "PNG", icc_profile=b"no profile" * 20))
    assert full_of(found).getpixel((32, 32)) in ((200, 100, 100), (201, 100, 100), (200, 100, 99))


async def test_what_is_transparent_is_white() -> None:
    picture = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    picture.paste((255, 0, 0, 255), (0, 0, 50, 100))
    found = await render(encoded(picture, "PNG"))
    assert corners_of(full_of(found)) == ["red", "white", "white", "red"]


async def test_sixteen_bits_of_grey_keep_their_shades() -> None:
    picture = Image.new("I;16", (64, 64), 0x8000)
    assert full_of(await render(encoded(picture, "PNG"))).getpixel((5, 5)) == (128, 128, 128)


async def test_sizes_of_the_copies() -> None:
    found = await render(encoded(arrow((3_000, 1_500))))
    assert [full_of(found).size, opened(found.preview).size, opened(found.thumbnail).size] == [
        (3_000, 1_500),
        (PREVIEW_EDGE, PREVIEW_EDGE // 2),
        (THUMBNAIL_EDGE, THUMBNAIL_EDGE // 2),
    ]
    small = await render(encoded(arrow((50, 40))))
    assert [full_of(small).size, opened(small.preview).size, opened(small.thumbnail).size] == [(50, 40)] * 3
    thin = await render(encoded(Image.new("RGB", (5_000, 1))))
    assert opened(thin.thumbnail).size == (THUMBNAIL_EDGE, 1)


def test_a_very_large_jpeg_is_decoded_at_a_fraction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "MAX_PIXELS", 500_000)
    monkeypatch.setattr(photos, "MAX_JPEG_PIXELS", 2_500_000)
    for size, decoded in (((1_200, 1_000), (600, 500)), ((1_000, 2_100), (250, 525))):
        found = rendered(encoded(arrow(size)))
        assert (found.width, found.height, full_of(found).size) == (*size, decoded)
    for content, media_type, limit in (
        (encoded(arrow((2_600, 1_000))), "image/jpeg", 2_500_000),
        (encoded(arrow((1_200, 1_000)), "PNG"), "image/png", 500_000),
        (encoded(arrow((1_200, 1_000)), "WEBP"), "image/webp", 500_000),
    ):
        with pytest.raises(TooManyPixelsError) as refused:
            rendered(content, media_type)
        assert (refused.value.height, refused.value.limit) == (1_000, limit)


# What is of no use


def test_warnings() -> None:
    assert photo_warnings(600, 800, MIN_SHARPNESS) == ()
    assert photo_warnings(599, 4_000, MIN_SHARPNESS) == ("too_small",)
    assert photo_warnings(4_000, 599, None) == ("too_small",)
    assert photo_warnings(600, 600, MIN_SHARPNESS - 0.1) == ("blurred",)
    assert photo_warnings(10, 10, 0) == ("too_small", "blurred")
    assert photo_warnings(400, 500, None, min_edge=400) == ()
    assert photo_warnings(600, 800, None, is_incomplete=True) == ("incomplete",)


def test_the_same_twice_is_found_by_any_of_its_marks() -> None:
    assert repeated([("a", ["1", "x"]), ("b", ["2", "y"]), ("c", ["3", "x"]), ("d", ["3"]), ("e", ["2"])]) == {
        "c": "a",
        "d": "a",
        "e": "b",
    }
    assert repeated([("a", []), ("b", [])]) == {}


def test_a_slot_has_its_own_smallest_size() -> None:
    label = {"fr": "Photos", "en": "Photos"}
    assert AttachmentSlot.model_validate({"name": "photos", "label": label}).min_edge == 600
    assert AttachmentSlot.model_validate({"name": "photos", "label": label, "min_edge": 300}).min_edge == 300


def test_a_picture_of_one_colour_shows_nothing() -> None:
    for colour in ("#c68863", "black", "white"):
        assert sharpness_of(Image.new("RGB", (320, 240), colour)) == 0
    assert sharpness_of(Image.new("RGB", (2, 900))) == 0


def sharpness_when_blurred(content: bytes, share: float) -> float:
    """The sharpness of a photo after a Gaussian blur of that share of its longest edge."""
    media_type = "image/heic" if content[4:8] == b"ftyp" else "image/jpeg"
    picture = full_of(rendered(content, media_type))
    if share:
        picture = picture.filter(ImageFilter.GaussianBlur(share * max(picture.size)))
    return sharpness_of(reduced(picture, PREVIEW_EDGE))


@pytest.mark.parametrize("name", FUNDUS)
def test_photos_of_an_eye_are_soft_and_sharp_enough(name: str) -> None:
    content = (PROJECT_ROOT / "embedded" / "photos" / name).read_bytes()
    assert sharpness_when_blurred(content, 0) >= MIN_SHARPNESS > sharpness_when_blurred(content, 0.01)


@of_each_set
@pytest.mark.parametrize("name", AS_PHONES_MAKE_THEM)
def test_photos_are_sharp_and_found_when_they_are_blurred(media: Path, name: str) -> None:
    content = (media / name).read_bytes()
    assert sharpness_when_blurred(content, 0) > 10 * MIN_SHARPNESS
    for share in (0.01, 0.02):
        assert sharpness_when_blurred(content, share) < MIN_SHARPNESS


@of_each_set
async def test_a_photo_with_broken_exif(media: Path) -> None:
    found = await render((media / "image01137.jpg").read_bytes())
    assert (found.width, found.height, found.captured_at) == (88, 64, None)


@of_each_set
@pytest.mark.parametrize("name", AS_PHONES_MAKE_THEM)
async def test_photos_lose_their_position_and_device(media: Path, name: str) -> None:
    found = await render((media / name).read_bytes())
    for copy in (found.full, found.preview, found.thumbnail):
        assert copy is not None
        assert not [word for word in (b"NIKON", b"Apple", b"iPhone", b"Canon", b"GPS", b"http") if word in copy]
        assert set(opened(copy).getexif()) <= {ExifTags.IFD.Exif}


async def test_a_file_is_read_as_what_it_was_found_to_be_and_as_nothing_else() -> None:
    """Pillow would try all its formats, some of which hide a large picture behind a small size."""
    made = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(made, "BMP")
    bitmap = made.getvalue()
    assert rendered(bitmap, "image/bmp")
    for media_type in sorted(PHOTO_TYPES - {"image/bmp"}):
        with pytest.raises((DamagedMediaError, TruncatedMediaError)):
            rendered(bitmap, media_type)
