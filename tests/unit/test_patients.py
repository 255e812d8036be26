"""Who the advice is for: names as they are given, birth dates as far as they are known, newborns."""

import unicodedata
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.calendar import day_of
from domain.health_insurance import EARLIEST_BIRTH
from use_cases.patients import Patient, RecordedPatient, check_patient

TODAY = day_of(datetime.now(UTC))

LETTERS = st.characters(categories=("Lu", "Ll", "Lo"))
"""The letters of every language."""


@given(st.text(LETTERS, min_size=1, max_size=1_000))
def test_a_name_is_kept_as_it_is_given(name: str) -> None:
    kept = Patient(family_name=name).family_name
    assert kept in ("", unicodedata.normalize("NFC", name))
    assert kept or not any(letter.isprintable() for letter in name if letter not in "\u115f\u1160\u3164\uffa0")


@pytest.mark.parametrize(
    "name",
    [
        "Kanien’kehá:ka",
        "D'Aoust",
        "Ts’its’iʼ",
        "de la Cruz y Márquez",
        "St‑Onge",
        "ᐊᓂ ᐧᐃᐤ",
        "Tshikuanᵘ",
        "Ȣendat",
        "O",
        "X Æ A-12",
    ],
)
def test_names_of_quebec(name: str) -> None:
    assert Patient(given_name=f" {name} ").given_name == name


@given(st.dates(EARLIEST_BIRTH, TODAY), st.sampled_from([4, 7, 10]))
def test_every_birth_is_taken_as_far_as_it_is_known(born: date, length: int) -> None:
    known = born.isoformat()[:length]
    patient = Patient(birth_date=known, given_name="Li")
    assert (patient.birth_date, check_patient(patient)) == (known, ())


@given(st.dates(TODAY + timedelta(days=2)) | st.dates(max_value=EARLIEST_BIRTH - timedelta(days=1)))
def test_nobody_is_born_tomorrow_or_was_born_long_ago(day: date) -> None:
    for length in (4, 7, 10):
        known = day.isoformat()[:length]
        tomorrow = TODAY + timedelta(days=1)  # when midnight passes meanwhile
        if known in {begun.isoformat()[:length] for begun in (TODAY, tomorrow, EARLIEST_BIRTH)}:
            continue  # this month has begun
        with pytest.raises(ValidationError, match="Nobody was born"):
            Patient(birth_date=known)


@pytest.mark.parametrize(
    ("patient", "french", "english"),
    [
        ({"given_name": "Jeanne", "family_name": "Roy"}, "Jeanne Roy", "Jeanne Roy"),
        ({"given_name": "Sukarno"}, "Sukarno", "Sukarno"),
        ({"family_name": "ᐊᓂ"}, "ᐊᓂ", "ᐊᓂ"),
        ({"mother_name": "Marie Roy"}, "Bébé de Marie Roy", "Baby of Marie Roy"),
        ({"mother_name": "Élise Roy"}, "Bébé d’Élise Roy", "Baby of Élise Roy"),
        ({"mother_name": "ᐊᓂ"}, "Bébé de ᐊᓂ", "Baby of ᐊᓂ"),
        ({"mother_name": "Marie", "family_name": "Roy"}, "Roy (Bébé de Marie)", "Roy (Baby of Marie)"),
        ({"mother_name": "Marie", "given_name": "Léa"}, "Léa", "Léa"),
        ({"given_name": "\u200b", "family_name": "\u3164"}, "", ""),
        ({}, "", ""),
    ],
)
def test_what_a_patient_is_called(patient: dict[str, Any], french: str, english: str) -> None:
    recorded = RecordedPatient(**patient)
    assert (recorded.full_name("fr"), recorded.full_name("en")) == (french, english)
    assert ("required" in {problem.code for problem in check_patient(recorded) if "name" in problem.field}) is (
        french == ""
    )


def test_what_nobody_has_said_is_not_written() -> None:
    """So that forms are the same as before, and older code reads them."""
    assert Patient(given_name="Li").model_dump(mode="json") == {
        "given_name": "Li",
        "family_name": "",
        "birth_date": None,
        "health_insurance_number": "",
        "sex": None,
    }
