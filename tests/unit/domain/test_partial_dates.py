"""Dates as far as they are known: how they are written, and which days they may be."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.partial_dates import PartialDate


@pytest.mark.parametrize(
    ("written", "first", "last"),
    [
        ("1980", date(1980, 1, 1), date(1980, 12, 31)),
        ("1980-02", date(1980, 2, 1), date(1980, 2, 29)),
        ("1981-02", date(1981, 2, 1), date(1981, 2, 28)),
        ("1980-12", date(1980, 12, 1), date(1980, 12, 31)),
        ("1980-05-17", date(1980, 5, 17), date(1980, 5, 17)),
        ("9999-12", date(9999, 12, 1), date(9999, 12, 31)),
    ],
)
def test_which_days_it_may_be(written: str, first: date, last: date) -> None:
    known = PartialDate.read(written)
    assert (str(known), known.first, known.last) == (written, first, last)
    assert known.may_be(first)
    assert known.may_be(last)
    assert not known.may_be(first - timedelta(days=1))
    assert last == date.max or not known.may_be(last + timedelta(days=1))


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "80", "0000", "1980-", "1980-00", "1980-13", "1980-5", "1980-05-00", "1980-02-30", "1981-02-29"),
        *(
            "1980-05-17T00:00",
            "198005",
            "19800517",
            "1980-W20",
            "1980-05-17 ",
            "１９８０",
            "-980",
            "1980-05-1",
            "1980/05",
        ),
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any
        PartialDate.read(text)


@given(st.dates())
def test_every_day_in_its_month_and_year(day: date) -> None:
    text = day.isoformat()
    assert all(PartialDate.read(text[:length]).may_be(day) for length in (4, 7, 10))
