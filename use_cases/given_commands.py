"""What became of a command that somebody gave."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from domain.requests import EventName
from records import commands, visibility
from records.models import GivenCommand
from translations import Language
from translations.problems import problem_sentence
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.views import View


class CommandView(View):
    """What became of a command. `refused` says why, in `code` and `detail`; what is `done` made the event `event`."""

    command_id: str
    request_id: UUID
    name: str = Field(examples=["submit"])
    state: Literal["queued", "done", "refused"]
    given_at: datetime
    settled_at: datetime | None = Field(description="When it was taken or refused.")
    event: EventName | None = None
    version: int | None = Field(None, description="The event's version; of what was refused, the request's then.")
    code: str | None = Field(None, examples=["version_conflict"])
    detail: str | None = None


async def read_command(
    services: Services, caller: Caller, request_id: UUID, command_id: str, language: Language
) -> CommandView:
    """For the one who gave it, from the moment at which it was written down. Raises Problem `not_found`, also of what Relais gave
    in their name.
    """
    async with services.database.session() as session:
        given = await commands.find_given(session, request_id, command_id)
        is_shut = given is not None and given.request_id in await visibility.all_shut_to(session, caller.viewer)
    if given is None or given.account_id != caller.id or commands.is_of_relais(given) or is_shut:
        raise Problem("not_found")
    return command_view(given, language)


def command_view(given: GivenCommand, language: Language) -> CommandView:
    """What became of a command."""
    is_refused = given.refusal is not None
    return CommandView(
        command_id=given.command_id,
        request_id=given.request_id,
        name=given.name,
        state="queued" if given.settled_at is None else "refused" if is_refused else "done",
        given_at=given.given_at,
        settled_at=given.settled_at,
        event=given.event,
        version=given.version,
        code=given.refusal,
        detail=problem_sentence(given.refusal, language) if given.refusal else None,
    )
