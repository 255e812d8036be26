"""What somebody has to do next about a request: the rules say which commands they may give, and one of these waits for them.

`records.worklist` asks the same of the database, to find the requests and to count them; a test keeps the two together.
"""

from collections.abc import Iterator
from enum import StrEnum

from domain import commands as c
from domain.requests import HolderKind, Request
from domain.rules import UnknownRulesError
from records.models import RequestRecord
from use_cases import policy
from use_cases.caller import Caller


class ToDo(StrEnum):
    """What to do, the most pressing first."""

    READ_REPORT = "read_report"
    READ_FOR_REQUESTER = "read_for_requester"
    ANSWER = "answer"
    ANSWER_FOLLOW_UP = "answer_follow_up"
    RESUBMIT = "resubmit"
    ACCEPT = "accept"
    REPORT = "report"
    DISPATCH = "dispatch"


_AS_HOLDER: dict[type[c.BaseCommand], ToDo] = {
    c.Acknowledge: ToDo.READ_REPORT,
    c.Resubmit: ToDo.RESUBMIT,
    c.Accept: ToDo.ACCEPT,
    c.SignReport: ToDo.REPORT,
    c.Assign: ToDo.DISPATCH,
}
"""The command that whoever holds a request has to give, and what it is called."""


def to_do_of(caller: Caller, row: RequestRecord, request: Request, **for_others: bool) -> ToDo | None:
    """What the caller has to do about `request` (its state in `row`); None when others have to, or nobody.

    `for_others` are `covers` and `reads_for_requester`, as for `policy.allowed_commands`.
    """
    try:
        allowed = {c.PUBLIC_COMMANDS[name] for name in policy.allowed_commands(caller, row, request, **for_others)}
    except UnknownRulesError:  # a newer Relais decides about it
        return None
    return next(_waiting(caller, request, allowed), None)


def _waiting(caller: Caller, request: Request, allowed: set[type[c.BaseCommand]]) -> Iterator[ToDo]:
    if request.requester.id == caller.id and c.ConfirmReading in allowed:
        yield ToDo.READ_REPORT
    if c.ReadForRequester in allowed:
        yield ToDo.READ_FOR_REQUESTER
    if c.AnswerInformation in allowed:
        yield ToDo.ANSWER
    if c.AnswerFollowUp in allowed:
        yield ToDo.ANSWER_FOLLOW_UP
    if policy.is_holder(caller, request) and not _waits_for_an_answer(request):
        yield from (to_do for command, to_do in _AS_HOLDER.items() if command in allowed)


def _waits_for_an_answer(request: Request) -> bool:
    """Whether the holder's own clock stands still because a question is open."""
    return bool(request.questions) and request.holder.kind in (HolderKind.PROVIDER, HolderKind.POOL)
