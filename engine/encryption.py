"""Encryption of what enters Temporal: AES-256-GCM, with a ring of named keys, bound to the workflow.

Every payload is sealed with the first key of the ring and carries that key's id, so keys can be changed while old histories
stay readable. The workflow's id is bound to it as additional data: a payload that is copied into another workflow does not open
there. What is not sealed (a Signal from the `temporal` command line, an older history) is let through as it is.
"""

import os
from collections.abc import Sequence

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

from key_ring import NONCE_BYTES, EncryptionError, KeyRing

ENCODING = b"binary/relais-aes256gcm"

_METADATA_MESSAGE = WorkflowMetadata.DESCRIPTOR.full_name.encode()
"""Current details travel in this message. They hold no personal data, and operators must see them in any Temporal UI."""


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
        nonce = os.urandom(NONCE_BYTES)
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
                payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:], bound_to
            )
            return Payload.FromString(opened)
        except (InvalidTag, ValueError, DecodeError):
            return payload

    def _is_bound_here(self, bound_to: bytes) -> bool:
        """Whether the payload is for this codec's workflow; a codec that is for none opens those of all."""
        here = self._bound_to.encode()
        return not here or not bound_to or bound_to == here or _scheduled(bound_to, self._bound_to)


def workflow_of(payload: Payload) -> str:
    """The id of the workflow for which a payload was sealed; empty where it says none."""
    return payload.metadata.get("relais-bound-to", b"").decode(errors="replace")


def _is_open_by_design(payload: Payload) -> bool:
    return payload.metadata.get("messageType") == _METADATA_MESSAGE


def _scheduled(bound_to: bytes, workflow_id: str) -> bool:
    """A workflow that a schedule started has the schedule's id and a time as its id; its input is bound to the former."""
    return workflow_id.startswith(bound_to.decode(errors="replace") + "-")
