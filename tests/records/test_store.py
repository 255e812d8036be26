"""The document store, in a folder and in memory: written once, read whole or in part, never more than allowed."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from records.errors import ContentConflictError, NotFoundError, TooLargeError
from records.ids import new_id
from records.store import DocumentStore, StoredObject

MEBIBYTE = bytes(range(256)) * 4096


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> DocumentStore:
    return DocumentStore((tmp_path / "a folder").as_uri() if request.param == "folder" else "memory:///")


async def pieces(*content: bytes) -> AsyncIterator[bytes]:
    for piece in content:
        yield piece


def stored(content: bytes) -> StoredObject:
    return StoredObject(len(content), hashlib.sha256(content).hexdigest())


async def test_the_same_content_again_is_fine_another_is_refused(store: DocumentStore) -> None:
    key = f"documents/{new_id()}.pdf"
    assert await store.put_new(key, b"signed") == stored(b"signed")
    assert await store.put_new(key, b"signed") == stored(b"signed")
    assert await store.put_new(key, pieces(b"si", b"", b"gned")) == stored(b"signed")
    with pytest.raises(ContentConflictError):
        await store.put_new(key, b"forged")
    with pytest.raises(ContentConflictError):
        await store.put_new(key, pieces(b"forged"))
    assert await store.get(key) == b"signed"


async def test_of_many_writers_one_wins(store: DocumentStore) -> None:
    contents = [f"content {number}".encode() for number in range(20)]
    outcomes = await asyncio.gather(*(store.put_new("a/b/c", c) for c in contents), return_exceptions=True)
    won = [content for content, outcome in zip(contents, outcomes, strict=True) if outcome == stored(content)]
    assert len(won) == 1
    assert sum(isinstance(outcome, ContentConflictError) for outcome in outcomes) == 19
    assert await store.get("a/b/c") == won[0]


async def test_streams_in_and_out(store: DocumentStore) -> None:
    key = f"attachments/{new_id()}/{new_id()}"
    assert await store.put_new(key, pieces(*[MEBIBYTE] * 12)) == stored(MEBIBYTE * 12)
    assert b"".join([chunk async for chunk in store.stream(key)]) == MEBIBYTE * 12
    assert b"".join([chunk async for chunk in store.stream(key, start=250, end=260)]) == MEBIBYTE[250:260]
    assert b"".join([chunk async for chunk in store.stream(key, start=len(MEBIBYTE) * 12 - 3)]) == b"\xfd\xfe\xff"


async def test_a_stream_too_large_leaves_nothing(store: DocumentStore) -> None:
    with pytest.raises(TooLargeError):
        await store.put_new("large", pieces(*[MEBIBYTE] * 7), max_bytes=6 * len(MEBIBYTE))
    with pytest.raises(NotFoundError):
        await store.get("large")
    await store.put_new("large", pieces(*[MEBIBYTE] * 6), max_bytes=6 * len(MEBIBYTE))


async def test_a_stream_that_breaks_leaves_nothing(store: DocumentStore) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield MEBIBYTE
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store.put_new("broken", broken())
    with pytest.raises(NotFoundError):
        await store.get("broken")


async def test_an_empty_object_and_deletion(store: DocumentStore) -> None:
    assert await store.put_new("empty", b"") == stored(b"")
    assert await store.get("empty") == b""
    await store.delete(["empty", "never there"])
    with pytest.raises(NotFoundError):
        await store.get("empty")
    await store.check()


@pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "a/../b", "a/", "A", "a/.incoming"])
async def test_only_plain_keys(store: DocumentStore, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        await store.put_new(key, b"")


async def test_a_folder_goes_with_all_that_is_in_it(store: DocumentStore) -> None:
    for key in ("uploads/a/1", "uploads/a/2", "uploads/a/b/3", "uploads/ab/1"):
        await store.put_new(key, b"x")
    await store.delete_folder("uploads/a")
    await store.delete_folder("uploads/a")
    for key in ("uploads/a/1", "uploads/a/2", "uploads/a/b/3"):
        with pytest.raises(NotFoundError):
            await store.get(key)
    assert await store.get("uploads/ab/1") == b"x"
    for odd in ("", "..", "uploads/..", "uploads/"):
        with pytest.raises(ValueError, match="not a folder"):
            await store.delete_folder(odd)


async def test_a_folder_keeps_no_unfinished_files(tmp_path: Path) -> None:
    store = DocumentStore(tmp_path.as_uri())
    await store.put_new("a", b"1")
    with pytest.raises(ContentConflictError):
        await store.put_new("a", b"2")
    with pytest.raises(TooLargeError):
        await store.put_new("b", b"123", max_bytes=2)
    names = await asyncio.to_thread(lambda: sorted(path.name for path in tmp_path.rglob("*")))
    assert names == [".incoming", "a"]
