"""The feed of changes: what happened to requests since the caller asked last, and which they do not see any more."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from domain.changes import ChangeKind
from domain.requests import EventName, Role
from domain.service_accounts import ACTS_AS
from records import changes
from records.changes import ChangesPage
from records.errors import BadCursorError, CursorExpiredError
from records.visibility import Access
from use_cases.accesses import log_lines
from use_cases.caller import Caller
from use_cases.problems import FieldFault, Problem
from use_cases.services import Services
from use_cases.views import View


class ChangeView(View):
    """Something that changed. Of what is `gone` there is nothing but its id."""

    kind: ChangeKind = Field(
        description="`event`: a row of its timeline. `begun`, `edited`: a draft, or its form; several edits one after the other "
        "are told once. `seen`: nothing happened to it, but the caller sees it since their roles have changed. `gone`: the "
        "caller does not see it any more."
    )
    request_id: UUID
    number: str | None = Field(None, examples=["TC-2026-000123"])
    sequence: int | None = Field(
        None, description="Of an event: its place in the timeline, from 1 on without gaps, as in webhooks."
    )
    version: int | None = Field(None, description="The version of the request after it.")
    event: EventName | None = None
    at: datetime | None = None
    access: Access | None = Field(None, description="How much of the request the caller may see now.")


class Changes(View):
    """A page of the feed, the oldest first."""

    items: list[ChangeView]
    after: str = Field(description="The place behind this page: ask again from there, also when there was nothing.")
    more: bool = Field(description="Whether one should ask again at once; this page may be empty all the same.")


async def read_changes(services: Services, caller: Caller, after: str | None, limit: int) -> Changes:
    """What changed after that place, as far as the caller sees it now; without a place, where the feed stands now.

    Raises Problem `cursor_expired`, or `invalid_input` for a place that the feed never gave.
    """
    async with services.database.session() as session:
        if after is None:
            return Changes(items=[], after=await changes.begin(session), more=False)
        counted = ACTS_AS if caller.system is not None else frozenset(Role)
        try:
            page = await changes.read(session, caller.viewer, after, limit, counted)
        except BadCursorError:
            raise Problem("invalid_input", [FieldFault("after", "bad_cursor")]) from None
        except CursorExpiredError:
            raise Problem("cursor_expired") from None
        if shown := {told.request_id for told in page.items if told.access is not None}:
            await log_lines(session, caller, shown)
    return _view(page)


def _view(page: ChangesPage) -> Changes:
    items = [
        ChangeView(
            kind=told.kind,
            request_id=told.request_id,
            number=told.number,
            sequence=told.sequence,
            version=told.version,
            event=told.event,
            at=told.at,
            access=told.access,
        )
        for told in page.items
    ]
    return Changes(items=items, after=page.cursor, more=page.more)
