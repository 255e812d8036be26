"""The API as an application."""

from functools import cache

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware

from api import (
    absences,
    access_reviews,
    assignments,
    attachments,
    backchannel_logout,
    catalogue,
    changes,
    clinics,
    codec,
    commands,
    communications,
    docs,
    drafts,
    emergencies,
    incidents,
    invitations,
    journals,
    lost_messages,
    mail,
    marks,
    oauth,
    operations,
    parameters,
    past_cases,
    people,
    phone_links,
    problems,
    reports,
    requests,
    restrictions,
    retention,
    saved_filters,
    second_factor,
    service_accounts,
    snippets,
    statistics,
    subscriptions,
    tokens,
    uploads,
    verification,
    webhooks,
)
from api.conditional import Conditional
from settings import Settings
from use_cases.services import Services
from web.audit import Audit
from web.heads import Heads
from web.limits import BodyLimit
from web.observe import Observe
from web.rates import Spent

API_VERSION = "1.0.0"

V1 = "/api/v1"
"""Where the addresses of this version begin."""

COMPRESSED_ALREADY = (
    *DEFAULT_EXCLUDED_CONTENT_TYPES,
    "application/pdf",
    "application/octet-stream",
    "image/heic",
    "image/heif",
)
"""Content types whose answers are sent as they are: documents, photos, videos, the sender's own files; and streams of news."""


def create_app(settings: Settings, services: Services) -> FastAPI:
    """The application over services that are open, in the event loop in which they were opened."""
    app = FastAPI(
        title="Relais",
        version=API_VERSION,
        summary="Asynchronous medical teleconsultation",
        description=docs.DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_url="/api/openapi.json",
        generate_unique_id_function=_name,
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    app.state.spent = Spent()
    problems.install(app)
    docs.install(app)
    app.router.routes.extend(_addresses().routes)
    app.add_middleware(Audit)
    app.add_middleware(
        BodyLimit,
        upload_limit=max(settings.max_photo_bytes, settings.max_video_bytes),
        photo_limit=settings.max_photo_bytes,
    )
    app.add_middleware(Conditional, below=f"{V1}/")
    app.add_middleware(GZipMiddleware, compresslevel=5, exclude_content_types=COMPRESSED_ALREADY)
    app.add_middleware(Heads)
    app.add_middleware(Observe, over_tls=settings.over_tls)
    app.add_middleware(codec.PagesOfTheUI, settings=settings)
    return app


def _name(route: APIRoute) -> str:
    return route.name


@cache
def _addresses() -> APIRouter:
    """What the API answers, once for all applications of a process: to make of every function what reads a call takes a while."""
    router = APIRouter(generate_unique_id_function=_name)
    router.include_router(operations.router)
    router.include_router(codec.router)
    router.include_router(backchannel_logout.router)
    known_only = [Depends(parameters.known_parameters_only)]
    for module in (
        tokens,
        second_factor,
        invitations,
        absences,
        catalogue,
        people,
        clinics,
        service_accounts,
        webhooks,
        subscriptions,
        retention,
        restrictions,
        emergencies,
        access_reviews,
        drafts,
        requests,
        changes,
        saved_filters,
        past_cases,
        snippets,
        commands,
        assignments,
        attachments,
        marks,
        phone_links,
        uploads,
        reports,
        journals,
        incidents,
        communications,
        verification,
        lost_messages,
        mail,
        statistics,
    ):
        router.include_router(module.router, prefix=V1, dependencies=known_only)
    router.include_router(operations.api_router, prefix=V1, dependencies=known_only)
    router.include_router(oauth.router, prefix=V1)  # its errors are those of OAuth
    return router
