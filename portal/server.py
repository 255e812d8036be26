"""The application as it is served: the API, and the portal's pages over it."""

from fastapi import FastAPI

from api import server
from portal import (
    accesses,
    account,
    answers,
    choices,
    drafts,
    errors,
    guide,
    live,
    media,
    providers,
    reports,
    requests,
    signin,
    static,
    undelivered,
    worklist,
)
from settings import Settings
from use_cases.services import Services

PAGES = (
    signin,
    worklist,
    drafts,
    live,
    media,
    answers,
    reports,
    account,
    guide,
    providers,
    undelivered,
    accesses,
    requests,
    choices,
)
"""In the order in which their addresses are tried: `choices` takes whatever follows a request's id."""


def create_app(settings: Settings, services: Services) -> FastAPI:
    """The API's application with the portal in front, over services that are open."""
    app = server.create_app(settings, services)
    static.install(app)
    for page in PAGES:
        app.include_router(page.router, include_in_schema=False)
    errors.install(app)
    return app


async def serve() -> None:
    """Serve until SIGINT or SIGTERM."""
    await server.serve(create_app)
