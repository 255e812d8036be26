"""What a message says, in the form of an offering, and told as a change of the message before: nothing vanishes on the way."""

from datetime import date
from typing import Any

import pytest

from domain.messages import MessageEvent
from domain.priority import Priority
from domain.same_patient import is_surely_another
from records.models import Json
from settings import PROJECT_ROOT
from use_cases.offering_files import load_offerings
from use_cases.partner_requests import FILES_NOT_TAKEN, LeftFile
from use_cases.problems import Problem
from use_cases.received_forms import CHANGED, changes, fitted, merged
from use_cases.said import Line, Said

OFFERING = load_offerings(PROJECT_ROOT / "offerings")["teledermatology"]
TODAY = date(2026, 11, 27)
ANSWERS = {"question": "Que faire?", "body_sites": ["back"], "immunosuppression": False}
PATIENT = {"given_name": "Line", "family_name": "Bouchard", "health_insurance_number": "9876543217"}


def message(**more: Any) -> Said:
    said: dict[str, Any] = {"patient": PATIENT, "answers": ANSWERS, "answers_to": OFFERING.code, **more}
    return Said(MessageEvent.UPDATE_REQUEST, "m", **said)


def content(said: Said) -> Json:
    """As it is kept of a message."""
    form = fitted(said, OFFERING, "en", TODAY)
    lines = [[line.label, line.text] for line in form.lines]
    elsewhere = [[line.label, line.text] for line in said.elsewhere]
    return {"said": form.kept(said), "lines": lines, "elsewhere": elsewhere}


def told(before: Said, now: Said) -> list[str]:
    form = fitted(now, OFFERING, "en", TODAY)
    text = changes(content(before), form, now, OFFERING, Priority.URGENT, "en")
    head, *lines = text.split("\n")
    assert head in (CHANGED, "")
    return lines


def test_the_same_message_tells_nothing_however_often_it_comes() -> None:
    whole = message(
        lines=(Line("code", "Avis"), Line("Médication", "Aucune")), elsewhere=(Line("Biopsie", "https://x"),)
    )
    assert told(whole, whole) == []
    assert told(message(), message(priority=Priority.URGENT)) == []


def test_whatever_is_answered_otherwise_is_told_with_its_label() -> None:
    now = message(answers={"question": "Et maintenant?", "body_sites": ["back", "face"], "immunosuppression": True})
    assert told(message(), now) == [
        "Question to the dermatologist: Et maintenant?",
        "Body sites: Back, Face",
        "Immunosuppression (disease, transplant or treatment): Yes",
    ]
    assert told(message(answers={"question": "Que faire?"}), message())[0] == "Body sites: Back"


def test_what_is_not_answered_any_more_is_told_where_the_message_has_the_whole_form() -> None:
    assert told(message(), message(answers={"question": "Que faire?"}))[0] == "Body sites: no answer any more"
    without_a_form = message(answers={}, answers_to="", question="Que faire?")
    assert told(message(), without_a_form) == []


def test_lines_are_told_when_they_are_new_and_when_they_are_gone() -> None:
    before = message(lines=(Line("code", "Avis"), Line("Médication", "Aucune")))
    after = message(
        lines=(Line("code", "Avis"), Line("Allergies", "Latex")), left_out=(Line("DocumentReference", "x"),)
    )
    assert told(before, after) == ["Not said any more: Médication", "Allergies: Latex", "Document: x"]


def test_lines_that_are_too_long_to_be_told_are_named() -> None:
    lines = told(message(), message(lines=(Line("Histoire", "a" * 9_000), Line("Plan", "b"))))
    assert lines == ["What is said besides has changed, see “Also in the message”: Histoire, Plan"]


