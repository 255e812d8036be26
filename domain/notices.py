"""Who is told of what by e-mail: one table of events by recipients.

ACTION means that the recipient now has something to do; INFORMATION that there is something to know. People choose to be told
at once, grouped, or only of actions (`NoticeMode`). Nobody is told of what they did themselves.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal
from uuid import UUID

from domain.model import Frozen
from domain.requests import EventName as E


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
    SIGNING_PROVIDER = "signing_provider"  # the provider whose signature just now came to nothing


REQUESTER, HOLDER, BEFORE = Recipient.REQUESTER, Recipient.HOLDER, Recipient.PREVIOUS_HOLDER
DISPATCHERS, SIGNER, SIGNING_PROVIDER = Recipient.DISPATCHERS, Recipient.SIGNER, Recipient.SIGNING_PROVIDER
ACTION, INFO = Importance.ACTION, Importance.INFORMATION

MATRIX: Mapping[E, Mapping[Recipient, Importance]] = {
    E.SUBMITTED: {HOLDER: ACTION, REQUESTER: INFO},
    E.ASSIGNED: {HOLDER: ACTION, BEFORE: INFO, REQUESTER: INFO},
    E.ACCEPTED: {REQUESTER: INFO, DISPATCHERS: INFO},
    E.TRANSFERRED: {HOLDER: ACTION, REQUESTER: INFO, DISPATCHERS: INFO},
    E.INFORMATION_REQUESTED: {REQUESTER: ACTION},
    E.INFORMATION_ANSWERED: {HOLDER: ACTION},
    E.INFORMATION_REQUEST_WITHDRAWN: {REQUESTER: INFO},
    E.RETURNED_TO_REQUESTER: {REQUESTER: ACTION, BEFORE: INFO, DISPATCHERS: INFO},
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
    E.INFORMATION_REMINDER: {REQUESTER: ACTION},
    E.INFORMATION_EXPIRED: {HOLDER: ACTION, REQUESTER: ACTION},
    E.RESUBMISSION_REMINDER: {HOLDER: ACTION},
    E.ABANDONED: {REQUESTER: INFO, DISPATCHERS: INFO},
    E.ACKNOWLEDGEMENT_REMINDER: {HOLDER: ACTION},
    E.CLOSED_UNACKNOWLEDGED: {REQUESTER: INFO, SIGNER: INFO},
}


class SendResult(Frozen):
    """What became of one e-mail. `refused` is for good; then the `follow_up_notice_ids` tell the dispatchers so."""

    status: Literal["sent", "already_sent", "refused", "suppressed"]
    follow_up_notice_ids: tuple[UUID, ...] = ()
