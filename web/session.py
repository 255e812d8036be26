"""Who calls over HTTP: by a bearer token, or by the cookie that holds one for a browser."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from records.models import Account, Side
from settings import Settings
from use_cases.caller import Caller
from use_cases.problems import Problem
from use_cases.services import Services
from use_cases.sign_in import account_of, note_presence, note_use
from web.services import ServicesOf

_bearer = HTTPBearer(auto_error=False, description="A token from `POST /api/v1/tokens`.")

STILL_HERE = "/still-here"
"""Where a page tells that somebody is in front of it."""

_READING = {"GET", "HEAD", "OPTIONS"}


async def _caller(
    request: Request,
    services: ServicesOf,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    token = credentials.credentials if credentials else session_of(request, services.settings)
    if not token:
        raise Problem("not_authenticated")
    if credentials is None:
        check_same_site(request)
    account = await account_of(services, token)
    if account is None:
        raise Problem("not_authenticated")
    if credentials is None and _is_asked_for(request):
        await note_presence(services, token)
    await note_use(services, account)
    side = Side.API if credentials else Side.PORTAL
    caller = Caller(account, token, side, address_of(request))
    request.state.language = caller.language
    return caller


def _is_asked_for(request: Request) -> bool:
    """Whether somebody in front of the browser asks, as far as can be told: a page, a form, or the sign that somebody is there.

    What scripts fetch, and what pages load, may come by itself.
    """
    if request.url.path == STILL_HERE:
        return True
    mode = request.headers.get("sec-fetch-mode")
    by_script = "hx-request" in request.headers or is_of_script(request)
    return mode == "navigate" if mode is not None else not by_script and request.url.path != "/events"


def is_of_script(request: Request) -> bool:
    """Whether a script of ours asks, which shows the answer itself: it wants a part of a page, or what became of a form."""
    return request.headers.get("x-requested-with") == "fetch"


def address_of(request: Request) -> str | None:
    """From which address of the network a call comes, as far as is known."""
    return request.client.host if request.client else None


async def account_of_session(request: Request, services: Services) -> Account | None:
    """Whose browser it is that calls; None when nobody is signed in there."""
    token = session_of(request, services.settings)
    return await account_of(services, token) if token else None


def session_cookie(settings: Settings) -> str:
    """The name of the cookie that holds a browser's token. With TLS, ``__Host-`` binds it to this host."""
    return "__Host-relais" if settings.over_tls else "relais"


def session_of(request: Request, settings: Settings) -> str | None:
    """The token that a browser's cookie holds, if there is one."""
    return request.cookies.get(session_cookie(settings))


def check_same_site(request: Request) -> None:
    """Raise Problem `other_site` when a page of another site makes a browser send something that changes things.

    A browser adds the cookie by itself, so the cookie alone proves nothing. All current browsers say where a call comes from
    (Sec-Fetch-Site, in older ones Origin).
    """
    if request.method in _READING:
        return
    said = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "")
    same = said == "same-origin" if said is not None else origin.partition("://")[2] == request.headers.get("host")
    if not same:
        raise Problem("other_site")


CallerOf = Annotated[Caller, Depends(_caller)]
"""The person who calls, as a parameter of a route, by a bearer token or a browser's cookie; without one the answer is 401."""
