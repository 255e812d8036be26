"""The Merkle tree of RFC 6962: hashes of leaves in their order, and one hash that stands for all of them.

A tree that only grows is kept as a compact range: the roots of its full subtrees, largest first, at most one of each size.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash over two subtrees (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""


@dataclass
class CompactRange:
    """A tree of `size` leaves, as far as it takes to add further ones: `peaks` are the roots of its full subtrees."""

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Raises ValueError unless there is one peak for each bit of the size."""
        if self.size < 0 or self.size.bit_count() != len(self.peaks):
            raise ValueError("a tree has one full subtree for each bit of its size")

    def append(self, leaf: bytes) -> None:
        """Add the hash of a leaf."""
        self.peaks.append(leaf)
        size = self.size
        while size & 1:
            right = self.peaks.pop()
            self.peaks[-1] = node_hash(self.peaks[-1], right)
            size >>= 1
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add several, in their order."""
        for leaf in leaves:
            self.append(leaf)

    @property
    def root(self) -> bytes:
        """The hash that stands for all leaves and their order."""
        if not self.peaks:
            return EMPTY_ROOT
        *rest, root = self.peaks
        for peak in reversed(rest):
            root = node_hash(peak, root)
        return root
