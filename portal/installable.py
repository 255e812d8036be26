"""What lets a browser install Relais as an application: a manifest in each language, and the icons.

There is no service worker: nothing of a patient is kept on a device to be read without a connection.
`python -m portal.icons` draws the icons anew.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse

from portal import static
from translations import gettext_for, language_named
from translations import gettext_noop as _

router = APIRouter(include_in_schema=False)

COLOUR = "#0b5c6b"
"""Of the bar at the top of every page, and the ground of the icons."""

ICONS = ("icon-192.png", "icon-512.png", "icon-maskable-512.png")


@router.get("/manifest-{language}.webmanifest")
async def manifest(language: Annotated[str, Path(pattern="^(fr|en)$")]) -> JSONResponse:
    """What a browser must know to install the portal, in that language."""
    say = gettext_for(language_named(language))
    told = {
        "id": "/",
        "name": "Relais",
        "short_name": "Relais",
        "description": say(_("Ask a specialist's advice, and answer it, with photos and videos.")),
        "lang": f"{language}-CA",
        "dir": "ltr",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "theme_color": COLOUR,
        "background_color": COLOUR,
        "icons": list(_icons()),
        "shortcuts": [
            {"name": say(_("Worklist")), "url": "/worklist"},
            {"name": say(_("New request")), "url": "/new"},
        ],
    }
    headers = {"Cache-Control": "public, max-age=86400", "Content-Language": language}
    return JSONResponse(told, media_type="application/manifest+json", headers=headers)


def _icons() -> Iterator[dict[str, Any]]:
    yield {"src": static.address("icon.svg"), "sizes": "any", "type": "image/svg+xml", "purpose": "any"}
    for name in ICONS:
        size = name.rpartition("-")[2].removesuffix(".png")
        purpose = "maskable" if "maskable" in name else "any"
        yield {"src": static.address(name), "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}
