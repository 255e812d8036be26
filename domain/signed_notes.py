"""Signed notes and checkpoints, as C2SP writes them (signed-note.md, tlog-checkpoint.md): texts that anybody can check.

A checkpoint is three lines: whose log it is, how many entries it had, and the root of their tree. Keys and signatures are given
as bytes by who has them; nothing here knows Ed25519.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

_ED25519 = b"\x01"
"""The kind of signature (signed-note.md, Signature types)."""

_DASH = "— "
"""With what the line of a signature begins."""


class NoteError(ValueError):
    """A text is no signed checkpoint, or nobody whom we know has signed it; the text says which."""


@dataclass(frozen=True)
class Checkpoint:
    """What a log had at a moment: `origin` names the log, `root` stands for its first `size` entries."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def key_id(name: str, public_key: bytes) -> bytes:
    """By which four bytes a signature says whose it is."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:4]


def verifier_key(name: str, public_key: bytes) -> str:
    """The public key as others take it (``name+id+base64``)."""
    return f"{name}+{key_id(name, public_key).hex()}+{base64.b64encode(_ED25519 + public_key).decode()}"


def signed(checkpoint: Checkpoint, public_key: bytes, sign: Callable[[bytes], bytes]) -> str:
    """The checkpoint as a signed note."""
    signature = key_id(checkpoint.origin, public_key) + sign(checkpoint.text.encode())
    return f"{checkpoint.text}\n{_DASH}{checkpoint.origin} {base64.b64encode(signature).decode()}\n"


def opened(note: str, origin: str, public_key: bytes, verify: Callable[[bytes, bytes], bool]) -> Checkpoint:
    """The checkpoint of a signed note of that log. `verify` takes signature and text. Raises NoteError."""
    text, separator, signatures = note.partition("\n\n")
    if not separator:
        raise NoteError("it is no signed note")
    checkpoint = _read(text + "\n")
    if checkpoint.origin != origin:
        raise NoteError(f"it is of another log, {checkpoint.origin}")
    begin = f"{_DASH}{origin} "
    for line in signatures.splitlines():
        made = _bytes(line.removeprefix(begin)) if line.startswith(begin) else b""
        if made[:4] == key_id(origin, public_key) and verify(made[4:], checkpoint.text.encode()):
            return checkpoint
    raise NoteError("its signature is not right")


def _read(text: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) != 4 or not lines[1].isascii() or not lines[1].isdigit() or len(root := _bytes(lines[2])) != 32:
        raise NoteError("it is no checkpoint")
    return Checkpoint(lines[0], int(lines[1]), root)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
