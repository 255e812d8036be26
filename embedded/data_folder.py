"""The one folder that holds everything in the embedded mode: who may use it, what it must look like, its secrets.

format             the number of its layout, see FORMAT
.lock              held while ``relais up`` runs
runtime.json       what runs now
secrets/           made at the first start, never shown
control/           orders from other terminals
logs/              one file per part
postgres/ socket/  the database
temporal/          the engine
mail/              e-mails that the local server took
documents/         photos, videos, signed reports
"""

import base64
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded.errors import StartError
from embedded.files import write_privately

FORMAT = "1"
"""The layout of the data folder that this version reads and writes."""

LEAST_FREE_BYTES = 512 * 1024**2
"""Less than this, and the first start of PostgreSQL and Temporal alone could fill the disk."""


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Holds the data folder for this process: made when it is missing, checked, and locked until the end of the block.

    Raises StartError when it cannot be written, was made by another version, is almost full, or is in use.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(data_dir / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(
            f"The data folder {data_dir} cannot be written ({error.strerror}): "
            "make it writable, or name another one with RELAIS_DATA_DIR."
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartError(
                f"Relais already runs in {data_dir}: see it with `relais status`, "
                "or name another data folder with RELAIS_DATA_DIR."
            ) from error
        _check_format(data_dir)
        if shutil.disk_usage(data_dir).free < LEAST_FREE_BYTES:
            raise StartError(
                f"The disk of {data_dir} has less than {LEAST_FREE_BYTES // 1024**2} MB left: "
                "free some space, or name a data folder elsewhere with RELAIS_DATA_DIR."
            )
        for name in ("secrets", "control", "logs"):
            (data_dir / name).mkdir(mode=0o700, exist_ok=True)
        yield
    finally:
        os.close(lock)


def is_in_use(data_dir: Path) -> bool:
    """Whether ``relais up`` runs in this data folder now."""
    try:
        lock = os.open(data_dir / ".lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StartError(
            f"The data folder {data_dir} belongs to another user: run this command as that user."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def encryption_keys(data_dir: Path) -> str:
    """The key ring, `id:base64` of 32 bytes; made once. Losing it loses every chart and file, and the open requests."""
    return _secret(data_dir, "encryption-keys", prefix="k1:")


def authority_secret(data_dir: Path) -> str:
    """What the signing keys are locked with, base64 of 32 bytes; made once. Losing it loses the signing keys."""
    return _secret(data_dir, "authority-secret")


def _secret(data_dir: Path, name: str, prefix: str = "") -> str:
    path = data_dir / "secrets" / name
    if not path.exists():
        write_privately(path, f"{prefix}{base64.b64encode(secrets.token_bytes(32)).decode()}\n")
    return path.read_text().strip()


def _check_format(data_dir: Path) -> None:
    path = data_dir / "format"
    try:
        found = path.read_text().strip()
    except FileNotFoundError:
        if (data_dir / "postgres").exists() or (data_dir / "temporal").exists():
            raise StartError(
                f"The data folder {data_dir} has no file `format`, so its layout is unknown: "
                "name another one with RELAIS_DATA_DIR."
            ) from None
        write_privately(path, FORMAT + "\n")
        return
    if found != FORMAT:
        raise StartError(
            f"The data folder {data_dir} has format {found!r} and this version of Relais reads format {FORMAT}: "
            "start the version that made it, or name another folder with RELAIS_DATA_DIR."
        )
