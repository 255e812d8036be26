"""Every deadline, by time that is skipped on the real engine: nothing a moment too early, the right event when it is due, and the
right people told.

The expected moments are worked out here from the table in docs/requirements.md, and not taken from the request's own clocks.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain import calendar
from domain.clinic_calendar import ClinicCalendar
from domain.events import question_id
from domain.offerings import DeadlineName
from domain.requests import Role, Source, Status
from records.models import EventRecord
from tests.eventually import eventually
from tests.journeys import accepted, assigned, ok, pooled, reported, returned, submitted
from tests.system import System
from tests.workflow.looks import (
    names,
    now,
    projected,
    quiet,
    recorded,
    said_by,
    skip_to,
    timeline,
    told,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MARGIN = timedelta(minutes=1)
"""How far before a moment a test looks: real time passes as well while it does."""

CALENDAR = ClinicCalendar().frozen_at(datetime.now(UTC))
"""When a clinic works that has set nothing: all 24 hours of the network's working days."""


def later(start: datetime, length: timedelta, *, business: bool) -> datetime:
    return CALENDAR.later(start, length, by_day=True) if business else calendar.later(start, length)


@dataclass(frozen=True)
class Call:
    """A call of a clock: when, counted from its start, which event it brings, and who is told by e-mail."""

    after: timedelta
    event: str
    told: frozenset[str]


def call(after: timedelta, event: str, *told: str) -> Call:
    return Call(after, event, frozenset(told))


async def calls(
    system: System, request_id: str, since: datetime, expected: Sequence[Call], *, business: bool = False
) -> None:
    """The clock that started at `since` calls so, and in no other way."""
    before = await names(system, request_id)
    for number, called in enumerate(expected, 1):
        moment = later(since, called.after, business=business)
        await skip_to(system, request_id, moment - MARGIN)
        await quiet(system, request_id)
        assert len(await names(system, request_id)) == len(before) + number - 1, f"{called.event} came too early"
        await skip_to(system, request_id, moment + timedelta(seconds=1))
        event = await happened(system, request_id, len(before) + number)
        assert event.name == called.event
        assert moment <= event.at < moment + MARGIN
        assert (event.source, event.actor_role) == (Source.TIMER, Role.SYSTEM)
        assert await told(system, request_id, event) == called.told


async def happened(system: System, request_id: str, version: int) -> EventRecord:
    """Wait for the event of that version."""
    await recorded(system, request_id, version)
    return (await timeline(system, request_id))[version - 1]


async def last(system: System, request_id: str) -> EventRecord:
    await quiet(system, request_id)
    return (await timeline(system, request_id))[-1]


# dispatch


async def test_dispatch_is_overdue_and_says_so_daily(system: System) -> None:
    limits = [("asap", 2 * HOUR, False), ("urgent", 4 * HOUR, False), ("routine", DAY, True)]
    await asyncio.gather(*(_dispatch(system, *limit) for limit in limits))


async def _dispatch(system: System, priority: str, limit: timedelta, business: bool) -> None:
    request_id = await submitted(system, priority=priority)
    since = (await last(system, request_id)).at
    expected = [call(limit + day * DAY, "dispatch_overdue", "dispatcher") for day in range(3)]
    await calls(system, request_id, since, expected, business=business)
    state = await projected(system, request_id)
    assert (state.status, state.overdue) == (Status.AWAITING_DISPATCH, (DeadlineName.DISPATCH,))
    ok(await system.dispatcher.post(f"/requests/{request_id}/assign", {"provider_id": system.provider.id}))
    assert not (await projected(system, request_id)).overdue


# acceptance


async def test_acceptance_reminds_at_half_and_goes_back_to_dispatch(system: System) -> None:
    limits = [("asap", 4 * HOUR, False), ("urgent", DAY, False), ("routine", 3 * DAY, True)]
    await asyncio.gather(*(_acceptance(system, *limit) for limit in limits))


async def _acceptance(system: System, priority: str, limit: timedelta, business: bool) -> None:
    request_id = await assigned(system, priority=priority)
    since = (await last(system, request_id)).at
    expected = [
        call(limit / 2, "acceptance_reminder", "provider"),
        call(limit, "acceptance_expired", "dispatcher", "provider", "requester"),
    ]
    await calls(system, request_id, since, expected, business=business)
    state = await projected(system, request_id)
    assert (state.status, state.holder.kind) == (Status.AWAITING_DISPATCH, "dispatch")
    assert [deadline.name for deadline in state.deadlines] == ["dispatch"]
    assert state.deadlines[0].started_at == (await last(system, request_id)).at


async def test_a_pool_is_reminded_as_a_whole(system: System) -> None:
    request_id = await pooled(system)
    since = (await last(system, request_id)).at
    expected = [
        call(1.5 * DAY, "acceptance_reminder", "provider", "provider2"),
        call(3 * DAY, "acceptance_expired", "dispatcher", "provider", "provider2", "requester"),
    ]
    await calls(system, request_id, since, expected, business=True)


