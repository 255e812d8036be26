"""What the portal's pages cost on the server when the records are full, beside the API's answer of the same content.

    .venv/bin/python -m benchmarks.pages [--requests 100000]

Fills a PostgreSQL of its own as `benchmarks.worklist` does, then asks for each page as a browser with a session does (sign-in
checked, permissions, the look written down, the template drawn), one after the other in turn, and prints medians and ratios. The
floor is what the API takes for the same data as JSON. Nothing here is a test.
"""

import argparse
import asyncio
import base64
import secrets
import statistics
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import httpx
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from temporalio.client import Client

from benchmarks.full_records import fill
from benchmarks.worklist import running_database
from domain.requests import Role
from records import people
from records.database import Database
from records.feed import ProjectionFeed
from records.store import DocumentStore
from records.visibility import Viewer
from server import create_app
from settings import Settings
from use_cases.offering_files import load_offerings
from use_cases.services import Services
from use_cases.sign_in import token_sha256
from web.session import session_cookie

ROUNDS = 25
WARM_UP = 3

PAGES: list[tuple[str, Role, str, str | None]] = [
    ("worklist of a dispatcher", Role.DISPATCHER, "/worklist", "/requests?status=awaiting_dispatch&holder=me&limit=25"),
    (
        "worklist of a dispatcher, everything",
        Role.DISPATCHER,
        "/worklist?filter=1&status=all",
        "/requests?limit=25",
    ),
    ("worklist of a provider", Role.PROVIDER, "/worklist", "/requests?holder=me&limit=25"),
    ("worklist of a provider, everything", Role.PROVIDER, "/worklist?filter=1&status=all", "/requests?limit=25"),
    ("worklist of a requester", Role.REQUESTER, "/worklist?filter=1&status=all", "/requests?limit=25"),
    ("worklist of an operator", Role.OPERATOR, "/worklist?filter=1&status=all", "/requests?limit=25"),
    (
        "a search by number",
        Role.DISPATCHER,
        "/worklist?filter=1&status=all&q=TC-2025-000500",
        "/requests?q=TC-2025-000500",
    ),
    ("a draft", Role.REQUESTER, "/requests/{draft}/edit", "/requests/{draft}"),
    ("a draft's request page", Role.REQUESTER, "/requests/{draft}", "/requests/{draft}"),
    ("providers", Role.DISPATCHER, "/providers", "/providers"),
    ("new request", Role.REQUESTER, "/new", "/offerings"),
    ("settings", Role.PROVIDER, "/account", "/me"),
    ("help", Role.PROVIDER, "/help", None),
]
"""Name, who looks, the page, and the API's address of the same content."""


async def main(count: int) -> None:
    """Fill, measure, print."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        async with running_database(Path(folder)) as database, ProjectionFeed(database) as feed:
            _, viewers = await fill(database, count)
            services = await open_services(Path(folder), database, feed)
            app = create_app(services.settings, services)
            transport = httpx.ASGITransport(app)
            table = Table("page", "median, ms", "slowest, ms", "API, ms", "ratio", title=f"{count:,} requests")
            async with httpx.AsyncClient(transport=transport, base_url="http://relais.test") as http:
                cookies = {role: await session_for(database, services, viewer) for role, viewer in viewers.items()}
                http.cookies.set(*cookies[Role.REQUESTER])
                found = (await http.get("/api/v1/requests?status=draft")).json()["items"]
                for name, role, page, address in PAGES:
                    http.cookies.set(*cookies[role])
                    draft = found[0]["id"]
                    times, floor = await measure(
                        http, page.format(draft=draft), address.format(draft=draft) if address else None
                    )
                    median, ground = statistics.median(times), statistics.median(floor) if floor else None
                    table.add_row(
                        name,
                        f"{median:.1f}",
                        f"{max(times):.1f}",
                        f"{ground:.1f}" if ground else "",
                        f"{median / ground:.1f}" if ground else "",
                    )
            console.print(table)


async def open_services(folder: Path, database: Database, feed: ProjectionFeed) -> Services:
    """What pages are made from. No page that is looked at here asks the engine: its client connects only when it is used."""
    settings = Settings(
        data_dir=folder,
        document_store=(folder / "documents").as_uri(),
        encryption_keys=SecretStr(f"b:{base64.b64encode(secrets.token_bytes(32)).decode()}"),
    )
    return Services(
        settings=settings,
        database=database,
        feed=feed,
        store=DocumentStore.from_settings(settings),
        engine=await Client.connect("127.0.0.1:1", lazy=True),
        offerings=load_offerings(settings.offerings_dir),
    )


async def session_for(database: Database, services: Services, viewer: Viewer) -> tuple[str, str]:
    """A browser's session, as signing in makes it."""
    token, now = secrets.token_urlsafe(32), datetime.now(UTC)
    async with database.session() as session:
        await people.add_token(
            session,
            token_sha256=token_sha256(token),
            account_id=viewer.account_id,
            now=now,
            expires_at=now + timedelta(hours=1),
        )
    return session_cookie(services.settings), token


async def measure(http: httpx.AsyncClient, page: str, address: str | None) -> tuple[list[float], list[float]]:
    """Milliseconds of the page and of the API's answer, asked for in turn."""
    times: dict[str, list[float]] = {page: []}
    addresses = [page, *([f"/api/v1{address}"] if address else [])]
    for number in range(WARM_UP + ROUNDS):
        for asked in addresses:
            began = perf_counter()
            answer = await http.get(asked)
            took = 1000 * (perf_counter() - began)
            assert answer.status_code == 200, f"{asked}: {answer.status_code} {answer.text[:500]}"
            if number >= WARM_UP:
                times.setdefault(asked, []).append(took)
    return times[page], times[addresses[-1]] if address else []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    asyncio.run(main(parser.parse_args().requests))
