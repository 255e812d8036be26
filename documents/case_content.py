"""What stands on the paper of a whole case, as data: everything of a request that its reader may see. `case.typ` draws it.

Unlike a report it says nothing of its own and is not signed: it is a copy of what stood in Relais at one moment, for the
patient's record elsewhere.
"""

from pydantic import AwareDatetime, Field

from documents.content import Entry, Printed
from translations import Language


class Said(Printed):
    """Something that was said or done: who and when in one line, and what."""

    head: str
    text: str = ""


class Picture(Printed):
    """A photo, or the first frame of a video: the name of its file beside the drawing, what it is called, what is known of it.

    `marks` are what was drawn on it, in words, each by its number in the `overlay`, a drawing (SVG) of the picture's own shape.
    """

    file: str = Field(pattern=r"^[0-9]+\.jpg$")
    name: str
    note: str
    marks: tuple[str, ...] = ()
    overlay: str = ""


class Section(Printed):
    """A part of the case, under its title: what was filled in, what was said, what was sent. Empty ones are left out."""

    title: str
    entries: tuple[Entry, ...] = ()
    said: tuple[Said, ...] = ()
    pictures: tuple[Picture, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.entries or self.said or self.pictures)


class CaseContent(Printed):
    """Everything that the paper says, in one language. `facts` are blocks of (label, value), the first value of each a name."""

    language: Language
    title: str
    number: str
    offering: str
    notice: str
    made_at: AwareDatetime
    running_head: list[str] = Field(
        description="Who it is about, on every page but the first: the name, and what else is known."
    )
    facts: list[tuple[str, list[list[str]]]]
    sections: tuple[Section, ...]
    page_of: str
