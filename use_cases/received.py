"""What a request that came as a partner's message says besides its form, for who may see its chart."""

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from records import partners
from records.models import RequestRecord
from use_cases.names import Names, PersonView
from use_cases.views import View


class ReceivedLine(View):
    """Something that the message says, under the name that it has there."""

    label: str = Field(examples=["Médication"])
    text: str


class FileLeftOut(View):
    """A file that could not be taken."""

    title: str
    code: str = Field(description="Why, as an upload is told so.", examples=["document_too_long"])
    numbers: dict[str, float] = Field(
        description="What its sentence names.", examples=[{"pages": 210, "limit_pages": 50}]
    )


class MissingPart(View):
    """Something that the form lacks."""

    field: str = Field(description="The name of the field, or of a kind of files.", examples=["patient.birth_date"])
    code: str = Field(description="As in `errors` of a form that is refused.", examples=["required"])


class ReceivedView(View):
    """What a message of a partner says besides the form."""

    partner: PersonView | None = Field(description="The partner's system.")
    number: str = Field(
        description="What the partner calls the request, as its people read it: the value of the identifier, without its system.",
        examples=["ORD-4711"],
    )
    author: str = Field(description="Who asks, as the message names them; nobody here has checked it.")
    organization: str
    missing: list[MissingPart] = Field(
        description="What a form needs and the message does not say, and a health-insurance number. Empty once the form was "
        "filled in by hand."
    )
    lines: list[ReceivedLine] = Field(description="What has no place in the form.")
    elsewhere: list[ReceivedLine] = Field(description="Documents of which only an address is given; not fetched.")
    not_taken: list[FileLeftOut] = Field(description="Files that could not be taken.")


async def received_view(session: AsyncSession, row: RequestRecord) -> ReceivedView | None:
    """None for a request that did not come as a message."""
    found = await partners.received(session, row.id)
    if found is None:
        return None
    content = found.content
    names = await Names.load(session, [found.partner_id], [])
    return ReceivedView(
        partner=names.person(found.partner_id),
        number=content["identifier"]["value"],
        author=content["author"],
        organization=content["organization"],
        missing=_missing(content["missing"]) if content["edits"] == row.edits else [],
        lines=_lines(content["lines"]),
        elsewhere=_lines(content["elsewhere"]),
        not_taken=[FileLeftOut(title=title, code=code, numbers=facts) for title, code, facts in content["not_taken"]],
    )


def _lines(kept: list[list[str]]) -> list[ReceivedLine]:
    return [ReceivedLine(label=label, text=text) for label, text in kept]


def _missing(kept: list[list[str]]) -> list[MissingPart]:
    return [MissingPart(field=field, code=code) for field, code in kept]
