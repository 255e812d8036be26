"""Encryption of what enters Temporal: AES-256-GCM, with a ring of named keys, bound to the workflow.

With the same ring, `seal` and `open_sealed` are for what the records hold sealed.

Every payload is sealed with the first key of the ring and carries that key's id, so keys can be changed while old histories
stay readable. The workflow's id is bound to it as additional data: a payload that is copied into another workflow does not open
there. What is not sealed (a Signal from the `temporal` command line, an older history) is let through as it is.
"""

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

ENCODING = b"binary/relais-aes256gcm"
_NONCE_BYTES = 12
_KEY_BYTES = 32

_METADATA_MESSAGE = WorkflowMetadata.DESCRIPTOR.full_name.encode()
"""Current details travel in this message. They hold no personal data, and operators must see them in any Temporal UI."""


class EncryptionError(Exception):
    """A payload could not be opened, or the key ring could not be read. Its text never holds content or keys."""


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
            if not key_id or len(key) != _KEY_BYTES or key_id in keys:
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
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(ring.keys[ring.current]).encrypt(nonce, plain, _bound(ring.current, bound_to))
    return f"{ring.current}:{base64.b64encode(nonce + sealed).decode()}"


def open_sealed(ring: KeyRing, sealed: str, bound_to: str) -> bytes:
    """What was sealed for that place. Raises EncryptionError when its key is not on the ring, or it was sealed for another."""
    key_id, _, encoded = sealed.partition(":")
    if key_id not in ring.keys:
        raise EncryptionError(f"no key '{key_id}' on the key ring")
    try:
        box = base64.b64decode(encoded, validate=True)
        return AESGCM(ring.keys[key_id]).decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], _bound(key_id, bound_to))
    except (InvalidTag, ValueError):
        raise EncryptionError("something sealed does not open here") from None


def sealed_with(sealed: str) -> str:
    """The id of the key with which it was sealed."""
    return sealed.partition(":")[0]


def sealed_anew(ring: KeyRing, sealed: str, bound_to: str) -> str:
    """The same, sealed with the first key of the ring; as it is where it was. Raises as `open_sealed` does."""
    return sealed if sealed_with(sealed) == ring.current else seal(ring, open_sealed(ring, sealed, bound_to), bound_to)


def _bound(key_id: str, bound_to: str) -> bytes:
    return f"{key_id}\n{bound_to}".encode()


class EncryptionCodec(PayloadCodec, WithSerializationContext):
    """Seals and opens payloads. `bound_to` is the workflow id, known on every path through the serialization context."""

    def __init__(self, ring: KeyRing, bound_to: str = "") -> None:
        self._ring = ring
        self._bound_to = bound_to

    def with_context(self, context: SerializationContext) -> "EncryptionCodec":
        """The same codec for one workflow."""
        if isinstance(context, WorkflowSerializationContext | ActivitySerializationContext) and context.workflow_id:
            return EncryptionCodec(self._ring, context.workflow_id)
        return self

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Seal."""
        return [payload if _is_open_by_design(payload) else self._seal(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Open. What can never open here, because it is of another workflow or damaged, stays sealed.

        Whoever needs its content then fails, or refuses it; raising would stop the whole workflow for one Signal that a stranger
        sent. A key that is not on the ring may come back: EncryptionError, and the worker tries its task again until it does.
        """
        return [self._open(payload) for payload in payloads]

    def _seal(self, payload: Payload) -> Payload:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._ring.keys[self._ring.current]).encrypt(
            nonce, payload.SerializeToString(), self._bound_to.encode()
        )
        metadata = {
            "encoding": ENCODING,
            "relais-key-id": self._ring.current.encode(),
            "relais-bound-to": self._bound_to.encode(),
        }
        return Payload(metadata=metadata, data=nonce + sealed)

    def _open(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        key_id = payload.metadata.get("relais-key-id", b"").decode(errors="replace")
        bound_to = payload.metadata.get("relais-bound-to", b"")
        if not self._is_bound_here(bound_to):
            return payload
        if key_id not in self._ring.keys:
            raise EncryptionError(f"no key '{key_id}' on the key ring")
        try:
            opened = AESGCM(self._ring.keys[key_id]).decrypt(
                payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:], bound_to
            )
            return Payload.FromString(opened)
        except (InvalidTag, ValueError, DecodeError):
            return payload

    def _is_bound_here(self, bound_to: bytes) -> bool:
        """Whether the payload is for this codec's workflow; a codec that is for none opens those of all."""
        here = self._bound_to.encode()
        return not here or not bound_to or bound_to == here or _scheduled(bound_to, self._bound_to)


def _is_open_by_design(payload: Payload) -> bool:
    return payload.metadata.get("messageType") == _METADATA_MESSAGE


def _scheduled(bound_to: bytes, workflow_id: str) -> bool:
    """A workflow that a schedule started has the schedule's id and a time as its id; its input is bound to the former."""
    return workflow_id.startswith(bound_to.decode(errors="replace") + "-")
