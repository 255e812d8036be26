"""What stands on the person's journal of accesses, as data. `journal.typ` draws it; it is sealed in the name of the clinic."""

from pydantic import AwareDatetime

from documents.content import Printed
from translations import Language


class Line(Printed):
    """One line: when, who, and what. The first text of `who` and `what` is read first, the others say more of it."""

    when: str
    who: tuple[str, ...]
    what: tuple[str, ...]
    request: str


class JournalContent(Printed):
    """Everything that the paper says, in one language. `facts` are blocks of (label, value), the first value of each a name."""

    language: Language
    title: str
    number: str
    made_at: AwareDatetime
    running_head: list[str]
    facts: list[tuple[str, list[list[str]]]]
    said: tuple[str, ...]
    requests_title: str
    requests: tuple[tuple[str, ...], ...]
    lines_title: str
    columns: tuple[str, str, str, str]
    lines: tuple[Line, ...]
    nothing: str
    foot: str
    page_of: str
