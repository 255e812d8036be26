"""The rules of webhooks: what tells which event, what follows from a call, how long an endpoint is left alone, what is signed."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.requests import EventName
from domain.webhooks import (
    CHOSEN,
    GIVEN_UP_AFTER,
    LONGEST_PAUSE,
    PAUSES,
    DeliveryState,
    Tried,
    WebhookType,
    asked_pause,
    is_given_up,
    judge,
    secret_bytes,
    secret_text,
    told_as,
)

NOW = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)


def test_every_event_is_told_once_and_every_type_tells_something() -> None:
    told = {name: told_as(name) for name in EventName}
    assert all(sum(type_.startswith("teleconsultation.") for type_ in types) == 1 for types in told.values())
    used = {type_ for types in told.values() for type_ in types}
    assert set(CHOSEN) - used == {WebhookType.ACCOUNT_LOCKED}
    assert told[EventName.FINAL_REPORT_ISSUED] == (WebhookType.REPORTED, WebhookType.DOCUMENT_READY)
    assert told[EventName.REPORT_REMINDER] == (WebhookType.UPDATED,)


def test_a_message_is_tried_for_three_days_and_then_no_more() -> None:
    now, tries, waits = NOW, 0, []
    while (verdict := judge(Tried(now, error="timeout"), tries, 0.5)).state is DeliveryState.PENDING:
        assert verdict.next_attempt is not None
        waits.append(verdict.next_attempt - now)
        now, tries = verdict.next_attempt, tries + 1
    assert verdict.state is DeliveryState.FAILED
    assert tuple(waits) == PAUSES
    assert timedelta(hours=75) < now - NOW < timedelta(hours=76)


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_pauses_vary_by_a_fifth(chance: float) -> None:
    for tries, pause in enumerate(PAUSES):
        found = judge(Tried(NOW, status=500), tries, chance).next_attempt
        assert found is not None
        assert found - NOW == pause * (0.8 if chance == 0 else 1.2)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (200, DeliveryState.DELIVERED),
        (204, DeliveryState.DELIVERED),
        (299, DeliveryState.DELIVERED),
        (301, DeliveryState.PENDING),
        (308, DeliveryState.PENDING),
        (400, DeliveryState.PENDING),
        (410, DeliveryState.FAILED),
        (500, DeliveryState.PENDING),
        (999, DeliveryState.PENDING),
        (None, DeliveryState.PENDING),
    ],
)
def test_what_follows_from_an_answer(status: int | None, state: DeliveryState) -> None:
    verdict = judge(Tried(NOW, status=status, error=None if status else "tls"), 0, 0.5)
    assert (verdict.state, verdict.is_gone, verdict.paused_until) == (state, status == 410, None)


def test_an_answer_of_200_that_is_not_the_one_asked_for_is_none() -> None:
    assert not Tried(NOW, status=200, error="challenge_not_answered").was_taken


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_whoever_is_busy_is_left_alone(status: int) -> None:
    plain = judge(Tried(NOW, status=status), 0, 0.5)
    assert plain.paused_until == plain.next_attempt == NOW + PAUSES[0]
    asked = judge(Tried(NOW, status=status, retry_after="3600"), 0, 0.5)
    assert asked.paused_until == asked.next_attempt == NOW + timedelta(hours=1)
    last = judge(Tried(NOW, status=status, retry_after="60"), len(PAUSES), 0.5)
    assert (last.state, last.next_attempt) == (DeliveryState.FAILED, None)


@pytest.mark.parametrize(
    ("said", "pause"),
    [
        (None, timedelta()),
        ("", timedelta()),
        ("120", timedelta(minutes=2)),
        (" 7 ", timedelta(seconds=7)),
        ("0", timedelta()),
        ("-5", timedelta()),
        ("1.5", timedelta()),
        ("garbage", timedelta()),
        ("٣", timedelta()),
        ("9" * 400, LONGEST_PAUSE),
        ("99999999", LONGEST_PAUSE),
        ("Fri, 27 Nov 2026 10:30:00 GMT", timedelta(hours=1)),
        ("Fri, 27 Nov 2026 08:30:00 GMT", timedelta()),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_PAUSE),
        ("Fri, 27 Nov 2026 10:30:00 -0000", timedelta(hours=1)),
        ("Fri, 99 Nov 2026 10:30:00 GMT", timedelta()),
    ],
)
def test_how_long_somebody_asks_to_be_left_alone(said: str | None, pause: timedelta) -> None:
    assert asked_pause(said, NOW) == pause


def test_who_fails_for_five_days_is_given_up() -> None:
    assert not is_given_up(None, NOW)
    assert not is_given_up(NOW - GIVEN_UP_AFTER + timedelta(seconds=1), NOW)
    assert is_given_up(NOW - GIVEN_UP_AFTER, NOW)


def test_a_secret_comes_back_from_its_text() -> None:
    assert secret_bytes(secret_text(b"x" * 24)) == b"x" * 24
    assert secret_text(b"x" * 24) == "whsec_" + "eHh4" * 8
