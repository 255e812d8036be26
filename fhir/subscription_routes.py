"""The addresses of Subscriptions: a system makes, reads, changes, removes and finds its own, and asks where they stand."""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from domain.loose import dict_of, dicts_of
from domain.service_accounts import Scope
from domain.smart_scopes import SUBSCRIPTIONS
from domain.subscriptions import Content
from fhir.addresses import BASE_PATH, Server
from fhir.elements import Resource
from fhir.formats import answer_with, format_wanted, received, written
from fhir.incoming import parsed
from fhir.kinds import uuid_in
from fhir.notifications import notification, status_parameters
from fhir.outcomes import NOT_READ, NotTaken
from fhir.parameters import check_known, parameters_of
from fhir.resources import Bundle, Entry, Link, Search
from fhir.searches import Parameters, address_of, page
from fhir.subscriptions import read_subscription, subscription
from records.subscriptions import Subscribed
from translations import gettext_noop as _
from use_cases import subscriptions
from use_cases.caller import Caller
from use_cases.services import Services
from use_cases.subscriptions import NewSubscription
from web.language import language_of
from web.rates import SUBSCRIPTIONS as SUBSCRIPTION_CHANGES
from web.services import ServicesOf
from web.session import SmartNeed, opened_by

NOT_FOR_BODY = _("A resource has a body of the type application/fhir+json.")
OTHER_ID = _("The id in the body is not that of the address.")
NOT_A_VERSION = _('A version is given as If-Match: W/"3".')

_SEARCHED_BY = ("_format", "_id", "status", "url")
_TYPES = ("application/fhir+json", "application/json")
_TAG = re.compile(r'(?:W/)?"([0-9]{1,9})"')
_NUMBER = re.compile(r"[0-9]{1,18}")
_LAST = 10**18

router = APIRouter(prefix=f"{BASE_PATH}/{SUBSCRIPTIONS}", include_in_schema=False)


def _opened(what: Literal["c", "r", "u", "d", "s"]) -> Any:
    return Depends(opened_by(Scope.SUBSCRIPTIONS_WRITE, smart=SmartNeed(SUBSCRIPTIONS, what)))


Maker = Annotated[Caller, _opened("c")]
Reader = Annotated[Caller, _opened("r")]
Changer = Annotated[Caller, _opened("u")]
Remover = Annotated[Caller, _opened("d")]
Searcher = Annotated[Caller, _opened("s")]


@router.post("", name="fhir_Subscription_create", dependencies=[SUBSCRIPTION_CHANGES])
async def create(request: Request, services: ServicesOf, caller: Maker) -> Response:
    """A new Subscription, to which a handshake goes."""
    kind, server = format_wanted(request), _server(request, services)
    check_known(request, request.query_params.keys(), ("_format",))
    said = await _said(request, services, server)
    made = subscription(await subscriptions.create(services, caller, said), server)
    address = server.address(SUBSCRIPTIONS, str(made.id))
    return _written(made, kind, 201, {"Location": address})


@router.get("", name="fhir_Subscription_search")
@router.post("/_search", name="fhir_Subscription_search_by_post")
async def find(request: Request, services: ServicesOf, caller: Searcher) -> Response:
    """The system's own, by their ids, statuses or addresses."""
    kind, server = format_wanted(request), _server(request, services)
    parameters = await parameters_of(request, SUBSCRIPTIONS, _SEARCHED_BY)
    there = [one for one in await subscriptions.list_own(services, caller) if _is_meant(one, parameters)]
    links = {"self": address_of(SUBSCRIPTIONS, parameters, None, server)}
    found = page(SUBSCRIPTIONS, [subscription(one, server) for one in there], links, server, datetime.now(UTC))
    return answer_with(request, found, kind)


@router.get("/$status", name="fhir_Subscription_statuses")
@router.post("/$status", name="fhir_Subscription_statuses_by_post")
async def statuses(request: Request, services: ServicesOf, caller: Searcher) -> Response:
    """Where the system's own stand, by their ids or statuses."""
    asked = await _asked(request, ("id", "status"))
    parameters = {"_id" if name == "id" else name: values for name, values in asked.items()}
    there = [one for one in await subscriptions.list_own(services, caller) if _is_meant(one, parameters)]
    return await _told(request, services, caller, there)


@router.get("/{resource_id}", name="fhir_Subscription_read")
async def read(request: Request, resource_id: str, services: ServicesOf, caller: Reader) -> Response:
    """One of the system's own."""
    kind, server = format_wanted(request), _server(request, services)
    check_known(request, request.query_params.keys(), ("_format",))
    one = await subscriptions.read(services, caller, uuid_in(resource_id))
    return answer_with(request, subscription(one, server), kind)


@router.put("/{resource_id}", name="fhir_Subscription_update", dependencies=[SUBSCRIPTION_CHANGES])
async def change(request: Request, resource_id: str, services: ServicesOf, caller: Changer) -> Response:
    """Have it as it is said now: off, or begun anew, or elsewhere."""
    kind, server = format_wanted(request), _server(request, services)
    check_known(request, request.query_params.keys(), ("_format",))
    id_, version = uuid_in(resource_id), _version(request)
    await subscriptions.read(services, caller, id_)
    said = await _said(request, services, server, resource_id)
    return _written(subscription(await subscriptions.change(services, caller, id_, said, version), server), kind, 200)


