"""The tree of RFC 6962 and the signed notes of C2SP, against what others have published."""

import hashlib
from collections.abc import Sequence
from functools import partial

import pytest

from documents.audit_key import AuditKey, is_signed
from domain.merkle import EMPTY_ROOT, CompactRange
from domain.signed_notes import Checkpoint, NoteError, opened, signed, verifier_key

LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The roots over the first of these leaves that the tests of Certificate Transparency's own implementations hold."""


def leaf(content: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + content).digest()


def by_definition(leaves: Sequence[bytes]) -> bytes:
    """The root as RFC 6962, 2.1, defines it."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + by_definition(leaves[:half]) + by_definition(leaves[half:])).digest()


def test_roots_are_those_of_certificate_transparency() -> None:
    tree = CompactRange()
    assert tree.root == EMPTY_ROOT
    for content, root in zip(LEAVES, ROOTS, strict=True):
        tree.append(leaf(bytes.fromhex(content)))
        assert tree.root.hex() == root


def test_a_tree_that_is_taken_up_again_goes_on_as_defined() -> None:
    leaves = [leaf(str(number).encode()) for number in range(200)]
    tree = CompactRange()
    for size, one in enumerate(leaves, 1):
        tree.append(one)
        tree = CompactRange(tree.size, list(tree.peaks))
        assert tree.root == by_definition(leaves[:size])
    with pytest.raises(ValueError, match="one full subtree"):
        CompactRange(3, [leaf(b"")])


def test_a_note_is_believed_from_who_has_the_key_alone() -> None:
    key, other = AuditKey(b"the secret of one"), AuditKey(b"the secret of another")
    checkpoint = Checkpoint("relais.test/audit", 8, bytes.fromhex(ROOTS[-1]))
    note = signed(checkpoint, key.public, key.sign)
    text, _, signature = note.partition("\n\n")
    assert text.split("\n") == ["relais.test/audit", "8", "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg="]
    assert signature.startswith("— relais.test/audit ")
    assert verifier_key("relais.test/audit", key.public).startswith("relais.test/audit+")
    believe = partial(is_signed, key.public)
    assert opened(note, "relais.test/audit", key.public, believe) == checkpoint
    forged = signed(checkpoint, other.public, other.sign)
    for wrong in (
        *("", "\n\n", note.replace("\n8\n", "\n9\n"), note.replace("XcnaeacG", "XcnaeacH"), forged, note[:-10]),
        *(note.replace("— relais.test/audit", "— relais.test/other"), note.replace("relais.test", "evil.test")),
        forged.replace(forged.split("audit ")[1][:6], signature.split("audit ")[1][:6]),
    ):
        with pytest.raises(NoteError):
            opened(wrong, "relais.test/audit", key.public, believe)
