"""A whole Relais for tests: real Temporal server (with time that can be skipped), worker, PostgreSQL, SMTP, and the API."""

import base64
import io
import secrets
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from argon2 import PasswordHasher
from fastapi import FastAPI
from PIL import Image
from sqlalchemy import delete, make_url, update
from temporalio.client import WorkflowHandle
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from api.server import create_app
from documents.authority import Authority
from domain.notices import NoticeMode
from domain.requests import Request, Role
from embedded.postgres import API_USER
from engine.client import key_ring
from engine.converter import data_converter
from engine.search_attributes import ensure_search_attributes
from records import data_keys, people
from records.database import Database
from records.feed import ProjectionFeed
from records.models import Account, Clinic, GivenCommand
from records.store import DocumentStore
from settings import Settings
from tests.eventually import PATIENCE_SECONDS
from tests.mail.post_office import PostOffice
from use_cases.offering_files import load_offerings, put_in_force
from use_cases.services import Services
from use_cases.signing_roots import authority_to_sign_with
from worker import build_workers
from workflows.contract import workflow_id
from workflows.visibility import SEARCH_ATTRIBUTES

LIMITS: dict[str, Any] = dict.fromkeys(
    (
        "searches_per_minute",
        "pictures_per_minute",
        "documents_per_minute",
        "checks_per_minute",
        "statuses_per_minute",
        "forgotten_passwords_per_minute",
        "uploads_per_minute",
        "subscriptions_per_hour",
        "sign_ons_per_minute",
        "launches_per_minute",
        "streams_per_minute",
        "streams_at_once",
    ),
    100_000,
)
"""How much one person may ask for: in the tests, some people ask for much."""

PASSWORD = "correct horse battery staple"

PASSWORD_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
"""Checked as any other, for it says itself how dear it is: this one costs nothing, and the usual ones 200 ms of a processor."""


