"""What runs in the processes that decode (`confined`): from a folder with a stranger's file to the copies beside it."""

import json
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from media import documents, photos
from media.containers import is_cut_off
from media.examine import REFUSED, SOURCE, TOLD, page_file
from media.kinds import DOCUMENT_TYPES, Media, MediaError, TooManyPagesError, TooManyPixelsError


def photo(folder: Path) -> None:
    """Make the copies of the photo or document `SOURCE`, whose kind and time zone `TOLD` names; write what was found there."""
    asked = json.loads((folder / TOLD).read_text())
    try:
        with (folder / SOURCE).open("rb") as file:
            found = _rendered(file, asked["media_type"], ZoneInfo(asked["zone"]))
    except MediaError as error:
        _tell(folder, **_refused(error))
    else:
        for number, page in enumerate(found.pages, 1):
            (folder / page_file(number)).write_bytes(page)
        _keep(folder, preview=found.preview, thumbnail=found.thumbnail, full=found.full)
        _tell(
            folder,
            kind=found.kind,
            pages=len(found.pages),
            width=found.width,
            height=found.height,
            captured_at=found.captured_at.isoformat() if found.captured_at else None,
            sharpness=found.sharpness,
            is_incomplete=found.is_incomplete,
            pixels_sha256=found.pixels_sha256,
        )


def _rendered(file: BinaryIO, media_type: str, zone: ZoneInfo) -> Media:
    if media_type in DOCUMENT_TYPES or (media_type == "image/tiff" and photos.has_pages(file)):
        return documents.render(file, media_type)
    return photos.render(file, media_type, zone)


def _refused(error: MediaError) -> dict[str, Any]:
    match error:
        case TooManyPixelsError():
            return {"refused": "too_many_pixels", "width": error.width, "height": error.height, "limit": error.limit}
        case TooManyPagesError():
            return {"refused": "too_many_pages", "pages": error.pages, "limit": error.limit}
        case _:
            return {"refused": REFUSED.get(type(error), "damaged")}


def poster(folder: Path) -> None:
    """Make the copies of the frame `SOURCE` of a video."""
    with (folder / SOURCE).open("rb") as file:
        width, height, preview, thumbnail = photos.poster(file)
    _keep(folder, preview=preview, thumbnail=thumbnail, full=None)
    _tell(folder, kind="video", width=width, height=height)


def why_damaged(folder: Path) -> None:
    """Whether the end is missing of the file `SOURCE`, whose kind `TOLD` names."""
    asked = json.loads((folder / TOLD).read_text())
    with (folder / SOURCE).open("rb") as file:
        _tell(folder, refused="truncated" if is_cut_off(file, asked["media_type"]) else "damaged")


def _keep(folder: Path, **copies: bytes | None) -> None:
    for name, content in copies.items():
        if content is not None:
            (folder / name).write_bytes(content)


def _tell(folder: Path, **told: Any) -> None:
    (folder / TOLD).write_text(json.dumps(told))
