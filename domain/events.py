"""What happened to a request, as its timeline keeps it."""

from typing import Annotated
from uuid import UUID, uuid5

from pydantic import AwareDatetime, Field, StrictInt

from domain import commands as c
from domain.model import Frozen
from domain.requests import EventName, Holder, Source, Status


class Event(Frozen):
    """What happened to a request: which command, by whom, when, and what it changed. The timeline is made of these."""

    request_id: UUID
    version: Annotated[StrictInt, Field(ge=1)]
    name: EventName
    at: AwareDatetime
    source: Source
    command: c.AnyCommand
    status_before: Status
    status: Status
    holder_before: Holder
    holder: Holder


TOLD_LATER = frozenset({EventName.INFORMATION_ANSWERED, EventName.INFORMATION_ADDED, EventName.WORSENING_REPORTED})
"""With which events the requester tells more, with photos or without, after the form was submitted."""


def question_id(request_id: UUID, command_id: str) -> UUID:
    """The id of the question that a `request_information` or `ask_follow_up` with this id asks."""
    return uuid5(request_id, command_id)
