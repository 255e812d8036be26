"""Every stored workflow history must still replay, and compute what it recorded: requests that began weeks ago go on so."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from domain import closing_days, lifecycle, rules
from domain.calendar import Calendar
from domain.commands import BaseCommand, RequestInformation
from domain.requests import Status
from engine.converter import data_converter
from engine.sandbox import Sandbox
from key_ring import KeyRing
from tests.histories import FOLDER, KEYS
from tests.histories.changed import ChangedWorkflow
from tests.histories.replays import STORED, computed, recorded, stored
from workflows.teleconsultation import TeleconsultationWorkflow


def replayer(workflow: type) -> Replayer:
    return Replayer(workflows=[workflow], workflow_runner=Sandbox(), data_converter=data_converter(KeyRing.parse(KEYS)))


def test_the_stories_are_here() -> None:
    kinds = {path.stem.rpartition("-")[0] for path in STORED}
    assert kinds == {
        *("many_ways", "every_clock", "signals_refused", "cancelled_in_ui", "cancelled_in_vain", "addendum"),
        *(
            "signing_failed",
            "lost",
            "continued",
            "mail_gathered",
            "renewed",
            "office_hours",
            "signed_apart",
            "waited_for",
        ),
        *("handed_on", "asked_about", "taken_back", "cancelled_unread"),
    }
    for twice in ("asked_about", "addendum", "lost", "continued", "renewed"):
        assert FOLDER / f"{twice}-2.json" in STORED


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
async def test_a_stored_history_replays(path: Path) -> None:
    await replayer(TeleconsultationWorkflow).replay_workflow(stored(path))


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
async def test_a_stored_history_computes_what_it_recorded(path: Path) -> None:
    """Each state that went to the records, each document, each refusal, and the length of each timer."""
    then, now = await recorded(stored(path)), await computed(stored(path))
    for recorded_effect, computed_effect in zip(then.effects, now.effects, strict=True):
        assert computed_effect == recorded_effect
    assert now.timers == then.timers


async def test_a_changed_order_is_noticed() -> None:
    with pytest.raises(NondeterminismError):
        await replayer(ChangedWorkflow).replay_workflow(stored(FOLDER / "many_ways-1.json"))


async def test_a_rule_that_is_tightened_without_a_version_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions only after acceptance: the history in which one was asked before could go on no more."""
    key: tuple[int, type[BaseCommand]] = (1, RequestInformation)
    tightened = replace(lifecycle._ROWS[key], allowed_in=frozenset({Status.ACCEPTED}))
    monkeypatch.setitem(lifecycle._ROWS, key, tightened)
    with pytest.raises(NondeterminismError):
        await computed(stored(FOLDER / "many_ways-1.json"))


async def test_a_clock_that_moves_without_a_version_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporal finds nothing wrong with it: the commands are the same, only later."""
    later = Calendar.later
    monkeypatch.setattr(Calendar, "later", lambda self, start, length, **how: later(self, start, length * 2, **how))
    history = FOLDER / "many_ways-1.json"
    await replayer(TeleconsultationWorkflow).replay_workflow(stored(history))
    assert (await computed(stored(history))).timers != (await recorded(stored(history))).timers


async def test_a_newer_table_of_holidays_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a list of closing days says from now on is for requests to come."""
    every_day = frozenset(
        date.fromordinal(day) for day in range(date(2026, 1, 1).toordinal(), date(2027, 12, 31).toordinal())
    )
    for choice in closing_days.CLOSING_DAYS:
        monkeypatch.setitem(closing_days.CLOSING_DAYS, choice, every_day)
    for name in ("many_ways-1", "every_clock-2"):
        path = FOLDER / f"{name}.json"
        then, now = await recorded(stored(path)), await computed(stored(path))
        assert (now.effects, now.timers) == (then.effects, then.timers)


async def test_a_history_of_another_key_does_not_replay() -> None:
    other = Replayer(workflows=[TeleconsultationWorkflow], data_converter=data_converter(KeyRing({"other": bytes(32)})))
    with pytest.raises(RuntimeError):
        await other.replay_workflow(stored(STORED[0]))


def test_the_continued_history_did_continue() -> None:
    last = stored(FOLDER / "continued-1.json").events[-1]
    assert last.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW


async def test_a_worker_that_is_older_than_the_rules_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tasks fail before anything is decided, and Temporal gives them to the next worker that comes."""
    monkeypatch.delitem(rules.RULES, 2)
    with pytest.raises(RuntimeError, match="UnknownRulesError"):
        await computed(stored(FOLDER / "office_hours-1.json"))
