"""The document store: the bytes of attachments and of signed documents, in a folder, in S3 or the like, or in memory.

An object is written once, under a key that nobody writes again: `put_new` with the same bytes changes nothing, with other bytes
it raises. In a folder, what `put_new` acknowledged has survived on the disk: obstore gives no such promise for files, so there we
write ourselves (a file beside, fsync, link into place, fsync of the folders) and leave reading to obstore. In S3, `bytes`
are put on the condition that the key is free; a stream is a multipart upload, which S3 cannot make conditional, so give
streams a key that was never used.

Once the records are sealed (`records.data_keys`), so is what is written here, with the data key of the request, or of the upload,
whose id is the second part of an object's key. What was written before is read as it is, until `seal_object` has sealed it. Sizes
and digests are those of the bytes in clear.
"""

import asyncio
import hashlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.exceptions import NotFoundError as ObjectNotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from records import data_keys
from records.acting import acting_clinic
from records.database import Database
from records.errors import (
    ContentConflictError,
    ContentDiffersError,
    KeyGoneError,
    NotFoundError,
    StoreError,
    StoreFullError,
    TooLargeError,
)
from records.sealed_files import HEAD_BYTES, PIECE_BYTES, Seal, is_sealed, part_to_read, size_in_clear
from records.trouble import is_full
from settings import Settings, SettingsError

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult  # names that exist for type checkers only
    from obstore.store import ClientConfig, RetryConfig

CHUNK_BYTES = 1024**2
INCOMING = ".incoming"
"""Folder, in a store that is a folder, of files that are not whole yet."""

REMEMBERED_SECONDS = 600.0
MOST_REMEMBERED = 1_000
"""For how long it is remembered that the bytes of an object were compared with their digest; and of how many objects that, and
how they lie there."""

_KEY = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")

_CLIENT: "ClientConfig" = {
    "connect_timeout": "5s",
    "timeout": "300s",
    "allow_http": True,  # for an endpoint that the operator writes with http://, as beside us in a private network
}
_RETRY: "RetryConfig" = {
    "max_retries": 5,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
}


Copy = Literal["preview", "thumbnail", "full", "playable", "page"]
"""The clean copies of an attachment."""


def attachment_key(
    request_id: uuid.UUID, attachment_id: uuid.UUID, copy: Copy | None = None, sha256: str | None = None
) -> str:
    """Where an attachment lies, or a copy of it (of a page, one of several).

    The digest keeps two tries of a copy apart whose bytes need not be the same.
    """
    return "-".join(filter(None, (f"attachments/{request_id}/{attachment_id}", copy, sha256)))


def digest_in(key: str) -> str | None:
    """The SHA-256 that the key of a copy names; None for keys that name none."""
    found = re.search(r"[/-]([0-9a-f]{64})(?:\.pdf)?$", key)
    return found[1] if found else None


def document_key(request_id: uuid.UUID, report_id: uuid.UUID, pdf_sha256: str) -> str:
    """Where a signed document lies. The digest in the key keeps two tries of the same report apart: the records name the one."""
    return f"documents/{request_id}/{report_id}/{pdf_sha256}.pdf"


def journal_key(request_id: uuid.UUID, clinic_id: uuid.UUID, journal_id: uuid.UUID) -> str:
    """Where a journal of accesses lies that a clinic has asked for about the person of a request."""
    return f"journals/{request_id}/{clinic_id}/{journal_id}.pdf"


def register_key(clinic_id: uuid.UUID, paper_id: uuid.UUID) -> str:
    """Where a paper of a register lies that a clinic has asked for; sealed with a key of the clinic's own."""
    return f"registers/{clinic_id}/{paper_id}.pdf"


