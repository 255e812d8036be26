"""Messages of strangers: whatever stands in one, it is read or refused, and what it says is found however it is written."""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict
from typing import Any

import pytest

from fhir.addresses import Server
from fhir.formats import written
from fhir.incoming import Message, header_id, read_message
from fhir.outcomes import NotTaken
from fhir.replies import reply
from tests.fhir.messages import Json, find, message, new_request, ref, resource, said, untidy

ANYTHING: tuple[Any, ...] = (
    None,
    1,
    1.5,
    True,
    "x",
    "",
    [],
    {},
    [1],
    [None],
    {"a": 1},
    [[]],
    [{}],
    "\x00",
    "\ud800",
    "urn:uuid:x",
)


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield from places(part, (*place, name))


def put(whole: Json, place: tuple[Any, ...], value: Any) -> bytes:
    spoiled = deepcopy(whole)
    at: Any = spoiled
    for name in place[:-1]:
        at = at[name]
    at[place[-1]] = value
    return json.dumps(spoiled).encode()


def read(sent: Json) -> Message:
    return read_message(json.dumps(sent).encode(), "fr")


def test_whatever_stands_anywhere_it_is_read_or_refused() -> None:
    """Any error of Python's would fall through; and what was read, or is told of it, can be written down and sent."""
    server = Server("https://relais.test/fhir", "fr")
    for whole in (new_request(photo=b"x"), untidy(), said("N-1", "Bonjour")):
        for place in places(whole):
            for value in ANYTHING:
                body = put(whole, place, value)
                header_id(body)
                try:
                    found = read_message(body, "fr")
                except NotTaken as error:
                    written(error.outcome(server))
                else:
                    answer = reply(to=found.header, event=found.event, event_system="x", code="ok", server=server)
                    for told in (answer, asdict(found.said) if found.said else {}):
                        json.dumps(told, ensure_ascii=False, default=len).encode()


def test_an_element_whose_name_nobody_can_write_is_told_all_the_same() -> None:
    sent = new_request()
    find(sent, "Patient")["\ud800x"] = 1
    with pytest.raises(NotTaken) as raised:
        read(sent)
    written(raised.value.outcome(Server("https://relais.test/fhir", "fr")))


def test_who_refers_to_themselves_is_no_trap() -> None:
    sent = new_request()
    role = find(sent, "PractitionerRole")
    role["practitioner"] = role["organization"] = ref(role)
    assert read(sent).said is not None


def test_the_answers_to_a_form_of_ours_are_known_by_their_names() -> None:
    sent = new_request()
    form = resource(
        "QuestionnaireResponse",
        status="completed",
        questionnaire="https://relais.test/fhir/Questionnaire/wound.care|2",
        item=[
            {"linkId": "question", "answer": [{"valueString": "Que faire?"}]},
            {"linkId": "sites", "answer": [{"valueCoding": {"code": "face"}}, {"valueCoding": {"code": "back"}}]},
            {
                "linkId": "consent",
                "item": [
                    {"linkId": "consent.given_by", "answer": [{"valueCoding": {"code": "patient"}}]},
                    {"linkId": "consent.date", "answer": [{"valueDate": "2026-11-20"}]},
                ],
            },
        ],
    )
    sent["entry"].append({"fullUrl": f"urn:uuid:{form['id']}", "resource": form})
    found = read(sent).said
    assert found is not None
    assert (found.answers_to, dict(found.answers)) == (
        "wound_care",
        {
            "question": "Que faire?",
            "sites": ["face", "back"],
            "consent": {"given_by": "patient", "date": "2026-11-20"},
        },
    )


def test_a_request_is_found_by_whatever_names_it() -> None:
    task = resource("Task", basedOn=[{"identifier": {"value": "ORD-1"}, "reference": "ServiceRequest/abc"}])
    communication = resource("Communication", status="completed", about=[ref(task)], payload=[{"contentString": "Oui"}])
    found = read(message("send-communication-from-requester", communication, task)).said
    assert found is not None
    assert {"ORD-1", "abc"} <= set(found.known_as)
    assert found.text == "Oui"


def test_one_message_is_the_same_whenever_it_is_sent_and_however_it_is_written() -> None:
    sent = new_request()
    again = {**{name: sent[name] for name in reversed(sent)}, "id": "other", "timestamp": "2026-11-28T00:00:00Z"}
    assert read(sent).digest == read(again).digest
    find(again, "Patient")["gender"] = "male"
    assert read(new_request()).digest != read(sent).digest
