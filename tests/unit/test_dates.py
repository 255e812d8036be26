"""Spans, ages, distances and sizes as they are read, in both languages."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.calendar import TIME_ZONE, Span
from domain.priority import Priority
from settings import PROJECT_ROOT
from translations import LANGUAGES
from translations.dates import age, distance, span
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


def test_a_distance_in_time() -> None:
    assert distance(NOW + timedelta(days=2), "fr", NOW) == "dans 2 jours"
    assert distance(NOW - timedelta(hours=3), "en", NOW) == "3 hours ago"


def test_small_children_are_told_in_months() -> None:
    today = datetime.now(TIME_ZONE).date()
    first = today.replace(day=1)
    assert age(first, "fr") == "0 mois"
    assert age(first.replace(year=first.year - 1), "en") == "12 months old"
    assert age(first.replace(year=first.year - 2).isoformat(), "fr") == "2 ans"


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
