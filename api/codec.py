"""Temporal's codec protocol: its UI and its command line have opened here what the engine keeps sealed.

In the embedded mode whoever sits before the machine may; else an operator, signed in in the same browser, from no page but those
of the UI that the settings name, or with a token.
"""

import base64
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.api.common.v1 import Payload

from domain.model import Discreet
from settings import Settings
from use_cases import payloads
from use_cases.caller import Caller
from use_cases.problems import FieldFault, Problem
from web.rates import DECODES
from web.services import ServicesOf
from web.session import BearerOf, identify

router = APIRouter(include_in_schema=False)

PATH = "/codec"

LOOPBACK_PAGES = r"http://(127\.0\.0\.1|localhost):\d+"


class CodecPayload(Discreet):
    """A payload as the Temporal UI sends it: bytes in base64."""

    metadata: dict[str, str] = Field(default_factory=dict)
    data: str = ""


class CodecBody(Discreet):
    """Payloads to decode, and the same decoded."""

    payloads: list[CodecPayload] = Field(max_length=1_000)


class PagesOfTheUI:
    """ASGI middleware: which pages of other origins may read what the codec answers (CORS)."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        origin = ui_origin(settings)
        self._codec = CORSMiddleware(
            app,
            allow_origins=[origin] if origin else [],
            allow_origin_regex=LOOPBACK_PAGES if settings.embedded else None,
            allow_credentials=not settings.embedded,
            allow_methods=["POST"],
            allow_headers=["authorization", "content-type", "x-namespace"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_codec = scope["type"] == "http" and scope["path"].startswith(f"{PATH}/")
        await (self._codec if is_codec else self._app)(scope, receive, send)


def ui_origin(settings: Settings) -> str:
    """The origin of the Temporal UI's pages, as browsers write it; empty where the settings name none."""
    parts = urlsplit(settings.temporal_ui_url)
    if not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_usual = parts.port in (None, {"http": 80, "https": 443}.get(parts.scheme))
    return f"{parts.scheme}://{host}" if is_usual else f"{parts.scheme}://{host}:{parts.port}"


async def who_looks(request: Request, services: ServicesOf, credentials: BearerOf) -> Caller | None:
    """The person who calls; None for who sits before the machine in the embedded mode, which asks nobody.

    Raises Problem `not_found` for others in that mode, `not_authenticated`, `too_many_requests`, or `other_site` for a page
    that is not the UI's.
    """
    if services.settings.embedded:
        if not _is_local(request):
            raise Problem("not_found")
        return None
    caller = await identify(request, services, credentials, from_page_of=ui_origin(services.settings))
    DECODES.count(request, services.settings, caller.actual_id)
    return caller


@router.post(f"{PATH}/decode")
async def decode(
    body: CodecBody, services: ServicesOf, caller: Annotated[Caller | None, Depends(who_looks)]
) -> CodecBody:
    """What is sealed with our keys is opened; all else comes back as it is."""
    try:
        sealed = [_payload(payload) for payload in body.payloads]
    except ValueError:
        raise Problem("invalid_input", [FieldFault("payloads", "not_readable")]) from None
    if caller is None:
        opened = await payloads.open_payloads(services, sealed)
    else:
        opened = await payloads.open_for(services, caller, sealed)
    return CodecBody(payloads=[_coded(payload) for payload in opened])


def _payload(coded: CodecPayload) -> Payload:
    metadata = {name: base64.b64decode(value) for name, value in coded.metadata.items()}
    return Payload(metadata=metadata, data=base64.b64decode(coded.data))


def _coded(payload: Payload) -> CodecPayload:
    metadata = {name: base64.b64encode(value).decode() for name, value in payload.metadata.items()}
    return CodecPayload(metadata=metadata, data=base64.b64encode(payload.data).decode())


def _is_local(request: Request) -> bool:
    return request.client is not None and request.client.host in ("127.0.0.1", "::1")
