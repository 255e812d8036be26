"""What a partner is told of its request by a message, and what it answers.

A message is made when it goes, of the request as it was then (`use_cases.partner_sender`); of each try it is the same but for its
`Bundle.id` and `timestamp`. Beside what its event tells, the people and clinics lie in it whom that names, and nothing of another
request, and no form.
"""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from domain.fhir_course import tasks_of
from domain.loose import dict_of, dicts_of, line_of
from domain.messages import MessageEvent
from domain.requests import EventName
from domain.told_partners import Heard, message_id
from domain.webhooks import WITH_DOCUMENT
from fhir.addresses import Server, part_of
from fhir.asked import asked, order_name
from fhir.documents import diagnostic_reports, document_references
from fhir.elements import Coding, Meta, Reference, Resource
from fhir.exchange import communications
from fhir.people import organization, practitioner, practitioner_role
from fhir.replies import Json, bundle
from fhir.requests import IS_TEST, placer, role_of, tasks, word_of
from fhir.resources import Destination, MessageHeader, Source
from translations import language_named
from use_cases.known_people import SHOWN
from use_cases.partner_sender import Telling

_ISSUES = frozenset(
    {
        *("invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired"),
        *("forbidden", "suppressed", "processing", "not-supported", "duplicate", "multiple-matches", "not-found"),
        *("deleted", "too-long", "code-invalid", "extension", "too-costly", "business-rule", "conflict", "transient"),
        *("lock-error", "no-store", "exception", "timeout", "incomplete", "throttled", "informational"),
    }
)
"""R4's codes of issues: nothing else of what a partner writes is shown to anybody."""

_FATAL = ("fatal", "error")


def message_to_send(telling: Telling) -> bytes:
    """The message as it is sent now."""
    server = Server.of(telling.settings, language_named(telling.partner.language))
    return json.dumps(told(telling, server), ensure_ascii=False, separators=(",", ":")).encode()


def knock(telling: Telling, id_: UUID) -> bytes:
    """A message about nobody, marked as a test: what an informer tells, which asks nobody to do anything."""
    server = Server.of(telling.settings, language_named(telling.partner.language))
    header = MessageHeader(
        id=str(id_),
        meta=Meta(security=(IS_TEST,)),
        event_coding=Coding(system=telling.partner.event_system, code=MessageEvent.UPDATE_RECORD.value),
        destination=(Destination(endpoint=telling.endpoint.url),),
        source=Source(name="Relais", software="Relais", endpoint=server.messages),
    )
    made = {**bundle([header.as_json()], server), "meta": {"security": [IS_TEST.as_json()]}}
    return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()


def told(telling: Telling, server: Server) -> Json:
    """The message that tells an event."""
    if telling.given is not None:
        return _message(*asked(telling, telling.given, server), telling, server)
    focus, beside = _what(telling, server)
    return _message([one.as_json() for one in focus], [one.as_json() for one in beside], telling, server)


def _message(focus: Sequence[Json], beside: Sequence[Json], telling: Telling, server: Server) -> Json:
    """A message about the `focus`, with what lies `beside`, and everybody whom it names."""
    message, event = telling.message, telling.message.event
    actor = telling.people.get(telling.event.actor_id) if telling.event.actor_id else None
    is_shown = actor is not None and not telling.is_shut and set(actor.account.roles).intersection(SHOWN)
    author = actor if is_shown else None
    header = MessageHeader(
        id=str(message_id(message.request_id, message.sequence, event)),
        meta=Meta(security=(IS_TEST,)) if telling.case.row.is_test else None,
        event_coding=Coding(system=telling.partner.event_system, code=event.value),
        destination=(Destination(endpoint=telling.endpoint.url),),
        author=role_of(author.account.id) if author else None,
        source=Source(name="Relais", software="Relais", endpoint=server.messages),
        focus=tuple(Reference(reference=f"{one['resourceType']}/{one['id']}") for one in focus),
    )
    resources = [header.as_json(), *focus, *beside]
    resources += _people_in(resources, telling, server)
    words, called = _words(telling), telling.called
    if telling.given is not None:
        called = order_name(telling.case, telling.given, server)
    made = bundle([_known_as(one, telling.case.id, called, words) for one in resources], server)
    return {**made, **({"meta": {"security": [IS_TEST.as_json()]}} if telling.case.row.is_test else {})}


def _what(telling: Telling, server: Server) -> tuple[Sequence[Resource], Sequence[Resource]]:
    """What the message is about, and what lies in it besides."""
    case, event, sequence = telling.case, telling.message.event, telling.message.sequence
    if event is MessageEvent.SAID_BY_PROVIDER:
        said = part_of(case.id, sequence)
        return [one for one in communications(case, server) if one.id == said], ()
    course = zip(tasks_of(case.events), tasks(case, server), strict=True)
    changed = [made for step, made in course if step.version >= sequence or made.id == _newest(telling)]
    if event is MessageEvent.ADD_PROCESS:
        changed = changed[-1:]
    return changed, tuple(_documents(telling, server))


