"""What the portal's pages cost on the server when the records are full, beside the API's answer of the same content.

    .venv/bin/python -m benchmarks.pages [--requests 100000]

Fills a PostgreSQL of its own as `benchmarks.worklist` does, then asks for each page as a browser with a session does (sign-in
checked, permissions, the look written down, the template drawn), one after the other in turn, and prints medians and ratios: of
the time that passed, of the processor's time of this process, and how many statements went to the database. The floor is what
the API takes for the same data as JSON. Nothing here is a test.
"""

import argparse
import asyncio
import base64
import re
import secrets
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from uuid import UUID

import httpx
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from sqlalchemy import event, select, text
from sqlalchemy.orm.attributes import flag_modified
from temporalio.client import Client

import memory
from benchmarks.full_records import fill
from benchmarks.worklist import running_database
from domain.requests import Role
from records import data_keys, people
from records.database import Database
from records.feed import ProjectionFeed
from records.models import Attachment, EventRecord, FrozenForm, RequestRecord
from records.sealed import sealed_columns
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
    ("a long request, its requester", Role.REQUESTER, "/requests/{long}", "/requests/{long}"),
    ("a long request, its dispatcher", Role.DISPATCHER, "/requests/{long}", "/requests/{long}"),
    ("a long request, its provider", Role.PROVIDER, "/requests/{long}", "/requests/{long}"),
    ("a long request's report", Role.PROVIDER, "/requests/{long}/report", "/requests/{long}"),
    ("a draft", Role.REQUESTER, "/requests/{draft}/edit", "/requests/{draft}"),
    ("a draft's request page", Role.REQUESTER, "/requests/{draft}", "/requests/{draft}"),
    ("providers", Role.DISPATCHER, "/providers", "/providers"),
    ("new request", Role.REQUESTER, "/new", "/offerings"),
    ("settings", Role.PROVIDER, "/account", "/me"),
    ("help", Role.PROVIDER, "/help", None),
]
"""Name, who looks, the page, and the API's address of the same content."""

LONG_EVENTS, LONG_PHOTOS = 200, 20
"""What the request has that the long pages are about."""

MAKE_LONG = (
    """
    UPDATE requests SET status = 'accepted', holder_kind = 'provider', holder_id = :provider, holder_clinic_id = :clinic,
        requester_id = :requester, requester_clinic_id = :clinic, dispatch_clinic_id = :clinic,
        process = process || jsonb_build_object('status', 'accepted', 'version', :events,
            'holder', jsonb_build_object('kind', 'provider', 'id', :provider, 'clinic_id', :clinic)),
        process_version = :events
    WHERE id = :request
    """,
    """
    INSERT INTO events (request_id, version, name, at, source, command_id, actor_id, actor_role, actor_clinic_id, status_before,
        status, holder_before, holder, command, recorded_at)
    SELECT :request, v, (ARRAY['information_added', 'returned_to_dispatch', 'assigned', 'transferred'])[v % 4 + 1],
           now() - (:events - v) * interval '7 hours', 'update', 'long-' || v,
           CASE v % 4 WHEN 0 THEN :requester ELSE :provider END,
           'provider', :clinic, 'accepted', 'accepted', '{"kind": "nobody", "id": null, "clinic_id": null}',
           jsonb_build_object('kind', 'provider', 'id', :provider, 'clinic_id', :clinic),
           '{"type": "assign", "comment": "Un commentaire.", "text": "Elle saigne.", "worse": false, "attachment_ids": []}', now()
    FROM generate_series(4, :events) AS v
    """,
    """
    INSERT INTO attachments (id, request_id, slot, kind, media_type, size_bytes, sha256, filename, width, height, warnings,
        uploaded_by, uploaded_at, state, object_key, preview_key, thumbnail_key, position)
    SELECT gen_random_uuid(), :request, 'photos', 'photo', 'image/jpeg', 1000000, md5(n::text), n || '.jpg', 4000, 3000, '{}',
           :requester, now(), 'ready', 'o' || n, 'p' || n, 't' || n, n
    FROM generate_series(1, :photos) AS n
    """,
)


