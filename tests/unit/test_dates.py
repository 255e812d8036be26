"""Spans, ages, distances and sizes as they are read, in both languages."""

from datetime import UTC, date, datetime, timedelta

import pytest

from domain.calendar import TIME_ZONE, Span
from domain.priority import Priority
from settings import PROJECT_ROOT
from translations import LANGUAGES
from translations.dates import age, birth, clock, day, distance, moment, span
from translations.numbers import rounded, size
from translations.words import listed, priority_words
from use_cases.offering_files import load_offerings

NOW = datetime(2026, 11, 25, 15, tzinfo=UTC)


def spaced(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("written", "french", "english"),
    [
        ("1h", "1 heure", "1 hour"),
        ("4h", "4 heures", "4 hours"),
        ("1d", "1 jour", "1 day"),
        ("30d", "30 jours", "30 days"),
        ("1bd", "1 jour ouvrable", "1 business day"),
        ("7bd", "7 jours ouvrables", "7 business days"),
    ],
)
def test_a_span(written: str, french: str, english: str) -> None:
    assert [spaced(span(Span.of(written), language)) for language in LANGUAGES] == [french, english]


def test_the_day_of_a_moment_is_that_of_the_clinics() -> None:
    """In the evening, it is tomorrow already in UTC."""
    evening = datetime(2026, 11, 27, 0, 50, tzinfo=UTC)
    assert spaced(day(evening, "fr")) == spaced(day(date(2026, 11, 26), "fr")) == "26 novembre 2026"


def test_a_sentence_may_end_with_a_time() -> None:
    """And has one full stop then: its own."""
    morning, evening = datetime(2026, 11, 26, 14, 5, tzinfo=UTC), datetime(2026, 11, 27, 0, 50, tzinfo=UTC)
    assert [spaced(clock(at, "en")) for at in (morning, evening)] == ["9:05 am", "7:50 pm"]
    assert spaced(moment(evening, "en")) == "November 26, 2026 at 7:50 pm"
    assert spaced(clock(evening, "fr")) == "19 h 50"


def test_a_distance_in_time() -> None:
    assert distance(NOW + timedelta(days=2), "fr", NOW) == "dans 2 jours"
    assert distance(NOW - timedelta(hours=3), "en", NOW) == "3 hours ago"


ON = date(2026, 11, 26)


@pytest.mark.parametrize(
    ("born", "french", "english"),
    [
        ("2026-11-26", "0 jours", "0 days old"),
        ("2026-11-25", "1 jour", "1 day old"),
        ("2026-10-30", "27 jours", "27 days old"),
        ("2026-10-29", "4 semaines", "4 weeks old"),
        ("2026-08-27", "13 semaines", "13 weeks old"),
        ("2026-08-26", "3 mois", "3 months old"),
        ("2024-11-27", "23 mois", "23 months old"),
        ("2024-11-26", "2 ans", "2 years old"),
        ("1958-03-14", "68 ans", "68 years old"),
        ("1900-01-01", "126 ans", "126 years old"),
        ("1980", "environ 46 ans", "about 46 years old"),
        ("1980-11", "environ 46 ans", "about 46 years old"),
        ("1980-10", "46 ans", "46 years old"),
        ("1980-12", "45 ans", "45 years old"),
        ("2026", "moins d’un an", "less than a year old"),
        ("2026-11", "moins d’un mois", "less than a month old"),
        ("2026-10", "environ 1 mois", "about 1 month old"),
        ("2026-02", "environ 9 mois", "about 9 months old"),
        ("2025", "environ 1 an", "about 1 year old"),
        ("2024", "environ 2 ans", "about 2 years old"),
    ],
)
def test_an_age_as_one_says_it(born: str, french: str, english: str) -> None:
    assert [age(born, language, ON) for language in LANGUAGES] == [french, english]


def test_an_age_of_today() -> None:
    """Without a day it is said for today, also where midnight passes meanwhile."""
    before = datetime.now(TIME_ZONE).date()
    said = [age("1976-12-31", "fr"), age("1976", "en")]
    possible = {before, datetime.now(TIME_ZONE).date()}
    assert said in [[age("1976-12-31", "fr", on), age("1976", "en", on)] for on in possible]


def test_a_birth_date_as_far_as_it_is_known() -> None:
    written = ["1958-03-14", "1958-03", "1958"]
    assert [spaced(birth(born, "fr")) for born in written] == ["14 mars 1958", "mars 1958", "1958"]
    assert [spaced(birth(born, "en")) for born in written] == ["March 14, 1958", "March 1958", "1958"]


def test_sizes_numbers_and_lists() -> None:
    assert [spaced(size(3_565_158, language)) for language in LANGUAGES] == ["3,4 Mo", "3.4 MB"]
    assert [spaced(size(100, language)) for language in LANGUAGES] == ["1 ko", "1 kB"]
    assert spaced(rounded(12_345.67, "fr")) == "12 345,7"
    assert listed(["9 h", "13 h"], "fr") == "9 h et 13 h"


@pytest.mark.parametrize(
    ("priority", "french", "english", "neutral"),
    [
        (Priority.ASAP, "Sous 4 heures", "Within 4 hours", "Très rapide"),
        (Priority.URGENT, "Sous 24 heures", "Within 24 hours", "Rapide"),
        (Priority.ROUTINE, "Courante", "Routine", "Courante"),
    ],
)
def test_a_priority_says_how_soon(priority: Priority, french: str, english: str, neutral: str) -> None:
    offerings = load_offerings(PROJECT_ROOT / "offerings")
    said = {spaced(priority_words(priority, offerings["teledermatology"], language)) for language in LANGUAGES}
    assert said == {french, english}
    assert priority_words(priority, None, "fr") == neutral


def test_each_offering_says_its_own_limits() -> None:
    offering = load_offerings(PROJECT_ROOT / "offerings")["wound_care"]
    assert spaced(priority_words(Priority.ASAP, offering, "fr")) == "Sous 2 heures"
    assert spaced(priority_words(Priority.URGENT, offering, "en")) == "Within 8 hours"
