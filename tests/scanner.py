"""A real virus scanner for tests: Debian's clamd, with a database of two signatures of its own, so that nothing is fetched.

``python -m tests.scanner`` installs it where it is not there and this user may install packages; where it can't be had, what
needs it is skipped, and says so.
"""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from outgoing.clamd import Clamd
from tests.eventually import eventually
from tests.portal.browsers import install_packages, may_install_packages
from tests.serving import free_port

PACKAGES = ("clamav-daemon",)

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"
"""What scanners take for a virus by agreement. It stands here in two parts: else this file would be one."""

MARKER = b"relais " + b"marker of an infected file"
"""What only our scanner takes for one."""


def clamd_program() -> str | None:
    """Where clamd is; None where it is not installed."""
    return shutil.which("clamd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


needs_clamd = pytest.mark.skipif(
    clamd_program() is None, reason="there is no clamd: install Debian's clamav-daemon (python -m tests.scanner)"
)


class Scanner:
    """A clamd that can be ended and started again, on one port of this machine."""

    def __init__(self, folder: Path, *, stream_max: str = "600M") -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"tcp://127.0.0.1:{self.port}"
        (folder / "database").mkdir()
        (folder / "temporary").mkdir()
        signatures = {"Relais.Test.Eicar": EICAR, "Relais.Test.Marker": MARKER}
        lines = [f"{name}:0:*:{found.hex()}\n" for name, found in signatures.items()]
        (folder / "database" / "relais.ndb").write_text("".join(lines))
        said = {
            "Foreground": "yes",
            "TCPSocket": self.port,
            "TCPAddr": "127.0.0.1",
            "DatabaseDirectory": folder / "database",
            "TemporaryDirectory": folder / "temporary",
            "StreamMaxLength": stream_max,
            "MaxFileSize": "600M",
            "MaxScanSize": "600M",
            "AlertExceedsMax": "yes",
            "MaxThreads": 4,
            "FixStaleSocket": "yes",
        }
        self._config = folder / "clamd.conf"
        self._config.write_text("".join(f"{name} {value}\n" for name, value in said.items()))
        _give_away(folder)

    async def start(self) -> None:
        """Return when it answers."""
        program = clamd_program()
        assert program is not None
        command = [program, f"--config-file={self._config}"]
        with (self._folder / "clamd.log").open("ab") as log:
            nobody = _nobody()
            self._process = subprocess.Popen(  # noqa: ASYNC220
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=nobody and nobody.pw_uid,
                group=nobody and nobody.pw_gid,
                extra_groups=nobody and [],
            )
        await eventually(self._answers)

    async def kill(self) -> None:
        """End it at once, whatever it does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(self._process.wait)
            self._process = None

    async def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError((self._folder / "clamd.log").read_text())
        await Clamd(self.url, timedelta(seconds=5)).version()
        return True


@asynccontextmanager
async def running_scanner(*, stream_max: str = "600M") -> AsyncIterator[Scanner]:
    """A clamd for as long as it is open."""
    with tempfile.TemporaryDirectory(prefix="relais-clamd-") as folder:
        scanner = Scanner(Path(folder), stream_max=stream_max)
        await scanner.start()
        try:
            yield scanner
        finally:
            await scanner.kill()


def _nobody() -> pwd.struct_passwd | None:
    """As whom it runs where we are root, of whose rights it needs none."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _give_away(folder: Path) -> None:
    if (nobody := _nobody()) is not None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)


if __name__ == "__main__":
    if clamd_program() is None and may_install_packages():
        print("Installing clamd for the tests of virus scanning ...", flush=True)  # noqa: T201
        install_packages(PACKAGES)
    if clamd_program() is None:
        print("There is no clamd: what needs it is skipped. Install Debian's clamav-daemon to run it.")  # noqa: T201
