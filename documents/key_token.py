"""Keys in a token (PKCS#11), an HSM or what looks like one: which token, and how it opens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from documents.keys import Keys
from settings import SettingsError


@dataclass(frozen=True)
class KeyToken:
    """A token, which is named by its label, its serial number, or both.

    `environment` are variables that the module reads for itself, such as where its own configuration is.
    """

    module: Path
    pin: str = field(repr=False)
    label: str | None = None
    serial: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    def __str__(self) -> str:
        return f"the token {self.label or self.serial} of {self.module}"

    def keys(self) -> Keys:
        """The keys in it. Raises SettingsError where what speaks PKCS#11 is not installed."""
        try:
            from documents.token_keys import TokenKeys
        except ImportError:
            raise SettingsError("keys in a token need the extra `pkcs11` of Relais: install it") from None
        return TokenKeys(self)
