"""QR codes, drawn by the server as pictures that stand in the page."""

import segno
from markupsafe import Markup


def qr_code(text: str, title: str) -> Markup:
    """The text as a QR code, an SVG of black on white in any look; `title` says to screen readers what it is."""
    made = segno.make(text, error="m", micro=False)
    drawn = made.svg_inline(border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr-code", lineclass=None)
    label = Markup('<svg role="img" aria-label="{}"').format(title)
    return Markup(drawn.replace("<svg", label, 1))  # noqa: S704 - of our own making: modules, and no text