@dataclass(frozen=True)
class StoredObject:
    """What was stored: how many bytes, and their SHA-256 in lower-case hexadecimal."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class _Looked:
    """An object as it lies there: how many bytes it has in clear and how many are `stored`, how it is sealed, if it is; its `tag`
    and `state` are others when it is written again.
    """

    size: int
    stored: int
    seal: Seal | None
    tag: str | None
    state: object


class DocumentStore:
    """One store. `url` is ``file:///folder``, ``s3://bucket/prefix`` (credentials from the usual AWS_ variables) or ``memory:///``.

    `database` has the keys of what is sealed; without one, nothing is.
    """

    def __init__(self, url: str, database: Database | None = None) -> None:
        parts = urlsplit(url)
        self._database = database
        self._looked: dict[tuple[uuid.UUID | None, str], _Looked] = {}
        self._compared: dict[str, tuple[float, object]] = {}
        self._folder: Path | None = None
        self._store: ObjectStore
        if parts.scheme == "file":
            self._folder = Path(unquote(parts.path))
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._store = LocalStore(self._folder)
        elif parts.scheme == "memory":
            self._store = from_url("memory:///")
        else:
            self._store = from_url(url, client_options=_CLIENT, retry_config=_RETRY)

    @classmethod
    def from_settings(cls, settings: Settings, database: Database) -> Self:
        """The store that the settings name. Raises SettingsError when they name none."""
        if settings.document_store is None:
            raise SettingsError("RELAIS_DOCUMENT_STORE is not set: start `relais up`, or name a folder or a bucket")
        return cls(settings.document_store, database)

    @property
    def folder(self) -> Path | None:
        """The folder of a store that is one."""
        return self._folder

    async def put_new(
        self, key: str, content: bytes | AsyncIterator[bytes], *, max_bytes: int | None = None
    ) -> StoredObject:
        """Store `content` under a key that was free, or that holds the same bytes already. A stream is never held in memory.

        Raises ContentConflictError when the key holds other bytes, TooLargeError when there are more than `max_bytes`,
        NotFoundError when that to which it belongs was removed, and StoreError (StoreFullError where there is no room); then
        nothing was stored.
        """
        if _KEY.fullmatch(key) is None:
            raise ValueError(f"not a key: {key}")
        counted = _Counted(_chunks(content), max_bytes)
        data_key = await self._data_key(key, to_write=True)
        kept = Seal.new(data_key, key).close(counted) if data_key else counted
        try:
            with _failures_named():
                if self._folder is not None:
                    is_new = await self._put_in_folder(self._folder, key, kept)
                elif isinstance(content, bytes):
                    is_new = await self._put_if_free(key, kept)
                else:
                    is_new = await self._put_stream(key, kept)
        except StoreError:
            if counted.broke_off is not None:  # that was the content's fault, not the store's
                raise counted.broke_off from None
            raise
        stored = counted.result()
        if not is_new and not await self._holds(key, stored.sha256):
            raise ContentConflictError
        return stored

    async def _holds(self, key: str, sha256: str) -> bool:
        """Whether those are the bytes under the key; what does not open holds others."""
        try:
            return await self._sha256(key) == sha256
        except ContentDiffersError:
            return False

    async def get(self, key: str) -> bytes:
        """The whole object. Raises NotFoundError."""
        return b"".join([chunk async for chunk in self.stream(key)])

    async def get_as_stored(self, key: str) -> bytes:
        """The very bytes that lie there, opened by nobody. Raises NotFoundError or StoreError."""
        with _failures_named():
            return b"".join([chunk async for chunk in _bytes_of(await obstore.get_async(self._store, key))])

    async def must_be_there(self, key: str) -> None:
        """Raise NotFoundError where there is no such object, or StoreError. The database is not asked for its key."""
        with _failures_named():
            await obstore.head_async(self._store, key)

    async def compare(self, key: str, sha256: str | None, *, again: bool = True) -> int:
        """Read the whole object and compare it with its digest; how many bytes it has. Without a digest nothing is compared.

        With `again` False, an object that was compared lately and has not been written since is not read again: for the many
        parts in which a video is fetched. Raises NotFoundError, ContentDiffersError, or StoreError.
        """
        found = await self._look(key)
        state = (sha256, found.state)
        if sha256 is not None and (again or not self._was_compared(key, state)):
            if await self._sha256(key) != sha256:
                self._compared.pop(key, None)
                raise ContentDiffersError
            self._compared[key] = (monotonic(), state)
            if len(self._compared) > MOST_REMEMBERED:
                del self._compared[next(iter(self._compared))]
        return found.size

    def _was_compared(self, key: str, state: object) -> bool:
        at, before = self._compared.get(key, (0.0, None))
        return before == state and monotonic() - at < REMEMBERED_SECONDS

    async def stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The object's bytes from `start` up to, and without, `end`, in chunks.

        Raises NotFoundError, StoreError, and for a sealed object that was changed ContentDiffersError.
        """
        found = self._looked.get((acting_clinic(), key)) or await self._look(key)
        try:
            got = await self._get(key, found, start, end)
        except _ChangedError:  # it was sealed meanwhile
            found = await self._look(key)
            got = await self._get(key, found, start, end)
        chunks = _bytes_of(got)
        if found.seal is None:
            async for chunk in chunks:
                yield chunk
            return
        first, _, _ = part_to_read(start, start)
        begin, left = start - first * PIECE_BYTES, (found.size if end is None else min(end, found.size)) - start
        async for piece in found.seal.open(chunks, found.size, first):
            wanted = piece[begin : begin + left]
            begin, left = max(0, begin - len(piece)), left - len(wanted)
            if wanted:
                yield wanted

    def stream_compared(self, key: str, size: int, sha256: str) -> AsyncIterator[bytes]:
        """The whole object, compared on its way: raises ContentDiffersError at its end where it has not that size and digest.

        Raises, too, what `stream` does.
        """
        return _Compared(self.stream(key), size, sha256)

    async def _get(self, key: str, found: "_Looked", start: int, end: int | None) -> "GetResult":
        """The stored bytes in which those from `start` to `end` lie, if the object is still as it was found."""
        options: GetOptions = {"if_match": found.tag} if found.tag else {}
        if found.seal is not None:
            _, *lies = part_to_read(start, found.size if end is None else min(end, found.size))
            options["range"] = (lies[0], min(lies[1], found.stored))
        elif end is not None:
            options["range"] = (start, end)
        elif start:
            options["range"] = {"offset": start}
        with _failures_named():
            try:
                return await obstore.get_async(self._store, key, options=options)
            except PreconditionError:
                self._looked.pop((acting_clinic(), key), None)
                raise _ChangedError from None

    async def _look(self, key: str) -> "_Looked":
        """The object as it lies there now. Raises NotFoundError, StoreError, or ContentDiffersError where nothing opens it."""
        with _failures_named():
            meta = await obstore.head_async(self._store, key)
            stored, state = meta["size"], (meta["size"], meta["e_tag"], meta["last_modified"])
            known = self._looked.get((acting_clinic(), key))
            if known is not None and known.state == state:
                return known
            head = bytes(await obstore.get_range_async(self._store, key, start=0, end=HEAD_BYTES)) if stored else b""
        size, seal = stored, None
        if is_sealed(head):
            data_key = await self._data_key(key)
            if data_key is None:  # it was destroyed, or the database is from before the file
                raise ContentDiffersError
            size, seal = size_in_clear(stored), Seal.of(data_key, key, head)
        found = self._looked[acting_clinic(), key] = _Looked(size, stored, seal, meta["e_tag"], state)
        if len(self._looked) > MOST_REMEMBERED:
            del self._looked[next(iter(self._looked))]
        return found

    async def _data_key(self, key: str, *, to_write: bool = False) -> bytes | None:
        """The data key of whom the object belongs to; None where it has none. Raises NotFoundError where none is made any more.

        The database is asked each time: an owner that is removed may come again under its id, with another key.
        """
        owner = _owner_of(key)
        if self._database is None or owner is None:
            return None
        try:
            async with self._database.session() as session:
                return await data_keys.key_of(session, owner, to_write=to_write)
        except KeyGoneError:  # the owner was removed, or is another clinic's
            raise NotFoundError from None

    async def seal_object(self, key: str, sha256: str | None = None) -> bool:
        """Seal an object that stands in clear, in its place; whether that was to do.

        Raises ContentDiffersError, and leaves it as it is, when it is not read whole, or has another digest than `sha256`; or
        when nothing opens it. Raises NotFoundError or StoreError.
        """
        found = await self._look(key)
        data_key = await self._data_key(key, to_write=True)
        if found.seal is not None or data_key is None:
            return False
        content = _Compared(self.stream(key), found.size, sha256)
        kept = Seal.new(data_key, key).close(content)
        try:
            with _failures_named():
                if self._folder is not None:
                    await self._put_in_folder(self._folder, key, kept, instead=True)
                else:
                    await obstore.put_async(self._store, key, kept, use_multipart=True)
        except StoreError:
            if content.differs:
                raise ContentDiffersError from None
            raise
        self._looked.pop((acting_clinic(), key), None)
        return True

    async def is_sealed(self, key: str) -> bool:
        """Whether the object is sealed. Raises NotFoundError or StoreError."""
        return (await self._look(key)).seal is not None

    async def delete(self, keys: Iterable[str]) -> None:
        """Remove objects that nothing in the records names any more. Those that are not there are passed over.

        Raises StoreError.
        """
        for key in keys:
            with suppress(NotFoundError), _failures_named():
                await obstore.delete_async(self._store, key)

    async def delete_folder(self, folder: str) -> None:
        """Remove every object whose key begins with `folder` and a slash."""
        if _KEY.fullmatch(folder) is None:
            raise ValueError(f"not a folder: {folder}")
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder / folder, ignore_errors=True)
            return
        async for batch in obstore.list(self._store, folder):
            await self.delete([meta["path"] for meta in batch])

    async def list_older(self, folder: str, than: datetime, page: int) -> AsyncIterator[list[str]]:
        """The keys below `folder` of objects that were written before that time, at most `page` at once. Raises StoreError."""
        with _failures_named():
            async for batch in obstore.list(self._store, folder, chunk_size=page):
                if keys := [meta["path"] for meta in batch if meta["last_modified"] < than]:
                    yield keys

    async def sweep_incoming(self, before: datetime, *, dry_run: bool = False) -> int:
        """Remove files that a process left behind before they were whole, last written before that time; gives how many."""
        if self._folder is None:
            return 0
        with _failures_named():
            return await asyncio.to_thread(_sweep_incoming, self._folder / INCOMING, before.timestamp(), dry_run)

    async def check(self) -> None:
        """Raise what the store raises when it can't be reached."""
        try:
            await obstore.head_async(self._store, "check")
        except (ObjectNotFoundError, FileNotFoundError):
            if self._folder is not None and not await asyncio.to_thread(os.access, self._folder, os.W_OK):
                raise PermissionError(f"the folder {self._folder} can't be written to") from None

    async def _sha256(self, key: str) -> str:
        """Of its bytes in clear."""
        counted = _Counted(self.stream(key), None)
        async for _ in counted:
            pass
        return counted.result().sha256

    # The ways of writing. Each takes all of `counted` and returns whether the key was free.

    async def _put_if_free(self, key: str, kept: AsyncIterator[bytes]) -> bool:
        content = b"".join([chunk async for chunk in kept])
        try:
            await obstore.put_async(self._store, key, content, mode="create")
        except AlreadyExistsError:
            return False
        return True

    async def _put_stream(self, key: str, kept: AsyncIterator[bytes]) -> bool:
        try:
            await obstore.head_async(self._store, key)
        except (ObjectNotFoundError, FileNotFoundError):
            await obstore.put_async(self._store, key, kept, use_multipart=True)
            return True
        async for _ in kept:
            pass
        return False

    async def _put_in_folder(
        self, folder: Path, key: str, kept: AsyncIterator[bytes], *, instead: bool = False
    ) -> bool:
        """With `instead`, in the place of what is there."""
        beside = await asyncio.to_thread(_new_file, folder / INCOMING)
        try:
            async for chunk in kept:
                await asyncio.to_thread(beside.write, chunk)
            return await asyncio.to_thread(beside.publish, folder, folder / key, instead=instead)
        finally:
            await asyncio.to_thread(beside.discard)


