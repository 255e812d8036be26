"""Keys of an account, from what only the records hold of it: each process has them, and they end with the password."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from records.models import Account

KEY_BYTES = 32


def key_of(account: Account, purpose: bytes) -> bytes:
    """The key for that purpose; none can be had from another."""
    return HKDF(SHA256(), KEY_BYTES, salt=account.id.bytes, info=purpose).derive(account.password_hash.encode())
