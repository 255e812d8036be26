"""What somebody means who types something into the search, and the words by which a patient is found."""

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.search import LONGEST_BEGINNING, MOST_TERMS, numbers_with, read_search, words_of_patient
from domain.texts import ONE_SIGN

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
        *("1979", "1979-03", "03/1979", "3.1979", "mars 1979", "March 1979", "zoé 1979", "1979-3 lœwen"),
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


@pytest.mark.parametrize(
    ("born", "found", "not_found"),
    [
        ("1958", ["1958", "1958-03", "1958-03-14", "mars 1958"], ["1959", "1959-03-14", "1958-13"]),
        ("1958-03", ["1958", "1958-03", "1958-03-14", "14/03/1958"], ["1958-04", "1958-04-14", "1957"]),
        ("1958-12", ["1958-12", "1958", "décembre 1958"], ["1958-03"]),
    ],
)
def test_who_is_known_by_year_or_month_only(born: str, found: list[str], not_found: list[str]) -> None:
    assert [text for text in (*found, *not_found) if finds(text, {"birth_date": born})] == found


ONE_NAME_IN_MANY_WRITINGS = [
    ["Kanien’kehá:ka", "kanien'keha:ka", "Kanienʼkehá꞉ka", "kanienkehaka", "kanienkeha"],
    ["Ts’its’i", "tsitsi", "Tsʼitsʼi"],
    ["Tekarihwaké:ron", "tekarihwakeron", "TEKARIHWAKÉRON"],
    ["D’Aoust", "daoust", "d'aoust", "aoust"],
    ["Ḵwakwa̱ka̱ʼwakw", "kwakwakawakw"],
    ["ᐊᓂ ᓄᓇᕗᑦ", "ᓄᓇᕗ", "ᐊᓂ"],
    ["Kanikuenᵘ", "kanikuenu"],
    ["Wendȣt", "wendout"],
    ["Ałtsé", "altse"],
    ["Atikamekw-Nehirowisiw", "nehirowisiw", "atikamekwnehirowisiw", "atikamekw‑nehiro"],
]


@pytest.mark.parametrize("writings", ONE_NAME_IN_MANY_WRITINGS, ids=lambda writings: writings[0])
def test_a_name_is_found_however_its_signs_are_written(writings: list[str]) -> None:
    for text in writings:
        for field in ("given_name", "family_name"):
            assert finds(text, {field: writings[0]}), text


LETTERS = "abcdefghijklmnopqrstuvwxyzàâäéèêëîïôöùûüÿçœæłřčñḵā" + "ᐃᓄᒃᑎᐅᐊᓂᐧᐤᒥᔅᑭ"
NAME = st.lists(
    st.lists(st.text(LETTERS, min_size=1, max_size=30), min_size=1, max_size=3).flatmap(
        lambda parts: st.sampled_from("'’ʼꞌ:꞉-‑").map(lambda sign: sign.join(parts))
    ),
    min_size=1,
    max_size=2,
).map(" ".join)


@given(NAME)
def test_every_name_finds_itself(name: str) -> None:
    patient: dict[str, str | None] = {"family_name": name}
    keyboard = "".join(ONE_SIGN.get(sign, sign) for sign in name)
    without = "".join(sign for sign in keyboard if sign not in "':")
    for text in (name, name.upper(), name.title(), unicodedata.normalize("NFD", name), keyboard, without):
        assert finds(text, patient), text


def test_a_newborn_is_found_by_the_mother() -> None:
    patient: dict[str, str | None] = {"given_name": "", "mother_name": "Élise Roy", "birth_date": "2026-11-26"}
    for text in ("bébé de Élise Roy", "Bébé d’Élise Roy", "baby of elise", "Roy", "bebe 2026-11-26"):
        assert finds(text, patient), text
    assert not finds("bébé de Marie", patient)


def test_a_number_of_ontario_is_found_without_its_version() -> None:
    patient: dict[str, str | None] = {"health_insurance_number": "1234-567-890-AB"}
    for text in ("1234567890", "1234 567 890", "1234-567-890-ab"):
        assert finds(text, patient), text


def test_a_month_may_be_a_number_of_a_request() -> None:
    search = read_search("1958-12")
    assert search.number == "TC-1958-000012"
    assert finds("1958-12", {"birth_date": "1958-12-01"})
    assert read_search("tc 1958-12").terms == ()


def test_a_day_that_can_be_read_two_ways_finds_both() -> None:
    (term,) = read_search("03/04/1958").terms
    partly = {"born:1958-04", "born:1958-03", "born:1958"}
    assert term.patient == {"born:1958-04-03", "born:1958-03-04", *partly}
    (term,) = read_search("31/01/1958").terms
    assert term.patient == {"born:1958-01-31", "born:1958-01", "born:1958"}


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


@pytest.mark.parametrize("last", [0, 1, 999, 12_345, 1_000_100])
@pytest.mark.parametrize(
    "part", ["1", "00", "0043", "4321", "999999", "1000000", "202", "TC", "2026-12", "TC-2026-0012", "TC-12"]
)
def test_the_newest_numbers_with_a_part(part: str, last: int) -> None:
    counts = range(last, max(0, last - 20_000), -1)
    expected = [number for count in counts if part in (number := f"TC-2026-{count:06}")]
    assert [*itertools.islice(numbers_with(part, 2026, last), len(expected))] == expected
    if last <= len(counts):
        assert [*numbers_with(part, 2026, last)] == expected
