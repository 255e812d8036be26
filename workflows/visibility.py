"""What an operator sees of a request in the Temporal UI: search attributes and current details. No personal data."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

from domain import calendar
from domain.commands import RenewRules
from domain.effects import AnyEffect
from domain.requests import Failure, RefusedSignal, Request, Status
from workflows.contract import workflow_id

STATUS = SearchAttributeKey.for_keyword("RequestStatus")
NUMBER = SearchAttributeKey.for_keyword("RequestNumber")
CLINIC = SearchAttributeKey.for_keyword("RequestClinic")
HOLDER = SearchAttributeKey.for_keyword("RequestHolder")
OFFERING = SearchAttributeKey.for_keyword("RequestOffering")
PRIORITY = SearchAttributeKey.for_keyword("RequestPriority")
DUE = SearchAttributeKey.for_datetime("RequestDue")
OVERDUE = SearchAttributeKey.for_bool("RequestOverdue")

SEARCH_ATTRIBUTES: Mapping[str, str] = {
    key.name: key.indexed_value_type.name.title().replace("_", "")
    for key in (STATUS, NUMBER, CLINIC, HOLDER, OFFERING, PRIORITY, DUE, OVERDUE)
}
"""Name to type, as the Temporal server wants them registered."""

_CANCEL = "cancel"

_WAITS_FOR: Mapping[Status, str] = {
    Status.AWAITING_DISPATCH: "a dispatcher to assign it",
    Status.AWAITING_ACCEPTANCE: "a provider to accept it",
    Status.ACCEPTED: "the provider to sign the final report",
    Status.RETURNED: "the requester to resubmit or cancel it",
    Status.REPORTED: "the requester to acknowledge the report",
}


def search_attributes(request: Request) -> tuple[SearchAttributeUpdate[Any], ...]:
    """The values by which operators find the request."""
    due = request.due_at
    return (
        STATUS.value_set(request.status),
        NUMBER.value_set(request.number),
        CLINIC.value_set(str(request.dispatch_clinic_id)),
        HOLDER.value_set(holder_text(request)),
        OFFERING.value_set(request.terms.offering),
        PRIORITY.value_set(request.priority),
        DUE.value_set(due) if due else DUE.value_unset(),
        OVERDUE.value_set(bool(request.overdue)),
    )


def holder_text(request: Request) -> str:
    """The holder as one word: its kind, and the id of the person or of the clinic."""
    name = request.holder.id or request.holder.clinic_id
    return f"{request.holder.kind}:{name}" if name else str(request.holder.kind)


def current_details(
    request: Request,
    outbox: Sequence[AnyEffect],
    failures: Sequence[Failure],
    refused_signals: Sequence[RefusedSignal],
    renewals: Sequence[RenewRules] = (),
) -> str:
    """Markdown: where the request stands, what it waits for, and what failed."""
    lines = [
        f"### {request.number}: {request.status}",
        "",
        f"- **waits for** {_WAITS_FOR.get(request.status, 'nobody')}",
        f"- **held by** {holder_text(request)}",
        f"- **priority** {request.priority}, **offering** {request.terms.offering} v{request.terms.offering_version}",
        f"- **version** {request.version}, **rules** {request.rules}",
    ]
    lines += [f"- **goes on at the next quiet moment under rules** {renewal.rules}" for renewal in renewals]
    if request.questions:
        lines.append(f"- **open questions to the requester**: {len(request.questions)}")
    if request.open_follow_up:
        lines.append("- **a question about the report** waits for the provider who signed it")
    if request.overdue:
        lines.append(f"- **overdue**: {', '.join(request.overdue)}")
    if request.signing:
        lines.append(f"- **being signed**: {request.signing.kind} report, since {_local(request.signing.signed_at)}")
    lines += ["", "**Deadlines** (America/Toronto)", ""]
    for deadline in request.deadlines:
        moment = deadline.next_moment
        state = f"calls next {_local(moment)}" if moment else "stands still: a question is open"
        lines.append(f"- {deadline.name} ({deadline.limit}): {state}")
    if not request.deadlines:
        lines.append("- none: nobody has to act any more")
    waiting = [effect for effect in outbox if effect.kind != "record"]
    if waiting:
        lines += ["", f"**Under way**: {len(waiting)} effect(s)", ""]
        lines += [f"- {effect.kind} `{effect.id}`" for effect in waiting[:10]]
    if failures:
        lines += ["", "**Failed for good**", ""]
        lines += [f"- `{failure.effect_id}`: {failure.code} ({_local(failure.at)})" for failure in failures]
    lines += _signals_refused(request, refused_signals)
    return "\n".join(lines)


def _signals_refused(request: Request, refused_signals: Sequence[RefusedSignal]) -> list[str]:
    """Which they were; and, Temporal handing Cancel to a run only once, the shell's line for who wants to cancel after that."""
    if not refused_signals:
        return []
    lines = ["", "**Signals refused**", ""]
    lines += [f"- {refused.name}: {refused.code} ({_local(refused.at)})" for refused in refused_signals]
    if any(refused.name == _CANCEL for refused in refused_signals):
        said = '{"id": "<ticket>", "actor": {"role": "operator"}, "reason": "<why>"}'
        line = f"temporal workflow signal --workflow-id {workflow_id(request.id)} --name {_CANCEL} --input '{said}'"
        lines += [
            "",
            "Cancel in this UI reaches a run only once. By a Signal, as soon as the request can be cancelled:",
        ]
        lines += ["", "```", line, "```"]
    return lines


def _local(moment: datetime) -> str:
    return moment.astimezone(calendar.TIME_ZONE).strftime("%Y-%m-%d %H:%M")