@router.delete("/{resource_id}", name="fhir_Subscription_delete", dependencies=[SUBSCRIPTION_CHANGES])
async def remove(request: Request, resource_id: str, services: ServicesOf, caller: Remover) -> Response:
    """Remove it, with its events."""
    check_known(request, request.query_params.keys(), ("_format",))
    await subscriptions.remove(services, caller, uuid_in(resource_id))
    return Response(status_code=204)


@router.get("/{resource_id}/$status", name="fhir_Subscription_status")
@router.post("/{resource_id}/$status", name="fhir_Subscription_status_by_post")
async def status(request: Request, resource_id: str, services: ServicesOf, caller: Reader) -> Response:
    """Where one stands."""
    await _asked(request, ("id", "status"))
    return await _told(request, services, caller, [await subscriptions.read(services, caller, uuid_in(resource_id))])


@router.get("/{resource_id}/$events", name="fhir_Subscription_events")
@router.post("/{resource_id}/$events", name="fhir_Subscription_events_by_post")
async def events(request: Request, resource_id: str, services: ServicesOf, caller: Reader) -> Response:
    """What happened, by the numbers of the events: to catch up with what was missed."""
    kind, server = format_wanted(request), _server(request, services)
    asked = await _asked(request, ("eventsSinceNumber", "eventsUntilNumber", "content"))
    first, last = _number(asked, "eventsSinceNumber", 1), _number(asked, "eventsUntilNumber", _LAST)
    content = _content(asked)
    told = await subscriptions.events(services, caller, uuid_in(resource_id), first, last, content)
    return answer_with(request, notification(told, server), kind)


async def _told(request: Request, services: Services, caller: Caller, there: list[Subscribed]) -> Response:
    kind, server, found = format_wanted(request), _server(request, services), []
    for one in there:
        found.append(status_parameters(await subscriptions.status(services, caller, one.id), server))
    entries = tuple(Entry(full_url=f"urn:uuid:{one.id}", resource=one, search=Search(mode="match")) for one in found)
    link = Link(relation="self", url=f"{server.base}{request.url.path.removeprefix(BASE_PATH)}")
    return answer_with(request, Bundle(timestamp=datetime.now(UTC), link=(link,), entry=entries or None), kind)


def _server(request: Request, services: Services) -> Server:
    return Server.of(services.settings, language_of(request))


def _written(resource: Resource, kind: str, status_code: int, headers: Mapping[str, str] | None = None) -> Response:
    """What was made or changed, with its version."""
    version = resource.meta.version_id if resource.meta else None
    own = {"ETag": f'W/"{version}"', **(headers or {})}
    return Response(written(resource), status_code, own, f"{kind}; charset=utf-8")


async def _said(
    request: Request, services: Services, server: Server, resource_id: str | None = None
) -> NewSubscription:
    """The Subscription in the body. Raises NotTaken, Faults."""
    came = await _body(request)
    if resource_id is not None and dict_of(came).get("id") != resource_id:
        raise NotTaken(OTHER_ID, code="value", about="id")
    return read_subscription(came, services.settings, server, is_new=resource_id is None)


async def _body(request: Request) -> object:
    if request.headers.get("content-type", "").partition(";")[0].strip().casefold() not in _TYPES:
        raise NotTaken(NOT_FOR_BODY, status=415, code="not-supported")
    body = await received(request)
    return (await asyncio.to_thread(parsed, body)).value


def _version(request: Request) -> int | None:
    said = request.headers.get("if-match")
    if said is None:
        return None
    found = _TAG.fullmatch(said.strip())
    if found is None:
        raise NotTaken(NOT_A_VERSION, code="value", about="If-Match")
    return int(found[1])


def _is_meant(one: Subscribed, parameters: Parameters) -> bool:
    own = {"_id": str(one.id), "status": one.status.value, "url": one.endpoint.url}
    for name, values in parameters.items():
        for said in values if name in own else ():
            wanted = [said] if name == "url" else [part.strip().rpartition("|")[2] for part in said.split(",")]
            if own[name] not in wanted:
                return False
    return True


async def _asked(request: Request, known: tuple[str, ...]) -> dict[str, list[str]]:
    """The parameters of an operation: in the address, or in a resource Parameters. Raises NotTaken."""
    found: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        found.setdefault(name, []).append(value)
    if request.method == "POST" and await received(request):
        came = await _body(request)
        for one in dicts_of(dict_of(came).get("parameter")):
            said = next((value for name, value in one.items() if name.startswith("value")), None)
            if isinstance(one.get("name"), str) and isinstance(said, str):
                found.setdefault(one["name"], []).append(said)
            else:
                raise NotTaken(NOT_READ, about=str(one.get("name"))[:100])
    check_known(request, found, ("_format", *known))
    if "status" in known:
        return {name: [",".join(values)] for name, values in found.items() if name in known}
    return {name: values for name, values in found.items() if name in known}


def _number(asked: Mapping[str, list[str]], name: str, otherwise: int) -> int:
    said = asked.get(name, [])
    if not said:
        return otherwise
    if len(said) > 1 or not _NUMBER.fullmatch(said[0]):
        raise NotTaken(NOT_READ, about=name)
    return int(said[0])


def _content(asked: Mapping[str, list[str]]) -> Content | None:
    """How much is wanted, which is no order: what would be more than there is, is as the Subscription has it."""
    said = asked.get("content", [])
    return next((one for one in Content if said == [one.value]), None)
