"""Where the authority's keys are, behind one interface: a folder (`documents.key_folder`) or a token (`documents.key_token`).

A key has a name, and so has its certificate: ``root``, ``stamps``, and ``signers/<id>`` for people and clinics. What signs with
one can't tell where it is: each is an `EllipticCurvePrivateKey` that signs and gives its public key, and no more than that is
asked of it.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = "root"
"""The name of the authority's own key."""


class WrongSecretError(Exception):
    """The keys do not open with the secret, or the PIN, that the settings name."""


class KeysAwayError(Exception):
    """The keys can't be had now: the token, or what leads to it, is not there. It may come back."""

    @property
    def for_the_log(self) -> str:
        """What is away: it names no secret."""
        return str(self)


class Keys(Protocol):
    """The keys of one authority. Its methods read and write where the keys are: call them in a thread.

    They raise WrongSecretError and KeysAwayError.
    """

    def __str__(self) -> str:
        """Where they are, for those who keep Relais running. Names no secret."""
        ...

    def locked(self) -> AbstractContextManager[None]:
        """Let processes that would make keys here pass one after the other, as far as the place allows."""
        ...

    def key(self, name: str) -> ec.EllipticCurvePrivateKey | None:
        """The key of that name; None where there is none."""
        ...

    def make_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        """A new key (P-256) under a name that has none."""
        ...

    def remove_key(self, name: str) -> None:
        """Remove a key for good, if it is there."""
        ...

    def certificate(self, name: str) -> x509.Certificate | None:
        """The certificate of that name; None where there is none."""
        ...

    def keep_certificate(self, name: str, certificate: x509.Certificate) -> None:
        """Keep it, in the place of an older one of that name."""
        ...

    def certificates(self) -> Iterable[tuple[str, x509.Certificate]]:
        """All of them, with their names."""
        ...