async def test_accept_stops_the_acceptance_clock(system: System) -> None:
    request_id = await assigned(system, priority="asap")
    ok(await system.provider.post(f"/requests/{request_id}/accept"))
    await skip_to(system, request_id, await now(system, request_id) + 5 * HOUR)
    assert (await names(system, request_id))[-1] == "accepted"


# report


async def test_report_reminds_at_three_quarters_and_is_overdue_daily(system: System) -> None:
    limits = [("asap", DAY, False), ("urgent", 3 * DAY, False), ("routine", 7 * DAY, True)]
    await asyncio.gather(*(_report(system, *limit) for limit in limits))


async def _report(system: System, priority: str, limit: timedelta, business: bool) -> None:
    request_id = await accepted(system, priority=priority)
    since = (await last(system, request_id)).at
    expected = [
        call(limit * 0.75, "report_reminder", "provider"),
        *(call(limit + day * DAY, "report_overdue", "dispatcher", "provider") for day in range(3)),
    ]
    await calls(system, request_id, since, expected, business=business)
    state = await projected(system, request_id)
    assert (state.status, state.overdue) == (Status.ACCEPTED, (DeadlineName.REPORT,))


# information


@pytest.mark.parametrize("journey", [assigned, accepted])
async def test_a_question_reminds_at_half_expires_weekly_and_holds_the_other_clock(
    system: System, journey: Any
) -> None:
    request_id = await journey(system, priority="urgent")
    await skip_to(system, request_id, await now(system, request_id) + 3 * HOUR)
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand ?"}))
    asked = await last(system, request_id)
    expected = [
        call(1.5 * DAY, "information_reminder", "requester"),
        call(3 * DAY, "information_expired", "provider", "requester"),
        call(10 * DAY, "information_expired", "provider", "requester"),
    ]
    await calls(system, request_id, asked.at, expected)
    state = await projected(system, request_id)
    assert [question.id for question in state.questions] == [question_id(UUID(request_id), asked.command_id)]
    assert (state.due_at, state.overdue) == (None, (DeadlineName.INFORMATION,))

    ok(await system.requester.post(f"/requests/{request_id}/answer-information", {"text": "Trois semaines."}))
    answered = (await last(system, request_id)).at
    own_start = (await timeline(system, request_id))[asked.version - 2].at
    spent = asked.at - own_start
    state = await projected(system, request_id)
    assert (state.questions, state.overdue) == ((), ())
    if journey is assigned:
        rest = [
            call(12 * HOUR - spent, "acceptance_reminder", "provider"),
            call(24 * HOUR - spent, "acceptance_expired", "dispatcher", "provider", "requester"),
        ]
    else:
        rest = [
            call(54 * HOUR - spent, "report_reminder", "provider"),
            call(72 * HOUR - spent, "report_overdue", "dispatcher", "provider"),
        ]
    await calls(system, request_id, answered, rest)


async def test_the_clock_stands_still_in_business_time_until_the_last_question_is_closed(system: System) -> None:
    request_id = await accepted(system)
    started = (await last(system, request_id)).at
    await skip_to(system, request_id, later(started, 2 * DAY, business=True))
    for text in ("Depuis quand ?", "Saigne-t-elle ?"):
        ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": text}))
    events = await timeline(system, request_id)
    spent = CALENDAR.passed(started, events[-2].at, by_day=True)
    first, second = (str(question.id) for question in (await projected(system, request_id)).questions)
    await skip_to(system, request_id, await now(system, request_id) + 2 * DAY)
    body = {"text": "Oui.", "question_id": first}
    ok(await system.requester.post(f"/requests/{request_id}/answer-information", body))
    await skip_to(system, request_id, await now(system, request_id) + DAY)
    assert (await projected(system, request_id)).due_at is None
    ok(await system.provider.post(f"/requests/{request_id}/withdraw-information-request", {"question_id": second}))
    goes_on = (await last(system, request_id)).at
    rest = [
        call(0.75 * 7 * DAY - spent, "report_reminder", "provider"),
        call(7 * DAY - spent, "report_overdue", "dispatcher", "provider"),
    ]
    await calls(system, request_id, goes_on, rest, business=True)


# resubmission


async def test_a_returned_request_is_abandoned_after_two_reminders(system: System) -> None:
    request_id = await returned(system)
    since = (await last(system, request_id)).at
    expected = [
        call(7 * DAY, "resubmission_reminder", "requester"),
        call(14 * DAY, "resubmission_reminder", "requester"),
        call(30 * DAY, "abandoned", "dispatcher", "requester"),
    ]
    await calls_to_the_end(system, request_id, since, expected)
    assert (await projected(system, request_id)).status is Status.ABANDONED


async def test_a_report_that_nobody_acknowledges_is_closed_after_three_reminders(system: System) -> None:
    request_id = await reported(system)
    since = (await last(system, request_id)).at
    expected = [
        call(3 * DAY, "acknowledgement_reminder", "requester"),
        call(7 * DAY, "acknowledgement_reminder", "requester"),
        call(14 * DAY, "acknowledgement_reminder", "requester"),
        call(30 * DAY, "closed_unacknowledged", "provider", "requester"),
    ]
    await calls_to_the_end(system, request_id, since, expected)
    state = await projected(system, request_id)
    assert (state.status, state.unacknowledged) == (Status.CLOSED, True)


