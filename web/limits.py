"""What may be sent: the body of a call is cut off at a limit, whatever its headers say, and its texts are UTF-8."""

import re

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from use_cases.phone_links import PHOTOS_PATH
from use_cases.problems import Problem
from use_cases.verification import MAX_FILE_BYTES, VERIFICATION_PAGE
from web.problems import HTTPProblem

JSON_LIMIT = 1024**2
"""Bytes of an ordinary call."""

PIECE_LIMIT = 64 * 1024**2
"""Bytes of a resumable upload in one call; a larger file comes in several (`api.uploads`)."""

MESSAGE_LIMIT = 32 * 1024**2
"""Bytes of a message of a partner, with the files that lie in it in Base64."""

TAKES_A_MESSAGE = frozenset({"/fhir/$process-message", "/fhir/$process-messages"})
"""Where partners send messages; some know the address in the plural."""

DRAINED = 64 * 1024**2
"""Bytes that are read and thrown away of a body that is refused: most clients listen only when they have sent everything."""

FRAME = 64 * 1024
"""Bytes around a file that is sent in a form."""

TAKES_A_DOCUMENT = frozenset({"/api/v1/verifications", VERIFICATION_PAGE})
"""Where a signed document is sent to be checked."""

_UTF_8 = re.compile(r';\s*charset\s*=\s*"?utf-?8"?\s*(?=;|$)', re.IGNORECASE)

_UPLOAD = re.compile(r"/uploads/[^/]+$")


class BodyLimit:
    """ASGI middleware: answers 413 when a body grows too large, 415 when its texts are not UTF-8. Nothing of it is kept."""

    def __init__(self, app: ASGIApp, upload_limit: int, photo_limit: int) -> None:
        self._app = app
        self._upload_limit = upload_limit + FRAME
        self._photo_limit = photo_limit + FRAME

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not _is_utf_8(headers.get("content-type", "")):
            await _refuse(scope, receive, send, Problem("unsupported_charset"))
            return
        limit = self._limit(scope["method"], scope["path"])
        too_large = HTTPProblem("too_large", headers={"Connection": "close"}, limit_bytes=limit)
        declared = headers.get("content-length", "")
        if declared.isdecimal() and (len(declared) > 18 or int(declared) > limit):
            await _refuse(scope, receive, send, too_large)
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
                await _refuse(scope, receive, send, too_large)

    def _limit(self, method: str, path: str) -> int:
        if path == PHOTOS_PATH:
            return self._photo_limit
        if path.endswith("/attachments"):
            return self._upload_limit
        if path in TAKES_A_DOCUMENT:
            return MAX_FILE_BYTES + FRAME
        if path in TAKES_A_MESSAGE:
            return MESSAGE_LIMIT
        return PIECE_LIMIT if method == "PATCH" and _UPLOAD.search(path) else JSON_LIMIT


def _is_utf_8(content_type: str) -> bool:
    """Whether no other charset is asked for.

    A form would be read by any codec of Python: some give halves of characters, which nothing can store, and some take minutes.
    """
    return "charset" not in _UTF_8.sub("", content_type).lower()


async def _refuse(scope: Scope, receive: Receive, send: Send, problem: Problem) -> None:
    await _drain(receive)
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
