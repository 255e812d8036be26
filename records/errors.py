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


class SubmissionUnderWayError(NotEditableError):
    """The form is frozen: its submission is on its way, and its end is not known yet."""


class AnswerUnderWayError(NotEditableError):
    """The answer to which an attachment belongs is on its way, and its end is not known yet."""


class BeingSignedError(RecordsError):
    """The report's draft is frozen: its signature is on its way, and its end is not known yet."""


class ContentConflictError(RecordsError):
    """Under this id, something else was frozen before. What is frozen never changes."""


class SchemaError(RecordsError):
    """The database's schema is not the one that this code was made for."""


class OldSchemaError(SchemaError):
    """There is no schema yet, or an older one: a migration puts that right."""

    @property
    def for_the_log(self) -> str:
        """What is wrong; it holds the names of versions and nothing else."""
        return str(self)


class NotOpenError(RecordsError, ConnectionError):
    """The records can't be used yet: nobody has seen that they are there and have the right schema."""


class DatabaseAwayError(RecordsError):
    """The database can't be reached by somebody who does not wait for it; the text says what to do."""


class StoreError(RecordsError):
    """The document store can't be reached, or fails."""


class StoreFullError(StoreError):
    """The document store has no room for what was to be written."""


class BadCursorError(RecordsError):
    """A cursor that no page of this list gave."""


class CursorExpiredError(RecordsError):
    """What came after this place in the feed of changes is not known any more: it was forgotten, or the records were restored."""


class ReferenceTakenError(RecordsError):
    """The system calls another request by this reference."""


class ContentDiffersError(RecordsError):
    """The stored bytes are not those that the records name by their SHA-256."""


class KeyGoneError(RecordsError):
    """What is sealed there can't be opened any more: its data key was destroyed. The text says in which column."""


class TooLargeError(RecordsError):
    """More bytes than allowed: `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit
