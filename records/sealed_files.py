"""How a file of the document store is sealed: in pieces, so that it is never held whole and any part of it can be read by itself.

A head (a mark, and a salt by chance), then pieces of `PIECE_BYTES`, each sealed by AES-256-GCM with a key of this one file: from
the data key of its owner, the salt, and the name under which it lies. A piece is bound to its number, and to whether it is the
last: pieces can't change places, nor be left out, nor be those of another file.
"""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from key_ring import KEY_BYTES, NONCE_BYTES
from records.errors import ContentDiffersError

PIECE_BYTES = 64 * 1024
MARK = b"relais sealed 1\n"
HEAD_BYTES = len(MARK) + 16
_TAG_BYTES = 16


@dataclass(frozen=True)
class Seal:
    """How one file is sealed or opened."""

    key: AESGCM
    head: bytes

    @classmethod
    def new(cls, data_key: bytes, name: str) -> "Seal":
        """For a file that is written under that name."""
        return cls.of(data_key, name, MARK + os.urandom(16))

    @classmethod
    def of(cls, data_key: bytes, name: str, head: bytes) -> "Seal":
        """For the file of that name which begins with `head`."""
        info = b"relais: a stored file\n" + name.encode()
        return cls(AESGCM(HKDF(SHA256(), KEY_BYTES, salt=head[len(MARK) :], info=info).derive(data_key)), head)

    async def close(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """What comes, sealed."""
        yield self.head
        number, held = 0, bytearray()
        async for chunk in chunks:
            held += chunk
            while len(held) > PIECE_BYTES:  # the last one is kept until it is known to be the last
                yield self._close(bytes(held[:PIECE_BYTES]), number, last=False)
                del held[:PIECE_BYTES]
                number += 1
        yield self._close(bytes(held), number, last=True)

    async def open(self, chunks: AsyncIterator[bytes], size: int, first: int = 0) -> AsyncIterator[bytes]:
        """The pieces from the number `first` on, opened; `size` is that of the whole file in clear.

        Raises ContentDiffersError for what was not sealed so.
        """
        number, held, last = first, bytearray(), pieces_of(size) - 1
        async for chunk in chunks:
            held += chunk
            while len(held) >= PIECE_BYTES + _TAG_BYTES:
                yield self._open(bytes(held[: PIECE_BYTES + _TAG_BYTES]), number, last=number == last)
                del held[: PIECE_BYTES + _TAG_BYTES]
                number += 1
        if held:
            yield self._open(bytes(held), number, last=number == last)

    def _close(self, piece: bytes, number: int, *, last: bool) -> bytes:
        return self.key.encrypt(_nonce(number), piece, _bound(last=last))

    def _open(self, piece: bytes, number: int, *, last: bool) -> bytes:
        try:
            return self.key.decrypt(_nonce(number), piece, _bound(last=last))
        except InvalidTag:
            raise ContentDiffersError from None


def is_sealed(head: bytes) -> bool:
    """Whether a file that begins so is sealed."""
    return len(head) == HEAD_BYTES and head.startswith(MARK)


def pieces_of(size: int) -> int:
    """In how many pieces a file of `size` bytes is sealed; an empty one has one."""
    return max(1, -(-size // PIECE_BYTES))


def size_in_clear(stored: int) -> int:
    """How many bytes a file has of which `stored` lie in the store."""
    body = stored - HEAD_BYTES
    return body - _TAG_BYTES * max(1, -(-body // (PIECE_BYTES + _TAG_BYTES)))


def part_to_read(start: int, end: int) -> tuple[int, int, int]:
    """What of the store holds the bytes from `start` to `end`: from which piece on, and from where up to where it lies."""
    first, last = start // PIECE_BYTES, max(start, end - 1) // PIECE_BYTES
    whole = PIECE_BYTES + _TAG_BYTES
    return first, HEAD_BYTES + first * whole, HEAD_BYTES + (last + 1) * whole


def _nonce(number: int) -> bytes:
    return number.to_bytes(NONCE_BYTES, "big")


def _bound(*, last: bool) -> bytes:
    return b"the last piece" if last else b"a piece"
