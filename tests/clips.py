"""Videos and photos for tests, as telephones make them: with a position, a device, turned on their side."""

import asyncio
import io
import struct
from pathlib import Path
from typing import Any

import pillow_heif
from PIL import ExifTags, Image, ImageCms, ImageDraw

from media.videos import ffmpeg

pillow_heif.register_heif_opener()

POSITION = "+46.8139-071.2080/"
MAKER = "Telephone of Jeanne Tremblay"
TAKEN = "2026:11:20 08:15:30"


async def clip(name: str, *options: str, folder: Path, size: str = "320x180", seconds: int = 1) -> bytes:
    """A short film with a tone, in the container that the name's ending says, with `options` for ffmpeg."""
    path = folder / name
    codecs = ("-c:v", "libvpx", "-c:a", "libopus") if path.suffix == ".webm" else ("-c:v", "libx264", "-c:a", "aac")
    await run(
        *("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=10:duration={seconds}"),
        *("-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}"),
        *codecs,
        *("-pix_fmt", "yuv420p", "-metadata", "creation_time=2026-11-20T13:15:30Z"),
        *("-metadata", f"location={POSITION}", "-metadata", f"title={MAKER}", "-metadata", f"comment={MAKER}"),
        *options,
        str(path),
    )
    return path.read_bytes()


async def turned_clip(folder: Path) -> bytes:
    """An MP4 that lies on its side and says so, as of a telephone that is held upright."""
    return turned(await clip("lying.mp4", folder=folder))


def turned(film: bytes) -> bytes:
    """A film of a telephone that was held upright: it lies on its side, and says so."""
    matrix = film.index(b"tkhd") + 44  # of the first track, the picture (ISO 14496-12, 8.3.2)
    quarter_turn = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 180 << 16, 0, 1 << 30)
    return film[:matrix] + quarter_turn + film[matrix + len(quarter_turn) :]


async def run(*arguments: str) -> None:
    """Run ffmpeg, which must succeed."""
    process = await asyncio.create_subprocess_exec(
        *(ffmpeg(), "-nostdin", "-y", "-loglevel", "error", *arguments), stderr=asyncio.subprocess.PIPE
    )
    _, told = await process.communicate()
    assert process.returncode == 0, told.decode()


async def told_of(content: bytes, folder: Path) -> str:
    """What ffmpeg tells of a file: its streams and all metadata."""
    path = folder / "told"
    path.write_bytes(content)
    process = await asyncio.create_subprocess_exec(
        ffmpeg(), "-nostdin", "-hide_banner", "-i", str(path), stderr=asyncio.subprocess.PIPE
    )
    _, told = await process.communicate()
    return told.decode(errors="replace")


def arrow(size: tuple[int, int] = (900, 700)) -> Image.Image:
    """A picture with fine lines whose four quarters differ: red, green, blue and white, from the top left clockwise."""
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    across, down = size[0] // 2, size[1] // 2
    draw.rectangle((0, 0, across - 1, down - 1), fill="#ff0000")
    draw.rectangle((across, 0, size[0], down - 1), fill="#00ff00")
    draw.rectangle((across, down, size[0], size[1]), fill="#0000ff")
    for place in range(across // 2, across * 3 // 2, 7):
        draw.line((place, down // 2, place, down * 3 // 2), fill="black", width=2)
    return picture


def telephone_exif(orientation: int = 1) -> Image.Exif:
    """The EXIF data of a telephone: position, device, owner, time."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = MAKER
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = TAKEN
    details[ExifTags.Base.OffsetTimeOriginal] = "-05:00"
    details[ExifTags.Base.BodySerialNumber] = MAKER
    position = exif.get_ifd(ExifTags.IFD.GPSInfo)
    position[ExifTags.GPS.GPSLatitudeRef] = "N"
    position[ExifTags.GPS.GPSLatitude] = (46.0, 48.0, 50.04)
    return exif


def encoded(picture: Image.Image, kind: str = "JPEG", **more: Any) -> bytes:
    made = io.BytesIO()
    picture.save(made, kind, **more)
    return made.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def wide_gamut_profile() -> bytes:
    """An ICC profile of the primaries of Display P3, as telephones use it: that of sRGB with other colorants."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile = profile.replace("sRGB".encode("utf-16-be"), "wide".encode("utf-16-be"))
    for place in range(132, 132 + 12 * int.from_bytes(profile[128:132], "big"), 12):
        name, start = bytes(profile[place : place + 4]), int.from_bytes(profile[place + 4 : place + 8], "big")
        if name in _P3_COLORANTS:
            values = (round(value * 65_536) for value in _P3_COLORANTS[name])
            profile[start + 8 : start + 20] = b"".join(value.to_bytes(4, "big", signed=True) for value in values)
    return bytes(profile)


_P3_COLORANTS = {
    b"rXYZ": (0.51512, 0.24120, -0.00105),
    b"gXYZ": (0.29198, 0.69225, 0.04189),
    b"bXYZ": (0.15710, 0.06657, 0.78407),
}
"""The primaries of Display P3 as XYZ under D50."""
