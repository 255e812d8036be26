"""Styles and scripts. Their addresses carry a mark of their content, so browsers keep them and never show old ones."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).resolve().parent / "static"


class _KeptFiles(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        if response.media_type == "image/svg+xml":  # of text/…, Starlette says it by itself
            response.headers["Content-Type"] = "image/svg+xml; charset=utf-8"
        return response


def install(app: FastAPI) -> None:
    """Serve the files under ``/static``."""
    app.mount("/static", _KeptFiles(directory=FOLDER), name="static")


@cache
def address(name: str) -> str:
    """Where a page finds the file, e.g. ``/static/portal.css?3f1c…``."""
    return f"/static/{name}?{hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()[:12]}"
