"""Canonical JSON: one value, one text, so that its SHA-256 stands for it for ever."""

import hashlib
import json
from typing import Any

_WRITER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
"""One for all: ``json.dumps`` makes one for each text, which is two fifths of what a short text takes."""


def canonical_json(value: Any) -> bytes:
    """`value` as UTF-8 JSON with sorted keys and no spaces. Raises ValueError for NaN and infinities, which JSON lacks."""
    return _WRITER.encode(value).encode()


def content_sha256(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`, in lower-case hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
