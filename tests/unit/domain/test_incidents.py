"""What is owed about an incident, and what can't be so."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from domain.incidents import OF_REGISTER, TOLD, Duty, Incident, faults, owed, pressing

AWARE = date(2026, 11, 20)
COMPLETE: dict[str, Any] = {
    "happened_from": "2026-11",
    "persons": 0,
    "risk_elements": "Noms seuls.",
    "measures": "Rappelé.",
}


def incident(**more: Any) -> Incident:
    return Incident.model_validate({"information": "Noms", "circumstances": "Télécopieur", "aware_on": AWARE, **more})


def duties(one: Incident) -> list[Duty]:
    return [each.duty for each in owed(one)]


def test_whether_it_is_serious_is_owed_first_and_no_notice_before() -> None:
    assert duties(incident()) == [Duty.ASSESS, Duty.COMPLETE]
    assert duties(incident(**COMPLETE)) == [Duty.ASSESS]
    assert duties(incident(**COMPLETE, serious_risk=False)) == []


def test_of_a_serious_risk_each_notice_is_owed_until_its_day_or_why_not_is_written() -> None:
    serious = incident(**COMPLETE, serious_risk=True)
    assert duties(serious) == list(TOLD)
    assert {each.since for each in owed(serious)} == {AWARE}
    for duty, (told_on, not_told) in TOLD.items():
        for done in ({told_on: AWARE}, {not_told: "Une enquête est en cours."}):
            assert duties(incident(**COMPLETE, serious_risk=True, **done)) == [one for one in TOLD if one != duty]


@pytest.mark.parametrize("field", OF_REGISTER)
def test_what_the_register_must_say_is_owed_until_it_does(field: str) -> None:
    left = {name: value for name, value in COMPLETE.items() if name != field}
    (one,) = owed(incident(**left, serious_risk=False))
    assert (one.duty, one.fields) == (Duty.COMPLETE, (field,))


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"aware_on": AWARE + timedelta(days=9)}, [("aware_on", "in_the_future")]),
        ({"happened_from": "2027"}, [("happened_from", "in_the_future")]),
        ({"happened_until": "2026-11-01"}, [("happened_from", "required")]),
        ({"happened_from": "2026-11-10", "happened_until": "2026-10"}, [("happened_until", "before_it_begins")]),
        ({"happened_from": "2026-11-10", "happened_until": "2026-11"}, []),
        ({"minister_told_on": AWARE - timedelta(days=1)}, [("minister_told_on", "before_aware")]),
        ({"persons_told_on": AWARE + timedelta(days=9)}, [("persons_told_on", "in_the_future")]),
        ({"public_notice_on": AWARE}, [("public_notice_because", "required")]),
        ({"public_notice_on": AWARE, "public_notice_because": "Adresses inconnues."}, []),
        ({"commission_told_on": AWARE}, []),
    ],
)
def test_what_cannot_be_so(said: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert list(faults(incident(**said), AWARE + timedelta(days=7))) == found


def test_what_presses_stands_first() -> None:
    earlier = Incident.model_validate({**incident().model_dump(), "aware_on": date(2026, 1, 1)})
    done = incident(**COMPLETE, serious_risk=False)
    older_done = Incident.model_validate({**done.model_dump(), "aware_on": date(2026, 1, 1)})
    to_complete = incident(serious_risk=False)
    assert sorted([older_done, done, to_complete, incident(), earlier], key=pressing) == [
        *(earlier, incident(), to_complete, done, older_done)
    ]


def test_it_is_kept_for_five_years_from_when_the_clinic_knew() -> None:
    assert incident().kept_until == date(2031, 11, 20)
    assert Incident.model_validate({**incident().model_dump(), "aware_on": date(2024, 2, 29)}).kept_until == date(
        2029, 3, 1
    )


@pytest.mark.parametrize(
    ("field", "said", "code"),
    [
        *(("aware_on", said, "not_a_date") for said in ("", "hier", 0, 1_700_000_000, "20261120", "2026-02-30")),
        *(("happened_from", said, "not_a_partial_date") for said in ("", "mai", 2026, "2026-13", "2026-1")),
        ("persons", -1, "greater_than_equal"),
        ("cause", " \u200b", "string_too_short"),
    ],
)
def test_what_cannot_be_read_has_a_code(field: str, said: object, code: str) -> None:
    with pytest.raises(ValidationError) as raised:
        incident(**{field: said})
    assert [(one["loc"], one["type"]) for one in raised.value.errors()] == [((field,), code)]


def test_what_was_recorded_reads_as_it_was_written() -> None:
    one = incident(**COMPLETE, serious_risk=True, minister_told_on="2026-11-20", request_ids=[uuid4()])
    assert Incident.model_validate(one.model_dump(mode="json")) == one