async def calls_to_the_end(system: System, request_id: str, since: datetime, expected: Sequence[Call]) -> None:
    """Like `calls`, where the last call ends the request and its workflow."""
    await calls(system, request_id, since, expected[:-1])
    final = expected[-1]
    await skip_to(system, request_id, since + final.after - MARGIN)
    version = len(await names(system, request_id))
    await skip_to(system, request_id, since + final.after + timedelta(seconds=1))
    event = await happened(system, request_id, version + 1)
    assert event.name == final.event
    assert since + final.after <= event.at < since + final.after + MARGIN
    assert (await system.workflow(request_id).result())["version"] == version + 1
    assert await told(system, request_id, event) == final.told


# by an outside scheduler


@pytest.mark.parametrize(
    ("journey", "deadline", "status", "event"),
    [
        (submitted, "dispatch", Status.AWAITING_DISPATCH, "dispatch_overdue"),
        (assigned, "acceptance", Status.AWAITING_DISPATCH, "acceptance_expired"),
        (accepted, "report", Status.ACCEPTED, "report_overdue"),
        (returned, "resubmission", Status.ABANDONED, "abandoned"),
        (reported, "acknowledgement", Status.CLOSED, "closed_unacknowledged"),
    ],
)
async def test_an_outside_scheduler_ends_a_deadline_at_once(
    system: System, journey: Any, deadline: str, status: Status, event: str
) -> None:
    request_id = await journey(system)
    path = f"/requests/{request_id}/deadlines/{deadline}"
    first = ok(await system.operator.post(path, key=f"{request_id}:1"))
    assert ok(await system.operator.post(path, key=f"{request_id}:1"))["version"] == first["version"]
    assert (first["status"], (await names(system, request_id))[-1]) == (status, event)
    other = "acknowledgement" if deadline != "acknowledgement" else "report"
    refused = await system.operator.post(f"/requests/{request_id}/deadlines/{other}")
    assert refused.status_code == 409
    assert (await system.requester.post(path)).status_code == 403


async def test_an_outside_scheduler_ends_the_deadline_of_a_question(system: System) -> None:
    request_id = await accepted(system)
    ok(await system.provider.post(f"/requests/{request_id}/request-information", {"text": "Depuis quand ?"}))
    stopped = await system.operator.post(f"/requests/{request_id}/deadlines/report")
    assert (stopped.status_code, stopped.json()["code"]) == (409, "deadline_stopped")
    ok(await system.operator.post(f"/requests/{request_id}/deadlines/information"))
    assert (await names(system, request_id))[-1] == "information_expired"
    assert (await projected(system, request_id)).questions


async def test_a_deadline_that_an_outside_scheduler_ended_is_not_ended_again_by_the_clock(system: System) -> None:
    request_id = await submitted(system, priority="asap")
    since = (await last(system, request_id)).at
    ok(await system.operator.post(f"/requests/{request_id}/deadlines/dispatch"))
    await calls(system, request_id, since, [call(2 * HOUR + DAY, "dispatch_overdue", "dispatcher")])


# at the same moment


async def test_accept_at_the_moment_of_the_time_out_is_decided_by_the_rules(system: System) -> None:
    """Whoever comes first: the request is accepted, or it is back in dispatch and the provider is told so. Never both."""
    request_ids = [await assigned(system, priority="asap") for _ in range(8)]
    await asyncio.gather(*(_accept_when_due(system, request_id, late) for late, request_id in enumerate(request_ids)))


async def _accept_when_due(system: System, request_id: str, late: int) -> None:
    due = (await projected(system, request_id)).due_at
    assert due is not None
    await skip_to(system, request_id, due - timedelta(seconds=2))
    await recorded(system, request_id, 3)  # the reminder
    await asyncio.gather(
        skip_to(system, request_id, due + timedelta(milliseconds=20 * late)),
        system.workflow(request_id).signal("accept", said_by(system.provider, Role.PROVIDER)),
    )
    await eventually(lambda: _settled(system, request_id))
    await quiet(system, request_id)
    story = (await names(system, request_id))[3:]
    assert story in (["accepted"], ["acceptance_expired"])
    expected = Status.ACCEPTED if story == ["accepted"] else Status.AWAITING_DISPATCH
    assert (await projected(system, request_id)).status is expected


async def _settled(system: System, request_id: str) -> bool:
    return (await projected(system, request_id)).status is not Status.AWAITING_ACCEPTANCE


async def test_a_long_sleep_of_the_clock_is_caught_up_in_order(system: System) -> None:
    """All the moments that pass in one go, as after an outage, are called in their order, each once."""
    request_id = await assigned(system, priority="urgent")
    await skip_to(system, request_id, await now(system, request_id) + 3 * DAY)
    await quiet(system, request_id)
    story = (await names(system, request_id))[2:]
    assert story[:2] == ["acceptance_reminder", "acceptance_expired"]
    assert set(story[2:]) == {"dispatch_overdue"}
