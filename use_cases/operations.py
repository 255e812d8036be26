"""For operators: what failed, which requests can't go on, and the end of a deadline before its time."""

from datetime import UTC, datetime
from uuid import UUID

from pydantic import Field
from temporalio.service import RPCError

from domain.requests import Role
from engine.running import list_stuck
from records import failures
from records.visibility import all_shut_to
from use_cases import policy
from use_cases.caller import Caller
from use_cases.commands import Call, CommandReceipt, carry_out
from use_cases.orders import EndDeadline
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.views import View
from workflows.contract import TELECONSULTATION, request_of

LONGEST_LIST = 500


class FailureView(View):
    """An effect that failed for good."""

    effect_id: str
    request_id: UUID
    kind: str
    code: str
    at: datetime


class StuckView(View):
    """A request whose workflow can't go on."""

    request_id: UUID
    workflow_id: str
    problem: str = Field(examples=["WorkflowTaskFailedCauseNonDeterministicError"])


async def list_failures(services: Services, caller: Caller) -> list[FailureView]:
    """Effects that need a person. Raises Problem `forbidden`."""
    policy.must_have_role(caller, Role.OPERATOR)
    async with services.database.session() as session:
        shut = await all_shut_to(session, caller.viewer)
        return [
            FailureView(effect_id=f.effect_id, request_id=f.request_id, kind=f.kind, code=f.code, at=f.at)
            for f in await failures.list_failures(session)
            if f.request_id not in shut
        ]


async def resolve_failure(services: Services, caller: Caller, effect_id: str) -> None:
    """Take one off the list, when it has been seen to. Raises Problem `forbidden` or `not_found`."""
    policy.must_have_role(caller, Role.OPERATOR)
    async with services.database.session() as session:
        if not await failures.resolve_failure(session, effect_id, now=datetime.now(UTC), account_id=caller.id):
            raise Problem("not_found")


async def list_stuck_requests(services: Services, caller: Caller) -> list[StuckView]:
    """Whose workflow task fails again and again. Raises Problem `forbidden` or `engine_unreachable`."""
    policy.must_have_role(caller, Role.OPERATOR)
    try:
        found = await list_stuck(services.engine, TELECONSULTATION, LONGEST_LIST)
    except RPCError as error:
        raise Problem("engine_unreachable") from error
    async with services.database.session() as session:
        shut = await all_shut_to(session, caller.viewer)
    return [
        StuckView(request_id=request_id, workflow_id=stuck.workflow_id, problem=stuck.problem)
        for stuck in found
        if (request_id := request_of(stuck.workflow_id)) is not None and request_id not in shut
    ]


async def end_deadline(services: Services, call: Call, order: EndDeadline) -> CommandReceipt:
    """End a running deadline now. Raises Problem `forbidden`, and what `carry_out` does."""
    policy.must_have_role(call.caller, Role.OPERATOR)
    return await carry_out(services, call, order)
