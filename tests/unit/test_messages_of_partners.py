"""Messages of strangers: whatever stands in one, it is read or refused, and what it says is found however it is written."""

import json
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

import pytest

from fhir.addresses import Server
from fhir.formats import written
from fhir.incoming import Message, header_id, parsed, read_message
from fhir.outcomes import Faults, NotTaken
from fhir.replies import reply
from tests.fhir.messages import (
    ORDERS,
    Json,
    by_ids,
    changed,
    entry,
    find,
    header_of,
    message,
    new_request,
    ref,
    resource,
    said,
    untidy,
)
from use_cases.said import Licence, Line, OrderName, Said

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
    return read_message(parsed(json.dumps(sent).encode()), "fr")


def test_whatever_stands_anywhere_it_is_read_or_refused() -> None:
    """Any error of Python's would fall through; and what was read, or is told of it, can be written down and sent."""
    server = Server("https://relais.test/fhir", "fr")
    for whole in (new_request(photo=b"x"), untidy(), said("N-1", "Bonjour")):
        for place in places(whole):
            for value in ANYTHING:
                came = parsed(put(whole, place, value))
                header_id(came.value)
                try:
                    found = read_message(came, "fr")
                except NotTaken as error:
                    written(error.outcome(server))
                else:
                    answer = reply(to=found.header, event=found.event, event_system="x", code="ok", server=server)
                    for told in (answer, asdict(found.said) if found.said else {}):
                        json.dumps(told, ensure_ascii=False, default=str).encode()


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


def test_a_request_is_found_by_its_task() -> None:
    task = resource("Task", basedOn=[{"identifier": {"value": "ORD-1"}, "reference": "ServiceRequest/abc"}])
    communication = resource("Communication", status="completed", about=[ref(task)], payload=[{"contentString": "Oui"}])
    found = read(message("send-communication-from-requester", communication, task)).said
    assert found is not None
    assert found.names == (OrderName("ORD-1"),)
    assert found.text == "Oui"


def test_one_message_is_the_same_whenever_it_is_sent_and_however_it_is_written() -> None:
    sent = new_request()
    again = {**{name: sent[name] for name in reversed(sent)}, "id": "other", "timestamp": "2026-11-28T00:00:00Z"}
    assert read(sent).digest == read(again).digest
    find(again, "Patient")["gender"] = "male"
    assert read(new_request()).digest != read(sent).digest


def what_is_said(sent: Json) -> Said:
    found = read(sent).said
    assert found is not None
    return found


def order(number: str, system: str = ORDERS, **more: Any) -> Json:
    made = resource("ServiceRequest", status="active", intent="order", subject={"display": "Line"}, **more)
    return {**made, "identifier": [{"system": system, "value": number}]}


def based_on(number: str, system: str = ORDERS) -> Json:
    return {"type": "ServiceRequest", "identifier": {"system": system, "value": number}}


def word(*others: Json, **more: Any) -> Json:
    """Something said, with these elements, and these resources beside it."""
    communication = resource("Communication", status="completed", payload=[{"contentString": "Oui"}], **more)
    return message("send-communication-from-requester", communication, *others)


def test_what_a_request_is_based_on_is_another_one() -> None:
    sent = new_request("R2")
    find(sent, "ServiceRequest")["basedOn"] = [based_on("R1")]
    for event in ("add-service-request", "notify-update-service-request", "revoke-service-request"):
        assert what_is_said(changed(sent, event)).names == (OrderName("R2", ORDERS),)


def test_what_is_said_is_of_the_request_that_it_names_whatever_else_lies_in_the_message() -> None:
    beside = order("A")
    assert what_is_said(word(beside, basedOn=[based_on("B")])).names == (OrderName("B", ORDERS),)
    far = {"reference": "https://o.test/ServiceRequest/7"}
    assert what_is_said(word(beside, about=[far])).names == (OrderName("https://o.test/ServiceRequest/7"),)
    assert what_is_said(word(beside, basedOn=[ref(beside)])).names == (OrderName("A", ORDERS),)
    assert what_is_said(word(beside)).names == (OrderName("A", ORDERS),)
    assert what_is_said(word(beside, order("B"))).names == ()
    both = what_is_said(word(basedOn=[based_on("A"), based_on("B"), based_on("A")]))
    assert both.names == (OrderName("A", ORDERS), OrderName("B", ORDERS))
    plan = {"reference": "CarePlan/1"}
    assert what_is_said(word(basedOn=[plan], about=[based_on("B")])).names == (OrderName("B", ORDERS),)


