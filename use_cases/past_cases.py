"""One's own past cases: for a specialist, what became of the patients whose final report they have signed."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from domain.requests import Role
from records import past_cases
from records.errors import BadCursorError
from records.models import Json
from translations import Language
from use_cases import policy
from use_cases.caller import Caller
from use_cases.problems import FieldFault, Problem
from use_cases.requests import RequestSummary, find_summaries
from use_cases.services import Services
from use_cases.views import View


class PastCase(View):
    """A request whose final report one has signed, and what its requester said of the answer when acknowledging it."""

    request: RequestSummary
    report_id: UUID
    signed_at: datetime
    acknowledged_at: datetime | None
    outcome: Json | None = Field(
        None,
        description="`advice_followed`, `visit_avoided` and `comment`, as far as they were answered.",
        examples=[{"advice_followed": "yes", "visit_avoided": True, "comment": None}],
    )


class PastCases(View):
    """A page of them, the newest report first."""

    items: list[PastCase]
    next_cursor: UUID | None


async def read_past_cases(
    services: Services, caller: Caller, language: Language, *, cursor: UUID | None = None, limit: int = 50
) -> PastCases:
    """One's own past cases. Raises Problem `forbidden` for who is no provider; `invalid_input` for a cursor that no page gave."""
    policy.must_have_role(caller, Role.PROVIDER)
    async with services.database.session() as session:
        try:
            found = await past_cases.list_past_cases(session, caller.id, after=cursor, limit=limit + 1)
        except BadCursorError:
            raise Problem("invalid_input", [FieldFault("cursor", "bad_cursor")]) from None
    page = found[:limit]
    lines = {
        line.id: line for line in await find_summaries(services, caller, [case.request_id for case in page], language)
    }
    return PastCases(
        items=[
            PastCase(
                request=lines[case.request_id],
                report_id=case.report_id,
                signed_at=case.signed_at,
                acknowledged_at=case.acknowledged_at,
                outcome=case.outcome,
            )
            for case in page
            if case.request_id in lines
        ],
        next_cursor=page[-1].report_id if len(found) > limit else None,
    )
