"""Ids: UUIDs of version 7 (RFC 9562), which sort by the time they were made and keep the indexes compact."""

import uuid

import uuid_utils


def new_id() -> uuid.UUID:
    """A new id, later in order than those this process made before."""
    return uuid.UUID(bytes=uuid_utils.uuid7().bytes)