def test_an_address_leads_to_what_is_from_there() -> None:
    beside = order("A")
    beside["id"] = "7"
    sent = word(beside, basedOn=[{"reference": "https://b.test/ServiceRequest/7"}])
    of_order = next(one for one in sent["entry"] if one["resource"] is beside)
    of_order["fullUrl"] = "https://a.test/ServiceRequest/7"
    assert what_is_said(sent).names == (OrderName("https://b.test/ServiceRequest/7"),)
    find(sent, "Communication")["basedOn"] = [{"reference": "ServiceRequest/7"}]
    assert what_is_said(sent).names == (OrderName("A", ORDERS),)
    other = {**order("B"), "id": "7"}
    sent["entry"].append({"fullUrl": "https://b.test/ServiceRequest/7", "resource": other})
    assert what_is_said(sent).names == (OrderName("ServiceRequest/7"),), "of two, none"


def test_references_by_type_and_id_need_no_full_url() -> None:
    sent = new_request(photo=b"x")
    said_by_ids, said_by_urls = what_is_said(by_ids(sent)), what_is_said(sent)
    assert replace(said_by_ids, services=said_by_urls.services) == said_by_urls
    assert "DERM-01" in said_by_ids.services
    beside = order("A", id=str(UUID(int=7)))
    spoken = word(beside, basedOn=[ref(beside)])
    assert what_is_said(by_ids(spoken)).names == (OrderName("A", ORDERS),)
    nameless = by_ids(sent)
    header_of(nameless)["author"] = {"reference": ""}
    assert refused(nameless) == {("value", "MessageHeader.author")}
    del sent["entry"][2]["fullUrl"]
    assert ("required", "Bundle.entry[2].fullUrl") in refused(sent), "everywhere, or nowhere"


def test_a_service_is_known_by_its_number_alone() -> None:
    sent = new_request()
    find(sent, "ServiceRequest")["performer"] = [{"identifier": {"system": "https://o.test", "value": "DERM-02"}}]
    assert "DERM-02" in what_is_said(sent).services


def test_what_lies_in_a_message_twice_is_one() -> None:
    sent = new_request()
    role = find(sent, "PractitionerRole")
    sent["entry"].append({"fullUrl": f"https://o.test/PractitionerRole/{role['id']}", "resource": deepcopy(role)})
    header_of(sent)["author"] = {"reference": f"PractitionerRole/{role['id']}"}
    assert what_is_said(sent).author == "Dre Ada Okafor"


def test_a_number_is_a_name_with_its_system_only() -> None:
    names = [OrderName("1001", "https://a.test"), OrderName("1001", "https://b.test"), OrderName("1001")]
    names += [
        OrderName("a.test|1001", "https:"),
        OrderName("https:|a.test|1001"),
        OrderName("x" * 200),
        OrderName("x" * 201),
    ]
    assert len({name.reference for name in names}) == len(names)
    assert max(len(name.reference) for name in names) <= 100


def test_the_placers_identifier_is_the_name_and_an_id_only_where_it_is_its_own() -> None:
    sent = new_request()
    asked = find(sent, "ServiceRequest")
    chart = {"system": "https://o.test/charts", "value": "77"}
    placer = {"type": {"coding": [{"code": "PLAC"}]}, "system": ORDERS, "value": "R1"}
    asked["identifier"] = [{**placer, "type": {"coding": [{"code": "FILL"}]}, "value": "F"}, chart, placer]
    assert what_is_said(sent).names == (OrderName("R1", ORDERS),)
    asked["identifier"] = [{"value": "\u3164"}]
    assert what_is_said(sent).names == (OrderName(f"urn:uuid:{asked['id']}"),)
    of_order = next(one for one in sent["entry"] if one["resource"] is asked)
    asked["id"], of_order["fullUrl"] = "sr1", "https://o.test/ServiceRequest/sr1"
    header_of(sent)["focus"] = [{"reference": of_order["fullUrl"]}]
    assert what_is_said(sent).names == (OrderName("https://o.test/ServiceRequest/sr1"),)


def test_the_id_of_an_order_is_known_beside_its_number() -> None:
    sent = new_request("R1")
    asked = find(sent, "ServiceRequest")
    assert what_is_said(sent).order_id == UUID(asked["id"])
    (named,) = what_is_said(word(basedOn=[{"reference": f"ServiceRequest/{asked['id']}"}])).names
    assert (named.order_id, OrderName("R1", ORDERS).order_id) == (UUID(asked["id"]), None)


