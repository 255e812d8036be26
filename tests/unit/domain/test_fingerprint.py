"""No rule changes under the requests that live by it: every version of the rules decides as it did when it was new."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import pytest

from domain import closing_days, lifecycle, rules
from domain.calendar import Calendar
from domain.commands import BaseCommand, RequestInformation
from domain.lifecycle import Row
from domain.offerings import NOT_NAMED
from domain.requests import Status
from domain.rules import CURRENT, RULES
from tests.rounds import some_of
from tests.unit.domain.fingerprint import STORIES, deadlines, fingerprint, stored, told

ADVICE = """
A rule changed under version {version}, by which requests live that are under way: their workflows would break, or tell the
records another due time than was promised. Add a version of the rules instead, and let this one be (docs/changing-rules.md).
The first of {number} stories that now goes another way is {seed}:

{story}
"""


def unchanged(version: int, now: Mapping[int, str]) -> None:
    """Fails with what to do and the first story that differs."""
    kept = stored(version)
    differ = [seed for seed in now if now[seed] != kept[seed]]
    if differ:
        story = "\n".join(told(version, differ[0]))
        pytest.fail(ADVICE.format(version=version, number=len(differ), seed=differ[0], story=story))


@pytest.mark.parametrize("version", RULES)
def test_a_version_decides_as_ever(version: int) -> None:
    """Of the versions that nothing begins with any more every third story; `make whole` tells them all."""
    assert len(stored(version)) == STORIES
    seeds = range(STORIES) if version == CURRENT else some_of(range(STORIES), 3, version)
    unchanged(version, fingerprint(version, seeds))


def test_the_deadlines_that_terms_do_not_name_are_as_ever() -> None:
    then = {name: terms for name, terms in deadlines().items() if name in NOT_NAMED}
    assert then == NOT_NAMED, (
        "requests that are under way live by them: write another default in DEFAULT_DEADLINES alone"
    )


def some(version: int) -> dict[int, str]:
    """A part of the fingerprint, enough to notice what the tests below change."""
    return fingerprint(version, range(60))


def tightened(row: Row) -> Row:
    """Questions may be asked only after acceptance."""
    return replace(row, allowed_in=frozenset({Status.ACCEPTED}))


@pytest.mark.long
def test_a_rule_that_is_tightened_without_a_version_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    key: tuple[int, type[BaseCommand]] = (CURRENT, RequestInformation)
    monkeypatch.setitem(lifecycle._ROWS, key, tightened(lifecycle._ROWS[key]))
    with pytest.raises(pytest.fail.Exception, match=r"(?s)Add a version of the rules.*request_information"):
        unchanged(CURRENT, some(CURRENT))


@pytest.mark.long
def test_the_same_rule_as_a_version_of_its_own_changes_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    new = CURRENT + 1
    monkeypatch.setitem(rules.RULES, new, replace(RULES[CURRENT], version=new))
    for (version, command), row in list(lifecycle._ROWS.items()):
        if version == CURRENT:
            changed = tightened(row) if command is RequestInformation else row
            monkeypatch.setitem(lifecycle._ROWS, (new, command), changed)
    for version in (1, CURRENT):
        unchanged(version, some(version))
    assert some(new) != some(CURRENT)


@pytest.mark.long
def test_a_clock_that_moves_without_a_version_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    later = Calendar.later
    monkeypatch.setattr(Calendar, "later", lambda self, start, length, **how: later(self, start, length * 1.01, **how))
    for version in (1, CURRENT):
        with pytest.raises(pytest.fail.Exception, match="Add a version of the rules"):
            unchanged(version, some(version))


@pytest.mark.long
def test_a_newer_table_of_holidays_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    every_day = frozenset(date(2026, 1, 1) + (date(2026, 1, 2) - date(2026, 1, 1)) * n for n in range(700))
    for choice in closing_days.CLOSING_DAYS:
        monkeypatch.setitem(closing_days.CLOSING_DAYS, choice, every_day)
    for version in (1, CURRENT):
        unchanged(version, some(version))
