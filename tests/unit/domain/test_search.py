"""What somebody means who types something into the search, and the words by which a patient is found."""

import unicodedata

import pytest

from domain.search import LONGEST_BEGINNING, MOST_TERMS, read_search, words_of_patient

PATIENT = {
    "given_name": "Zoé-Ève",
    "family_name": "Lœwen O’Brien Li",
    "birth_date": "1979-03-12",
    "health_insurance_number": "LOEZ 7953 1217",
    "sex": None,
}


def finds(text: str, patient: dict[str, str | None] = PATIENT) -> bool:
    """Whether the search finds the patient by itself, as the records put it together."""
    search, words = read_search(text), words_of_patient(patient)
    by_terms = bool(search.terms) and all(term.patient & words for term in search.terms)
    return by_terms or search.health_number in words


@pytest.mark.parametrize(
    "text",
    [
        *(
            "zoe",
            "Ève",
            "eve zoé",
            "ZOÉ-ÈVE",
            "zoeeve",
            "loewen",
            "Lœwen",
            "lœw",
            "Li",
            "o'brien",
            "OBrien",
            "obr",
            "brien zoe",
        ),
        *(
            "1979-03-12",
            "12/03/1979",
            "3/12/1979",
            "12.03.1979",
            "19790312",
            "1979 3 12",
            "12 mars 1979",
            "March 12, 1979",
        ),
        *("LOEZ79531217", "loez 7953 1217", "LOEZ-7953-1217", "Loewen 1979-03-12", "né 12 mars 1979"[3:] + " zoé"),
        *("Zoé LOEZ 7953 1217", unicodedata.normalize("NFD", "Zoé Ève")),
    ],
)
def test_a_patient_is_found(text: str) -> None:
    assert finds(text)


@pytest.mark.parametrize(
    "text",
    ["", "  ", "%", "_", "___", "*", "zo", "l", "loewenn", "zoe tremblay", "1979-03-13", "13/13/1979", "79531217"],
)
def test_a_patient_is_not_found(text: str) -> None:
    assert not finds(text)


def test_a_day_that_can_be_read_two_ways_finds_both() -> None:
    (term,) = read_search("03/04/1958").terms
    assert term.patient == {"born:1958-04-03", "born:1958-03-04"}
    (term,) = read_search("31/01/1958").terms
    assert term.patient == {"born:1958-01-31"}


@pytest.mark.parametrize(
    "text",
    ["TC-2026-000012", "tc 2026 12", "2026-12", " tc-2026-12 ", "2026 000012", "TC 2026-000012", "tc2026-12"],
)
def test_a_number_in_any_writing(text: str) -> None:
    assert read_search(text).number == "TC-2026-000012"


@pytest.mark.parametrize(
    ("text", "part"), [("tc-", "TC"), ("TC-2026", "TC-2026"), ("2026-0000", "2026-0000"), ("000012", "000012")]
)
def test_a_part_of_a_number(text: str, part: str) -> None:
    search = read_search(text)
    assert (search.number, search.part_of_number) == (None, part)


def test_a_number_of_many_requests() -> None:
    assert read_search("TC-2026-1234567").number == "TC-2026-1234567"


@pytest.mark.parametrize("patient", [{}, {"given_name": "", "birth_date": None}, {"family_name": None}])
def test_what_is_not_known_of_a_patient_finds_nobody(patient: dict[str, None]) -> None:
    assert words_of_patient(patient) == frozenset()


def test_names_of_other_scripts_and_endless_ones() -> None:
    assert finds("王", {"family_name": "王小明 王"})
    assert finds("ἀλέξ", {"given_name": "Αλέξανδρος"})
    long = "Wolfeschlegelsteinhausenbergerdorff"
    assert finds(long, {"family_name": long})
    assert max(map(len, words_of_patient({"family_name": long}))) == len("name:") + LONGEST_BEGINNING
    assert len(read_search(" ".join(chr(97 + n) * 3 for n in range(20))).terms) == MOST_TERMS
