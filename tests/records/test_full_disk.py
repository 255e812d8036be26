"""A disk without room: said as what it is, and nothing half written stays. In a small file system where we may mount one; and
everywhere, in a process that may not write large files.
"""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from records.errors import StoreError, StoreFullError
from records.store import INCOMING, DocumentStore

KIBIBYTE = bytes(1024)

IN_A_SMALL_PROCESS = """
import asyncio, resource, signal, sys
from records.errors import StoreFullError
from records.store import DocumentStore

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
store = DocumentStore(sys.argv[1])

async def main():
    await store.put_new("a/small", bytes(50_000))
    for content in (bytes(150_000), bytes(100_001)):
        try:
            await store.put_new("a/large", content)
        except StoreFullError:
            print("full")

asyncio.run(main())
"""


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_that_can_not_be_written_to_its_end(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", IN_A_SMALL_PROCESS, tmp_path.as_uri()],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["full", "full"], said.stderr
    assert files(tmp_path) == ["a/small"]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], capture_output=True, check=False
    )
    if mounting.returncode != 0:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield KIBIBYTE * 16


async def test_a_store_on_a_full_disk(small: Path) -> None:
    store = DocumentStore((small / "documents").as_uri())
    await store.put_new("a/first", KIBIBYTE * 100)
    for content in (KIBIBYTE * 2000, KIBIBYTE * 1020, pieces(200)):
        with pytest.raises(StoreFullError):
            await store.put_new("a/large", content)
    assert files(small / "documents") == ["a/first"]
    await store.put_new("a/large", KIBIBYTE * 100)
    assert await store.get("a/large") == KIBIBYTE * 100


async def test_a_store_that_can_only_be_read(small: Path) -> None:
    store = DocumentStore((small / "documents").as_uri())
    await store.put_new("a/first", KIBIBYTE)
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)  # noqa: ASYNC221
    with pytest.raises(StoreError) as failed:
        await store.put_new("a/second", KIBIBYTE)
    assert not isinstance(failed.value, StoreFullError)
    assert await store.get("a/first") == KIBIBYTE
    assert files(small / "documents") == ["a/first"]
    assert not list((small / "documents" / INCOMING).iterdir())
