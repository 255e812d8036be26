"""The numbers for Prometheus, on a listener of its own: who reaches the API does not reach them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from settings import Settings, SettingsError
from use_cases import health, mail, partner_endpoints, subscriptions, webhooks
from use_cases.services import Services

log = structlog.get_logger(__name__)


def create_metrics_app(services: Services) -> Starlette:
    """`GET /metrics`, and nothing else: counters and durations of this process, what /readyz finds, and how mail and
    webhooks stand.
    """

    async def metrics(_request: Request) -> Response:
        await health.look(services)
        await mail.measure(services)
        await webhooks.measure(services)
        await subscriptions.measure(services)
        await partner_endpoints.measure(services)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})

    return Starlette(routes=[Route("/metrics", metrics)])


@asynccontextmanager
async def metrics_listener(settings: Settings, services: Services) -> AsyncIterator[int | None]:
    """Answers for as long as it is open, on the port that it gives; None, and nothing listens, when no port is set.

    Raises SettingsError when nothing can listen there.
    """
    if settings.metrics_port is None:
        yield None
        return
    listening = _listen(settings.metrics_host, settings.metrics_port)
    port: int = listening.getsockname()[1]
    server = _Beside(
        uvicorn.Config(
            create_metrics_app(services),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="metrics")
    log.info("metrics are served", address=f"{settings.metrics_host} port {port}")
    try:
        yield port
    finally:
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)


class _Beside(uvicorn.Server):
    """Leaves the signals to the server of the API, beside which it runs."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SettingsError(f"RELAIS_METRICS_HOST names no address of this machine ({error.strerror}).") from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"Nothing can listen for Prometheus on {host} port {port} ({error.strerror}): "
            "choose others by RELAIS_METRICS_HOST and RELAIS_METRICS_PORT."
        ) from None
    return listening
