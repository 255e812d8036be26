"""Counts and times every call, and sets the headers that every answer has."""

from collections.abc import Mapping
from time import perf_counter

from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from web.calls import REQUEST_ID, TRACE_PARENT, call_named

CALLS = Counter("relais_http_calls_total", "Calls of the API", ["method", "path", "status"])
SECONDS = Histogram("relais_http_call_seconds", "Duration of a call of the API", ["method", "path"])

PASSING_PROBLEMS = Counter(
    "relais_passing_problems_total",
    "Calls that could not be answered for the moment, by the code of the answer",
    ["code"],
)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

CLOSED = "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
"""What every Content-Security-Policy says: no plug-ins, no other base for addresses, in no other page."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), serial=(), usb=()",
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; form-action 'none'; {CLOSED}",
}
"""What every answer says, unless it says otherwise itself."""


OVER_TLS = {"Strict-Transport-Security": "max-age=63072000; includeSubDomains"}
"""The same where people reach Relais over TLS: for two years, browsers ask this host and those below it by TLS alone."""

CALL = "call"
"""The name in the state of a call under which its own names stand (`web.calls.CallName`)."""

TOLD = "told"
"""The name in the state of a call under which headers stand that its answer has besides, whatever it is."""


def tell(request: Request, fields: Mapping[str, str]) -> None:
    """Have the answer to this call say these headers besides, unless it says otherwise itself."""
    setattr(request.state, TOLD, {**getattr(request.state, TOLD, {}), **fields})


class Observe:
    """ASGI middleware. Paths are counted by their pattern, so that no id gets into a metric."""

    def __init__(self, app: ASGIApp, over_tls: bool) -> None:
        self._app = app
        self._headers = HEADERS | OVER_TLS if over_tls else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        status = 500
        headers = Headers(scope=scope)
        call = call_named(headers.get(REQUEST_ID), headers.get(TRACE_PARENT))
        state = scope.setdefault("state", {})  # here, so that it is one for all copies of the scope
        state[CALL] = call
        state[TOLD] = call.headers

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in {**self._headers, **scope["state"][TOLD]}.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            with bound_contextvars(call=str(call.uuid), trace=call.trace_id):
                await self._app(scope, receive, watched)
        finally:
            path = getattr(scope.get("route"), "path", "unknown")
            method = scope["method"] if scope["method"] in _METHODS else "other"  # anybody can make a new one up
            CALLS.labels(method, path, str(status)).inc()
            SECONDS.labels(method, path).observe(perf_counter() - began)
