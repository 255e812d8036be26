"""Makes the photos and videos beside it: ``python -m tests.media.make``. Nothing in them is of a person, a place or a device.

They say of themselves what real ones say: a position, a device, a time, that they lie on their side, broken EXIF data.
"""

import asyncio
import io
import tempfile
from pathlib import Path

import pillow_heif
from PIL import ExifTags, Image, ImageFilter

from tests.clips import arrow, clip, encoded, telephone_exif, turned
from tests.media import OWN

CAMERA = "NIKON"
TELEPHONE = "Apple"


def camera_exif(orientation: int = 1, maker: str = CAMERA) -> Image.Exif:
    """What a camera writes, by a maker whose name the tests look for."""
    exif = telephone_exif(orientation)
    exif[ExifTags.Base.Make] = maker
    exif[ExifTags.Base.Model] = f"{maker} GPS"
    return exif


def broken_exif() -> bytes:
    """A segment that says it is EXIF and leads nowhere."""
    return b"Exif\x00\x00MM\x00*\xff\xff\xff\xf0" + b"\x00\x07" * 20


def photos() -> dict[str, bytes]:
    """The photos by the names of their files."""
    sizes = {"DSCN0010.jpg": (640, 480), "DSCN0012.jpg": (720, 480), "DSCN0021.jpg": (600, 600)}
    made = {name: encoded(arrow(size), exif=camera_exif(), quality=80) for name, size in sizes.items()}
    made["landscape_6.jpg"] = encoded(arrow((450, 600)), exif=camera_exif(6), quality=80)
    made["portrait_3.jpg"] = encoded(arrow((450, 600)), exif=camera_exif(3), quality=80)
    made["portrait_8.jpg"] = encoded(arrow((600, 450)), exif=camera_exif(8), quality=80)
    made["image01137.jpg"] = encoded(arrow((88, 64)), exif=broken_exif(), quality=80)
    made["IMG_5195.HEIC"] = _heic(arrow((2400, 3200)).filter(ImageFilter.GaussianBlur(1)))
    return made


def _heic(picture: Image.Image) -> bytes:
    made = io.BytesIO()
    heif = pillow_heif.from_pillow(picture)
    heif.save(made, quality=50, exif=camera_exif(maker=TELEPHONE).tobytes())
    return made.getvalue()


async def videos(folder: Path) -> dict[str, bytes]:
    """The videos by the names of their files; `folder` is for what comes in between."""
    lean = ("-crf", "35", "-b:a", "32k", "-map_metadata", "0")
    told = ("-movflags", "use_metadata_tags", "-metadata", f"com.apple.quicktime.make={TELEPHONE}")
    film = await clip("with-gps.mp4", *lean, folder=folder, size="1920x1080", seconds=2)
    lying = await clip("with-gps.mov", *lean, *told, folder=folder, size="568x320", seconds=2)
    return {"with-gps.mp4": film, "with-gps.mov": turned(lying)}


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in {**photos(), **await videos(Path(folder))}.items():
            (OWN / name).write_bytes(content)


if __name__ == "__main__":
    asyncio.run(main())
