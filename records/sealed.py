"""Columns that are sealed: callers read and write what they hold as it is, the database has it sealed (AES-256-GCM).

A value is sealed with the data key of the request that it belongs to (`records.data_keys`), and bound to its table, column, row
and owner: one that somebody put into another row does not open there. What queries look for inside of it (ids) stands beside it
in clear.

Reading: a query that asks for such a column gets, with what is sealed, the owner's key and where it stands, and the type opens
it. Writing: what the ORM writes is sealed when it goes to the database, what a statement writes by `to_write`; anything else is
refused. Where sealing has not begun, values stand in clear, as they do in rows from before. Both are read, row by row.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import (
    Column,
    ColumnElement,
    Dialect,
    Text,
    case,
    cast,
    event,
    func,
    inspect,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, Mapper, Session, defer, object_session
from sqlalchemy.orm.interfaces import ORMOption
from sqlalchemy.types import TypeDecorator

from key_ring import EncryptionError, open_with, seal_with
from records.data_keys import DATA_KEYS, HOUSE, keys_of
from records.errors import KeyGoneError

SEALED = "relais:sealed"
"""The name under which an object holds what is sealed; no object of ours has another part of this name."""

MARK = "\x0e"
"""How a text begins that is sealed: a sign that no text of people holds."""

ENCODING = "1"
"""How what is sealed is written: AES-256-GCM over UTF-8, its nonce before it, in Base64."""

NOT_OPENED = (EncryptionError, KeyGoneError)
"""What is raised for a value that does not open: whoever goes through the values of many leaves it out, and goes on."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Written:
    """A value on its way into the database: as its reader will see it, and as it is kept."""

    plain: Any
    kept: Any


class _OpenedJson(TypeDecorator[Any]):
    """An object that comes with its key, see `with_key`: opened when it is read. One `if_it_opens` may be None instead."""

    impl = JSONB
    cache_ok = True

    def __init__(self, *, if_it_opens: bool = False) -> None:
        super().__init__()
        self.if_it_opens = if_it_opens

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        if not isinstance(value, dict) or SEALED not in value:
            return value
        try:
            return json.loads(_open(dialect, value[SEALED], value["key"], value["at"], value["owner"], value["row"]))
        except NOT_OPENED as error:
            if not self.if_it_opens:
                raise
            tell_not_opened(value["at"], value["owner"], error)
            return None


