"""The application as it is served: every face, side by side over the same services."""

from fastapi import FastAPI

from api.server import create_app as create_api
from portal.server import install as install_portal
from settings import Settings
from use_cases.services import Services
from web.server import serve as serve_app


def create_app(settings: Settings, services: Services) -> FastAPI:
    """The API with the portal in front, over services that are open, in the event loop in which they were opened."""
    app = create_api(settings, services)
    install_portal(app)
    return app


async def serve() -> None:
    """Serve until SIGINT or SIGTERM."""
    await serve_app(create_app)
