"""Clean copies of a photo: upright, in sRGB, made anew from its pixels, so that nothing else of the file gets any further.

Position, device, embedded thumbnails, comments and whatever is appended to the file stay behind; the full copy alone tells when
the picture was taken.
"""

import hashlib
import io
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import BinaryIO
from zoneinfo import ZoneInfo

import pillow_heif
from PIL import ExifTags, Image, ImageCms, ImageFilter, ImageStat
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from media import jpegs
from media.containers import is_cut_off, webp_size
from media.heif import under_known_brands
from media.kinds import (
    HEIF_TYPES,
    JPEG,
    MAX_EDGE,
    MAX_PAGES,
    DamagedMediaError,
    Media,
    MediaError,
    TooManyPagesError,
    TooManyPixelsError,
    TruncatedMediaError,
    UnsupportedMediaError,
    plausible,
)

pillow_heif.register_heif_opener()
Image.MAX_IMAGE_PIXELS = None  # `bound` looks at every picture

MAX_PIXELS = 52_000_000
"""The most that is decoded: 208 MB in memory, up to five times over while it is turned and its colours are changed."""
MAX_COEFFICIENTS = 800_000_000
"""Bytes of a progressive JPEG that must be held at once, two for each sample of each colour, whatever fraction is decoded."""
MAX_JPEG_PIXELS = 250_000_000
"""A JPEG may have more: one of more than `MAX_PIXELS` is decoded at a half or a quarter of its width and height."""
PREVIEW_EDGE = 1_200
THUMBNAIL_EDGE = 320
"""Longest edges, in pixels. What is smaller is not enlarged."""

_ROWS_AT_ONCE = 256

SHARPNESS_EDGE = 512
"""The size at which pictures are compared: what is blurred there can't be read on a screen either."""
_LEAST_CONTRAST = 96
"""Between dark and light, of 255. What has less is not stretched to the full range: that would only show noise."""

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
_LAPLACIAN = ImageFilter.Kernel((3, 3), (0, 1, 0, 1, -4, 1, 0, 1, 0), scale=1, offset=128)

_SUBFILE_TYPE, _DNG_VERSION = 254, 50_706
"""Tags of a TIFF: whether this is a small copy; and that it holds what a sensor saw."""

_DECODERS = {
    "image/jpeg": ("JPEG",),
    "image/png": ("PNG",),
    "image/webp": ("WEBP",),
    "image/heic": ("HEIF",),
    "image/heif": ("HEIF",),
    "image/avif": ("AVIF",),
    "image/tiff": ("TIFF",),
    "image/gif": ("GIF",),
    "image/bmp": ("BMP",),
}
"""By what a file was found to be, who may read it: Pillow knows dozens of other formats, and would try them all."""

