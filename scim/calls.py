"""What calls of the service have in common: who calls, what was sent, which version is meant, and a page of what was found."""

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Request
from fastapi.responses import Response
from scim2_models import Context, ListResponse, Resource, ResponseParameters, SearchRequest
from scim2_models import InvalidFilterException as TooLong
from scim2_models import InvalidSyntaxException as NotUnderstood

from domain.service_accounts import Scope
from scim.answers import ScimResponse
from scim.resources import MOST_AT_ONCE, POLICY, etag
from use_cases.caller import Caller
from use_cases.problems import Problem
from web.session import opened_by

LONGEST_FILTER = 2_000
"""Each term is looked for in each resource."""

_VERSION = re.compile(r'^(?:W/)?"([0-9a-f]{1,16})"$')


async def _directory(caller: Annotated[Caller, Depends(opened_by(Scope.PEOPLE_PROVISION))]) -> Caller:
    """The system that calls, for nobody. People have the portal and the API for this."""
    if caller.system is None or caller.acts_for is not None:
        raise Problem("forbidden")
    return caller


DirectoryOf = Annotated[Caller, Depends(_directory)]
IfMatch = Annotated[str | None, Header(alias="If-Match")]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match")]


async def body_of(request: Request) -> dict[str, Any]:
    """What was sent. Raises SCIMException `invalidSyntax` for what is no JSON object."""
    try:
        sent = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise NotUnderstood from None
    if not isinstance(sent, dict):
        raise NotUnderstood
    return sent


def id_in(text: str) -> UUID:
    """The id in an address. Raises Problem `not_found` for what is none."""
    try:
        return UUID(text)
    except ValueError:
        raise Problem("not_found") from None


def version_in(header: str | None) -> str | None:
    """The version that a header names; None without one, or for any. What is no version of ours fits none."""
    if header is None or header.strip() == "*":
        return None
    named = _VERSION.match(header.strip())
    return named[1] if named else ""


def check_filter(wanted: dict[str, Any]) -> dict[str, Any]:
    """What is searched for. Raises SCIMException `invalidFilter` where it is too long to be looked for."""
    if len(str(wanted.get("filter", ""))) > LONGEST_FILTER:
        raise TooLong
    return wanted


def page_of(wanted: dict[str, Any], found: Sequence[Resource[Any]], kind: Any) -> dict[str, Any]:
    """Those that are wanted, in order, a page of them. `kind` is what they are, or the union of it."""
    with POLICY:
        search = SearchRequest[kind].model_validate(wanted, scim_ctx=Context.SEARCH_REQUEST)
        matching = [one for one in found if search.filter is None or search.filter.match(one)]
        matching = search.sort(matching) if search.sort_by is not None else matching
        start = search.start_index_0 or 0
        count = min(MOST_AT_ONCE if search.count is None else search.count, MOST_AT_ONCE)
        page = matching[start : start + count]
        listed = ListResponse[kind](
            total_results=len(matching), start_index=start + 1, items_per_page=len(page), resources=page
        )
        told: dict[str, Any] = listed.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=search)
    return told


def one_of(
    request: Request, found: Resource[Any], version: object, context: Context, status: int = 200
) -> ScimResponse:
    """One resource, or what of it is wanted, with its version."""
    kind: Any = type(found)
    wanted = ResponseParameters[kind].model_validate(dict(request.query_params), scim_policy=POLICY)
    told = found.model_dump(scim_ctx=context, response_parameters=wanted)
    return ScimResponse(told, status, {"ETag": etag(version)})


def not_modified(version: object) -> Response:
    """Whoever asks has this version already."""
    return Response(status_code=304, headers={"ETag": etag(version)})
