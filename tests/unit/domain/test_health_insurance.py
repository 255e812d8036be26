"""The health-insurance number of Québec against name, birth date and sex: what fits, what does not, and what is another's."""

from datetime import date
from typing import Any

import pytest

from domain.health_insurance import HealthNumberWarning, check_health_number

JEANNE: dict[str, Any] = {
    "given_name": "Jeanne",
    "family_name": "Tremblay",
    "birth_date": date(1958, 3, 14),
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
        ("TREJ57522912", {"birth_date": date(1957, 2, 28)}, (FORM,)),  # no 29 February in 1957 or 2057
        ("TREJ00522912", {"birth_date": date(2000, 2, 29)}, ()),
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
    ],
)
def test_what_does_not_fit_is_named(
    number: str, changes: dict[str, Any], found: tuple[HealthNumberWarning, ...]
) -> None:
    assert check_health_number(number, **{**JEANNE, **changes}) == found


@pytest.mark.parametrize("number", ["", "   ", "1234-567-890-AB", "9876543210", "N1234567", "ab 12", "—"])
def test_other_provinces_numbers_and_none_are_taken_as_they_are(number: str) -> None:
    assert check_health_number(number, **JEANNE) == ()
