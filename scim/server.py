"""The service of SCIM as an application of its own, beside the API and the portal."""

from fastapi import FastAPI

from scim import answers, discovery, groups, search, users
from use_cases.services import Services
from web.rates import Spent


def create_app(services: Services) -> FastAPI:
    """The service, to be mounted where `server.py` says."""
    app = FastAPI(title="Relais SCIM", openapi_url=None, default_response_class=answers.ScimResponse)
    app.state.services = services
    app.state.spent = Spent()
    answers.install(app)
    app.include_router(discovery.router)
    app.include_router(users.router)
    app.include_router(groups.router)
    app.include_router(search.router)
    return app
