"""A token (PKCS#11) for the tests, and how SoftHSM, which plays it, comes onto a new machine: ``python -m tests.tokens``.

It is installed by the system's packages where this user may do so (root on Debian, as in continuous integration). Where there is
none, the tests that need one are skipped.
"""

import os
import secrets
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from documents.key_token import KeyToken
from tests.portal.browsers import install_packages, may_install_packages

PACKAGES = ("softhsm2", "opensc")
PLACES = (
    "/usr/lib/softhsm",
    "/usr/lib64/softhsm",
    "/usr/lib64/pkcs11",
    "/usr/local/lib/softhsm",
    "/opt/homebrew/lib/softhsm",
)
MODULE = "libsofthsm2.so"

NOT_THERE = "there is no SoftHSM: install softhsm2 and opensc (on Debian), or their like"


def module() -> Path | None:
    """SoftHSM's PKCS#11 module, where its tools are there too."""
    if not shutil.which("softhsm2-util") or not shutil.which("pkcs11-tool"):
        return None
    return next((found for place in PLACES if (found := Path(place, MODULE)).exists()), None)


@dataclass(frozen=True)
class Shelf:
    """Where tokens lie. One process can see those of one shelf only, for the module reads where they are when it is loaded."""

    folder: Path
    module: Path

    @classmethod
    def made(cls, folder: Path, module: Path) -> "Shelf":
        """An empty one."""
        (folder / "tokens").mkdir(parents=True)
        (folder / "softhsm2.conf").write_text(
            f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        return cls(folder, module)

    @property
    def environment(self) -> dict[str, str]:
        """What tells the module of it."""
        return {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}

    def token(self) -> KeyToken:
        """A new token, with nothing in it."""
        label, pin = f"relais-{secrets.token_hex(4)}", "8765-4321"
        self._run("softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "1234567", "--pin", pin)
        return KeyToken(self.module, pin, label, environment=self.environment)

    def look_at(self, token: KeyToken, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What OpenSC's tool, which is not ours, says of a token."""
        return self._run(
            "pkcs11-tool",
            "--module",
            str(self.module),
            "--token-label",
            str(token.label),
            "--pin",
            token.pin,
            *arguments,
        )

    def take_away(self) -> None:
        """All tokens are gone."""
        (self.folder / "tokens").rename(self.folder / "away")

    def bring_back(self) -> None:
        """They are there again."""
        (self.folder / "away").rename(self.folder / "tokens")

    def hang(self) -> None:
        """Whoever loads the module from now on waits for its configuration, until the shelf is answering again."""
        self._conf.rename(self.folder / "aside")
        os.mkfifo(self._conf)

    def answer(self) -> None:
        """Those who wait get what they wait for, and so does everybody after them."""
        waited = self._conf.rename(self.folder / "waited")
        (self.folder / "aside").rename(self._conf)
        with suppress(OSError), os.fdopen(os.open(waited, os.O_WRONLY | os.O_NONBLOCK), "w") as open_:  # nobody waits
            open_.write(self._conf.read_text())

    @property
    def _conf(self) -> Path:
        return self.folder / "softhsm2.conf"

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


if __name__ == "__main__":
    if module() is None and may_install_packages():
        print("Installing SoftHSM for the tests of signing keys in a token ...", flush=True)  # noqa: T201
        install_packages(PACKAGES)
    if module() is None:
        print(f"Tests of keys in a token are skipped: {NOT_THERE}.", file=sys.stderr)  # noqa: T201
