"""From where a call comes: its address, as far as the server believes what proxies say of it, and what its device keeps."""

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request, Response

from settings import Settings
from use_cases.guessing import DEVICE_IS_KNOWN_FOR, Origin
from use_cases.sign_in import MAX_DEVICE
from web.programs import program_of
from web.services import ServicesOf
from web.session import address_of


def device_cookie(settings: Settings) -> str:
    """The name of the cookie by which a browser is known again. With TLS, ``__Host-`` binds it to this host."""
    return "__Host-relais-device" if settings.over_tls else "relais-device"


def keep_device(response: Response, settings: Settings, device: str) -> None:
    """Have the browser keep what makes it a known device, also when its person signs out."""
    response.set_cookie(
        device_cookie(settings),
        device,
        max_age=DEVICE_IS_KNOWN_FOR // timedelta(seconds=1),
        secure=settings.over_tls,
        httponly=True,
        samesite="strict",
    )


async def _origin(request: Request, services: ServicesOf) -> Origin:
    device = request.cookies.get(device_cookie(services.settings), "")
    program = program_of(request.headers.get("user-agent", ""))
    return Origin(address_of(request), device[:MAX_DEVICE] or None, program)


OriginOf = Annotated[Origin, Depends(_origin)]
"""From where the call comes, as a parameter of a route."""
