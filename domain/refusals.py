"""Why a command is refused: stable codes, for programs; the sentences that people read are in the translations."""

from enum import StrEnum
from typing import Literal


class RefusalCode(StrEnum):
    """The stable codes of refusals."""

    # who
    ROLE_NOT_ALLOWED = "role_not_allowed"
    NOT_THE_REQUESTER = "not_the_requester"
    NOT_THE_HOLDER = "not_the_holder"
    NOT_THE_DISPATCHER = "not_the_dispatcher"
    NOT_THE_ADMINISTRATOR = "not_the_administrator"
    NOT_THE_SIGNER = "not_the_signer"
    NOT_THE_REQUESTERS_COLLEAGUE = "not_the_requesters_colleague"
    # when
    NOT_ALLOWED_IN_STATUS = "not_allowed_in_status"
    ALREADY_ACCEPTED = "already_accepted"
    REPORT_BEING_SIGNED = "report_being_signed"
    NOTHING_TO_TAKE_BACK = "nothing_to_take_back"
    TOO_LATE_TO_TAKE_BACK = "too_late_to_take_back"
    NO_OPEN_QUESTION = "no_open_question"
    NOTHING_TO_CONFIRM = "nothing_to_confirm"
    NOTHING_UNREAD = "nothing_unread"
    URGENT_REPORT_UNREAD = "urgent_report_unread"
    FOLLOW_UP_OPEN = "follow_up_open"
    NO_OPEN_FOLLOW_UP = "no_open_follow_up"
    TOO_MANY_FOLLOW_UPS = "too_many_follow_ups"
    TOO_LATE_TO_ASK = "too_late_to_ask"
    SIGNER_IS_THERE = "signer_is_there"
    DEADLINE_NOT_ARMED = "deadline_not_armed"
    DEADLINE_STOPPED = "deadline_stopped"
    DEADLINE_NOT_DUE = "deadline_not_due"
    VERSION_CONFLICT = "version_conflict"
    NOTHING_BEING_SIGNED = "nothing_being_signed"
    RULES_UNKNOWN = "rules_unknown"
    NOTHING_TO_RENEW = "nothing_to_renew"
    # what
    STAT_REFUSED = "stat_refused"
    PRIORITY_UNCHANGED = "priority_unchanged"
    ALREADY_ASSIGNED = "already_assigned"
    NOT_A_COLLEAGUE = "not_a_colleague"
    TRANSFER_TO_SELF = "transfer_to_self"
    NO_SUCH_QUESTION = "no_such_question"
    WHICH_QUESTION = "which_question"
    FORM_NOT_NEWER = "form_not_newer"
    MALFORMED = "malformed"
    UNKNOWN_COMMAND = "unknown_command"


RefusalKind = Literal["forbidden", "conflict", "stale", "invalid"]
"""Not by this person; not now; not on this version; not like this."""

_FORBIDDEN = {
    RefusalCode.ROLE_NOT_ALLOWED,
    RefusalCode.NOT_THE_REQUESTER,
    RefusalCode.NOT_THE_HOLDER,
    RefusalCode.NOT_THE_DISPATCHER,
    RefusalCode.NOT_THE_ADMINISTRATOR,
    RefusalCode.NOT_THE_SIGNER,
    RefusalCode.NOT_THE_REQUESTERS_COLLEAGUE,
}
_INVALID = {
    RefusalCode.STAT_REFUSED,
    RefusalCode.NOT_A_COLLEAGUE,
    RefusalCode.TRANSFER_TO_SELF,
    RefusalCode.NO_SUCH_QUESTION,
    RefusalCode.WHICH_QUESTION,
    RefusalCode.FORM_NOT_NEWER,
    RefusalCode.MALFORMED,
    RefusalCode.UNKNOWN_COMMAND,
}


class Refusal(Exception):  # noqa: N818 - a refusal is an ordinary answer, not an error
    """A command that is not legal. It changed nothing. `explanation` is for engineers and holds no patient data."""

    def __init__(self, code: RefusalCode, explanation: str) -> None:
        super().__init__(f"{code}: {explanation}")
        self.code = code
        self.explanation = explanation

    @property
    def kind(self) -> RefusalKind:
        """The sort of refusal, from which the API takes its status (403, 409, 412, 422)."""
        if self.code in _FORBIDDEN:
            return "forbidden"
        if self.code is RefusalCode.VERSION_CONFLICT:
            return "stale"
        return "invalid" if self.code in _INVALID else "conflict"
