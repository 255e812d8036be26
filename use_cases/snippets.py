"""Texts that are used again, in reports, questions and returns: one's own, and those of one's clinic."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from domain.model import COMPOSED, SAYS_SOMETHING, Frozen, KeptName, Storable
from domain.requests import Role
from records import snippets
from records.models import Snippet
from translations import Language, language_named
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.views import View

MOST_SNIPPETS = 100
"""So many a person can keep, and a clinic."""

SnippetText = Annotated[str, StringConstraints(min_length=1, max_length=4000), COMPOSED, SAYS_SOMETHING]


class UsedFor(StrEnum):
    """Where a text is offered."""

    REPORT = "report"
    QUESTION = "question"
    RETURN = "return"


class NewSnippet(Frozen):
    """A text to keep. One of the same name, use and language is replaced."""

    name: KeptName = Field(examples=["Nævus banal"])
    text: SnippetText = Field(
        description="`[…]` in it is a blank: a report or a message in which one is left is not taken.",
        examples=["Nævus d’allure bénigne du […]. Aucun suivi requis."],
    )
    used_for: UsedFor
    language: Language
    offering: Annotated[Storable, StringConstraints(max_length=64)] | None = Field(
        None, description="The code of the offering for which it is shown; for all when left out."
    )
    clinic: bool = Field(False, description="It is for everybody of one's clinic, whose administrator one must be.")


class SnippetView(View):
    """A text that was kept."""

    id: UUID
    name: str
    text: str
    used_for: UsedFor
    language: Language
    offering: str | None
    clinic: bool = Field(description="It is the clinic's, not one's own.")


async def list_snippets(services: Services, caller: Caller) -> list[SnippetView]:
    """One's own and the clinic's, by name."""
    async with services.database.session() as session:
        return [_view(row) for row in await snippets.list_snippets(session, caller.id, caller.clinic_id)]


async def offered(
    services: Services, caller: Caller, used_for: UsedFor, offering: str, language: Language
) -> list[SnippetView]:
    """Those that fit: for this use and this offering, in this language; one's own first."""
    found = await list_snippets(services, caller)
    fit = [s for s in found if s.used_for == used_for and s.language == language and s.offering in (None, offering)]
    return sorted(fit, key=lambda snippet: snippet.clinic)


async def save_snippet(services: Services, caller: Caller, wanted: NewSnippet) -> SnippetView:
    """Keep a text. Raises Problem `too_many_snippets`, or `forbidden` for a clinic that one does not run."""
    values = wanted.model_dump(mode="json", exclude={"clinic"})
    owner = _owner(caller, clinic=wanted.clinic)
    async with services.database.session() as session:
        row = await snippets.save_snippet(session, *owner, values, now=datetime.now(UTC), at_most=MOST_SNIPPETS)
        if row is None:
            raise Problem("too_many_snippets", limit=MOST_SNIPPETS)
        return _view(row)


async def remove_snippet(services: Services, caller: Caller, snippet_id: UUID) -> None:
    """Forget one of one's own, or of the clinic that one runs. Raises Problem `not_found`."""
    owners = [_owner(caller, clinic=False)]
    if Role.CLINIC_ADMINISTRATOR in caller.roles:
        owners.append(_owner(caller, clinic=True))
    async with services.database.session() as session:
        for owner in owners:
            if await snippets.remove_snippet(session, *owner, snippet_id):
                return
    raise Problem("not_found")


def _owner(caller: Caller, *, clinic: bool) -> tuple[UUID | None, UUID | None]:
    if not clinic:
        return caller.id, None
    if Role.CLINIC_ADMINISTRATOR not in caller.roles:
        raise Problem("forbidden")
    return None, caller.clinic_id


def _view(row: Snippet) -> SnippetView:
    return SnippetView(
        id=row.id,
        name=row.name,
        text=row.text,
        used_for=UsedFor(row.used_for),
        language=language_named(row.language),
        offering=row.offering,
        clinic=row.clinic_id is not None,
    )
