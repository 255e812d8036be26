"""How much one person may ask for of what is costly: searches, pictures, documents, uploads, open streams.

The limits are far above what people do; they end a program that has gone astray. Each process counts for itself: a count in the
records would cost about as much as what it saves, so with several processes somebody gets so many times as much.
([decision](../docs/decisions/guessing-and-flooding.md))
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from uuid import UUID

from fastapi import Depends, Request

from domain.rates import Rate
from settings import Settings
from use_cases.problems import Problem
from web.observe import tell
from web.origin import OriginOf
from web.services import ServicesOf
from web.session import IdentifiedOf, account_of_session

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

MOST_COUNTED = 10_000
"""So many counts are kept of each kind; of who did nothing for longest, it is forgotten."""

COME_BACK_SECONDS = 30
"""When somebody may try again to open what they have open too often; nobody knows when they will close some."""


@dataclass(frozen=True)
class Spent:
    """What has been asked for in this process: of each kind and person, when it will count no more; and what is open."""

    empty_at: dict[str, OrderedDict[Hashable, datetime]] = field(default_factory=dict)
    streams: Counter[UUID] = field(default_factory=Counter)


class Limit:
    """Counts calls of one kind against the limit of whoever calls, which the answer tells, and refuses them beyond."""

    def __init__(
        self,
        name: str,
        most: Callable[[Settings], int],
        only: Callable[[Request], bool] = lambda _: True,
        *,
        window: timedelta = MINUTE,
    ) -> None:
        self.name = name
        self._most = most
        self._only = only
        self._window = window

    def count(self, request: Request, settings: Settings, who: Hashable) -> None:
        """Raises Problem `too_many_requests`, with the seconds to wait."""
        most = self._most(settings)
        if most and self._only(request):
            self._spend(request, who, Rate.per(self._window, most))

    def _spend(self, request: Request, who: Hashable, rate: Rate) -> None:
        now = datetime.now(UTC)
        counted = request.app.state.spent.empty_at.setdefault(self.name, OrderedDict())
        empty_at = counted.get(who)
        if wait := rate.wait(empty_at, now):
            self._tell(request, rate, empty_at, now)
            raise Problem("too_many_requests", retry_after=max(1, ceil(wait.total_seconds())))
        counted[who] = empty_at = rate.after_one(empty_at, now)
        counted.move_to_end(who)
        if len(counted) > MOST_COUNTED:
            counted.popitem(last=False)
        self._tell(request, rate, empty_at, now)

    def _tell(self, request: Request, rate: Rate, empty_at: datetime | None, now: datetime) -> None:
        """The fields of draft-ietf-httpapi-ratelimit-headers: what is allowed, what is left, when all of it is there again."""
        whole = ceil(max((empty_at or now) - now, timedelta()).total_seconds())
        fields = {
            "RateLimit-Policy": f'"{self.name}";q={rate.most};w={round(rate.window.total_seconds())}',
            "RateLimit": f'"{self.name}";r={rate.left(empty_at, now)};t={whole}',
        }
        tell(request, fields)


class Limited(Limit):
    """A dependency of routes, for who is signed in. A system has a limit of its own, for whomever it calls."""

    async def __call__(self, request: Request, services: ServicesOf, caller: IdentifiedOf) -> None:
        """Raises Problem `too_many_requests`, with the seconds to wait."""
        self.count(request, services.settings, caller.actual_id)


class LimitedStrangers(Limit):
    """A dependency of routes that anybody may use: those of one address share the limit."""

    async def __call__(self, request: Request, services: ServicesOf, origin: OriginOf) -> None:
        """Raises Problem `too_many_requests`, with the seconds to wait."""
        self.count(request, services.settings, origin.network)


class LimitedVisitors(Limit):
    """A dependency of routes that anybody may use: who is signed in has the limit alone, others share that of their address."""

    async def __call__(self, request: Request, services: ServicesOf, origin: OriginOf) -> None:
        """Raises Problem `too_many_requests`, with the seconds to wait."""
        account = await account_of_session(request, services)
        self.count(request, services.settings, account.id if account else origin.network)


SEARCHES = Depends(
    Limited(
        "searches", lambda settings: settings.searches_per_minute, lambda request: bool(request.query_params.get("q"))
    )
)
OF_ONE_PATIENT = Depends(Limited("searches", lambda settings: settings.searches_per_minute))
PICTURES = Depends(Limited("pictures", lambda settings: settings.pictures_per_minute))
DOCUMENTS = Depends(Limited("documents", lambda settings: settings.documents_per_minute))
CHECKS = Depends(LimitedStrangers("checks", lambda settings: settings.checks_per_minute))
STATUSES = Depends(LimitedStrangers("statuses", lambda settings: settings.statuses_per_minute))
UPLOADS_OF_ONE = Limited("uploads", lambda settings: settings.uploads_per_minute)
FORGOTTEN_PASSWORDS = Depends(
    LimitedStrangers("forgotten-passwords", lambda settings: settings.forgotten_passwords_per_minute)
)
LOGOUTS = Depends(LimitedStrangers("logouts", lambda settings: 10 * settings.sign_ons_per_minute))
SIGN_ONS = Depends(LimitedStrangers("sign-ons", lambda settings: settings.sign_ons_per_minute))
LAUNCHES = Depends(LimitedVisitors("launches", lambda settings: settings.launches_per_minute))
UPLOADS = Depends(UPLOADS_OF_ONE)
DIRECTORY = Depends(Limited("directory", lambda settings: 10 * settings.searches_per_minute))
MESSAGES = Depends(Limited("messages", lambda settings: settings.uploads_per_minute))
SUBSCRIPTIONS = Depends(Limited("subscriptions", lambda settings: settings.subscriptions_per_hour, window=HOUR))
DECODES = Limit("decodes", lambda settings: settings.decodes_per_minute)
STREAMS = Depends(Limited("streams", lambda settings: settings.streams_per_minute))


def must_have_few_streams(request: Request, account: UUID, most: int) -> None:
    """Raise Problem `too_many_requests` when the person has `most` streams open (0: no limit)."""
    if most and request.app.state.spent.streams[account] >= most:
        raise Problem("too_many_requests", retry_after=COME_BACK_SECONDS)


@contextmanager
def open_stream(request: Request, account: UUID) -> Iterator[None]:
    """For as long as a stream is open."""
    streams = request.app.state.spent.streams
    streams[account] += 1
    try:
        yield
    finally:
        streams[account] -= 1
        if not streams[account]:
            del streams[account]
