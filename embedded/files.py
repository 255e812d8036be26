"""Files that survive a crash whole: written beside, flushed to the disk, then put in place."""

import os
import tempfile
from pathlib import Path


def write_privately(path: Path, content: str | bytes) -> None:
    """Replaces `path` at once by a file that only its owner reads (mode 0600). Its folder must exist."""
    data = content.encode() if isinstance(content, str) else content
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)  # noqa: PTH105
    except BaseException:
        os.unlink(beside)  # noqa: PTH108
        raise
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Makes the names in a folder durable: a new file is safe only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