def _newest(telling: Telling) -> str:
    return part_of(telling.case.id, len(tasks_of(telling.case.events)))


def _documents(telling: Telling, server: Server) -> Iterator[Resource]:
    """The document with which the event came: where it is here, or with its bytes."""
    if telling.event.name not in WITH_DOCUMENT:
        return
    report_id = str(telling.event.command["report_id"])
    yield from (one for one in diagnostic_reports(telling.case, server) if one.id == report_id)
    for one in document_references(telling.case, server):
        if one.id == report_id and telling.pdf is None:
            yield one
        elif one.id == report_id and telling.pdf is not None:
            [content] = one.content
            data = b64encode(telling.pdf).decode()
            attachment = content.attachment.model_copy(update={"data": data})
            yield one.model_copy(update={"content": (content.model_copy(update={"attachment": attachment}),)})


def _people_in(resources: Sequence[Json], telling: Telling, server: Server) -> list[Json]:
    """The people and clinics that are named in it, each once; so nothing leads out of it but to what is read here."""
    named = set(_references(resources))
    people = [one for id_, one in telling.people.items() if f"PractitionerRole/{id_}" in named]
    clinics = {one.clinic.id: one.clinic for one in people}
    clinics.update({id_: one for id_, one in telling.clinics.items() if f"Organization/{id_}" in named})
    found: list[Resource] = []
    for person in people:
        found += [practitioner_role(person, server), practitioner(person, server)]
    return [one.as_json() for one in (*found, *(organization(one, server) for one in clinics.values()))]


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def _words(telling: Telling) -> Mapping[str, str]:
    """How a partner calls the questions that it has asked about the report, by how we refer to them."""
    asked = [one for one in telling.case.events if one.name is EventName.FOLLOW_UP_ASKED] if not telling.given else []
    words = ((part_of(telling.case.id, one.version), word_of(one)) for one in asked)
    return {f"Communication/{id_}": f"urn:uuid:{word}" for id_, word in words if word}


def _known_as(value: Any, request_id: UUID, called: tuple[str, str] | None, words: Mapping[str, str]) -> Any:
    """The same, with what the partner calls the request, and what it has asked, wherever that is named."""
    if isinstance(value, list):
        return [_known_as(one, request_id, called, words) for one in value]
    if not isinstance(value, dict):
        return value
    known = {name: _known_as(part, request_id, called, words) for name, part in value.items()}
    if isinstance(known.get("reference"), str):
        known["reference"] = words.get(known["reference"], known["reference"])
    if called is not None and known.get("reference") == f"ServiceRequest/{request_id}":
        known["identifier"] = placer(*called).as_json()
    return known


# What is answered


def heard(status: int, body: bytes, id_: UUID) -> Heard:
    """What an answer says of the message with that id; nothing where it answers none."""
    try:
        said = dict_of(json.loads(body))
    except (ValueError, RecursionError):
        return Heard()
    if said.get("resourceType") == "OperationOutcome":
        return _of_outcome(said, status)
    entries = dicts_of(said.get("entry")) if said.get("type") == "message" else []
    resources = [dict_of(entry.get("resource")) for entry in entries]
    header = resources[0] if resources else {}
    response = dict_of(header.get("response"))
    code = line_of(response.get("code"))
    if header.get("resourceType") != "MessageHeader" or not _is_of(response.get("identifier"), id_):
        return Heard()
    outcome = next((one for one in resources if one.get("resourceType") == "OperationOutcome"), {})
    return Heard(code if code in ("ok", "transient-error", "fatal-error") else None, _why(outcome))


def _is_of(identifier: object, id_: UUID) -> bool:
    """Whether it is our message that is answered; some write the id as a URN."""
    return line_of(identifier).removeprefix("urn:uuid:").casefold() == str(id_)


def _of_outcome(outcome: Mapping[str, Any], status: int) -> Heard:
    """Some answer with an outcome alone: what was taken with 2xx, and has no error in it, is done."""
    if not 200 <= status < 300:
        return Heard(None, _why(outcome))
    is_wrong = any(issue.get("severity") in _FATAL for issue in dicts_of(outcome.get("issue")))
    return Heard("fatal-error" if is_wrong else "ok", _why(outcome))


def _why(outcome: Mapping[str, Any]) -> str | None:
    issues = sorted(dicts_of(outcome.get("issue")), key=lambda issue: issue.get("severity") not in _FATAL)
    return next((code for issue in issues if (code := line_of(issue.get("code"))) in _ISSUES), None)
