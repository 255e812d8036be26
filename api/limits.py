"""How much may be sent at once: the body of a call is cut off at a limit, whatever its headers say."""

import re

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem

JSON_LIMIT = 1024**2
"""Bytes of an ordinary call."""

PIECE_LIMIT = 64 * 1024**2
"""Bytes of a resumable upload in one call; a larger file comes in several (`api.uploads`)."""

DRAINED = 64 * 1024**2
"""Bytes that are read and thrown away of a body that is refused: most clients listen only when they have sent everything."""

_UPLOAD = re.compile(r"/uploads/[^/]+$")


class BodyLimit:
    """ASGI middleware: answers 413 when a body grows too large. Nothing of it is kept."""

    def __init__(self, app: ASGIApp, upload_limit: int) -> None:
        self._app = app
        self._upload_limit = upload_limit + 64 * 1024  # the multipart frame around the file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["method"], scope["path"])
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            await _drain(receive)
            await self._refuse(scope, receive, send, limit)
            return
        received = 0
        started = False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _TooLargeError
            return message

        async def noticed(message: Message) -> None:
            nonlocal started
            if received > limit and not started:
                raise _TooLargeError  # what reads bodies takes it for a body that can't be read
            started = True
            await send(message)

        try:
            await self._app(scope, counted, noticed)
        except _TooLargeError:
            if not started:
                await _drain(receive)
                await self._refuse(scope, receive, send, limit)

    def _limit(self, method: str, path: str) -> int:
        if path.endswith("/attachments"):
            return self._upload_limit
        return PIECE_LIMIT if method == "PATCH" and _UPLOAD.search(path) else JSON_LIMIT

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        problem = Problem("too_large", headers={"Connection": "close"}, limit_bytes=limit)
        answer = scope["app"].exception_handlers[Problem]  # as every problem of the application is answered
        await (await answer(Request(scope), problem))(scope, receive, send)


async def _drain(receive: Receive) -> None:
    left = DRAINED
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return


class _TooLargeError(Exception):
    pass
