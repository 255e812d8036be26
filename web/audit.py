"""No answer to somebody who is known leaves without an entry in the audit.

What use cases know more about (looks at a request, lists, commands, accounts), they write down themselves, in the transaction of
the act. Of every other call an entry says by which route it came, and an answer with an error is written down here always.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.audit import SHOWING, Act
from records import audit
from records.trouble import DATABASE_ERRORS
from use_cases.accesses import ONE_LOOK, by
from use_cases.caller import Caller
from use_cases.services import Services
from web.session import READING

NOT_WRITTEN: Mapping[str, str] = {
    "events": "says that something is new, not what",
    "still_here": "says that somebody is in front of a page",
    "still_open": "says that a page that was open goes on, and shows nothing",
    "continue_upload": "one part of a file, whose beginning is written down",
    "upload_progress": "how much of one's own file has come",
    "upload_options": "how files may be sent",
}
"""Routes of whose calls nothing is written, and why."""

SHOWN_BY_POST = ("_search_by_post", "search_users", "search_groups", "search_all", "decode")
"""How the names of routes end that only show something, though they are called by POST: what is looked for must not stand in an
address.
"""


class Audit:
    """ASGI middleware. An answer that can't be written down is not given: what the application makes of the error is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = audit.answering()
        is_withheld = False

        async def written(message: Message) -> None:
            nonlocal is_withheld
            if message["type"] == "http.response.start":
                try:
                    await _write(scope, message["status"], answer.acts)
                except DATABASE_ERRORS as error:
                    is_withheld = True
                    other = await _instead(Request(scope), error)
                    await other(scope, receive, send)
            if not is_withheld:
                await send(message)

        await self._app(scope, receive, written)


async def _instead(request: Request, error: Exception) -> Response:
    """As every such error is answered at this address."""
    handlers = request.app.exception_handlers
    handler = next(handlers[kind] for kind in type(error).__mro__ if kind in handlers)
    answer: Response = await handler(request, error)
    return answer


async def _write(scope: Scope, status: int, written: Collection[Act]) -> None:
    caller: Caller | None = scope.get("state", {}).get("caller")
    route: str = getattr(scope.get("route"), "name", "")
    is_refused = 400 <= status < 500
    reads = scope["method"] in READING or route.endswith(SHOWN_BY_POST)
    is_written = bool(written) if reads else not SHOWING.issuperset(written)  # a look stands for no change
    if caller is None or route in NOT_WRITTEN or status >= 500 or (is_written and not is_refused):
        return
    act = Act.REFUSED if is_refused else Act.LOOK if reads else Act.CHANGE
    name = f"{route} {status}" if is_refused else route
    request_id, object_id = _named(scope.get("path_params", {}))
    services: Services = scope["app"].state.services
    now = datetime.now(UTC)
    who = by(caller)
    if reads:
        async with services.database.statement() as session:
            if await audit.was_written(session, who, act, name, request_id, object_id, since=now - ONE_LOOK):
                return
    async with services.database.session() as session:
        audit.add(session, act, who, now, name=name, request_id=request_id, object_id=object_id)


def _named(path: Mapping[str, object]) -> tuple[UUID | None, UUID | None]:
    """The request that the address names, and the first of whatever else it names."""
    ids = {name: found for name, value in path.items() if (found := _uuid(value)) is not None}
    request_id = ids.pop("request_id", None)
    return request_id, next(iter(ids.values()), None)


def _uuid(value: object) -> UUID | None:
    """Also of what belongs to something: its name goes on after a full stop."""
    try:
        return UUID(str(value).partition(".")[0])
    except ValueError:
        return None
