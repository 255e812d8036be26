"""How an application is served: the services that it works with, opened and closed, and its process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

import documents.bounded
import logs
import media.examine
import memory
from engine.client import EngineConnection
from records.database import Database
from records.feed import ProjectionFeed
from records.grants import is_bound
from records.store import DocumentStore
from settings import Settings, get_settings
from sign_on.providers import is_near, load_providers
from sign_on.sign_on import SignOn
from use_cases.offering_files import load_offerings, put_in_force
from use_cases.services import Services
from use_cases.ways_in import unknown_clinics
from web.metrics import metrics_listener

ENGINE_PATIENCE = timedelta(seconds=2)
"""How long a call waits for a Temporal server that is not there, before the answer is 503; less than for a worker."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """The records, the store, the engine and the offerings; closed at the end. Neither database nor engine need be there yet.

    Raises what says plainly which setting or file is not right.
    """
    offerings = load_offerings(settings.offerings_dir)
    near = is_near(settings.public_url)
    providers = load_providers(settings.sign_on_file, near=near)
    database = Database.from_settings(settings, application_name="relais-api", as_api=True)
    store = DocumentStore.from_settings(settings, database)
    try:
        async with (
            ProjectionFeed(database) as feed,
            EngineConnection(settings, gives_up_after=ENGINE_PATIENCE) as engine,
            SignOn(providers, near=near) as sign_on,
        ):
            yield Services(
                settings=settings,
                database=database,
                feed=feed,
                store=store,
                engine=engine.client,
                offerings=offerings,
                sign_on=sign_on,
            )
    finally:
        await database.close()


class _Server(uvicorn.Server):
    """Tells those who keep a connection open (live pages) that it is time to let it go."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._services.stopping.set()
        super().handle_exit(sig, frame)

    def end(self) -> None:
        """As if a signal had asked for it."""
        self._services.stopping.set()
        self.should_exit = True


async def serve(create: Callable[[Settings, Services], FastAPI]) -> None:
    """Serve the application that `create` makes until SIGINT or SIGTERM, from the start on, whatever else is away.

    Raises SchemaError when the database turns out to be made for a newer Relais, OfferingError when the records know one of
    the offerings otherwise, and SettingsError when the numbers can't be given out where the settings say.
    """
    settings = get_settings()
    logs.configure(settings)
    async with open_services(settings) as services:
        config = uvicorn.Config(
            create(settings, services),
            host=settings.host,
            port=settings.port,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            forwarded_allow_ips=settings.trusted_proxies,
            timeout_graceful_shutdown=20,
            reset_contextvars=True,  # a call on a connection begins as nobody's, whoever called on it before
        )
        server = _Server(config, services)
        async with metrics_listener(settings, services), _opening(services, server):
            memory.settle()
            log.info("api serves", address=settings.public_url)
            await server.serve()


@asynccontextmanager
async def _opening(services: Services, server: _Server) -> AsyncIterator[None]:
    """Wait for the records while the server serves. Should they never be ours, the server ends, and the reason is raised."""

    async def put_offerings_in_force(session: AsyncSession) -> None:
        await put_in_force(session, services.settings.offerings_dir, services.offerings, datetime.now(UTC))

    async def open_records() -> None:
        await services.database.open(put_offerings_in_force)
        async with services.database.session() as session:
            if not await is_bound(session):
                log.warning(
                    "nothing but the use cases keeps clinics apart: set RELAIS_API_DATABASE_URL, see docs/operations.md"
                )
        for provider, clinics in (await unknown_clinics(services)).items():
            log.warning("sign-on names clinics that do not exist", name=provider, code=", ".join(clinics))
        await asyncio.gather(documents.bounded.get_ready(), media.examine.get_ready())

    opening = asyncio.create_task(open_records(), name="opening of the records")
    opening.add_done_callback(lambda task: None if task.cancelled() or task.exception() is None else server.end())
    await asyncio.sleep(0)  # from here on, sessions are refused until the records are there
    try:
        yield
    finally:
        opening.cancel()
        with suppress(asyncio.CancelledError):
            await opening
