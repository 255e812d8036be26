"""A database of their own for the tests of what partners are told: the sender takes up whatever is due in the whole of it."""

import base64
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from records.database import Database
from records.models import PartnerEndpoint, ToldMessage
from records.store import DocumentStore
from settings import Settings
from tests.conftest import MakeDatabase
from tests.partners.office import Office
from tests.partners.requester import Requester, open_requester


@pytest.fixture(scope="module")
async def own_database(make_database: MakeDatabase, migrated_template: str) -> AsyncIterator[Database]:
    database = Database(await make_database(migrated_template), application_name="relais tests of partners")
    yield database
    await database.close()


@pytest.fixture
async def office(own_database: Database, tmp_path: Path) -> AsyncIterator[Office]:
    said: dict[str, Any] = {
        "database_url": own_database.url,
        "document_store": tmp_path.as_uri(),
        "encryption_keys": f"test:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "public_url": "https://relais.test",
        "webhooks_to_this_machine": True,
    }
    settings = Settings(**said)
    yield Office(settings, own_database, DocumentStore.from_settings(settings, own_database))
    async with own_database.session() as session:
        await session.execute(delete(PartnerEndpoint))
        await session.execute(delete(ToldMessage))


@pytest.fixture
async def requester() -> AsyncIterator[Requester]:
    async with open_requester() as requester:
        yield requester


@pytest.fixture
async def other() -> AsyncIterator[Requester]:
    async with open_requester() as requester:
        yield requester
