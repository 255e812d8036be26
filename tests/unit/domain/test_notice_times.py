"""When e-mails go: the next digest, what can’t wait for it, and how long e-mails wait for each other."""

from datetime import UTC, datetime, timedelta
from time import tzset

import pytest

from domain.calendar import TIME_ZONE
from domain.commands import (
    AddInformation,
    AskFollowUp,
    ConfirmReading,
    DeadlineReached,
    FailSigning,
    IssueDocument,
    ReadForRequester,
)
from domain.lifecycle import TABLE, counts_while_signing
from domain.notices import (
    ABOUT_A_QUESTION,
    can_wait_for_the_digest,
    due_after,
    gathers_for,
    needs_an_operator,
    next_digest,
    told_as,
)
from domain.offerings import DeadlineName
from domain.requests import DocumentKind, EventName
from tests.unit.domain.scenes import accepted, reported

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def toronto(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=TIME_ZONE)


@pytest.mark.parametrize(
    ("now", "digest"),
    [
        ("2026-11-25 06:59", "2026-11-25 07:00"),
        ("2026-11-25 07:00", "2026-11-25 12:00"),  # the one of this very moment may have gone
        ("2026-11-25 16:00", "2026-11-25 17:00"),
        ("2026-11-25 17:01", "2026-11-26 07:00"),
        ("2026-10-31 23:00", "2026-11-01 07:00"),  # the night that is an hour longer
        ("2027-03-13 23:00", "2027-03-14 07:00"),
        ("2026-12-31 20:00", "2027-01-01 07:00"),
    ],
)
def test_the_next_digest(now: str, digest: str) -> None:
    assert next_digest(toronto(now)) == toronto(digest)
    assert next_digest(toronto(now).astimezone(UTC)) == toronto(digest)


def test_what_ends_before_the_next_digest_can_not_wait_for_it() -> None:
    evening = toronto("2026-11-25 18:00")
    assert not can_wait_for_the_digest(evening + 2 * HOUR, evening)
    assert not can_wait_for_the_digest(toronto("2026-11-26 07:00"), evening)
    assert not can_wait_for_the_digest(evening - HOUR, evening)
    assert can_wait_for_the_digest(toronto("2026-11-26 08:00"), evening)
    assert can_wait_for_the_digest(None, evening)


def test_who_must_act_soon_is_not_kept_waiting() -> None:
    now = toronto("2026-11-25 18:00")
    usual = timedelta(seconds=90)
    assert gathers_for(usual, None, now) == usual
    assert gathers_for(usual, now + 30 * HOUR, now) == usual
    assert gathers_for(usual, now + 100 * MINUTE, now) == MINUTE
    assert gathers_for(usual, now - HOUR, now) == timedelta()
    assert gathers_for(timedelta(), now + HOUR, now) == timedelta()


def test_what_an_operator_must_set_right() -> None:
    ours = (
        "recipient_smtp_550_5.7.1",
        "sender_smtp_553",
        "connection_smtp_535_5.7.8",
        "encryption_failed",
        "sender_not_allowed",
        "fault_Any",
    )
    assert all(needs_an_operator(code) for code in ours)
    assert not any(needs_an_operator(code) for code in ("timeout", "no_connection", "recipient_smtp_451_4.3.2", ""))


def test_the_hours_of_digests_are_those_of_the_clinics_and_not_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    tzset()
    try:
        assert next_digest(toronto("2026-11-25 16:00").astimezone(UTC)) == toronto("2026-11-25 17:00")
        assert next_digest(toronto("2026-11-25 00:30").astimezone(UTC)) == toronto("2026-11-25 07:00")
    finally:
        monkeypatch.undo()
        tzset()


def test_by_when_who_is_told_must_act() -> None:
    """By the clock of the status; of what is about a question, by the question's own; of an addendum there is no clock."""
    story = accepted()
    assert due_after(EventName.ACCEPTED, story.request, None) == story.request.due_at is not None
    question = story.ask()
    deadline = story.request.deadline(DeadlineName.INFORMATION, question)
    assert deadline is not None
    for event in ABOUT_A_QUESTION:
        assert due_after(event, story.request, question) == deadline.due_at is not None
        assert due_after(event, story.request, None) is None
    assert due_after(EventName.TRANSFERRED, story.request, question) is None, "the clock stands still"
    assert due_after(EventName.ADDENDUM_ISSUED, reported().request, None) is None
    assert story.request.deadline(DeadlineName.DISPATCH) is None
    late = accepted()
    report = late.request.deadline(DeadlineName.REPORT)
    late.renew()
    late.reassign("dispatch")
    assert report is not None
    assert late.request.due_at != report.due_at
    for event in (EventName.REPORT_REMINDER, EventName.REPORT_OVERDUE):
        assert due_after(event, late.request, None) == report.due_at, "it was promised, whoever has the request now"
    asked = reported()
    asked.ask_about_the_report()
    clock = asked.request.deadline(DeadlineName.FOLLOW_UP)
    assert clock is not None
    assert asked.request.own_deadline is not None
    assert clock.due_at != asked.request.own_deadline.due_at
    for event in (EventName.FOLLOW_UP_ASKED, EventName.FOLLOW_UP_REMINDER, EventName.FOLLOW_UP_OVERDUE):
        assert due_after(event, asked.request, None) == clock.due_at


def test_what_counts_while_a_document_is_being_made() -> None:
    counts = {row.command for row in TABLE if counts_while_signing(row.command)}
    said = {AddInformation, AskFollowUp, ConfirmReading, ReadForRequester}
    assert counts == {DeadlineReached, IssueDocument, FailSigning, *said}


@pytest.mark.parametrize(
    ("kind", "urgent", "about", "has_an_end"),
    [
        (DocumentKind.FINAL, False, "new_photos", True),
        (DocumentKind.FINAL, True, "urgent_report", True),
        (DocumentKind.PRELIMINARY, False, "new_photos", False),
    ],
)
def test_a_report_that_asks_for_new_photos_is_told_as_that(
    kind: DocumentKind, urgent: bool, about: str, has_an_end: bool
) -> None:
    """Of a preliminary one its requester has no deadline: the clock that runs is its provider's."""
    story = accepted()
    story.sign(kind, urgent=urgent, new_photos=True)
    issued = story.issue()
    assert told_as(issued.name, story.request) == about
    assert (due_after(about, story.request, None) is not None) is has_an_end
    assert story.request.newest_report == story.request.documents[0]
    assert story.request.documents[0].new_photos


def test_a_report_without_a_wish_is_told_as_what_it_is() -> None:
    story = accepted()
    story.sign()
    assert told_as(story.issue().name, story.request) is EventName.FINAL_REPORT_ISSUED
