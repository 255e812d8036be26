"""Keys of an account, from what only the records hold of it: each process has them, and they end with the password."""

from os import urandom

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from records.models import Account

KEY_BYTES = 32
_NONCE_BYTES = 12


def key_of(account: Account, purpose: bytes) -> bytes:
    """The key for that purpose; none can be had from another."""
    return HKDF(SHA256(), KEY_BYTES, salt=account.id.bytes, info=purpose).derive(account.password_hash.encode())


def seal_for(account: Account, purpose: bytes, plain: bytes) -> bytes:
    """`plain`, sealed (AES-GCM) for that account and purpose."""
    nonce = urandom(_NONCE_BYTES)
    return nonce + AESGCM(key_of(account, purpose)).encrypt(nonce, plain, None)


def open_for(account: Account, purpose: bytes, box: bytes) -> bytes | None:
    """What was sealed for that account and purpose; None for anything else."""
    try:
        return AESGCM(key_of(account, purpose)).decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], None)
    except (InvalidTag, ValueError):
        return None
