"""Reads what comes from outside: which command a message is, and who sent it. Total: whatever it is given, it answers or refuses.

Passed through the sandbox, so that it is loaded once a worker and not once a request.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError

from domain.commands import ANY_COMMAND, OWN, SIGNALS, AnyCommand
from domain.model import DISCREET
from domain.refusals import Refusal, RefusalCode
from domain.requests import CommandId, RefusedSignal

_COMMAND_ID: TypeAdapter[str] = TypeAdapter(CommandId, config=DISCREET)


def only(arguments: Sequence[Any]) -> Any:
    """The one argument of a message; None where there is none, or more than one."""
    return arguments[0] if len(arguments) == 1 else None


def decoded(arguments: Sequence[RawValue]) -> Any:
    """The one argument of a Signal; None where there is not just one, or where it can't be decoded."""
    raw = only(arguments)
    try:
        return None if raw is None else workflow.payload_converter().from_payload(raw.payload)
    except Exception:  # every converter has its own errors, and none may stop the workflow
        return None


def read(name: str, payload: Any) -> AnyCommand:
    """The command that a message carries; its `type` is the message's name. Raises Refusal when it can't be read."""
    if name not in SIGNALS:
        raise Refusal(RefusalCode.UNKNOWN_COMMAND, "there is no such command")
    if not isinstance(payload, dict) or payload.get("type", name) != name:
        raise Refusal(RefusalCode.MALFORMED, "the command is not a JSON object of this type")
    try:
        command = ANY_COMMAND.validate_python({**payload, "type": name})
    except ValidationError as error:
        places = ", ".join(".".join(map(str, problem["loc"][1:])) or "?" for problem in error.errors()[:5])
        raise Refusal(RefusalCode.MALFORMED, f"the command can't be read; look at: {places}") from None
    if command.id.startswith(OWN):
        raise Refusal(RefusalCode.MALFORMED, f"ids that begin with '{OWN}' are not for messages")
    return command


def refused_signal(name: str, payload: Any, refusal: Refusal, at: datetime) -> RefusedSignal:
    """What is written down of a Signal that was refused: with the id and the actor of its command, as far as they can be read."""
    sent = payload if isinstance(payload, dict) else {}
    return RefusedSignal(
        name=printable(name)[:100], command_id=_id_of(sent), actor_id=_actor_of(sent), code=refusal.code, at=at
    )


def refusal_as_error(refusal: Refusal) -> ApplicationError:
    """A refusal as an Update's caller gets it: its type is the code."""
    return ApplicationError(refusal.explanation, type=refusal.code, non_retryable=True)


def failure_code(error: ActivityError) -> str:
    """The stable code of a failure, in snake case: the type of the error that ended the activity."""
    cause = error.cause
    kind = cause.type if isinstance(cause, ApplicationError) and cause.type else type(cause).__name__
    words = re.findall("[A-Z]*[a-z]+|[A-Z]+", kind)
    return "_".join(words).lower()[:64] or "unknown"


def printable(text: str) -> str:
    """The text with a question mark for every character that stores and screens can't show."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _id_of(sent: dict[Any, Any]) -> str | None:
    try:
        return _COMMAND_ID.validate_python(sent.get("id"))
    except ValidationError:
        return None


def _actor_of(sent: dict[Any, Any]) -> UUID | None:
    try:
        return UUID(sent["actor"]["id"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