class _OpenedText(TypeDecorator[Any]):
    """The same of a text: the mark stands between its parts."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        if value is None or not value.startswith(MARK):
            return value
        _, sealed, key, at, owner, row = value.split(MARK)
        return _open(dialect, sealed, key, at, owner, row).decode()


_OPENED_JSON, _OPENED_IF_IT_OPENS, _OPENED_TEXT = _OpenedJson(), _OpenedJson(if_it_opens=True), _OpenedText()


class _Sealed(TypeDecorator[Any]):
    """What both kinds of column have in common.

    `at` is the column itself, as ``table.column``; `owner` the column beside it that says whose key it is (the house's without
    one, or where it says nobody's); `row` the columns of the primary key.
    """

    impl: Any = Text
    cache_ok = True

    def __init__(self, at: str, owner: str | None, row: tuple[str, ...] = ("id",)) -> None:
        super().__init__()
        self.at, self.owner, self.row = at, owner, row

    @property
    def beside(self) -> tuple[str, ...]:
        """The columns that say to whom and where a value belongs."""
        return (*self.row, self.owner) if self.owner else self.row

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002 - so it is called
        if value is not None and not isinstance(value, Written):
            raise TypeError(f"{self.at} is sealed: it is written through the ORM, or with `to_write`")
        return value.kept if value is not None else None

    def write(self, session: Session, plain: Any, row: Mapping[str, Any]) -> Written:
        """`plain` on its way into that row, sealed if sealing has begun."""
        owner = (row[self.owner] if self.owner else None) or HOUSE
        key = keys_of(session.get_bind().dialect).to_write_with(session, owner)
        if key is None:
            return Written(plain, plain)
        bound_to = _bound_to(self.at, str(owner), "/".join(str(row[name]) for name in self.row))
        return Written(plain, self.sealed(plain, key, bound_to))

    def sealed(self, plain: Any, key: bytes, bound_to: bytes) -> Any:
        """As it is kept."""
        raise NotImplementedError

    def is_sealed(self, column: Any) -> ColumnElement[bool]:
        """In SQL: whether there is nothing left to seal."""
        raise NotImplementedError

    def key_and_place(self, column: Any) -> dict[str, ColumnElement[Any]]:
        """In SQL: what is needed to open the value of a row, by the names under which it comes."""
        of = column.table.c
        house: ColumnElement[Any] = literal_column(f"'{HOUSE}'::uuid")
        owner: ColumnElement[Any] = of[self.owner] if self.owner else house
        if self.owner and of[self.owner].nullable:
            owner = func.coalesce(owner, house)
        its_key = select(DATA_KEYS.c.sealed_key).where(DATA_KEYS.c.owner_id == owner)
        return {
            "key": its_key.correlate_except(DATA_KEYS).scalar_subquery(),
            "at": literal_column(f"'{self.at}'"),
            "owner": cast(owner, Text),
            "row": func.concat_ws(literal_column("'/'"), *(of[name] for name in self.row)),
        }


class SealedJson(_Sealed):
    """A sealed object. `clear` are the names of those of its parts whose ids also stand beside it in clear, for queries."""

    impl = JSONB
    cache_ok = True

    def __init__(self, at: str, owner: str | None, row: tuple[str, ...] = ("id",), clear: tuple[str, ...] = ()) -> None:
        super().__init__(at, owner, row)
        self.clear = clear

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return self.with_key(column) if isinstance(column, Column) else column

    def with_key(self, column: Any, opened: _OpenedJson = _OPENED_JSON) -> ColumnElement[Any]:
        """In SQL: the value with what is needed to open it."""
        carried = {SEALED: type_coerce(column, JSONB)[literal_column(f"'{SEALED}'")], **self.key_and_place(column)}
        parts = [part for name, value in carried.items() for part in (literal_column(f"'{name}'"), value)]
        return case(
            (self.is_sealed(column), func.jsonb_build_object(*parts, type_=opened)),
            else_=type_coerce(column, opened),
        )

    def sealed(self, plain: Any, key: bytes, bound_to: bytes) -> Any:
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        beside = {name: _only_ids(plain[name]) for name in self.clear if name in plain}
        return {SEALED: f"{ENCODING}:{seal_with(key, text.encode(), bound_to)}", **beside}

    def is_sealed(self, column: Any) -> ColumnElement[bool]:
        kept: Any = type_coerce(column, JSONB)
        has_it: ColumnElement[bool] = kept.has_key(literal_column(f"'{SEALED}'"))
        return has_it


class SealedText(_Sealed):
    """A sealed text; an empty one stays as it is."""

    cache_ok = True

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        if not isinstance(column, Column):
            return column
        needed = self.key_and_place(column)
        needed["key"] = func.coalesce(needed["key"], literal_column("''"))
        carried = func.concat_ws(_MARK, type_coerce(column, Text), *needed.values())
        return case(
            (_begins_sealed(column), type_coerce(carried, _OPENED_TEXT)), else_=type_coerce(column, _OPENED_TEXT)
        )

    def sealed(self, plain: Any, key: bytes, bound_to: bytes) -> Any:
        return f"{MARK}{ENCODING}:{seal_with(key, plain.encode(), bound_to)}" if plain else ""

    def is_sealed(self, column: Any) -> ColumnElement[bool]:
        return (type_coerce(column, Text) == literal_column("''")) | _begins_sealed(column)


_MARK: ColumnElement[str] = literal_column("E'\\x0e'")


def _begins_sealed(column: Any) -> ColumnElement[bool]:
    return func.starts_with(type_coerce(column, Text), _MARK)


def with_key(attribute: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """A sealed object as part of an expression (a `CASE`, a subquery): what comes out of it is opened as the column itself is."""
    kind: SealedJson = attribute.type
    return kind.with_key(attribute.__clause_element__())


def with_key_if_it_opens(attribute: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """The same where many rows are shown: None, and a line in the log, for what does not open, and the others are read."""
    kind: SealedJson = attribute.type
    return kind.with_key(attribute.__clause_element__(), _OPENED_IF_IT_OPENS)


def tell_not_opened(at: str, owner: str, error: Exception) -> None:
    """Tell the operators of a value in that column, of that request, that is left out."""
    log.error("something sealed does not open", source=at, request_id=owner, error=type(error).__name__)


def in_clear(attribute: InstrumentedAttribute[Any]) -> Any:
    """Of a sealed object what stands beside it in clear, for conditions."""
    return type_coerce(attribute, JSONB)


def _open(dialect: Dialect, sealed: str, key: str | None, at: str, owner: str, row: str) -> bytes:
    encoding, _, box = sealed.partition(":")
    if not key:
        raise KeyGoneError(at)
    if encoding != ENCODING:
        raise EncryptionError(f"what is sealed in {at} is written in a way that this Relais does not know")
    return open_with(keys_of(dialect).open(key), box, _bound_to(at, owner, row))


def _bound_to(at: str, owner: str, row: str) -> bytes:
    return "\n".join((at, row, owner, ENCODING)).encode()


def _only_ids(part: Any) -> Any:
    """Of a list of objects the id of each; everything else as it is: ids and numbers."""
    return [{"id": one["id"]} if isinstance(one, dict) else one for one in part] if isinstance(part, list) else part


# Writing


def sealed_columns(of: type[Any]) -> dict[str, _Sealed]:
    """The sealed columns of a model, by name."""
    return {column.key: column.type for column in inspect(of).columns if isinstance(column.type, _Sealed)}


def unread(of: type[Any]) -> list[ORMOption]:
    """With these options a query gives rows of that model without what is sealed in them: no key is needed, nothing can be shut.

    Whoever asks such a row for it gets an error of the program.
    """
    return [defer(getattr(of, name), raiseload=True) for name in sealed_columns(of)]


async def to_write(session: AsyncSession, of: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values for an `INSERT`, ready to be written where their column is sealed. They name the owner and the row."""

    def ready(sync: Session) -> dict[str, Any]:
        kinds = sealed_columns(of)
        return {
            name: kinds[name].write(sync, value, values) if name in kinds and value is not None else value
            for name, value in values.items()
        }

    return await session.run_sync(ready)


def seal_on_flush(of: type[Any]) -> None:
    """From now on the ORM seals what it writes of this model."""
    kinds = sealed_columns(of)

    def before(_mapper: Mapper[Any], _connection: object, target: Any) -> None:
        state, session = inspect(target), object_session(target)
        assert session is not None  # noqa: S101 - it is being flushed
        for name, kind in kinds.items():
            plain = state.dict.get(name)
            if plain is not None and (not state.has_identity or state.attrs[name].history.has_changes()):
                plain = plain.plain if isinstance(plain, Written) else plain  # after a try that failed
                state.dict[name] = kind.write(session, plain, {n: getattr(target, n) for n in kind.beside})

    def after(_mapper: Mapper[Any], _connection: object, target: Any) -> None:
        held = inspect(target).dict
        for name in kinds:
            if isinstance(value := held.get(name), Written):
                held[name] = value.plain

    for moment in ("insert", "update"):
        event.listen(of, f"before_{moment}", before)
        event.listen(of, f"after_{moment}", after)