_IN_BOXES = HEIF_TYPES | {"image/avif"}

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to what makes the picture upright."""


def render(file: BinaryIO, media_type: str, zone: ZoneInfo) -> Media:
    """Decode a photo once and make its copies. A camera's clock that names no offset from UTC is taken to be in `zone`.

    The file is a stranger's: call it in a process with limits. Raises TooManyPixelsError, TruncatedMediaError, DamagedMediaError,
    or MemoryError.
    """
    try:
        return _render(file, media_type, zone)
    except (MediaError, MemoryError):
        raise
    except Exception as error:  # decoders meet damaged files with errors of every kind
        if "memory" in str(error).lower():
            raise MemoryError from error
        if isinstance(file, _Ended) or not is_cut_off(file, media_type):  # an end was all that could be given to it
            raise DamagedMediaError from error
        if media_type == JPEG and (ended := _ended(file)):
            return render(ended, media_type, zone)
        raise TruncatedMediaError from error


def _ended(file: BinaryIO) -> BinaryIO | None:
    """A JPEG without its end, with one; None when too little of it came."""
    file.seek(0)
    ended = jpegs.ended(file.read())
    return _Ended(ended) if ended else None


class _Ended(io.BytesIO):
    """A JPEG that had no end, and got one: its lowest rows may be missing."""


def poster(file: BinaryIO) -> tuple[int, int, bytes, bytes]:
    """Width, height, preview and thumbnail of a frame that ffmpeg took out of a video."""
    with Image.open(file, formats=("BMP",)) as image:
        picture = image.convert("RGB")
    picture.info.clear()
    preview = reduced(picture, PREVIEW_EDGE)
    return picture.width, picture.height, jpeg(preview), jpeg(reduced(preview, THUMBNAIL_EDGE))


def _render(file: BinaryIO, media_type: str, zone: ZoneInfo) -> Media:
    if media_type == "image/webp" and (told := webp_size(file)):
        bound(*told, MAX_PIXELS)  # the decoder takes memory for all of it as soon as it is opened
    if media_type in _IN_BOXES:
        if is_cut_off(file, media_type):
            raise TruncatedMediaError  # the decoder would show what is missing as grey
        file = io.BytesIO(under_known_brands(file, media_type))
    file.seek(0)
    with Image.open(file, formats=_DECODERS[media_type]) as image:
        size = image.size
        if isinstance(image, JpegImageFile):
            bound(*size, MAX_JPEG_PIXELS)
            _bound_progressive(image)
            _draft(image)
        else:
            bound(*size, MAX_PIXELS)
        exif = _exif_of(image)
        turn = _TURNS.get(exif.get(ExifTags.Base.Orientation, 1))
        taller = 1.0
        if isinstance(image, TiffImageFile):
            _check_only(image)
            turn = None  # Pillow turns a TIFF by itself
            taller = _taller(image)
        image.load()
        missing = jpegs.missing_part(image) if isinstance(file, _Ended) else 0
        if missing > jpegs.MOST_MISSING:
            raise TruncatedMediaError
        picture = _with_square_pixels(_clean(image, turn), taller)
    if abs(taller - 1) >= _HARDLY_UNEQUAL:
        size = picture.size
    if turn in (_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8]):
        size = (size[1], size[0])
    captured_at = _captured_at(exif, zone)
    preview = reduced(picture, PREVIEW_EDGE)
    return Media(
        kind="photo",
        media_type=media_type,
        width=size[0],
        height=size[1],
        preview=jpeg(preview),
        thumbnail=jpeg(reduced(preview, THUMBNAIL_EDGE)),
        full=_full_jpeg(picture, captured_at, zone),
        captured_at=captured_at,
        sharpness=sharpness_of(preview),
        is_incomplete=missing > 0,
        pixels_sha256=_digest(picture),
    )


def _digest(picture: Image.Image) -> str:
    """SHA-256 of the picture's size and pixels, in hexadecimal: what is seen, whatever file it came in."""
    digest = hashlib.sha256(f"{picture.width} {picture.height} ".encode())
    for top in range(0, picture.height, _ROWS_AT_ONCE):
        digest.update(picture.crop((0, top, picture.width, min(top + _ROWS_AT_ONCE, picture.height))).tobytes())
    return digest.hexdigest()


def reduced(picture: Image.Image, edge: int) -> Image.Image:
    """The picture with its longest edge at `edge` pixels, or as it is when it is smaller."""
    scale = edge / max(picture.size)
    if scale >= 1:
        return picture
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def jpeg(picture: Image.Image) -> bytes:
    """A clean RGB picture as a JPEG to look at, of good quality and small."""
    made = io.BytesIO()
    picture.save(made, "JPEG", quality=82, optimize=True)
    return made.getvalue()


def sharpness_of(picture: Image.Image) -> float:
    """How much fine detail the picture has: the variance of its Laplacian, in grey levels squared.

    It is measured at one size (longest edge `SHARPNESS_EDGE`) and one contrast (the range of the grey levels, without the darkest
    and lightest 2 %, stretched to 255), so that a large soft picture and a small sharp one, skin and a street, can be compared.
    A picture of one colour has 0.
    """
    grey = picture.convert("L").convert("F")  # floating point: what is stretched later must not be rounded now
    scale = SHARPNESS_EDGE / max(grey.size)
    if scale < 1:
        size = (max(1, round(grey.width * scale)), max(1, round(grey.height * scale)))
        grey = grey.resize(size, Image.Resampling.BOX)
    if min(grey.size) < 3:
        return 0.0
    dark, light = _range_of(grey.convert("L"))
    gain = 255 / max(light - dark, _LEAST_CONTRAST)
    stretched = grey.point(lambda level: level * gain + (127.5 - gain * (dark + light) / 2)).convert("L")
    edges = stretched.filter(_LAPLACIAN).crop((1, 1, grey.width - 1, grey.height - 1))
    return float(ImageStat.Stat(edges).var[0])


