"""Keys in a folder: files in PEM, encrypted with passphrases that are derived from one secret, for their owner only.

root.key.pem      root.cert.pem        trusted by whoever checks a report; give the certificate out, never the key
stamps.key.pem    stamps.cert.pem      signs the time stamps
signers/<id>.key.pem, <id>.cert.pem    one person or clinic each
"""

import base64
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import Base64Bytes

from documents.keys import WrongSecretError

ROOT_KEY, ROOT_CERTIFICATE = "root.key.pem", "root.cert.pem"
"""The files of the root; whoever checks a report has to trust the second one."""

_KEY, _CERTIFICATE = ".key.pem", ".cert.pem"


@dataclass(frozen=True)
class KeyFolder:
    """The keys in that folder. `secret` is a key and not a password: it is not stretched.

    Raises ValueError if the secret is shorter than 16 bytes.
    """

    path: Path
    secret: Base64Bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < 16:
            raise ValueError("the secret of the signing authority needs at least 16 bytes")

    def __str__(self) -> str:
        return str(self.path)

    def keys(self) -> Self:
        """A folder needs no opening."""
        return self

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time makes keys in this folder. The lock goes with the process, however it ends."""
        (self.path / "signers").mkdir(mode=0o700, parents=True, exist_ok=True)
        for private in (self.path, self.path / "signers"):
            private.chmod(0o700)
        with (self.path / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def key(self, name: str) -> ec.EllipticCurvePrivateKey | None:
        """Read from its file."""
        file = self.path / f"{name}{_KEY}"
        try:
            key = load_pem_private_key(file.read_bytes(), self._passphrase(name))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise WrongSecretError(f"{file} does not open with this secret") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{file} holds no elliptic-curve key")
        return key

    def make_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        """Made in memory, and written."""
        key = ec.generate_private_key(ec.SECP256R1())
        encryption = BestAvailableEncryption(self._passphrase(name))
        _write(self.path / f"{name}{_KEY}", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        return key

    def remove_key(self, name: str) -> None:
        """Its file is removed; its certificate stays until there is another."""
        (self.path / f"{name}{_KEY}").unlink(missing_ok=True)

    def certificate(self, name: str) -> x509.Certificate | None:
        """Read from its file."""
        try:
            return x509.load_pem_x509_certificate((self.path / f"{name}{_CERTIFICATE}").read_bytes())
        except FileNotFoundError:
            return None

    def keep_certificate(self, name: str, certificate: x509.Certificate) -> None:
        """Written whole, or not at all."""
        _write(self.path / f"{name}{_CERTIFICATE}", certificate.public_bytes(Encoding.PEM))

    def certificates(self) -> Iterator[tuple[str, x509.Certificate]]:
        """Those of the folder, and of the signers."""
        for file in self.path.rglob(f"*{_CERTIFICATE}"):
            name = file.relative_to(self.path).as_posix().removesuffix(_CERTIFICATE)
            if (certificate := self.certificate(name)) is not None:
                yield name, certificate

    def _passphrase(self, name: str) -> bytes:
        derive = HKDF(hashes.SHA256(), length=32, salt=None, info=f"relais signing authority: {name}".encode())
        return base64.b64encode(derive.derive(self.secret))


def _write(path: Path, content: bytes) -> None:
    """Writes a whole file or none, readable by its owner only, and on the disk when this returns."""
    unfinished = path.with_suffix(".unfinished")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
