"""What runs in the processes that decode (`confined`): from a folder with a stranger's file to the copies beside it."""

import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from media import photos
from media.containers import is_cut_off
from media.examine import SOURCE, TOLD
from media.kinds import DamagedMediaError, TooManyPixelsError, TruncatedMediaError, UnsupportedMediaError


def photo(folder: Path) -> None:
    """Make the copies of the photo `SOURCE`, whose kind and time zone `TOLD` names; write what was found there."""
    asked = json.loads((folder / TOLD).read_text())
    try:
        with (folder / SOURCE).open("rb") as file:
            found = photos.render(file, asked["media_type"], ZoneInfo(asked["zone"]))
    except TooManyPixelsError as error:
        _tell(folder, refused="too_many_pixels", width=error.width, height=error.height, limit=error.limit)
    except TruncatedMediaError:
        _tell(folder, refused="truncated")
    except UnsupportedMediaError:
        _tell(folder, refused="unsupported")
    except DamagedMediaError:
        _tell(folder, refused="damaged")
    else:
        _keep(folder, preview=found.preview, thumbnail=found.thumbnail, full=found.full)
        _tell(
            folder,
            width=found.width,
            height=found.height,
            captured_at=found.captured_at.isoformat() if found.captured_at else None,
            sharpness=found.sharpness,
            is_incomplete=found.is_incomplete,
            pixels_sha256=found.pixels_sha256,
        )


def poster(folder: Path) -> None:
    """Make the copies of the frame `SOURCE` of a video."""
    with (folder / SOURCE).open("rb") as file:
        width, height, preview, thumbnail = photos.poster(file)
    _keep(folder, preview=preview, thumbnail=thumbnail, full=None)
    _tell(folder, width=width, height=height)


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
