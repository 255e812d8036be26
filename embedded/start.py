"""``relais up``: everything on one machine, in one data folder, with one command.

Reads top-down: `up` takes the data folder, `_plan` decides what runs where, `_stages` puts the parts in order, the supervisor
runs them, `welcome` says where to look and how to sign in.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGINT
from typing import Any

import httpx
from pydantic import ValidationError
from rich.console import Console

from embedded import data_folder, mail_server, postgres, temporal
from embedded.errors import StartError
from embedded.leftovers import end_leftovers
from embedded.ports import LOOPBACK, choose_ports, require_free
from embedded.runtime import PartStatus, Runtime, StartSettings, read_runtime
from embedded.supervisor import Part, Step, Supervisor, Watcher
from embedded.welcome import welcome
from sign_of_life import read_sign
from workflows.visibility import SEARCH_ATTRIBUTES

PORT_VARIABLES = {
    "temporal": "RELAIS_TEMPORAL_PORT",
    "temporal-ui": "RELAIS_TEMPORAL_UI_PORT",
    "temporal-http": "RELAIS_TEMPORAL_HTTP_PORT",
    "temporal-metrics": "RELAIS_TEMPORAL_METRICS_PORT",
    "smtp": "RELAIS_SMTP_PORT",
    "mail-page": "RELAIS_MAIL_PAGE_PORT",
    "metrics": "RELAIS_METRICS_PORT",
}

OWN_SETTINGS = (
    "embedded",
    "database_url",
    "api_database_url",
    "smtp_host",
    "smtp_security",
    "smtp_username",
    "smtp_password",
)
"""Settings that this mode decides alone: their environment variables would point the parts at other engines."""

WORKER_GRACE_SECONDS = 35.0
"""The worker lets its activities end for 30 s."""


@dataclass(frozen=True)
class Plan:
    """What runs where, decided before anything starts."""

    data_dir: Path
    settings: StartSettings
    runtime: Runtime
    cluster: postgres.Cluster
    engine: temporal.TemporalServer

    @property
    def api_url(self) -> str:
        return f"http://{_reachable(self.settings.host)}:{self.settings.port}"

    @property
    def mail_page_url(self) -> str:
        return f"http://{LOOPBACK}:{self.runtime.ports['mail-page']}"


def up() -> None:
    """Starts everything and returns when it is stopped, by Ctrl-C or SIGTERM.

    Raises StartError when it cannot start.
    """
    console = Console(highlight=False, soft_wrap=True)
    settings = _settings()
    data_dir = settings.data_dir.absolute()
    with data_folder.locked(data_dir):
        asyncio.run(_up(data_dir, settings, console))


def _settings() -> StartSettings:
    try:
        return StartSettings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise StartError(f"The setting RELAIS_{name} cannot be used ({first['msg']}): correct it.") from error


async def _up(data_dir: Path, settings: StartSettings, console: Console) -> None:
    def say(line: str) -> None:
        with suppress(OSError, SystemExit):  # rich exits when nobody reads any more; the parts go on
            console.print(line, markup=False)

    for name in OWN_SETTINGS:
        if f"RELAIS_{name.upper()}" in os.environ:
            say(f"! RELAIS_{name.upper()} is ignored: this mode starts its own engines")
    plan = await _plan(data_dir, settings)
    runtime = plan.runtime

    def remember(parts: Mapping[str, PartStatus]) -> None:
        nonlocal runtime
        runtime = runtime.model_copy(update={"parts": parts})
        try:
            runtime.write(data_dir)
        except OSError as error:
            say(f"! the state of the parts cannot be written into {data_dir}: {error.strerror}")

    remember({})
    supervisor = Supervisor(
        _stages(plan),
        logs=data_dir / "logs",
        control=data_dir / "control",
        watcher=Watcher(say=say, changed=remember),
    )

    def greet() -> None:
        with suppress(OSError, SystemExit):
            welcome(console, data_dir, _places(plan), plan.api_url)

    await supervisor.run(greet)


async def _plan(data_dir: Path, settings: StartSettings) -> Plan:
    before = read_runtime(data_dir)
    if before:
        await end_leftovers(before.parts)
    require_free(settings.host, settings.port, "RELAIS_PORT")
    ports = choose_ports(PORT_VARIABLES, before.ports if before else {})
    cluster = await postgres.prepare(data_dir)
    engine = temporal.prepare(
        data_dir,
        ports,
        codec_endpoint=f"http://{_reachable(settings.host)}:{settings.port}/codec",
        search_attributes=SEARCH_ATTRIBUTES,
    )
    runtime = Runtime(
        started_at=datetime.now(UTC),
        settings=_local_settings(data_dir, settings, cluster, engine, ports),
        environment=engine.environment,
        ports=ports,
    )
    return Plan(data_dir, settings, runtime, cluster, engine)


def _local_settings(
    data_dir: Path,
    settings: StartSettings,
    cluster: postgres.Cluster,
    engine: temporal.TemporalServer,
    ports: Mapping[str, int],
) -> dict[str, Any]:
    """Values for ``settings.Settings`` that every process of this data folder reads; the environment goes before them."""
    return {
        "embedded": True,
        "public_url": f"http://{_reachable(settings.host)}:{settings.port}",
        "temporal_ui_url": engine.ui_address,
        "database_url": cluster.url,
        "api_database_url": cluster.api_url,
        "document_store": (data_dir / "documents").as_uri(),
        "encryption_keys": data_folder.encryption_keys(data_dir),
        "authority_secret": data_folder.authority_secret(data_dir),
        "smtp_host": LOOPBACK,
        "smtp_port": ports["smtp"],
        "smtp_security": "none",
        "mail_retry_max_seconds": 10.0,
        "mail_gather_seconds": 0.0,
        "mail_from": "Relais <ne-pas-repondre@relais.invalid>",
        "support_phone": "1 866 555-0123",
        "support_email": "soutien@relais.invalid",
        "support_hours_fr": "du lundi au vendredi, de 8 h à 20 h",
        "support_hours_en": "Monday to Friday, 8 am to 8 pm",
        "log_level": "INFO",
        "log_format": "json",
    }


def _stages(plan: Plan) -> list[Part | Step]:
    """The order of the start; it stops the other way round."""
    environment = _environment(plan)
    ports = plan.runtime.ports

    def relais(*arguments: str) -> list[str]:
        """Our own command, with the data folder on its line: so a left process is known to belong to this folder."""
        return [sys.executable, "-P", "-m", "cli", "--data-dir", str(plan.data_dir), *arguments]

    async def mail_ready(_born: datetime) -> bool:
        return await mail_server.answers(ports["smtp"], ports["mail-page"])

    life_file = plan.data_dir / "control" / "worker.life"

    async def worker_ready(born: datetime) -> bool:
        return await plan.engine.polled_since(plan.settings.task_queue, born)

    async def worker_alive(_born: datetime) -> bool:
        sign = await asyncio.to_thread(read_sign, life_file)
        return sign is not None and sign.is_alive

    async def api_ready(_born: datetime) -> bool:
        return await _is_success(f"{plan.api_url}/readyz")

    async def api_alive(_born: datetime) -> bool:
        return await _is_success(f"{plan.api_url}/healthz")

    return [
        Part(
            "database",
            "database",
            plan.cluster.command,
            plan.cluster.ready,
            environment,
            alive=plan.cluster.alive,
            address=str(plan.cluster.socket_folder),
            stop_signal=SIGINT,
            grace_seconds=30,
            run_as=plan.cluster.run_as,
        ),
        Part(
            "temporal",
            "Temporal server",
            plan.engine.command,
            plan.engine.ready,
            environment,
            address=plan.engine.address,
            grace_seconds=20,
        ),
        Part("mail", "mail server", relais("mail"), mail_ready, environment, address=plan.mail_page_url),
        Step("migrations", "database schema", relais("migrate"), environment),
        Step("seed", "demonstration data", relais("seed"), environment),
        Part(
            "worker",
            "worker",
            relais("worker"),
            worker_ready,
            environment | {"RELAIS_WORKER_LIFE_FILE": str(life_file)},
            alive=worker_alive,
            grace_seconds=WORKER_GRACE_SECONDS,
        ),
        Part(
            "api",
            "API",
            relais("api"),
            api_ready,
            environment | {"RELAIS_METRICS_HOST": LOOPBACK, "RELAIS_METRICS_PORT": str(ports["metrics"])},
            alive=api_alive,
            address=plan.api_url,
            grace_seconds=15,
        ),
        Step("seed-requests", "demonstration requests", relais("seed-requests"), environment, optional=True),
        Step(
            "rules",
            "rules of open requests",
            relais("rules", "renew", "--per-second", "100"),
            environment,
            optional=True,
        ),
    ]


async def _is_success(address: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(address)).is_success


def _environment(plan: Plan) -> dict[str, str]:
    """Ours, without what would point the parts at other engines, and with the names that some containers leave out."""
    needed = {"USER": "relais", "HOME": str(plan.data_dir)}
    ignored = {f"RELAIS_{name.upper()}" for name in OWN_SETTINGS}
    kept = {
        name: value for name, value in os.environ.items() if name not in ignored and not name.startswith("TEMPORAL_")
    }
    return needed | kept | plan.engine.environment | {"RELAIS_DATA_DIR": str(plan.data_dir)}


def _places(plan: Plan) -> dict[str, str]:
    return {
        "Portal": plan.api_url,
        "API": f"{plan.api_url}/api/v1",
        "API documentation": f"{plan.api_url}/api/docs",
        "Temporal UI": plan.engine.ui_address,
        "Mail": plan.mail_page_url,
        "Metrics": f"http://{LOOPBACK}:{plan.runtime.ports['metrics']}/metrics",
        "Database": plan.cluster.url,
        "Data folder": str(plan.data_dir),
        "Logs": str(plan.data_dir / "logs"),
    }


def _reachable(host: str) -> str:
    """The address to call for a server that listens on `host`, which may mean every address."""
    return LOOPBACK if host in ("", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104
