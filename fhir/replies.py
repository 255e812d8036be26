"""The answer to a message, as a message: what became of it, and the Task of the request that it is about.

What lies in a message is named by `urn:uuid:`, and what does not by its address here.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID, uuid4

from domain.loose import dict_of, line_of
from domain.messages import MessageEvent
from domain.told_partners import id_in_messages
from fhir.addresses import Server
from fhir.elements import Coding, Resource, reference_to
from fhir.resources import Destination, MessageHeader, OperationOutcome, Response, Source

Json = dict[str, Any]

Code = Literal["ok", "transient-error", "fatal-error"]

ANSWERED_AS: Mapping[MessageEvent, MessageEvent] = {
    MessageEvent.ADD_REQUEST: MessageEvent.ADD_PROCESS,
    MessageEvent.UPDATE_REQUEST: MessageEvent.UPDATE_PROCESS,
    MessageEvent.REVOKE_REQUEST: MessageEvent.UPDATE_PROCESS,
    MessageEvent.SAID_BY_REQUESTER: MessageEvent.UPDATE_PROCESS,
}
"""What an answer tells that has a Task; others are of the event that they answer."""


def reply(
    *,
    to: Mapping[str, Any],
    event: MessageEvent,
    event_system: str,
    code: Code,
    server: Server,
    outcome: OperationOutcome | None = None,
    task: Resource | None = None,
    known_as: Json | None = None,
) -> Json:
    """The answer to the message whose MessageHeader is `to`. `known_as`: how the partner calls the request of the `task`."""
    said = ANSWERED_AS.get(event, event) if task is not None else event
    sender = dict_of(to.get("source"))
    header = MessageHeader(
        id=str(uuid4()),
        event_coding=Coding(system=event_system, code=said.value),
        destination=(Destination(name=line_of(sender.get("name")), endpoint=line_of(sender.get("endpoint"))),),
        source=Source(name="Relais", software="Relais", endpoint=server.messages),
        response=Response(
            identifier=str(to["id"]),
            code=code,
            details=reference_to("OperationOutcome", _id_of("OperationOutcome", str(to["id"]))) if outcome else None,
        ),
        focus=(reference_to("Task", str(task.id)),) if task is not None else None,
    )
    resources: list[Json] = [header.as_json()]
    if outcome is not None:
        resources.append({**outcome.as_json(), "id": _id_of("OperationOutcome", str(to["id"]))})
    if task is not None:
        told = task.as_json()
        if known_as is not None:
            told["basedOn"][0]["identifier"] = known_as
        resources.append(told)
    return bundle(resources, server)


def bundle(resources: Sequence[Json], server: Server) -> Json:
    """A message of these resources, the MessageHeader first."""
    inside = {f"{one['resourceType']}/{one['id']}": _id_of(one["resourceType"], one["id"]) for one in resources}
    entries = []
    for one in resources:
        id_ = inside[f"{one['resourceType']}/{one['id']}"]
        entries.append({"fullUrl": f"urn:uuid:{id_}", "resource": {**_led(one, inside, server), "id": id_}})
    return sent_again({"resourceType": "Bundle", "type": "message", "entry": entries})


def sent_again(message: Json) -> Json:
    """The same as it is sent now: each time with an id and a moment of its own."""
    said = {name: value for name, value in message.items() if name not in ("id", "timestamp")}
    return {**said, "id": str(uuid4()), "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds")}


def _id_of(kind: str, id_: str) -> str:
    """The id of a resource in messages: its own where that is a UUID already."""
    try:
        return str(UUID(id_)) if kind in ("MessageHeader", "OperationOutcome") else str(id_in_messages(kind, id_))
    except ValueError:
        return str(id_in_messages(kind, id_))


def _led(value: Any, inside: Mapping[str, str], server: Server) -> Any:
    """The same with references that lead somewhere from within a message."""
    if isinstance(value, list):
        return [_led(one, inside, server) for one in value]
    if not isinstance(value, dict):
        return value
    return dict(_parts(value, inside, server))


def _parts(value: Json, inside: Mapping[str, str], server: Server) -> Iterator[tuple[str, Any]]:
    for name, part in value.items():
        if name == "reference" and isinstance(part, str):
            is_theirs = part.startswith("urn:uuid:")  # by what the other side has named it
            yield name, f"urn:uuid:{inside[part]}" if part in inside else part if is_theirs else f"{server.base}/{part}"
        else:
            yield name, _led(part, inside, server)
