"""Reading once more what one has: answers have a tag of what they say, and who names it in If-None-Match gets 304 (RFC 9110)."""

from hashlib import sha256
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.tags import is_known


class Conditional:
    """ASGI middleware for what the API answers in JSON.

    The same address tells each reader something else, in their language, and more than the version changes in it (who is away,
    who looks too, what is late). So the tag is that of the very bytes, and begins with the version that the route gave, for
    If-Match. The answer is made all the same, after the same checks, and noted as the look that it is; it is only not sent.
    """

    def __init__(self, app: ASGIApp, below: str) -> None:
        self._app = app
        self._below = below

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(self._below):
            await self._app(scope, receive, send)
            return
        known = Headers(scope=scope).get("If-None-Match", "")
        held: Message | None = None
        body = b""

        async def watched(message: Message) -> None:
            nonlocal held, body
            if message["type"] == "http.response.start" and _is_tagged(message):
                held = message
            elif held is None:
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    await _answer(held, body, known, send)

        await self._app(scope, receive, watched)


def _is_tagged(start: Message) -> bool:
    return start["status"] == HTTPStatus.OK and Headers(raw=start["headers"]).get("Content-Type") == "application/json"


async def _answer(start: Message, body: bytes, known: str, send: Send) -> None:
    headers = MutableHeaders(scope=start)
    version = headers.get("ETag", "").strip('"')
    headers["ETag"] = tag = f'"{f"{version}." if version else ""}{sha256(body).hexdigest()[:32]}"'
    if is_known(known, tag):
        start, body = {**start, "status": HTTPStatus.NOT_MODIFIED.value}, b""
        headers = MutableHeaders(scope=start)
        del headers["Content-Length"], headers["Content-Type"]
    await send(start)
    await send({"type": "http.response.body", "body": body})
