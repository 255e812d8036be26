"""The services of the process, as a parameter of a route."""

from typing import Annotated

from fastapi import Depends, Request

from use_cases.services import Services


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(_services)]
"""The services, as a parameter of a route."""
