"""Ids: UUIDs of version 7 (RFC 9562), which sort by the time they were made and keep the indexes compact."""

import uuid
from collections.abc import Iterable

import uuid_utils
from sqlalchemy import ARRAY, ColumnElement, Uuid, literal


def new_id() -> uuid.UUID:
    """A new id, later in order than those this process made before."""
    return uuid.UUID(bytes=uuid_utils.uuid7().bytes)


def as_array(ids: Iterable[uuid.UUID]) -> ColumnElement[list[uuid.UUID]]:
    """These ids as one parameter: the text of a statement is the same, however many there are."""
    return literal(list(ids), ARRAY(Uuid()))
