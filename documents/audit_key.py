"""The key that signs the audit's checkpoints: Ed25519, made of the secret that locks the signers' keys.

It is nowhere in the database, and every worker that may sign reports has it; who writes in the database alone can make no
checkpoint.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from settings import Settings, SettingsError

_SEED_BYTES = 32
_INFO = b"relais: checkpoints of the audit"


class AuditKey:
    """Signs, and checks what it has signed."""

    def __init__(self, secret: bytes) -> None:
        seed = HKDF(algorithm=hashes.SHA256(), length=_SEED_BYTES, salt=None, info=_INFO).derive(secret)
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @classmethod
    def from_settings(cls, settings: Settings) -> "AuditKey":
        """The key of this installation. Raises SettingsError when the settings name no secret."""
        if settings.authority_secret is None:
            raise SettingsError("RELAIS_AUTHORITY_SECRET is not set: the key of the audit is made of it")
        return cls(settings.authority_secret.get_secret_value().encode())

    @property
    def public(self) -> bytes:
        """The public key, in 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, text: bytes) -> bytes:
        """The signature of a text."""
        return self._key.sign(text)


def is_signed(public_key: bytes, signature: bytes, text: bytes) -> bool:
    """Whether that is the signature of this text by who has the key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, text)
    except InvalidSignature:
        return False
    return True
