"""The names of the activities and what they answer: all that workflows know of them."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from domain.model import Frozen, Sha256, is_unset

RECORD_EVENT = "record_event"
NOTE_REFUSAL = "note_refusal"
NOTE_FAILURE = "note_failure"
FINALIZE_REPORT = "finalize_report"
SEND_NOTICE = "send_notice"
DELIVER = "deliver"
STRANDED_NOTICES = "stranded_notices"
DUE_DIGESTS = "due_digests"
SEND_DIGEST = "send_digest"
SEND_ACCOUNT_LETTER = "send_account_letter"
MAKE_PASSWORD_RESETS = "make_password_resets"  # noqa: S105 - the name of an activity
MAKE_PLAYABLE = "make_playable"
NOTE_UNPLAYABLE = "note_unplayable"
REPAIR = "repair"
SWEEP = "sweep"
TELL_UNREAD_REPORTS = "tell_unread_reports"
LIST_OVER_TIME = "list_over_time"
WHEN_TO_DESTROY = "when_to_destroy"
DESTROY_LISTED = "destroy_listed"
CERTIFY = "certify"
MAKE_JOURNAL = "make_journal"
MAKE_REGISTER = "make_register"

HEARTBEAT_TIMEOUT = timedelta(seconds=15)
"""After this silence an activity that gives signs of life is taken for dead, and tried again."""


LONGEST_DIALOGUE = timedelta(hours=1)
"""Time for one try of an activity that sends e-mails: a mail server may take minutes for each of its answers (RFC 5321)."""


class Planned(Frozen):
    """The answer of `record_event`: the event's e-mails, and how long they wait for others before they go."""

    notice_ids: tuple[UUID, ...]
    wait: timedelta


class FinalizedReport(Frozen):
    """The answer of `finalize_report`: the document is stored."""

    pdf_sha256: Sha256


class VideoToPrepare(Frozen):
    """Which video; ids only."""

    request_id: UUID
    attachment_id: UUID


class RepairReport(Frozen):
    """The answer of `repair`: requests without a workflow, commands that were given again, e-mails that nobody looked after,
    workflows that can't go on, requests that were taken from whom they are shut to."""

    taken_up: tuple[UUID, ...] = ()
    commands: int = 0
    letters: int = 0
    stuck: int = 0
    taken_away: int = Field(0, exclude_if=is_unset)


class UnreadReport(Frozen):
    """The answer of `tell_unread_reports`: of how many requests a clinic was told that a report lies unread."""

    requests: int = 0


class DestructionDue(Frozen):
    """The answer of `when_to_destroy`: from when on what stands on the list is destroyed; None where nothing of it is to be."""

    at: datetime | None


class SweepReport(Frozen):
    """The answer of `sweep`: how many objects were removed, by where they lay."""

    removed: Mapping[str, int] = {}


class JournalRequest(Frozen):
    """A request of which a journal tells: all acts (`whole`), or those of the clinic's own people alone.

    Where its forms did not always name the person of the journal: `other_person_at` is when that changed, first to somebody else,
    then back, and so on.
    """

    request_id: UUID
    whole: bool
    other_person_at: tuple[AwareDatetime, ...] = ()


class JournalOrder(Frozen):
    """The journal of accesses of the person of a request (`about`), for a clinic; ids only.

    `since` and `until` are its days, `before` the moment at which it was asked for: later acts are not in it.
    """

    id: UUID
    about: UUID
    clinic_id: UUID
    asked_by: UUID
    before: AwareDatetime
    since: date | None
    until: date | None
    language: Literal["fr", "en"]
    requests: tuple[JournalRequest, ...]


class MadeJournal(Frozen):
    """The answer of `make_journal`: how many lines it has, or would have; where there are too many, none was made."""

    lines: int
    too_long: bool = False


class RegisterOrder(Frozen):
    """A register of a clinic as a paper; ids and days alone."""

    id: UUID
    clinic_id: UUID
    asked_by: UUID
    kind: Literal["incidents", "communications"]
    since: date | None = None
    until: date | None = None
    language: Literal["fr", "en"]


class MadeRegister(Frozen):
    """The answer of `make_register`: how many lines it has; where there are too many, none was made."""

    lines: int
    too_long: bool = False