async def main(count: int, only: str) -> None:
    """Fill, measure, print."""
    console = Console(width=130)
    with tempfile.TemporaryDirectory() as folder:
        async with running_database(Path(folder)) as database, ProjectionFeed(database) as feed:
            _, _, viewers = await fill(database, count)
            services = await open_services(Path(folder), database, feed)
            data_keys.use(database.engine.dialect, data_keys.DataKeys.of(services.settings))
            app = create_app(services.settings, services)
            transport = httpx.ASGITransport(app)
            columns = ("page", "median, ms", "slowest, ms", "processor, ms", "statements", "API, ms", "ratio")
            table = Table(*columns, title=f"{count:,} requests")
            statements = count_statements(database)
            async with httpx.AsyncClient(transport=transport, base_url="http://relais.test") as http:
                cookies = {role: await session_for(database, services, viewer) for role, viewer in viewers.items()}
                http.cookies.set(*cookies[Role.REQUESTER])
                found = (await http.get("/api/v1/requests?status=draft")).json()["items"]
                long = await make_long(database, viewers)
                memory.settle()
                for name, role, page, address in (known for known in PAGES if only in known[0]):
                    http.cookies.set(*cookies[role])
                    about = {"draft": found[0]["id"], "long": long}
                    of_page, of_api = await measure(
                        http, page.format(**about), address.format(**about) if address else None, statements
                    )
                    times, floor = of_page.passed, of_api.passed
                    median, ground = statistics.median(times), statistics.median(floor) if floor else None
                    table.add_row(
                        name,
                        f"{median:.1f}",
                        f"{max(times):.1f}",
                        f"{statistics.median(of_page.processor):.1f}",
                        f"{of_page.statements}",
                        f"{ground:.1f}" if ground else "",
                        f"{median / ground:.1f}" if ground else "",
                    )
            console.print(table)


async def make_long(database: Database, viewers: Mapping[Role, Viewer]) -> str:
    """The id of a request of these people that has come a long way."""
    async with database.session() as session:
        request_id = (await session.scalars(text("SELECT id FROM requests WHERE status = 'closed' LIMIT 1"))).one()
        values = {
            "request": request_id,
            "provider": viewers[Role.PROVIDER].account_id,
            "requester": viewers[Role.REQUESTER].account_id,
            "clinic": viewers[Role.PROVIDER].clinic_id,
            "events": LONG_EVENTS,
            "photos": LONG_PHOTOS,
        }
        for statement in MAKE_LONG:
            await session.execute(text(_literal(statement, values)))
    await _seal(database, request_id)
    return str(request_id)


async def _seal(database: Database, request_id: UUID) -> None:
    """Seal what the pages of this request show, as all that is written is in an installation that is run."""
    async with database.session() as session:
        await data_keys.begin(session)
    async with database.session() as session:
        await session.execute(text("SET LOCAL relais.sealing = 'on'"))
        mine = [
            select(RequestRecord).where(RequestRecord.id == request_id),
            *(select(of).where(of.request_id == request_id) for of in (FrozenForm, EventRecord, Attachment)),
        ]
        for rows in mine:
            for row in await session.scalars(rows):
                for name in sealed_columns(type(row)):
                    flag_modified(row, name)


def _literal(statement: str, values: Mapping[str, object]) -> str:
    """The statement with its values in it: ours alone, and PostgreSQL then sees their types."""
    written = {name: str(value) if isinstance(value, int) else f"uuid '{value}'" for name, value in values.items()}
    return re.sub(r"(?<!:):([a-z]+)", lambda name: written[name[1]], statement)


async def open_services(folder: Path, database: Database, feed: ProjectionFeed) -> Services:
    """What pages are made from. No page that is looked at here asks the engine: its client connects only when it is used."""
    settings = Settings(
        data_dir=folder,
        document_store=(folder / "documents").as_uri(),
        searches_per_minute=0,
        encryption_keys=SecretStr(f"b:{base64.b64encode(secrets.token_bytes(32)).decode()}"),
    )
    return Services(
        settings=settings,
        database=database,
        feed=feed,
        store=DocumentStore.from_settings(settings, database),
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


@dataclass
class Cost:
    """What an answer cost: milliseconds that passed, those of the processor, and statements of the last one."""

    passed: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    statements: int = 0


def count_statements(database: Database) -> list[str]:
    """A list that every statement is added to from now on."""
    statements: list[str] = []

    @event.listens_for(database.engine.sync_engine, "before_cursor_execute")
    def _(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        statements.append(statement)

    return statements


async def measure(http: httpx.AsyncClient, page: str, address: str | None, statements: list[str]) -> tuple[Cost, Cost]:
    """What the page and the API's answer cost, asked for in turn."""
    costs = {asked: Cost() for asked in (page, *([f"/api/v1{address}"] if address else []))}
    for number in range(WARM_UP + ROUNDS):
        for asked, cost in costs.items():
            statements.clear()
            began, processor = perf_counter(), process_time()
            answer = await http.get(asked)
            passed, worked = perf_counter() - began, process_time() - processor
            assert answer.status_code == 200, f"{asked}: {answer.status_code} {answer.text[:500]}"
            if number >= WARM_UP:
                cost.passed.append(1000 * passed)
                cost.processor.append(1000 * worked)
            cost.statements = len(statements)
    return costs[page], costs[f"/api/v1{address}"] if address else Cost()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--only", default="", help="only pages with this in their names")
    given = parser.parse_args()
    asyncio.run(main(given.requests, given.only))
