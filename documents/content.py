"""What stands on a signed document: its content as data. `page.py` makes texts of it, `report.typ` draws them.

Content is frozen in the records before it is signed, and read again years later: new fields have defaults, so that what was
frozen before them still reads as it was.
"""

from typing import Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field, model_validator

from domain.health_insurance import Issuer
from domain.model import Discreet, is_unset
from domain.offerings import FileKind
from domain.partial_dates import WrittenPartialDate
from domain.sex import Sex
from translations import Language

Kind = Literal["preliminary", "final", "addendum"]


class Printed(Discreet):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Clinic(Printed):
    """The head of the page: the clinic that answers."""

    name: str
    address_lines: tuple[str, ...] = ()
    phone: str | None = None


class Patient(Printed):
    """The patient; whatever is not known is left out of the page."""

    name: str = Field(min_length=1)
    mother_name: str | None = Field(None, exclude_if=is_unset)
    birth_date: WrittenPartialDate | None = None
    health_insurance_number: str | None = None
    health_insurance_issuer: Issuer | None = Field(None, exclude_if=is_unset)
    sex: Sex | None = None


class Practitioner(Printed):
    """The requester or the signer, as the page names them. `title` is the profession, e.g. « Dermatologue »."""

    name: str = Field(min_length=1)
    title: str | None = None
    clinic: str | None = None
    licence_number: str | None = None


class Entry(Printed):
    """One question of a form and its answer, as text in the language of the report. Line breaks in `value` are kept.

    What `leads` is read first: of an answer, it stands on page one; of a form, it is the question. `brief` is what was chosen
    or counted rather than written.
    """

    label: str
    value: str
    leads: bool = False
    brief: bool = False


class Message(Printed):
    """One message of the exchange between provider and requester."""

    author: str
    at: AwareDatetime
    text: str


class Image(Printed):
    """A photo, a video or a document that the answer rests on. `sha256` is that of the uploaded file, in hexadecimal."""

    number: int
    id: UUID
    kind: FileKind
    slot: str = Field(description="What it was asked for as, in the language of the report.")
    captured_at: AwareDatetime | None = Field(description="When it was taken, by the clock of the camera.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class EarlierDocument(Printed):
    """The signed document that this one follows. `sha256` is that of the whole signed file, in hexadecimal."""

    document_id: UUID
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    kind: Kind | None = None
    signed_at: AwareDatetime | None = None


class ReceivedDocument(Printed):
    """A document that a partner has sent as its report: its digest, and how many bytes it has."""

    pdf_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size_bytes: int


class ReportContent(Printed):
    """Everything that a report says. An addendum always names the document that it adds to."""

    language: Language
    kind: Kind
    document_id: UUID
    earlier: EarlierDocument | None = None

    request_number: str
    priority: Literal["asap", "urgent", "routine"]
    offering_title: str
    asked_at: AwareDatetime
    signed_at: AwareDatetime

    clinic: Clinic
    patient: Patient
    requester: Practitioner
    signer: Practitioner

    question: tuple[Entry, ...]
    exchange: tuple[Message, ...] = ()
    answer: tuple[Entry, ...]
    images: tuple[Image, ...] = ()
    verified_at: str | None = Field(
        None, exclude_if=is_unset, description="The address at which anybody can check the signature."
    )

    @model_validator(mode="after")
    def _addendum_names_what_it_adds_to(self) -> Self:
        if self.kind == "addendum" and self.earlier is None:
            raise ValueError("an addendum names the document that it adds to")
        return self
