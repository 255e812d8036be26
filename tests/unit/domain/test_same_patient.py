"""Whether two forms are about the same patient: the same number, or the same names born on the same day."""

import pytest

from domain.same_patient import is_same_patient, words_in_common
from domain.search import words_of_patient

JEANNE = {
    "given_name": "Jeanne",
    "family_name": "Tremblay",
    "birth_date": "1958-03-14",
    "health_insurance_number": "TREJ 5853 1412",
}
BABY = {"mother_name": "Jeanne Tremblay", "birth_date": "2026-11-20", "health_insurance_number": "TREJ 5853 1412"}


@pytest.mark.parametrize(
    "other",
    [
        JEANNE,
        {**JEANNE, "health_insurance_number": "trej58531412"},
        {**JEANNE, "given_name": "JEANNE", "health_insurance_number": ""},
        {**JEANNE, "given_name": "Tremblay", "family_name": "jeanne", "health_insurance_number": ""},
        {**JEANNE, "given_name": "J.", "family_name": "Tremblay-Roy"},
        {"health_insurance_number": "TREJ58531412"},
        {"health_insurance_number": "TREJ58531412", "birth_date": "1958"},
    ],
)
def test_the_same(other: dict[str, str]) -> None:
    assert is_same_patient(JEANNE, other)
    assert is_same_patient(other, JEANNE)
    assert any(set(words) <= words_of_patient(other) for words in words_in_common(JEANNE))


@pytest.mark.parametrize(
    "other",
    [
        {},
        BABY,
        {**JEANNE, "birth_date": "1958-03-15"},
        {**JEANNE, "birth_date": "1958-03", "health_insurance_number": ""},
        {**JEANNE, "birth_date": None, "health_insurance_number": ""},
        {**JEANNE, "given_name": "Jeanne-Mance", "health_insurance_number": ""},
        {**JEANNE, "family_name": "Tremblay-Roy", "health_insurance_number": ""},
        {"birth_date": "1958-03-14"},
        {"mother_name": "Jeanne Tremblay", "health_insurance_number": "TREJ58531412"},
    ],
)
def test_another(other: dict[str, str]) -> None:
    assert not is_same_patient(JEANNE, other)
    assert not is_same_patient(other, JEANNE)


def test_who_is_known_by_nothing_is_nobody() -> None:
    for patient in ({}, {"given_name": "Jeanne"}, {"birth_date": "1958-03-14"}, {"health_insurance_number": "12"}):
        assert not is_same_patient(patient, patient)
        assert list(words_in_common(patient)) == []


def test_a_newborn_is_found_by_the_mothers_name_and_their_own_birth() -> None:
    assert is_same_patient(BABY, {**BABY, "health_insurance_number": ""})
    assert not is_same_patient(BABY, {**BABY, "birth_date": "2026-11-21"})


def test_what_fewest_have_comes_first() -> None:
    """So that it is found at one place of an index, however many others have the same name."""
    _, by_name = words_in_common({**JEANNE, "given_name": "Jo", "family_name": "Tremblay"})
    assert by_name[0].startswith("born:")
    assert [len(word) for word in by_name[1:]] == sorted((len(word) for word in by_name[1:]), reverse=True)
