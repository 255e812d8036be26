"""Pictures of skin that look like photographs and are drawn: no person is on them.

Real photographs of a skin disease belong to somebody; these come out of a random generator, so that the demonstration has
something to send. Each says so in its EXIF data. The pictures of an eye are real photographs: see ``photos/README.md``.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from random import Random

from PIL import ExifTags, Image, ImageChops, ImageDraw, ImageFilter

SIZE = (1200, 900)
UPRIGHT_BY_EXIF = 6
"""The picture lies on its side and its EXIF orientation says so, as with a telephone that is held upright."""

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Motif:
    """What is on the skin: its colour, two for the spot, between which it varies, and how many pixels close up are 1 mm."""

    skin: Colour
    rim: Colour
    heart: Colour
    scale: int
    wet: bool = False


MOTIFS = {
    "mole": Motif(skin=(224, 178, 150), rim=(140, 88, 62), heart=(64, 38, 32), scale=52),
    "rash": Motif(skin=(216, 166, 140), rim=(206, 122, 104), heart=(186, 88, 80), scale=9),
    "wound": Motif(skin=(206, 156, 128), rim=(168, 84, 76), heart=(138, 36, 40), scale=22, wet=True),
}


def draw_three(motif: str, seed: str, taken_at: datetime) -> tuple[bytes, bytes, bytes]:
    """Three JPEGs of one spot: from afar, close with a ruler, and close from another side. The same seed gives the same spot."""
    random = Random(f"{motif} {seed}")  # noqa: S311 - a picture, no secret
    look = MOTIFS[motif]
    waves = [(number, random.uniform(0.03, 0.16) / number**0.4, random.uniform(0, 7)) for number in (1, 2, 3, 5, 8)]
    far = _spot(random, look, _outline(waves, radius=70), edge=5)
    near = _spot(random, look, _outline(waves, radius=230), edge=16)
    aside = near.transform(
        SIZE, Image.Transform.QUAD, (90, 40, 10, 880, 1150, 800, 1100, 90), Image.Resampling.BICUBIC
    ).filter(ImageFilter.GaussianBlur(0.8))
    return (
        _jpeg(far.transpose(Image.Transpose.ROTATE_90), taken_at, orientation=UPRIGHT_BY_EXIF),
        _jpeg(_with_ruler(near, look.scale), taken_at),
        _jpeg(aside, taken_at),
    )


def _spot(random: Random, look: Motif, outline: Sequence[tuple[float, float]], edge: int) -> Image.Image:
    skin = _mottled(random, look.skin, tuple(max(0, c - 26) for c in look.skin), grain=9)
    spot = _mottled(random, look.rim, look.heart, grain=18)
    shape = Image.new("L", SIZE)
    ImageDraw.Draw(shape).polygon(list(outline), fill=255)
    picture = Image.composite(spot, skin, shape.filter(ImageFilter.GaussianBlur(edge)))
    if look.wet:
        shine = shape.filter(ImageFilter.GaussianBlur(4 * edge)).point(lambda value: value // 6)
        picture = ImageChops.screen(picture, Image.merge("RGB", (shine, shine, shine)))
    return ImageChops.multiply(picture, _light()).filter(ImageFilter.GaussianBlur(0.6))


def _mottled(random: Random, one: Sequence[int], other: Sequence[int], grain: int) -> Image.Image:
    """A surface that varies between two colours in patches, under fine pores."""
    patches = _noise(random, (grain, max(2, grain * 3 // 4)))
    pores = _noise(random, (SIZE[0] // 3, SIZE[1] // 3)).point(lambda value: 236 + value * 19 // 255)
    surface = Image.composite(Image.new("RGB", SIZE, tuple(one)), Image.new("RGB", SIZE, tuple(other)), patches)
    return ImageChops.multiply(surface, Image.merge("RGB", (pores, pores, pores)))


def _noise(random: Random, coarse: tuple[int, int]) -> Image.Image:
    grains = Image.frombytes("L", coarse, random.randbytes(coarse[0] * coarse[1]))
    return grains.resize(SIZE, Image.Resampling.BICUBIC)


def _outline(waves: Sequence[tuple[int, float, float]], radius: int) -> list[tuple[float, float]]:
    """A closed line around the middle; each wave has its number around the circle, its height and its phase."""
    points = []
    for step in range(180):
        angle = math.tau * step / 180
        distance = radius * (1 + sum(height * math.sin(number * angle + phase) for number, height, phase in waves))
        points.append((SIZE[0] / 2 + 1.2 * distance * math.cos(angle), SIZE[1] / 2 - 40 + distance * math.sin(angle)))
    return points


@cache
def _light() -> Image.Image:
    """Daylight from the upper left, darker towards the corners."""
    shade = Image.radial_gradient("L").resize((SIZE[0] * 2, SIZE[1] * 2)).crop((500, 350, 500 + SIZE[0], 350 + SIZE[1]))
    light = shade.point(lambda value: 255 - value // 4)
    return Image.merge("RGB", (light, light, light))


def _with_ruler(picture: Image.Image, scale: int) -> Image.Image:
    """A paper ruler at the lower edge, `scale` pixels to a millimetre."""
    picture = picture.copy()
    draw = ImageDraw.Draw(picture)
    top = SIZE[1] - 110
    draw.rectangle((40, top, SIZE[0] - 40, SIZE[1] - 30), fill=(244, 242, 234))
    for millimetre in range((SIZE[0] - 120) // scale):
        x = 50 + millimetre * scale
        length = 40 if millimetre % 10 == 0 else 28 if millimetre % 5 == 0 else 16
        draw.line((x, top, x, top + length), fill=(30, 30, 30), width=2)
        if millimetre % 10 == 0:
            draw.text((x + 4, top + 42), f"{millimetre} mm", fill=(30, 30, 30), font_size=20)
    return picture


def _jpeg(picture: Image.Image, taken_at: datetime, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "Drawn for a demonstration; no patient"
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.DateTime] = f"{taken_at:%Y:%m:%d %H:%M:%S}"
    made = io.BytesIO()
    picture.save(made, "JPEG", quality=85, exif=exif)
    return made.getvalue()