def test_the_patient_and_the_priority_are_told_as_people_call_them() -> None:
    now = message(patient={**PATIENT, "birth_date": "1961-07-02"}, priority=Priority.ROUTINE)
    assert told(message(), now) == ["Birth date: July\N{NO-BREAK SPACE}2, 1961", "Priority asked for: Routine"]
    assert told(now, message(patient={"family_name": "Bouchard"})) == []


def test_no_answer_is_lost_that_has_no_place_in_the_form() -> None:
    odd = {"body_sites": ["moon"], "unasked": True, "question": "Que faire?"}
    form = fitted(message(answers=odd), OFFERING, "fr", TODAY)
    assert form.answers == {"question": "Que faire?"}
    assert [line.label for line in form.lines] == ["Sites atteints", "unasked"]
    elsewhere = fitted(message(answers=odd, answers_to="other"), OFFERING, "fr", TODAY)
    assert (elsewhere.answers, len(elsewhere.lines)) == ({}, 3)


def test_what_can_not_be_known_of_a_patient_stands_beside_the_form_by_its_label() -> None:
    form = fitted(message(patient={"family_name": "Nguyen", "birth_date": "2999-01-01"}), OFFERING, "fr", TODAY)
    assert (form.given, form.lines) == ({"family_name": "Nguyen"}, (Line("Date de naissance", "2999-01-01"),))


def test_a_birth_date_that_comes_later_takes_the_place_of_an_unknown_one() -> None:
    before = {"family_name": "Nguyen", "birth_date": None, "birth_date_unknown": True}
    assert merged(before, {"birth_date": "1961-07-02"}).birth_date == "1961-07-02"


def test_another_number_does_not_keep_the_issuer_of_the_one_before() -> None:
    before = {"health_insurance_number": "BOUL 6107 0212", "health_insurance_issuer": "CA-QC"}
    assert merged(before, {"health_insurance_number": "9876543217"}).health_insurance_issuer is None
    assert merged(before, {"family_name": "Bouchard"}).health_insurance_issuer == "CA-QC"


def test_what_can_not_be_a_patient_is_a_problem_that_is_told() -> None:
    with pytest.raises(Problem) as raised:
        merged({}, {"birth_date": "2999-01-01"})
    assert raised.value.code == "invalid_input"


NUMBERS = {"pages": 210, "limit_pages": 50, "width": 9000, "height": 9000, "limit_megapixels": 50, "limit_edge": 16384}


@pytest.mark.parametrize("code", sorted(FILES_NOT_TAKEN))
def test_why_a_file_was_left_out_can_be_told(code: str) -> None:
    for language in ("fr", "en"):
        assert "%(" not in LeftFile("Photo", code, NUMBERS).told(language)


def test_who_is_surely_another_patient() -> None:
    known = [{"health_insurance_number": "BOUL 6107 0212"}, {}]
    assert not is_surely_another({"health_insurance_number": "boul61070212"}, known)
    assert not is_surely_another({}, known)
    assert is_surely_another({"health_insurance_number": "TREJ 5853 1412"}, known)
    assert not is_surely_another({"health_insurance_number": "TREJ 5853 1412"}, [{}, {}])
    ontario = [{"health_insurance_number": "9876543217"}]
    assert not is_surely_another({"health_insurance_number": "9876543217AB"}, ontario)
    line = [{"given_name": "Line", "family_name": "Bouchard", "birth_date": "1961-07-02"}]
    assert is_surely_another({"family_name": "Nguyen", "birth_date": "1980-01-01"}, line)
    assert not is_surely_another({"family_name": "Nguyen", "birth_date": "1961-07-02"}, line), "married"
    assert not is_surely_another({"family_name": "BOUCHARD", "birth_date": "1961-07-20"}, line), "written wrongly"
    assert not is_surely_another({"family_name": "Nguyen", "birth_date": "1980"}, line)
    newborn = [{"health_insurance_number": "BOUL 6107 0212", "mother_name": "Line Bouchard"}]
    assert not is_surely_another({"health_insurance_number": "TREJ 5853 1412"}, newborn)
