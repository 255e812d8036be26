"""The start page of every role: what waits, what is late, what is new; filtered, sorted, searched, and always up to date."""

from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import Response

from domain.priority import Priority
from domain.requests import Role, Status
from portal import pages
from portal.pages import VisitOf
from records.models import Account
from records.worklist import Sort, WorklistFilter
from use_cases.catalogue import newest_offerings
from use_cases.worklist import Worklist, read_worklist

router = APIRouter()

PAGE_ROWS = 25

OPEN = (
    Status.RETURNED,
    Status.AWAITING_DISPATCH,
    Status.AWAITING_ACCEPTANCE,
    Status.ACCEPTED,
    Status.REPORTED,
)
OVER = (Status.CLOSED, Status.CANCELLED, Status.ABANDONED)

SORTS: tuple[Sort, ...] = get_args(Sort)


@dataclass(frozen=True)
class Filter:
    """What the person wants to see, as the address of the page says it."""

    status: str = "active"
    """A status, ``active`` (what is not over) or ``all``."""
    mine: bool = False
    overdue: bool = False
    absent: bool = False
    """Only what is with somebody who is away today."""
    offering: str = ""
    priority: str = ""
    q: str = ""
    sort: Sort = "due"

    @classmethod
    def of(cls, query: dict[str, str], account: Account) -> "Filter":
        """The filter of an address; what is left out or unknown is as on the start page of that person's role."""
        status, sort, priority = query.get("status", "active"), query.get("sort", "due"), query.get("priority", "")
        chosen = "mine" in query or "filter" in query
        return cls(
            status=status if status in {*Status, "active", "all"} else "active",
            mine=query.get("mine") == "1" if chosen else _sees_others_work(account),
            overdue=query.get("overdue") == "1",
            absent=query.get("absent") == "1",
            offering=_plain(query.get("offering", ""))[:64],
            priority=priority if priority in set(Priority) else "",
            q=_plain(query.get("q", ""))[:100],
            sort=next((known for known in SORTS if known == sort), "due"),
        )

    @property
    def statuses(self) -> list[Status] | None:
        """The statuses asked for; None for every one."""
        if self.status == "all":
            return None
        return [Status.DRAFT, *OPEN] if self.status == "active" else [Status(self.status)]

    @property
    def is_refined(self) -> bool:
        """Whether one of the rarer filters is in use."""
        return bool(self.offering or self.priority or self.sort != "due")

    def address(self, **changes: Any) -> str:
        """The page with this filter, changed a little."""
        values = {**vars(self), **changes}
        said = {name: "1" if value is True else value for name, value in values.items() if value}
        return "/worklist?" + urlencode({"filter": "1", **said})


@router.get("/worklist")
async def worklist(visit: VisitOf) -> Response:
    """A page of the worklist. Scripts ask for the same page and take out of it what changed."""
    query = dict(visit.request.query_params)
    wanted = Filter.of(query, visit.caller.account)
    found = await _found(visit, wanted, query.get("cursor"))
    return visit.page(
        "worklist",
        wanted=wanted,
        found=found,
        totals={
            "active": sum(found.counts.get(status, 0) for status in (Status.DRAFT, *OPEN)),
            "all": sum(found.counts.values()),
        },
        shown=[status for status in (Status.DRAFT, *OPEN, *OVER) if found.counts.get(status)],
        is_first_page=not query.get("cursor"),
        offerings=await newest_offerings(visit.services),
        minds_absences=bool(visit.caller.roles & {Role.DISPATCHER, Role.CLINIC_ADMINISTRATOR}),
        notice=pages.done_notice(visit.request, visit.language),
    )


async def _found(visit: VisitOf, wanted: Filter, cursor: str | None) -> Worklist:
    asked = WorklistFilter(
        statuses=frozenset(wanted.statuses or ()),
        holder_is_me=wanted.mine,
        overdue=True if wanted.overdue else None,
        holder_absent=True if wanted.absent else None,
        offering=wanted.offering or None,
        priority=Priority(wanted.priority) if wanted.priority else None,
        q=wanted.q,
        sort=wanted.sort,
        cursor=cursor,
        limit=PAGE_ROWS,
    )
    return await read_worklist(visit.services, visit.caller, asked, visit.language)


def _plain(text: str) -> str:
    """Without the signs that nobody types and no database takes."""
    return "".join(sign for sign in text if sign.isprintable()).strip()


def _sees_others_work(account: Account) -> bool:
    """Providers and dispatchers begin with what waits for them; requesters and administrators with everything of theirs."""
    return bool({Role.PROVIDER, Role.DISPATCHER}.intersection(account.roles))