def test_an_accent_is_the_same_however_it_is_typed() -> None:
    assert what_is_said(new_request("e\u0301-1")).names == what_is_said(new_request("\u00e9-1")).names


def test_a_licence_is_a_practitioners_and_is_said_to_be_one() -> None:
    sent = new_request(licence="12345")
    find(sent, "Practitioner")["identifier"].append({"system": "urn:phone", "value": "5145550101"})
    assert what_is_said(sent).licences == (
        Licence("12345", "https://college.test/licence", is_typed=True),
        Licence("5145550101", "urn:phone"),
    )
    find(sent, "ServiceRequest")["requester"] = ref(find(sent, "Patient"))
    assert what_is_said(sent).author == "Dre Ada Okafor", "who has sent it for the patient"
    header_of(sent)["author"] = ref(find(sent, "Patient"))
    find(sent, "ServiceRequest")["requester"] = {"type": "Patient", "display": "Line Bouchard"}
    assert (what_is_said(sent).author, what_is_said(sent).licences) == ("", ())


def mark(resource_: Json) -> None:
    resource_["meta"] = {"security": [{"code": "HTEST"}]}


def test_a_test_is_what_is_marked_as_a_whole_or_in_what_it_is_about() -> None:
    for kind, is_test in (
        ("Organization", False),
        ("ServiceRequest", True),
        ("Patient", True),
        ("MessageHeader", True),
    ):
        sent = new_request()
        mark(find(sent, kind))
        assert what_is_said(sent).is_test is is_test
    whole = new_request()
    mark(whole)
    assert what_is_said(whole).is_test


@pytest.mark.parametrize("priority", [None, "urgent"])
def test_what_says_no_priority_asks_for_none(priority: str | None) -> None:
    sent = new_request()
    del find(sent, "ServiceRequest")["priority"]
    if priority:
        find(sent, "ServiceRequest")["priority"] = priority
    assert what_is_said(sent).priority == priority


def test_what_gives_no_reason_asks_what_it_is_called_and_changes_no_question() -> None:
    sent = new_request()
    del find(sent, "ServiceRequest")["reasonCode"]
    assert what_is_said(sent).question == "Télédermatologie"
    assert what_is_said(changed(sent, "notify-update-service-request")).question == ""


def test_an_emergency_is_seen_in_what_is_said_as_well() -> None:
    assert what_is_said(word(basedOn=[based_on("A")], priority="stat")).priority == "stat"


def refused(sent: Json) -> set[tuple[str, str]]:
    with pytest.raises(Faults) as raised:
        read(sent)
    return {(fault.code, fault.about) for fault in raised.value.faults}


@pytest.mark.parametrize(
    ("event", "status"),
    [
        *(("add-service-request", one) for one in ("draft", "on-hold", "revoked", "completed", "entered-in-error")),
        *(("notify-update-service-request", one) for one in ("on-hold", "revoked", "completed", "entered-in-error")),
        ("revoke-service-request", "completed"),
    ],
)
def test_a_request_that_is_over_or_waits_is_neither_made_nor_changed(event: str, status: str) -> None:
    assert refused(changed(new_request(), event, status=status)) == {("business-rule", "ServiceRequest.status")}


@pytest.mark.parametrize("status", ["entered-in-error", "not-done", "preparation", "stopped"])
def test_what_was_not_said_is_not_taken_for_said(status: str) -> None:
    sent = said("A", "Oui")
    find(sent, "Communication")["status"] = status
    assert refused(sent) == {("business-rule", "Communication.status")}


def test_what_changes_the_meaning_and_is_not_understood_is_refused() -> None:
    opposite = new_request()
    find(opposite, "ServiceRequest")["doNotPerform"] = True
    assert refused(opposite) == {("not-supported", "ServiceRequest.doNotPerform")}
    for kind in ("MessageHeader", "ServiceRequest", "Patient"):
        for part in ({"modifierExtension": [{"url": "x"}]}, {"implicitRules": "https://x.test"}):
            sent = new_request()
            find(sent, kind).update(part)
            assert refused(sent) == {("not-supported", f"{kind}.modifierExtension")}
    within = new_request()
    find(within, "Patient")["contact"] = [{"modifierExtension": [{"url": "x"}]}]
    assert refused(within) == {("not-supported", "Patient.modifierExtension")}


