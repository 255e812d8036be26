"""The health-insurance number of Québec against name, birth date and sex: what fits, what does not, and what is another's."""

from datetime import date, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.health_insurance import (
    EARLIEST_BIRTH,
    FORMS,
    HealthNumberWarning,
    Issuer,
    PatientSuggestion,
    check_health_number,
    suggestions,
)
from domain.partial_dates import PartialDate

JEANNE: dict[str, Any] = {
    "issuer": None,
    "given_name": "Jeanne",
    "family_name": "Tremblay",
    "birth_date": PartialDate(1958, 3, 14),
    "sex": "female",
}
FORM, NAME = HealthNumberWarning.FORM, HealthNumberWarning.NAME
BIRTH_DATE, SEX = HealthNumberWarning.BIRTH_DATE, HealthNumberWarning.SEX


@pytest.mark.parametrize("number", ["TREJ58531412", "trej 5853 1412", "TREJ-5853-1412", " TREJ 58 53 14 12 "])
def test_one_that_fits_in_any_writing(number: str) -> None:
    assert check_health_number(number, **JEANNE) == ()


@pytest.mark.parametrize(
    ("number", "changes", "found"),
    [
        ("TREJ58031412", {}, (SEX,)),
        ("TREJ58531512", {}, (BIRTH_DATE,)),
        ("TREM58531412", {}, (NAME,)),
        ("TREJ59031412", {}, (BIRTH_DATE, SEX)),
        ("ROYM58031412", {}, (NAME, SEX)),
        ("TREJ5853141", {}, (FORM,)),
        ("TREJ585314123", {}, (FORM,)),
        ("TREJ58731412", {}, (FORM,)),  # month 23
        ("TREJ58500112", {}, (FORM,)),  # month 0
        ("TREJ57522912", {"birth_date": PartialDate(1957, 2, 28)}, (FORM,)),  # no 29 February in 1957 or 2057
        ("TREJ00522912", {"birth_date": PartialDate(2000, 2, 29)}, ()),
        ("TREJ58A31412", {}, (FORM,)),
        ("TREJ58031412", {"sex": "unknown"}, ()),
        ("TREJ58031412", {"sex": "other"}, ()),
        ("TREJ58031412", {"sex": None}, ()),
        ("TREJ58531412", {"birth_date": None}, ()),
        ("ROYM58531412", {"family_name": ""}, ()),
        ("COTE58531412", {"family_name": "Côté", "given_name": "Élise"}, ()),
        ("ROYX58531412", {"family_name": "Roy", "given_name": "Xavière"}, ()),
        ("LIXA58531412", {"family_name": "Li", "given_name": "An"}, ()),
        ("DAOA58531412", {"family_name": "D’Aoust", "given_name": "Anne"}, ()),
        ("STAA58531412", {"family_name": "St-Amand", "given_name": "Anne"}, ()),
        ("LOEA58531412", {"family_name": "Lœuil", "given_name": "Anne"}, ()),
        ("LECL58531412", {"family_name": "Łęcki", "given_name": "Łucja"}, ()),
        ("GARA58531412", {"family_name": "García Márquez", "given_name": "Ana"}, ()),
        ("MARA58531412", {"family_name": "García Márquez", "given_name": "Ana"}, ()),
        ("GARA58531412", {"family_name": "Márquez", "given_name": "Ana"}, (NAME,)),
        ("CRUA58531412", {"family_name": "de la Cruz", "given_name": "Ana"}, ()),
        ("DELA58531412", {"family_name": "de la Cruz", "given_name": "Ana"}, ()),
        ("LIXA58531412", {"family_name": "Li Wang", "given_name": "An"}, ()),
        ("TREM58531412", {"given_name": "Jeanne Marie"}, ()),
        ("KANT58531412", {"family_name": "Kanien’kehá:ka", "given_name": "Tekarihwaké:ron"}, ()),
        ("XXXX58531412", {"family_name": "ᐃᓄᒃ", "given_name": "ᐊᓂ"}, ()),
        ("WANG58531412", {"family_name": "", "given_name": "Sukarno"}, ()),
        *(("TREJ58531412", {"birth_date": PartialDate.read(text)}, ()) for text in ("1958", "1958-03")),
        *(("TREJ58531412", {"birth_date": PartialDate.read(text)}, (BIRTH_DATE,)) for text in ("1959", "1958-04")),
    ],
)
def test_what_does_not_fit_is_named(
    number: str, changes: dict[str, Any], found: tuple[HealthNumberWarning, ...]
) -> None:
    assert check_health_number(number, **{**JEANNE, **changes}) == found


