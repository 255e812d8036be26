"""Who is told of what by e-mail: one table of events by recipients.

ACTION means that the recipient now has something to do; INFORMATION that there is something to know. People choose to be told
at once, grouped, or only of actions (`NoticeMode`). Nobody is told of what they did themselves.
"""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Literal
from uuid import UUID

from domain.calendar import DAY, TIME_ZONE
from domain.deadlines import Deadline
from domain.model import Frozen
from domain.offerings import DeadlineName
from domain.requests import EventName as E
from domain.requests import Request


class NoticeMode(StrEnum):
    """How a person wants to be told."""

    AT_ONCE = "at_once"
    GROUPED = "grouped"
    ACTIONS_ONLY = "actions_only"


class Importance(StrEnum):
    """What a notice means for its recipient."""

    ACTION = "action"
    INFORMATION = "information"


class Recipient(StrEnum):
    """A party of the request, found anew for each event."""

    REQUESTER = "requester"
    HOLDER = (
        "holder"  # who must act after the event: a provider, a clinic's providers, its dispatchers, or the requester
    )
    PREVIOUS_HOLDER = "previous_holder"  # who had to act before it
    DISPATCHERS = "dispatchers"
    SIGNER = "signer"  # the provider who signed the final report
    SIGNER_COVER = "signer_cover"  # the other providers of the signer's clinic, while the signer is away
    REQUESTER_CLINIC = "requester_clinic"  # the administrators of the clinic of its requester
    REQUESTER_COLLEAGUES = "requester_colleagues"  # the other requesters of that clinic
    REQUESTER_COVER = "requester_cover"  # its administrators, while the requester is none any more, or does not come in
    SIGNING_PROVIDER = "signing_provider"  # the provider whose signature just now came to nothing


REQUESTER, HOLDER, BEFORE = Recipient.REQUESTER, Recipient.HOLDER, Recipient.PREVIOUS_HOLDER
REQUESTER_CLINIC, REQUESTER_COLLEAGUES = Recipient.REQUESTER_CLINIC, Recipient.REQUESTER_COLLEAGUES
REQUESTER_COVER = Recipient.REQUESTER_COVER
DISPATCHERS, SIGNER, SIGNING_PROVIDER = Recipient.DISPATCHERS, Recipient.SIGNER, Recipient.SIGNING_PROVIDER
SIGNER_COVER = Recipient.SIGNER_COVER
ACTION, INFO = Importance.ACTION, Importance.INFORMATION

URGENT_REPORT: Literal["urgent_report"] = "urgent_report"
"""What the notices of a report are about that says: send the patient without delay."""

NEW_PHOTOS: Literal["new_photos"] = "new_photos"
"""What the notices of a final report are about that says: the photos were not sufficient."""

UNREAD_REPORT: Literal["unread_report"] = "unread_report"
"""What the notices are about that no event makes, but that nothing happened: a report's requester has not read it."""

About = E | Literal["urgent_report", "new_photos", "unread_report"]
"""What is told: an event, or what its report calls for (to be read without delay, or new photos), or that it was not read."""

