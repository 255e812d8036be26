"""The application as it is served: every face, side by side over the same services."""

from fastapi import FastAPI

from api.server import create_app as create_api
from fhir.server import install as install_fhir
from portal.server import install as install_portal
from settings import Settings
from use_cases.services import Services
from web.late import Late
from web.server import serve as serve_app

SCIM_PATH = "/scim/v2"


def create_app(settings: Settings, services: Services) -> FastAPI:
    """The API with FHIR and the portal in front, over services that are open, in the event loop in which they were opened."""
    app = create_api(settings, services)
    install_fhir(app)
    app.mount(SCIM_PATH, Late(lambda: _scim(services)))
    install_portal(app)
    return app


def _scim(services: Services) -> FastAPI:
    from scim.server import create_app

    return create_app(services)


async def serve() -> None:
    """Serve until SIGINT or SIGTERM."""
    await serve_app(create_app)