@dataclass
class Clinician:
    """Somebody who uses the API: their account, and an HTTP client that speaks for them."""

    account: Account
    http: httpx.AsyncClient

    @property
    def id(self) -> str:
        return str(self.account.id)

    async def get(self, path: str, **kwargs: Any) -> httpx.Response:
        return await self.http.get(f"/api/v1{path}", **kwargs)

    async def post(self, path: str, body: Any = None, *, key: str | None = None, **kwargs: Any) -> httpx.Response:
        headers = {**kwargs.pop("headers", {}), **({"Idempotency-Key": key} if key else {})}
        return await self.http.post(f"/api/v1{path}", json=body, headers=headers, **kwargs)

    async def view(self, request_id: str) -> dict[str, Any]:
        answer = await self.get(f"/requests/{request_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@dataclass
class System:
    """Everything that runs, and the people of two clinics by name, e.g. `provider`, `provider2`, `far_provider`."""

    settings: Settings
    services: Services
    environment: WorkflowEnvironment
    post_office: PostOffice
    authority: Authority
    clinics: dict[str, Clinic]
    app: FastAPI
    people: dict[str, Clinician] = field(default_factory=dict)
    first_people: frozenset[str] = frozenset()

    def __getattr__(self, name: str) -> Clinician:
        try:
            return self.people[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def of_api(self) -> Services:
        """What the API works with: it comes to the database by its own account. `services` come as the tables' owner."""
        services: Services = self.app.state.services
        return services

    def workflow(self, request_id: str) -> WorkflowHandle[Any, Any]:
        """The workflow of a request."""
        return self.services.engine.get_workflow_handle(workflow_id(UUID(request_id)))

    async def state(self, request_id: str) -> Request:
        """The request as its workflow holds it."""
        state: Request = await self.workflow(request_id).query("state", result_type=Request)
        return state

    async def skip(self, request_id: str, time: timedelta) -> None:
        """Let time pass for one request."""
        await self.environment.fast_forward(self.workflow(request_id), time)


async def add_person(system: System, name: str, clinic: Clinic, *roles: Role, **more: Any) -> Clinician:
    """A new person with an account, a token and an HTTP client."""
    unique = f"{name}-{secrets.token_hex(4)}"
    async with system.services.database.session() as session:
        account = await people.add_account(
            session,
            clinic_id=clinic.id,
            username=unique,
            password_hash=PASSWORD_HASH,
            roles=roles,
            given_name="Anne",
            family_name=name.replace("_", " ").title(),
            email=f"{unique}@example.invalid",
            now=datetime.now(UTC),
            title="Dre",
            profession="Dermatologue",
            licence_number="12345",
            **{"language": "fr", "notice_mode": NoticeMode.AT_ONCE, **more},
        )
    http = httpx.AsyncClient(transport=httpx.ASGITransport(system.app), base_url="http://relais.test")
    token = await http.post("/api/v1/tokens", json={"username": unique, "password": PASSWORD})
    http.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
    clinician = Clinician(account, http)
    system.people[name] = clinician
    return clinician


async def set_roles(system: System, who: Clinician, *roles: Role) -> None:
    """They have these roles from now on, and no others: behind the API, so that nobody is asked and nobody told."""
    async with system.services.database.session() as session:
        theirs = update(Account).where(Account.id == who.account.id)
        await session.execute(theirs.values(roles=[role.value for role in roles]))


async def part_with_newcomers(system: System) -> None:
    """Whoever is not of the clinics' first people leaves: nobody assigns to them, and no e-mail is for them."""
    first = [system.people[name].account.id for name in system.first_people]
    async with system.services.database.session() as session:
        await session.execute(update(Account).where(Account.id.not_in(first)).values(active=False))
    for name in system.people.keys() - system.first_people:
        await system.people.pop(name).http.aclose()


async def forget_what_is_on_its_way(system: System) -> None:
    """Commands that no worker will ever take: each repair would give them again, and wait in vain."""
    async with system.services.database.session() as session:
        await session.execute(delete(GivenCommand).where(GivenCommand.settled_at.is_(None)))


def api_account(database_url: str) -> str:
    """The same database by the account of the API, which row-level security binds."""
    return make_url(database_url).set(username=API_USER).render_as_string(hide_password=False)


@asynccontextmanager
async def run_system(
    database_url: str,
    folder: Path,
    post_office: PostOffice,
    *,
    encryption_keys: str | None = None,
    server_limits: Mapping[str, int] | None = None,
    public_url: str = "http://relais.test",
    webhooks_to_this_machine: bool = False,
) -> AsyncIterator[System]:
    """Start everything but PostgreSQL and SMTP, which are given. `server_limits` are dynamic settings of the Temporal server."""
    settings = Settings(
        data_dir=folder,
        database_url=database_url,
        api_database_url=api_account(database_url),
        document_store=(folder / "documents").as_uri(),
        encryption_keys=encryption_keys or f"test:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        authority_secret=secrets.token_urlsafe(),
        smtp_port=post_office.port,
        smtp_security="none",
        mail_retry_max_seconds=1.0,
        mail_gather_seconds=0.0,
        # a machine that is busy with other things makes no queued command, and no document that comes later
        command_timeout_seconds=PATIENCE_SECONDS,
        projection_timeout_seconds=PATIENCE_SECONDS,
        document_timeout_seconds=PATIENCE_SECONDS,
        mails_per_second=1000.0,
        public_url=public_url,
        webhooks_to_this_machine=webhooks_to_this_machine,
        support_phone="1 866 555-0123",
        wrong_passwords_per_address=10_000,  # everybody in the tests has the same
        **LIMITS,
    )
    environment = await start_environment(settings, server_limits)
    database = Database.from_settings(settings)
    of_api = Database.from_settings(settings, as_api=True)
    store = DocumentStore.from_settings(settings, database)
    authority = await authority_to_sign_with(settings, database)
    await ensure_search_attributes(environment.client, SEARCH_ATTRIBUTES)
    workers = build_workers(environment.client, settings, database, store, lambda: authority)
    offerings = load_offerings(settings.offerings_dir)
    async with database.session() as session:
        await data_keys.begin(session)
        await put_in_force(session, settings.offerings_dir, offerings, datetime.now(UTC))
    async with environment, AsyncExitStack() as working, ProjectionFeed(database) as feed:
        for worker in workers:
            await working.enter_async_context(worker)
        services = Services(
            settings=settings,
            database=database,
            feed=feed,
            store=store,
            engine=environment.client,
            offerings=offerings,
        )
        app = create_app(
            settings, replace(services, database=of_api, store=DocumentStore.from_settings(settings, of_api))
        )
        system = System(settings, services, environment, post_office, authority, {}, app)
        await _populate(system)
        system.first_people = frozenset(system.people)
        yield system
        for clinician in system.people.values():
            await clinician.http.aclose()
    await of_api.close()
    await database.close()


async def start_environment(settings: Settings, limits: Mapping[str, int] | None = None) -> WorkflowEnvironment:
    """The real Temporal server, in which the time of each workflow can be skipped."""
    return await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        dev_server_existing_path=shutil.which("temporal", path=str(Path(sys.executable).parent)),
        dev_server_extra_args=[
            *("--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"),
            *("--dynamic-config-value", "system.workflowTimeSkippingEnabled=true"),
            *("--dynamic-config-value", "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute=1"),
            *(part for name, value in (limits or {}).items() for part in ("--dynamic-config-value", f"{name}={value}")),
        ],
        dev_server_startup_timeout=timedelta(seconds=PATIENCE_SECONDS),
        data_converter=data_converter(key_ring(settings)),
    )


@contextmanager
def hasty(app: FastAPI, **less: Any) -> Iterator[None]:
    """The same API, while the block lasts, with less patience: `less` are settings, e.g. ``document_timeout_seconds=0.5``."""
    patient: Services = app.state.services
    app.state.services = replace(patient, settings=patient.settings.model_copy(update=less))
    try:
        yield
    finally:
        app.state.services = patient


@cache
def photo(size: tuple[int, int] = (320, 240), colour: str = "#c68863") -> bytes:
    """A small JPEG."""
    made = io.BytesIO()
    Image.new("RGB", size, colour).save(made, "JPEG")
    return made.getvalue()


async def _populate(system: System) -> None:
    async with system.services.database.session() as session:
        near = await people.add_clinic(
            session,
            code=f"near-{secrets.token_hex(4)}",
            name="Clinique du Fleuve",
            address_lines=["1, rue du Quai", "Québec (Québec)  G1K 0A1"],
            phone="418 555-0100",
        )
        far = await people.add_clinic(session, code=f"far-{secrets.token_hex(4)}", name="Clinique des Érables")
    system.clinics.update(near=near, far=far)
    await add_person(system, "requester", near, Role.REQUESTER)
    await add_person(system, "requester2", near, Role.REQUESTER)
    await add_person(system, "dispatcher", near, Role.DISPATCHER)
    await add_person(system, "provider", near, Role.PROVIDER)
    await add_person(system, "provider2", near, Role.PROVIDER)
    await add_person(system, "administrator", near, Role.CLINIC_ADMINISTRATOR)
    await add_person(system, "operator", near, Role.OPERATOR)
    await add_person(system, "far_requester", far, Role.REQUESTER)
    await add_person(system, "far_dispatcher", far, Role.DISPATCHER)
    await add_person(system, "far_provider", far, Role.PROVIDER)
