"""The ring of named keys of `RELAIS_ENCRYPTION_KEYS`, and sealing with it: AES-256-GCM, bound to a place.

The first key of the ring seals, every key opens. What is sealed carries the id of its key, so that keys can be changed.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NO_RING = "RELAIS_ENCRYPTION_KEYS is not set: make a key with `relais new-key`"

NONCE_BYTES = 12
KEY_BYTES = 32


class EncryptionError(Exception):
    """Something sealed could not be opened, or the key ring could not be read. Its text never holds content or keys."""


@dataclass(frozen=True)
class KeyRing:
    """Named keys; the first one seals, all of them open."""

    keys: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``id:base64[,id:base64…]`` with 32 bytes a key; EncryptionError when it is not that."""
        keys: dict[str, bytes] = {}
        for entry in text.split(","):
            key_id, _, encoded = entry.strip().partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                key = b""
            if not key_id or len(key) != KEY_BYTES or key_id in keys:
                raise EncryptionError(
                    "RELAIS_ENCRYPTION_KEYS must read id:base64[,id:base64…], 32 bytes a key, each id once"
                )
            keys[key_id] = key
        return cls(keys)

    @property
    def current(self) -> str:
        """The id of the key that seals."""
        return next(iter(self.keys))


def seal(ring: KeyRing, plain: bytes, bound_to: str) -> str:
    """`plain`, sealed with the first key of the ring; `bound_to` names the place where alone it opens."""
    return f"{ring.current}:{seal_with(ring.keys[ring.current], plain, _bound(ring.current, bound_to))}"


def open_sealed(ring: KeyRing, sealed: str, bound_to: str) -> bytes:
    """What was sealed for that place. Raises EncryptionError when its key is not on the ring, or it was sealed for another."""
    key_id, _, encoded = sealed.partition(":")
    if key_id not in ring.keys:
        raise EncryptionError(f"no key '{key_id}' on the key ring")
    return open_with(ring.keys[key_id], encoded, _bound(key_id, bound_to))


def sealed_with(sealed: str) -> str:
    """The id of the key with which it was sealed."""
    return sealed.partition(":")[0]


def sealed_anew(ring: KeyRing, sealed: str, bound_to: str) -> str:
    """The same, sealed with the first key of the ring; as it is where it was. Raises as `open_sealed` does."""
    return sealed if sealed_with(sealed) == ring.current else seal(ring, open_sealed(ring, sealed, bound_to), bound_to)


def seal_with(key: bytes, plain: bytes, bound_to: bytes) -> str:
    """`plain`, sealed with that key (AES-256-GCM) for that place, in Base64."""
    nonce = os.urandom(NONCE_BYTES)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plain, bound_to)).decode()


def open_with(key: bytes, encoded: str, bound_to: bytes) -> bytes:
    """What was sealed with that key for that place; EncryptionError for anything else."""
    try:
        box = base64.b64decode(encoded, validate=True)
        return AESGCM(key).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], bound_to)
    except (InvalidTag, ValueError):
        raise EncryptionError("something sealed does not open here") from None


def _bound(key_id: str, bound_to: str) -> bytes:
    return f"{key_id}\n{bound_to}".encode()