@pytest.mark.parametrize(
    "struck",
    [
        {"resourceType": "DocumentReference", "status": "superseded"},
        {"resourceType": "DocumentReference", "status": "current", "docStatus": "entered-in-error"},
        {"resourceType": "DocumentReference", "status": "current", "modifierExtension": [{"url": "x"}]},
    ],
)
def test_a_document_that_does_not_count_is_left_out_and_told(struck: Json) -> None:
    sent = new_request()
    attachment = {"title": "Biopsie", "data": "eA=="}
    sent["entry"].append(entry({"id": "d", **struck, "content": [{"attachment": attachment}]}))
    found = what_is_said(sent)
    assert found.files == ()
    assert [line.label for line in found.left_out] == ["DocumentReference"]


def test_answers_that_do_not_count_are_left_out_and_told() -> None:
    item = [{"linkId": "a", "text": "Allergies", "answer": [{"valueString": "Aucune"}]}]
    struck = resource("QuestionnaireResponse", status="entered-in-error", item=item)
    found = what_is_said(word(struck, basedOn=[based_on("A")]))
    assert (found.lines, [line.label for line in found.left_out]) == ((), ["QuestionnaireResponse"])
    assert what_is_said(word({**struck, "status": "completed"}, basedOn=[based_on("A")])).lines == (
        Line("Allergies", "Aucune"),
    )


def test_a_reason_that_does_not_count_is_not_in_the_question() -> None:
    sent = new_request()
    struck = resource(
        "Condition", code={"text": "Mélanome"}, verificationStatus={"coding": [{"code": "entered-in-error"}]}
    )
    note = [{"text": "Depuis mai."}]
    reason = resource("Condition", code={"text": "Nævus"}, note=note)
    sent["entry"] += map(entry, (struck, reason))
    asked = find(sent, "ServiceRequest")
    asked["reasonCode"], asked["reasonReference"] = [], [{**ref(struck), "display": "Mélanome"}, ref(reason)]
    found = what_is_said(sent)
    assert found.question == "Nævus"
    assert Line("Condition", "Nævus – Depuis mai.") in found.lines
    assert [line.label for line in found.left_out] == ["Condition"]


def test_what_is_refuted_is_not_told_as_so() -> None:
    sent = new_request()
    allergy = resource(
        "AllergyIntolerance", code={"text": "Pénicilline"}, verificationStatus={"coding": [{"code": "refuted"}]}
    )
    sent["entry"].append(entry(allergy))
    find(sent, "ServiceRequest")["supportingInfo"] = [ref(allergy)]
    assert Line("AllergyIntolerance", "Pénicilline – refuted") in what_is_said(sent).lines


def test_what_lies_beside_is_told_whether_something_leads_to_it_or_not() -> None:
    pressure = {
        "code": {"text": "Pression"},
        "component": [{"code": {"text": "Syst."}, "valueQuantity": {"value": 120}}],
    }
    pregnant = resource("Observation", status="preliminary", code={"text": "Enceinte"}, valueBoolean=True)
    others = (resource("Observation", status="final", **pressure), pregnant)
    told = (Line("Observation", "Pression – Syst. 120"), Line("Observation", "Enceinte – Oui – preliminary"))
    sent = new_request()
    sent["entry"] += map(entry, others)
    find(sent, "ServiceRequest")["bodySite"] = [{"text": "Dos"}]
    find(sent, "Patient").update(
        telecom=[{"value": "514 555-0101"}], address=[{"city": "Québec", "line": ["1, rue A"]}]
    )
    found = what_is_said(sent).lines
    assert set(told) <= set(found)
    assert {Line("bodySite", "Dos"), Line("Patient.address", "1, rue A, Québec")} <= set(found)
    assert Line("Patient.telecom", "514 555-0101") in found
    assert what_is_said(word(*others, basedOn=[based_on("A")])).lines == told
    asked = order("A", supportingInfo=[ref(others[0])])
    assert what_is_said(word(asked, *others, basedOn=[ref(asked)])).lines == told[1:], "the rest was sent with it"


def test_that_a_patient_has_died_or_a_record_is_not_in_use_is_told() -> None:
    sent = new_request()
    find(sent, "Patient").update(deceasedDateTime="2026-11-20", active=False)
    assert what_is_said(sent).lines[-2:] == (Line("Patient.deceased", "2026-11-20"), Line("Patient.active", "Non"))


