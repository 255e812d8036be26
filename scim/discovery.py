"""What the service tells of itself: what it can do, which resources it has, and of what they are made."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from scim2_models import BaseModel, Context, ListResponse, Meta, Resource, ResourceType, Schema, SCIMException

from scim.answers import ScimResponse
from scim.resources import CONFIG, RESOURCE_TYPES, SCHEMAS
from use_cases.problems import Problem

router = APIRouter()


@router.get("/ServiceProviderConfig")
async def config(request: Request) -> ScimResponse:
    """What the service can do."""
    return ScimResponse(_written(request, CONFIG, "ServiceProviderConfig", "ServiceProviderConfig"))


@router.get("/ResourceTypes")
async def resource_types(request: Request) -> ScimResponse:
    """Which resources there are."""
    return _listed(request, ListResponse[ResourceType], [_located(request, *_type(name)) for name in RESOURCE_TYPES])


@router.get("/ResourceTypes/{name}")
async def resource_type(name: str, request: Request) -> ScimResponse:
    """One of them."""
    if name not in RESOURCE_TYPES:
        raise Problem("not_found")
    return ScimResponse(_written(request, *_type(name)))


@router.get("/Schemas")
async def schemas(request: Request) -> ScimResponse:
    """Of what resources are made."""
    return _listed(request, ListResponse[Schema], [_located(request, *_schema(urn)) for urn in SCHEMAS])


@router.get("/Schemas/{urn}")
async def schema(urn: str, request: Request) -> ScimResponse:
    """One of them."""
    if urn not in SCHEMAS:
        raise Problem("not_found")
    return ScimResponse(_written(request, *_schema(urn)))


def _type(name: str) -> tuple[Resource[Any], str, str]:
    return RESOURCE_TYPES[name], "ResourceType", f"ResourceTypes/{name}"


def _schema(urn: str) -> tuple[Resource[Any], str, str]:
    return SCHEMAS[urn], "Schema", f"Schemas/{urn}"


def _written(request: Request, resource: Resource[Any], kind: str, path: str) -> dict[str, Any]:
    return _located(request, resource, kind, path).model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)


def _located(request: Request, resource: Resource[Any], kind: str, path: str) -> Resource[Any]:
    located = resource.model_copy()
    located.meta = Meta(resource_type=kind, location=f"{base_of(request)}{path}")
    return located


def _listed(request: Request, of: Callable[..., BaseModel], found: list[Resource[Any]]) -> ScimResponse:
    if "filter" in request.query_params:  # RFC 7644, 4: filters are refused here
        raise SCIMForbidden
    listed = of(total_results=len(found), start_index=1, items_per_page=len(found), resources=found)
    return ScimResponse(listed.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))


class SCIMForbidden(SCIMException):
    """What the standard says is forbidden."""

    status = 403


def base_of(request: Request) -> str:
    """The address of the service, with a slash at its end."""
    return f"{request.app.state.services.settings.public_url.rstrip('/')}{request.scope['root_path']}/"
