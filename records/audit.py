"""The audit: every act is one entry, written in the transaction of the act. Entries are only added.

Each has a leaf, the SHA-256 of what it tells.
"""

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol, TypedDict, Unpack

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.audit import Act, Purpose, purpose_of
from domain.requests import Role
from records.canonical import canonical_json
from records.database import WRITTEN_IN_AUDIT
from records.ids import new_id
from records.models import AuditEntry, Side, table_of
from records.straight import Straight

_LEAF = b"\x00"
"""With what the hash of a leaf begins (RFC 6962, 2.1)."""

_KEY_BYTES = 16

_ENTRIES = table_of(AuditEntry)
_COLUMNS = tuple(column.name for column in _ENTRIES.columns if column.server_default is None)
_WRITTEN = Straight(insert(_ENTRIES))


@dataclass(frozen=True)
class By:
    """Who acts: the account, the person for whom a system does, for which clinic, by which face and from which address."""

    account_id: uuid.UUID | None
    side: Side | None = None
    address: str | None = None
    clinic_id: uuid.UUID | None = None
    for_account_id: uuid.UUID | None = None


class Answer:
    """What becomes of one call of a face: for which acts of it entries stand."""

    def __init__(self) -> None:
        self.acts: set[Act] = set()


_ANSWER: ContextVar[Answer | None] = ContextVar("answer", default=None)


def answering() -> Answer:
    """From here on, entries that are written in this task, or are there already, are those of this call."""
    answer = Answer()
    _ANSWER.set(answer)
    return answer


def note_written(act: Act) -> None:
    """An entry stands for this act of what is being answered: it was committed, or is there from a moment ago."""
    if (answer := _ANSWER.get()) is not None:
        answer.acts.add(act)


class Particulars(TypedDict, total=False):
    """What an entry says besides who did what and when. `content` may name what can have to be erased one day."""

    name: str | None
    role: Role | None
    purpose: Purpose | None
    request_id: uuid.UUID | None
    object_id: uuid.UUID | None
    version: int | None
    shown: Collection[uuid.UUID] | None
    content: Mapping[str, Any] | None


def add(session: AsyncSession, act: Act, by: By, at: datetime, **more: Unpack[Particulars]) -> AuditEntry:
    """Write an act down in the transaction of `session`."""
    entry = entry_of(act, by, at, **more)
    session.add(entry)
    _note_when_committed(session, act)
    return entry


async def write(session: AsyncSession, entry: AuditEntry) -> None:
    """Write an entry down at once: `add` for what every command does, without the machinery of objects."""
    await _WRITTEN.run(session, {name: getattr(entry, name) for name in _COLUMNS})
    _note_when_committed(session, entry.kind)