def test_a_card_that_was_replaced_is_not_the_patients() -> None:
    sent = new_request()
    card = find(sent, "Patient")["identifier"][0]
    find(sent, "Patient")["identifier"] = [{**card, "use": "old", "value": "1111111111"}, card]
    assert what_is_said(sent).patient["health_insurance_number"] == "9876543217"


def test_one_message_is_about_one_thing() -> None:
    sent = new_request()
    other = order("B")
    sent["entry"].append(entry(other))
    header_of(sent)["focus"].append(ref(other))
    assert refused(sent) == {("value", "MessageHeader.focus")}
    header_of(sent)["focus"] = [ref(find(sent, "ServiceRequest"))] * 2
    assert read(sent).said is not None
    sent["entry"].append(entry({**header_of(sent), "id": "other"}))
    assert refused(sent) == {("value", "MessageHeader")}


def test_which_question_is_answered() -> None:
    place = "01a20528-2326-771d-b244-f33a25c63e64"
    replies = [{"reference": f"https://relais.test/fhir/Communication/{place}.7"}, {"reference": "Communication/x"}]
    assert what_is_said(word(inResponseTo=replies)).replies_to == ((UUID(place), 7), None)
    as_told = [{"reference": f"urn:uuid:{one}"} for one in (place, "x")]  # the id that it had in a message of ours
    assert what_is_said(word(inResponseTo=as_told)).replies_to == (UUID(place), None)


def test_a_message_with_too_many_parts_is_refused_before_it_is_read() -> None:
    with pytest.raises(NotTaken) as raised:
        parsed(b"[" + b"[]," * 200_000 + b"[]]")
    assert (raised.value.status, raised.value.code) == (413, "too-long")


def test_what_is_said_besides_has_an_end_and_nothing_is_cut_unseen() -> None:
    sent = new_request()
    find(sent, "ServiceRequest")["patientInstruction"] = "a" * 199_000
    assert len(what_is_said(sent).lines[-1].text) == 199_000
    find(sent, "ServiceRequest")["reasonCode"] = [{"text": "b" * 2_000}]
    assert refused(sent) == {("too-long", "Bundle.entry")}
    find(sent, "ServiceRequest")["patientInstruction"] = "a" * 200_001
    assert refused(sent) == {("too-long", "Bundle.entry")}


@pytest.mark.parametrize("number", ["1e999999999999999999999", "-1e-999999999999999999999", "1" * 5_000])
def test_a_number_that_nothing_can_hold_is_no_json_here(number: str) -> None:
    with pytest.raises(NotTaken):
        parsed(b'{"value": %s}' % number.encode())


def test_what_is_very_long_takes_no_time_and_is_no_name() -> None:
    """What looks into values looks at their beginning, and once: an expression that tries again at each letter never ends."""
    long = "A" * 4_000_000
    sent = new_request()
    find(sent, "ServiceRequest")["identifier"] = [{"system": ORDERS, "value": long}, {"system": long, "value": "1"}]
    find(sent, "ServiceRequest")["performer"] = [{"reference": long, "display": long}]
    assert what_is_said(sent).names == (OrderName(f"urn:uuid:{find(sent, 'ServiceRequest')['id']}"),)
    assert what_is_said(word(basedOn=[{"reference": long}])).names == ()


@pytest.mark.parametrize("depth", [100, 900, 5_000, 50_000])
def test_however_deep_it_is_it_is_read_or_refused(depth: int) -> None:
    sent = new_request()
    sent["entry"] += [
        {"fullUrl": f"urn:uuid:{number}", "resource": {"resourceType": "Basic", "id": "b"}} for number in "12"
    ]
    deep = b'{"a":' * depth + b"[]" + b"}" * depth
    body = json.dumps(sent).encode().replace(b'"id": "b"', b'"id": "b", "deep": ' + deep)
    found: Message | None = None
    with suppress(NotTaken):
        found = read_message(parsed(body), "fr")
    assert found is not None or depth > 100


def test_an_object_that_names_something_twice_is_no_json_here() -> None:
    with pytest.raises(NotTaken):
        parsed(b'{"status": "active", "status": "revoked"}')


def test_numbers_that_differ_are_another_content() -> None:
    digests = {
        parsed(b'{"value": %s}' % number).digest for number in (b"1e400", b"1e500", b"0.1", b"0.10000000000000001")
    }
    assert len(digests) == 4


def test_what_nobody_can_see_is_nothing() -> None:
    sent = said("A", "\u200b\u2060")
    assert what_is_said(sent).text == ""