MATRIX: Mapping[About, Mapping[Recipient, Importance]] = {
    E.SUBMITTED: {HOLDER: ACTION, REQUESTER: INFO},
    E.ASSIGNED: {HOLDER: ACTION, BEFORE: INFO, REQUESTER: INFO},
    E.REASSIGNED: {HOLDER: ACTION, BEFORE: INFO, REQUESTER: INFO, DISPATCHERS: INFO},
    E.ACCEPTED: {REQUESTER: INFO, DISPATCHERS: INFO},
    E.TAKEN_BACK: {HOLDER: ACTION, BEFORE: INFO, REQUESTER: INFO, DISPATCHERS: INFO},
    E.TRANSFERRED: {HOLDER: ACTION, REQUESTER: INFO, DISPATCHERS: INFO},
    E.INFORMATION_REQUESTED: {REQUESTER: ACTION, REQUESTER_COVER: ACTION},
    E.INFORMATION_ANSWERED: {HOLDER: ACTION},
    E.INFORMATION_ADDED: {HOLDER: ACTION},
    E.WORSENING_REPORTED: {HOLDER: ACTION, DISPATCHERS: ACTION},
    E.INFORMATION_REQUEST_WITHDRAWN: {REQUESTER: INFO, REQUESTER_COVER: INFO},
    E.RETURNED_TO_REQUESTER: {REQUESTER: ACTION, REQUESTER_COVER: ACTION, BEFORE: INFO, DISPATCHERS: INFO},
    E.RETURNED_TO_DISPATCH: {HOLDER: ACTION, REQUESTER: INFO},
    E.RESUBMITTED: {HOLDER: ACTION},
    E.CANCELLED: {BEFORE: INFO, REQUESTER: INFO},
    E.PRIORITY_CHANGED: {HOLDER: INFO, REQUESTER: INFO, DISPATCHERS: INFO},
    E.REPORT_SIGNED: {},  # the notices come when the document is there
    E.ADDENDUM_SIGNED: {},
    E.PRELIMINARY_REPORT_ISSUED: {REQUESTER: INFO},
    E.FINAL_REPORT_ISSUED: {REQUESTER: ACTION, DISPATCHERS: INFO},
    E.ADDENDUM_ISSUED: {REQUESTER: ACTION},
    E.SIGNING_FAILED: {SIGNING_PROVIDER: ACTION, DISPATCHERS: INFO},
    E.ACKNOWLEDGED: {SIGNER: INFO},
    E.DISPATCH_REMINDER: {HOLDER: ACTION},
    E.DISPATCH_OVERDUE: {HOLDER: ACTION},
    E.ACCEPTANCE_REMINDER: {HOLDER: ACTION},
    E.ACCEPTANCE_EXPIRED: {HOLDER: ACTION, BEFORE: INFO, REQUESTER: INFO},
    E.REPORT_REMINDER: {HOLDER: ACTION},
    E.REPORT_OVERDUE: {HOLDER: ACTION, DISPATCHERS: ACTION},
    E.INFORMATION_REMINDER: {REQUESTER: ACTION, REQUESTER_COVER: ACTION},
    E.INFORMATION_EXPIRED: {HOLDER: ACTION, REQUESTER: ACTION, REQUESTER_COVER: ACTION},
    E.RESUBMISSION_REMINDER: {HOLDER: ACTION, REQUESTER_COVER: ACTION},
    E.ABANDONED: {REQUESTER: INFO, REQUESTER_COVER: INFO, DISPATCHERS: INFO},
    E.ACKNOWLEDGEMENT_REMINDER: {HOLDER: ACTION},
    URGENT_REPORT: {REQUESTER: ACTION, REQUESTER_COVER: ACTION, DISPATCHERS: INFO, REQUESTER_CLINIC: INFO},
    NEW_PHOTOS: {REQUESTER: ACTION, DISPATCHERS: INFO},
    E.URGENT_REPORT_REMINDER: {REQUESTER: ACTION, REQUESTER_COVER: ACTION},
    E.URGENT_REPORT_UNREAD: {REQUESTER: ACTION, REQUESTER_CLINIC: ACTION, DISPATCHERS: ACTION},
    E.READING_CONFIRMED: {REQUESTER: INFO, DISPATCHERS: INFO, REQUESTER_CLINIC: INFO},
    UNREAD_REPORT: {REQUESTER_COLLEAGUES: ACTION, REQUESTER_CLINIC: ACTION},
    E.READ_FOR_REQUESTER: {REQUESTER: INFO, REQUESTER_COLLEAGUES: INFO, REQUESTER_CLINIC: INFO},
    E.FOLLOW_UP_ASKED: {SIGNER: ACTION, SIGNER_COVER: ACTION, DISPATCHERS: INFO},
    E.FOLLOW_UP_ANSWERED: {REQUESTER: ACTION, REQUESTER_COVER: ACTION, SIGNER: INFO},
    E.FOLLOW_UP_WITHDRAWN: {SIGNER: INFO, SIGNER_COVER: INFO, DISPATCHERS: INFO},
    E.FOLLOW_UP_REMINDER: {SIGNER: ACTION, SIGNER_COVER: ACTION},
    E.FOLLOW_UP_OVERDUE: {SIGNER: ACTION, SIGNER_COVER: ACTION, DISPATCHERS: ACTION},
    E.CLOSED_UNACKNOWLEDGED: {REQUESTER: INFO, SIGNER: INFO},
    E.RULES_RENEWED: {},  # nothing to do, and no promise broken
}


FOR_WHO_MAY_ASK = frozenset(about for about, told in MATRIX.items() if REQUESTER_COVER in told)
"""What others hear in the requester's place where these can't go on with it, if there is anybody."""

NEVER_WAITS = frozenset({E.WORSENING_REPORTED, URGENT_REPORT, E.URGENT_REPORT_REMINDER, E.URGENT_REPORT_UNREAD})
"""What is told at once to whoever must act, also who wants e-mails grouped, and gathered with nothing."""


