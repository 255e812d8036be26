"""HEAD is answered wherever GET is: with the same headers, and no body (RFC 9110, 9.3.2)."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Heads:
    """ASGI middleware: a HEAD that no route takes is answered as GET would be. It is a look like any other, noted as one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        not_taken = False

        async def watched(message: Message) -> None:
            nonlocal not_taken
            if message["type"] == "http.response.start" and message["status"] == 405:
                not_taken = True
            if not not_taken:
                await send(message)

        as_get: Scope = {**scope, "method": "GET"}  # a copy, for routing writes into a scope what it finds
        await self._app(scope, receive, watched)
        if not_taken:
            await self._answer_as_get(as_get, receive, send)
            scope["route"] = as_get.get("route")

    async def _answer_as_get(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Everything but the body; what would go on for long, as a stream does, is ended as when its reader goes away."""
        had_enough = False

        async def without_body(message: Message) -> None:
            nonlocal had_enough
            if message["type"] != "http.response.body":
                await send(message)
            elif not had_enough:
                had_enough = True
                await send({"type": "http.response.body", "body": b""})
                if message.get("more_body", False):
                    answering.cancel()

        answering = asyncio.ensure_future(self._app(scope, receive, without_body))
        try:
            await answering
        except asyncio.CancelledError:
            if not had_enough:
                answering.cancel()
                raise