def _range_of(grey: Image.Image) -> tuple[int, int]:
    """The grey levels below which 2 % and 98 % of the pixels are."""
    histogram = grey.histogram()
    below, dark, light = 0, 0, 255
    total = sum(histogram)
    for level, count in enumerate(histogram):
        if below < total * 0.02 <= below + count:
            dark = level
        if below < total * 0.98 <= below + count:
            light = level
        below += count
    return dark, light


def bound(width: int, height: int, limit: int) -> None:
    """Refuse what is too large to decode."""
    if width * height > limit or max(width, height) > MAX_EDGE:
        raise TooManyPixelsError(width, height, limit)


def _bound_progressive(image: JpegImageFile) -> None:
    """Raises MemoryError for a progressive JPEG that could not be held."""
    samples = [horizontal * vertical for _, horizontal, vertical, _ in image.layer]
    if image.info.get("progressive") and 2 * image.width * image.height * sum(samples) > MAX_COEFFICIENTS * max(
        samples
    ):
        raise MemoryError


def _check_only(image: TiffImageFile) -> None:
    """Refuse a TIFF that begins with a small copy of what it holds, as those of camera sensors do."""
    if _is_reduced(image) or _DNG_VERSION in image.tag_v2:
        raise UnsupportedMediaError


def _is_reduced(image: TiffImageFile) -> bool:
    """Whether it is a small copy of another picture in the same file."""
    return bool(int(image.tag_v2.get(_SUBFILE_TYPE, 0)) & 1)


_X_RESOLUTION, _Y_RESOLUTION = 282, 283
_MOST_UNEQUAL, _HARDLY_UNEQUAL = 4, 0.05
"""How far the numbers of pixels to the inch may be apart to be believed, and from where on it is seen."""


def has_pages(file: BinaryIO) -> bool:
    """Whether a TIFF has more than one page; small copies of a page are none. Leaves the file at its start."""
    file.seek(0)
    try:
        with Image.open(file, formats=("TIFF",)) as image:
            return isinstance(image, TiffImageFile) and _DNG_VERSION not in image.tag_v2 and len(_pages(image)) > 1
    except Exception:  # what is wrong with it, is said by who decodes it
        return False
    finally:
        file.seek(0)


def _pages(image: TiffImageFile) -> list[int]:
    """The numbers of the pages. Raises TooManyPagesError."""
    if image.n_frames > 2 * MAX_PAGES:
        raise TooManyPagesError(image.n_frames, MAX_PAGES)
    found = []
    for number in range(image.n_frames):
        image.seek(number)
        if not _is_reduced(image):
            found.append(number)
    return found


def clean_tiff_pages(file: BinaryIO) -> Iterator[Image.Image]:
    """Every page of a TIFF, upright, in sRGB. Raises TooManyPagesError or TooManyPixelsError."""
    file.seek(0)
    with Image.open(file, formats=("TIFF",)) as image:
        if not isinstance(image, TiffImageFile):
            raise DamagedMediaError
        pages = _pages(image)
        if len(pages) > MAX_PAGES:
            raise TooManyPagesError(len(pages), MAX_PAGES)
        for number in pages:
            image.seek(number)
            bound(*image.size, MAX_PIXELS)
            taller = _taller(image)
            image.load()
            yield _with_square_pixels(_clean(image, None), taller)


def _taller(image: TiffImageFile) -> float:
    """How much taller than wide its pixels are, as it will be upright: a fax sends twice as many to the inch across as down.

    1 where the file says nothing, or nothing that a machine would do. Ask before it is loaded, which turns it.
    """
    across, down = (float(image.tag_v2.get(tag) or 0) for tag in (_X_RESOLUTION, _Y_RESOLUTION))
    if not across > 0 or not down > 0 or not 1 / _MOST_UNEQUAL <= across / down <= _MOST_UNEQUAL:
        return 1
    is_turned = image.tag_v2.get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    return down / across if is_turned else across / down