class _ChangedError(Exception):
    """The object is another than it was when it was looked at."""


async def _bytes_of(got: "GetResult") -> AsyncIterator[bytes]:
    with _failures_named():
        async for chunk in got.stream(min_chunk_size=CHUNK_BYTES):
            yield bytes(chunk)


def _owner_of(key: str) -> uuid.UUID | None:
    """The request or the upload that the object belongs to: the second part of its key."""
    try:
        return uuid.UUID(key.split("/")[1])
    except (ValueError, IndexError):
        return None


@contextmanager
def _failures_named() -> Iterator[None]:
    """What a disk or a bucket raises, as StoreError: it must not be taken for what a database or a network raises."""
    try:
        yield
    except (ObjectNotFoundError, FileNotFoundError) as error:
        raise NotFoundError from error
    except OSError as error:
        raise (StoreFullError if is_full(error) else StoreError)(type(error).__name__) from error
    except BaseError as error:
        raise StoreError(type(error).__name__) from error


class _Counted:
    """An iterator that counts and hashes what passes, and stops at the limit."""

    def __init__(self, chunks: AsyncIterator[bytes], limit: int | None) -> None:
        self._chunks = chunks
        self._limit = limit
        self._size = 0
        self._digest = hashlib.sha256()
        self.broke_off: OSError | None = None
        """What the content itself raised."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._chunks)
        except OSError as error:
            self.broke_off = error
            raise
        self._size += len(chunk)
        if self._limit is not None and self._size > self._limit:
            raise TooLargeError(self._limit)
        if len(chunk) > CHUNK_BYTES // 16:
            await asyncio.to_thread(self._digest.update, chunk)
        else:
            self._digest.update(chunk)
        return chunk

    def result(self) -> StoredObject:
        """What has passed."""
        return StoredObject(self._size, self._digest.hexdigest())


class _Compared(_Counted):
    """The same of what must have that size and digest: it breaks off before its end where it has not."""

    def __init__(self, chunks: AsyncIterator[bytes], size: int, sha256: str | None) -> None:
        super().__init__(chunks, None)
        self._wanted = StoredObject(size, sha256 or "")
        self.differs = False

    async def __anext__(self) -> bytes:
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            found = self.result()
            self.differs = found.size_bytes != self._wanted.size_bytes or self._wanted.sha256 not in ("", found.sha256)
            if self.differs:
                raise ContentDiffersError from None
            raise


class _NewFile:
    """A file that is written beside its place, then linked there as a whole."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._file = os.fdopen(descriptor, "wb")
        self._path = path

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)

    def publish(self, root: Path, place: Path, *, instead: bool = False) -> bool:
        """Put the file in its place, for good; False when something is there already, which stays unless this comes `instead`."""
        self._file.flush()
        os.fsync(self._file.fileno())
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_new = True
        if instead:
            self._path.replace(place)
        else:
            try:
                os.link(self._path, place)
            except FileExistsError:
                is_new = False
        for folder in (place.parent, *place.parent.parents):
            _sync(folder)
            if folder == root:
                break
        return is_new

    def discard(self) -> None:
        try:
            with suppress(OSError):  # what did not fit before does not fit now
                self._file.close()
        finally:
            self._path.unlink(missing_ok=True)


def _new_file(folder: Path) -> _NewFile:
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor, path = tempfile.mkstemp(dir=folder)
    return _NewFile(descriptor, Path(path))


def _sweep_incoming(folder: Path, before: float, dry_run: bool) -> int:
    old = [path for path in folder.iterdir() if path.stat().st_mtime < before] if folder.exists() else []
    for path in old:
        if not dry_run:
            path.unlink(missing_ok=True)
    return len(old)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _chunks(content: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The content piece by piece, without empty pieces."""
    if isinstance(content, bytes):
        for start in range(0, len(content), CHUNK_BYTES):
            yield content[start : start + CHUNK_BYTES]
        return
    async for chunk in content:
        if chunk:
            yield chunk
