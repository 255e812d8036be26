"""What is sealed opens at its place alone, as long as its key is there."""

import pytest

from key_ring import EncryptionError, KeyRing, open_sealed, seal, sealed_with

OLD, NEW = KeyRing({"old": bytes(32)}), KeyRing({"new": b"1" * 32, "old": bytes(32)})


def test_what_is_sealed_opens_where_it_belongs() -> None:
    sealed = seal(OLD, b"a secret", "account 1")
    assert open_sealed(OLD, sealed, "account 1") == b"a secret"
    assert open_sealed(NEW, sealed, "account 1") == b"a secret"
    assert sealed_with(sealed) == "old"
    assert sealed_with(seal(NEW, b"a secret", "account 1")) == "new"
    assert sealed != seal(OLD, b"a secret", "account 1")


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        (lambda text: text, "account 2"),
        (lambda text: text[:-4] + "AAA=", "account 1"),
        (lambda text: text.replace("old:", "new:"), "account 1"),
        (lambda text: text.replace("old:", "gone:"), "account 1"),
        (lambda _: "old:no base64", "account 1"),
        (lambda _: "", "account 1"),
    ],
)
def test_what_was_changed_or_moved_does_not_open(changed: object, place: str) -> None:
    sealed = seal(OLD, b"a secret", "account 1")
    assert callable(changed)
    with pytest.raises(EncryptionError):
        open_sealed(NEW, changed(sealed), place)
