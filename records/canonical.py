"""Canonical JSON: one value, one text, so that its SHA-256 stands for it for ever."""

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """`value` as UTF-8 JSON with sorted keys and no spaces. Raises ValueError for NaN and infinities, which JSON lacks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def content_sha256(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`, in lower-case hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
