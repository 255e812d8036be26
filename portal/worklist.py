"""The start page of every role: what waits, what is late, what is new; filtered, sorted, searched, and always up to date."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response

from domain.partial_dates import PartialDate
from domain.priority import Priority
from domain.requests import Role, Status
from domain.typed_dates import as_date
from portal import on_this_device, pages
from portal.pages import Visit, VisitOf
from portal.providers import teams
from records.lost_messages import MOST_COUNTED
from records.models import Account
from records.worklist import MAX_LIMIT, Count, Sort, WorklistFilter
from translations import gettext_noop as _
from use_cases.catalogue import list_clinics, newest_offerings
from use_cases.lost_messages import count_lost_messages
from use_cases.requests import RequestSummary, find_summaries
from use_cases.saved_filters import Criteria, list_filters
from use_cases.to_do import ToDo
from use_cases.worklist import TO_DO_STATUSES, RequestLine, Worklist, count_to_do, most_pressing_first, read_worklist
from web.rates import SEARCHES

router = APIRouter(include_in_schema=False)

PAGE_ROWS = 25
TO_DO_ROWS = 50
"""So many of those that somebody has to do stand on the first page; the others are a click away."""

TO_DO: Mapping[ToDo, str] = {
    ToDo.READ_REPORT: _("Read the report"),
    ToDo.READ_FOR_REQUESTER: _("Read the report for a colleague"),
    ToDo.ANSWER: _("Answer the question"),
    ToDo.ANSWER_FOLLOW_UP: _("Answer: report"),
    ToDo.RESUBMIT: _("Correct and submit again"),
    ToDo.ACCEPT: _("Accept"),
    ToDo.REPORT: _("Write the report"),
    ToDo.DISPATCH: _("Dispatch the request"),
}
"""What there is to do, as a line of the list says it."""

OPEN = (
    Status.RETURNED,
    Status.AWAITING_DISPATCH,
    Status.AWAITING_ACCEPTANCE,
    Status.ACCEPTED,
    Status.REPORTED,
)
OVER = (Status.CLOSED, Status.CANCELLED, Status.ABANDONED)

LONGEST_SEARCH = 100
"""Characters that can be searched for at once."""

_LONGEST_DATE = 40
"""Characters of a date in the filter."""

SORTS: tuple[Sort, ...] = get_args(Sort)

SORT_COOKIE = "relais-sort"
"""How the worklist was sorted the last time, on this device."""


@dataclass(frozen=True)
class Filter:
    """What the person wants to see, as the address of the page says it."""

    status: str = "active"
    """Statuses with commas between, ``active`` (what is not over) or ``all``."""
    todo: bool = False
    """Only what the person has to do something about."""
    mine: bool = False
    overdue: bool = False
    absent: bool = False
    """Only what is with somebody who is away today."""
    offering: str = ""
    priority: str = ""
    holder: str = ""
    """The id of the person who holds it."""
    clinic: str = ""
    """The id of a clinic that has to do with it."""
    submitted_from: str = ""
    submitted_until: str = ""
    q: str = ""
    sort: Sort = "due"

    @classmethod
    def of(cls, query: Mapping[str, str], account: Account, sorts_by: str = "due") -> "Filter":
        """The filter of an address; what is left out or unknown is as on the start page of that person's role.

        `sorts_by` is how the person had it sorted the last time.
        """
        status, sort, priority = query.get("status", "active"), query.get("sort", sorts_by), query.get("priority", "")
        chosen = "mine" in query or "filter" in query
        return cls(
            status=status if status in ("active", "all") or _are_statuses(status) else "active",
            todo=query.get("todo") == "1",
            mine=query.get("mine") == "1" if chosen else _sees_others_work(account),
            overdue=query.get("overdue") == "1",
            absent=query.get("absent") == "1",
            offering=_plain(query.get("offering", ""))[:64],
            priority=priority if priority in set(Priority) else "",
            holder=_id_in(query.get("holder", "")),
            clinic=_id_in(query.get("clinic", "")),
            submitted_from=as_date(_plain(query.get("submitted_from", ""))[:_LONGEST_DATE]),
            submitted_until=as_date(_plain(query.get("submitted_until", ""))[:_LONGEST_DATE]),
            q=_plain(query.get("q", ""))[:LONGEST_SEARCH],
            sort=next((known for known in SORTS if known == sort), "due"),
        )

    @property
    def statuses(self) -> list[Status] | None:
        """The statuses asked for; None for every one."""
        if self.status == "all":
            return None
        return [Status.DRAFT, *OPEN] if self.status == "active" else list(map(Status, self.status.split(",")))

    @property
    def is_grouped(self) -> bool:
        """Whether what the person has to do stands apart: in the usual view, in the usual order."""
        return self.status == "active" and self.sort == "due" and not self.todo

    def asked(self, **changes: Any) -> WorklistFilter:
        """The same for the records, with what the page itself decides."""
        asked: dict[str, Any] = {
            "to_do": True if self.todo else None,
            "holder_is_me": self.mine and not self.holder,
            "overdue": True if self.overdue else None,
            "holder_absent": True if self.absent else None,
            "offering": self.offering or None,
            "priority": Priority(self.priority) if self.priority else None,
            "holder": UUID(self.holder) if self.holder else None,
            "clinic": UUID(self.clinic) if self.clinic else None,
            "submitted_from": begin.first if (begin := _date_in(self.submitted_from)) else None,
            "submitted_until": end.last if (end := _date_in(self.submitted_until)) else None,
            "q": self.q,
            "sort": self.sort,
            "limit": PAGE_ROWS,
            **changes,
        }
        return WorklistFilter(**{**asked, "statuses": frozenset(asked["statuses"])})

    @property
    def is_refined(self) -> bool:
        """Whether one of the rarer filters is in use."""
        rarer = (self.offering, self.priority, self.holder, self.clinic, self.submitted_from, self.submitted_until)
        return any(rarer)

    @property
    def no_dates(self) -> list[str]:
        """What stands where dates are expected and is none."""
        return [text for text in (self.submitted_from, self.submitted_until) if text and not _date_in(text)]

    @property
    def criteria(self) -> Criteria:
        """The same to be kept."""
        asked = self.asked(statuses=())
        return Criteria(
            status=self.statuses or [],
            holder=asked.holder or ("me" if self.mine else None),
            todo=asked.to_do,
            clinic=asked.clinic,
            overdue=asked.overdue,
            holder_absent=asked.holder_absent,
            offering=asked.offering,
            priority=asked.priority,
            submitted_from=asked.submitted_from,
            submitted_until=asked.submitted_until,
            q=asked.q or None,
            sort=asked.sort,
        )

    @classmethod
    def kept(cls, criteria: Criteria) -> "Filter":
        """What was kept, as the page shows it: what is late or absent, not what is not."""
        is_active = set(criteria.status) == {Status.DRAFT, *OPEN}
        mine = criteria.holder == "me"
        return cls(
            status="active" if is_active else ",".join(criteria.status) or "all",
            todo=bool(criteria.todo),
            mine=mine,
            overdue=bool(criteria.overdue),
            absent=bool(criteria.holder_absent),
            offering=criteria.offering or "",
            priority=criteria.priority or "",
            holder="" if mine else str(criteria.holder or ""),
            clinic=str(criteria.clinic or ""),
            submitted_from=str(criteria.submitted_from or ""),
            submitted_until=str(criteria.submitted_until or ""),
            q=criteria.q or "",
            sort=criteria.sort,
        )

    def address(self, **changes: Any) -> str:
        """The page with this filter, changed a little."""
        values = {**vars(self), **changes}
        said = {name: "1" if value is True else value for name, value in values.items() if value}
        return "/worklist?" + urlencode({"filter": "1", **said})


@dataclass(frozen=True)
class Group:
    """Rows that stand together. `title` is empty where they need none; `more` leads to the rest, where there is one."""

    name: str
    title: str
    rows: Sequence[RequestLine]
    count: Count
    more: str | None = None


@dataclass(frozen=True)
class Found:
    """What the page shows: rows in groups, counts by status over everything that was found, the cursor of the next page."""

    groups: list[Group]
    counts: Mapping[Status, Count]
    next_cursor: str | None


@router.get("/worklist", dependencies=[SEARCHES])
async def worklist(visit: VisitOf) -> Response:
    """A page of the worklist. Scripts ask for the same page and take out of it what changed."""
    said = pages.done_notice(visit.request, visit.language)
    return await worklist_page(visit, str(visit.request.url), said)


async def worklist_page(visit: Visit, address: str, notice: pages.Notice | None, *, status: int = 200) -> Response:
    """The worklist as this address filters it."""
    asked = parse_qsl(urlsplit(address).query, keep_blank_values=True)
    query = dict(asked)
    wanted, cursor = filter_in(visit, query), query.get("cursor")
    found = await _grouped(visit, wanted, cursor) if wanted.is_grouped else await _in_one(visit, wanted, cursor)
    runs_others = bool(visit.caller.roles & {Role.DISPATCHER, Role.CLINIC_ADMINISTRATOR})
    known = await teams(visit) if runs_others else []
    assigns = known if Role.DISPATCHER in visit.caller.roles else []
    page = visit.page(
        "worklist",
        wanted=wanted,
        groups=found.groups,
        begins=not found.groups and await _has_nothing_yet(visit),
        counts=found.counts,
        next_cursor=found.next_cursor,
        totals={
            "active": _total(found.counts, Status.DRAFT, *OPEN),
            "all": _total(found.counts, *Status),
        },
        shown=[status for status in (Status.DRAFT, *OPEN, *OVER) if found.counts.get(status)],
        is_first_page=not cursor,
        to_do_count=await count_to_do(visit.services, visit.caller),
        to_do_words=TO_DO,
        lost_messages=await _lost_messages(visit, cursor),
        offerings=await newest_offerings(visit.services),
        minds_absences=runs_others,
        holders=known,
        clinics=await list_clinics(visit.services, visit.caller),
        saved=[
            (kept.name, Filter.kept(kept.criteria).address())
            for kept in await list_filters(visit.services, visit.caller)
        ],
        teams=assigns,
        searched_in_part=LONGEST_SEARCH if len(_plain(query.get("q", ""))) > LONGEST_SEARCH else 0,
        just_done=await _just_done(visit, [value for name, value in asked if name == "of"]),
        notice=notice,
        status=status,
    )
    if query.get("sort") == wanted.sort:
        on_this_device.keep(page, visit.services.settings, SORT_COOKIE, wanted.sort)
    return page


async def _lost_messages(visit: Visit, cursor: str | None) -> str:
    """How many messages did not arrive; empty where none is shown. Where results alone are replaced, nobody looks."""
    headers = visit.request.headers
    if cursor or ("hx-request" in headers and "hx-history-restore-request" not in headers):
        return ""
    count = await count_lost_messages(visit.services, visit.caller)
    return f"{count}+" if count == MOST_COUNTED else str(count or "")


async def _just_done(visit: Visit, ids: Sequence[str]) -> list[RequestSummary]:
    """Of what the address names, what can still be taken back."""
    named = [UUID(found) for id_ in ids[:MAX_LIMIT] if (found := _id_in(id_))]
    rows = await find_summaries(visit.services, visit.caller, named, visit.language) if named else []
    return [row for row in rows if row.take_back_until]


async def _has_nothing_yet(visit: Visit) -> bool:
    """Whether there is no request at all that the person may see: where to begin is said then."""
    every = WorklistFilter(statuses=frozenset(Status), limit=1)
    return not (await read_worklist(visit.services, visit.caller, every, visit.language)).items


def filter_of(visit: Visit) -> Filter:
    """The filter that the address of this visit says."""
    return filter_in(visit, dict(visit.request.query_params))


def filter_in(visit: Visit, query: Mapping[str, str]) -> Filter:
    """The filter that an address says, sorted as it was the last time where it does not say how."""
    return Filter.of(query, visit.caller.account, on_this_device.kept(visit.request, SORT_COOKIE) or "due")


async def _in_one(visit: VisitOf, wanted: Filter, cursor: str | None) -> Found:
    asked = wanted.asked(statuses=wanted.statuses or (), cursor=cursor)
    page = await read_worklist(visit.services, visit.caller, asked, visit.language)
    group = Group("all", "", page.items, _total(page.counted, *Status))
    return Found([group] if page.items else [], page.counted, page.next_cursor)


async def _grouped(visit: VisitOf, wanted: Filter, cursor: str | None) -> Found:
    """What the person has to do, whoever holds it; what others have to; drafts. Only the second has further pages."""

    async def found(**asked: Any) -> Worklist:
        return await read_worklist(visit.services, visit.caller, wanted.asked(**asked), visit.language)

    to_do = await found(statuses=TO_DO_STATUSES, to_do=True, holder_is_me=False, limit=TO_DO_ROWS)
    others = await found(statuses=OPEN, to_do=False, cursor=cursor)
    groups = [Group("others", _("With others"), others.items, _total(others.counted, *OPEN))]
    if not cursor:
        pressing = most_pressing_first(to_do.items)
        rest = wanted.address(todo=True, mine=False) if to_do.next_cursor else None
        groups.insert(
            0, Group("to-do", _("To be done by me"), pressing, _total(to_do.counted, *OPEN, Status.CLOSED), rest)
        )
        if drafts := others.counted.get(Status.DRAFT):
            written = await found(statuses=(Status.DRAFT,), to_do=False)
            rest = wanted.address(status=Status.DRAFT.value) if written.next_cursor else None
            groups.append(Group("drafts", _("Drafts"), written.items, drafts, rest))
    counts = {status: _total(others.counted, status) + _total(to_do.counted, status) for status in Status}
    return Found([group for group in groups if group.rows], counts, others.next_cursor)


def _total(counts: Mapping[Status, Count], *statuses: Status) -> Count:
    return sum((counts.get(status, Count()) for status in statuses), Count())


def _are_statuses(text: str) -> bool:
    return set(text.split(",")) <= set(Status)


def _id_in(text: str) -> str:
    """The id that stands there; nothing where none does."""
    try:
        return str(UUID(text))
    except ValueError:
        return ""


def _date_in(text: str) -> PartialDate | None:
    """The date that stands there, a day, a month or a year; None where none does."""
    try:
        return PartialDate.read(text)
    except ValueError:
        return None


def _plain(text: str) -> str:
    """Without the signs that nobody types and no database takes."""
    return "".join(sign for sign in text if sign.isprintable()).strip()


def _sees_others_work(account: Account) -> bool:
    """Providers and dispatchers begin with what waits for them; requesters and administrators with everything of theirs."""
    return bool({Role.PROVIDER, Role.DISPATCHER}.intersection(account.roles))
