"""What the workflows and the rest of Relais agree on: names, ids, inputs and answers."""

from uuid import UUID

from pydantic import Field

from domain.commands import AddAddendum, AskFollowUp, ReadForRequester, RenewRules, Submit
from domain.effects import AnyEffect
from domain.model import Frozen
from domain.requests import Failure, RefusedSignal, Request, Status

TELECONSULTATION = "Teleconsultation"
"""The type of the workflow of one request."""

NOTICE_DIGEST = "NoticeDigest"
SINGLE_NOTICE = "SingleNotice"
"""The types of the workflows that run on the mail task queue, see `workflows.digest`."""

ACCOUNT_LETTER = "AccountLetter"
FORGOTTEN_PASSWORD = "ForgottenPassword"  # noqa: S105 - the name of a workflow
"""The types of the workflows that send e-mails about accounts, on the same task queue, see `workflows.account_letters`."""

PREPARE_VIDEO = "PrepareVideo"
"""The type of the workflow that makes the playable copy of a video, see `workflows.media`."""


JOURNAL = "Journal"
"""The type of the workflow that makes a person's journal of accesses, see `workflows.journals`."""

REGISTER = "Register"
"""The type of the workflow that makes a paper of a clinic's register, see `workflows.registers`."""


REPAIR_WORKFLOW = "Repair"
SWEEP_WORKFLOW = "Sweep"
UNREAD_REPORTS_WORKFLOW = "UnreadReports"
"""The types of the workflows of the upkeep, see `workflows.upkeep`."""

RETENTION_LISTS = "RetentionLists"
DESTRUCTION = "Destruction"
"""The types of the workflows of retention, see `workflows.retention`."""

LOOK_AGAIN = "look_again"
"""The Signal to a destruction that its list was approved, or taken back, since it looked."""


def workflow_id(request_id: UUID) -> str:
    """The id of the workflow of a request."""
    return f"request-{request_id}"


def destruction_workflow_id(list_id: UUID) -> str:
    """The id of the workflow that goes along an approved list of what is to be destroyed."""
    return f"destruction-{list_id}"


def request_of(workflow_id: str) -> UUID | None:
    """The request whose workflow has that id; None when it is no request's."""
    try:
        return UUID(workflow_id.removeprefix("request-"))
    except ValueError:
        return None


def signing_task_queue(task_queue: str) -> str:
    """The task queue on which documents are made for the requests of a task queue."""
    return f"{task_queue}-signing"


def video_workflow_id(attachment_id: UUID) -> str:
    """The id of the workflow that prepares a video."""
    return f"video-{attachment_id}"


def journal_workflow_id(journal_id: UUID) -> str:
    """The id of the workflow that makes a journal of accesses."""
    return f"journal-{journal_id}"


def register_workflow_id(clinic_id: UUID, paper_id: UUID) -> str:
    """The id of the workflow that makes a paper of a register of that clinic."""
    return f"register-{clinic_id}-{paper_id}"


def notice_workflow_id(notice_id: UUID) -> str:
    """The id of the workflow that sends one notice by itself."""
    return f"notice-{notice_id}"


def letter_workflow_id(letter_id: UUID) -> str:
    """The id of the workflow that sends one e-mail about an account."""
    return f"letter-{letter_id}"


FIRST_MANNER, SECOND_MANNER, MANNER = 1, 2, 3
"""How the first code went about its work, the next, and how today's does. A run keeps the manner in which it began, so that it
replays: 1 starts a timer anew whenever the next deadline moves, and began with an effect for each e-mail; 2 keeps a timer that
rings early enough, and has one effect for the e-mails of an event; 3 has its documents made on a task queue of their own."""


class Start(Frozen):
    """How a workflow begins: with a draft and the command that submits it, or with the state that it had before.

    `command` is also an addendum, a question about the report, or its reading by a colleague, when a request that was over is
    taken up once more for it. With `renewals` a run continues as new under other rules: so each run keeps its own from its first
    task to its last.
    """

    request: Request
    command: Submit | AddAddendum | AskFollowUp | ReadForRequester | None = Field(None, discriminator="type")
    mail_task_queue: str
    manner: int = FIRST_MANNER
    outbox: tuple[AnyEffect, ...] = ()
    failures: tuple[Failure, ...] = ()
    refused_signals: tuple[RefusedSignal, ...] = ()
    renewals: tuple[RenewRules, ...] = ()


class Receipt(Frozen):
    """The answer to a command that was taken (or had been taken before)."""

    request_id: UUID
    version: int
    status: Status