@pytest.mark.parametrize("number", ["", "   ", "1234-567-890-AB", "9876543210", "N1234567", "ab 12", "—"])
def test_other_provinces_numbers_and_none_are_taken_as_they_are(number: str) -> None:
    assert check_health_number(number, **JEANNE) == ()


@pytest.mark.parametrize(
    ("issuer", "right", "wrong"),
    [
        ("CA-QC", "TREJ 5853 1412", "9876 543 210"),
        ("CA-ON", "1234-567-890-AB", "1234-567-89"),
        ("CA-ON", "1234567890", "TREJ 5853 1412"),
        ("CA-BC", "9876 543 210", "1876 543 210"),
        ("CA-AB", "12345-6789", "12345-678"),
        ("CA-NL", "123 456 789 012", "123 456 789"),
        ("CA-NT", "N1234567", "12345678"),
        ("CA-PE", "12345678", "A1234567"),
    ],
)
def test_the_form_of_each_issuer(issuer: Issuer, right: str, wrong: str) -> None:
    assert check_health_number(right, **{**JEANNE, "issuer": issuer}) == ()
    assert check_health_number(wrong, **{**JEANNE, "issuer": issuer}) == (FORM,)


def test_of_others_no_form_is_known() -> None:
    assert {"CA-QC", "CA", "other"} == {*get_args(Issuer)} - FORMS.keys()
    for issuer in ("CA", "other"):
        assert check_health_number("TREJ 1", **{**JEANNE, "issuer": issuer}) == ()
    for issuer in get_args(Issuer):
        assert check_health_number(" ", **{**JEANNE, "issuer": issuer}) == ()


TODAY = date(2026, 11, 26)


def said(number: str, born: str | None = None, **more: Any) -> list[tuple[str | None, str | None]]:
    """What it suggests: birth dates and sexes."""
    known = PartialDate.read(born) if born else None
    given: dict[str, Any] = {"issuer": None, "birth_date": known, "sex": None, "today": TODAY, **more}
    return [(one.birth_date, one.sex) for one in suggestions(number, **given)]


def test_a_number_can_fill_in_what_is_not_known() -> None:
    number = "TREJ 5853 1412"
    assert said(number) == [("1958-03-14", "female")]
    assert said(number, "1958") == said(number, "1958-03") == said(number)
    assert said(number, sex="unknown") == said(number)
    assert said(number, sex="male") == said(number, sex="other") == [("1958-03-14", None)]
    assert said(number, "1958-03-14") == [(None, "female")]
    assert said(number, "1958-03-14", sex="female") == []
    assert said(number, "1959") == said(number, "1958-04") == said(number, "1958-03-15") == []
    assert said("TREJ 5803 1412") == [("1958-03-14", "male")]


def test_who_may_be_a_hundred_years_old_or_newly_born() -> None:
    assert said("TREJ 2453 1412") == [("2024-03-14", "female"), ("1924-03-14", "female")]
    assert said("TREJ 2453 1412", "1924") == [("1924-03-14", "female")]
    assert said("TREJ 2661 2611") == [("2026-11-26", "female"), ("1926-11-26", "female")]
    assert said("TREJ 2661 2711") == [("1926-11-27", "female")]  # tomorrow
    assert said("TREJ 0002 2911") == [("2000-02-29", "male")]  # 1900 had none


@pytest.mark.parametrize("number", ["", "TREJ 5873 1412", "TREJ 585", "9876 543 210", "N1234567"])
def test_nothing_is_read_where_it_is_no_number_of_quebec(number: str) -> None:
    assert said(number) == []
    assert said("TREJ 5853 1412", issuer="CA-ON") == []


@given(st.dates(EARLIEST_BIRTH, TODAY), st.booleans(), st.sampled_from(["day", "month", "year", "none"]))
def test_everybodys_own_number_fits_and_fills_in(born: date, is_female: bool, known: str) -> None:
    number = f"TREJ {born:%y}{born.month + 50 * is_female:02}{born:%d}11"
    sex = "female" if is_female else "male"
    partial = {
        "day": PartialDate(born.year, born.month, born.day),
        "month": PartialDate(born.year, born.month),
        "year": PartialDate(born.year),
        "none": None,
    }[known]
    assert check_health_number(number, **{**JEANNE, "birth_date": partial, "sex": sex}) == ()
    found = suggestions(number, issuer=None, birth_date=partial, sex=None, today=TODAY)
    filled = PatientSuggestion(birth_date=None if known == "day" else born.isoformat(), sex=sex)
    assert filled in found
    assert all(one.birth_date is None or date.fromisoformat(one.birth_date) <= TODAY for one in found)
    assert PartialDate(born.year, born.month).last - born < timedelta(days=31)
