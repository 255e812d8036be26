"""Draws the icons of the installed portal in pixels, as `static/icon.svg` shows them: ``python -m portal.icons``."""

from PIL import Image, ImageDraw

from portal import static
from portal.installable import COLOUR, ICONS


def drawn(name: str) -> Image.Image:
    """The icon of that name, as a picture. A maskable one fills its square: systems cut it to a shape of theirs."""
    size = int(name.rpartition("-")[2].removesuffix(".png"))
    scale = 4 * size / 32  # drawn four times as large, for smooth edges
    picture = Image.new("RGBA", (4 * size, 4 * size))
    draw = ImageDraw.Draw(picture)
    draw.rounded_rectangle((0, 0, 4 * size, 4 * size), 0 if "maskable" in name else 8 * scale, COLOUR)

    def dot(x: float, y: float, radius: float) -> None:
        draw.ellipse([scale * at for at in (x - radius, y - radius, x + radius, y + radius)], "#ffffff")

    for step in range(401):  # the curve from one to the other: a line of round dots
        t = step / 400
        dot(8 + 12 * t + 12 * t**2 - 8 * t**3, 20 - 27 * t + 27 * t**2, 1.5)
    dot(8, 20, 3)
    dot(24, 20, 3)
    return picture.resize((size, size), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    for icon in ICONS:
        drawn(icon).save(static.FOLDER / icon, optimize=True)
