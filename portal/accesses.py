"""Who looked at a request, what they looked at, and when: for its requester and for administrators, as the law has it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response

from domain.audit import Act
from domain.requests import Role, Status
from portal.pages import Visit, VisitOf
from translations import gettext_noop as _
from use_cases.accesses import AccessView, list_accesses
from use_cases.names import PersonView
from use_cases.requests import RequestView

router = APIRouter(include_in_schema=False)

KINDS: Mapping[Act, str] = {
    Act.REQUEST: _("the request"),
    Act.TIMELINE: _("the history"),
    Act.ATTACHMENT: _("a photo or video"),
    Act.PREVIEW: _("the preview of a photo or video"),
    Act.REPORT_DRAFT: _("the draft of the report"),
    Act.DOCUMENT: _("a signed document"),
    Act.EXPORT: _("the whole case, taken along as a PDF"),
    Act.JOURNAL: _("the journal of accesses of its patient"),
    Act.ENGINE: _("what the workflow engine keeps of it"),
    Act.PHONE_PHOTO: _("a photo, sent by a telephone with a link of theirs"),
    Act.MESSAGE: _("what is asked, or what became of it, told to another system by a message"),
    Act.SEARCH: _("the line of the worklist, found by the patient"),
}
"""What one can look at."""


@dataclass(frozen=True)
class Look:
    """What one person looked at within one minute, each kind with how often. `at` is the last of these looks."""

    at: datetime
    by: PersonView | None
    role: Role
    what: Mapping[Act, int]
    emergency: bool = False
    system: bool = False
    on_behalf_of: PersonView | None = None


@router.get("/requests/{request_id}/accesses")
async def accesses_page(request_id: UUID, visit: VisitOf) -> Response:
    """The newest looks at the request."""
    entries = await list_accesses(visit.services, visit.caller, request_id)
    view = await visit.look_at(request_id)
    return visit.page("accesses", view=view, looks=list(looks(entries)), kinds=KINDS)


def may_be_shown(visit: Visit, view: RequestView) -> bool:
    """Whether a page should offer the way here. The use case decides; this only spares people a link that says no."""
    is_administrator = (
        Role.CLINIC_ADMINISTRATOR in visit.caller.roles and view.access == "chart" and view.emergency is None
    )
    return view.status is not Status.DRAFT and (visit.is_requester_of(view) or is_administrator)


def looks(entries: Iterable[AccessView]) -> Iterable[Look]:
    """The entries of the log (newest first), those of one person within one minute together: a page makes several of them."""
    for _same, found in groupby(entries, _one_look):
        together = list(found)
        newest = together[0]
        what = Counter(entry.what for entry in reversed(together))
        yield Look(newest.at, newest.by, newest.role, what, newest.emergency, newest.system, newest.on_behalf_of)


def _one_look(entry: AccessView) -> tuple[object, ...]:
    minute, whom = entry.at.replace(second=0, microsecond=0), entry.on_behalf_of
    return minute, entry.by and entry.by.id, whom and whom.id, entry.role, entry.emergency