def entry_of(
    act: Act,
    by: By,
    at: datetime,
    *,
    name: str | None = None,
    role: Role | None = None,
    purpose: Purpose | None = None,
    request_id: uuid.UUID | None = None,
    object_id: uuid.UUID | None = None,
    version: int | None = None,
    shown: Collection[uuid.UUID] | None = None,
    content: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """The entry of an act, which is still to be written. `purpose` is that of the role where it says no other."""
    told = {**(content or {}), **({"address": by.address} if by.address else {})}
    key = secrets.token_bytes(_KEY_BYTES) if told else None
    entry = AuditEntry(
        id=new_id(),
        at=at,
        kind=act,
        name=name,
        account_id=by.account_id,
        for_account_id=by.for_account_id,
        clinic_id=by.clinic_id,
        role=role,
        purpose=purpose or (purpose_of(role) if role else None),
        side=by.side,
        request_id=request_id,
        object_id=object_id,
        version=version,
        shown=None if shown is None else sorted(shown),
        content=told or None,
        content_key=key,
        content_hmac=hmac_of(key, told) if key else None,
    )
    entry.leaf = leaf_of(entry)
    return entry


def _note_when_committed(session: AsyncSession, act: Act) -> None:
    session.info.setdefault(WRITTEN_IN_AUDIT, []).append(partial(note_written, act))


async def was_written(
    session: AsyncSession,
    by: By,
    act: Act,
    name: str,
    request_id: uuid.UUID | None,
    object_id: uuid.UUID | None,
    *,
    since: datetime,
) -> bool:
    """Whether the same was written down of the same people since then."""
    query = select(AuditEntry.id).where(
        AuditEntry.account_id == by.account_id,
        AuditEntry.for_account_id.is_not_distinct_from(by.for_account_id),
        AuditEntry.id > first_id_of(since),
        AuditEntry.kind == act,
        AuditEntry.name == name,
        AuditEntry.request_id.is_not_distinct_from(request_id),
        AuditEntry.object_id.is_not_distinct_from(object_id),
    )
    return bool(await session.scalar(select(query.exists())))


async def ids_of(
    session: AsyncSession, account_id: uuid.UUID, act: Act, name: str, *, since: datetime
) -> Sequence[uuid.UUID]:
    """The entries since then that say this of somebody, in their order."""
    query = select(AuditEntry.id).where(
        AuditEntry.account_id == account_id,
        AuditEntry.id > first_id_of(since),
        AuditEntry.kind == act,
        AuditEntry.name == name,
    )
    return (await session.scalars(query.order_by(AuditEntry.id))).all()


async def load(session: AsyncSession, entry_id: uuid.UUID) -> AuditEntry | None:
    """That entry."""
    return await session.get(AuditEntry, entry_id)


async def last_shown(session: AsyncSession, by: By, *, since: datetime) -> frozenset[uuid.UUID]:
    """The requests in the list that these people saw last, since then."""
    query = (
        select(AuditEntry.shown)
        .where(
            AuditEntry.account_id == by.account_id,
            AuditEntry.for_account_id.is_not_distinct_from(by.for_account_id),
            AuditEntry.id > first_id_of(since),
            AuditEntry.kind == Act.LIST,
        )
        .order_by(AuditEntry.id.desc())
        .limit(1)
    )
    return frozenset(await session.scalar(query) or ())


def first_id_of(moment: datetime) -> uuid.UUID:
    """The smallest id that is made at that moment: ids begin with their milliseconds (RFC 9562, 5.7)."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)


class Told(Protocol):
    """What of an entry its leaf is made of; a row of a query is enough."""

    id: Any
    at: Any
    kind: Any
    name: Any
    account_id: Any
    for_account_id: Any
    clinic_id: Any
    role: Any
    purpose: Any
    side: Any
    request_id: Any
    object_id: Any
    version: Any
    shown: Any
    content_hmac: Any


def leaf_of(entry: Told) -> bytes:
    """The hash of an entry as a leaf of the tree (RFC 6962, 2.1)."""
    shown: list[uuid.UUID] | None = entry.shown
    hmac_: bytes | None = entry.content_hmac
    told = {
        "id": str(entry.id),
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "kind": str(entry.kind),
        "name": entry.name,
        "account_id": _text(entry.account_id),
        "for_account_id": _text(entry.for_account_id),
        "clinic_id": _text(entry.clinic_id),
        "role": _text(entry.role),
        "purpose": _text(entry.purpose),
        "side": _text(entry.side),
        "request_id": _text(entry.request_id),
        "object_id": _text(entry.object_id),
        "version": entry.version,
        "shown": None if shown is None else [str(one) for one in shown],
        "content": None if hmac_ is None else hmac_.hex(),
    }
    return hashlib.sha256(_LEAF + canonical_json(told)).digest()


def hmac_of(key: bytes, content: Mapping[str, Any]) -> bytes:
    """What stands for the content in the leaf: without the key nobody can try out what the content was."""
    return hmac.digest(key, canonical_json(content), "sha256")


def _text(value: object | None) -> str | None:
    return None if value is None else str(value)