def told_as(event: E, request: Request) -> About:
    """What the notices of an event are about, by the state after it."""
    if event not in (E.PRELIMINARY_REPORT_ISSUED, E.FINAL_REPORT_ISSUED):
        return event
    report = request.documents[-1]
    if report.urgent:
        return URGENT_REPORT
    return NEW_PHOTOS if report.new_photos else event


ABOUT_AN_URGENT_REPORT = frozenset({URGENT_REPORT, E.URGENT_REPORT_REMINDER, E.URGENT_REPORT_UNREAD})

ABOUT_THE_REPORT = frozenset({E.REPORT_REMINDER, E.REPORT_OVERDUE})

ABOUT_A_FOLLOW_UP = frozenset({E.FOLLOW_UP_ASKED, E.FOLLOW_UP_REMINDER, E.FOLLOW_UP_OVERDUE})

WITHOUT_A_DEADLINE = frozenset({UNREAD_REPORT, E.ADDENDUM_ISSUED, E.FOLLOW_UP_ANSWERED, E.FOLLOW_UP_WITHDRAWN})
"""What there is to read, whenever one comes to it."""

ABOUT_A_QUESTION = frozenset({E.INFORMATION_REQUESTED, E.INFORMATION_REMINDER, E.INFORMATION_EXPIRED})


def due_after(about: str, request: Request, question_id: UUID | None) -> datetime | None:
    """When whoever is told `about` it (`told_as`) must have acted, by the state of `request`.

    `question_id` is the question that the event is about.
    """
    deadline = _deadline_of(about, request, question_id)
    return deadline.due_at if deadline else None


def _deadline_of(about: str, request: Request, question_id: UUID | None) -> Deadline | None:
    if about in WITHOUT_A_DEADLINE:
        return None
    if about in ABOUT_AN_URGENT_REPORT:
        return request.unread
    if about == NEW_PHOTOS:  # of a preliminary report, there is none
        return request.deadline(DeadlineName.ACKNOWLEDGEMENT)
    if about in ABOUT_A_QUESTION:
        return request.deadline(DeadlineName.INFORMATION, question_id)
    if about in ABOUT_THE_REPORT:
        return request.deadline(DeadlineName.REPORT)
    if about in ABOUT_A_FOLLOW_UP:
        return request.deadline(DeadlineName.FOLLOW_UP)
    return request.own_deadline


# When it goes

DIGEST_HOURS = (7, 12, 17)
"""When grouped notices are sent, every day, in the time of the clinics."""

PART_OF_THE_TIME_LEFT = 100
"""What somebody must do is told before a hundredth of the time that is left for it has passed."""


def next_digest(now: datetime) -> datetime:
    """The first digest after `now`."""
    local = now.astimezone(TIME_ZONE)
    moments = (
        datetime.combine(local.date() + days * DAY, time(hour), TIME_ZONE) for days in (0, 1) for hour in DIGEST_HOURS
    )
    return next(moment for moment in moments if moment > now)


def can_wait_for_the_digest(due_at: datetime | None, now: datetime) -> bool:
    """Whether whoever must act by `due_at` hears of it in time from the next digest."""
    return due_at is None or due_at > next_digest(now)


def gathers_for(longest: timedelta, due_at: datetime | None, now: datetime) -> timedelta:
    """How long the e-mails of an event wait for further changes of the request; less where somebody must act soon."""
    if due_at is None:
        return longest
    return min(longest, max(timedelta(), due_at - now) / PART_OF_THE_TIME_LEFT)


# What became of it


class SendResult(Frozen):
    """What became of one e-mail, or of a digest.

    `refused` (its address can get no mail) and `expired` (nobody took it in time) are for good; then the `follow_up_notice_ids`
    tell the dispatchers so. `suppressed`: it is not to be sent by itself.
    """

    status: Literal["sent", "already_sent", "refused", "expired", "suppressed"]
    follow_up_notice_ids: tuple[UUID, ...] = ()


class Delivered(Frozen):
    """What became of the e-mails of one event: all are settled but those that are `waiting` for the mail server to take them."""

    waiting: tuple[UUID, ...] = ()
    follow_up_notice_ids: tuple[UUID, ...] = ()


def needs_an_operator(code: str) -> bool:
    """Whether what a mail server said, by its code, will not pass before somebody has set something right on our side."""
    return "_smtp_5" in code or code.startswith(("encryption_", "sender_not", "fault_"))
