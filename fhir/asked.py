"""What a partner that performs is sent: the request with its form and files, what is said about it, and that it is over.

The order is known to the partner by the Task with which the request was given to it (`order_name`): given to it once more, the
same request is another order.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from domain.messages import MessageEvent
from domain.requests import EventName
from fhir.addresses import Server, part_of
from fhir.exchange import communications
from fhir.forms import response
from fhir.replies import Json
from fhir.requests import is_outside, number_of, patient, placer, questions_of, said_by, service_request, word_of
from translations import dates, gettext_for
from translations import gettext_noop as _
from translations.words import EVENTS
from use_cases.asked_files import AskedFile
from use_cases.cases import Case
from use_cases.names import full_name
from use_cases.partner_sender import Giving, Telling

_ASKED_WITH = (EventName.INFORMATION_REQUESTED, EventName.INFORMATION_ANSWERED)
_SAID_BEFORE = (*_ASKED_WITH, EventName.INFORMATION_ADDED, EventName.WORSENING_REPORTED)
"""What was said before the partner had it, and belongs to what is asked."""

_OVER: Mapping[EventName, str] = {
    EventName.ABANDONED: _("The request has ended without an answer."),
    EventName.ACCEPTANCE_EXPIRED: _("The request was not accepted in time."),
    EventName.TAKEN_BACK: _("The request was taken back right after it was given."),
}
"""Why a request is not with the partner any more, where that is more than that it is not."""


def order_system(server: Server) -> str:
    """The system of identifiers by which partners know what they are asked."""
    return server.identifiers("task-number")


def order_name(case: Case, given: Giving, server: Server) -> tuple[str, str]:
    """What a partner is told to call the request: the number of the Task with which it was given to it."""
    return order_system(server), f"{case.row.number}-{given.task}"


def asked(telling: Telling, given: Giving, server: Server) -> tuple[Sequence[Json], Sequence[Json]]:
    """What a message is about, and what lies in it besides."""
    if telling.message.event is MessageEvent.SAID_BY_REQUESTER:
        return [_said(telling, server)], [_file(one, telling.case, server) for one in telling.files]
    [made] = service_request(telling.case, server)
    named = [placer(*order_name(telling.case, given, server)), number_of(telling.case, server)]
    order = {**made.as_json(), "identifier": [one.as_json() for one in named]}
    if telling.message.event is MessageEvent.REVOKE_REQUEST:
        kept = ("resourceType", "id", "meta", "language", "identifier", "intent", "subject")
        reason = _why(telling, server)
        return [{**{name: order[name] for name in kept if name in order}, "status": "revoked", "note": reason}], ()
    if notes := [{"text": text} for text in _exchanged(telling, given, server)]:
        order["note"] = notes
    form = response(telling.case, telling.case.forms[-1], server).as_json()
    files = [_file(one, telling.case, server) for one in telling.files]
    return [order], [*(one.as_json() for one in patient(telling.case, server)), _without_files(form), *files]


def _said(telling: Telling, server: Server) -> Json:
    """Something that the requester says; as the answer to what the partner knows by its own id, where that asked."""
    id_ = part_of(telling.case.id, telling.message.sequence)
    made = next(one for one in communications(telling.case, server) if one.id == id_).as_json()
    for name in ("inResponseTo", "about", "recipient"):
        made.pop(name, None)
    if word := _word_answered(telling):
        made["inResponseTo"] = [{"reference": f"urn:uuid:{word}"}]
    return made


def _word_answered(telling: Telling) -> str | None:
    named = telling.event.command.get("question_id")
    asked = questions_of(telling.case).get(UUID(named)) if named else None
    return word_of(asked) if asked is not None else None


def _why(telling: Telling, server: Server) -> list[Json]:
    """Why it is over: in the words of who cancelled, else in ours, for what dispatch says is for those here. To whom it is shut,
    nothing but that it is over is said.
    """
    event, general = telling.event, _("The request is not with you any more.")
    reason = event.command.get("reason") if event.name is EventName.CANCELLED and not telling.is_shut else None
    if isinstance(reason, str) and reason:
        return [{"text": reason}]
    told = general if telling.is_shut else _OVER.get(event.name, general)
    return [{"text": gettext_for(server.language)(told)}]


def _exchanged(telling: Telling, given: Giving, server: Server) -> Iterator[str]:
    """What was asked, answered and added before the partner was asked."""
    say = gettext_for(server.language)
    for event in telling.case.events:
        if event.version > given.sequence or event.name not in _SAID_BEFORE:
            continue
        person = telling.people.get(event.actor_id) if event.actor_id else None
        theirs = said_by(event, server) if is_outside(event) else None
        head = (
            dates.moment(event.at, server.language),
            (theirs.display or "") if theirs else full_name(person.account) if person else "",
            say(EVENTS[event.name]),
        )
        yield f"{', '.join(part for part in head if part)}: {event.command['text']}"


def _without_files(form: Json) -> Json:
    """The answers: files lie in the message by themselves, and an address here is of no use to who can't call it."""
    items = [one for one in form.get("item", []) if not one["linkId"].startswith("attachments.")]
    return {**form, "item": items} if items else {name: part for name, part in form.items() if name != "item"}


def _file(file: AskedFile, case: Case, server: Server) -> Json:
    attachment: dict[str, Any] = {"contentType": file.media_type, "title": file.title}
    if file.content is None:
        attachment["url"] = f"{server.api}/requests/{case.id}/attachments/{file.id}"
    else:
        attachment["data"] = b64encode(file.content).decode()
    return {
        "resourceType": "DocumentReference",
        "id": str(file.id),
        "status": "current",
        "subject": {"reference": f"Patient/{case.id}"},
        "content": [{"attachment": attachment}],
    }
