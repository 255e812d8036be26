"""What can go wrong with the records, told apart so that callers can answer it. No text here holds patient data."""


class RecordsError(Exception):
    """Anything below."""


class NotFoundError(RecordsError):
    """The records hold no such thing."""


class StaleVersionError(RecordsError):
    """Somebody changed it since: `current` is the version (or revision) that it has now."""

    def __init__(self, current: int) -> None:
        super().__init__(f"it has version {current} by now")
        self.current = current


class NotEditableError(RecordsError):
    """The form and its attachments change only while the request is a draft or returned."""


class ContentConflictError(RecordsError):
    """Under this id, something else was frozen before. What is frozen never changes."""


class SchemaError(RecordsError):
    """The database's schema is not the one that this code was made for."""


class BadCursorError(RecordsError):
    """A cursor that no page of this worklist gave."""


class TooLargeError(RecordsError):
    """More bytes than allowed: `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit
