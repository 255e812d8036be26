"""What must happen in the world because of an event: data, which a workflow keeps in its outbox until it has been seen through.

Each effect has an id, ``request:version:kind`` and for some one part more, which is the idempotency key everywhere. The ids are
made here and nowhere else.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field

from domain.events import Event
from domain.model import Frozen
from domain.requests import EventName, Failure, RefusedSignal, Request, Signing


class Effect(Frozen):
    """Something that must happen in the world because of an event. Its id is the idempotency key everywhere."""

    id: str


class Record(Effect):
    """Write the event and the request's new state to the records, and tell those who are to be told."""

    kind: Literal["record"] = "record"
    event: Event
    request: Request

    @classmethod
    def of(cls, event: Event, request: Request) -> Self:
        """For an event and the state after it."""
        return cls(id=_id(event.request_id, event.version, "record"), event=event, request=request)


class Finalize(Effect):
    """Make the signed document: render, seal, store."""

    kind: Literal["finalize"] = "finalize"
    request_id: UUID
    command_id: str
    signing: Signing

    @classmethod
    def of(cls, event: Event, signing: Signing) -> Self:
        """For the event of a signature."""
        return cls.again(event.request_id, event.version, event.command.id, signing)

    @classmethod
    def again(cls, request_id: UUID, version: int, command_id: str, signing: Signing) -> Self:
        """The same, by what the records hold of the event."""
        effect_id = _id(request_id, version, "finalize")
        return cls(id=effect_id, request_id=request_id, command_id=command_id, signing=signing)


class Notify(Effect):
    """Send one e-mail, which the records hold under `notice_id`: so began requests that are still under way."""

    kind: Literal["notify"] = "notify"
    notice_id: UUID

    @classmethod
    def of(cls, request_id: UUID, version: int, notice_id: UUID) -> Self:
        """For one notice of the event with that version."""
        return cls(id=_id(request_id, version, "notify", str(notice_id)), notice_id=notice_id)


class Deliver(Effect):
    """Send those e-mails of one event that did not go with its `Record`, once they have waited for others.

    `event` is the event's name, where the effect was made by code that knew it.
    """

    kind: Literal["deliver"] = "deliver"
    notice_ids: tuple[UUID, ...]
    not_before: AwareDatetime
    event: EventName | None = None

    @classmethod
    def of(cls, event: Event, notice_ids: Sequence[UUID], not_before: datetime) -> Self:
        """For the notices of an event."""
        return cls.again(event.request_id, event.version, event.name, notice_ids, not_before)

    @classmethod
    def again(
        cls, request_id: UUID, version: int, event: EventName, notice_ids: Sequence[UUID], not_before: datetime
    ) -> Self:
        """The same, by what the records hold of the event."""
        effect_id = _id(request_id, version, "deliver")
        return cls(id=effect_id, notice_ids=tuple(notice_ids), not_before=not_before, event=event)


class NoteRefusal(Effect):
    """Write down that a Signal was refused."""

    kind: Literal["note_refusal"] = "note_refusal"
    request_id: UUID
    refused: RefusedSignal

    @classmethod
    def of(cls, request_id: UUID, version: int, refused: RefusedSignal, unique: UUID) -> Self:
        """For a Signal refused in that version; `unique` tells it from others of the same version."""
        effect_id = _id(request_id, version, "refusal", str(unique))
        return cls(id=effect_id, request_id=request_id, refused=refused)


class NoteFailure(Effect):
    """Write down that another effect failed for good."""

    kind: Literal["note_failure"] = "note_failure"
    request_id: UUID
    failure: Failure

    @classmethod
    def of(cls, request_id: UUID, failure: Failure) -> Self:
        """For the effect that the failure names."""
        return cls(id=f"{failure.effect_id}:failure", request_id=request_id, failure=failure)


AnyEffect = Annotated[Record | Finalize | Notify | Deliver | NoteRefusal | NoteFailure, Field(discriminator="kind")]


def kind_of(effect_id: str) -> str:
    """The kind of the effect with that id, as the id says it."""
    return effect_id.split(":")[2]


def _id(request_id: UUID, version: int, kind: str, *more: str) -> str:
    return ":".join((str(request_id), str(version), kind, *more))
