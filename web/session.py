"""Who calls over HTTP: by a bearer token, or by the cookie that holds one for a browser; and whether a system may call there.

A route is for people, unless it says which scope opens it to the systems of clinics: deny unless granted.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Header, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from domain.service_accounts import FOR_SOMEBODY, Scope
from records.acting import act_for
from records.models import Account, Side
from settings import Settings
from use_cases.caller import Caller, System
from use_cases.problems import Problem
from use_cases.service_callers import MAX_NAMED, caller_of, is_of_a_system
from use_cases.services import Services
from use_cases.sign_in import account_of, note_presence, note_use
from web.problems import HTTPProblem
from web.services import ServicesOf

_bearer = HTTPBearer(auto_error=False, description="A token from `POST /api/v1/tokens`.")

_service_account = HTTPBearer(
    scheme_name="ServiceAccount",
    auto_error=False,
    description="The secret of a clinic's service account (`relais_sk_…`), or an access token from `POST /api/v1/oauth/token`, "
    "with one of the scopes named with the operation.",
)

ON_BEHALF_OF = "Relais-On-Behalf-Of"
"""The header in which a system names the person for whom it calls, by user name or by the account's id."""

STILL_HERE = "/still-here"
"""Where a page tells that somebody is in front of it."""

READING = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True)
class SmartNeed:
    """What a token for FHIR must open: to read (`r`) or search (`s`) resources of a type, to send messages (`c`), or to make,
    change or remove Subscriptions (`c`, `u`, `d`).
    """

    kind: str
    what: Literal["c", "r", "u", "d", "s"]


BearerOf = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
"""The bearer token of a call, if it has one."""


async def identified(request: Request, services: ServicesOf, credentials: BearerOf) -> Caller:
    """Who calls, whatever they may do. A route asks `CallerOf` or `opened_by`; this is for what counts its calls."""
    return await identify(request, services, credentials)


async def identify(
    request: Request, services: Services, credentials: HTTPAuthorizationCredentials | None, from_page_of: str = ""
) -> Caller:
    """Who calls: of those who come by a cookie, from our own pages, or from those of that other origin.

    Raises Problem `not_authenticated` or `other_site`.
    """
    if credentials and is_of_a_system(credentials.credentials):
        on_behalf_of = request.headers.get(ON_BEHALF_OF)
        caller = await caller_of(services, credentials.credentials, address_of(request), on_behalf_of)
    else:
        caller = await _person(request, services, credentials, from_page_of)
    act_for(caller.clinic_id)
    request.state.language = caller.language
    request.state.caller = caller
    return caller


async def _person(
    request: Request, services: Services, credentials: HTTPAuthorizationCredentials | None, from_page_of: str
) -> Caller:
    token = credentials.credentials if credentials else session_of(request, services.settings)
    if not token:
        raise Problem("not_authenticated")
    if credentials is None and not (from_page_of and request.headers.get("origin") == from_page_of):
        check_same_site(request)
    account = await account_of(services, token)
    if account is None:
        raise Problem("not_authenticated")
    if credentials is None and _is_asked_for(request):
        await note_presence(services, token)
    await note_use(services, account)
    side = Side.API if credentials else Side.PORTAL
    renews = credentials is None and request.method == "GET" and "hx-request" in request.headers
    return Caller(account, token, side, address_of(request), renews=renews)


IdentifiedOf = Annotated[Caller, Depends(identified)]


async def person(caller: IdentifiedOf) -> Caller:
    """The person who calls. Raises Problem `insufficient_scope` for a system: no scope opens this to it."""
    if caller.system is not None:
        raise _insufficient(())
    return caller


def opened_by(*scopes: Scope, smart: SmartNeed | None = None) -> Callable[..., Awaitable[Caller]]:
    """A dependency of routes that are open to the systems of clinics, too: to those that have one of these scopes.

    Where `smart` is said, also to those that came by a token for FHIR that covers it. What a system does `FOR_SOMEBODY` asks for
    the person. The description of the API says all this with each operation.
    """
    needs_person = FOR_SOMEBODY.issuperset(scopes)

    async def opened(
        caller: IdentifiedOf,
        _scheme: Annotated[object, Security(_service_account, scopes=[*scopes])],
        _for_whom: Annotated[
            str | None,
            Header(
                alias=ON_BEHALF_OF,
                min_length=1,
                max_length=MAX_NAMED,
                description="Of a service account: for whom it calls, a requester of the clinic, by user name or id. It then "
                f"sees what is that person's{', and must name somebody' if needs_person else ''}. Of people it says nothing.",
                examples=["demandeur.fleuve"],
            ),
        ] = None,
    ) -> Caller:
        if caller.system is None:
            return caller
        if not caller.system.scopes.intersection(scopes) and not _is_covered(caller.system, smart):
            raise _insufficient([f"system/{smart.kind}.{smart.what}"] if smart and scopes else scopes)
        if needs_person and caller.acts_for is None:
            raise Problem("person_needed")
        return caller

    return opened


def _is_covered(system: System, smart: SmartNeed | None) -> bool:
    return smart is not None and any(scope.covers(smart.kind, smart.what) for scope in system.smart_scopes)


def _insufficient(scopes: Iterable[str]) -> Problem:
    """The answer to a system without these scopes (RFC 6750, 3.1)."""
    needed = " ".join(scopes)
    challenge = 'Bearer error="insufficient_scope"' + (f', scope="{needed}"' if needed else "")
    return HTTPProblem("insufficient_scope", headers={"WWW-Authenticate": challenge})


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


def sign_on_cookie(settings: Settings) -> str:
    """The name of the cookie by which a browser that comes back from elsewhere is known. It is bound as that of a session is."""
    return "__Host-relais-sign-on" if settings.over_tls else "relais-sign-on"


def session_of(request: Request, settings: Settings) -> str | None:
    """The token that a browser's cookie holds, if there is one."""
    return request.cookies.get(session_cookie(settings))


def check_same_site(request: Request) -> None:
    """Raise Problem `other_site` when a page of another site makes a browser send something that changes things.

    A browser adds the cookie by itself, so the cookie alone proves nothing. All current browsers say where a call comes from
    (Sec-Fetch-Site, in older ones Origin).
    """
    if request.method in READING:
        return
    said = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "")
    same = said == "same-origin" if said is not None else origin.partition("://")[2] == request.headers.get("host")
    if not same:
        raise Problem("other_site")


CallerOf = Annotated[Caller, Depends(person)]
"""The person who calls, as a parameter of a route, by a bearer token or a browser's cookie; without one the answer is 401."""

CatalogueReader = Annotated[Caller, Depends(opened_by(Scope.CATALOGUE_READ))]
RequestReader = Annotated[Caller, Depends(opened_by(Scope.REQUESTS_READ))]
AttachmentReader = Annotated[Caller, Depends(opened_by(Scope.ATTACHMENTS_READ))]
DocumentReader = Annotated[Caller, Depends(opened_by(Scope.DOCUMENTS_READ))]
DraftWriter = Annotated[Caller, Depends(opened_by(Scope.DRAFTS_WRITE))]
Submitter = Annotated[Caller, Depends(opened_by(Scope.REQUESTS_SUBMIT))]
"""The same for what is open to systems with that scope, too."""
