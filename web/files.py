"""Files that are given out: how they are named, and documents that are shown."""

import re
import unicodedata
from typing import Literal
from urllib.parse import quote

from fastapi import Response


def content_disposition(kind: Literal["inline", "attachment"], filename: str) -> str:
    """The header by which a browser names what it saves (RFC 6266): in full, and in ASCII for programs that know no more."""
    filename = filename or "file"
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", plain).strip() or "file"
    full = "" if plain == filename else f"; filename*=UTF-8''{quote(filename, safe='')}"
    return f'{kind}; filename="{plain}"{full}'


def csv_response(table: bytes, filename: str) -> Response:
    """A table to be saved under that name."""
    return Response(
        table,
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": content_disposition("attachment", filename)},
    )


def pdf_response(pdf: bytes, filename: str, *, opens: bool = True) -> Response:
    """A document to be shown, and saved under that name."""
    return Response(
        pdf,
        media_type="application/pdf",
        headers={"Content-Disposition": content_disposition("inline" if opens else "attachment", filename)},
    )