def _with_square_pixels(picture: Image.Image, taller: float) -> Image.Image:
    if abs(taller - 1) < _HARDLY_UNEQUAL:
        return picture
    width, height = picture.size
    wanted = (width, round(height * taller)) if taller > 1 else (round(width / taller), height)
    if wanted[0] * wanted[1] > MAX_PIXELS:
        wanted = (round(width / taller), height) if taller > 1 else (width, round(height * taller))
    return picture.resize(wanted, Image.Resampling.BICUBIC)


def _draft(image: Image.Image) -> None:
    """Have a large JPEG decoded at a fraction of its size, which costs less time and memory."""
    fraction = 1
    while image.width * image.height > MAX_PIXELS * fraction**2:
        fraction *= 2
    if fraction > 1:
        image.draft(None, (image.width // fraction, image.height // fraction))


def _exif_of(image: Image.Image) -> Image.Exif:
    """The EXIF data, or none of it: a good picture may have broken ones."""
    try:
        return image.getexif()
    except Exception:
        return Image.Exif()


def _captured_at(exif: Image.Exif, clinics: ZoneInfo) -> datetime | None:
    """When the picture was taken, as the camera's clock said. Without an offset from UTC, in the clinics' time zone."""
    try:
        details = exif.get_ifd(ExifTags.IFD.Exif)
        taken = datetime.strptime(_text(details[ExifTags.Base.DateTimeOriginal]), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007
        zone: tzinfo | None
        try:
            zone = datetime.strptime(_text(details[ExifTags.Base.OffsetTimeOriginal]), "%z").tzinfo
        except (KeyError, TypeError, ValueError):
            zone = clinics
        return plausible(taken.replace(tzinfo=zone))
    except Exception:  # EXIF is broken in as many ways as there are programs that write it
        return None


def _text(value: str | bytes) -> str:
    text = value.decode("ascii") if isinstance(value, bytes) else value
    return text.strip("\0 ")


def _clean(image: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    """The pixels of the image alone: RGB, in sRGB, without transparency, upright."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I;16"):  # 16 bits of grey: Pillow would cut off what is over 255 instead of dividing
        picture = image.point(lambda level: level / 256).convert("L").convert("RGB")
    elif image.mode in ("I", "F"):  # levels of any range
        picture = _stretched(image).convert("RGB")
    elif image.mode == "LAB":
        picture = ImageCms.profileToProfile(image, _LAB, _SRGB, outputMode="RGB") or image.convert("RGB")
    elif image.mode == "CMYK":
        picture = in_srgb(image, profile)
    elif image.has_transparency_data:
        rgba = image.convert("RGBA")
        flat = Image.new("RGB", image.size, "white")
        flat.paste(rgba, mask=rgba.getchannel("A"))
        picture = in_srgb(flat, profile)
    elif image.mode == "L":
        picture = in_srgb(image, profile)
    else:
        picture = in_srgb(image.convert("RGB"), profile)
    if turn is not None:
        picture = picture.transpose(turn)
    picture.info.clear()  # Pillow would write comments and XMP from here into what it saves
    return picture


def _stretched(image: Image.Image) -> Image.Image:
    """Grey levels of any range, from the darkest to the lightest, as those that are shown."""
    dark, light = (float(str(level)) for level in image.getextrema())
    gain = 255 / ((light - dark) or 1)
    return image.convert("F").point(lambda level: level * gain - dark * gain).convert("L")


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The image (RGB, L or CMYK) in sRGB, by its colour profile. One that does not fit or can't be read counts for nothing."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in (source.profile.profile_description or ""):
                converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
                if converted is not None:
                    return converted
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return image.convert("RGB")


def _full_jpeg(picture: Image.Image, captured_at: datetime | None, clinics: ZoneInfo) -> bytes:
    """The picture at its full size and in full colour, for zooming in; it tells when it was taken, and nothing else."""
    exif = Image.Exif()
    if captured_at is not None:
        details = exif.get_ifd(ExifTags.IFD.Exif)
        details[ExifTags.Base.DateTimeOriginal] = captured_at.strftime("%Y:%m:%d %H:%M:%S")
        if captured_at.tzinfo is not clinics:  # the camera said so
            offset = captured_at.strftime("%z")
            details[ExifTags.Base.OffsetTimeOriginal] = f"{offset[:3]}:{offset[3:5]}"
    made = io.BytesIO()
    picture.save(made, "JPEG", quality=93, subsampling=0, exif=exif)
    return made.getvalue()
